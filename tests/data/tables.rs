//! What the columns of tables are: the label, numbers of rows, features; by their header or without one.

use crate::{assert_clear, classes, floats, request};
use std::fs;
use std::path::Path;
use striate::data::{Diagnostics, Kind, Labels, Request, Splits, open_with_diagnostics};

fn table(folder: &Path, text: &str, request: Request) -> striate::Result<(Splits, Diagnostics)> {
    let path = folder.join("table.csv");
    fs::write(&path, text).unwrap();
    open_with_diagnostics(&request.with_path(Some(path.to_str().unwrap().into())).with_val_split(Some(0.0)))
}

/// A model of `features` inputs and `outputs` outputs that takes numbers as they are.
fn model(features: usize, outputs: usize) -> Request {
    Request::new([features, 1, 1], outputs)
}

#[track_caller]
fn refused(text: &str, request: Request, parts: &[&str]) {
    let folder = tempfile::tempdir().unwrap();
    let error = table(folder.path(), text, request).expect_err(text);
    assert_clear(&error, folder.path(), text);
    for part in parts {
        assert!(error.to_string().contains(part), "{text:?}: no {part:?} in: {error}");
    }
}

#[test]
fn the_header_says_which_column_is_the_label() {
    let folder = tempfile::tempdir().unwrap();
    for header in [
        "label,a,b",
        "\u{feff}\"Label\",a,b",
        "CLASS,a,b",
        " target ,a,b",
        "y,a,b",
        "Class Label,pixel0,pixel1",
    ] {
        let (splits, _) =
            table(folder.path(), &format!("{header}\n1,20,30\n0,40,50\n"), model(2, 2)).unwrap();
        assert_eq!(floats(&splits.train), [20.0, 30.0, 40.0, 50.0], "{header}");
        assert_eq!(classes(&splits.train), [1, 0], "{header}");
    }
    let (splits, _) = table(folder.path(), "a,species,b\n20,1,30\n40,0,50\n", model(2, 2)).unwrap();
    assert_eq!((floats(&splits.train), classes(&splits.train)), (&[20.0, 30.0, 40.0, 50.0][..], &[1, 0][..]));
    // Beside an x, a y is a coordinate.
    let (splits, _) = table(folder.path(), "x,y,class\n2,3,1\n4,5,0\n", model(2, 2)).unwrap();
    assert_eq!(classes(&splits.train), [1, 0]);
    // No name says anything: the last column, as in data/traffic-light.
    let (splits, _) = table(folder.path(), "red,green,go\n0,1,1\n1,1,0\n", model(2, 2)).unwrap();
    assert_eq!(classes(&splits.train), [1, 0]);
    let (splits, _) = table(folder.path(), "label,a\n0.5,2\n0.25,3\n", model(1, 1)).unwrap();
    assert_eq!(splits.train.labels, Labels::Values { width: 1, values: vec![0.5, 0.25] });
}

#[test]
fn two_labels_and_none_are_refused() {
    refused(
        "label,a,target\n1,2,0\n",
        model(2, 2),
        &["\"label\" (column 1) and \"target\" (column 3)", "--label-column"],
    );
    refused("x,y,go\n1,2,0\n", model(2, 2), &["\"y\" (column 2) and \"go\" (column 3)", "--label-column"]);
    // A table of test samples.
    for header in ["pixel0,pixel1,pixel2,pixel3", "id,pixel0,pixel1,pixel2", "27x26,27x27,27x28"] {
        let row = vec!["0"; header.split(',').count()].join(",");
        refused(
            &format!("{header}\n{row}\n"),
            model(1, 2).with_model(None),
            &["numbered ones up to", "--label-column"],
        );
    }
    refused(
        "0,1,2,3,4\n5,6,7,8,1\n",
        model(4, 2),
        &["line 1", "found the numbers of the columns (0, 1, ...)"],
    );
    refused("1,2,3,4,5\n5,6,7,8,1\n", model(4, 2), &["found the numbers of the columns"]);
}

#[test]
fn the_label_can_be_named_or_numbered() {
    let folder = tempfile::tempdir().unwrap();
    let text = "label,a,target\n1,20,0\n0,30,1\n";
    let labels = |column: &str| {
        let request = model(2, 2).with_label_column(Some(column.into()));
        table(folder.path(), text, request).map(|(splits, _)| classes(&splits.train).to_vec())
    };
    assert_eq!(labels("label").unwrap(), [1, 0]);
    assert_eq!(labels("TARGET").unwrap(), [0, 1]);
    assert_eq!(labels("3").unwrap(), [0, 1]);
    for wrong in ["kind", "0", "4", "-1"] {
        let error = labels(wrong).unwrap_err();
        assert_clear(&error, folder.path(), wrong);
        assert!(error.to_string().contains("expected one of the 3 columns label, a, target"), "{error}");
    }
    let numbered = |column: &str| model(2, 2).with_label_column(Some(column.into()));
    let (splits, _) = table(folder.path(), "1,20,30\n0,40,50\n", numbered("1")).unwrap();
    assert_eq!((floats(&splits.train), classes(&splits.train)), (&[20.0, 30.0, 40.0, 50.0][..], &[1, 0][..]));
    refused("1,20,30\n", numbered("label"), &["expected a number of 1 to 3, as the table has no header"]);
    refused("2,1,a\n0,1,0\n", model(2, 2).with_label_column(Some("1".into())), &["line 1"]);
    // Of other formats it says nothing.
    let request = Request::new([1, 2, 2], 2).with_kind(Kind::Synthetic).with_label_column(Some("1".into()));
    assert_eq!(open_with_diagnostics(&request).unwrap_err().exit_code(), 2);
}

