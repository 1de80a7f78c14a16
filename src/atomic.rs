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
    stage(path, content)?.commit()
}

/// As [`write()`], but for the name: the file gets it by [`NewFile::commit`] or [`commit_all`].
pub fn stage(
    path: impl AsRef<Path>,
    content: impl FnOnce(&mut dyn Write) -> io::Result<()>,
) -> Result<NewFile> {
    let path = path.as_ref();
    let mut file = NewFile::create(path)?;
    content(&mut file).map_err(|source| Error::io(path, source))?;
    Ok(file)
}

/// Gives `files`, which belong together, their names: all or none of them. Each is forced to the disk before the first
/// is renamed. If one cannot be renamed, those before it are taken back: what they replaced is put in its place again
/// (kept until then as a hard link, so on a file system without such links only as far as nothing was replaced). A kill or
/// power cut between two renames leaves some new and some old, each of them whole. The error names the file.
pub fn commit_all(files: impl IntoIterator<Item = NewFile>) -> Result<()> {
    let sealed = files.into_iter().map(NewFile::seal).collect::<Result<Vec<Sealed>>>()?;
    let mut done: Vec<Done> = Vec::new();
    for file in sealed {
        match file.replace() {
            Ok(replaced) => done.push(replaced),
            Err(error) => {
                done.into_iter().rev().for_each(Done::undo);
                return Err(error);
            }
        }
    }
    done.iter().try_for_each(|file| sync_folder(folder(&file.target)).map_err(|e| Error::io(&file.target, e)))
}

/// Gives the finished file `from` the name `to` in the same folder, in the place of what has it; the error names `to`.
pub fn rename(from: impl AsRef<Path>, to: impl AsRef<Path>) -> Result<()> {
    let to = to.as_ref();
    check(to)
        .and_then(|()| fs::rename(from, to))
        .and_then(|()| sync_folder(folder(to)))
        .map_err(|source| Error::io(to, source))
}

/// Makes the folder `path` and those above it that are missing. Each outlives a power cut.
pub fn create_folders(path: impl AsRef<Path>) -> Result<()> {
    let path = path.as_ref();
    let is_missing = |above: &&Path| !above.as_os_str().is_empty() && !above.exists();
    let missing: Vec<&Path> = path.ancestors().take_while(is_missing).collect();
    fs::create_dir_all(path).map_err(|error| Error::io(path, error))?;
    missing.into_iter().try_for_each(keep_folder)
}

/// Makes a folder that was made just now outlive a power cut, as far as the folder that it is in may be read.
pub fn keep_folder(path: &Path) -> Result<()> {
    match sync_folder(folder(path)) {
        Err(error) if error.kind() != io::ErrorKind::PermissionDenied => Err(Error::io(path, error)),
        _ => Ok(()),
    }
}

/// An error unless `path` is a file, or nothing at all: whoever opens a link writes elsewhere, and who opens a pipe waits.
pub fn expect_plain(path: &Path) -> Result<()> {
    match fs::symlink_metadata(path) {
        Ok(found) if !found.is_file() => {
            let what = "expected a plain file, found a link, folder, pipe or device";
            Err(Error::io(path, io::Error::new(io::ErrorKind::InvalidData, what)))
        }
        _ => Ok(()),
    }
}

/// Removes the temporary files that killed processes have left in `folder` (by their names, `.NAME.PROCESS.NUMBER.tmp`), which
/// must be nobody else's: those of writers that are still at it go too.
pub fn sweep(folder: &Path) -> Result<()> {
    let left = |name: &str| {
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
        if entry.file_name().to_str().is_some_and(left) {
            fs::remove_file(entry.path()).map_err(|e| Error::io(entry.path(), e))?;
        }
    }
    Ok(())
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
            .and_then(|()| {
                let create = |path: &Path| OpenOptions::new().write(true).create_new(true).open(path);
                sibling(folder(&target), &target, create)
            })
            .map_err(|source| Error::io(&target, source))?;
        Ok(NewFile { target, out: BufWriter::with_capacity(BUFFER, file), temporary })
    }

    /// Forces what was written to the disk and gives it its name. The error names the target; it is untouched, unless
    /// what failed is forcing the folder to the disk after the rename.
    pub fn commit(self) -> Result<()> {
        self.commit_after(|| Ok(()))
    }

    /// As [`NewFile::commit`], with `before` done when the file is whole and on the disk, but for its name. An error of
    /// it leaves the target as it is.
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

    /// Forces what was written to the disk.
    fn seal(self) -> Result<Sealed> {
        let NewFile { target, out, temporary } = self;
        let seal = || out.into_inner().map_err(io::IntoInnerError::into_error)?.sync_all();
        match seal() {
            Ok(()) => Ok(Sealed { target, temporary }),
            Err(source) => Err(Error::io(&target, source)),
        }
    }
}

/// A file that is whole and on the disk, but for its name.
#[derive(Debug)]
struct Sealed {
    target: PathBuf,
    temporary: Temporary,
}

impl Sealed {
    /// Takes the name, in a way that can be undone.
    fn replace(self) -> Result<Done> {
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
            Ok((existed, old)) => Ok(Done { target, existed, old }),
            Err(source) => Err(Error::io(&target, source)),
        }
    }
}

/// A file that has its name, and what had it before; the latter vanishes with this.
#[derive(Debug)]
struct Done {
    target: PathBuf,
    existed: bool,
    old: Option<Temporary>,
}

impl Done {
    /// Makes it as if nothing had been done. Where that fails nothing more can be done; the first error is the one to report.
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

/// What `make` makes of a name beside `target` that is free.
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

/// Makes the rename itself durable. Windows has no such call and orders it by its journal.
fn sync_folder(folder: &Path) -> io::Result<()> {
    if cfg!(unix) { File::open(folder)?.sync_all() } else { Ok(()) }
}
