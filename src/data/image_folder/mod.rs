//! Folders of images: `root/train/<class>/**/<file>` and `root/val/<class>/**/<file>`, or `root/<class>/**/<file>`, whose
//! samples are then split. Where the class folders are, and what the parts may be called, is determined by `layout`. A class
//! is a folder with an image somewhere below; classes are numbered by name,
//! images by path, both in the order of their bytes, independent of the file system's order.
//!
//! Files are taken for images by their names (.jpg, .jpeg, .jpe, .jfif, .png, .tif, .tiff, .bmp, .dib, .webp, .gif in any case)
//! and decoded on demand by what they hold; only paths
//! are kept in memory. Other files, and all names that begin with a dot, are counted and left alone; images of other types and
//! folders without images are reported by class. Links are
//! followed, into each folder once per class; a second way into it counts as an image that cannot be read, so that
//! it is named. So does any other file that is named like an image.

mod open;

use super::dataset::Store;
use super::decode::Decoder;
use super::decoders::Decoders;
use super::diagnostics::{Diagnostics, ExtensionCounts, SkippedClasses, some};
use super::directory::{EntryKind, MAX_DEPTH, canonical, entries, hidden, is_image};
use super::framing::Frame;
use super::level::{class_root, folder_names, is_stray};
use super::listed::ListedImages;
use crate::error::{Error, Result, printable_path};
pub(super) use open::open;
use std::collections::HashSet;
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

/// The images of one or more class folders, decoded when they are read.
#[derive(Debug)]
pub struct ImageFolder {
    frame: Frame,
    folders: Vec<PathBuf>,
    /// Folder and name of each image.
    images: Vec<(u32, Box<OsStr>)>,
    ignored: usize,
    /// Files that are not images, by type, except hidden ones.
    others: ExtensionCounts,
    /// Images that a list names.
    listed: ListedImages,
    /// Decoders that no thread is using.
    decoders: Decoders,
}

/// Images by class: names and labels of one of the two parts.
#[derive(Debug, Default)]
struct Classes {
    names: Vec<OsString>,
    /// Class of each image.
    labels: Vec<u32>,
}

impl ImageFolder {
    /// Without images.
    pub(super) fn new(frame: Frame, ignore_exif: bool) -> ImageFolder {
        ImageFolder {
            frame,
            folders: Vec::new(),
            images: Vec::new(),
            ignored: 0,
            others: ExtensionCounts::default(),
            listed: ListedImages::default(),
            decoders: Decoders::new(ignore_exif),
        }
    }

    /// Number of images, training and validation.
    pub fn len(&self) -> usize {
        self.images.len()
    }

    /// True if there is no image.
    pub fn is_empty(&self) -> bool {
        self.images.is_empty()
    }

    /// The file of image `index`.
    pub fn path(&self, index: usize) -> Option<PathBuf> {
        let (folder, name) = self.images.get(index)?;
        Some(self.folders[*folder as usize].join(name.as_ref()))
    }

    /// Adds a folder for [`ImageFolder::add_listed`]; returns its number.
    pub(super) fn add_folder(&mut self, folder: PathBuf) -> u32 {
        self.folders.push(folder);
        self.folders.len() as u32 - 1
    }

    /// Adds the file `name` of folder number `folder`, whatever it is called, which line `line` of `list` names.
    pub(super) fn add_listed(&mut self, folder: u32, name: &OsStr, (list, line): (&Path, u64)) -> Result<()> {
        self.listed.add(list, self.images.len(), line);
        self.add(folder, name.into())
    }

    fn add(&mut self, folder: u32, name: Box<OsStr>) -> Result<()> {
        if self.images.len() == u32::MAX as usize {
            let folder = self.folders.get(folder as usize).cloned().unwrap_or_default();
            return Err(Error::data(folder, format!("expected at most {} images in all", u32::MAX)));
        }
        self.images.push((folder, name));
        Ok(())
    }

