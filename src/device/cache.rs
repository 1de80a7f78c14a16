//! The user's cache folder, where a GPU keeps compiled shaders and the fastest kernels between runs. All of it can be
//! deleted at any time, and no failure here prevents training.

use crate::atomic;
use crate::error::{Error, Result, printable_path};
use crate::gpu::{CacheStore, Progress, ProgressListener};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

/// The environment variable that sets the cache folder; an empty value means no cache.
pub const VARIABLE: &str = "STRIATE_CACHE";

/// A longer file is not one of ours.
const LONGEST: u64 = 512 << 20;

/// The folder for files that can be made again: `$STRIATE_CACHE`; else `striate` in `$XDG_CACHE_HOME` (where that is an absolute
/// path), or the platform's cache folder: `~/.cache`, `~/Library/Caches`, `%LOCALAPPDATA%`. `None` if there is no
/// such place, or the variable is empty.
pub fn folder() -> Option<PathBuf> {
    if let Some(folder) = std::env::var_os(VARIABLE) {
        return Some(PathBuf::from(folder)).filter(|folder| !folder.as_os_str().is_empty());
    }
    let absolute = |name: &str| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let home = |below: &str| absolute("HOME").map(|home| home.join(below));
    let platform = || match std::env::consts::OS {
        "windows" => absolute("LOCALAPPDATA"),
        "macos" => home("Library/Caches"),
        _ => home(".cache"),
    };
    Some(absolute("XDG_CACHE_HOME").or_else(platform)?.join("striate"))
}

/// A [`CacheStore`] in a folder. It reports one warning for all files that cannot be read or written.
#[derive(Debug)]
pub struct FolderCache {
    folder: Option<PathBuf>,
    progress: ProgressListener,
    /// Whether the warning was reported.
    warned: AtomicBool,
}

impl FolderCache {
    /// A store in `folder`; without one it stores nothing.
    pub fn new(folder: Option<PathBuf>, progress: ProgressListener) -> Self {
        FolderCache { folder, progress, warned: AtomicBool::new(false) }
    }

    fn warn(&self, folder: &Path, what: &str) {
        if !self.warned.swap(true, Ordering::Relaxed) {
            let text = format!("cache folder {}: {what}; nothing is kept there", printable_path(folder));
            self.progress.report(Progress::Warning(&text));
        }
    }
}

fn read(path: &Path) -> io::Result<Vec<u8>> {
    // Opening a pipe would wait for a writer.
    let found = fs::metadata(path)?;
    if let Some(folder) =
        path.parent().filter(|folder| fs::metadata(folder).is_ok_and(|f| anybody_may_write(&f)))
    {
        let text = format!("anybody may write in {}", printable_path(folder));
        return Err(io::Error::new(io::ErrorKind::PermissionDenied, text));
    }
    if !found.is_file() || found.len() > LONGEST {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "expected a file of at most 512 MiB"));
    }
    if anybody_may_write(&found) {
        return Err(io::Error::new(io::ErrorKind::PermissionDenied, "anybody may write it"));
    }
    fs::read(path)
}

/// Whether any account of this machine could have written the data, which would go to a driver.
fn anybody_may_write(found: &fs::Metadata) -> bool {
    #[cfg(unix)]
    return std::os::unix::fs::MetadataExt::mode(found) & 0o002 != 0;
    #[cfg(not(unix))]
    return false;
}

fn write(folder: &Path, name: &str, content: &[u8]) -> Result<()> {
    fs::create_dir_all(folder).map_err(|e| Error::io(folder, e))?;
    // Such a folder is not read either.
    if fs::metadata(folder).is_ok_and(|found| anybody_may_write(&found)) {
        let error = io::Error::new(io::ErrorKind::PermissionDenied, "anybody may write in it");
        return Err(Error::io(folder, error));
    }
    atomic::write(folder.join(name), |out| out.write_all(content))
}

impl CacheStore for FolderCache {
    fn load(&self, name: &str) -> Option<Vec<u8>> {
        let folder = self.folder.as_ref()?;
        match read(&folder.join(name)) {
            Ok(content) => Some(content),
            Err(error) => {
                if error.kind() != io::ErrorKind::NotFound {
                    self.warn(folder, &format!("{name}: {error}"));
                }
                None
            }
        }
    }

    fn save(&self, name: &str, content: &[u8]) {
        let Some(folder) = &self.folder else { return };
        match write(folder, name, content) {
            Ok(()) => log::info!("{} bytes kept as {}", content.len(), printable_path(&folder.join(name))),
            Err(error) => self.warn(folder, &error.to_string()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::{Arc, Mutex};

    fn cache(folder: &Path) -> (FolderCache, Arc<Mutex<Vec<String>>>) {
        let heard = Arc::new(Mutex::new(Vec::new()));
        let received = heard.clone();
        let progress =
            ProgressListener::new(move |report| received.lock().unwrap().push(format!("{report:?}")));
        (FolderCache::new(Some(folder.into()), progress), heard)
    }

    #[test]
    fn what_is_kept_is_found_again() {
        let place = tempfile::tempdir().unwrap();
        let folder = place.path().join("a/b");
        let (cache, heard) = cache(&folder);
        assert_eq!(cache.load("x.json"), None);
        cache.save("x.json", b"one");
        cache.save("x.json", b"two");
        assert_eq!(cache.load("x.json").as_deref(), Some(b"two".as_slice()));
        assert_eq!(fs::read_dir(&folder).unwrap().count(), 1);
        assert!(heard.lock().unwrap().is_empty());
    }

    #[test]
    fn a_folder_that_cannot_be_is_one_warning() {
        let place = tempfile::tempdir().unwrap();
        fs::write(place.path().join("file"), b"").unwrap();
        let (cache, heard) = cache(&place.path().join("file/below"));
        for _ in 0..3 {
            cache.save("x", b"one");
            assert_eq!(cache.load("x"), None);
        }
        let heard = heard.lock().unwrap();
        assert_eq!(heard.len(), 1, "{heard:?}");
        assert!(heard[0].contains("below") && heard[0].contains("nothing is kept"), "{heard:?}");
    }

    #[cfg(unix)]
    #[test]
    fn what_anybody_could_have_written_is_not_read() {
        use std::os::unix::fs::PermissionsExt;
        let place = tempfile::tempdir().unwrap();
        let (folder, file) = (place.path().join("cache"), place.path().join("cache/x"));
        let mode = |path: &Path, mode| fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
        for (folder_mode, file_mode, read) in
            [(0o700, 0o600, true), (0o777, 0o600, false), (0o700, 0o666, false)]
        {
            let (cache, heard) = cache(&folder);
            cache.save("x", b"one");
            mode(&file, file_mode);
            mode(&folder, folder_mode);
            assert_eq!(cache.load("x").is_some(), read);
            assert_eq!(heard.lock().unwrap().is_empty(), read);
            mode(&folder, 0o700);
        }
    }

    #[test]
    fn a_pipe_or_folder_in_the_place_of_a_file_is_not_opened() {
        let place = tempfile::tempdir().unwrap();
        fs::create_dir(place.path().join("x")).unwrap();
        let (cache, heard) = cache(place.path());
        assert_eq!(cache.load("x"), None);
        assert_eq!(heard.lock().unwrap().len(), 1);
    }
}
