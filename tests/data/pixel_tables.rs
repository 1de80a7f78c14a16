//! Tables of pixels as Kaggle has them: columns called pixel0, pixel1, ... and FER2013's images in one column.

use crate::{assert_clear, bytes, classes, request};
use std::fs;
use std::path::Path;
use striate::data::{Images, InputRange, Kind, Request, Splits, open_with_diagnostics};

fn look(path: &Path) -> Request {
    request(path, [1, 2, 2], 3).with_model(None).with_val_split(Some(0.0))
}

#[test]
fn columns_of_pixels_are_an_image_without_a_model_too() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("train.csv");
    for header in
        ["label,pixel0,pixel1,pixel2,pixel3", "label,1x1,1x2,2x1,2x2", "pixel1,pixel2,pixel3,pixel4,label"]
    {
        let last = header.ends_with("label");
        let row = |label: u8, pixels: &str| match last {
            true => format!("{pixels},{label}\n"),
            false => format!("{label},{pixels}\n"),
        };
        fs::write(&path, format!("{header}\n{}{}", row(2, "0,9,255,7"), row(0, "1,2,3,4"))).unwrap();
        for place in [&path, folder.path()] {
            let (splits, _) = open_with_diagnostics(&look(place)).unwrap();
            assert_eq!((splits.train.shape, classes(&splits.train)), ([1, 2, 2], &[2, 0][..]), "{header}");
            assert_eq!(bytes(&splits.train), [0, 9, 255, 7, 1, 2, 3, 4]);
        }
        let (splits, _) =
            open_with_diagnostics(&request(&path, [1, 2, 2], 3).with_val_split(Some(0.0))).unwrap();
        assert_eq!(bytes(&splits.train), [0, 9, 255, 7, 1, 2, 3, 4], "{header}");
    }
    // Other numbers stay numbers, and so do other columns.
    for text in [
        "label,pixel0,pixel1,pixel2,pixel3\n1,0.5,1,2,3\n0,1,2,3,4\n",
        "label,a,b,c,d\n1,9,1,2,3\n0,1,2,3,4\n",
    ] {
        fs::write(&path, text).unwrap();
        let (splits, _) = open_with_diagnostics(&look(&path)).unwrap();
        assert!(matches!(splits.train.images, Images::F32(_)) && splits.train.shape == [4, 1, 1], "{text}");
    }
}

const FACES: &str = "emotion,pixels,Usage\n0,1 2 3 4,Training\n2,5 6 7 8,Training\n1,9 9 9 9,PublicTest\n1,0 0 0 0,PrivateTest\n";

fn faces(text: &str, more: impl Fn(Request) -> Request) -> (tempfile::TempDir, striate::Result<Splits>) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("fer2013.csv");
    fs::write(&path, text).unwrap();
    let opened = open_with_diagnostics(&more(look(&path)));
    (folder, opened.map(|(splits, _)| splits))
}

#[test]
fn images_in_one_column_are_read_with_their_parts() {
    let swapped = "\u{feff}emotion, Usage, pixels\r\n0,Training,1 2 3 4\r\n2,Training,5 6 7 8\r\n1,PublicTest,\"9 9 9 9\"\r\n";
    for text in [FACES, swapped] {
        let splits = faces(text, |request| request).1.unwrap();
        assert_eq!((splits.train.shape, bytes(&splits.train)), ([1, 2, 2], &[1, 2, 3, 4, 5, 6, 7, 8][..]));
        assert_eq!((classes(&splits.train), classes(&splits.val)), (&[0, 2][..], &[1][..]));
        assert_eq!(bytes(&splits.val), [9, 9, 9, 9]);
    }
    let (_folder, opened) = faces(FACES, |request| {
        request.with_model(Request::new([1, 2, 2], 3).model).with_label_column(Some("emotion".into()))
    });
    assert_eq!(opened.unwrap().train.classes, 3);
    // As a folder: train.csv, and test.csv without labels.
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("train.csv"), "emotion,pixels\n0,1 2 3 4\n1,5 6 7 8\n").unwrap();
    fs::write(folder.path().join("test.csv"), "pixels\n1 2 3 4\n").unwrap();
    let (splits, notes) = open_with_diagnostics(&look(folder.path())).unwrap();
    assert_eq!((splits.train.len(), splits.val.len()), (2, 2));
    assert!(
        notes.lines.iter().any(|line| line.contains("test.csv is left alone: it has no labels")),
        "{notes:?}"
    );
    // A second file that says parts itself, and one beside parts of the first.
    let says = |notes: &striate::data::Diagnostics, text: &str| {
        assert!(notes.lines.iter().any(|line| line.contains(text)), "{text}: {notes:?}");
    };
    let parts = "emotion,pixels,Usage\n1,0 0 0 0,PrivateTest\n0,9 9 9 9,Training\n1,7 7 7 7,Validation\n";
    fs::write(folder.path().join("val.csv"), parts).unwrap();
    let (splits, notes) = open_with_diagnostics(&look(folder.path())).unwrap();
    assert_eq!((splits.train.len(), bytes(&splits.val)), (2, &[7, 7, 7, 7][..]));
    says(&notes, "1 samples of usage PrivateTest are left alone");
    says(&notes, "1 samples of usage Training are left alone");
    says(&notes, "test.csv is left alone");
    fs::write(folder.path().join("val.csv"), parts.replace("Validation", "Moon")).unwrap();
    let error = open_with_diagnostics(&look(folder.path())).unwrap_err();
    assert_clear(&error, folder.path(), "Moon");
    assert!(error.to_string().contains("val.csv") && error.to_string().contains("Moon"), "{error}");
    fs::write(folder.path().join("train.csv"), FACES).unwrap();
    let (splits, notes) = open_with_diagnostics(&look(folder.path())).unwrap();
    assert_eq!(bytes(&splits.val), [9, 9, 9, 9]);
    says(&notes, "val.csv is left alone: the validation samples are those of usage PublicTest in train.csv");
    says(&notes, "test.csv is left alone");
    for (from, to, part) in [
        ("5 6 7 8", "5 6 7", "line 3: column 2: expected 4 pixels, found 3"),
        ("1 2 3 4", "1 2 3 4 5", "line 2: column 2: expected a square of pixels, found 5"),
        ("5 6 7 8", "5 6 7 256", "line 3: column 2: expected a whole number 0 to 255, found \"256\""),
        ("5 6 7 8", "5 6 7 -1", "found \"-1\""),
        ("2,5", "x,5", "line 3: column 1: expected a class"),
        ("2,5", "5", "line 3: expected 3 columns, found 2"),
        ("8,Training", "8,Moon", "found \"Moon\""),
        ("emotion,", "emotion,pixels,", "expected one column of pixels, found 2"),
    ] {
        assert_eq!(FACES.matches(from).count(), 1, "{from}");
        let (folder, opened) = faces(&FACES.replace(from, to), |request| request.with_kind(Kind::Csv));
        let error = opened.expect_err(from);
        assert_clear(&error, folder.path(), from);
        assert!(error.to_string().contains(part), "{from}: {error}");
    }
    let ready = faces(FACES, |request| request.with_input_range(Some(InputRange::Ready))).1.unwrap_err();
    assert!(ready.to_string().contains("found bytes, which are pixels"), "{ready}");
}
