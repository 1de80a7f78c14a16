//! STL-10 in its binary version (<https://cs.stanford.edu/~acoates/stl10/>): images of 96x96 in three planes, each column by
//! column, and labels from 1 to 10. `unlabeled_X.bin` is not read.

use super::dataset::{Dataset, Images, Labels};
use super::raw::{RawSplit, RawSplits};
use crate::error::{Error, Result};
use std::fs::File;
use std::io::{BufReader, Read};
use std::path::{Path, PathBuf};

const SIDE: usize = 96;
const PIXELS: usize = 3 * SIDE * SIDE;
const CLASSES: usize = 10;

/// Where the archive unpacks to.
const FOLDER: &str = "stl10_binary";

/// Images and labels of the two parts.
const TRAIN: [&str; 2] = ["train_X.bin", "train_y.bin"];
const TEST: [&str; 2] = ["test_X.bin", "test_y.bin"];
const NAMES: &str = "class_names.txt";

/// Longest file of class names that is read, in bytes.
const MAX_NAMES: u64 = 1 << 16;

/// The folder that has the set: `root`, or the one that the archive makes in it.
fn locate(root: &Path) -> Option<PathBuf> {
    let folders = [root.to_path_buf(), root.join(FOLDER)];
    folders.into_iter().find(|folder| folder.join(TRAIN[0]).is_file())
}

/// Whether `root` has the set.
pub(super) fn is_in(root: &Path) -> bool {
    locate(root).is_some()
}

/// Reads the set in `root`: the labelled training images, and the test images for validation.
pub(super) fn open(root: &Path, name: &str) -> Result<RawSplits> {
    let folder = locate(root).unwrap_or_else(|| root.to_path_buf());
    let files = TRAIN.into_iter().chain(TEST);
    let absent: Vec<_> = files.filter(|file| !folder.join(file).is_file()).collect();
    if !absent.is_empty() {
        return Err(Error::data(folder, format!("expected {}, found no such file", absent.join(", "))));
    }
    let names = class_names(&folder.join(NAMES))?;
    let part = |[images, labels]: [&str; 2]| -> Result<RawSplit> {
        let [images_path, labels_path] = [images, labels].map(|file| folder.join(file));
        let labels = read_labels(&labels_path)?;
        let dataset = Dataset {
            name: name.to_string(),
            shape: [3, SIDE, SIDE],
            classes: 0,
            class_names: names.clone(),
            images: Images::U8(read_images(&images_path, labels.len())?),
            labels: Labels::Classes(labels),
        };
        Ok(RawSplit { dataset, images_path, labels_path })
    };
    Ok(RawSplits { train: part(TRAIN)?, val: Some(part(TEST)?) })
}

/// The lines of the file of class names, if it is there; numbers from 1 on where it is not, as in the files of labels.
fn class_names(path: &Path) -> Result<Vec<String>> {
    if !path.is_file() {
        return Ok((1..=CLASSES).map(|class| class.to_string()).collect());
    }
    let file = File::open(path).map_err(|error| Error::io(path, error))?;
    let mut text = String::new();
    file.take(MAX_NAMES).read_to_string(&mut text).map_err(|error| Error::io(path, error))?;
    let names: Vec<_> =
        text.lines().map(str::trim).filter(|line| !line.is_empty()).map(String::from).collect();
    if names.len() != CLASSES {
        let what = format!("expected {CLASSES} class names, one per line, found {}", names.len());
        return Err(Error::data(path, what));
    }
    Ok(names)
}

fn length(path: &Path) -> Result<u64> {
    Ok(std::fs::metadata(path).map_err(|error| Error::io(path, error))?.len())
}

/// The labels, from 0 on.
fn read_labels(path: &Path) -> Result<Vec<u32>> {
    let count = length(path)?;
    if count == 0 || count > u64::from(u32::MAX) {
        return Err(Error::data(path, format!("expected a byte for each image, found {count}")));
    }
    let too_large = |_| Error::Memory(format!("{count} labels do not fit in memory"));
    let (mut bytes, mut labels) = (Vec::new(), Vec::new());
    bytes.try_reserve_exact(count as usize).map_err(too_large)?;
    labels.try_reserve_exact(count as usize).map_err(too_large)?;
    let wrong = |error| Error::io(path, error);
    File::open(path).map_err(wrong)?.take(count).read_to_end(&mut bytes).map_err(wrong)?;
    for (row, label) in bytes.into_iter().enumerate() {
        if !(1..=CLASSES as u8).contains(&label) {
            let what = format!("row {row}: expected a label from 1 to {CLASSES}, found {label}");
            return Err(Error::data(path, what));
        }
        labels.push(u32::from(label) - 1);
    }
    Ok(labels)
}

/// The pixels of `count` images, row by row. The length of the file is checked before anything is allocated.
fn read_images(path: &Path, count: usize) -> Result<Vec<u8>> {
    let (found, needed) = (length(path)?, count as u64 * PIXELS as u64);
    if found != needed {
        let what = format!(
            "expected {needed} bytes ({count} images of 3x{SIDE}x{SIDE}, one for each label), found {found}"
        );
        return Err(Error::data(path, what));
    }
    let mut images = Vec::new();
    let room = images.try_reserve_exact(needed as usize);
    room.map_err(|_| Error::Memory(format!("{count} images of 3x{SIDE}x{SIDE} bytes do not fit in memory")))?;
    let wrong = |error| Error::io(path, error);
    let mut file = BufReader::with_capacity(1 << 16, File::open(path).map_err(wrong)?);
    let mut image = vec![0; PIXELS];
    for _ in 0..count {
        file.read_exact(&mut image).map_err(wrong)?;
        for plane in image.chunks_exact(SIDE * SIDE) {
            images.extend((0..SIDE * SIDE).map(|at| plane[at % SIDE * SIDE + at / SIDE]));
        }
    }
    Ok(images)
}
