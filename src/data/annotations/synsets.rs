//! What the classes of ImageNet are called, whose folders are named by WordNet IDs.

use super::super::delimited::{Rows, Separator};
use super::super::diagnostics::Diagnostics;
use super::places;
use crate::error::{Result, printable_path};
use std::collections::HashMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

/// Whether `name` is a WordNet ID, such as n02119789.
fn is_id(name: &str) -> bool {
    let digits = name.strip_prefix('n').unwrap_or_default();
    digits.len() == 8 && digits.bytes().all(|byte| byte.is_ascii_digit())
}

/// The file with the names of classes for the data set with the parts in `base`.
fn file(base: &Path) -> Option<PathBuf> {
    let kaggle = places(base).map(|place| place.join("LOC_synset_mapping.txt"));
    // Tiny ImageNet's file has all of WordNet; the one beside it says that it is Tiny ImageNet's.
    let tiny = base.join("wnids.txt").is_file().then(|| base.join("words.txt"));
    kaggle.chain(tiny).find(|path| path.is_file())
}

/// What the classes `ids`, folders in a part of the data set in `base`, are called: the first synonym of each, with the ID behind
/// it where two are called alike. `None` if they are not WordNet IDs or no file says it.
pub(in super::super) fn class_names(
    base: &Path,
    ids: &[OsString],
    diagnostics: &mut Diagnostics,
) -> Result<Option<Vec<String>>> {
    let texts: Option<Vec<&str>> = ids.iter().map(|id| id.to_str().filter(|id| is_id(id))).collect();
    let (Some(texts), Some(path)) = (texts, file(base)) else { return Ok(None) };
    let places: HashMap<&str, usize> = texts.iter().enumerate().map(|(place, &id)| (id, place)).collect();
    let mut names = vec![String::new(); texts.len()];
    let mut rows = Rows::separated(&path, Separator::Blanks)?;
    while let Some(row) = rows.next()? {
        let (id, words) = row.text.trim().split_once(char::is_whitespace).unwrap_or_default();
        if let Some(&place) = places.get(id) {
            names[place] = words.split(',').next().unwrap_or_default().trim().to_string();
        }
    }
    let file = printable_path(Path::new(path.file_name().unwrap_or_default()));
    let missing = names.iter().filter(|name| name.is_empty()).count();
    if missing > 0 {
        diagnostics.warn(format!(
            "{file} does not say what {missing} of the {} classes are called; they keep the names of their folders",
            names.len()
        ));
        return Ok(None);
    }
    let mut counts: HashMap<&str, usize> = HashMap::new();
    names.iter().for_each(|name| *counts.entry(name).or_default() += 1);
    let named = names.iter().zip(&texts).map(|(name, id)| match counts[name.as_str()] {
        1 => name.clone(),
        _ => format!("{name} ({id})"),
    });
    diagnostics.add(format!("the classes are called as {file} says"));
    Ok(Some(named.collect()))
}
