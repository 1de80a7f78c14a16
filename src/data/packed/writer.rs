//! Writing: images are read by threads and written in one pass; the header, whose place was kept free, comes last.

use super::{HEADER_LIMIT, ImageLayout, LENGTH, PackedLayout, header};
use crate::atomic::NewFile;
use crate::data::dataset::{Dataset, Labels};
use crate::data::framing::Framing;
use crate::data::scan::{Scan, ScanObserver, with_threads};
use crate::data::splits::Splits;
use crate::data::statistics::{Moments, Pca, Statistics};
use crate::error::{Error, Result};
use std::io::{Seek, SeekFrom, Write};
use std::path::Path;
use std::sync::Arc;
use xxhash_rust::xxh3::Xxh3;

/// Room in the header for what its first draft does not have.
const SLACK: usize = 256;

/// More pixels than a file can hold: the longest number in its place.
const MOST_PIXELS: usize = 1_000_000_000_000_000;

/// The number that takes the most characters.
const LONGEST: f64 = -1.234_567_890_123_456_7e-300;

/// What was packed.
#[derive(Clone, Debug)]
pub struct PackSummary {
    /// Number of images of the training part and of the validation part.
    pub counts: [usize; 2],
    /// Number of images that could not be read and were left out.
    pub skipped: usize,
    /// Length of the file.
    pub bytes: u64,
    pub statistics: Statistics,
}

