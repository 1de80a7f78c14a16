//! Operands: what an operator reads and writes.

use crate::tensor::Shape;

/// How an operator accesses an operand.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Access {
    /// Only read.
    Read,
    /// Every element is written; the previous content is ignored.
    Write,
    /// Read and written (weights in an update, running statistics).
    Update,
    /// Some elements are written and the others keep their values (one input's part of a concatenation).
    Part,
}

/// What an operand holds. Code that treats operands differently decides by this, never by an operand's name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum OperandKind {
    /// Activations: the input or output of a layer.
    Data,
    /// Stored images, four bytes to a word. The words are not floats.
    Bytes,
    /// The words of a [`crate::view::View`] per image. The words are not floats.
    Views,
    /// Class numbers or target values.
    Labels,
    /// The weight of each class in the loss, 0 or more.
    ClassWeights,
    /// The words of [`super::Hyper`].
    Hyper,
    /// A weight or a bias.
    Parameter,
    /// The gradient of an activation or of a parameter, or a sum of such gradients.
    Gradient,
    /// The mean of a channel.
    Mean,
    /// The variance of a channel, never negative.
    Variance,
    /// A running mean that batch normalisation keeps for evaluation.
    RunningMean,
    /// A running variance that batch normalisation keeps for evaluation.
    RunningVariance,
    /// A first moment of the optimiser: a moving average or sum of gradients.
    Momentum,
    /// A second moment of the optimiser: a moving average of squared gradients, never negative.
    SecondMoment,
    /// Values that one operator computes for another of the same layer.
    Intermediate,
    /// Positions of maxima in their windows, as whole numbers.
    Index,
    /// The loss of each row.
    Loss,
    /// The rank of the correct class in each row, as a whole number.
    Rank,
    /// The records of [`super::Metrics`].
    Record,
    /// The squared norms of gradients, one per parameter.
    Norms,
    /// The factor that an update multiplies gradients by.
    Factor,
    /// The words of [`super::Scaling`].
    Scaling,
}

impl OperandKind {
    /// Whether the words are bit patterns rather than floats, so that converting them to a float would change them.
    pub fn is_words(self) -> bool {
        matches!(self, OperandKind::Bytes | OperandKind::Views)
    }
}

/// One operand of an operator.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Operand {
    /// The name in formulas and messages.
    pub name: &'static str,
    pub kind: OperandKind,
    pub shape: Shape,
    pub access: Access,
}

impl Operand {
    pub(crate) fn read(name: &'static str, kind: OperandKind, shape: impl Into<Shape>) -> Self {
        Operand { name, kind, shape: shape.into(), access: Access::Read }
    }
    pub(crate) fn write(name: &'static str, kind: OperandKind, shape: impl Into<Shape>) -> Self {
        Operand { name, kind, shape: shape.into(), access: Access::Write }
    }
    pub(crate) fn update(name: &'static str, kind: OperandKind, shape: impl Into<Shape>) -> Self {
        Operand { name, kind, shape: shape.into(), access: Access::Update }
    }
    pub(crate) fn part(name: &'static str, kind: OperandKind, shape: impl Into<Shape>) -> Self {
        Operand { name, kind, shape: shape.into(), access: Access::Part }
    }
}
