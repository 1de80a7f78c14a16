//! Lists of image files with labels: the same samples in the same order as folders of classes hold, or one clear line.

use crate::layouts::tree;
use crate::{assert_clear, classes};
use std::fs;
use std::path::Path;
use striate::data::{Dataset, Diagnostics, Kind, Request, Splits, find, open_with_diagnostics};

/// Nine images without folders of classes, in `train`.
const FILES: [&str; 3] = ["train/a*.jpg", "train/b*.png", "train/c*.jpeg"];

pub fn look(path: &Path) -> Request {
    let path = path.to_str().unwrap().to_string();
    Request::new([3, 2, 2], 3).with_path(Some(path)).with_val_split(Some(0.0)).with_model(None)
}

/// Makes the files and the list `name` with `text`; the folder, and what the list says.
fn read(
    files: &[&str],
    name: &str,
    text: &str,
    more: impl Fn(Request) -> Request,
) -> (tempfile::TempDir, striate::Result<(Splits, Diagnostics)>) {
    let folder = tempfile::tempdir().unwrap();
    tree(folder.path(), files);
    fs::write(folder.path().join(name), text).unwrap();
    let opened = open_with_diagnostics(&more(look(&folder.path().join(name))));
    (folder, opened)
}

/// Name and class of each sample.
fn samples(dataset: &Dataset) -> Vec<(String, String)> {
    let name =
        |sample: usize| dataset.file(sample).unwrap().file_name().unwrap().to_str().unwrap().to_string();
    let class = |sample: usize| dataset.class_names[classes(dataset)[sample] as usize].clone();
    (0..dataset.len()).map(|sample| (name(sample), class(sample))).collect()
}

#[track_caller]
pub fn right(files: &[&str], name: &str, text: &str, expected: &[(&str, &str)]) -> String {
    let (folder, opened) = read(files, name, text, |request| request);
    let (splits, notes) = opened.unwrap_or_else(|error| panic!("{text:?}: {error}"));
    let expected: Vec<_> =
        expected.iter().map(|(file, class)| (file.to_string(), class.to_string())).collect();
    assert_eq!(samples(&splits.train), expected, "{text:?}");
    let mut pixels = vec![0; splits.train.image_len()];
    for sample in 0..splits.train.len() {
        splits.train.read_pixels(sample, &mut pixels).unwrap();
    }
    notes.lines.join("\n").replace(folder.path().to_str().unwrap(), "ROOT")
}

#[track_caller]
pub fn refused(files: &[&str], name: &str, text: &str, parts: &[&str]) {
    refused_with(files, name, text, |request| request, parts);
}

#[track_caller]
fn refused_with(files: &[&str], name: &str, text: &str, more: impl Fn(Request) -> Request, parts: &[&str]) {
    let (folder, opened) = read(files, name, text, more);
    let error = opened.expect_err(text);
    assert_clear(&error, folder.path(), text);
    for part in parts {
        assert!(error.to_string().contains(part), "{text:?}: no {part:?} in: {error}");
    }
}

const THREE: [(&str, &str); 3] = [("b1.png", "cat"), ("a0.jpg", "dog"), ("c2.jpeg", "dog")];