#[test]
fn a_first_column_that_looks_like_the_label_is_not_passed_over() {
    let folder = tempfile::tempdir().unwrap();
    // As the 785 columns of MNIST without a header: the digit first, then pixels, of which the last is always 0.
    let row = |label: usize, last: usize| {
        let pixels: Vec<String> = (0..15).map(|n| (n * 17 % 256 + label).to_string()).collect();
        format!("{label},{},{last}\n", pixels.join(","))
    };
    let digits: String = (0..10).map(|n| row(n, 0)).collect();
    refused(
        &digits,
        model(16, 10),
        &["last column, which holds 0 alone", "first holds 10 different", "--label-column 1"],
    );
    let pixels: String = (0..10).map(|n| row(n, 10 * n)).collect();
    refused(
        &pixels,
        model(16, 10),
        &["line 2, column 17: expected a class of the model (0 to 9), found \"10\"", "--label-column 1"],
    );
    let both: String = (0..10).map(|n| row(n, 9 - n)).collect();
    refused(&both, model(16, 10), &["--label-column 1 or --label-column 17"]);
    let chosen = |column: &str| model(16, 10).with_label_column(Some(column.into()));
    let (splits, _) = table(folder.path(), &both, chosen("1")).unwrap();
    assert_eq!(classes(&splits.train), [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
    let (splits, _) = table(folder.path(), &both, chosen("17")).unwrap();
    assert_eq!(classes(&splits.train), [9, 8, 7, 6, 5, 4, 3, 2, 1, 0]);
    // Few columns are no image: the last one it is, as documented.
    let (splits, _) = table(folder.path(), "0,1,1\n1,1,0\n0,0,0\n", model(2, 2)).unwrap();
    assert_eq!(classes(&splits.train), [1, 0, 0]);
}

#[test]
fn columns_that_number_the_rows_are_left_out_and_named() {
    let folder = tempfile::tempdir().unwrap();
    for id in ["id", "Image_ID", "", "Unnamed: 0", "index"] {
        let text = format!("{id},label,a\nrow-7,1,20\n8,0,30\n");
        let (splits, notes) = table(folder.path(), &text, model(1, 2)).unwrap();
        assert_eq!((floats(&splits.train), classes(&splits.train)), (&[20.0, 30.0][..], &[1, 0][..]), "{id}");
        assert!(
            notes.lines[0].contains("table.csv: column 1, ") && notes.lines[0].contains("left out"),
            "{notes:?}"
        );
    }
    refused(
        "id,label\n1,0\n",
        model(1, 2).with_kind(Kind::Csv),
        &["expected a column besides the label, found none"],
    );
}

#[test]
fn a_list_of_image_files_that_is_read_as_a_table_is_told_its_format() {
    let table = || model(1, 2).with_kind(Kind::Csv);
    let hint = "a list of image files is read with --dataset list";
    let text = "image,label\n0001.JPG,cat\n";
    refused(text, table(), &["line 2, column 1", hint, "found \"0001.JPG\""]);
    refused("emotion,image\n0,\"a/1.png\"\n", table(), &["line 2, column 2", hint]);
    refused("a,image\n0,1.png\n", table(), &["line 2, column 2", hint]);
    refused("id,label\n1.png,cat\n", table(), &[hint]);
}

#[test]
fn other_separators_are_named() {
    for (text, name) in [
        ("a;b;label\n1;2;0\n", "semicolons"),
        ("1;2;0\n", "semicolons"),
        ("0,5;1,5;0\n", "semicolons"),
        ("a\tb\tlabel\n1\t2\t0\n", "tabs"),
        ("0,5\t1,5\t0\n", "tabs"),
        ("a|b|label\n1|2|0\n", "pipes"),
        ("0,5|1,5|0\n", "pipes"),
        ("a b label\n1 2 0\n", "spaces"),
        ("1  2 0\n", "spaces"),
        ("0,5 1,5 0\n", "spaces"),
    ] {
        refused(text, model(2, 2), &["line 1: expected columns separated by commas", name]);
    }
    refused("a,b,label\n\"0,5\",\"1,5\",0\n", model(2, 2), &["line 2: expected 3 columns, found 5"]);
    let folder = tempfile::tempdir().unwrap();
    let (splits, _) = table(folder.path(), "1,\t2,\t0\n\t3, 4 ,1\n", model(2, 2)).unwrap();
    assert_eq!(floats(&splits.train), [1.0, 2.0, 3.0, 4.0]);
    // Names may have blanks and pipes in them.
    let (splits, _) = table(folder.path(), "sepal length,a|b,class\n1,2,0\n3,4,1\n", model(2, 2)).unwrap();
    assert_eq!(floats(&splits.train), [1.0, 2.0, 3.0, 4.0]);
    let (splits, _) = table(folder.path(), "1,2,New York\n3,4,Rome|Paris\n", model(2, 2)).unwrap();
    assert_eq!(splits.train.class_names, ["New York", "Rome|Paris"]);
}

#[test]
fn names_as_labels_are_classes_in_the_order_of_their_bytes() {
    let folder = tempfile::tempdir().unwrap();
    let iris = "sepal,petal,species\n5.1,1.4,setosa\n7,4.7,versicolor\n6,5,Virginica\n5,1.5,setosa\n";
    let (splits, _) = table(folder.path(), iris, model(2, 3)).unwrap();
    assert_eq!(splits.train.class_names, ["Virginica", "setosa", "versicolor"]);
    assert_eq!(classes(&splits.train), [1, 2, 0, 1]);
    let (splits, _) = table(folder.path(), "5,1,\"b\"\n6,2,a\n", model(2, 2)).unwrap();
    assert_eq!((splits.train.class_names.join(" "), classes(&splits.train)), ("a b".into(), &[1, 0][..]));
    refused(
        "5,1,b\n6,2,0\n",
        model(2, 2),
        &["line 2, column 3: expected a name as in the lines before, found \"0\""],
    );
    refused(
        "5,1,0\n6,2,a\n",
        model(2, 2),
        &["line 2, column 3: expected a finite number as a label, found \"a\""],
    );
    for missing in ["", "nan", "NA", "?"] {
        refused(&format!("5,1,b\n6,2,{missing}\n"), model(2, 2), &["line 2, column 3: expected a label"]);
    }
    refused(iris, model(2, 2), &["expected at most 2 classes (the model's outputs), found 3"]);
    refused(iris, model(2, 1), &["line 2, column 3: expected a finite number as a label, found \"setosa\""]);
}

#[test]
fn a_validation_table_is_read_by_the_names_of_its_columns() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| fs::write(folder.path().join(name), text).unwrap();
    let read = || open_with_diagnostics(&request(folder.path(), [2, 1, 1], 2));
    write("train.csv", "label,a,b\n1,20,30\n0,40,50\n");
    for name in ["test.csv", "validation.csv", "valid.csv", "val.csv"] {
        write(name, "B,id,Label,a\n31,x,0,21\n");
        let (splits, _) = read().unwrap();
        assert_eq!((floats(&splits.val), classes(&splits.val)), (&[21.0, 31.0][..], &[0][..]), "{name}");
        if name != "val.csv" {
            fs::remove_file(folder.path().join(name)).unwrap();
        }
    }
    write("test.csv", "label,a,b\n1,20,30\n");
    let (splits, notes) = read().unwrap();
    assert_eq!(floats(&splits.val), [21.0, 31.0]);
    assert!(
        notes.lines[0].contains("test.csv is left alone: the validation samples are those of val.csv"),
        "{notes:?}"
    );
    for (text, part) in [
        ("a,b\n1,2\n", "expected column \"label\" as in train.csv, found none"),
        ("label,a,c\n1,2,3\n", "line 1: expected the columns of train.csv, found no column \"b\""),
        ("label,b,a,c\n1,2,3,4\n", "found one more, \"c\""),
        ("1,2,3\n", "line 1: expected the header of train.csv, found numbers"),
    ] {
        write("val.csv", text);
        let error = read().unwrap_err();
        assert_clear(&error, &folder.path().join("val.csv"), text);
        assert!(error.to_string().contains(part), "{text:?}: {error}");
    }
    fs::remove_file(folder.path().join("val.csv")).unwrap();
    // As competitions have it: test samples whose labels are not published.
    write("test.csv", "id,a,b\n1,2,3\n");
    let (splits, notes) = read().unwrap();
    assert_eq!(splits.train.len() + splits.val.len(), 2, "a share of train.csv is held out");
    assert!(
        notes.lines[0].starts_with("warning: test.csv is left alone: it has no column \"label\""),
        "{notes:?}"
    );
    write("train.csv", "1,2,0\n3,4,1\n");
    write("test.csv", "1,2\n");
    let (splits, _) = read().unwrap();
    assert_eq!(splits.train.len() + splits.val.len(), 2);
    write("test.csv", "a,b,label\n1,2,0\n");
    assert!(read().unwrap_err().to_string().contains("expected numbers, as train.csv has no header"));
}

#[test]
fn labels_that_begin_with_1_are_noticed() {
    let folder = tempfile::tempdir().unwrap();
    let (_, notes) = table(folder.path(), "5,1\n6,2\n7,3\n", model(1, 4)).unwrap();
    let note =
        "warning: classes are counted from 0, and there are no samples of class 0: the labels are 1 to 3";
    assert_eq!(notes.lines, [note]);
    let (_, notes) = table(folder.path(), "5,0\n6,2\n7,1\n", model(1, 4)).unwrap();
    assert!(notes.lines.is_empty(), "{notes:?}");
}
