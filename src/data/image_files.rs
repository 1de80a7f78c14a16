//! Image files without labels: the files that the caller lists, in that order, decoded exactly as those of a folder of classes.

use super::dataset::{Dataset, Images, Labels, Store, Stored};
use super::decoders::{Decoders, check_channels};
use super::directory::{EntryKind, MAX_DEPTH, canonical, entries, hidden, is_image};
use super::framing::Frame;
use crate::error::{Error, Result};
use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Image files, decoded when they are read.
#[derive(Debug)]
struct ImageFiles {
    frame: Frame,
    files: Vec<PathBuf>,
    decoders: Decoders,
}

impl Store for ImageFiles {
    fn read(&self, index: usize, into: &mut [u8]) -> Result<()> {
        self.read_framed(index, &self.frame, into)
    }

    fn read_framed(&self, index: usize, frame: &Frame, into: &mut [u8]) -> Result<()> {
        let path = self
            .files
            .get(index)
            .ok_or_else(|| Error::Internal(format!("image {index} of {} was asked for", self.files.len())))?;
        self.decoders.with(|decoder| decoder.read_framed(path, frame, into))
    }

    fn has_sizes(&self) -> bool {
        true
    }

    fn file(&self, index: usize) -> Option<PathBuf> {
        self.files.get(index).cloned()
    }
}

/// The image `files`, in this order, brought to `frame`, and turned upright unless `ignore_exif`. Nothing is opened yet.
/// All labels are class 0 of `classes`, so accuracies over them are meaningless.
pub fn image_files(files: Vec<PathBuf>, frame: Frame, classes: usize, ignore_exif: bool) -> Result<Dataset> {
    let shape = frame.shape;
    check_channels(shape)?;
    let count = u32::try_from(files.len())
        .map_err(|_| Error::Usage(format!("expected at most {} images, found {}", u32::MAX, files.len())))?;
    let store = Arc::new(ImageFiles { frame, files, decoders: Decoders::new(ignore_exif) });
    Ok(Dataset {
        name: "images".into(),
        shape,
        classes,
        class_names: (0..classes).map(|class| class.to_string()).collect(),
        images: Images::Stored(Stored { store, indices: (0..count).collect(), framing: Some(frame.framing) }),
        labels: Labels::Classes(vec![0; count as usize]),
    })
}

/// The image files in `folder` and in the folders below it (taken for images by their names: jpg, jpeg, jpe, jfif, png, tif, tiff, bmp, dib,
/// webp, gif; none that begins with a dot, nor in a folder that does), folder by folder in the order of their names' bytes. Links are
/// followed, into each folder once.
///
/// # Errors
///
/// If there is no image, or folders lie more than 32 deep.
pub fn images_in_folder(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    add_images(folder, 0, &mut HashSet::from([canonical(folder)?]), &mut files)?;
    if files.is_empty() {
        return Err(Error::data(
            folder,
            "expected images (jpg, png, tif, bmp, webp or gif) in it or in the folders below, found none",
        ));
    }
    Ok(files)
}

fn add_images(
    folder: &Path,
    depth: usize,
    visited: &mut HashSet<PathBuf>,
    files: &mut Vec<PathBuf>,
) -> Result<()> {
    if depth > MAX_DEPTH {
        return Err(Error::data(folder, format!("expected at most {MAX_DEPTH} folders within each other")));
    }
    for (name, kind) in entries(folder)?.into_iter().filter(|(name, _)| !hidden(name)) {
        let path = folder.join(&name);
        if kind == EntryKind::Other {
            files.extend(is_image(&name).then_some(path));
        } else if visited.insert(canonical(&path)?) {
            add_images(&path, depth + 1, visited, files)?;
        }
    }
    Ok(())
}
