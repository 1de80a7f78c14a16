//! The reference: runs any operator in f64, by the functions of `operators`.

use super::operators::entry;
use crate::ops::{Access, Hyper, Op, OperandKind};

/// The values of an operand of this kind as [`run`] takes them. Where the words are not floats, each becomes a whole
/// number (some would be NaNs whose bits a conversion changes).
pub fn operand(kind: OperandKind, values: &[f32]) -> Vec<f64> {
    if kind.is_words() {
        return values.iter().map(|v| f64::from(v.to_bits())).collect();
    }
    values.iter().map(|&v| f64::from(v)).collect()
}

/// Executes `op` on `operands`, which are in binding order, have the lengths that `Op::operands` gives, and come from
/// [`operand`].
///
/// `hyper` takes the place of the operand `hyper`, whose content is ignored. Outputs that are only written may hold
/// anything, for instance NaN.
pub fn run(op: &Op, hyper: &Hyper, operands: &mut [Vec<f64>]) {
    let description = op.operands();
    debug_assert!(
        description.iter().map(|o| o.shape.len()).eq(operands.iter().map(Vec::len)),
        "operands of {} do not have the lengths of its description",
        op.name()
    );
    let inputs = description.iter().take_while(|o| o.access == Access::Read).count();
    let (inputs, outputs) = operands.split_at_mut(inputs);
    (entry(op).reference)(hyper, inputs, outputs);
}
