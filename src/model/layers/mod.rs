//! The layers that a model file may name. All that a layer is stands in one file: its attributes and their TOML, its
//! output shape, its parameters, its forward steps and its backward steps. Definitions, defaults and formulas are
//! PyTorch's. The table at the end of this file lists every layer.

mod activation;
mod adaptive_avg_pool2d;
mod add;
mod batch_norm2d;
mod channel_shuffle;
mod clip;
mod concat;
mod conv2d;
mod dropout;
mod elu;
mod flatten;
mod gelu;
mod global_pool2d;
mod hard_sigmoid;
mod layer_norm;
mod leaky_relu;
mod linear;
mod local_response_norm;
mod mul;
mod pad;
mod pool2d;
mod prelu;
mod scale;
mod slice;
mod softmax;
mod structured_dropout;
mod upsample;

use super::emit::Emitter;
use super::gradient::Walk;
use super::init::Init;
use super::parameter::{Declared, TensorKind};
use super::reader::{Table, suggestion};
use super::writer::Text;
use crate::error::Result;
use crate::ops::Op;

/// What the compiler of models asks of a layer. `parameters` and `differentiate` have no default, so that a layer
/// without them does not compile; the compiler of models also rejects a program in which a gradient gets lost.
pub(super) trait LayerKind {
    /// Reads the attributes from a `[[layer]]` table.
    fn read(t: &Table<'_>) -> Result<Self>
    where
        Self: Sized;

    /// Writes the attributes that differ from their defaults.
    fn write(&self, out: &mut Text);

    /// Output extents without the batch, or the reason why the inputs do not fit. There is at least one input.
    fn output(&self, inputs: &[&[usize]], batch: usize) -> std::result::Result<Vec<usize>, String>;

    /// The tensors that belong to the layer, over an input of extents `x`: first the trained ones in the order of the
    /// operands, then the state. Which tensors there are does not depend on `x`, only their shapes do.
    fn parameters(&self, x: &[usize], init: &Init) -> Vec<Declared>;

    /// The end of the name of a tensor of the layer, after the layer's name and a point.
    fn tensor_name(&self, kind: TensorKind) -> &str {
        kind.name()
    }

    /// Emits the forward steps and returns the value that holds the output.
    fn emit(&self, at: &mut Emitter<'_, '_>) -> Result<usize>;

    /// Emits the backward steps of one record of [`LayerKind::emit`]: the gradient of every trained parameter, and a
    /// contribution to the gradient of every input.
    fn differentiate(&self, at: &mut Walk<'_, '_>) -> Result<()>;

    /// Whether the layer reads two or more inputs (`inputs = [...]`) rather than one (`input = "..."`).
    fn reads_several(&self) -> bool {
        false
    }

    /// Whether a ReLU that follows can become part of the layer's operator.
    fn fuses_relu(&self) -> bool {
        false
    }

    /// Whether the output in evaluation is the input, in the same memory.
    fn passes_on(&self) -> bool {
        false
    }

    /// Whether the parameters start as the table `[init]` says, unless the layer has an `init` of its own.
    fn inherits_init(&self) -> bool {
        true
    }

    /// Whether a layer with parameters may have an `init` of its own.
    fn takes_init(&self) -> bool {
        true
    }

    /// Multiply-adds of the forward pass for one row.
    fn macs(&self, _x: &[usize]) -> u64 {
        0
    }

    /// The attribute that sets the number of outputs; `None` if the input determines it.
    fn outputs_mut(&mut self) -> Option<&mut usize> {
        None
    }
}

/// The extents `[channels, height, width]` of an input that has to be an image.
fn image(x: &[usize]) -> std::result::Result<[usize; 3], String> {
    match x {
        [c, h, w] => Ok([*c, *h, *w]),
        _ => Err(format!("expected an input [channels, height, width], found {x:?}")),
    }
}

/// The reason why `op` cannot be executed, if so.
fn check(op: Op) -> std::result::Result<(), String> {
    // A user names layers, and the operator below them says nothing more.
    let start = format!("{}: ", op.name());
    op.check().map_err(|e| {
        let text = e.to_string();
        text.strip_prefix(&start).unwrap_or(&text).to_string()
    })
}

/// Another name in model files for an adaptive average pooling with one output.
const GLOBAL_AVERAGE: &str = "global_avg_pool2d";

/// Makes the enum [`LayerOp`] from one table of layers.
macro_rules! layers {
    ($($module:ident::$variant:ident = $name:literal;)*) => {
        $(pub use $module::$variant;)*

        /// The operator of a layer, with its attributes.
        #[derive(Clone, Debug, PartialEq)]
        pub enum LayerOp {
            $($variant($variant),)*
        }

        $(impl From<$variant> for LayerOp {
            fn from(layer: $variant) -> Self {
                LayerOp::$variant(layer)
            }
        })*

        impl LayerOp {
            /// The names in model files.
            pub const NAMES: &'static [&'static str] = &[$($name),*];

            /// The name in model files.
            pub fn name(&self) -> &'static str {
                match self {
                    $(LayerOp::$variant(_) => $name,)*
                }
            }

            pub(super) fn kind(&self) -> &dyn LayerKind {
                match self {
                    $(LayerOp::$variant(layer) => layer,)*
                }
            }

            pub(super) fn kind_mut(&mut self) -> &mut dyn LayerKind {
                match self {
                    $(LayerOp::$variant(layer) => layer,)*
                }
            }

            /// Reads the operator and its attributes from a `[[layer]]` table.
            pub(super) fn read(t: &Table<'_>) -> Result<Self> {
                let name: String = t.need("op")?;
                match name.as_str() {
                    $($name => $variant::read(t).map(LayerOp::$variant),)*
                    GLOBAL_AVERAGE => global_pool2d::average(t).map(LayerOp::AdaptiveAvgPool2d),
                    _ => {
                        let names = || Self::NAMES.iter().copied().chain([GLOBAL_AVERAGE]);
                        let near = match OTHER_OPERATORS.contains(&name.as_str()) {
                            true => String::new(),
                            false => suggestion(&name, names()),
                        };
                        let near = match near.is_empty() {
                            true => format!("; there are {}", names().collect::<Vec<_>>().join(", ")),
                            false => near,
                        };
                        Err(t.error("op", format!("unknown operator \"{name}\"{near}")))
                    }
                }
            }
        }
    };
}