    /// The classes in `root`, their images added to the others.
    fn scan(&mut self, root: &Path, diagnostics: &mut Diagnostics) -> Result<Classes> {
        let mut classes = Classes::default();
        let home = canonical(root)?;
        let mut outside = ExtensionCounts::default();
        // Those in which another folder than one called images or the like holds images.
        let mut nested: Vec<(String, PathBuf)> = Vec::new();
        let mut left_out = SkippedClasses::default();
        for (name, kind) in entries(root)? {
            let path = root.join(&name);
            if is_stray(&name) || kind != EntryKind::Folder {
                self.ignored += usize::from(kind != EntryKind::Folder);
                if kind != EntryKind::Folder && !hidden(&name) {
                    outside.count(&name);
                }
                continue;
            }
            let before = self.images.len();
            let mut visited = Visited { home: &home, places: HashSet::new() };
            if !visited.enter(&path)? {
                return Err(Error::data(
                    path,
                    "expected a class folder, found a link to a folder that it lies in",
                ));
            }
            let first = self.folders.len();
            let others = std::mem::take(&mut self.others);
            self.walk(path.clone(), 0, &mut visited)?;
            let here = std::mem::replace(&mut self.others, others);
            self.others.add(&here);
            let count = self.images.len() - before;
            let class = printable_path(Path::new(&name));
            diagnostics.passed_over.extend(here.passed_over(&class));
            left_out.add(class.clone(), count, here);
            if count > 0 {
                let label = classes.names.len() as u32;
                classes.labels.resize(classes.labels.len() + count, label);
                classes.names.push(name);
                if self.folders.len() > first + 1 {
                    let has_images = self.has_images(first, before);
                    let around = if has_images { path } else { class_root(&path, &[])? };
                    let inner = folder_names(&around)?;
                    let is_alone = inner.len() == 1 && !has_images;
                    if !inner.is_empty() && !is_alone {
                        nested.push((format!("{class} ({})", some(&inner)), around));
                    }
                }
            }
        }
        left_out.lines().into_iter().for_each(|line| diagnostics.warn(line));
        if let Some((_, around)) = nested.first() {
            diagnostics.warn(format!(
                "class folders hold folders, whose images count for the class: {}; for the inner ones as classes name a folder \
                 with them, such as --data-path {}",
                some(&nested.iter().map(|(text, _)| text.clone()).collect::<Vec<_>>()),
                printable_path(around)
            ));
        }
        diagnostics.passed_over.extend(outside.passed_over(""));
        self.others.add(&outside);
        Ok(classes)
    }

    /// Whether an image from number `first` on lies in the folder of number `folder` itself.
    fn has_images(&self, folder: usize, first: usize) -> bool {
        self.images[first..].iter().any(|(place, _)| *place as usize == folder)
    }

    /// Adds the images of `folder` and of those in it.
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
            if hidden(&name) || (!is_folder && !is_image(&name)) {
                self.ignored += usize::from(!is_folder);
                if !is_folder && !hidden(&name) {
                    self.others.count(&name);
                }
                continue;
            }
            if is_folder && !is_image(&name) {
                let path = folder.join(&name);
                if visited.enter(&path)? {
                    self.walk(path, depth + 1, visited)?;
                    continue;
                }
            }
            self.add(number, name.into_boxed_os_str())?;
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
    /// Whether to read `folder`: not if it was already, nor if the classes lie in it.
    fn enter(&mut self, folder: &Path) -> Result<bool> {
        let place = canonical(folder)?;
        Ok(!self.home.starts_with(&place) && self.places.insert(place))
    }
}

impl ImageFolder {
    /// Runs `decode` on the file of image `index` with a decoder that no other thread is using.
    fn decode<T>(&self, index: usize, decode: impl FnOnce(&mut Decoder, &Path) -> Result<T>) -> Result<T> {
        let path = self
            .path(index)
            .ok_or_else(|| Error::Internal(format!("image {index} of {} was asked for", self.len())))?;
        // Anything else was kept only so that it is named here.
        if !path.file_name().is_some_and(is_image) && !self.listed.has(index) {
            return Err(Error::data(
                path,
                "expected a folder, found a link to one that was read already or that it lies in",
            ));
        }
        let decoded = self.decoders.with(|decoder| decode(decoder, &path));
        decoded.map_err(|error| self.listed.explained(index, error))
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

    fn size(&self, index: usize) -> Result<[usize; 3]> {
        self.decode(index, |decoder, path| decoder.size_of(&path))
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
