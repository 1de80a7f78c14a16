//! Folders of pictures: `root/train/<class>/**/<file>` and `root/val/<class>/**/<file>` (without `val`, `valid`,
//! `validation` or `test`), or `root/<class>/**/<file>`, whose samples are then split. A class is a folder with a picture somewhere below; classes are numbered by name,
//! pictures by path, both in the order of their bytes, whatever order the file system has.
//!
//! Pictures are told by their names (.jpg, .jpeg, .png in any case) and decoded when they are asked for; only paths
//! are kept in memory. Other files, and all names that begin with a dot, are counted and left alone. Links are
//! followed, into each folder once per class; a second way into it counts as a picture that cannot be read, so that
//! it is named. So does whatever is named like a picture and is none.

use super::dataset::{Dataset, Images, Labels, Store, Stored};
use super::decode::Decoder;
use super::framing::Frame;
use super::source::{Found, Part};
use crate::error::{Error, Result, printable_path};
use std::collections::HashSet;
use std::ffi::{OsStr, OsString};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

/// What the names of pictures end with.
const EXTENSIONS: [&str; 3] = ["jpg", "jpeg", "png"];

/// Names of the folder of validation pictures beside `train`; the first that is there counts.
const VALIDATION: [&str; 4] = ["val", "valid", "validation", "test"];

/// Folders within each other below a class.
const MAX_DEPTH: usize = 32;

/// Layouts, for the errors.
const LAYOUT: &str = "train/<class>/<picture>.jpg or <class>/<picture>.jpg (jpg, jpeg or png)";

/// The pictures of one or more class folders, decoded when they are read.
#[derive(Debug)]
pub struct ImageFolder {
    frame: Frame,
    ignore_exif: bool,
    folders: Vec<PathBuf>,
    /// Folder and name of each picture.
    pictures: Vec<(u32, Box<OsStr>)>,
    ignored: usize,
    /// Decoders that no thread is using.
    decoders: Mutex<Vec<Decoder>>,
}

/// Pictures by class: names and labels of one of the two parts.
#[derive(Debug, Default)]
struct Classes {
    names: Vec<OsString>,
    /// Class of each picture.
    labels: Vec<u32>,
}

impl ImageFolder {
    fn new(frame: Frame, ignore_exif: bool) -> ImageFolder {
        ImageFolder {
            frame,
            ignore_exif,
            folders: Vec::new(),
            pictures: Vec::new(),
            ignored: 0,
            decoders: Mutex::default(),
        }
    }

    /// Number of pictures, training and validation.
    pub fn len(&self) -> usize {
        self.pictures.len()
    }

    /// True if there is no picture.
    pub fn is_empty(&self) -> bool {
        self.pictures.is_empty()
    }

    /// The file of picture `index`.
    pub fn path(&self, index: usize) -> Option<PathBuf> {
        let (folder, name) = self.pictures.get(index)?;
        Some(self.folders[*folder as usize].join(name.as_ref()))
    }

    /// The classes in `root`, their pictures added to the others.
    fn scan(&mut self, root: &Path) -> Result<Classes> {
        let mut classes = Classes::default();
        let home = place(root)?;
        for (name, kind) in entries(root)? {
            let path = root.join(&name);
            if hidden(&name) || kind != EntryKind::Folder {
                self.ignored += usize::from(kind != EntryKind::Folder);
                continue;
            }
            let before = self.pictures.len();
            let mut visited = Visited { home: &home, places: HashSet::new() };
            if !visited.enter(&path)? {
                return Err(Error::data(
                    path,
                    "expected a class folder, found a link to a folder that it lies in",
                ));
            }
            self.walk(path, 0, &mut visited)?;
            if self.pictures.len() > before {
                let class = classes.names.len() as u32;
                classes.labels.resize(classes.labels.len() + self.pictures.len() - before, class);
                classes.names.push(name);
            }
        }
        Ok(classes)
    }

