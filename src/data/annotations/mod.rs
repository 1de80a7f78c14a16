//! ImageNet's own files of labels, for validation images that lie in one folder: those of Kaggle's copy, of the development kit
//! and of Tiny ImageNet. Classes are named by the WordNet ID of their training folders; the files that say what they are called
//! are read too.

mod labels;
mod synsets;

use super::parts::Role;
use crate::error::{Error, Result};
use std::path::{Path, PathBuf};
pub(super) use synsets::class_names;

/// Tiny ImageNet: rows of file name, WordNet ID and a box, in the folder of the part.
const TINY: &str = "val_annotations.txt";

/// Kaggle: rows of `ImageId` and boxes, each with a WordNet ID before it.
const SOLUTION: &str = "LOC_val_solution.csv";

/// The development kit: one number of a class for each image, in the kit's own order of classes.
const TRUTH: &str = "ILSVRC2012_validation_ground_truth.txt";

/// What the numbers of the kit stand for: rows of WordNet ID, number and a word (the kit of 2014 and later; that of 2012 has a
/// file of MATLAB instead).
const MAP: &str = "map_clsloc.txt";

/// Where a development kit may lie, in the folder with the parts.
const KITS: [&str; 4] = ["", "ILSVRC2012_devkit_t12/data", "devkit/data", "data"];

/// Folders above Kaggle's `ILSVRC/Data/CLS-LOC`, up to the one with the tables.
const ABOVE: usize = 3;

/// A file that labels the images of one folder.
#[derive(Clone, Debug)]
pub(super) struct LabelSource {
    kind: SourceKind,
    pub path: PathBuf,
    /// The folder of the images.
    pub images: PathBuf,
}

#[derive(Clone, Debug)]
enum SourceKind {
    Tiny,
    Solution,
    Truth { map: PathBuf },
}

/// The folders in which files about the data set with the parts in `base` may lie.
fn places(base: &Path) -> impl Iterator<Item = &Path> {
    let above = if base.ends_with("CLS-LOC") { ABOVE } else { 0 };
    base.ancestors().take(1 + above)
}

impl LabelSource {
    /// The file that labels the images of `folder`, the part `role` of the data set in `base`, if there is one.
    ///
    /// An error for numbers of classes without the file that says what they stand for.
    pub fn find(base: &Path, folder: &Path, role: Role) -> Result<Option<LabelSource>> {
        let inner = folder.join("images");
        let images = if inner.is_dir() { inner } else { folder.to_path_buf() };
        let found =
            |kind: SourceKind, path: PathBuf| Ok(Some(LabelSource { kind, path, images: images.clone() }));
        let tiny = folder.join(TINY);
        if tiny.is_file() {
            return found(SourceKind::Tiny, tiny);
        }
        // The other files are of the validation images alone.
        if role != Role::Validation {
            return Ok(None);
        }
        if let Some(path) = places(base).map(|place| place.join(SOLUTION)).find(|path| path.is_file()) {
            return found(SourceKind::Solution, path);
        }
        let kits = places(base).flat_map(|place| KITS.map(|kit| place.join(kit)));
        let Some(kit) = kits.into_iter().find(|kit| kit.join(TRUTH).is_file()) else { return Ok(None) };
        let (path, map) = (kit.join(TRUTH), kit.join(MAP));
        if !map.is_file() {
            return Err(Error::data(
                path,
                format!(
                    "expected {MAP} beside it, which says what its numbers stand for, found none: they count the classes in \
                     ILSVRC's own order, not in that of their names; {SOLUTION}, or validation images in folders named for \
                     their classes, do without"
                ),
            ));
        }
        found(SourceKind::Truth { map }, path)
    }
}
