//! Kernels of activations: the file of a function has its value and its gradient, two frames have the bindings.

use super::dispatch::Kernels;
use super::limits::Limits;
use super::pointwise::pointwise;
use super::shader::{Shader, shader};
use crate::error::Result;
use crate::ops::{Clip, Op};

/// The two kernels of an activation.
pub(super) struct Activation {
    forward: Shader,
    backward: Shader,
}

/// The kernels of the function in the first file; the others have what it calls.
macro_rules! kernels {
    ($($file:literal),+) => {
        Activation {
            forward: shader!($($file,)+ "activation/unary_forward", "shared/elements"),
            backward: shader!($($file,)+ "activation/unary_backward", "shared/elements"),
        }
    };
}

pub(super) const SILU: Activation = kernels!("activation/silu", "shared/elementary");
pub(super) const HARD_SWISH: Activation = kernels!("activation/hard_swish");
pub(super) const HARD_SIGMOID: Activation = kernels!("activation/hard_sigmoid");
pub(super) const CLIP: Activation = kernels!("activation/clip");
pub(super) const GELU: Activation = kernels!("activation/gelu", "shared/elementary");
pub(super) const GELU_TANH: Activation =
    kernels!("activation/gelu_tanh", "shared/elementary").variant("tanh");
pub(super) const ELU: Activation = kernels!("activation/elu", "shared/elementary");

impl Activation {
    /// The same with a word in the variant of both.
    const fn variant(self, word: &'static str) -> Self {
        Activation { forward: self.forward.variant(word), backward: self.backward.variant(word) }
    }
}

/// The dispatches of one pass over `len` elements; `attributes` are the overrides of the function.
pub(super) fn activation(
    op: &Op,
    kernels: Activation,
    len: usize,
    attributes: &[(&'static str, f64)],
    limits: &Limits,
) -> Result<Kernels> {
    let is_forward = matches!(op.operands().as_slice(), [_x, _y]);
    let shader = if is_forward { kernels.forward } else { kernels.backward };
    pointwise(op, shader.named(op.name()), len, attributes, limits)
}

/// The overrides of `clip.wgsl`. An override cannot be infinite.
pub(super) fn limits_of(d: &Clip) -> [(&'static str, f64); 4] {
    let finite = |limit: f32| if limit.is_finite() { f64::from(limit) } else { 0.0 };
    let flag = |limit: f32| f64::from(u8::from(limit.is_finite()));
    [
        ("lowest", finite(d.min)),
        ("highest", finite(d.max)),
        ("has_lowest", flag(d.min)),
        ("has_highest", flag(d.max)),
    ]
}
