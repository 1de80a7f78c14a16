//! A data set, in host memory or read from its files image by image.

use super::framing::{Frame, Framing};
use crate::error::{Error, Result, printable_path};
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The images of a data set, `[samples, channels, height, width]`, contiguous.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Images {
    /// Pixels 0 to 255, to be normalised by a `Transform`.
    U8(Vec<u8>),
    /// Network input, unchanged.
    F32(Vec<f32>),
    /// Pixel values 0 to 255 that are not all whole, to be normalised by a `Transform` as pixels are.
    Levels(Vec<f32>),
    /// Pixels 0 to 255 that are read on demand.
    Stored(Stored),
}

/// Images outside host memory, read one at a time by any thread.
pub trait Store: fmt::Debug + Send + Sync {
    /// Writes image `index` to `into`, `[channels, height, width]`. The same index always gives the same bytes. An
    /// error is one line that names the file.
    fn read(&self, index: usize, into: &mut [u8]) -> Result<()>;

    /// Writes what `frame` shows of image `index` to `into`, of the frame's shape. Data sets with a framing have
    /// stores that implement it.
    fn read_framed(&self, index: usize, frame: &Frame, _into: &mut [u8]) -> Result<()> {
        Err(Error::Internal(format!("image {index} was asked for as {frame:?}")))
    }

    /// Writes image `index` whole to `into`, `[height, width, channels]`, its shorter side resized to `side`: returns
    /// width and height. Only stores of images of several sizes can.
    fn read_whole(
        &self,
        index: usize,
        _channels: usize,
        _side: usize,
        _into: &mut Vec<u8>,
    ) -> Result<[usize; 2]> {
        Err(Error::Internal(format!("image {index} was asked for whole")))
    }

    /// Channels (1 where the file is grey, else 3), height and width of image `index` as it is stored, upright. Only stores of
    /// images of several sizes know.
    fn size(&self, index: usize) -> Result<[usize; 3]> {
        Err(Error::Internal(format!("the size of image {index} was asked for")))
    }

    /// The data set that its images come from, sample by sample, if they are only resized.
    fn source(&self) -> Option<&Dataset> {
        None
    }

    /// Whether its images differ in size, so that only a frame determines one.
    fn has_sizes(&self) -> bool {
        false
    }

    /// The file of image `index`, if each image has its own file.
    fn file(&self, _index: usize) -> Option<PathBuf> {
        None
    }

    /// What image `index` is called in messages, if it has no file of its own: its shard and its place there.
    fn name(&self, _index: usize) -> Option<String> {
        None
    }

    /// The files that hold all images, if several images share a file.
    fn shards(&self) -> &[PathBuf] {
        &[]
    }

    /// Number of files that were skipped in the search for images.
    fn ignored(&self) -> usize {
        0
    }

    /// Number of consecutive images that are best read together: a random order keeps such blocks close to each other.
    fn block(&self) -> usize {
        1
    }
}

/// The images of a store that belong to a data set, in its order.
#[derive(Clone, Debug)]
pub struct Stored {
    pub store: Arc<dyn Store>,
    /// Indices into the store, one per sample.
    pub indices: Vec<u32>,
    /// How images are fitted to the data set's shape without augmentation; `None` leaves them as they are stored.
    pub framing: Option<Framing>,
}

impl PartialEq for Stored {
    fn eq(&self, other: &Stored) -> bool {
        Arc::ptr_eq(&self.store, &other.store)
            && self.indices == other.indices
            && self.framing == other.framing
    }
}

impl Images {
    fn keep(&mut self, samples: &[u32], image_len: usize) {
        match self {
            Images::U8(values) => *values = gather(values, samples, image_len),
            Images::F32(values) | Images::Levels(values) => *values = gather(values, samples, image_len),
            Images::Stored(stored) => stored.indices = gather(&stored.indices, samples, 1),
        }
    }
}

/// What a network learns.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Labels {
    /// One class per sample.
    Classes(Vec<u32>),
    /// `width` numbers per sample, `[samples, width]`.
    Values { width: usize, values: Vec<f32> },
}

