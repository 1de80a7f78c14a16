//! Updates of parameters from their gradients, and clipping by the norm of all gradients.

use super::{Describe, GradUnscale, Hyper, Metrics, Op, Operand, OperandKind as Kind};

/// One parameter's update; the formulas are PyTorch's. g is the gradient, times the clipping factor if `clip`.
/// With `scaled` the factor is that of `grad_unscale`, and so are Adam's corrections; where it is 0 nothing changes.
/// lr = `Hyper::lr` * lr_mult, wd = `Hyper::weight_decay` * decay_mult.
///
/// * sgd: g += wd w; with momentum: v = momentum v + g, g = v (nesterov: g += momentum v); w -= lr g.
/// * adam: g += wd w; m = beta1 m + (1 - beta1) g; v = beta2 v + (1 - beta2) g^2;
///   w -= lr / correction1 * m / (sqrt(v) / sqrt(correction2) + eps).
/// * adamw: w *= 1 - lr wd first, then adam without the decay.
/// * rmsprop: g += wd w; v = alpha v + (1 - alpha) g^2; g = g / (sqrt(v) + eps); with momentum:
///   m = momentum m + g, g = m; w -= lr g.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Update {
    pub len: usize,
    pub lr_mult: f32,
    pub decay_mult: f32,
    /// sgd and rmsprop: whether there is a momentum buffer.
    pub momentum: bool,
    /// sgd: Nesterov's form.
    pub nesterov: bool,
    /// Whether the factor of `grad_clip` is an operand.
    pub clip: bool,
    /// Whether gradients are scaled, and the factor of `grad_unscale` is an operand (also with `clip`).
    pub scaled: bool,
    /// Number of the parameter, from 1. The step's record is an operand, and its last word becomes the maximum of its
    /// previous value and of the [`NonFinite::word`] of every non-finite value of w and of the state. 0: no search.
    pub number: u32,
    /// Records in the operand.
    pub slots: usize,
}

/// A non-finite value that an update has found in a parameter or in its optimiser's state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NonFinite {
    /// The number of the parameter, as in [`Update::number`].
    pub number: u32,
    /// Whether the value was non-finite before the update; then the update is not the cause.
    pub before: bool,
    pub weight: bool,
    pub state: bool,
}

impl NonFinite {
    /// Parts of the word, which is a whole number below 2^24: [`NonFinite::BEFORE`] + 4 number + weight + 2 state. So values
    /// from before an update win, and then the last parameter, where gradients come from.
    pub const BEFORE: u32 = 1 << 23;
    pub const WEIGHT: u32 = 1;
    pub const STATE: u32 = 2;

    /// Its word in the record.
    pub fn word(self) -> f32 {
        let bit = |is_set: bool, bit: u32| if is_set { bit } else { 0 };
        let marks = bit(self.weight, Self::WEIGHT) + bit(self.state, Self::STATE);
        // All parameters beyond the two millionth share one number.
        (bit(self.before, Self::BEFORE) + 4 * self.number.min((1 << 21) - 1) + marks) as f32
    }

    /// Decodes a record's word; `None` if everything was finite.
    pub fn from_word(word: f32) -> Option<NonFinite> {
        let word = word as u32;
        let is_set = |bit: u32| word & bit != 0;
        (word > 0).then(|| NonFinite {
            number: word % Self::BEFORE / 4,
            before: is_set(Self::BEFORE),
            weight: is_set(Self::WEIGHT),
            state: is_set(Self::STATE),
        })
    }
}

impl Describe for Update {
    /// g, hyper, (factor), w, then the optimiser's state: sgd (v); adam, adamw m, v; rmsprop v, (m); then the (record).
    fn operands(&self, op: &Op) -> Vec<Operand> {
        let n = [self.len];
        let mut operands =
            vec![Operand::read("g", Kind::Gradient, n), Operand::read("hyper", Kind::Hyper, [Hyper::WORDS])];
        if self.scaled {
            operands.push(Operand::read("factor", Kind::Factor, [GradUnscale::FACTOR]));
        } else if self.clip {
            operands.push(Operand::read("factor", Kind::Factor, [1]));
        }
        operands.push(Operand::update("w", Kind::Parameter, n));
        match op {
            Op::Adam(_) | Op::AdamW(_) => {
                operands.extend([
                    Operand::update("m", Kind::Momentum, n),
                    Operand::update("v", Kind::SecondMoment, n),
                ]);
            }
            Op::RmsProp(_) => {
                operands.push(Operand::update("v", Kind::SecondMoment, n));
                if self.momentum {
                    operands.push(Operand::update("m", Kind::Momentum, n));
                }
            }
            _ if self.momentum => operands.push(Operand::update("v", Kind::Momentum, n)),
            _ => {}
        }
        if self.number > 0 {
            operands.push(Operand::update("record", Kind::Record, [self.slots, Metrics::RECORD]));
        }
        operands
    }
    fn flops(&self, op: &Op) -> u64 {
        let per_element = match op {
            Op::Sgd(_) => 6,
            Op::RmsProp(_) => 11,
            _ => 14,
        };
        per_element * self.len as u64
    }
}

/// `norms[index]` = sum of g^2 (before the root), for one parameter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct GradNorm {
    pub len: usize,
    /// Which of the `count` places is this parameter's.
    pub index: usize,
    pub count: usize,
}

impl Describe for GradNorm {
    fn operands(&self, _op: &Op) -> Vec<Operand> {
        vec![
            Operand::read("g", Kind::Gradient, [self.len]),
            Operand::part("norms", Kind::Norms, [self.count]),
        ]
    }
    fn flops(&self, _op: &Op) -> u64 {
        2 * self.len as u64
    }
}

/// factor = min(1, max_norm / (sqrt(sum of norms) + 1e-6)), PyTorch's `clip_grad_norm_`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct GradClip {
    pub count: usize,
}

impl Describe for GradClip {
    fn operands(&self, _op: &Op) -> Vec<Operand> {
        vec![
            Operand::read("norms", Kind::Norms, [self.count]),
            Operand::read("hyper", Kind::Hyper, [Hyper::WORDS]),
            Operand::write("factor", Kind::Factor, [1]),
        ]
    }
    fn flops(&self, _op: &Op) -> u64 {
        self.count as u64
    }
}
