//! Losses and the record of a step.

use super::{Describe, Hyper, Op, Operand, OperandKind as Kind};

/// The content of the labels buffer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Target {
    /// One class number per row, `[batch]`, a whole number in an `f32`.
    Class,
    /// One value per output, `[batch, classes]` (half squared error only).
    Values,
}

/// A loss over x `[batch, classes]`. Outputs `loss` `[batch]` and `rank` `[batch]`; with `grad` also dx.
///
/// Only the first `Hyper::rows` rows count: the others get loss 0, rank = classes and dx = 0.
/// dx is the gradient of (sum of losses over rows) * `Hyper::loss_scale`.
///
/// * cross_entropy: with p = softmax(x) and t = (1 - smoothing) onehot(label) + smoothing / classes,
///   loss = -sum t log p and dx = (p - t) * loss_scale.
///   With `weighted`, w[c] being the weight of class c: t[c] = w[c] ((1 - smoothing) onehot(label)[c] + smoothing / classes),
///   loss = -sum t log p and dx = (p sum t - t) * loss_scale. With loss_scale = 1 / (sum of w[label] over rows) that is the
///   mean of PyTorch's `CrossEntropyLoss(weight=w, label_smoothing=smoothing)`.
///   With `mixed`, t = (1 - smoothing) (w onehot(label) + (1 - w) onehot(other)) + smoothing / classes, where w is
///   `Hyper::mix_weight` and `other` the label of the row before, or for row 0 that of the last real one: the labels of
///   rows that [`super::Mix`] mixed, as torchvision's `v2.MixUp` makes them.
/// * half_squared_error: loss = 1/2 sum (x - t)^2, dx = (x - t) * loss_scale; t is the one-hot row of a class or
///   the given values.
///
/// `rank` is how many classes come before the correct one: those with a greater x, or an equal one and a lower
/// number. So rank < 5 is a top-5 hit. It is `classes` if the correct one's x is NaN. For `Target::Values` the correct
/// class is the first maximum of the row; with a single output, rank is 0 if x and t lie on the same side of 0.5
/// (a value is on the upper side if it is greater than 0.5), else 1. Of two labels (`mixed`) the correct one is that with
/// the larger share, the row's own if both have the same.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Loss {
    pub batch: usize,
    pub classes: usize,
    pub target: Target,
    /// Label smoothing, 0 to 1 (cross_entropy only).
    pub smoothing: f32,
    /// Whether each class has a weight, 0 or more (cross_entropy with `grad` only).
    pub weighted: bool,
    /// Whether dx is computed (not in evaluation).
    pub grad: bool,
    /// Whether rows have two labels (cross_entropy of classes only).
    pub mixed: bool,
}

impl Describe for Loss {
    fn operands(&self, _op: &Op) -> Vec<Operand> {
        let x = [self.batch, self.classes];
        let labels = match self.target {
            Target::Class => Operand::read("labels", Kind::Labels, [self.batch]),
            Target::Values => Operand::read("labels", Kind::Labels, x),
        };
        let mut operands = vec![
            Operand::read("x", Kind::Data, x),
            labels,
            Operand::read("hyper", Kind::Hyper, [Hyper::WORDS]),
        ];
        if self.weighted {
            operands.push(Operand::read("weights", Kind::ClassWeights, [self.classes]));
        }
        operands.extend([
            Operand::write("loss", Kind::Loss, [self.batch]),
            Operand::write("rank", Kind::Rank, [self.batch]),
        ]);
        if self.grad {
            operands.push(Operand::write("dx", Kind::Gradient, x));
        }
        operands
    }
    fn flops(&self, op: &Op) -> u64 {
        let elements = (self.batch * self.classes) as u64;
        if matches!(op, Op::CrossEntropy(_)) { 8 * elements } else { 4 * elements }
    }
    fn check(&self, op: &Op) -> Result<(), String> {
        if self.weighted && !(self.grad && matches!(op, Op::CrossEntropy(_))) {
            return Err("class weights belong to a cross_entropy with its gradient".into());
        }
        if self.mixed && (self.target != Target::Class || !matches!(op, Op::CrossEntropy(_))) {
            return Err("rows with two labels need the loss cross-entropy of classes".into());
        }
        if self.mixed && self.weighted {
            return Err("rows with two labels have no class weights".into());
        }
        if (0.0..=1.0).contains(&self.smoothing) {
            Ok(())
        } else {
            Err(format!("label_smoothing must lie between 0 and 1, found {}", self.smoothing))
        }
    }
}

/// Record `Hyper::slot` of `metrics` becomes [sum of losses, top-1 hits, top-5 hits, rows, 0], over the first
/// `Hyper::rows` rows. The last word belongs to the updates of the step (see
/// [`super::Update::number`]). So the host reads every `slots` steps instead of every step.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Metrics {
    pub batch: usize,
    pub slots: usize,
}

impl Metrics {
    /// Words of one record.
    pub const RECORD: usize = 5;
    /// The word of a record that reports non-finite values.
    pub const FOUND: usize = 4;
}

impl Describe for Metrics {
    fn operands(&self, _op: &Op) -> Vec<Operand> {
        vec![
            Operand::read("loss", Kind::Loss, [self.batch]),
            Operand::read("rank", Kind::Rank, [self.batch]),
            Operand::read("hyper", Kind::Hyper, [Hyper::WORDS]),
            Operand::part("metrics", Kind::Record, [self.slots, Metrics::RECORD]),
        ]
    }
    fn flops(&self, _op: &Op) -> u64 {
        3 * self.batch as u64
    }
}
