//! Opening a folder of images: the classes of its parts, and the labels of validation images that lie in one folder.

use super::super::annotations::{LabelSource, class_names};
use super::super::dataset::{Dataset, Images, Labels, Store, Stored};
use super::super::decoders::check_channels;
use super::super::diagnostics::{Diagnostics, ExtensionCounts, some};
use super::super::directory::LAYOUT;
use super::super::layout::{self, ValidationPart};
use super::super::raw::{RawSplit, RawSplits};
use super::super::request::Request;
use super::{Classes, ImageFolder};
use crate::error::{Error, Result, printable, printable_path};
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The images in `root` that `request` asks for.
pub(in super::super) fn open(
    root: &Path,
    name: &str,
    request: &Request,
    diagnostics: &mut Diagnostics,
) -> Result<RawSplits> {
    let (frame, ignore_exif) = (request.frame(), request.ignore_exif);
    let shape = frame.shape;
    check_channels(shape)?;
    if !root.is_dir() {
        return Err(Error::data(root, format!("expected a folder of images: {LAYOUT}, found a file")));
    }
    let layout = layout::find(root, !request.for_training, diagnostics)?;
    if layout.train != root && !layout.is_split {
        diagnostics.add(format!("the classes are the folders in {}", printable_path(&layout.train)));
    }
    let mut folder = ImageFolder::new(frame, ignore_exif);
    let train = folder.scan(&layout.train, diagnostics)?;
    let train_count = folder.len();
    if folder.is_empty() {
        return Err(Error::data(root, format!("expected images: {LAYOUT}, found none")));
    }
    let mut val = None;
    if let Some(part) = layout.val {
        let (found, path) = match part {
            ValidationPart::Classes(path) => {
                let mut found = folder.scan(&path, diagnostics)?;
                found.relabel(&train.names, &path, &layout.train)?;
                (found, path)
            }
            ValidationPart::Labelled(source) => {
                (folder.add_labelled(&source, &train, diagnostics)?, source.images)
            }
        };
        let missing = train.names.iter().filter(|name| found.names.binary_search(name).is_err());
        let missing: Vec<String> = missing.map(|name| printable_path(Path::new(name))).collect();
        if !missing.is_empty() {
            diagnostics.warn(format!("{} holds no images of {}", printable_path(&path), some(&missing)));
        }
        val = Some((found, path));
    }
    if folder.others.total() > 0 {
        let count = folder.others.total();
        let files = if count == 1 { "file is" } else { "files are" };
        diagnostics.add(format!("{count} other {files} left alone ({})", folder.others.words()));
    }
    let store: Arc<dyn Store> = Arc::new(folder);
    let names = class_names(&layout.base, &train.names, diagnostics)?;
    let names = names.unwrap_or_else(|| {
        train.names.iter().map(|name| printable_path(Path::new(name))).collect::<Vec<_>>()
    });
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
        RawSplit { dataset, images_path: path.clone(), labels_path: path }
    };
    Ok(RawSplits {
        val: val.map(|(val, path)| part(val, train_count, path)),
        train: part(train, 0, layout.train),
    })
}

impl ImageFolder {
    /// Adds the images that `source` labels, as if they lay in folders of the classes of `train`.
    fn add_labelled(
        &mut self,
        source: &LabelSource,
        train: &Classes,
        diagnostics: &mut Diagnostics,
    ) -> Result<Classes> {
        let images = source.read(&train.names, diagnostics)?;
        let folder = self.add_folder(source.images.clone());
        let mut classes = Classes::default();
        for image in images {
            self.add_listed(folder, &image.name, (&source.path, image.line))?;
            classes.labels.push(image.class);
            let name = &train.names[image.class as usize];
            // They come class by class.
            if classes.names.last() != Some(name) {
                classes.names.push(name.clone());
            }
        }
        Ok(classes)
    }
}

impl Classes {
    /// Numbers the classes as `names` does, which has to have them all; `root` is where they are, `train` where those are.
    fn relabel(&mut self, names: &[OsString], root: &Path, train: &Path) -> Result<()> {
        let find = |name: &OsString| {
            names.binary_search_by(|known| known.as_encoded_bytes().cmp(name.as_encoded_bytes())).ok()
        };
        let unknown: Vec<&OsString> = self.names.iter().filter(|name| find(name).is_none()).collect();
        if let Some(first) = unknown.first() {
            let there = ExtensionCounts::below(&train.join(first));
            let words = |names: &[&OsString]| {
                some(&names.iter().map(|name| printable_path(Path::new(name))).collect::<Vec<_>>())
            };
            let (part, all) = (words(&unknown), words(&names.iter().collect::<Vec<_>>()));
            let (class, is) = if unknown.len() == 1 { ("class", "is") } else { ("classes", "are") };
            let place = root.file_name().unwrap_or_default().to_string_lossy().into_owned();
            if there.total() == 0 {
                let what = format!("{class} {part} {is} in {} only; train has {all}", printable(&place));
                return Err(Error::data(root, what));
            }
            let what = format!(
                "expected a class that train has too, found one of which {} holds no image of a type that is read ({})",
                printable_path(&train.join(first)),
                there.words()
            );
            return Err(Error::data(root.join(first), what));
        }
        let numbers: Vec<u32> = self.names.iter().filter_map(find).map(|class| class as u32).collect();
        for label in &mut self.labels {
            *label = numbers[*label as usize];
        }
        Ok(())
    }
}
