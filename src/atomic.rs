//! Atomic file writes: a file is either absent or complete. The content goes to a temporary sibling, is synced to disk and
//! renamed over the target; the rename is the commit. A process that is stopped at any point, by a signal or a power
//! failure, leaves either the old file or the new one.

use crate::error::{Error, Result};
use std::fs::{self, File, OpenOptions};
use std::io::{self, BufWriter, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

/// Number of temporary names to try. A name may be taken by a killed process with the same process id, or by another thread
/// of this process.
const ATTEMPTS: u32 = 1000;

/// Size of the write buffer in bytes.
const BUFFER: usize = 1 << 20;

/// Writes the output of `content` to the file `path` and replaces an existing file in one step.
///
/// The folder must exist. On any error, including one of `content`, the target is unchanged and the temporary file is
/// removed. The exception is an error of syncing the folder after the rename: then the new file is in place, but it may not
/// survive a power failure. The error names `path`.
pub fn write(path: impl AsRef<Path>, content: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> Result<()> {
    stage(path, content)?.commit()
}

/// Like [`write()`], but leaves the file under a temporary name until [`NewFile::commit`] or [`commit_all`].
pub fn stage(
    path: impl AsRef<Path>,
    content: impl FnOnce(&mut dyn Write) -> io::Result<()>,
) -> Result<NewFile> {
    let path = path.as_ref();
    let mut file = NewFile::create(path)?;
    content(&mut file).map_err(|source| Error::io(path, source))?;
    Ok(file)
}

/// Commits `files`, which belong together: all of them or none.
///
/// Every file is synced to disk before the first rename. If a rename fails, the earlier ones are undone and the replaced
/// files are restored. They are kept as hard links until then, so on a file system without hard links a replaced file cannot
/// be restored. A kill or power failure between two renames leaves a mix of new and old files, each of them complete. The
/// error names the file.
pub fn commit_all(files: impl IntoIterator<Item = NewFile>) -> Result<()> {
    let sealed = files.into_iter().map(NewFile::seal).collect::<Result<Vec<Sealed>>>()?;
    let mut done: Vec<Replaced> = Vec::new();
    for file in sealed {
        match file.replace() {
            Ok(replaced) => done.push(replaced),
            Err(error) => {
                done.into_iter().rev().for_each(Replaced::undo);
                return Err(error);
            }
        }
    }
    done.iter().try_for_each(|file| sync_folder(folder(&file.target)).map_err(|e| Error::io(&file.target, e)))
}

/// Renames the complete file `from` to `to` in the same folder, replacing an existing file. The error names `to`.
pub fn rename(from: impl AsRef<Path>, to: impl AsRef<Path>) -> Result<()> {
    let to = to.as_ref();
    check(to)
        .and_then(|()| fs::rename(from, to))
        .and_then(|()| sync_folder(folder(to)))
        .map_err(|source| Error::io(to, source))
}

/// Creates the folder `path` and its missing parents, and syncs each so that it survives a power failure.
pub fn create_folders(path: impl AsRef<Path>) -> Result<()> {
    let path = path.as_ref();
    let is_missing = |above: &&Path| !above.as_os_str().is_empty() && !above.exists();
    let missing: Vec<&Path> = path.ancestors().take_while(is_missing).collect();
    fs::create_dir_all(path).map_err(|error| Error::io(path, error))?;
    missing.into_iter().try_for_each(keep_folder)
}

/// Syncs a new folder so that it survives a power failure; skipped if its parent may not be read.
pub fn keep_folder(path: &Path) -> Result<()> {
    match sync_folder(folder(path)) {
        Err(error) if error.kind() != io::ErrorKind::PermissionDenied => Err(Error::io(path, error)),
        _ => Ok(()),
    }
}

/// Returns an error unless `path` is a regular file or does not exist: opening a link writes elsewhere, and opening a pipe
/// blocks.
pub fn expect_plain(path: &Path) -> Result<()> {
    match fs::symlink_metadata(path) {
        Ok(found) if !found.is_file() => {
            let what = "expected a plain file, found a link, folder, pipe or device";
            Err(Error::io(path, io::Error::new(io::ErrorKind::InvalidData, what)))
        }
        _ => Ok(()),
    }
}

/// Removes temporary files that killed processes left in `folder`, recognised by their names (`.NAME.PROCESS.NUMBER.tmp`).
/// No other process may be writing to the folder, since files in progress are removed, too.
pub fn sweep(folder: &Path) -> Result<()> {
    let is_leftover = |name: &str| {
        let mut parts = name.rsplit('.');
        let is_number = |part: Option<&str>| {
            part.is_some_and(|part| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit()))
        };
        name.starts_with('.')
            && parts.next() == Some("tmp")
            && is_number(parts.next())
            && is_number(parts.next())
    };
    for entry in fs::read_dir(folder).map_err(|e| Error::io(folder, e))? {
        let entry = entry.map_err(|e| Error::io(folder, e))?;
        if entry.file_name().to_str().is_some_and(is_leftover) {
            fs::remove_file(entry.path()).map_err(|e| Error::io(entry.path(), e))?;
        }
    }
    Ok(())
}

/// A file being written beside the target that it will replace. Dropping it without `commit` removes it.
#[derive(Debug)]
pub struct NewFile {
    target: PathBuf,
    // Declared before `temporary`, so that it is closed before the file is removed, as Windows requires.
    out: BufWriter<File>,
    temporary: Temporary,
}

impl NewFile {
    /// Creates the temporary file for the target `path`, whose folder must exist. The error names `path`.
    pub fn create(path: impl AsRef<Path>) -> Result<NewFile> {
        let target = path.as_ref().to_path_buf();
        let (temporary, file) = check(&target)
            .and_then(|()| {
                let create = |path: &Path| OpenOptions::new().write(true).create_new(true).open(path);
                sibling(folder(&target), &target, create)
            })
            .map_err(|source| Error::io(&target, source))?;
        Ok(NewFile { target, out: BufWriter::with_capacity(BUFFER, file), temporary })
    }

    /// Syncs the content to disk and renames the file to the target. The error names the target, which is unchanged unless
    /// syncing the folder after the rename failed.
    pub fn commit(self) -> Result<()> {
        self.commit_after(|| Ok(()))
    }

    /// Like [`NewFile::commit`], but calls `before` between the sync and the rename. If it fails, the target is unchanged.
    pub fn commit_after(self, before: impl FnOnce() -> io::Result<()>) -> Result<()> {
        let Sealed { target, temporary } = self.seal()?;
        let commit = || {
            before()?;
            fs::rename(&temporary.path, &target)?;
            temporary.keep();
            sync_folder(folder(&target))
        };
        commit().map_err(|source| Error::io(&target, source))
    }

    /// Syncs the content to disk.
    fn seal(self) -> Result<Sealed> {
        let NewFile { target, out, temporary } = self;
        let seal = || out.into_inner().map_err(io::IntoInnerError::into_error)?.sync_all();
        match seal() {
            Ok(()) => Ok(Sealed { target, temporary }),
            Err(source) => Err(Error::io(&target, source)),
        }
    }
}

/// A file that is complete and synced, but not yet renamed.
#[derive(Debug)]
struct Sealed {
    target: PathBuf,
    temporary: Temporary,
}

impl Sealed {
    /// Renames the file to the target in a way that can be undone.
    fn replace(self) -> Result<Replaced> {
        let Sealed { target, temporary } = self;
        let replace = || {
            check(&target)?;
            let existed = target.exists();
            let link = |path: &Path| fs::hard_link(&target, path);
            let old = existed.then(|| sibling(folder(&target), &target, link).ok()).flatten();
            fs::rename(&temporary.path, &target)?;
            temporary.keep();
            Ok((existed, old.map(|(old, ())| old)))
        };
        match replace() {
            Ok((existed, old)) => Ok(Replaced { target, existed, old }),
            Err(source) => Err(Error::io(&target, source)),
        }
    }
}

/// A renamed file with the file that it replaced, which is removed on drop.
#[derive(Debug)]
struct Replaced {
    target: PathBuf,
    existed: bool,
    old: Option<Temporary>,
}

impl Replaced {
    /// Restores the state before the rename. Errors are ignored, because the error that caused this is the one to report.
    fn undo(self) {
        if let Some(old) = self.old {
            if fs::rename(&old.path, &self.target).is_ok() {
                old.keep();
            }
        } else if !self.existed {
            let _ = fs::remove_file(&self.target);
        }
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

/// Returns an error if the target exists but is not a regular file: a rename would replace a device by a file.
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

/// A temporary file that is removed on drop, unless it was renamed.
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
            // Nothing can be done if this fails, and the error that caused it is the one to report.
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// Calls `make` with an unused temporary name beside `target`.
fn sibling<T>(
    folder: &Path,
    target: &Path,
    make: impl Fn(&Path) -> io::Result<T>,
) -> io::Result<(Temporary, T)> {
    let name = target
        .file_name()
        .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, "expected the name of a file"))?
        .to_string_lossy();
    let process = std::process::id();
    for attempt in 0..ATTEMPTS {
        let path = folder.join(format!(".{name}.{process}.{attempt}.tmp"));
        match make(&path) {
            Ok(made) => return Ok((Temporary { path, remove: true }, made)),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(error),
        }
    }
    Err(io::Error::new(io::ErrorKind::AlreadyExists, "too many temporary files beside it; remove .*.tmp"))
}

/// Makes a rename durable. Windows has no such call; its journal orders renames.
fn sync_folder(folder: &Path) -> io::Result<()> {
    if cfg!(unix) { File::open(folder)?.sync_all() } else { Ok(()) }
}
