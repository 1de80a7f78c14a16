//! Reading: everything that the header claims is compared with the file's length before memory is taken, and every
//! image with its hash before it is used.

use super::file::{BLOCK, Packed};
use super::whole::WholeStore;
use super::{FORMAT, HEADER_LIMIT, ImageLayout, LENGTH, PARTS, PackedLayout, VERSIONS};
use crate::data::dataset::{Dataset, Images, Labels, Store, Stored, check_labels};
use crate::data::framing::{Frame, Framing};
use crate::data::raw::{RawSplit, RawSplits};
use crate::data::read_at::read_at;
use crate::error::{Error, Result, printable};
use crate::json;
use crate::view::MAX_SIDE;
use safetensors::tensor::{Metadata, TensorInfo};
use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::sync::Arc;
use xxhash_rust::xxh3::Xxh3;

/// How every header begins.
const BEGINNING: &str = r#"{"__metadata__":{"format":"striate-packed""#;

/// Whether the file at `path` begins as a packed data set does.
pub(in super::super) fn is_packed(path: &Path) -> bool {
    if !path.is_file() {
        // Opening a pipe would wait.
        return false;
    }
    let mut bytes = [0; LENGTH + BEGINNING.len()];
    let read = File::open(path).and_then(|mut file| file.read_exact(&mut bytes));
    read.is_ok() && bytes.ends_with(BEGINNING.as_bytes())
}

/// Opens the packed file `path`; whole images are brought to `frame`, or to squares of their shorter side.
pub(in super::super) fn open(path: &Path, frame: Option<Frame>) -> Result<RawSplits> {
    let bad = |message: String| Error::data(path, message);
    let io = |error| Error::io(path, error);
    if !path.metadata().map_err(io)?.is_file() {
        return Err(bad("expected a file, found none".into()));
    }
    let mut file = File::open(path).map_err(io)?;
    let length = file.metadata().map_err(io)?.len();
    let mut prefix = [0; LENGTH];
    if length < LENGTH as u64 {
        return Err(bad(format!(
            "expected a packed data set ({LENGTH} bytes at least), found {length} bytes"
        )));
    }
    file.read_exact(&mut prefix).map_err(io)?;
    let (claimed, room) = (u64::from_le_bytes(prefix), length - LENGTH as u64);
    if claimed > room.min(HEADER_LIMIT) {
        return Err(bad(format!(
            "expected a header of at most {} bytes, found a claim of {claimed}",
            room.min(HEADER_LIMIT)
        )));
    }
    let mut text = vec![0; claimed as usize];
    file.read_exact(&mut text).map_err(io)?;
    let header: Metadata = json::check_keys(&text)
        .and_then(|()| serde_json::from_slice(&text))
        .map_err(|error| bad(format!("the header: {error}")))?;
    let (name, classes) = describe(&header).map_err(bad)?;
    let layout = layout(&header).map_err(bad)?;
    let data = room - claimed;
    if header.data_len() as u64 != data {
        return Err(bad(format!(
            "the header describes {} bytes of tensors, found {data} bytes",
            header.data_len()
        )));
    }

    let start = LENGTH as u64 + claimed;
    let tail_start = layout.image_bytes().iter().sum::<usize>();
    let mut tail = vec![0; data as usize - tail_start];
    read_at(&file, &mut tail, start + tail_start as u64).map_err(io)?;
    let part = |name: &str, from: usize| {
        let (start, end) = header.info(name).map_or((from, from), |info| info.data_offsets);
        start - tail_start..end - tail_start
    };
    let checksum = part("checksum", tail_start);
    let mut hash = Xxh3::new();
    for bytes in [&prefix[..], &text, &tail[..checksum.start], &tail[checksum.end..]] {
        hash.update(bytes);
    }
    if tail[checksum] != hash.digest().to_le_bytes() {
        return Err(bad(
            "the checksum of header, hashes and labels: expected another, the file is damaged".into()
        ));
    }
    let mut hashes = Vec::with_capacity(layout.counts.iter().sum());
    let mut labels = [Vec::new(), Vec::new()];
    let mut sizes = [Vec::new(), Vec::new()];
    for ((name, labels), sizes) in PARTS.iter().zip(&mut labels).zip(&mut sizes) {
        let (words, _) = tail[part(&format!("{name}.hashes"), tail_start)].as_chunks();
        hashes.extend(words.iter().map(|&word| u64::from_le_bytes(word)));
        let (words, _) = tail[part(&format!("{name}.labels"), tail_start)].as_chunks();
        labels.extend(words.iter().map(|&word| u32::from_le_bytes(word)));
        let (words, _) = tail[part(&format!("{name}.sizes"), tail_start)].as_chunks::<4>();
        let (pairs, _) = words.as_chunks::<2>();
        sizes.extend(pairs.iter().map(|pair| pair.map(u32::from_le_bytes)));
        // As a number without sign, a negative label is larger than any number of classes.
        check_labels(labels, classes.len(), "class names", path)?;
    }
    let file = Packed { path: path.to_path_buf(), file, start, train: layout.counts[0], hashes };
    let (store, shape, framing): (Arc<dyn Store>, _, _) = match layout.images {
        ImageLayout::Equal(shape) => {
            (Arc::new(EqualStore { file, image_len: shape.iter().product() }), shape, None)
        }
        ImageLayout::Whole { channels, size, pixels } => {
            let own = Frame { shape: [channels, size, size], framing: Framing::Square };
            let frame = frame.unwrap_or(own);
            let store = WholeStore::new(file, channels, pixels, sizes).map_err(bad)?;
            (Arc::new(store), frame.shape, Some(frame.framing))
        }
    };
    let mut first = 0u32;
    let mut parts = labels.into_iter().filter(|labels| !labels.is_empty()).map(|labels| {
        let indices = (first..first + labels.len() as u32).collect();
        first += labels.len() as u32;
        let dataset = Dataset {
            name: name.clone(),
            shape,
            classes: 0,
            class_names: classes.clone(),
            images: Images::Stored(Stored { store: Arc::clone(&store), indices, framing }),
            labels: Labels::Classes(labels),
        };
        RawSplit { dataset, images_path: path.to_path_buf(), labels_path: path.to_path_buf() }
    });
    let train = parts.next().ok_or_else(|| bad("expected training images, found none".into()))?;
    Ok(RawSplits { train, val: parts.next() })
}