/// Writes the pixels and classes of `splits`, or its whole images ([`Framing::Whole`]), to the file `path` in one step (see `atomic`), with `workers` threads
/// (0: those of the program), whose number does not change a byte. `watch` decides about images
/// that cannot be read.
///
/// Memory does not depend on the number of images, apart from 16 bytes for each (place, hash and class), and 16 for the size of a whole one.
///
/// Errors: images that are not pixels of 1 or 3 channels, labels that are values, names of classes that are too long
/// together for the header (8 MiB), no image that can be read, and errors of the operating system about `path`.
pub fn pack(
    splits: &Splits,
    path: &Path,
    workers: usize,
    watch: &mut dyn ScanObserver,
) -> Result<PackSummary> {
    let parts = parts(splits)?;
    let train = &splits.train;
    let images = match train.framing() {
        Some(Framing::Whole { side }) => {
            ImageLayout::Whole { channels: train.shape[0], size: side, pixels: [MOST_PIXELS; 2] }
        }
        _ => ImageLayout::Equal(train.shape),
    };
    let draft = PackedLayout { images, counts: [parts[0].len(), parts.get(1).map_or(0, |val| val.len())] };
    let widest = Statistics {
        mean: vec![LONGEST; train.shape[0]],
        std: vec![LONGEST; train.shape[0]],
        pca: Some(Pca { values: [LONGEST; 3], vectors: [[LONGEST; 3]; 3] }),
    };
    let text = |layout: PackedLayout, statistics: &Statistics| {
        header(layout, &train.name, &train.class_names, statistics)
            .map_err(|error| Error::Internal(format!("header of {}: {error}", path.display())))
    };
    let header_len = (text(draft, &widest)?.len() + SLACK).next_multiple_of(8);
    if header_len as u64 > HEADER_LIMIT {
        let what = format!("expected a header (names of classes) of at most {HEADER_LIMIT} bytes");
        return Err(Error::data(&train.name, format!("{what}, found {header_len}")));
    }
    let io = |error| Error::io(path, error);
    let mut file = NewFile::create(path)?;
    let start = (LENGTH + header_len) as u64;
    file.seek(SeekFrom::Start(start)).map_err(io)?;

    let mut moments = Moments::default();
    let mut pass = Scan::new(watch, parts.iter().map(|part| part.len()).sum());
    let mut tables = Vec::new();
    for (number, dataset) in parts.iter().enumerate() {
        // In its own order, so that a part held back for validation is the same as of what was packed. Training mixes
        // whole blocks (`order.rs`), which is enough also where a block is of one class.
        let samples: Vec<u32> = (0..dataset.len() as u32).collect();
        let Labels::Classes(classes) = &dataset.labels else { continue };
        let mut hashes = Vec::with_capacity(dataset.len());
        let mut labels = Vec::with_capacity(dataset.len());
        let mut sizes = Vec::new();
        with_threads(workers, || {
            pass.scan(dataset, &samples, |image| {
                hashes.push(image.hash);
                labels.push(classes[image.sample]);
                if images != ImageLayout::Equal(train.shape) {
                    sizes.push(image.size);
                }
                if number == 0 {
                    moments.add(image.moments);
                }
                file.write_all(image.pixels).map_err(io)
            })
        })?;
        tables.push((hashes, labels, sizes));
    }
    let count = |part: usize| tables.get(part).map_or(0, |(hashes, ..)| hashes.len());
    let area = |part: usize| {
        let sizes = tables.get(part).map_or(&[][..], |(_, _, sizes)| sizes);
        sizes.iter().map(|[width, height]| width * height).sum::<usize>()
    };
    let layout = PackedLayout {
        counts: [count(0), count(1)],
        images: match images {
            ImageLayout::Whole { channels, size, .. } => {
                ImageLayout::Whole { channels, size, pixels: [area(0), area(1)] }
            }
            equal => equal,
        },
    };
    if layout.counts[0] == 0 {
        return Err(Error::data(
            path,
            format!("expected a training image to pack, found none of {}", train.name),
        ));
    }
    let statistics = moments.statistics(train.shape[0]);
    let mut text = text(layout, &statistics)?;
    if text.len() > header_len {
        return Err(Error::Internal(format!("header of {}: {} bytes", path.display(), text.len())));
    }
    text.resize(header_len, b' ');

    let images = layout.image_bytes().iter().sum::<usize>();
    let padding = vec![0; images.next_multiple_of(8) - images];
    let hashes = || tables.iter().flat_map(|(hashes, ..)| hashes).map(|hash| hash.to_le_bytes());
    let labels = || tables.iter().flat_map(|(_, labels, _)| labels).map(|label| label.to_le_bytes());
    let sizes = || {
        let sizes = tables.iter().flat_map(|(_, _, sizes)| sizes);
        sizes.flat_map(|&[width, height]| [height, width].map(|side| (side as u32).to_le_bytes()))
    };
    let length = (header_len as u64).to_le_bytes();
    let mut checksum = Xxh3::new();
    [&length[..], &text, &padding].into_iter().for_each(|bytes| checksum.update(bytes));
    hashes().for_each(|hash| checksum.update(&hash));
    labels().for_each(|label| checksum.update(&label));
    sizes().for_each(|side| checksum.update(&side));
    let checksum = checksum.digest().to_le_bytes();
    let mut finish = || {
        file.write_all(&padding)?;
        hashes().try_for_each(|hash| file.write_all(&hash))?;
        file.write_all(&checksum)?;
        labels().try_for_each(|label| file.write_all(&label))?;
        sizes().try_for_each(|side| file.write_all(&side))?;
        let bytes = file.stream_position()?;
        file.seek(SeekFrom::Start(0))?;
        file.write_all(&length)?;
        file.write_all(&text)?;
        Ok(bytes)
    };
    let bytes = finish().map_err(io)?;
    file.commit()?;
    Ok(PackSummary { counts: layout.counts, skipped: pass.skipped, bytes, statistics })
}

/// The training part, and the validation part if it is another.
fn parts(splits: &Splits) -> Result<Vec<&Dataset>> {
    let mut parts = vec![splits.train.as_ref()];
    if !Arc::ptr_eq(&splits.train, &splits.val) {
        parts.push(&splits.val);
    }
    for dataset in &parts {
        let wrong = |found: &str| {
            Error::data(
                &dataset.name,
                format!("expected pixels (bytes) of 1 or 3 channels with classes, found {found}"),
            )
        };
        if !dataset.has_pixels() {
            return Err(wrong("f32 images"));
        }
        if matches!(dataset.labels, Labels::Values { .. }) {
            return Err(wrong("values as labels"));
        }
        if ![1, 3].contains(&dataset.shape[0]) {
            return Err(wrong(&format!("{} channels", dataset.shape[0])));
        }
        if dataset.shape != splits.train.shape || dataset.framing() != splits.train.framing() {
            return Err(wrong("validation images of another size"));
        }
    }
    Ok(parts)
}
