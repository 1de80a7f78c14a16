//! The checkpoints of a run's folder: `checkpoint.safetensors` is the newest, `checkpoint-1.safetensors` the one before,
//! and so on. At any moment, also between two steps of a change, the newest whole one exists.

use crate::atomic::NewFile;
use crate::error::{Error, Result};
use std::fs;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

/// The file name of the checkpoint that `age` newer ones stand before.
pub fn file_name(age: usize) -> String {
    if age == 0 { "checkpoint.safetensors".into() } else { format!("checkpoint-{age}.safetensors") }
}

/// The age in the name of `path`.
pub fn age(path: &Path) -> Option<usize> {
    let rest = path.file_name()?.to_str()?.strip_prefix("checkpoint")?.strip_suffix(".safetensors")?;
    if rest.is_empty() {
        return Some(0);
    }
    let age = rest.strip_prefix('-')?.parse().ok()?;
    (age > 0 && file_name(age) == path.file_name()?.to_str()?).then_some(age)
}

/// The checkpoints in `folder`, the newest first.
pub fn list(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).map_err(|e| Error::io(folder, e))? {
        let path = entry.map_err(|e| Error::io(folder, e))?.path();
        found.extend(age(&path).map(|age| (age, path)));
    }
    found.sort();
    Ok(found.into_iter().map(|(_, path)| path).collect())
}

/// Gives `new`, which was staged as the newest checkpoint of `folder`, its name, and keeps `keep` in all.
pub fn commit(new: NewFile, folder: &Path, keep: usize) -> Result<()> {
    new.commit_after(|| shift(folder, keep))?;
    // Left over from an earlier run with a longer history.
    for path in list(folder)? {
        if age(&path).is_some_and(|age| age >= keep.max(1)) {
            fs::remove_file(&path).map_err(|e| Error::io(&path, e))?;
        }
    }
    Ok(())
}

/// Makes every checkpoint one older, but leaves the newest in its place too.
fn shift(folder: &Path, keep: usize) -> io::Result<()> {
    let at = |age| folder.join(file_name(age));
    for age in (1..keep).rev() {
        if age > 1 {
            absent_is_fine(fs::rename(at(age - 1), at(age)))?;
            continue;
        }
        absent_is_fine(fs::remove_file(at(1)))?;
        let linked = absent_is_fine(fs::hard_link(at(0), at(1)));
        // A file system without hard links: for a moment only the older names are there, which a reader knows too.
        linked.or_else(|_| absent_is_fine(fs::rename(at(0), at(1))))?;
    }
    Ok(())
}

/// Makes `path`, one of the checkpoints of `folder`, the newest; newer ones are removed.
pub fn make_newest(path: &Path, folder: &Path) -> Result<()> {
    let Some(own) = age(path).filter(|&own| own > 0 && path.parent() == Some(folder)) else { return Ok(()) };
    crate::atomic::rename(path, folder.join(file_name(0)))?;
    for newer in 1..own {
        let path = folder.join(file_name(newer));
        absent_is_fine(fs::remove_file(&path)).map_err(|e| Error::io(&path, e))?;
    }
    // The older ones close up.
    for (age, old) in list(folder)?.into_iter().enumerate() {
        let new = folder.join(file_name(age));
        if old != new {
            fs::rename(&old, &new).map_err(|e| Error::io(&new, e))?;
        }
    }
    Ok(())
}

fn absent_is_fine(result: io::Result<()>) -> io::Result<()> {
    match result {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        result => result,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    fn save(folder: &Path, text: &str, keep: usize) {
        let mut file = NewFile::create(folder.join(file_name(0))).unwrap();
        file.write_all(text.as_bytes()).unwrap();
        commit(file, folder, keep).unwrap();
    }

    fn texts(folder: &Path) -> Vec<String> {
        list(folder).unwrap().iter().map(|path| fs::read_to_string(path).unwrap()).collect()
    }

    #[test]
    fn the_newest_come_first_and_the_oldest_go() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path();
        for (text, kept) in [("a", "a"), ("b", "ba"), ("c", "cba"), ("d", "dcb")] {
            save(folder, text, 3);
            assert_eq!(texts(folder).concat(), kept);
        }
        assert_eq!(fs::read_dir(folder).unwrap().count(), 3);
        make_newest(&folder.join(file_name(1)), folder).unwrap();
        assert_eq!(texts(folder), ["c", "b"]);
        assert!(folder.join(file_name(1)).exists());
        save(folder, "e", 1);
        assert_eq!(texts(folder), ["e"]);
        for text in ["f", "g", "h"] {
            save(folder, text, 5);
        }
        save(folder, "i", 2);
        assert_eq!(texts(folder), ["i", "h"]);
    }

    #[test]
    fn only_our_own_names_are_taken_for_checkpoints() {
        for (name, number) in [("checkpoint.safetensors", Some(0)), ("checkpoint-12.safetensors", Some(12))] {
            assert_eq!(age(Path::new(name)), number);
        }
        for name in [
            "checkpoint-0.safetensors",
            "checkpoint-01.safetensors",
            "checkpoint-x.safetensors",
            "last.safetensors",
        ] {
            assert_eq!(age(Path::new(name)), None, "{name}");
        }
    }
}
