//! Data sets to be packed, and packs of them, read again.

use crate::dataset::{classes, request};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use striate::Error;
use striate::data::{Dataset, Images, Labels, PackSummary, ScanObserver, Splits, open, pack};

pub const SHAPE: [usize; 3] = [3, 5, 7];

/// Pixels that differ in every image, and classes in turn.
pub fn dataset(count: usize, first: usize, shape: [usize; 3]) -> Dataset {
    let image_len: usize = shape.iter().product();
    let pixel = |i: usize| ((i * i) >> 3 ^ (i * 31)) as u8;
    Dataset {
        name: "waves".into(),
        shape,
        classes: 3,
        class_names: ["a", "b \"quoted\"", "\u{e9}"].map(String::from).to_vec(),
        images: Images::U8((first * image_len..(first + count) * image_len).map(pixel).collect()),
        labels: Labels::Classes((0..count as u32).map(|i| i % 3).collect()),
    }
}

pub fn splits(train: usize, val: usize) -> Splits {
    let train = Arc::new(dataset(train, 0, SHAPE));
    let val = if val == 0 { Arc::clone(&train) } else { Arc::new(dataset(val, 1000, SHAPE)) };
    Splits::new(train, val)
}

/// What was bad and what was done; the first bad image ends the pass if it is to.
#[derive(Default)]
pub struct Seen {
    pub bad: Vec<String>,
    pub done: Vec<(usize, usize)>,
    pub strict: bool,
}

impl ScanObserver for Seen {
    fn bad(&mut self, error: Error) -> striate::Result<()> {
        if self.strict {
            return Err(error);
        }
        self.bad.push(error.to_string());
        Ok(())
    }

    fn done(&mut self, count: usize, all: usize) -> striate::Result<()> {
        self.done.push((count, all));
        Ok(())
    }
}

pub fn strict() -> Seen {
    Seen { strict: true, ..Seen::default() }
}

pub fn write(splits: &Splits, path: &Path, workers: usize) -> PackSummary {
    pack(splits, path, workers, &mut strict()).unwrap()
}

/// Every image with its class, in the order of the data set.
pub fn content(dataset: &Dataset) -> striate::Result<Vec<(Vec<u8>, u32)>> {
    let one = |sample: usize| {
        let mut pixels = vec![0; dataset.image_len()];
        dataset.read_pixels(sample, &mut pixels)?;
        Ok((pixels, classes(dataset)[sample]))
    };
    (0..dataset.len()).map(one).collect()
}

/// A folder of images of several sizes, two classes, and the same as a pack of shorter sides of 12.
pub fn whole(root: &Path) -> (PathBuf, PathBuf) {
    let folder = root.join("photos");
    let sizes = [[31, 20], [20, 47], [12, 12], [5, 9], [40, 12], [100, 7], [64, 48]];
    for (number, [width, height]) in (0u32..).zip(sizes) {
        let path = folder.join(format!("{}/{number}.png", if number % 3 == 0 { "a" } else { "b" }));
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        let colour = |x: u32, y: u32, c: u32| ((x * x * 3 + y * 11 + c * 70 + number * 40) % 256) as u8;
        image::RgbImage::from_fn(width, height, |x, y| image::Rgb([0, 1, 2].map(|c| colour(x, y, c))))
            .save(&path)
            .unwrap();
    }
    let path = root.join("whole.safetensors");
    let splits = unpacked(&folder, Some(0.3)).whole(None, Some(12)).unwrap();
    let summary = pack(&splits, &path, 3, &mut strict()).unwrap();
    assert_eq!((summary.counts, summary.skipped), ([5, 2], 0));
    assert_eq!(summary.bytes, path.metadata().unwrap().len());
    (folder, path)
}

pub fn unpacked(path: &Path, val_split: Option<f32>) -> Splits {
    open(&request(path, [3, 12, 12], 2).with_val_split(val_split).with_seed(4).with_model(None)).unwrap()
}
