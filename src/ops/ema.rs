//! The moving average of a weight.

use super::{Describe, GradUnscale, Op, Operand, OperandKind as Kind};

/// a += (1 - decay) (w - a): one step of the exponential moving average a of w, which may be a parameter or a running
/// statistic. This is decay a + (1 - decay) w (timm's `ModelEmaV2` and `ModelEmaV3` without warm-up), in a form that does not
/// change an average that equals w. 1 - decay is rounded to f32 once.
///
/// With `scaled` the factor of `grad_unscale` is an operand; where it is 0, the update of the step was skipped, and a stays.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Ema {
    pub len: usize,
    /// 0 or more, and less than 1.
    pub decay: f64,
    /// Whether gradients are scaled.
    pub scaled: bool,
}

impl Ema {
    /// 1 - decay.
    pub fn weight(&self) -> f32 {
        (1.0 - self.decay) as f32
    }
}

impl Describe for Ema {
    fn operands(&self, _op: &Op) -> Vec<Operand> {
        let n = [self.len];
        let mut operands = vec![Operand::read("w", Kind::Parameter, n)];
        if self.scaled {
            operands.push(Operand::read("factor", Kind::Factor, [GradUnscale::FACTOR]));
        }
        operands.push(Operand::update("a", Kind::Parameter, n));
        operands
    }
    fn flops(&self, _op: &Op) -> u64 {
        3 * self.len as u64
    }
    fn check(&self, _op: &Op) -> Result<(), String> {
        if (0.0..1.0).contains(&self.decay) {
            Ok(())
        } else {
            Err(format!("decay must be 0 or more and less than 1, found {}", self.decay))
        }
    }
}
