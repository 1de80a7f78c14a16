//! The classes of a list: its labels in the order of their names' bytes, as folders of classes are; of their values, if all are
//! whole numbers.

use super::super::columns::short;
use super::super::delimited::wrong;
use super::labelled::Labelled;
use crate::error::Result;
use std::collections::HashMap;
use std::path::Path;

/// The largest whole number below which every whole number is an `f64`.
const EXACT: f64 = 9_007_199_254_740_992.0;

/// The names of classes, in their order.
#[derive(Debug)]
pub(super) struct Classes {
    pub names: Vec<String>,
    /// Whether the names are numbers.
    pub are_numbers: bool,
}

/// The whole number that `text` spells.
fn whole(text: &str) -> Option<f64> {
    text.parse::<f64>().ok().filter(|value| value.fract() == 0.0 && value.abs() < EXACT)
}

impl Classes {
    /// The classes of the labels of `list` that the entries `used` have.
    ///
    /// Errors, with the line: numbers that are no classes, one number that is written in two ways.
    pub fn of(path: &Path, list: &Labelled, is_used: &[bool]) -> Result<Classes> {
        let mut names: Vec<String> = list
            .labels
            .iter()
            .zip(is_used)
            .filter(|(_, used)| **used)
            .map(|(name, _)| name.clone())
            .collect();
        let at = |name: &str| {
            let label = list.labels.iter().position(|label| label == name);
            let entry = list.entries.iter().find(|entry| Some(entry.label as usize) == label);
            entry.map_or(0, |entry| entry.line.into())
        };
        let are_numbers = names.iter().all(|name| name.parse::<f64>().is_ok_and(f64::is_finite));
        if !are_numbers {
            names.sort_unstable();
            return Ok(Classes { names, are_numbers });
        }
        if let Some(name) = names.iter().find(|name| whole(name).is_none()) {
            let what =
                format!("expected a class as a label (a name or a whole number), found \"{}\"", short(name));
            return Err(wrong(path, at(name), what));
        }
        let value = |name: &String| whole(name).unwrap_or_default();
        names.sort_by(|a, b| value(a).total_cmp(&value(b)).then_with(|| a.cmp(b)));
        if let Some(two) = names.windows(2).find(|two| value(&two[0]) == value(&two[1])) {
            let what = format!(
                "expected each class to be written in one way, found \"{}\" and \"{}\"",
                short(&two[0]),
                short(&two[1])
            );
            return Err(wrong(path, at(&two[1]).max(at(&two[0])), what));
        }
        Ok(Classes { names, are_numbers })
    }

    /// The class of each label of `list`; `None` for a label that is not among them.
    pub fn numbers(&self, list: &Labelled) -> Vec<Option<u32>> {
        let places: HashMap<&str, u32> = self.names.iter().map(String::as_str).zip(0..).collect();
        list.labels.iter().map(|label| places.get(label.as_str()).copied()).collect()
    }

    /// Whether the classes are called 0, 1, 2, ...
    pub fn are_numbered(&self) -> bool {
        self.names.iter().enumerate().all(|(class, name)| *name == class.to_string())
    }
}
