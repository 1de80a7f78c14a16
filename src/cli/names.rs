//! Class names: from a file, from the weights, or numbers.

use crate::error::{Error, Result, printable};
use crate::inference;
use crate::interchange::File;
use std::io::Read;
use std::path::Path;

/// Longest accepted file of names, in bytes.
const MOST_BYTES: u64 = 16 << 20;

/// Returns one name for each of `classes` classes: the lines of `labels`, else the names in `weights`, else numbers.
pub(super) fn of(weights: &File, labels: Option<&Path>, classes: usize) -> Result<Vec<String>> {
    if let Some(path) = labels {
        let names = read(path)?;
        if names.len() != classes {
            let what = format!(
                "expected {classes} names (the network's outputs), one per line, found {}",
                names.len()
            );
            return Err(Error::data(path, what));
        }
        return Ok(names);
    }
    // Outputs without a name are numbered, as in the library.
    let mut names = inference::class_names(weights);
    if names.len() > classes {
        names.clear();
    }
    names.extend((names.len()..classes).map(|class| class.to_string()));
    Ok(names)
}

/// The lines of `path`, without trailing empty lines.
pub(super) fn read(path: &Path) -> Result<Vec<String>> {
    let file = std::fs::File::open(path).map_err(|error| Error::io(path, error))?;
    let mut text = String::new();
    file.take(MOST_BYTES + 1).read_to_string(&mut text).map_err(|error| Error::io(path, error))?;
    if text.len() as u64 > MOST_BYTES {
        return Err(Error::data(path, format!("expected at most {MOST_BYTES} bytes of names, found more")));
    }
    Ok(text.trim_end().lines().map(|line| printable(line.trim()).into_owned()).collect())
}
