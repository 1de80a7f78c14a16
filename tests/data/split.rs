//! Which samples are held back, and limits.

use crate::{assert_clear, floats, request};
use std::path::Path;
use striate::data::{Request, Splits, open};

/// A table of `rows` rows whose only feature is the row's number.
fn table(folder: &Path, rows: usize) -> Request {
    let path = folder.join("rows.csv");
    std::fs::write(&path, (0..rows).map(|row| format!("{row},{}\n", row % 2)).collect::<String>()).unwrap();
    request(&path, [1, 1, 1], 2)
}

fn rows(splits: &Splits) -> (Vec<f32>, Vec<f32>) {
    (floats(&splits.train).to_vec(), floats(&splits.val).to_vec())
}

#[test]
fn a_tenth_is_held_back_by_the_seed() {
    let folder = tempfile::tempdir().unwrap();
    let request = table(folder.path(), 200);
    let (train, val) = rows(&open(&request).unwrap());
    assert_eq!((train.len(), val.len()), (180, 20));
    assert!(train.is_sorted() && val.is_sorted());
    let mut all = [train.clone(), val.clone()].concat();
    all.sort_by(f32::total_cmp);
    assert!(all.iter().enumerate().all(|(row, &value)| row as f32 == value), "every row once");
    assert_ne!(val, (0..20).map(|row| row as f32).collect::<Vec<_>>(), "drawn, not the first");
    assert_eq!(rows(&open(&request).unwrap()), (train, val.clone()));
    let (_, other) = rows(&open(&Request { seed: 1, ..request }).unwrap());
    assert_ne!(other, val);
}

#[test]
fn the_part_can_be_chosen() {
    let folder = tempfile::tempdir().unwrap();
    let request = table(folder.path(), 10);
    for (part, held) in [(0.5, 5), (0.01, 1), (0.999, 9)] {
        let (train, val) = rows(&open(&Request { val_split: Some(part), ..request.clone() }).unwrap());
        assert_eq!((train.len(), val.len()), (10 - held, held), "{part}");
    }
    let (train, val) = rows(&open(&Request { val_split: Some(0.0), ..request.clone() }).unwrap());
    assert!(train.len() == 10 && train == val, "nothing held back");
    for part in [1.0, -0.1, f32::NAN] {
        let error = open(&Request { val_split: Some(part), ..request.clone() }).unwrap_err();
        assert_eq!(error.exit_code(), 2, "{error}");
    }
    let error = open(&table(folder.path(), 1)).unwrap_err();
    assert_clear(&error, folder.path(), "one row");
}

#[test]
fn limits_take_the_first_samples() {
    let folder = tempfile::tempdir().unwrap();
    let request = table(folder.path(), 200);
    let (train, val) = rows(&open(&request).unwrap());
    let limited = Request { limit_train: Some(7), limit_val: Some(3), ..request.clone() };
    assert_eq!(rows(&open(&limited).unwrap()), (train[..7].to_vec(), val[..3].to_vec()));
    let generous = Request { limit_train: Some(usize::MAX), limit_val: Some(usize::MAX), ..request.clone() };
    assert_eq!(rows(&open(&generous).unwrap()), (train, val));
    let same = Request { limit_val: Some(2), val_split: Some(0.0), ..request.clone() };
    let (train, val) = rows(&open(&same).unwrap());
    assert_eq!((train.len(), val.as_slice()), (200, &[0.0, 1.0][..]));
    assert_eq!(open(&Request { limit_train: Some(0), ..request }).unwrap_err().exit_code(), 2);
}