#[test]
fn every_way_to_write_a_list_is_read_alike() {
    for (name, text) in [
        ("labels.csv", "id,breed\na0,dog\nc2,dog\nb1,cat\n"),
        ("labels.csv", "filename,label\na0.jpg,dog\nb1.png,cat\nc2.jpeg,dog\n"),
        (
            "labels.csv",
            "\u{feff}\"image\",\"label\"\r\n\"train/a0.jpg\",\"dog\"\r\n\r\ntrain/c2.jpeg, dog\r\ntrain/b1.png,cat",
        ),
        ("labels.csv", "label,path\ncat,train\\b1.png\ndog,./train/c2.jpeg\ndog,train/a0.jpg\n"),
        ("labels.csv", "a0.jpg,dog\nb1.png,cat\nc2.jpeg,dog\n"),
        ("labels.csv", "a0,dog\nb1,cat\nc2,dog\n"),
        ("labels.csv", "x;y\na0.jpg;dog\nb1.png;cat\nc2.jpeg;dog\n"),
        ("labels.csv", ",file,label\n0,a0.jpg,dog\n1,b1.png,cat\n2,c2.jpeg,dog\n"),
        ("labels.tsv", "file\tlabel\na0.jpg\tdog\nb1.png\tcat\nc2.jpeg\tdog\n"),
        ("train.txt", "train/a0.jpg dog\ntrain/c2.jpeg  dog\ntrain/b1.png\tcat\n"),
        ("train.txt", "# made by hand\na0.jpg dog\n\nb1.png cat\nc2.jpeg dog\n"),
        ("train.lst", "a0 dog\nb1 cat\nc2 dog\n"),
    ] {
        let notes = right(&FILES, name, text, &THREE);
        let warns = notes.contains("line 1 (\"x\", \"y\") is taken for the names of the columns");
        assert_eq!(
            (warns, notes.contains("warning")),
            (text.starts_with('x'), text.starts_with('x')),
            "{text:?}: {notes}"
        );
        assert!(
            text.contains("train/") || notes.contains("the image files are those in ROOT/train"),
            "{notes}"
        );
    }
    // A name may have blanks and commas in it; so may a class.
    let files = ["my cat.jpg", "a, b.png"];
    let expected = [("a, b.png", "golden retriever"), ("my cat.jpg", "tabby")];
    right(&files, "l.csv", "file,label\n\"a, b.png\",golden retriever\nmy cat.jpg,\"tabby\"\n", &expected);
    right(&files[..1], "l.txt", "my cat.jpg 1\n", &[("my cat.jpg", "1")]);
}

#[test]
fn numbers_are_classes_in_their_own_order() {
    let files: Vec<String> = (0..12).map(|n| format!("{n:02}.png")).collect();
    let names: Vec<&str> = files.iter().map(String::as_str).collect();
    let text: String = (0..12).rev().map(|n| format!("{n:02}.png,{n}\n")).collect();
    let (_folder, opened) = read(&names, "l.csv", &text, |request| request);
    let (splits, notes) = opened.unwrap();
    assert_eq!(splits.train.class_names, (0..12).map(|n| n.to_string()).collect::<Vec<_>>());
    assert_eq!(classes(&splits.train), (0..12).collect::<Vec<u32>>());
    assert!(notes.lines.is_empty(), "{notes:?}");
    // From 1, with one left out.
    let text = "file,label\n00.png,10\n01.png,2\n02.png,1\n";
    let notes = right(&names, "l.csv", text, &[("02.png", "1"), ("01.png", "2"), ("00.png", "10")]);
    assert!(notes.contains("the labels are 3 different numbers, 1 to 10"), "{notes}");
    // Numbered classes get the names of classes.txt.
    let folder = tempfile::tempdir().unwrap();
    tree(folder.path(), &names);
    fs::write(folder.path().join("l.csv"), "file,label\n00.png,1\n01.png,0\n").unwrap();
    fs::write(folder.path().join("classes.txt"), "frog\ntoad\n").unwrap();
    let (splits, _) = open_with_diagnostics(&look(folder.path())).unwrap();
    assert_eq!(splits.train.class_names, ["frog", "toad"]);
    refused(&names, "l.csv", "file,label\n00.png,1\n01.png,01\n", &["line 3", "found \"01\" and \"1\""]);
    refused(&names, "l.csv", "file,label\n00.png,1\n01.png,0.5\n", &["line 3", "whole number", "\"0.5\""]);
}

