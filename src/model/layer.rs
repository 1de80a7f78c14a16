//! The layers that a model file may name, with their attributes. Definitions, defaults and formulas are PyTorch's.

use super::init::Init;
use super::reader::{Padding, Pair, Table, suggestion};
use crate::error::{Result, printable};

/// What a layer does, with its attributes.
#[derive(Clone, Debug, PartialEq)]
pub enum LayerOp {
    Conv2d {
        out_channels: usize,
        kernel: [usize; 2],
        stride: [usize; 2],
        padding: [usize; 4],
        dilation: [usize; 2],
        groups: usize,
        bias: bool,
    },
    Linear {
        out_features: usize,
        bias: bool,
    },
    Relu,
    Sigmoid,
    Tanh,
    Softmax,
    Flatten,
    MaxPool2d {
        kernel: [usize; 2],
        stride: [usize; 2],
        padding: [usize; 4],
        ceil: bool,
    },
    AvgPool2d {
        kernel: [usize; 2],
        stride: [usize; 2],
        padding: [usize; 4],
        ceil: bool,
    },
    AdaptiveAvgPool2d {
        output: [usize; 2],
    },
    LocalResponseNorm {
        size: usize,
        alpha: f32,
        beta: f32,
        k: f32,
        /// Over a square of places in each map, not over channels.
        within: bool,
    },
    BatchNorm2d {
        eps: f32,
        momentum: f32,
    },
    Dropout {
        p: f32,
    },
    Add,
    Concat,
}

/// Names of the operators in model files.
const NAMES: [&str; 15] = [
    "conv2d",
    "linear",
    "relu",
    "sigmoid",
    "tanh",
    "softmax",
    "flatten",
    "max_pool2d",
    "avg_pool2d",
    "adaptive_avg_pool2d",
    "local_response_norm",
    "batch_norm2d",
    "dropout",
    "add",
    "concat",
];

/// One layer of a network.
#[derive(Clone, Debug, PartialEq)]
pub struct Layer {
    pub name: String,
    pub op: LayerOp,
    /// Names of the layers it reads; `input` is the network's input.
    pub inputs: Vec<String>,
    pub init: Init,
    /// Factors of the learning rate for weight and bias.
    pub lr_mult: [f32; 2],
    /// Factors of the weight decay for weight and bias.
    pub decay_mult: [f32; 2],
    /// Line of the model file, for messages.
    pub line: usize,
}

impl LayerOp {
    /// Whether the layer's output in evaluation is its input, in the same place.
    pub(super) fn passes_on(&self) -> bool {
        matches!(self, LayerOp::Flatten | LayerOp::Dropout { .. })
    }

