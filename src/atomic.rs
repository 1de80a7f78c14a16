//! Files that are absent or complete. The content goes to a temporary sibling, is forced to the disk and
//! renamed over the target; the rename is the commit. Whoever is stopped at any point, by a signal or a power
//! cut, leaves the old file or the new one.

use crate::error::{Error, Result};
use std::fs::{self, File, OpenOptions};
use std::io::{self, BufWriter, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

/// How many names are tried when a temporary file of that name is already there (left by a killed process
/// that had the same process id, or belonging to another thread of this one).
const ATTEMPTS: u32 = 1000;

/// Bytes collected before each write to the file.
const BUFFER: usize = 1 << 20;

/// Writes the file `path` with what `content` produces, replacing a file of that name in one step.
///
/// The folder must exist. On any failure, also of `content`, the target is untouched and the temporary file is removed;
/// only if forcing the folder to the disk fails, which comes after the rename, the new file is in place all the same
/// (whether it outlives a power cut is not known). The error names `path`.
pub fn write(path: impl AsRef<Path>, content: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> Result<()> {
    let path = path.as_ref();
    let mut file = NewFile::create(path)?;
    content(&mut file).map_err(|source| Error::io(path, source))?;
    file.commit()
}

/// Gives the finished file `from` the name `to` in the same folder, in the place of what has it; the error names `to`.
pub fn rename(from: impl AsRef<Path>, to: impl AsRef<Path>) -> Result<()> {
    let to = to.as_ref();
    check(to)
        .and_then(|()| fs::rename(from, to))
        .and_then(|()| sync_folder(folder(to)))
        .map_err(|source| Error::io(to, source))
}

/// A file that is being written beside the one that it is going to replace. Without `commit` it vanishes.
#[derive(Debug)]
pub struct NewFile {
    target: PathBuf,
    // Closed before the temporary file is removed, which Windows asks for.
    out: BufWriter<File>,
    temporary: Temporary,
}

impl NewFile {
    /// Begins the file that is to become `path`, whose folder must exist. The error names `path`.
    pub fn create(path: impl AsRef<Path>) -> Result<NewFile> {
        let target = path.as_ref().to_path_buf();
        let (temporary, file) = check(&target)
            .and_then(|()| create_sibling(folder(&target), &target))
            .map_err(|source| Error::io(&target, source))?;
        Ok(NewFile { target, out: BufWriter::with_capacity(BUFFER, file), temporary })
    }

    /// Forces what was written to the disk and gives it its name. The error names the target; it is untouched, unless
    /// what failed is forcing the folder to the disk after the rename.
    pub fn commit(self) -> Result<()> {
        let NewFile { target, out, temporary } = self;
        let commit = || {
            let file = out.into_inner().map_err(io::IntoInnerError::into_error)?;
            file.sync_all()?;
            drop(file);
            fs::rename(&temporary.path, &target)?;
            temporary.keep();
            sync_folder(folder(&target))
        };
        commit().map_err(|source| Error::io(&target, source))
    }
}

impl Write for NewFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.out.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

impl Seek for NewFile {
    fn seek(&mut self, position: SeekFrom) -> io::Result<u64> {
        self.out.seek(position)
    }
}

/// An error if what has the name already is no file: a rename would put a file in the place of a device.
fn check(target: &Path) -> io::Result<()> {
    match fs::metadata(target) {
        Ok(found) if found.is_dir() => Err(io::ErrorKind::IsADirectory.into()),
        Ok(found) if !found.is_file() => Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            "expected the name of a file, found a device or pipe",
        )),
        _ => Ok(()),
    }
}

fn folder(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}

/// A file that is removed when this is dropped, unless it was renamed.
#[derive(Debug)]
struct Temporary {
    path: PathBuf,
    remove: bool,
}

impl Temporary {
    fn keep(mut self) {
        self.remove = false;
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        if self.remove {
            // Nothing more can be done if even this fails; the first error is the one to report.
            let _ = fs::remove_file(&self.path);
        }
    }
}

fn create_sibling(folder: &Path, target: &Path) -> io::Result<(Temporary, File)> {
    let name = target
        .file_name()
        .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, "expected the name of a file"))?
        .to_string_lossy();
    let process = std::process::id();
    for attempt in 0..ATTEMPTS {
        let path = folder.join(format!(".{name}.{process}.{attempt}.tmp"));
        match OpenOptions::new().write(true).create_new(true).open(&path) {
            Ok(file) => return Ok((Temporary { path, remove: true }, file)),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(error),
        }
    }
    Err(io::Error::new(io::ErrorKind::AlreadyExists, "too many temporary files beside it; remove .*.tmp"))
}

/// Makes the rename itself durable. Windows has no such call and orders it by its journal.
fn sync_folder(folder: &Path) -> io::Result<()> {
    if cfg!(unix) { File::open(folder)?.sync_all() } else { Ok(()) }
}