#[test]
fn a_column_says_which_part_a_row_belongs_to() {
    let text =
        "filename,label,split\na0.jpg,x,train\na1.jpg,y,train\nb0.png,y,valid\nb1.png,x,test\nb2.png,,test\n";
    let (_folder, opened) = read(&FILES, "l.csv", text, |request| request);
    let (splits, notes) = opened.unwrap();
    assert_eq!((splits.train.len(), samples(&splits.val)), (2, vec![("b0.png".into(), "y".into())]));
    assert!(notes.lines.iter().any(|line| line.contains("1 test samples are left alone")), "{notes:?}");
    // Without a header, and of a test part alone.
    let (_folder, opened) = read(&FILES, "l.csv", "a0.jpg,x,train\na1.jpg,y,train\nb0.png,y,test\n", |r| r);
    let (splits, _) = opened.unwrap();
    assert_eq!((splits.train.len(), splits.val.len()), (2, 1));
    refused(
        &FILES,
        "l.csv",
        "file,label,split\na0.jpg,x,train\na1.jpg,y,moon\n",
        &["line 3: column 3", "train, val or test", "moon"],
    );
    refused(
        &FILES,
        "l.csv",
        "file,label,split\na0.jpg,x,train\na1.jpg,y,val\n",
        &["line 3", "a class that the training samples have too, found \"y\""],
    );
    refused(
        &FILES,
        "l.csv",
        "file,label,split\na0.jpg,x,val\na1.jpg,y,val\n",
        &["rows of the training part, found none"],
    );
    // A column of that name that is none.
    let notes = right(
        &FILES,
        "l.csv",
        "file,label,set\na0.jpg,x,7\na1.jpg,y,8\n",
        &[("a0.jpg", "x"), ("a1.jpg", "y")],
    );
    assert!(notes.contains("\"set\" is left alone: it holds \"7\""), "{notes}");
}

#[test]
fn several_labels_are_refused_by_name() {
    let one_hot = "image_id,healthy,multiple_diseases,rust,scab\na0,1,0,0,0\na1,0,1,0,0\n";
    refused(
        &FILES,
        "l.csv",
        one_hot,
        &["line 1", "\"healthy\", \"multiple_diseases\", \"rust\", \"scab\"", "one-hot", "--label-column"],
    );
    refused(&FILES, "l.csv", "file,class,category\na0.jpg,1,2\na1.jpg,2,1\n", &["\"class\", \"category\""]);
    for label in ["Cardiomegaly|Emphysema", "a;b", "\"['a', 'b']\""] {
        let text = format!("file,label\na0.jpg,x\na1.jpg,{label}\n");
        refused(&FILES, "l.csv", &text, &["line 3: column 2", "expected one label, found several"]);
    }
    refused(
        &FILES,
        "l.csv",
        "file,label\na0.jpg,x\nb0.png,y\na0.jpg,y\n",
        &["line 4", "a0.jpg", "\"x\" in line 2"],
    );
    let notes = right(
        &FILES,
        "l.csv",
        "file,label\na0.jpg,rust\na1.jpg,scab\na2.jpg,rust scab\n",
        &[("a0.jpg", "rust"), ("a2.jpg", "rust scab"), ("a1.jpg", "scab")],
    );
    assert!(notes.contains("warning: the label \"rust scab\" is taken for one class"), "{notes}");
    let twice = [("a0.jpg", "x"), ("a0.jpg", "x"), ("b0.png", "y")];
    let notes = right(&FILES, "l.csv", "file,label\na0.jpg,x\nb0.png,y\na0.jpg,x\n", &twice);
    assert!(notes.contains("warning: l.csv: 1 rows name an image of an earlier row again"), "{notes}");
    // What numbers the images is no label.
    let many: String = (0..17).map(|n| format!("{n} a{n}.jpg\n")).collect();
    refused(&FILES, "images.txt", &many, &["found another for each of the 17 images", "--label-column"]);
    right(&FILES, "l.csv", "Image,Id\na0.jpg,w_1\na1.jpg,w_2\n", &[("a0.jpg", "w_1"), ("a1.jpg", "w_2")]);
    // Flags choose.
    let (_folder, opened) = read(&FILES, "l.csv", one_hot, |request| {
        request.with_label_column(Some("rust".into())).with_kind(Kind::List)
    });
    assert_eq!(opened.unwrap().0.train.class_names, ["0"]);
    let two = "image,mask,label\na0.jpg,b0.png,x\na1.jpg,b1.png,y\n";
    right(&FILES, "l.csv", two, &[("a0.jpg", "x"), ("a1.jpg", "y")]);
    let (_folder, opened) =
        read(&FILES, "l.csv", two, |request| request.with_image_column(Some("mask".into())));
    assert_eq!(samples(&opened.unwrap().0.train)[0].0, "b0.png");
    refused(
        &FILES,
        "l.csv",
        "a,b,label\na0.jpg,b0.png,x\na1.jpg,b1.png,y\n",
        &["\"a\", \"b\"", "--image-column"],
    );
    let chosen =
        |column: &'static str| move |request: Request| request.with_label_column(Some(column.into()));
    refused_with(&FILES, "l.csv", two, chosen("breed"), &["--label-column breed", "found none of that name"]);
    let same =
        |request: Request| request.with_image_column(Some("1".into())).with_label_column(Some("1".into()));
    refused_with(&FILES, "l.csv", two, same, &["--label-column 1", "another column"]);
    refused_with(&FILES, "l.csv", "a0.jpg,x\na1.jpg,y\n", chosen("5"), &["a number of 1 to 2"]);
}