/// Name and class names.
fn describe(header: &Metadata) -> Result<(String, Vec<String>), String> {
    let metadata = header.metadata().as_ref();
    let text = |key: &str| {
        metadata
            .and_then(|metadata| metadata.get(key))
            .ok_or_else(|| format!("metadata {key}: expected a text, found none"))
    };
    for (key, expected) in [("format", &[FORMAT][..]), ("version", &VERSIONS)] {
        let found = text(key)?;
        if !expected.contains(&found.as_str()) {
            return Err(format!("metadata {key}: expected {}, found {found:?}", expected.join(" or ")));
        }
    }
    let classes: Vec<String> = serde_json::from_str(text("classes")?)
        .map_err(|error| format!("metadata classes: expected a list of names: {error}"))?;
    // It is printed, and a file may hold anything.
    Ok((printable(text("name")?).into_owned(), classes))
}

/// The layout that the images' shapes ask for, if the header describes just that.
fn layout(header: &Metadata) -> Result<PackedLayout, String> {
    let version = header.metadata().as_ref().and_then(|metadata| metadata.get("version"));
    let layout =
        if version.is_some_and(|version| version == VERSIONS[1]) { whole(header) } else { equal(header) }?;
    let counts = layout.counts;
    // Samples are counted in 32 bits everywhere.
    if counts[0].saturating_add(counts[1]) > u32::MAX as usize {
        return Err(format!("expected at most {} images, found {counts:?}", u32::MAX));
    }
    let expected = layout.tensors().unwrap_or_default();
    for (name, expected) in &expected {
        let words = |info: &TensorInfo| format!("{} {:?} at {:?}", info.dtype, info.shape, info.data_offsets);
        match header.info(name) {
            Some(found) if words(found) == words(expected) => {}
            Some(found) => {
                return Err(format!("{name}: expected {}, found {}", words(expected), words(found)));
            }
            None => return Err(format!("{name}: expected {}, found no such tensor", words(expected))),
        }
    }
    let found = header.tensors().len();
    if found != expected.len() {
        return Err(format!("expected {} tensors, found {found}", expected.len()));
    }
    Ok(layout)
}

/// The layout of version 1, as far as the shapes of its tensors say.
fn equal(header: &Metadata) -> Result<PackedLayout, String> {
    let shape = |part: &str| header.info(&format!("{part}.images")).map(|info| info.shape.as_slice());
    let Some(&[train, c, h, w]) = shape("train") else {
        return Err("train.images: expected [images, channels, height, width], found another".into());
    };
    let counts = [train, shape("val").and_then(|shape| shape.first().copied()).unwrap_or(0)];
    if ![1, 3].contains(&c) || [h, w].iter().any(|side| !(1..=MAX_SIDE).contains(side)) || train == 0 {
        return Err(format!(
            "train.images: expected 1 or 3 channels and sides of 1 to {MAX_SIDE}, found {:?}",
            [train, c, h, w]
        ));
    }
    Ok(PackedLayout { images: ImageLayout::Equal([c, h, w]), counts })
}

/// The layout of version 2.
fn whole(header: &Metadata) -> Result<PackedLayout, String> {
    let shape = |name: String| header.info(&name).map_or(&[][..], |info| info.shape.as_slice());
    let &[_, channels @ (1 | 3)] = shape("train.images".into()) else {
        return Err("train.images: expected [pixels, channels], 1 or 3 channels, found another".into());
    };
    let first = |name: &str| PARTS.map(|part| shape(format!("{part}.{name}")).first().copied().unwrap_or(0));
    let (counts, pixels) = (first("labels"), first("images"));
    if counts[0] == 0 {
        return Err("train.labels: expected an image at least, found none".into());
    }
    let size = header.metadata().as_ref().and_then(|metadata| metadata.get("size"));
    let size = size.and_then(|text| text.parse().ok()).filter(|size| (1..=MAX_SIDE).contains(size));
    let size = size.ok_or_else(|| format!("metadata size: expected 1 to {MAX_SIDE}, found another"))?;
    Ok(PackedLayout { images: ImageLayout::Whole { channels, size, pixels }, counts })
}

/// A file of images of one size.
#[derive(Debug)]
struct EqualStore {
    file: Packed,
    image_len: usize,
}

impl Store for EqualStore {
    fn read(&self, index: usize, into: &mut [u8]) -> Result<()> {
        if into.len() != self.image_len {
            return Err(Error::Internal(format!("image {index} in {} bytes", into.len())));
        }
        self.file.read(index, index as u64 * self.image_len as u64, into)
    }

    fn block(&self) -> usize {
        (BLOCK / self.image_len).max(1)
    }
}
