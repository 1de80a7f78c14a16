//! External data: weights in other files beside the ONNX file. The ONNX file names them, so it could name any file of the
//! machine. Nothing is opened unless the user allows it, and then only regular files in the ONNX file's folder or below.

use super::super::schema::StringStringEntryProto;
use super::attributes::short;
use super::graph::ReachableGraph;
use crate::error::printable;
use prost::bytes::Bytes;
use std::collections::{BTreeSet, HashMap};
use std::fs;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Component, Path, PathBuf};

/// The value of `TensorProto.data_location` for data in another file.
pub(super) const OUTSIDE: i32 = 1;

/// Most bytes read from one file, as a multiple of its length. Tensors may share bytes, but a small file must not become a
/// large network.
const SHARED: u64 = 2;

/// Returns one error for all weights of `graph` that are in other files, if there are any.
pub(super) fn none(graph: &ReachableGraph<'_>) -> Result<(), String> {
    let outside =
        graph.initializers.values().filter(|t| t.data_location == OUTSIDE && graph.readers(&t.name) > 0);
    let locations = outside.flat_map(|t| t.external_data.iter().filter(|entry| entry.key == "location"));
    let files: BTreeSet<&str> = locations.map(|entry| entry.value.as_str()).collect();
    let shown = match files.len() {
        0 => return Ok(()),
        1 => files.iter().map(|file| printable(&short(file)).into_owned()).collect::<String>(),
        several => format!("{several} other files"),
    };
    Err(format!("its weights are in {shown}; reading them requires the option external-data"))
}

/// Access to external data.
#[derive(Debug, Default)]
pub struct External {
    /// The folder that may be read; `None` if external data is not allowed.
    folder: Option<PathBuf>,
    /// Bytes read so far, per file.
    read: HashMap<PathBuf, u64>,
}

impl External {
    /// Allows files beside the ONNX file at `path`, if `allowed`; otherwise none.
    pub fn beside(path: &Path, allowed: bool) -> Self {
        let folder = path.parent().map_or(Path::new("."), |folder| {
            if folder.as_os_str().is_empty() { Path::new(".") } else { folder }
        });
        External { folder: allowed.then(|| folder.to_path_buf()), read: HashMap::new() }
    }

    /// Reads the `bytes` bytes that `entries` (`TensorProto.external_data`) point to.
    pub fn read(&mut self, entries: &[StringStringEntryProto], bytes: usize) -> Result<Bytes, String> {
        let value = |key: &str| entries.iter().find(|e| e.key == key).map(|e| e.value.as_str());
        // Programs disagree about duplicate keys: some use the first, others the last.
        for key in ["location", "offset", "length"] {
            let count = entries.iter().filter(|e| e.key == key).count();
            if count > 1 {
                return Err(format!("external data: {key}: expected one, found {count}"));
            }
        }
        let number = |key: &str| match value(key) {
            None => Ok(None),
            Some(text) => text
                .parse::<u64>()
                .map(Some)
                .map_err(|_| format!("external data: {key}: expected a whole number, found {}", short(text))),
        };
        let location = value("location").ok_or("external data: location is missing")?;
        let shown = printable(&short(location)).into_owned();
        let Some(folder) = &self.folder else {
            return Err(format!(
                "its data is in another file, {shown}; reading it requires the option external-data"
            ));
        };
        let fault = |what: String| format!("external data {shown}: {what}");
        let path = confined(folder, location).map_err(fault)?;
        let failed = |error: io::Error| fault(error.to_string());
        let mut file = fs::File::open(&path).map_err(failed)?;
        let length = file.metadata().map_err(failed)?.len();
        let (offset, bytes) = (number("offset")?.unwrap_or(0), bytes as u64);
        if let Some(claimed) = number("length")?.filter(|&claimed| claimed != bytes) {
            return Err(fault(format!("length: expected {bytes}, found {claimed}")));
        }
        if offset.checked_add(bytes).is_none_or(|end| end > length) {
            return Err(fault(format!(
                "expected {bytes} bytes from byte {offset} on, found a file of {length} bytes"
            )));
        }
        let so_far = self.read.entry(path).or_default();
        *so_far = so_far.saturating_add(bytes);
        if *so_far > length.saturating_mul(SHARED) {
            return Err(fault(format!("too many tensors share its {length} bytes")));
        }
        let mut data = vec![0; bytes as usize];
        file.seek(SeekFrom::Start(offset)).and_then(|_| file.read_exact(&mut data)).map_err(failed)?;
        Ok(data.into())
    }
}