/// Samples with their labels.
#[derive(Clone, Debug, PartialEq)]
pub struct Dataset {
    /// The name in logs, such as "fashion-mnist".
    pub name: String,
    /// Channels, height and width of every image.
    pub shape: [usize; 3],
    /// Number of classes; 0 if the labels are values.
    pub classes: usize,
    /// One name per class, safe to print: from the format, from `classes.txt`, or the number of the class.
    pub class_names: Vec<String>,
    pub images: Images,
    pub labels: Labels,
}

impl Dataset {
    /// Number of samples.
    pub fn len(&self) -> usize {
        match &self.labels {
            Labels::Classes(classes) => classes.len(),
            Labels::Values { width, values } => values.len() / (*width).max(1),
        }
    }

    /// True if there is no sample.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Numbers in one image: channels x height x width.
    pub fn image_len(&self) -> usize {
        self.shape.iter().product()
    }

    /// Whether the images are pixels (bytes), which the operator `augment` turns into network input.
    pub fn has_pixels(&self) -> bool {
        matches!(self.images, Images::U8(_) | Images::Stored(_))
    }

    /// The file of `sample`, if each image has its own file.
    pub fn file(&self, sample: usize) -> Option<PathBuf> {
        match &self.images {
            Images::Stored(stored) => stored.store.file(*stored.indices.get(sample)? as usize),
            _ => None,
        }
    }

    /// What `sample` is called in messages: its file, or its shard and its place there.
    pub(super) fn sample_name(&self, sample: usize) -> Option<String> {
        let stored = self.stored()?;
        let index = *stored.indices.get(sample)? as usize;
        stored.store.file(index).map(|path| printable_path(&path)).or_else(|| stored.store.name(index))
    }

    /// Writes the pixels of `sample`, `[channels, height, width]`, to `into`. An error if there are none, or why the
    /// image cannot be read: one line that names its file.
    pub fn read_pixels(&self, sample: usize, into: &mut [u8]) -> Result<()> {
        let none = || Error::Internal(format!("pixels of sample {sample} of {}", self.name));
        match &self.images {
            Images::U8(values) => {
                let image = values.chunks_exact(self.image_len().max(1)).nth(sample);
                let from = image.filter(|image| image.len() == into.len()).ok_or_else(none)?;
                into.copy_from_slice(from);
                Ok(())
            }
            Images::Stored(stored) => {
                let index = *stored.indices.get(sample).ok_or_else(none)? as usize;
                match stored.framing {
                    Some(framing) => {
                        stored.store.read_framed(index, &Frame { shape: self.shape, framing }, into)
                    }
                    None => stored.store.read(index, into),
                }
            }
            Images::F32(_) | Images::Levels(_) => Err(none()),
        }
    }

    /// As [`Dataset::read_pixels`], but framed by `framing`.
    pub fn read_framed(&self, sample: usize, framing: Framing, into: &mut [u8]) -> Result<()> {
        let none = || Error::Internal(format!("sample {sample} of {} as {framing:?}", self.name));
        let stored = self.stored().ok_or_else(none)?;
        let index = *stored.indices.get(sample).ok_or_else(none)?;
        stored.store.read_framed(index as usize, &Frame { shape: self.shape, framing }, into)
    }

    /// Whether its images differ in size.
    pub fn has_sizes(&self) -> bool {
        self.stored().is_some_and(|stored| stored.store.has_sizes())
    }

    /// Writes the image of `sample` whole to `into`, `[height, width, channels]`, where the data set keeps images so
    /// ([`Framing::Whole`]): returns width and height.
    pub fn read_whole(&self, sample: usize, into: &mut Vec<u8>) -> Result<[usize; 2]> {
        let none = || Error::Internal(format!("sample {sample} of {} whole", self.name));
        let stored = self.stored().ok_or_else(none)?;
        let (Some(Framing::Whole { side }), Some(&index)) = (stored.framing, stored.indices.get(sample))
        else {
            return Err(none());
        };
        stored.store.read_whole(index as usize, self.shape[0], side, into)
    }

    /// The store of the images, if they are read when they are needed.
    pub(super) fn stored(&self) -> Option<&Stored> {
        match &self.images {
            Images::Stored(stored) => Some(stored),
            _ => None,
        }
    }

    /// How images are fitted to the data set's shape without augmentation; `None` if they have that shape.
    pub fn framing(&self) -> Option<Framing> {
        self.stored().and_then(|stored| stored.framing)
    }

