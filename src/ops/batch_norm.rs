//! Batch normalisation over channels (Ioffe & Szegedy 2015), in four operators: statistics, normalisation, and
//! the two gradients. Evaluation is the normalisation alone, given the running statistics.

use super::{Describe, Hyper, Op, Operand, OperandKind as Kind};

/// Geometry of batch_norm2d. x is `[batch, channels, inner]` with `inner` = height times width.
///
/// With N = rows * inner (`Hyper::rows`: rows that only pad the last batch take no part):
/// * stats: mean and *biased* variance per channel; running = (1 - momentum) running + momentum * statistic, the
///   running variance with the unbiased one (N - 1, at least 1), as in PyTorch.
/// * forward: y = (x - mean) / sqrt(var + eps) * w + b, for all rows of the batch.
/// * grad_parameters: with s = 1 / sqrt(var + eps): dw = sum dy (x - mean) s, db = sum dy. Also `coefficients`,
///   `[4, channels]`: rows a = w s, b = -a s dw / N, c = -a db / N, and mean.
/// * grad_input: dx = a dy + b (x - mean) + c; 0 in rows that only pad.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct BatchNorm2d {
    pub batch: usize,
    pub channels: usize,
    pub inner: usize,
    pub eps: f32,
    pub momentum: f32,
    /// Whether the forward operator ends with max(0, .); the gradients are given dy before it.
    pub relu: bool,
}

impl Describe for BatchNorm2d {
    fn operands(&self, op: &Op) -> Vec<Operand> {
        let x = [self.batch, self.channels, self.inner];
        let c = [self.channels];
        let hyper = Operand::read("hyper", Kind::Hyper, [Hyper::WORDS]);
        match op {
            Op::BatchNorm2dStats(_) => vec![
                Operand::read("x", Kind::Data, x),
                hyper,
                Operand::write("mean", Kind::Mean, c),
                Operand::write("var", Kind::Variance, c),
                Operand::update("running_mean", Kind::RunningMean, c),
                Operand::update("running_var", Kind::RunningVariance, c),
            ],
            Op::BatchNorm2dGradParameters(_) => vec![
                Operand::read("x", Kind::Data, x),
                Operand::read("w", Kind::Parameter, c),
                Operand::read("mean", Kind::Mean, c),
                Operand::read("var", Kind::Variance, c),
                Operand::read("dy", Kind::Gradient, x),
                hyper,
                Operand::write("dw", Kind::Gradient, c),
                Operand::write("db", Kind::Gradient, c),
                Operand::write("coefficients", Kind::Intermediate, [4, self.channels]),
            ],
            Op::BatchNorm2dGradInput(_) => vec![
                Operand::read("x", Kind::Data, x),
                Operand::read("coefficients", Kind::Intermediate, [4, self.channels]),
                Operand::read("dy", Kind::Gradient, x),
                hyper,
                Operand::write("dx", Kind::Gradient, x),
            ],
            _ => vec![
                Operand::read("x", Kind::Data, x),
                Operand::read("w", Kind::Parameter, c),
                Operand::read("b", Kind::Parameter, c),
                Operand::read("mean", Kind::Mean, c),
                Operand::read("var", Kind::Variance, c),
                Operand::write("y", Kind::Data, x),
            ],
        }
    }
    fn flops(&self, op: &Op) -> u64 {
        let elements = (self.batch * self.channels * self.inner) as u64;
        match op {
            Op::BatchNorm2dForward(_) => 4 * elements,
            Op::BatchNorm2dGradInput(_) => 7 * elements,
            _ => 5 * elements,
        }
    }
    fn check(&self, _op: &Op) -> Result<(), String> {
        if self.eps > 0.0 { Ok(()) } else { Err(format!("eps must be positive, found {}", self.eps)) }
    }
}
