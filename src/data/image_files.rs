//! Image files without labels: the files that the caller lists, in that order, decoded exactly as those of a folder of classes.

use super::dataset::{Dataset, Images, Labels, Store, Stored};
use super::decoders::{Decoders, check_channels};
use super::directory::{EntryKind, entries, hidden, is_image};
use super::framing::Frame;
use crate::error::{Error, Result};
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

/// The image files directly in `folder` (taken for images by their names: jpg, jpeg, jpe, jfif, png, tif, tiff, bmp, dib, webp, gif; none that begins with a dot), in the order
/// of their names' bytes.
pub fn images_in_folder(folder: &Path) -> Result<Vec<PathBuf>> {
    let is_wanted = |(name, kind): &(std::ffi::OsString, EntryKind)| {
        *kind == EntryKind::Other && !hidden(name) && is_image(name)
    };
    let files: Vec<_> =
        entries(folder)?.into_iter().filter(is_wanted).map(|(name, _)| folder.join(name)).collect();
    if files.is_empty() {
        return Err(Error::data(
            folder,
            "expected images (jpg, png, tif, bmp, webp or gif) directly in it, found none",
        ));
    }
    Ok(files)
}
