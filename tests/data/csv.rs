//! Tables: columns, labels, header lines, and errors that point at the field.

use crate::{assert_clear, classes, floats, request};
use std::path::Path;
use striate::data::{Labels, Splits, open};

fn open_text(folder: &Path, text: &[u8], columns: usize, outputs: usize) -> striate::Result<Splits> {
    let path = folder.join("table.csv");
    std::fs::write(&path, text).unwrap();
    let mut request = request(&path, [columns, 1, 1], outputs);
    request.val_split = Some(0.0);
    open(&request)
}

#[test]
fn the_last_column_is_a_class_or_for_one_output_a_value() {
    let folder = tempfile::tempdir().unwrap();
    let text = b"\xef\xbb\xbf# a comment\nwidth, height, kind\n0.5,-1e2,1\r\n\n3 , \"4\",0";
    let splits = open_text(folder.path(), text, 2, 2).unwrap();
    assert_eq!(floats(&splits.train), [0.5, -100.0, 3.0, 4.0]);
    assert_eq!(classes(&splits.train), [1, 0]);
    assert_eq!((splits.train.name.as_str(), splits.train.classes), ("table", 2));

    let splits = open_text(folder.path(), b"1,2,0.25\n3,4,-7\n", 2, 1).unwrap();
    assert_eq!(splits.train.labels, Labels::Values { width: 1, values: vec![0.25, -7.0] });
    assert_eq!((splits.train.classes, splits.train.class_names.len()), (0, 0));
}

#[test]
fn without_a_model_labels_are_classes_if_all_can_be() {
    let folder = tempfile::tempdir().unwrap();
    let labels = |train: &str, val: &str| {
        std::fs::write(folder.path().join("train.csv"), train).unwrap();
        std::fs::write(folder.path().join("val.csv"), val).unwrap();
        let splits = open(&request(folder.path(), [1; 3], 1).with_model(None)).unwrap();
        (splits.train.labels.clone(), splits.val.labels.clone())
    };
    let values = |value: f32| Labels::Values { width: 1, values: vec![value] };
    assert_eq!(labels("5,2\n", "6,0\n"), (Labels::Classes(vec![2]), Labels::Classes(vec![0])));
    assert_eq!(labels("5,0.5\n", "6,1\n"), (values(0.5), values(1.0)));
    assert_eq!(labels("5,1\n", "6,-1\n"), (values(1.0), values(-1.0)));
    assert_eq!(labels("5,3e9\n", "6,1\n"), (values(3e9), values(1.0)));
}

#[test]
fn rows_fit_a_model_that_takes_pictures_of_as_many_numbers() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("train.csv"), "1,2,3,4,0\n5,6,7,8,1\n").unwrap();
    std::fs::write(folder.path().join("val.csv"), "9,9,9,9,1\n").unwrap();
    let splits = open(&request(folder.path(), [1, 2, 2], 2)).unwrap();
    assert_eq!((splits.train.shape, splits.train.len(), splits.val.len()), ([1, 2, 2], 2, 1));
    let error = open(&request(folder.path(), [1, 3, 2], 2)).unwrap_err();
    assert_clear(&error, folder.path(), "six numbers");
    assert!(
        error.to_string().contains("expected images of 1x3x2 as the model takes them, found 4x1x1"),
        "{error}"
    );
}

#[test]
fn errors_name_line_column_and_what_was_found() {
    let folder = tempfile::tempdir().unwrap();
    let long = format!("1,2,{}\n", "9".repeat(100_000));
    let cases: [(&[u8], &str); 16] = [
        (b"", "expected lines of numbers, found none"),
        (b"a,b,c\n", "expected lines of numbers, found none"),
        (b"1\n2\n", "line 1: expected at least 2 columns"),
        (b"a,b,c\n1,2,0\n1,2\n", "line 3: expected 3 columns, found 2"),
        (b"1,2,0\n1,2,0,0\n", "line 2: expected 3 columns, found 4"),
        (b"1,2,0\n\n\n1,x,0\n", "line 4, column 2: expected a finite number, found \"x\""),
        (b"1,x,0\n", "line 1, column 2: expected a finite number, found \"x\""),
        (b"1,nan,0\n", "line 1, column 2: expected a finite number, found \"nan\""),
        (b"1,1e999,0\n", "line 1, column 2: expected a finite number, found \"1e999\""),
        (b"1,,0\n", "line 1, column 2: expected a finite number, found \"\""),
        (b"1,2,0.5\n", "line 1, column 3: expected a class of the model (0 to 1), found \"0.5\""),
        (b"1,2,-1\n", "line 1, column 3: expected a class of the model (0 to 1), found \"-1\""),
        (b"1,2,2\n", "line 1, column 3: expected a class of the model (0 to 1), found \"2\""),
        (b"1,2,1e30\n", "line 1, column 3: expected a class of the model (0 to 1), found \"1e30\""),
        (b"1,\xff\xfe,0\n", "line 1, column 2: expected a finite number, found \"\u{fffd}\u{fffd}\""),
        (b"1,\"2\n3\",0\n", "line 1, column 2: expected a finite number, found \"\\\"2\""),
    ];
    for (text, expected) in cases {
        let case = String::from_utf8_lossy(text);
        let error = open_text(folder.path(), text, 2, 2).expect_err(&case);
        assert_clear(&error, folder.path(), &case);
        assert!(error.to_string().contains(expected), "{case:?}: {error}");
    }
    let error = open_text(folder.path(), long.as_bytes(), 2, 2).unwrap_err();
    assert!(error.to_string().len() < 300, "{error}");
    // Cut anywhere, a table is a shorter table or an error, never a panic.
    let whole = b"red,green,go\n0,0,0\n0.25,1,1\n1,0,0\n";
    for cut in 0..whole.len() {
        if let Err(error) = open_text(folder.path(), &whole[..cut], 2, 1) {
            assert_clear(&error, folder.path(), "cut");
        }
    }
}