#[test]
fn missing_files_are_samples_that_cannot_be_read() {
    let text = "file,label\na0.jpg,x\nnone.jpg,x\na1.jpg,y\n";
    let (folder, opened) = read(&FILES, "l.csv", text, |request| request);
    let (splits, notes) = opened.unwrap();
    assert_eq!(splits.train.len(), 3);
    let warning = "warning: l.csv: 1 of 3 image files are missing, the first ";
    assert!(
        notes
            .lines
            .iter()
            .any(|line| line.starts_with(warning) && line.ends_with("none.jpg (line 3 of l.csv)")),
        "{notes:?}"
    );
    let mut pixels = vec![0; splits.train.image_len()];
    let missing = (0..3).find(|&sample| splits.train.file(sample).unwrap().ends_with("none.jpg")).unwrap();
    let error = splits.train.read_pixels(missing, &mut pixels).unwrap_err();
    assert_clear(&error, folder.path(), "missing");
    assert!(error.to_string().ends_with("none.jpg: no such file (line 3 of l.csv)"), "{error}");
    // So is a file that is no image.
    fs::write(folder.path().join("train/a1.jpg"), "text").unwrap();
    let bad = (0..3).find(|&sample| splits.train.file(sample).unwrap().ends_with("a1.jpg")).unwrap();
    let error = splits.train.read_pixels(bad, &mut pixels).unwrap_err().to_string();
    assert!(error.ends_with("(line 4 of l.csv)"), "{error}");
    refused(
        &FILES,
        "l.csv",
        "file,label\nx.jpg,a\ny.jpg,b\n",
        &["found none of the 2", "x.jpg (line 2 of l.csv)", "--image-root"],
    );
}

