//! CIFAR-10 and CIFAR-100 (<https://www.cs.toronto.edu/~kriz/cifar.html>). The binary version has rows of one label
//! byte (CIFAR-100: two, of which the second, the fine label, is used), then 3072 bytes of a 32x32 image, red, green
//! and blue planes. The Python version has the same in pickled dictionaries (`python.rs`); where both are, the binary one is
//! read. Images and labels are the same in the same order, so that both train to the same weights.

mod python;

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
    /// The same of the Python version.
    python: PythonFormat,
    label_bytes: usize,
    classes: usize,
}

/// The files of the Python version, and the names of labels and classes in them.
struct PythonFormat {
    train: &'static [&'static str],
    val: &'static str,
    names: &'static str,
    folder: &'static str,
    labels: &'static str,
    class_names: &'static str,
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
    python: PythonFormat {
        train: &["data_batch_1", "data_batch_2", "data_batch_3", "data_batch_4", "data_batch_5"],
        val: "test_batch",
        names: "batches.meta",
        folder: "cifar-10-batches-py",
        labels: "labels",
        class_names: "label_names",
    },
    label_bytes: 1,
    classes: 10,
};

pub(super) const CIFAR100: CifarFormat = CifarFormat {
    train: &["train.bin"],
    val: "test.bin",
    names: "fine_label_names.txt",
    folder: "cifar-100-binary",
    python: PythonFormat {
        train: &["train"],
        val: "test",
        names: "meta",
        folder: "cifar-100-python",
        labels: "fine_labels",
        class_names: "fine_label_names",
    },
    label_bytes: 2,
    classes: 100,
};

impl PythonFormat {
    /// The folder that has the set: all its files, since the names of CIFAR-100's say little, or one of the training files.
    fn locate(&self, root: &Path) -> Option<PathBuf> {
        let folders = [root.to_path_buf(), root.join(self.folder)];
        let has = |folder: &PathBuf| {
            let is_there = |name: &str| folder.join(name).is_file();
            let files = [self.val, self.names];
            match self.train {
                [train] => is_there(train) && files.iter().all(|name| is_there(name)),
                many => many.iter().any(|name| is_there(name)),
            }
        };
        folders.into_iter().find(has)
    }
}

/// An error if not all `files` are in `folder`.
fn check_files(folder: &Path, files: impl Iterator<Item = &'static str>) -> Result<()> {
    let absent: Vec<_> = files.filter(|name| !folder.join(name).is_file()).collect();
    match &absent[..] {
        [] => Ok(()),
        _ => Err(Error::data(folder, format!("expected {}, found no such file", absent.join(", ")))),
    }
}

/// Labels and pixels of the files `paths` in `folder` as samples.
fn split(
    name: &str,
    class_names: &[String],
    folder: &Path,
    paths: &[PathBuf],
    (labels, images): (Vec<u32>, Vec<u8>),
) -> RawSplit {
    let dataset = Dataset {
        name: name.to_string(),
        shape: SHAPE,
        classes: 0,
        class_names: class_names.to_vec(),
        images: Images::U8(images),
        labels: Labels::Classes(labels),
    };
    let path = if let [path] = paths { path.clone() } else { folder.to_path_buf() };
    RawSplit { dataset, images_path: path.clone(), labels_path: path }
}

impl CifarFormat {
    fn files(&self) -> impl Iterator<Item = &'static str> + use<> {
        self.train.iter().copied().chain([self.val])
    }

    /// The folder that has a file of the set: `root`, or the one that the archive makes in it.
    fn locate(&self, root: &Path) -> Option<PathBuf> {
        let folders = [root.to_path_buf(), root.join(self.folder)];
        folders.into_iter().find(|folder| self.files().any(|name| folder.join(name).is_file()))
    }

    /// Whether `root` has a file of the set, of either version.
    pub fn is_in(&self, root: &Path) -> bool {
        self.locate(root).is_some() || self.python.locate(root).is_some()
    }

    /// Reads the set in `root`: all its training files and its test file.
    pub fn open(&self, root: &Path, name: &str) -> Result<RawSplits> {
        if let (None, Some(folder)) = (self.locate(root), self.python.locate(root)) {
            return self.open_python(&folder, name);
        }
        let folder = self.locate(root).unwrap_or_else(|| root.to_path_buf());
        check_files(&folder, self.files())?;
        let names = self.class_names(&folder)?;
        let part = |files: &[&str]| {
            let paths: Vec<_> = files.iter().map(|file| folder.join(file)).collect();
            Ok(split(name, &names, &folder, &paths, self.read(&paths)?))
        };
        Ok(RawSplits { train: part(self.train)?, val: Some(part(&[self.val])?) })
    }

    fn open_python(&self, folder: &Path, name: &str) -> Result<RawSplits> {
        let PythonFormat { train, val, names, labels: key, class_names, .. } = self.python;
        check_files(folder, train.iter().copied().chain([val]))?;
        let names = match folder.join(names) {
            path if path.is_file() => python::read_names(&path, class_names, self.classes)?,
            _ => (0..self.classes).map(|class| class.to_string()).collect(),
        };
        let part = |files: &[&str]| {
            let paths: Vec<_> = files.iter().map(|file| folder.join(file)).collect();
            let (mut labels, mut images) = (Vec::new(), Vec::new());
            for path in &paths {
                python::read_batch(path, key, self.classes, &mut labels, &mut images)?;
            }
            Ok(split(name, &names, folder, &paths, (labels, images)))
        };
        Ok(RawSplits { train: part(train)?, val: Some(part(&[val])?) })
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
