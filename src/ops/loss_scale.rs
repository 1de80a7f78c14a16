//! Dynamic loss scaling: gradients are computed of the loss times a scale, so that small ones do not vanish in f16;
//! the update divides by the scale again. A step whose scaled gradients are not all finite changes nothing but the
//! scale. All of it happens on the device, with the rules of PyTorch's `torch.amp.GradScaler` and `_amp_update_scale_`.

use super::{Describe, Hyper, Op, Operand, OperandKind as Kind};
use bytemuck::{Pod, Zeroable};

/// The words of the buffer `scaling`. Counts are whole numbers, exact up to 2^24, where they stay.
#[derive(Clone, Copy, Debug, PartialEq, Pod, Zeroable)]
#[repr(C)]
pub struct Scaling {
    /// Factor of the loss.
    pub scale: f32,
    /// Updates in a row since the scale has changed.
    pub streak: f32,
    /// Updates that were made.
    pub updates: f32,
    /// Updates that were skipped because a gradient was not finite.
    pub skipped: f32,
}

impl Scaling {
    /// Length of the buffer.
    pub const WORDS: usize = 4;
    /// PyTorch's `init_scale`.
    pub const INITIAL: f32 = 65_536.0;
    /// PyTorch's `growth_factor`, `backoff_factor` and `growth_interval`.
    pub const GROWTH: f32 = 2.0;
    pub const BACKOFF: f32 = 0.5;
    pub const INTERVAL: usize = 2000;

    /// At the start of a run.
    pub fn new(scale: f32) -> Self {
        Scaling { scale, ..Zeroable::zeroed() }
    }

    /// From the buffer's content, which must have [`Scaling::WORDS`] words.
    pub fn from_words(words: &[f32]) -> Self {
        bytemuck::pod_read_unaligned(bytemuck::cast_slice(words))
    }

    /// The buffer's content.
    pub fn as_words(&self) -> &[f32] {
        bytemuck::cast_slice(std::slice::from_ref(self))
    }
}

/// dx *= scale: the gradient of a loss times the loss scale.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct GradScale {
    pub len: usize,
}

impl Describe for GradScale {
    fn operands(&self, _op: &Op) -> Vec<Operand> {
        vec![
            Operand::read("scaling", Kind::Scaling, [Scaling::WORDS]),
            Operand::update("dx", Kind::Gradient, [self.len]),
        ]
    }
    fn flops(&self, _op: &Op) -> u64 {
        self.len as u64
    }
}

/// The factor that an update multiplies gradients by, and the scale of the next step. `norms` are squared norms of the scaled
/// gradients, one per parameter; their sum is finite if (unless the sum itself overflows) every gradient is.
///
/// * finite: factor = 1 / scale, with `clip` times min(1, max_norm / (norm / scale + 1e-6)); after `interval` updates in
///   a row the scale doubles, unless that is infinite;
/// * not finite: factor = 0, with which an update does nothing; scale *= 1/2.
///
/// The other two words of `factor` are Adam's corrections 1 - beta1^t and 1 - beta2^t for the updates made so far and
/// this one, in place of `Hyper`'s, which count the skipped ones too.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct GradUnscale {
    pub count: usize,
    pub clip: bool,
    /// Updates in a row after which the scale doubles.
    pub interval: usize,
}

impl GradUnscale {
    /// Words of `factor`.
    pub const FACTOR: usize = 3;
}

impl Describe for GradUnscale {
    fn operands(&self, _op: &Op) -> Vec<Operand> {
        vec![
            Operand::read("norms", Kind::Norms, [self.count]),
            Operand::read("hyper", Kind::Hyper, [Hyper::WORDS]),
            Operand::update("scaling", Kind::Scaling, [Scaling::WORDS]),
            Operand::write("factor", Kind::Factor, [Self::FACTOR]),
        ]
    }
    fn flops(&self, _op: &Op) -> u64 {
        self.count as u64
    }
}