#[test]
fn a_folder_with_a_list_is_read_by_it() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    tree(root, &["train/a*.jpg", "test/x*.jpg"]);
    let kind = || find(root.to_str(), Kind::Auto).map(|place| place.kind);
    fs::write(root.join("sample_submission.csv"), "id,affenpinscher,beagle\nx0,0.5,0.5\n").unwrap();
    fs::write(root.join("labels.csv"), "id,breed\na0,pug\na1,beagle\na2,pug\n").unwrap();
    assert_eq!(kind().unwrap(), Kind::List);
    let (splits, _) = open_with_diagnostics(&look(root)).unwrap();
    assert_eq!(splits.train.class_names, ["beagle", "pug"]);
    // A list of each part; the test list of competitions has no labels.
    fs::rename(root.join("labels.csv"), root.join("train.csv")).unwrap();
    fs::write(root.join("test.csv"), "id,breed\nx0,pug\n").unwrap();
    let (splits, notes) = open_with_diagnostics(&look(root)).unwrap();
    assert_eq!(
        (splits.train.len(), samples(&splits.val)),
        (3, vec![("x0.jpg".into(), "pug".into())]),
        "{notes:?}"
    );
    fs::write(root.join("test.csv"), "id,width\nx0,64\n").unwrap();
    let (splits, notes) = open_with_diagnostics(&look(root)).unwrap();
    assert_eq!(splits.train.len(), splits.val.len());
    assert!(
        notes.lines.iter().any(|line| line.contains("test.csv is left alone: it has no labels")),
        "{notes:?}"
    );
    fs::remove_file(root.join("test.csv")).unwrap();
    // Two without a part in their names.
    fs::rename(root.join("train.csv"), root.join("b.csv")).unwrap();
    fs::copy(root.join("b.csv"), root.join("c.csv")).unwrap();
    let error = open_with_diagnostics(&look(root)).unwrap_err();
    assert_clear(&error, root, "two lists");
    assert!(error.to_string().contains("found b.csv, c.csv; name one"), "{error}");
    // Folders of classes need none.
    tree(root, &["train/pug/*.jpg", "train/beagle/*.jpg"]);
    for n in 0..3 {
        fs::remove_file(root.join(format!("train/a{n}.jpg"))).unwrap();
    }
    assert_eq!(kind().unwrap(), Kind::ImageFolder);
    fs::write(root.join("train.csv"), "path,label\ntrain/pug/0.jpg,pug\n").unwrap();
    let error = kind().unwrap_err().to_string();
    assert!(error.contains("--dataset list or --dataset image-folder"), "{error}");
}

#[test]
fn damaged_lists_are_refused_with_their_line() {
    for (text, parts) in [
        ("file,label\na0.jpg\n", &["line 2: expected 2 columns, found 1"][..]),
        ("file,label\na0.jpg,x,y\n", &["line 2: expected 2 columns, found 3"]),
        ("file,label\n\na0.jpg,\n", &["line 3", "expected a label"]),
        ("file,label\na0.jpg,\"x\n", &["line 2: expected a closing quote"]),
        ("file,label\n\"a0.jpg\nb\",x\n", &["found none of the 1"]),
        ("file,label\n,x\n", &["line 2", "the name of an image file"]),
        ("file,label\n", &["found none"]),
        ("ImageId,PredictionString\na0,n01 1 2 3 4\n", &["boxes"]),
    ] {
        refused_with(&FILES, "l.csv", text, |request| request.with_kind(Kind::List), parts);
    }
    let utf16: Vec<u8> = "file,label\na0.jpg,x\n".encode_utf16().flat_map(u16::to_le_bytes).collect();
    for (bytes, part) in [
        (utf16, "UTF-16"),
        (b"file,label\na0.jpg,caf\xe9\n".to_vec(), "line 2: expected text in UTF-8"),
        (b"file,label\ra0.jpg,x\r".to_vec(), "carriage returns"),
        ([&b"file,label\n"[..], &[b'x'; 2 << 20]].concat(), "line 2: expected a row of at most"),
        // In time, too: each line of a long field is gone through once.
        ([&b"file,label\n\""[..], &b"x\n".repeat(1 << 20)].concat(), "a quote that is not closed"),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("l.csv");
        fs::write(&path, bytes).unwrap();
        let error = open_with_diagnostics(&look(&path).with_kind(Kind::List)).unwrap_err();
        assert_clear(&error, folder.path(), part);
        assert!(error.to_string().contains(part), "{part}: {error}");
    }
}
