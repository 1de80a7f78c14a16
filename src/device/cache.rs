//! What a GPU keeps between runs, as files of the user's cache folder: compiled shaders and the fastest tiles. All of it
//! can be deleted at any time, and nothing that goes wrong here keeps anybody from training.

use super::Listener;
use crate::atomic;
use crate::error::{Result, printable_path};
use crate::gpu::{Host, News};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

/// Says where the cache is: a folder, or nothing for no cache at all.
pub const VARIABLE: &str = "STRIATE_CACHE";

/// A longer file is not one of ours.
const LONGEST: u64 = 512 << 20;

/// The folder for what can be made again: `$STRIATE_CACHE`; else `striate` in `$XDG_CACHE_HOME` (where that is an absolute
/// path), or where the platform has its caches: `~/.cache`, `~/Library/Caches`, `%LOCALAPPDATA%`. `None` if there is no
/// such place, or the variable is set to nothing.
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

/// The host of a GPU: a folder and somebody who listens.
#[derive(Debug)]
pub(super) struct Cache {
    folder: Option<PathBuf>,
    listener: Listener,
    /// Whether it was said that nothing can be kept.
    refused: AtomicBool,
}

impl Cache {
    pub fn new(folder: Option<PathBuf>, listener: Listener) -> Self {
        Cache { folder, listener, refused: AtomicBool::new(false) }
    }

    /// One line for all that cannot be read or written.
    fn refuse(&self, folder: &Path, what: &str) {
        if !self.refused.swap(true, Ordering::Relaxed) {
            let text = format!("cache folder {}: {what}; nothing is kept there", printable_path(folder));
            (self.listener.0)(News::Warning(&text));
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

/// Whether whoever has an account here could have put in what a driver is to be given.
fn anybody_may_write(found: &fs::Metadata) -> bool {
    #[cfg(unix)]
    return std::os::unix::fs::MetadataExt::mode(found) & 0o002 != 0;
    #[cfg(not(unix))]
    return false;
}

fn write(folder: &Path, name: &str, content: &[u8]) -> Result<()> {
    fs::create_dir_all(folder).map_err(|e| crate::Error::io(folder, e))?;
    // It would not be read again.
    if fs::metadata(folder).is_ok_and(|found| anybody_may_write(&found)) {
        let error = io::Error::new(io::ErrorKind::PermissionDenied, "anybody may write in it");
        return Err(crate::Error::io(folder, error));
    }
    atomic::write(folder.join(name), |out| out.write_all(content))
}

impl Host for Cache {
    fn load(&self, name: &str) -> Option<Vec<u8>> {
        let folder = self.folder.as_ref()?;
        match read(&folder.join(name)) {
            Ok(content) => Some(content),
            Err(error) => {
                if error.kind() != io::ErrorKind::NotFound {
                    self.refuse(folder, &format!("{name}: {error}"));
                }
                None
            }
        }
    }

    fn save(&self, name: &str, content: &[u8]) {
        let Some(folder) = &self.folder else { return };
        match write(folder, name, content) {
            Ok(()) => log::info!("{} bytes kept as {}", content.len(), printable_path(&folder.join(name))),
            Err(error) => self.refuse(folder, &error.to_string()),
        }
    }

    fn hear(&self, news: News<'_>) {
        (self.listener.0)(news);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::{Arc, Mutex};

    fn cache(folder: &Path) -> (Cache, Arc<Mutex<Vec<String>>>) {
        let heard = Arc::new(Mutex::new(Vec::new()));
        let ear = heard.clone();
        let listener =
            Listener(Arc::new(move |news: News<'_>| ear.lock().unwrap().push(format!("{news:?}"))));
        (Cache::new(Some(folder.into()), listener), heard)
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