    /// The same samples in another frame; a data set without a framing is returned unchanged.
    pub(super) fn reframed(self: &Arc<Self>, frame: Frame) -> Arc<Dataset> {
        let Some(stored) = self.stored().filter(|stored| stored.framing.is_some()) else {
            return Arc::clone(self);
        };
        let stored = Stored { framing: Some(frame.framing), ..stored.clone() };
        let (name, class_names) = (self.name.clone(), self.class_names.clone());
        Arc::new(Dataset {
            name,
            shape: frame.shape,
            classes: self.classes,
            class_names,
            images: Images::Stored(stored),
            labels: self.labels.clone(),
        })
    }

    /// Whether the names of the classes are more than their numbers.
    pub fn names_classes(&self) -> bool {
        self.class_names.iter().enumerate().any(|(class, name)| *name != class.to_string())
    }

    /// Numbers in one label: 1 for a class.
    pub fn label_len(&self) -> usize {
        match &self.labels {
            Labels::Classes(_) => 1,
            Labels::Values { width, .. } => *width,
        }
    }

    /// The data set with only these samples, in this order.
    pub(super) fn select(mut self, samples: &[u32]) -> Dataset {
        self.images.keep(samples, self.shape.iter().product());
        match &mut self.labels {
            Labels::Classes(classes) => *classes = gather(classes, samples, 1),
            Labels::Values { width, values } => *values = gather(values, samples, *width),
        }
        self
    }

    fn spread_indices(&self, count: usize) -> Vec<u32> {
        let len = self.len() as u64;
        (0..count as u64).map(|i| (i * len / count as u64) as u32).collect()
    }

    /// A data set of `count` evenly spread samples, or of all if there are fewer.
    pub fn spread(&self, count: usize) -> Dataset {
        let samples = self.spread_indices(count.min(self.len()));
        let image = self.image_len();
        let images = match &self.images {
            Images::U8(values) => Images::U8(gather(values, &samples, image)),
            Images::F32(values) => Images::F32(gather(values, &samples, image)),
            Images::Levels(values) => Images::Levels(gather(values, &samples, image)),
            Images::Stored(stored) => {
                let indices = gather(&stored.indices, &samples, 1);
                Images::Stored(Stored { indices, ..stored.clone() })
            }
        };
        let labels = match &self.labels {
            Labels::Classes(classes) => Labels::Classes(gather(classes, &samples, 1)),
            Labels::Values { width, values } => {
                Labels::Values { width: *width, values: gather(values, &samples, *width) }
            }
        };
        let (name, class_names) = (self.name.clone(), self.class_names.clone());
        Dataset { name, shape: self.shape, classes: self.classes, class_names, images, labels }
    }

    /// The data set with only its first `count` samples.
    pub(super) fn first(mut self, count: usize) -> Dataset {
        let images = count.saturating_mul(self.image_len());
        match &mut self.images {
            Images::U8(values) => values.truncate(images),
            Images::F32(values) | Images::Levels(values) => values.truncate(images),
            Images::Stored(stored) => stored.indices.truncate(count),
        }
        match &mut self.labels {
            Labels::Classes(classes) => classes.truncate(count),
            Labels::Values { width, values } => values.truncate(count.saturating_mul(*width)),
        }
        self
    }
}

/// An error naming the first label that is not below `classes`, the number that `whose` allows.
pub(super) fn check_labels(labels: &[u32], classes: usize, whose: &str, path: &Path) -> Result<()> {
    match labels.iter().position(|&label| label as usize >= classes) {
        None => Ok(()),
        Some(index) => Err(Error::data(
            path,
            format!(
                "label {index}: expected a class below {classes} (the number of {whose}), found {}",
                labels[index]
            ),
        )),
    }
}

fn gather<T: Copy>(values: &[T], samples: &[u32], width: usize) -> Vec<T> {
    let mut gathered = Vec::with_capacity(samples.len() * width);
    for &sample in samples {
        let start = sample as usize * width;
        gathered.extend_from_slice(&values[start..start + width]);
    }
    gathered
}

/// A shape as people write it: 3x224x224.
pub(super) fn shape_text([channels, height, width]: [usize; 3]) -> String {
    format!("{channels}x{height}x{width}")
}