    /// Adds the pictures of `folder` and of those in it.
    fn walk(&mut self, folder: PathBuf, depth: usize, visited: &mut Visited) -> Result<()> {
        if depth > MAX_DEPTH {
            return Err(Error::data(
                folder,
                format!("expected at most {MAX_DEPTH} folders within each other"),
            ));
        }
        let number = self.folders.len() as u32;
        let entries = entries(&folder)?;
        self.folders.push(folder.clone());
        for (name, kind) in entries {
            let is_folder = kind == EntryKind::Folder;
            if hidden(&name) || (!is_folder && !is_picture(&name)) {
                self.ignored += usize::from(!is_folder);
                continue;
            }
            if is_folder && !is_picture(&name) {
                let path = folder.join(&name);
                if visited.enter(&path)? {
                    self.walk(path, depth + 1, visited)?;
                    continue;
                }
            }
            if self.pictures.len() == u32::MAX as usize {
                return Err(Error::data(folder, format!("expected at most {} pictures in all", u32::MAX)));
            }
            self.pictures.push((number, name.into_boxed_os_str()));
        }
        Ok(())
    }
}

/// The folders of one class that were entered.
struct Visited<'a> {
    /// The folder that has the classes.
    home: &'a Path,
    places: HashSet<PathBuf>,
}

impl Visited<'_> {
    /// Whether `folder` is to be read: not if it was already, nor if the classes lie in it.
    fn enter(&mut self, folder: &Path) -> Result<bool> {
        let place = place(folder)?;
        Ok(!self.home.starts_with(&place) && self.places.insert(place))
    }
}

/// The one path that all links to `folder` lead to.
fn place(folder: &Path) -> Result<PathBuf> {
    folder.canonicalize().map_err(|error| Error::io(folder, error))
}

impl ImageFolder {
    /// Runs `decode` on the file of picture `index` with a decoder that no other thread is using.
    fn decode<T>(&self, index: usize, decode: impl FnOnce(&mut Decoder, &Path) -> Result<T>) -> Result<T> {
        let path = self
            .path(index)
            .ok_or_else(|| Error::Internal(format!("picture {index} of {} was asked for", self.len())))?;
        // Anything else was kept only so that it is named here.
        if !path.file_name().is_some_and(is_picture) {
            return Err(Error::data(
                path,
                "expected a folder, found a link to one that was read already or that it lies in",
            ));
        }
        let decoders = || self.decoders.lock().unwrap_or_else(PoisonError::into_inner);
        let mut decoder = decoders().pop().unwrap_or_else(|| Decoder::new().ignoring_exif(self.ignore_exif));
        let decoded = decode(&mut decoder, &path);
        decoders().push(decoder);
        decoded
    }
}

impl Store for ImageFolder {
    fn read(&self, index: usize, into: &mut [u8]) -> Result<()> {
        self.read_framed(index, &self.frame, into)
    }

    fn read_framed(&self, index: usize, frame: &Frame, into: &mut [u8]) -> Result<()> {
        self.decode(index, |decoder, path| decoder.read_framed(path, frame, into))
    }

    fn read_whole(
        &self,
        index: usize,
        channels: usize,
        side: usize,
        into: &mut Vec<u8>,
    ) -> Result<[usize; 2]> {
        self.decode(index, |decoder, path| decoder.read_whole(path, channels, side, into))
    }

    fn has_sizes(&self) -> bool {
        true
    }

    fn file(&self, index: usize) -> Option<PathBuf> {
        self.path(index)
    }

    fn ignored(&self) -> usize {
        self.ignored
    }
}

#[derive(Clone, Copy, PartialEq)]
pub(super) enum EntryKind {
    Folder,
    /// A file, or anything else, such as a link to nothing.
    Other,
}

/// What is in `folder`, in the order of the names' bytes.
pub(super) fn entries(folder: &Path) -> Result<Vec<(OsString, EntryKind)>> {
    let wrong = |error| Error::io(folder, error);
    let mut entries = Vec::new();
    for entry in fs::read_dir(folder).map_err(wrong)? {
        let entry = entry.map_err(wrong)?;
        let kind = entry.file_type().map_err(wrong)?;
        // Only links cost another question.
        let is_folder = kind.is_dir() || (kind.is_symlink() && entry.path().is_dir());
        entries.push((entry.file_name(), if is_folder { EntryKind::Folder } else { EntryKind::Other }));
    }
    entries.sort_unstable_by(|(a, _), (b, _)| a.as_encoded_bytes().cmp(b.as_encoded_bytes()));
    Ok(entries)
}

