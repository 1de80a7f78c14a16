//! Which classes have samples: one alone is nothing to learn, and a class without any may be a mistake.

use super::dataset::{Dataset, Labels};
use super::diagnostics::{Diagnostics, some};
use super::raw::RawSplit;
use crate::error::{Error, Result, printable};
use std::collections::BTreeSet;
use std::path::Path;

/// An error if there is only one class to learn; diagnostics about classes without samples.
pub(super) fn check(
    train: &RawSplit,
    names: Option<&[String]>,
    for_training: bool,
    diagnostics: &mut Diagnostics,
) -> Result<()> {
    let Labels::Classes(labels) = &train.dataset.labels else { return Ok(()) };
    let found: BTreeSet<u32> = labels.iter().copied().collect();
    let name = |class: u32| match names.and_then(|names| names.get(class as usize)) {
        Some(name) => format!("{class} ({})", printable(name)),
        None => class.to_string(),
    };
    if let (1, Some(&class)) = (found.len(), found.first()) {
        let found = format!("{} of class {}", labels.len(), name(class));
        if for_training {
            // What was left out may be the other classes.
            let others = diagnostics.lines.iter().filter(|line| line.contains(" is left out: ")).take(3);
            let others: String =
                others.map(|line| format!("; {}", line.trim_start_matches("warning: "))).collect();
            let what =
                format!("expected samples of at least two classes to train on, found {found} only{others}");
            return Err(Error::data(&train.labels_path, what));
        }
        diagnostics.warn(format!("all training samples ({found}) are of one class"));
        return Ok(());
    }
    let (Some(&first), Some(&last)) = (found.first(), found.last()) else { return Ok(()) };
    match names {
        None if first > 0 => diagnostics.warn(format!(
            "classes are counted from 0, and there are no samples of {}: the labels are {first} to {last}",
            if first == 1 { "class 0".to_string() } else { format!("the classes below {first}") }
        )),
        None => {}
        Some(names) => {
            let empty = (0..names.len() as u32).filter(|class| !found.contains(class)).map(name);
            let empty: Vec<String> = empty.take(1000).collect();
            if !empty.is_empty() {
                diagnostics.warn(format!("there are no training samples of class {}", some(&empty)));
            }
        }
    }
    Ok(())
}

/// An error if the division of data of `had` classes leaves samples of a single one to train on.
pub(super) fn check_left(train: &Dataset, had: usize, path: &Path) -> Result<()> {
    let Labels::Classes(labels) = &train.labels else { return Ok(()) };
    let Some(&first) = labels.first().filter(|first| had > 1 && labels.iter().all(|label| label == *first))
    else {
        return Ok(());
    };
    let name = train.class_names.get(first as usize).map_or_else(|| first.to_string(), String::clone);
    let found = format!("{} of class {} only", labels.len(), printable(&name));
    let what = "expected training samples of at least two classes once some are held out";
    Err(Error::data(path, format!("{what}, found {found}; --val-split or --split divides them otherwise")))
}
