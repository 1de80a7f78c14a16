//! The random numbers of augmentation: Philox blocks that are a function of seed, epoch and sample, each kind of draw with
//! its own blocks, so that switching one on or off leaves the others what they were.

use crate::random::{Purpose, philox};
use std::f64::consts::TAU;

/// The first Philox block of each kind of draw; `Place` and `Rectangle` have as many as they may take
/// attempts.
#[derive(Clone, Copy, Debug)]
#[repr(u32)]
pub(super) enum DrawKind {
    Mirror = 0,
    Colour = 1,
    Noise = 2,
    Hole = 3,
    /// Whether a rectangle is erased.
    Erase = 4,
    /// The change of stored pixels (TrivialAugment).
    Change = 5,
    Place = 16,
    /// The rectangle that is erased; as many blocks as attempts.
    Rectangle = 32,
}

/// The random numbers of one sample in one epoch. Blocks beside block 0 of the stream
/// `Stream::new(seed, Purpose::Augment, epoch)`, whose counter has 0 in its second word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Draws {
    pub seed: u64,
    pub epoch: u32,
    pub sample: u32,
}

impl Draws {
    pub(super) fn words(&self, block: DrawKind, offset: u32) -> [u32; 4] {
        let counter = [self.sample, block as u32 + offset, self.epoch, (Purpose::Augment as u32) << 24];
        philox(counter, [self.seed as u32, (self.seed >> 32) as u32])
    }

    /// Four numbers in [0, 1).
    pub(super) fn uniforms(&self, block: DrawKind, offset: u32) -> [f64; 4] {
        self.words(block, offset).map(|word| f64::from(word) / 4_294_967_296.0)
    }

    /// Three standard normal numbers (Box and Muller).
    pub(super) fn normals(&self) -> [f64; 3] {
        let [a, b, c, d] = self.uniforms(DrawKind::Noise, 0);
        // 1 - u is never 0.
        let radius = |u: f64| (-2.0 * (1.0 - u).ln()).sqrt();
        [radius(a) * (TAU * b).cos(), radius(a) * (TAU * b).sin(), radius(c) * (TAU * d).cos()]
    }
}
