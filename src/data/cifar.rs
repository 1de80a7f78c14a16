//! CIFAR-10 and CIFAR-100 in their binary version (<https://www.cs.toronto.edu/~kriz/cifar.html>): rows of one label
//! byte (CIFAR-100: two, of which the second, the fine label, is used), then 3072 bytes of a 32x32 image, red, green
//! and blue planes.

use super::dataset::{Dataset, Images, Labels};
use super::raw::{RawSplit, RawSplits};
use crate::error::{Error, Result};
use std::fs::File;
use std::io::{BufReader, Read};
use std::path::{Path, PathBuf};

/// Channels, height, width.
const SHAPE: [usize; 3] = [3, 32, 32];
const PIXELS: usize = 3 * 32 * 32;

/// Longest file of class names that is read, in bytes.
const MAX_NAMES: u64 = 1 << 16;

/// What tells the two sets apart.
pub(super) struct CifarFormat {
    train: &'static [&'static str],
    val: &'static str,
    names: &'static str,
    /// Where the archive unpacks to.
    folder: &'static str,
    label_bytes: usize,
    classes: usize,
}

pub(super) const CIFAR10: CifarFormat = CifarFormat {
    train: &[
        "data_batch_1.bin",
        "data_batch_2.bin",
        "data_batch_3.bin",
        "data_batch_4.bin",
        "data_batch_5.bin",
    ],
    val: "test_batch.bin",
    names: "batches.meta.txt",
    folder: "cifar-10-batches-bin",
    label_bytes: 1,
    classes: 10,
};

pub(super) const CIFAR100: CifarFormat = CifarFormat {
    train: &["train.bin"],
    val: "test.bin",
    names: "fine_label_names.txt",
    folder: "cifar-100-binary",
    label_bytes: 2,
    classes: 100,
};

impl CifarFormat {
    fn files(&self) -> impl Iterator<Item = &'static str> {
        self.train.iter().copied().chain([self.val])
    }

    /// The folder that has a file of the set: `root`, or the one that the archive makes in it.
    fn locate(&self, root: &Path) -> Option<PathBuf> {
        let folders = [root.to_path_buf(), root.join(self.folder)];
        folders.into_iter().find(|folder| self.files().any(|name| folder.join(name).is_file()))
    }

    /// Whether `root` has a file of the set.
    pub fn is_in(&self, root: &Path) -> bool {
        self.locate(root).is_some()
    }

    /// Reads the set in `root`: all its training files and its test file.
    pub fn open(&self, root: &Path, name: &str) -> Result<RawSplits> {
        let missing =
            |folder: &Path| -> Vec<_> { self.files().filter(|name| !folder.join(name).is_file()).collect() };
        let folder = self.locate(root).unwrap_or_else(|| root.to_path_buf());
        let absent = missing(&folder);
        if !absent.is_empty() {
            return Err(Error::data(folder, format!("expected {}, found no such file", absent.join(", "))));
        }
        let names = self.class_names(&folder)?;
        let part = |files: &[&str]| -> Result<RawSplit> {
            let paths: Vec<_> = files.iter().map(|file| folder.join(file)).collect();
            let (labels, images) = self.read(&paths)?;
            let dataset = Dataset {
                name: name.to_string(),
                shape: SHAPE,
                classes: 0,
                class_names: names.clone(),
                images: Images::U8(images),
                labels: Labels::Classes(labels),
            };
            let path = if let [path] = &paths[..] { path.clone() } else { folder.clone() };
            Ok(RawSplit { dataset, images_path: path.clone(), labels_path: path })
        };
        Ok(RawSplits { train: part(self.train)?, val: Some(part(&[self.val])?) })
    }

    /// The lines of the file of class names, if it is there; numbers where it is not.
    fn class_names(&self, folder: &Path) -> Result<Vec<String>> {
        let path = folder.join(self.names);
        if !path.is_file() {
            return Ok((0..self.classes).map(|class| class.to_string()).collect());
        }
        let file = File::open(&path).map_err(|error| Error::io(&path, error))?;
        let mut text = String::new();
        file.take(MAX_NAMES).read_to_string(&mut text).map_err(|error| Error::io(&path, error))?;
        let names: Vec<_> =
            text.lines().map(str::trim).filter(|line| !line.is_empty()).map(String::from).collect();
        if names.len() != self.classes {
            return Err(Error::data(
                path,
                format!("expected {} class names, one per line, found {}", self.classes, names.len()),
            ));
        }
        Ok(names)
    }

    /// Labels and pixels of all rows of the files. Their lengths are checked before anything is allocated.
    fn read(&self, paths: &[PathBuf]) -> Result<(Vec<u32>, Vec<u8>)> {
        let row_len = self.label_bytes + PIXELS;
        let mut counts = Vec::new();
        for path in paths {
            let length = std::fs::metadata(path).map_err(|error| Error::io(path, error))?.len();
            if length == 0 || length % row_len as u64 != 0 {
                return Err(Error::data(
                    path,
                    format!("expected rows of {row_len} bytes, found {length} bytes"),
                ));
            }
            counts.push((length / row_len as u64) as usize);
        }
        let count: usize = counts.iter().sum();
        let too_large = |_| Error::Memory(format!("{count} images of 3x32x32 bytes do not fit in memory"));
        let (mut labels, mut images) = (Vec::new(), Vec::new());
        images.try_reserve_exact(count.saturating_mul(PIXELS)).map_err(too_large)?;
        labels.try_reserve_exact(count).map_err(too_large)?;
        let mut row = vec![0; row_len];
        for (path, count) in paths.iter().zip(counts) {
            let wrong = |error| Error::io(path, error);
            let mut file = BufReader::with_capacity(1 << 16, File::open(path).map_err(wrong)?);
            for number in 0..count {
                file.read_exact(&mut row).map_err(wrong)?;
                let (head, pixels) = row.split_at(self.label_bytes);
                let label = head.last().copied().map_or(0, u32::from);
                if label as usize >= self.classes {
                    return Err(Error::data(
                        path,
                        format!("row {number}: expected a class below {}, found {label}", self.classes),
                    ));
                }
                labels.push(label);
                images.extend_from_slice(pixels);
            }
        }
        Ok((labels, images))
    }
}
