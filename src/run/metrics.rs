//! `metrics.csv`: one line for each epoch.

use crate::train::{Epoch, json_number, json_rate};
use std::fs::File;
use std::io::Read;
use std::path::Path;

/// The names of the columns. The last ones, `val_part` and `rmse`, are missing in files of earlier versions, which are continued
/// without them.
pub(super) const COLUMNS: &str = "epoch,train_loss,train_acc1,val_loss,acc1,acc5,train_samples,val_samples,lr,seconds,images_per_second,weights_sha256,val_part,rmse";
/// How many of them the first version had.
const FIRST: usize = 12;

/// How many columns a new file has.
pub(super) fn all() -> usize {
    COLUMNS.split(',').count()
}

/// How many of the columns the file at `path` has, by its first line.
pub(super) fn columns_of(path: &Path) -> usize {
    let mut start = Vec::new();
    let read = File::open(path).and_then(|file| file.take(COLUMNS.len() as u64 + 1).read_to_end(&mut start));
    let head = start.split(|byte| *byte == b'\n').next().unwrap_or_default();
    let names: Vec<_> = COLUMNS.split(',').map(str::as_bytes).collect();
    let found: Vec<_> = head.split(|byte| *byte == b',').collect();
    if read.is_ok() && names.starts_with(&found) { found.len().max(FIRST) } else { FIRST }
}

/// The first `columns` fields of a line; a number that is not finite (no validation set) leaves its field empty.
pub(super) fn row(e: &Epoch, columns: usize) -> String {
    let number = |value: f64| if value.is_finite() { json_number(value) } else { String::new() };
    [
        // From 0, as in the log and in JSON.
        e.epoch.to_string(),
        number(e.train_loss),
        number(e.train_acc1),
        number(e.val_loss),
        number(e.acc1),
        number(e.acc5),
        e.train_samples.to_string(),
        e.val_samples.to_string(),
        json_rate(e.lr),
        number(e.seconds),
        number(e.images_per_second),
        e.weights_sha256.clone(),
        e.val_part.name().to_string(),
        number(e.rmse),
    ]
    .into_iter()
    .take(columns)
    .collect::<Vec<_>>()
    .join(",")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_of_earlier_versions_keep_their_columns() {
        let folder = tempfile::tempdir().unwrap();
        let columns = |text: &str| {
            let path = folder.path().join("metrics.csv");
            std::fs::write(&path, text).unwrap();
            columns_of(&path)
        };
        let (first, second) =
            (COLUMNS.strip_suffix(",val_part,rmse").unwrap(), COLUMNS.strip_suffix(",rmse").unwrap());
        assert_eq!(columns(&format!("{COLUMNS}\n0,1\n")), all());
        assert_eq!(columns(&format!("{second}\n0,1\n")), FIRST + 1);
        assert_eq!(columns(&format!("{first}\n0,1\n")), FIRST);
        assert_eq!((columns("what,ever\n"), columns("")), (FIRST, FIRST));
        assert_eq!(columns_of(&folder.path().join("none")), FIRST);
    }
}