/// Resolves `location`, following links, to a regular file in `folder` or below; anything else is an error.
fn confined(folder: &Path, location: &str) -> Result<PathBuf, String> {
    let relative = Path::new(location);
    let within = relative.components().all(|part| matches!(part, Component::Normal(_) | Component::CurDir));
    // Separators and drive letters of other systems are rejected everywhere.
    if location.is_empty() || !within || location.contains(['\\', ':', '\0']) {
        return Err("expected a path within the folder of the ONNX file".into());
    }
    let real = |path: &Path| path.canonicalize().map_err(|error| error.to_string());
    let path = real(&folder.join(relative))?;
    if !path.starts_with(real(folder)?) {
        return Err("expected a file in the folder of the ONNX file, found a link that leads outside".into());
    }
    // Checked before opening, because opening a pipe would block.
    let metadata = fs::metadata(&path).map_err(|error| error.to_string())?;
    if !metadata.is_file() {
        return Err("expected a regular file".into());
    }
    // The other name of a hard link could be anywhere, and an unpacked archive may contain a link to an existing file.
    #[cfg(unix)]
    if std::os::unix::fs::MetadataExt::nlink(&metadata) > 1 {
        return Err("expected a file of one name, found a hard link".into());
    }
    Ok(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entries(location: &str, more: &[(&str, &str)]) -> Vec<StringStringEntryProto> {
        let all = [("location", location)].into_iter().chain(more.iter().copied());
        all.map(|(key, value)| StringStringEntryProto { key: key.into(), value: value.into() }).collect()
    }

    #[test]
    fn only_files_of_the_folder_are_read_and_only_when_allowed() {
        let outer = tempfile::tempdir().unwrap();
        let folder = outer.path().join("in");
        fs::create_dir_all(folder.join("sub")).unwrap();
        fs::write(outer.path().join("secret"), [7; 8]).unwrap();
        fs::write(folder.join("w.data"), [1, 2, 3, 4, 5, 6, 7, 8]).unwrap();
        fs::write(folder.join("sub/w.data"), [9; 8]).unwrap();
        let onnx = folder.join("x.onnx");
        let read = |location: &str, more: &[(&str, &str)]| {
            External::beside(&onnx, true).read(&entries(location, more), 4)
        };
        assert_eq!(*read("w.data", &[]).unwrap(), [1, 2, 3, 4]);
        assert_eq!(*read("./w.data", &[("offset", "3"), ("length", "4")]).unwrap(), [4, 5, 6, 7]);
        assert_eq!(*read("sub/w.data", &[]).unwrap(), [9; 4]);
        let secret = outer.path().join("secret");
        let mut bad = vec![
            (secret.to_str().unwrap(), &[][..], "within the folder"),
            ("../secret", &[], "within the folder"),
            ("sub/../../secret", &[], "within the folder"),
            ("..\\secret", &[], "within the folder"),
            ("C:secret", &[], "within the folder"),
            ("", &[], "within the folder"),
            ("a\0b", &[], "within the folder"),
            ("sub", &[], "regular file"),
            (".", &[], "regular file"),
            ("missing", &[], "external data missing: "),
            ("w.data", &[("offset", "5")], "expected 4 bytes from byte 5 on, found a file of 8 bytes"),
            ("w.data", &[("offset", "18446744073709551615")], "found a file of 8 bytes"),
            ("w.data", &[("offset", "-1")], "offset: expected a whole number, found -1"),
            ("w.data", &[("length", "8")], "length: expected 4, found 8"),
        ];
        #[cfg(unix)]
        {
            std::os::unix::fs::symlink("../secret", folder.join("link")).unwrap();
            std::os::unix::fs::symlink("..", folder.join("up")).unwrap();
            bad.push(("link", &[], "leads outside"));
            bad.push(("up/secret", &[], "leads outside"));
        }
        for (location, more, expected) in bad {
            let message = read(location, more).unwrap_err();
            assert!(message.contains(expected), "{location}: {message}");
            assert!(!message.contains('\n'), "{message}");
        }
        assert!(External::beside(&onnx, true).read(&[], 4).unwrap_err().contains("location is missing"));
        let refused = External::beside(&onnx, false).read(&entries("w.data", &[]), 4).unwrap_err();
        assert!(refused.contains("the option external-data"), "{refused}");
    }

    #[test]
    fn a_small_file_does_not_become_a_large_network() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("w"), [0; 8]).unwrap();
        let mut external = External::beside(&folder.path().join("x.onnx"), true);
        assert!(external.read(&entries("w", &[]), 8).is_ok());
        assert!(external.read(&entries("w", &[]), 8).is_ok());
        assert!(external.read(&entries("w", &[]), 8).unwrap_err().contains("too many tensors"));
    }
}
