//! Maximum and average pooling over windows.

use super::{LayerKind, check, image};
use crate::error::Result;
use crate::model::emit::Emitter;
use crate::model::gradient::Walk;
use crate::model::graph::Extents;
use crate::model::init::Init;
use crate::model::parameter::Declared;
use crate::model::reader::Table;
use crate::model::reader::{Padding, Pair};
use crate::model::writer::Text;
use crate::ops::{Op, Pool2d};

/// Makes one layer for each pair of operators, with an attribute of its own if there is one in brackets; the last word
/// names what the forward step keeps for the backward one.
macro_rules! pools {
    ($($(#[$doc:meta])* $name:ident $([$(#[$about:meta])* $own:ident])?: $forward:ident, $backward:ident, $scratch:expr;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq)]
        pub struct $name {
            /// Height and width.
            pub kernel: [usize; 2],
            /// Vertical and horizontal.
            pub stride: [usize; 2],
            /// Top, left, bottom, right.
            pub padding: [usize; 4],
            /// Whether output extents are rounded up.
            pub ceil: bool,
            $($(#[$about])* pub $own: bool,)?
        }

        impl $name {
            fn geometry(&self, extents: &Extents) -> Pool2d {
                let $name { kernel, stride, padding: pad, ceil, .. } = *self;
                let count_include_pad = [true $(, self.$own)?].iter().all(|counts| *counts);
                let (batch, channels, [h_in, w_in]) = (extents.batch, extents.channels(), extents.sides());
                Pool2d { batch, channels, h_in, w_in, kernel, stride, pad, ceil, count_include_pad }
            }
        }

        impl LayerKind for $name {
            fn read(t: &Table<'_>) -> Result<Self> {
                let kernel = t.need::<Pair>("kernel")?.0;
                Ok($name {
                    kernel,
                    stride: t.or("stride", Pair(kernel))?.0,
                    padding: t.or("padding", Padding([0; 4]))?.0,
                    ceil: t.or("ceil", false)?,
                    $($own: t.or(stringify!($own), true)?,)?
                })
            }
            fn write(&self, out: &mut Text) {
                let $name { kernel, stride, padding, ceil, .. } = *self;
                out.put("kernel", &Pair(kernel));
                out.put_unless("stride", &Pair(stride), &Pair(kernel));
                out.put_unless("padding", &Padding(padding), &Padding([0; 4]));
                out.put_unless("ceil", &ceil, &false);
                $(out.put_unless(stringify!($own), &self.$own, &true);)?
            }
            fn output(&self, inputs: &[&[usize]], batch: usize) -> std::result::Result<Vec<usize>, String> {
                let [channels, ..] = image(inputs[0])?;
                let d = self.geometry(&Extents::of_input(batch, inputs[0]));
                check(Op::MaxPool2dForward(d))?;
                Ok(vec![channels, d.h_out(), d.w_out()])
            }
            fn parameters(&self, _x: &[usize], _init: &Init) -> Vec<Declared> {
                Vec::new()
            }
            fn emit(&self, at: &mut Emitter<'_, '_>) -> Result<usize> {
                let op = Op::$forward(self.geometry(&at.extents));
                match $scratch {
                    Some(scratch) => at.unary_with(op, scratch),
                    None => at.unary(op),
                }
            }
            fn differentiate(&self, at: &mut Walk<'_, '_>) -> Result<()> {
                let op = Op::$backward(self.geometry(at.extents()));
                // The index of each maximum, where the forward step wrote one.
                let scratch: Option<&str> = $scratch;
                let index = scratch.map(|_| at.operand(2));
                let operands: Vec<_> = index.into_iter().chain([at.dy]).collect();
                at.input_gradient(op, &operands)
            }
        }
    )*};
}

pools! {
    /// The maximum of each window; PyTorch's `MaxPool2d` with `ceil_mode` as `ceil`.
    MaxPool2d: MaxPool2dForward, MaxPool2dBackward, Some("index");
    /// The mean of each window; PyTorch's `AvgPool2d` with `ceil_mode` as `ceil`.
    AvgPool2d [
        /// Whether the zeros of the padding count.
        count_include_pad
    ]: AvgPool2dForward, AvgPool2dBackward, None;
}
