//! The values that change from step to step, in one small buffer, so that the program never changes.

use bytemuck::{Pod, Zeroable};

/// The `hyper` buffer: 20 words of 4 bytes, the same layout in `shaders/shared/hyper.wgsl` (a test compares them).
/// Whole numbers are stored as their bits, so nothing is rounded on the way.
#[derive(Clone, Copy, Debug, PartialEq, Pod, Zeroable)]
#[repr(C)]
pub struct Hyper {
    /// Rows of the batch that are real samples; the rest only pad the last batch of an epoch.
    pub rows: u32,
    /// Factor of every row's gradient: 1 / rows of the effective batch, so that a loss is a mean.
    pub loss_scale: f32,
    /// Record of the `metrics` buffer that this step writes.
    pub slot: u32,
    /// 0: the gradient replaces the sum; 1: it is added to the sum.
    pub accumulate: u32,
    /// Seed of the run, low and high half.
    pub seed_lo: u32,
    pub seed_hi: u32,
    /// Number of the gradient computation since the start of the run: it selects the dropout masks.
    pub draw: u32,
    /// Learning rate before a parameter's own multiplier.
    pub lr: f32,
    /// SGD and RMSprop: momentum. Adam: beta1.
    pub momentum: f32,
    /// Adam: beta2. RMSprop: alpha.
    pub beta2: f32,
    /// Adam and RMSprop: added to the root.
    pub eps: f32,
    /// Weight decay before a parameter's own multiplier.
    pub weight_decay: f32,
    /// Adam: 1 - beta1^t and 1 - beta2^t for update number t = 1, 2, ...
    pub correction1: f32,
    pub correction2: f32,
    /// Largest norm of all gradients together; used only by programs built with clipping.
    pub max_norm: f32,
    /// Share of a row's own image and label where rows are mixed; 1: nothing is mixed. See [`super::Mix`].
    pub mix_weight: f32,
    /// The part of each image that its partner's replaces, in pixels; bottom and right are exclusive. Empty: none.
    pub mix_top: u32,
    pub mix_left: u32,
    pub mix_bottom: u32,
    pub mix_right: u32,
}

impl Hyper {
    /// Length of the buffer in 4-byte words.
    pub const WORDS: usize = 20;

    /// The buffer's content as `Executor::write` takes it. Not every word is a meaningful float.
    pub fn as_words(&self) -> &[f32] {
        bytemuck::cast_slice(std::slice::from_ref(self))
    }

    /// The reverse of [`Hyper::as_words`]; the slice must have [`Hyper::WORDS`] words.
    pub fn from_words(words: &[f32]) -> Self {
        bytemuck::pod_read_unaligned(bytemuck::cast_slice(words))
    }
}

impl Default for Hyper {
    fn default() -> Self {
        Hyper { loss_scale: 1.0, correction1: 1.0, correction2: 1.0, mix_weight: 1.0, ..Zeroable::zeroed() }
    }
}