/// Operators of other frameworks whose names are a letter or two away from one of a different function.
const OTHER_OPERATORS: [&str; 15] = [
    "selu",
    "celu",
    "glu",
    "rrelu",
    "mish",
    "swish",
    "softplus",
    "softmin",
    "log_sigmoid",
    "pixel_shuffle",
    "crop",
    "sub",
    "sum",
    "max",
    "min",
];

layers! {
    conv2d::Conv2d = "conv2d";
    linear::Linear = "linear";
    activation::Relu = "relu";
    leaky_relu::LeakyRelu = "leaky_relu";
    activation::Sigmoid = "sigmoid";
    activation::Tanh = "tanh";
    activation::Silu = "silu";
    activation::HardSwish = "hard_swish";
    hard_sigmoid::HardSigmoid = "hard_sigmoid";
    gelu::Gelu = "gelu";
    elu::Elu = "elu";
    prelu::Prelu = "prelu";
    clip::Clip = "clip";
    clip::Relu6 = "relu6";
    softmax::Softmax = "softmax";
    flatten::Flatten = "flatten";
    pool2d::MaxPool2d = "max_pool2d";
    pool2d::AvgPool2d = "avg_pool2d";
    adaptive_avg_pool2d::AdaptiveAvgPool2d = "adaptive_avg_pool2d";
    global_pool2d::GlobalMaxPool2d = "global_max_pool2d";
    local_response_norm::LocalResponseNorm = "local_response_norm";
    batch_norm2d::BatchNorm2d = "batch_norm2d";
    dropout::Dropout = "dropout";
    add::Add = "add";
    mul::Mul = "mul";
    concat::Concat = "concat";
    slice::Slice = "slice";
    channel_shuffle::ChannelShuffle = "channel_shuffle";
    scale::Scale = "scale";
    layer_norm::LayerNorm = "layer_norm";
    pad::Pad = "pad";
    upsample::Upsample = "upsample";
    structured_dropout::Dropout2d = "dropout2d";
    structured_dropout::StochasticDepth = "stochastic_depth";
}

impl LayerOp {
    /// Output extents without the batch for inputs of these extents, or the reason why they do not fit.
    pub fn output_dims(&self, inputs: &[&[usize]]) -> std::result::Result<Vec<usize>, String> {
        if inputs.is_empty() {
            Err("expected an input, found none".into())
        } else {
            self.kind().output(inputs, 1)
        }
    }

    /// Kinds and shapes of the layer's tensors over an input of extents `x`, in the order in which operators read them.
    pub fn tensors(&self, x: &[usize]) -> Vec<(TensorKind, Vec<usize>)> {
        let declared = self.kind().parameters(x, &Init::default());
        declared.into_iter().map(|tensor| (tensor.kind, tensor.shape)).collect()
    }

    /// The end of the name of a tensor of the layer, after the layer's name and a point: `weight`, unless the layer names
    /// it otherwise.
    pub fn tensor_name(&self, kind: TensorKind) -> &str {
        self.kind().tensor_name(kind)
    }

    /// Whether the layer drops values at random in training and does nothing in evaluation.
    pub fn is_dropout(&self) -> bool {
        matches!(self, LayerOp::Dropout(_) | LayerOp::Dropout2d(_) | LayerOp::StochasticDepth(_))
    }

    /// Whether the layer has parameters, which are named after it.
    pub fn has_parameters(&self) -> bool {
        !self.tensors(&[1; 3]).is_empty()
    }
}
