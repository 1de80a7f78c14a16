//! From stored images to network input: normalisation and augmentation.

use crate::error::{Error, Result};
use crate::random::{Purpose, philox};

/// How a stored image becomes network input. A byte becomes `(byte * scale - mean) / std`, with the mean and the
/// standard deviation of its channel; images stored as `f32` are used as they are.
#[derive(Clone, Debug, PartialEq)]
pub struct Transform {
    pub scale: f32,
    /// One number per channel, or one for all; none is 0.
    pub mean: Vec<f32>,
    /// One number per channel, or one for all; none is 1.
    pub std: Vec<f32>,
    /// Whether half of the images are mirrored left to right while augmenting.
    pub flip: bool,
}

impl Transform {
    /// An error if the numbers do not fit images of `channels` channels.
    pub fn check(&self, channels: usize) -> Result<()> {
        for (name, values) in [("mean", &self.mean), ("std", &self.std)] {
            if values.len() > 1 && values.len() != channels {
                return Err(Error::Usage(format!(
                    "preprocess.{name}: expected 1 or {channels} numbers (one per channel), found {}",
                    values.len()
                )));
            }
        }
        match self.std.iter().find(|std| !(std.is_finite() && **std > 0.0)) {
            Some(std) => Err(Error::Usage(format!("preprocess.std: expected numbers above 0, found {std}"))),
            None => Ok(()),
        }
    }

    /// What each byte becomes, one table per channel.
    pub(super) fn tables(&self, channels: usize) -> Vec<[f32; 256]> {
        let of = |values: &[f32], channel: usize, default: f32| match values {
            [] => default,
            [one] => *one,
            each => each[channel],
        };
        (0..channels)
            .map(|channel| {
                let (mean, std) = (of(&self.mean, channel, 0.0), of(&self.std, channel, 1.0));
                std::array::from_fn(|byte| (byte as f32 * self.scale - mean) / std)
            })
            .collect()
    }
}

/// Whether `sample` is mirrored in `epoch`: half of them are. Block `sample` of the stream
/// `Stream::new(seed, Purpose::Augment, epoch)`, so nothing depends on what other samples draw.
pub(super) fn flips(seed: u64, epoch: u32, sample: u32) -> bool {
    let counter = [sample, 0, epoch, (Purpose::Augment as u32) << 24];
    philox(counter, [seed as u32, (seed >> 32) as u32])[0] >> 31 == 1
}