    /// The name in model files.
    pub fn name(&self) -> &'static str {
        match self {
            LayerOp::Conv2d { .. } => "conv2d",
            LayerOp::Linear { .. } => "linear",
            LayerOp::Relu => "relu",
            LayerOp::Sigmoid => "sigmoid",
            LayerOp::Tanh => "tanh",
            LayerOp::Softmax => "softmax",
            LayerOp::Flatten => "flatten",
            LayerOp::MaxPool2d { .. } => "max_pool2d",
            LayerOp::AvgPool2d { .. } => "avg_pool2d",
            LayerOp::AdaptiveAvgPool2d { .. } => "adaptive_avg_pool2d",
            LayerOp::LocalResponseNorm { .. } => "local_response_norm",
            LayerOp::BatchNorm2d { .. } => "batch_norm2d",
            LayerOp::Dropout { .. } => "dropout",
            LayerOp::Add => "add",
            LayerOp::Concat => "concat",
        }
    }

    fn read(t: &Table<'_>) -> Result<Self> {
        let name: String = t.need("op")?;
        let pair = |key, default: [usize; 2]| t.or(key, Pair(default)).map(|p| p.0);
        let padding = || t.or("padding", Padding([0; 4])).map(|p| p.0);
        let op = match name.as_str() {
            "conv2d" => LayerOp::Conv2d {
                out_channels: t.need("out_channels")?,
                kernel: t.need::<Pair>("kernel")?.0,
                stride: pair("stride", [1, 1])?,
                padding: padding()?,
                dilation: pair("dilation", [1, 1])?,
                groups: t.or("groups", 1)?,
                bias: t.or("bias", true)?,
            },
            "linear" => LayerOp::Linear { out_features: t.need("out_features")?, bias: t.or("bias", true)? },
            "relu" => LayerOp::Relu,
            "sigmoid" => LayerOp::Sigmoid,
            "tanh" => LayerOp::Tanh,
            "softmax" => LayerOp::Softmax,
            "flatten" => LayerOp::Flatten,
            "max_pool2d" | "avg_pool2d" => {
                let kernel = t.need::<Pair>("kernel")?.0;
                let stride = pair("stride", kernel)?;
                let (padding, ceil) = (padding()?, t.or("ceil", false)?);
                if name == "max_pool2d" {
                    LayerOp::MaxPool2d { kernel, stride, padding, ceil }
                } else {
                    LayerOp::AvgPool2d { kernel, stride, padding, ceil }
                }
            }
            "adaptive_avg_pool2d" => LayerOp::AdaptiveAvgPool2d { output: t.need::<Pair>("output")?.0 },
            "local_response_norm" => LayerOp::LocalResponseNorm {
                size: t.need("size")?,
                alpha: t.or("alpha", 1e-4)?,
                beta: t.or("beta", 0.75)?,
                k: t.or("k", 1.0)?,
                within: t.word("region", &[("across", false), ("within", true)], false)?,
            },
            "batch_norm2d" => {
                LayerOp::BatchNorm2d { eps: t.or("eps", 1e-5)?, momentum: t.or("momentum", 0.1)? }
            }
            "dropout" => LayerOp::Dropout { p: t.or("p", 0.5)? },
            "add" => LayerOp::Add,
            "concat" => LayerOp::Concat,
            _ => {
                let near = suggestion(&name, NAMES);
                return Err(t.error("op", format!("unknown operator \"{name}\"{near}")));
            }
        };
        Ok(op)
    }
}

impl Layer {
    /// Reads one `[[layer]]`. `number` counts from 0; `above` is the layer before it.
    pub(super) fn read(mut t: Table<'_>, number: usize, above: &str, init: &Init) -> Result<Self> {
        let name: Option<String> = t.get("name")?;
        if let Some(name) = &name {
            t.rename(format!("layer {name}"));
        }
        let op = LayerOp::read(&t)?;
        let name = name.unwrap_or_else(|| format!("{}.{number}", op.name()));
        t.rename(format!("layer {name}"));
        if name.is_empty() || name == "input" || name.len() > 200 || printable(&name) != name {
            return Err(
                t.error("name", "expected a printable name of 1 to 200 characters other than `input`")
            );
        }
        let several = matches!(op, LayerOp::Add | LayerOp::Concat);
        let inputs = if several {
            let inputs: Vec<String> = t.need("inputs")?;
            if inputs.len() < 2 {
                return Err(t.error("inputs", format!("expected at least 2 layers, found {}", inputs.len())));
            }
            inputs
        } else {
            vec![t.or("input", above.to_string())?]
        };
        let trained =
            matches!(op, LayerOp::Conv2d { .. } | LayerOp::Linear { .. } | LayerOp::BatchNorm2d { .. });
        let mut layer = Layer {
            name,
            op,
            inputs,
            init: init.clone(),
            lr_mult: [1.0; 2],
            decay_mult: [1.0; 2],
            line: t.line,
        };
        if trained {
            if let Some(table) = t.table("init", format!("layer {}: init", layer.name))? {
                layer.init = Init::read(&table, init)?;
            }
            layer.lr_mult = factors(&t, "lr_mult", &layer.name)?;
            layer.decay_mult = factors(&t, "decay_mult", &layer.name)?;
        }
        t.finish()?;
        Ok(layer)
    }
}

/// `key = 2.0` for both weight and bias, or `key = { weight = 1.0, bias = 2.0 }`.
fn factors(t: &Table<'_>, key: &'static str, layer: &str) -> Result<[f32; 2]> {
    let both = match t.get::<f32>(key) {
        Ok(Some(both)) => [both; 2],
        Ok(None) => [1.0; 2],
        Err(_) => {
            let table = t.table(key, format!("layer {layer}: {key}"))?;
            let Some(table) = table else { return Ok([1.0; 2]) };
            let pair = [table.or("weight", 1.0)?, table.or("bias", 1.0)?];
            table.finish()?;
            pair
        }
    };
    if both.iter().any(|f| *f < 0.0) {
        return Err(t.error(key, "expected 0 or more"));
    }
    Ok(both)
}
