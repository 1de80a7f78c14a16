//! How stored images become network input: normalisation and augmentation.

use crate::error::{Error, Result};
use crate::view::{Augment, Principal};

/// How a stored image becomes network input. A byte becomes `(byte * scale - mean) / std`, with the mean and the
/// standard deviation of its channel; images stored as `f32` are used as they are.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Transform {
    pub scale: f32,
    /// One number per channel of the input, or one for all; none is 0.
    pub mean: Vec<f32>,
    /// One number per channel of the input, or one for all; none is 1.
    pub std: Vec<f32>,
    /// Length to which the shorter side of a stored image is resized; the input is a window of the result. `None` shows the
    /// whole image.
    pub resize: Option<usize>,
    /// The random part. Without views, only `flip` applies.
    pub augment: Augment,
    /// Principal components of the colours, for `augment.pca`.
    pub principal: Principal,
}

impl Default for Transform {
    /// Scales bytes to 0..1, without augmentation.
    fn default() -> Self {
        Transform {
            scale: 1.0 / 255.0,
            mean: Vec::new(),
            std: Vec::new(),
            resize: None,
            augment: Augment::default(),
            principal: Principal::default(),
        }
    }
}

impl Transform {
    setters! {
        with_scale(scale: f32);
        with_mean(mean: Vec<f32>);
        with_std(std: Vec<f32>);
        with_resize(resize: Option<usize>);
        with_augment(augment: Augment);
        with_principal(principal: Principal);
    }

    /// An error if the numbers do not fit an input of `channels` channels.
    pub fn check(&self, channels: usize) -> Result<()> {
        for (name, values) in [("mean", &self.mean), ("std", &self.std)] {
            if values.len() > 1 && values.len() != channels {
                return Err(Error::Usage(format!(
                    "preprocess.{name}: expected 1 or {channels} numbers (one per channel), found {}",
                    values.len()
                )));
            }
        }
        // Negative ones invert an image, as imported networks may do (1 - x).
        match self.std.iter().find(|std| !std.is_normal()) {
            Some(std) => {
                Err(Error::Usage(format!("preprocess.std: expected numbers other than 0, found {std}")))
            }
            None => Ok(()),
        }
    }

    /// Mean and standard deviation of a channel.
    pub(super) fn moments(&self, channel: usize) -> (f32, f32) {
        let of = |values: &[f32], default: f32| match values {
            [] => default,
            [one] => *one,
            each => each[channel],
        };
        (of(&self.mean, 0.0), of(&self.std, 1.0))
    }

    /// What each byte becomes, one table per channel.
    pub(super) fn tables(&self, channels: usize) -> Vec<[f32; 256]> {
        (0..channels)
            .map(|channel| {
                let (mean, std) = self.moments(channel);
                std::array::from_fn(|byte| (byte as f32 * self.scale - mean) / std)
            })
            .collect()
    }
}
