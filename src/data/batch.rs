//! A batch: what one step of a network reads, and how stored images become it.

use super::augment::Augmenter;
use super::transform::Transform;
use crate::view::View;
use std::fmt;
use std::ops::Range;
use std::sync::Arc;

/// The input and the labels of one step.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Batch {
    pub input: BatchInput,
    /// `[batch]` class numbers, or `[batch, width]` values; rows past `rows` are 0.
    pub labels: Vec<f32>,
    /// The sample of each real row.
    pub samples: Vec<u32>,
    /// Number of real rows. It is below the batch size in the last batch and where samples cannot be read, and may be 0.
    pub rows: usize,
}

/// What a program reads of the images of a batch.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum BatchInput {
    /// Network input, `[batch, channels, height, width]`; rows past the real ones are 0.
    Values(Vec<f32>),
    /// Stored images and their views, for the operator `augment`.
    Images {
        /// `[batch, width]` with [`BatchInput::row_bytes`] bytes in a row: the image channel by channel, then zeros. Rows
        /// past the real ones are 0.
        bytes: Vec<u8>,
        /// The view of each image, `[batch]`; rows past the real ones are blank.
        views: Vec<View>,
    },
}

impl Default for BatchInput {
    fn default() -> Self {
        BatchInput::Values(Vec::new())
    }
}

impl PartialEq for BatchInput {
    /// Values are equal if their bits are, so that a NaN equals itself.
    fn eq(&self, other: &BatchInput) -> bool {
        let bits = |values: &[f32]| values.iter().map(|value| value.to_bits()).collect::<Vec<_>>();
        match (self, other) {
            (BatchInput::Values(a), BatchInput::Values(b)) => bits(a) == bits(b),
            (BatchInput::Images { bytes: a, views: left }, BatchInput::Images { bytes: b, views: right }) => {
                a == b && left == right
            }
            _ => false,
        }
    }
}

impl BatchInput {
    /// Bytes that an image of `len` bytes takes in a batch: whole 32-bit words, as the operator `augment` reads them.
    pub fn row_bytes(len: usize) -> usize {
        len.next_multiple_of(4)
    }

    /// The network input; empty if the batch holds stored images.
    pub fn values(&self) -> &[f32] {
        match self {
            BatchInput::Values(values) => values,
            BatchInput::Images { .. } => &[],
        }
    }

    /// The bytes of the stored images; empty if the batch holds network input.
    pub fn bytes(&self) -> &[u8] {
        match self {
            BatchInput::Values(_) => &[],
            BatchInput::Images { bytes, .. } => bytes,
        }
    }

    /// The views of the stored images; empty if the batch holds network input.
    pub fn views(&self) -> &[View] {
        match self {
            BatchInput::Values(_) => &[],
            BatchInput::Images { views, .. } => views,
        }
    }
}

impl Batch {
    /// Rows `range` of this batch of `size` rows, padded to the length of the range.
    pub fn slice(&self, size: usize, range: Range<usize>) -> Batch {
        fn rows<T: Copy>(values: &[T], size: usize, range: &Range<usize>, padding: T) -> Vec<T> {
            let width = values.len() / size.max(1);
            let mut rows = values[range.start * width..range.end.min(size) * width].to_vec();
            rows.resize(range.len() * width, padding);
            rows
        }
        let end = range.end.min(self.rows);
        Batch {
            input: match &self.input {
                BatchInput::Values(values) => BatchInput::Values(rows(values, size, &range, 0.0)),
                BatchInput::Images { bytes, views } => BatchInput::Images {
                    bytes: rows(bytes, size, &range, 0),
                    views: rows(views, size, &range, View::blank()),
                },
            },
            labels: rows(&self.labels, size, &range, 0.0),
            samples: self.samples[range.start..end].to_vec(),
            rows: end - range.start,
        }
    }
}

type SampleView = dyn Fn(usize, &mut [u8]) -> View + Send + Sync;

/// A function that gives each sample, by its number and stored image, its view. It may change the image's bytes.
#[derive(Clone)]
pub struct ViewFn(Arc<SampleView>);

impl ViewFn {
    /// Wraps `view`.
    pub fn new(view: impl Fn(usize, &mut [u8]) -> View + Send + Sync + 'static) -> ViewFn {
        ViewFn(Arc::new(view))
    }

    pub(super) fn view(&self, sample: usize, image: &mut [u8]) -> View {
        (self.0)(sample, image)
    }
}

impl fmt::Debug for ViewFn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ViewFn")
    }
}

/// How stored images become the input of a batch.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum InputTransform {
    /// Network input that the host computes from images of its size.
    OnHost(Transform),
    /// Stored images with views, which the operator `augment` turns into network input.
    OnDevice(Augmenter),
    /// Stored images with views that the caller computes.
    Custom(ViewFn),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_slices_of_a_batch_are_all_its_rows_in_order() {
        // Five rows of eight, of two values each.
        let values =
            |width: usize| (0..8 * width).map(move |i| if i < 5 * width { i as f32 + 1.0 } else { 0.0 });
        let batch = Batch {
            input: BatchInput::Values(values(2).collect()),
            labels: values(1).collect(),
            samples: vec![40, 41, 42, 43, 44],
            rows: 5,
        };
        assert_eq!(batch.slice(8, 0..8), batch);
        let (first, last) = (batch.slice(8, 0..3), batch.slice(8, 3..6));
        assert_eq!((first.input.values(), first.rows), ([1.0, 2.0, 3.0, 4.0, 5.0, 6.0].as_slice(), 3));
        assert_eq!(last.input.values(), [7.0, 8.0, 9.0, 10.0, 0.0, 0.0]);
        assert_eq!((last.labels, last.samples, last.rows), (vec![4.0, 5.0, 0.0], vec![43, 44], 2));
        // The range may end past the batch.
        let beyond = batch.slice(8, 4..9);
        assert_eq!((beyond.input.values().len(), beyond.labels.len(), beyond.rows), (10, 5, 1));
        let mut views = vec![View::blank(); 8];
        views[4].recolour = 1;
        let images = BatchInput::Images { bytes: (0..32).collect(), views: views.clone() };
        let images = Batch { input: images, ..batch };
        let last = images.slice(8, 4..6);
        assert_eq!(last.input.bytes(), [16, 17, 18, 19, 20, 21, 22, 23]);
        assert_eq!(last.input.views(), [views[4], View::blank()]);
    }
}
