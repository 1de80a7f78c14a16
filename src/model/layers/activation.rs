//! The activations without attributes. The gradient of each is a function of its output (`y`) or of its input (`x`).

use super::LayerKind;
use crate::error::Result;
use crate::model::emit::Emitter;
use crate::model::gradient::Walk;
use crate::model::init::Init;
use crate::model::parameter::Declared;
use crate::model::reader::Table;
use crate::model::writer::Text;
use crate::ops::{Op, Pointwise};

/// Makes one layer for each pair of operators.
macro_rules! activations {
    ($($(#[$doc:meta])* $name:ident: $forward:ident, $backward:ident($saved:ident);)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq)]
        pub struct $name;

        impl LayerKind for $name {
            fn read(_t: &Table<'_>) -> Result<Self> {
                Ok($name)
            }
            fn write(&self, _out: &mut Text) {}
            fn output(&self, inputs: &[&[usize]], _batch: usize) -> std::result::Result<Vec<usize>, String> {
                Ok(inputs[0].to_vec())
            }
            fn parameters(&self, _x: &[usize], _init: &Init) -> Vec<Declared> {
                Vec::new()
            }
            fn emit(&self, at: &mut Emitter<'_, '_>) -> Result<usize> {
                at.unary(Op::$forward(Pointwise { len: at.extents.len() }))
            }
            fn differentiate(&self, at: &mut Walk<'_, '_>) -> Result<()> {
                let op = Op::$backward(Pointwise { len: at.extents().len() });
                at.input_gradient(op, &[at.$saved(), at.dy])
            }
        }
    )*};
}

activations! {
    /// y = max(0, x).
    Relu: ReluForward, ReluBackward(y);
    /// y = 1 / (1 + exp(-x)).
    Sigmoid: SigmoidForward, SigmoidBackward(y);
    /// y = tanh(x).
    Tanh: TanhForward, TanhBackward(y);
    /// y = x / (1 + exp(-x)), also called swish.
    Silu: SiluForward, SiluBackward(x);
    /// y = x min(max(x + 3, 0), 6) / 6.
    HardSwish: HardSwishForward, HardSwishBackward(x);
}
