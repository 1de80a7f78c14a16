//! The tensors that belong to a network: weights, biases and running statistics, and how they start.

use super::init::Init;
use crate::program::BufferId;
use crate::tensor::Shape;

/// A tensor that belongs to the network: a weight or bias, or a running statistic.
#[derive(Clone, Debug, PartialEq)]
pub struct Parameter {
    /// As PyTorch names it: `<layer>.weight`, `<layer>.bias`, `<layer>.running_mean`, ...
    pub name: String,
    pub buffer: BufferId,
    /// Its gradient (the sum, when accumulating); `None` if it is not trained.
    pub gradient: Option<BufferId>,
    /// Its moving average, if one is kept and training changes it.
    pub average: Option<BufferId>,
    pub shape: Shape,
    pub lr_mult: f32,
    pub decay_mult: f32,
    pub(super) start: Start,
}

/// The initial values of a parameter.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Start {
    Weight { init: Init, fan_in: usize, fan_out: usize },
    Bias { init: Init, fan_in: usize },
    Fill(f32),
}

/// What a tensor is to its layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum TensorKind {
    Weight,
    Bias,
    RunningMean,
    RunningVariance,
}

impl TensorKind {
    /// The end of the tensor's name, after the layer's name and a point.
    pub fn name(self) -> &'static str {
        match self {
            TensorKind::Weight => "weight",
            TensorKind::Bias => "bias",
            TensorKind::RunningMean => "running_mean",
            TensorKind::RunningVariance => "running_var",
        }
    }

    /// The position in `Layer::lr_mult` and `Layer::decay_mult`; `None` if the tensor is not trained.
    pub fn side(self) -> Option<usize> {
        match self {
            TensorKind::Weight => Some(0),
            TensorKind::Bias => Some(1),
            TensorKind::RunningMean | TensorKind::RunningVariance => None,
        }
    }
}

/// A tensor that a layer asks for.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Declared {
    pub kind: TensorKind,
    pub shape: Vec<usize>,
    pub start: Start,
}

/// A weight of this shape, whose first extent is the outputs, and a bias if asked for. `fans` are inputs per output and
/// outputs per input, both times the kernel area.
pub(super) fn weight_and_bias(
    shape: Vec<usize>,
    [fan_in, fan_out]: [usize; 2],
    bias: bool,
    init: &Init,
) -> Vec<Declared> {
    let (init, outputs) = (init.clone(), shape[0]);
    let start = Start::Weight { init: init.clone(), fan_in, fan_out };
    let mut tensors = vec![Declared { kind: TensorKind::Weight, shape, start }];
    if bias {
        let start = Start::Bias { init, fan_in };
        tensors.push(Declared { kind: TensorKind::Bias, shape: vec![outputs], start });
    }
    tensors
}
