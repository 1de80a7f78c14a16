//! Tables whose label column is not named, and files that are no table of commas in UTF-8.

use crate::{assert_clear, classes, floats};
use std::fs;
use std::path::Path;
use striate::data::{Diagnostics, Request, Splits, open_with_diagnostics};

fn table(folder: &Path, text: &[u8], request: Request) -> striate::Result<(Splits, Diagnostics)> {
    let path = folder.join("table.csv");
    fs::write(&path, text).unwrap();
    open_with_diagnostics(&request.with_path(Some(path.to_str().unwrap().into())).with_val_split(Some(0.0)))
}

#[test]
fn the_outcome_of_a_well_known_table_is_its_label() {
    let folder = tempfile::tempdir().unwrap();
    for name in ["Survived", "outcome", "Diagnosis", "quality", "emotion", "result"] {
        let text = format!("{name},Pclass,Parch\n1,20,1\n0,30,0\n1,40,0\n");
        let (splits, notes) = table(folder.path(), text.as_bytes(), Request::new([2, 1, 1], 2)).unwrap();
        assert_eq!(classes(&splits.train), [1, 0, 1], "{name}");
        assert_eq!(floats(&splits.train), [20.0, 1.0, 30.0, 0.0, 40.0, 0.0], "{name}");
        assert!(notes.lines.is_empty(), "{notes:?}");
    }
    // Beside a label, they are features.
    let text = b"quality,a,class\n5,20,1\n6,30,0\n";
    let (splits, _) = table(folder.path(), text, Request::new([2, 1, 1], 2)).unwrap();
    assert_eq!(classes(&splits.train), [1, 0]);
    let text = b"quality,a,result\n1,20,1\n0,30,0\n";
    let error = table(folder.path(), text, Request::new([2, 1, 1], 2)).unwrap_err();
    assert!(error.to_string().contains("\"quality\" (column 1) and \"result\" (column 3)"), "{error}");
}

#[test]
fn a_label_that_no_name_says_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let text = b"Pclass,Age,Parch\n1,20,1\n0,30,0\n";
    let warning = "warning: label: column 3, \"Parch\" (the last); --label-column names another";
    for request in [Request::new([2, 1, 1], 2), Request::new([1; 3], 2).with_model(None)] {
        let (splits, notes) = table(folder.path(), text, request).unwrap();
        assert_eq!(classes(&splits.train), [1, 0]);
        assert_eq!(notes.lines, [warning]);
    }
    // A survey of a table always reports which column it is.
    let look = || Request::new([1; 3], 2).with_model(None);
    let (_, notes) = table(folder.path(), b"a,Species,b\n1,1,2\n2,0,3\n", look()).unwrap();
    assert_eq!(notes.lines, ["label: column 2, \"Species\""]);
    let chosen = look().with_label_column(Some("1".into()));
    let (_, notes) = table(folder.path(), b"Parch,b\n1,2\n0,3\n", chosen).unwrap();
    assert_eq!(notes.lines, ["label: column 1, \"Parch\""]);
}

#[test]
fn images_of_two_colours_without_a_header_need_their_label_named() {
    let folder = tempfile::tempdir().unwrap();
    let row = |label: usize| {
        let pixels: Vec<_> = (0..16).map(|n| (((n + 1) * (label + 3) / 5) % 2).to_string()).collect();
        format!("{label},{}\n", pixels.join(","))
    };
    for labels in [&[0, 1, 2, 3, 4][..], &[0, 7, 9], &[1, 2, 26]] {
        let text: String = labels.iter().map(|&label| row(label)).collect();
        for request in [Request::new([16, 1, 1], 10), Request::new([1; 3], 2).with_model(None)] {
            let error = table(folder.path(), text.as_bytes(), request).expect_err(&text);
            assert_clear(&error, folder.path(), &text);
            let part = format!(
                "first holds {} different whole numbers: say which with --label-column 1",
                labels.len()
            );
            assert!(error.to_string().contains(&part), "{error}");
        }
    }
    let text = [row(0), row(3), row(9)].concat();
    let chosen = Request::new([16, 1, 1], 10).with_label_column(Some("1".into()));
    let (splits, _) = table(folder.path(), text.as_bytes(), chosen.with_has_preprocess(false)).unwrap();
    assert_eq!(classes(&splits.train), [0, 3, 9]);
    // All of it 0 and 1: the last column, as documented.
    let (splits, _) =
        table(folder.path(), [row(0), row(1)].concat().as_bytes(), Request::new([16, 1, 1], 10)).unwrap();
    assert_eq!(splits.train.len(), 2);
}

#[test]
fn other_encodings_and_line_ends_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let text = "a,b,label\n1,2,0\n";
    let little: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
    let big: Vec<u8> = text.encode_utf16().flat_map(u16::to_be_bytes).collect();
    for (bytes, part) in [
        ([&b"\xff\xfe"[..], &little].concat(), "line 1: expected text in UTF-8, found UTF-16"),
        ([&b"\xfe\xff"[..], &big].concat(), "line 1: expected text in UTF-8, found UTF-16"),
        (little, "line 1: expected text in UTF-8, found UTF-16"),
        (big, "line 1: expected text in UTF-8, found UTF-16"),
        (
            text.replace('\n', "\r").into_bytes(),
            "line 1: expected lines that end with a line feed, found carriage returns",
        ),
        (b"1,2,0\r3,4,1\r".to_vec(), "found carriage returns (CR) alone"),
    ] {
        let error = table(folder.path(), &bytes, Request::new([2, 1, 1], 2)).expect_err(part);
        assert_clear(&error, folder.path(), part);
        assert!(error.to_string().contains(part), "{error}");
    }
    let (splits, _) =
        table(folder.path(), b"a,b,label\r\n1,2,0\r\n3,4,1\r\n", Request::new([2, 1, 1], 2)).unwrap();
    assert_eq!(floats(&splits.train), [1.0, 2.0, 3.0, 4.0]);
}
