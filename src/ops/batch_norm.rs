//! Batch normalisation over channels (Ioffe & Szegedy 2015), in four operators: statistics, normalisation, and
//! the two gradients. Evaluation is the normalisation alone, given the running statistics.

use super::{Describe, Hyper, Op, Operand};

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
        let hyper = Operand::read("hyper", [Hyper::WORDS]);
        match op {
            Op::BatchNorm2dStats(_) => vec![
                Operand::read("x", x),
                hyper,
                Operand::write("mean", c),
                Operand::write("var", c),
                Operand::update("running_mean", c),
                Operand::update("running_var", c),
            ],
            Op::BatchNorm2dGradParameters(_) => vec![
                Operand::read("x", x),
                Operand::read("w", c),
                Operand::read("mean", c),
                Operand::read("var", c),
                Operand::read("dy", x),
                hyper,
                Operand::write("dw", c),
                Operand::write("db", c),
                Operand::write("coefficients", [4, self.channels]),
            ],
            Op::BatchNorm2dGradInput(_) => vec![
                Operand::read("x", x),
                Operand::read("coefficients", [4, self.channels]),
                Operand::read("dy", x),
                hyper,
                Operand::write("dx", x),
            ],
            _ => vec![
                Operand::read("x", x),
                Operand::read("w", c),
                Operand::read("b", c),
                Operand::read("mean", c),
                Operand::read("var", c),
                Operand::write("y", x),
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
    fn check(&self) -> Result<(), String> {
        if self.eps > 0.0 { Ok(()) } else { Err(format!("eps must be positive, found {}", self.eps)) }
    }
}
