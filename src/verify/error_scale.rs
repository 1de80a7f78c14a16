//! Error scales: the size of the values that an output element is computed from. Rounding errors are relative to these
//! and not to the result, in which terms may have cancelled.

use super::operators::entry;
use super::oracle;
use crate::ops::{Access, Hyper, Op, OperandKind};

/// One execution of the reference.
pub(super) struct Run<'a> {
    pub op: &'a Op,
    pub hyper: &'a Hyper,
    /// All operands before the run.
    pub before: &'a [Vec<f64>],
    /// Number of operands that are only read.
    pub first: usize,
    /// The other operands after the run.
    pub outputs: &'a [Vec<f64>],
}

/// One list per operand that is not only read, in their order: the error scale of each element, at least its own size
/// where it is rounded at all; 0 where the result has to be exact (a selection or a copy of inputs).
///
/// `before` and `after` are all operands before and after [`oracle::run`].
pub fn error_scales(op: &Op, hyper: &Hyper, before: &[Vec<f64>], after: &[Vec<f64>]) -> Vec<Vec<f64>> {
    let first = first_written(op);
    (entry(op).error_scale)(&Run { op, hyper, before, first, outputs: &after[first..] })
}

/// Number of operands that are only read.
fn first_written(op: &Op) -> usize {
    op.operands().iter().take_while(|o| o.access == Access::Read).count()
}

/// Zeros for one output: its elements have to be exact.
pub(super) fn exact_like(y: &[f64]) -> Vec<f64> {
    vec![0.0; y.len()]
}

/// All outputs have to be exact.
pub(super) fn exact(run: &Run<'_>) -> Vec<Vec<f64>> {
    run.outputs.iter().map(|y| exact_like(y)).collect()
}

/// The size of the result itself.
pub(super) fn absolute(run: &Run<'_>) -> Vec<Vec<f64>> {
    run.outputs.iter().map(|y| sizes(y)).collect()
}

fn sizes(values: &[f64]) -> Vec<f64> {
    values.iter().map(|v| v.abs()).collect()
}

/// The outputs of `op` on the absolute values of all operands.
pub(super) fn of_absolute_operands(op: &Op, hyper: &Hyper, before: &[Vec<f64>]) -> Vec<Vec<f64>> {
    let mut all: Vec<Vec<f64>> = before.iter().map(|values| sizes(values)).collect();
    oracle::run(op, hyper, &mut all);
    all.split_off(first_written(op))
}

/// For one output y, a sum of products: max(|y|, sqrt(sum of squared products)), so that the bound neither grows with
/// the length of a sum as the sum of absolute values would, nor vanishes where y cancels.
pub(super) fn root_of_squares(run: &Run<'_>) -> Vec<Vec<f64>> {
    let mut all = run.before.to_vec();
    for (operand, values) in run.op.operands().iter().zip(&mut all) {
        // A position in a window is not a factor of the products.
        if operand.kind != OperandKind::Index {
            values.iter_mut().for_each(|v| *v *= *v);
        }
    }
    oracle::run(run.op, run.hyper, &mut all);
    let squares = &all[all.len() - 1];
    vec![squares.iter().zip(&run.outputs[0]).map(|(squares, y)| squares.sqrt().max(y.abs())).collect()]
}

/// Error scale of p = exp(z): an error of z, which is relative to z, is one of p relative to p.
pub(super) fn exponential(p: f64) -> f64 {
    let p = p.max(f64::MIN_POSITIVE);
    p * (1.0 - p.ln())
}

/// Exact except for element `i`.
pub(super) fn only(i: usize, y: &[f64]) -> Vec<f64> {
    let mut scale = vec![0.0; y.len()];
    scale[i] = y[i].abs();
    scale
}
