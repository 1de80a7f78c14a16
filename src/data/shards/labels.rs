//! The labels of the samples of one shard, before classes are numbered across all shards.

use crate::error::{Error, Result, printable};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// Longest name of a class, in bytes.
const LONGEST: usize = 1000;

/// A label that is missing.
const NONE: i64 = i64::MIN;

/// Labels in the order of the samples: all of them integers, or all of them texts that name classes.
#[derive(Debug, Default)]
pub(in super::super) struct ShardLabels {
    values: Vec<i64>,
    /// The names with their numbers in `values`.
    names: BTreeMap<String, i64>,
    has_numbers: bool,
}

impl ShardLabels {
    pub fn len(&self) -> usize {
        self.values.len()
    }

    /// Adds a sample without a label.
    pub fn add_none(&mut self) {
        self.values.push(NONE);
    }

    pub fn add_number(&mut self, value: i64) {
        self.has_numbers = true;
        self.values.push(value.max(NONE + 1));
    }

    /// Adds the name of a class.
    pub fn add_text(&mut self, text: &[u8]) -> Result<(), String> {
        let name = std::str::from_utf8(text).ok().filter(|name| (1..=LONGEST).contains(&name.len()));
        let name = name.ok_or("expected the name of a class, found bytes that are no such text")?;
        let next = self.names.len() as i64;
        let number = match self.names.get(name) {
            Some(&number) => number,
            None => *self.names.entry(name.to_string()).or_insert(next),
        };
        self.values.push(number);
        Ok(())
    }

    /// Whether no sample has a label: all are missing or negative.
    pub fn is_unlabelled(&self) -> bool {
        self.values.iter().all(|&label| label < 0)
    }

    /// The names of the classes in `shards`, in the order of their bytes, as folders of images are numbered; none if their labels are
    /// numbers.
    pub fn names<'a>(shards: impl Iterator<Item = &'a ShardLabels>) -> Vec<String> {
        let names: BTreeSet<&String> = shards.flat_map(|shard| shard.names.keys()).collect();
        names.into_iter().cloned().collect()
    }

    /// Adds the classes to `into`, with texts numbered as in `names`; `place` says where a label stands.
    pub fn number(
        &self,
        path: &Path,
        names: &[String],
        place: &dyn Fn(usize) -> String,
        into: &mut Vec<u32>,
    ) -> Result<()> {
        let wrong = |at: usize, expected: &str, found: &str| {
            let what = format!("{}: expected {expected}, found {found}", place(at));
            Error::data(path, printable(&what))
        };
        let is_text = !self.names.is_empty();
        if is_text && self.has_numbers {
            return Err(Error::data(path, "expected labels that are all integers or all texts, found both"));
        }
        let mut numbers = vec![(None, ""); self.names.len()];
        for (name, &number) in &self.names {
            let class = names.binary_search(name).ok();
            if let Some(slot) = numbers.get_mut(number as usize) {
                *slot = (class, name);
            }
        }
        for (at, &label) in self.values.iter().enumerate() {
            let class = match usize::try_from(label) {
                Err(_) if label == NONE => return Err(wrong(at, "a class", "none")),
                Err(_) => return Err(wrong(at, "a class (0 or above)", &label.to_string())),
                Ok(number) if is_text => match numbers[number] {
                    (Some(class), _) => class,
                    (None, name) => return Err(wrong(at, "a class of the training files", name)),
                },
                Ok(class) => class,
            };
            if !names.is_empty() && class >= names.len() {
                let expected = format!("a class below {} (the number of class names)", names.len());
                return Err(wrong(at, &expected, &class.to_string()));
            }
            into.push(u32::try_from(class).map_err(|_| wrong(at, "a class of 32 bits", &class.to_string()))?);
        }
        Ok(())
    }
}