pub(super) fn hidden(name: &OsStr) -> bool {
    name.as_encoded_bytes().starts_with(b".")
}

pub(super) fn is_picture(name: &OsStr) -> bool {
    let extension = Path::new(name).extension().unwrap_or_default();
    EXTENSIONS.iter().any(|known| extension.eq_ignore_ascii_case(known))
}

/// Whether there are folders in `root`, which may be classes, or hold them.
pub(super) fn has_folders(root: &Path) -> bool {
    let visible = |(name, kind): &(OsString, EntryKind)| *kind == EntryKind::Folder && !hidden(name);
    entries(root).is_ok_and(|entries| entries.iter().any(visible))
}

/// The pictures in `root`, to be brought to `frame`, and turned upright unless `ignore_exif`.
pub(super) fn open(root: &Path, name: &str, frame: Frame, ignore_exif: bool) -> Result<Found> {
    let shape = frame.shape;
    if !matches!(shape[0], 1 | 3) {
        return Err(Error::Usage(format!(
            "dataset: picture files are grey or colour (1 or 3 channels), the model takes {} channels",
            shape[0]
        )));
    }
    if !root.is_dir() {
        return Err(Error::data(root, format!("expected a folder of pictures: {LAYOUT}, found a file")));
    }
    let train_path = root.join("train");
    let val_path = VALIDATION.iter().map(|name| root.join(name)).find(|path| path.is_dir());
    // A class may be called train too.
    let split = has_folders(&train_path);
    if !split && has_folders(&root.join("val")) {
        return Err(Error::data(root, format!("expected train beside val: {LAYOUT}, found none")));
    }
    let train_path = if split { train_path } else { root.to_path_buf() };
    let mut folder = ImageFolder::new(frame, ignore_exif);
    let train = folder.scan(&train_path)?;
    let train_count = folder.len();
    if folder.is_empty() {
        return Err(Error::data(root, format!("expected pictures: {LAYOUT}, found none")));
    }
    let mut val = None;
    if let Some(path) = val_path.filter(|_| split) {
        let mut found = folder.scan(&path)?;
        if found.labels.is_empty() {
            return Err(Error::data(path, "expected pictures: <class>/<picture>.jpg, found none"));
        }
        found.relabel(&train.names, &path)?;
        val = Some((found, path));
    }
    let store: Arc<dyn Store> = Arc::new(folder);
    let names: Vec<_> = train.names.iter().map(|name| printable_path(Path::new(name))).collect();
    let part = |classes: Classes, first: usize, path: PathBuf| {
        let indices = (first as u32..).take(classes.labels.len()).collect();
        let dataset = Dataset {
            name: name.to_string(),
            shape,
            classes: 0,
            class_names: names.clone(),
            images: Images::Stored(Stored {
                store: Arc::clone(&store),
                indices,
                framing: Some(frame.framing),
            }),
            labels: Labels::Classes(classes.labels),
        };
        Part { dataset, images_path: path.clone(), labels_path: path }
    };
    Ok(Found { val: val.map(|(val, path)| part(val, train_count, path)), train: part(train, 0, train_path) })
}

impl Classes {
    /// Numbers the classes as `names` does, which has to have them all; `root` is where they are.
    fn relabel(&mut self, names: &[OsString], root: &Path) -> Result<()> {
        let number = |name: &OsString| {
            let found = names.binary_search_by(|known| known.as_encoded_bytes().cmp(name.as_encoded_bytes()));
            found.map(|class| class as u32).map_err(|_| {
                Error::data(root.join(name), "expected a class that train has too, found one that it has not")
            })
        };
        let numbers = self.names.iter().map(number).collect::<Result<Vec<_>>>()?;
        for label in &mut self.labels {
            *label = numbers[*label as usize];
        }
        Ok(())
    }
}
