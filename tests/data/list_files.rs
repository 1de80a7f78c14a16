//! Where the image files of a list are looked for.

use crate::assert_clear;
use crate::layouts::tree;
use crate::lists::{look, refused, right};
use std::fs;
use std::path::Path;
use striate::data::open_with_diagnostics;

#[test]
fn files_are_looked_for_where_they_can_be() {
    let files = ["train/1.png", "train/2.png", "test/1.png", "test/2.png", "more/x/1.png", "more/x/2.png"];
    // Of train and test, the list's own; else both are possible.
    right(&files[..4], "labels.csv", "id,label\n1,a\n2,b\n", &[("1.png", "a"), ("2.png", "b")]);
    let notes =
        right(&files[..4], "trainLabels.csv", "id,label\n1,a\n2,b\n", &[("1.png", "a"), ("2.png", "b")]);
    assert!(notes.contains("those in ROOT/train"), "{notes}");
    refused(
        &["p/1.png", "p/2.png", "q/1.png"],
        "l.csv",
        "id,label\n1,a\n2,b\n",
        &["line 2", "p/1.png", "q/1.png", "--image-root"],
    );
    refused(&["1.png", "1.jpg", "2.png"], "l.csv", "id,label\n1,a\n2,b\n", &["line 2", "1.jpg", "1.png"]);
    refused(&files, "l.csv", "id,label\n..,a\n2,b\n", &["line 2", "the name of an image file"]);
    // Parts of one set.
    let parts = ["HAM_part_1/a.jpg", "HAM_part_2/b.jpg"];
    right(&parts, "m.csv", "image_id,dx\nb,nv\na,mel\n", &[("a.jpg", "mel"), ("b.jpg", "nv")]);
    let folder = tempfile::tempdir().unwrap();
    tree(folder.path(), &files);
    fs::create_dir(folder.path().join("lists")).unwrap();
    fs::write(folder.path().join("lists/l.csv"), "id,label\nx/1,a\nx/2,b\n").unwrap();
    let root = |name: &str| Some(folder.path().join(name).to_str().unwrap().to_string());
    let list = look(&folder.path().join("lists/l.csv"));
    let (splits, _) = open_with_diagnostics(&list.clone().with_image_root(root("more"))).unwrap();
    assert!(splits.train.file(0).unwrap().ends_with("more/x/1.png"));
    let error = open_with_diagnostics(&list.with_image_root(root("nowhere"))).unwrap_err();
    assert!(error.to_string().contains("expected the folder of the image files"), "{error}");
}

#[cfg(unix)]
#[test]
fn names_lead_to_no_file_outside_the_folder() {
    let folder = tempfile::tempdir().unwrap();
    // As the system has it, so that names can be compared with it.
    let base = folder.path().canonicalize().unwrap();
    tree(&base, &["set/a.jpg", "set/b.jpg", "other/a.jpg", "other/b.jpg"]);
    let path = base.join("set/l.csv");
    let opened = |first: &str, second: &str, root: Option<&Path>| {
        fs::write(&path, format!("file,label\n{first},x\n{second},y\n")).unwrap();
        let root = root.map(|root| root.to_str().unwrap().to_string());
        open_with_diagnostics(&look(&path).with_image_root(root)).map(|(splits, _)| splits)
    };
    let absolute = |name: &str| base.join(name).to_str().unwrap().to_string();
    let leads = |first: &str, second: &str, root: Option<&Path>, to: &str| {
        let splits = opened(first, second, root).unwrap();
        assert_eq!(splits.train.file(0).unwrap().canonicalize().unwrap(), base.join(to), "{first}");
    };
    let other = absolute("other/b.jpg");
    for outside in ["../other/b.jpg", "x/../../other/b.jpg", "..\\other\\b.jpg", &other, "/nowhere/b.jpg"] {
        let error = opened("a.jpg", outside, None).unwrap_err();
        assert_clear(&error, &base, outside);
        let text = error.to_string();
        assert!(
            text.contains("line 3: ") && text.contains("/set, found \"") && text.contains("--image-root"),
            "{text}"
        );
    }
    leads("x/../a.jpg", "./b.jpg", None, "set/a.jpg");
    leads("../set/a.jpg", &absolute("set/b.jpg"), None, "set/a.jpg");
    // The folder that is named holds them, and nothing outside it.
    leads("a.jpg", "b.jpg", Some(&base.join("other")), "other/a.jpg");
    leads(&absolute("other/a.jpg"), "../other/b.jpg", Some(&base.join("other")), "other/a.jpg");
    leads("../other/a.jpg", &other, Some(&base), "other/a.jpg");
    let error = opened(&other, &absolute("set/b.jpg"), Some(&base.join("other"))).unwrap_err();
    assert!(
        error.to_string().contains("line 3: ") && error.to_string().contains("/other, found "),
        "{error}"
    );
    leads(&absolute("other/a.jpg"), &other, Some(Path::new("/")), "other/a.jpg");
}
