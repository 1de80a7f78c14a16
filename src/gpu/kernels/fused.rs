//! Kernels of several operators at once, where the tensor between them has no other reader. Each gives the same bits
//! as its operators one after the other.

use super::bias_grad::{Summed, sums};
use super::dispatch::Kernels;
use super::elements::elements;
use super::limits::Limits;
use super::pool2d::{covering, is_long, term_rounds, window};
use super::rounds::checked;
use super::shader::shader;
use super::slices::slices;
use crate::error::Result;
use crate::ops::{BiasGrad, Op, Pool2d};

/// The dispatches of `ops` as one, if there is a kernel for just these; `None` if there is not. Operands are numbered
/// through all operators, in order. The caller knows that each operator reads what the one before it writes, and that
/// what pooling writes has no other reader: it is never stored.
///
/// # Errors
/// As [`super::kernels`], if a tensor cannot be bound even in parts, or a loop is too long.
pub fn fused(ops: &[&Op], limits: &Limits) -> Result<Option<Kernels>> {
    unchecked(ops, limits)?.map(|kernels| checked(kernels, limits)).transpose()
}

fn unchecked(ops: &[&Op], limits: &Limits) -> Result<Option<Kernels>> {
    match *ops {
        // The separate kernels sum in another order.
        [Op::MaxPool2dBackward(d), ..] if is_long(covering(d)) => Ok(None),
        [Op::ReluBackward(d), bias @ Op::BiasGrad(b)] if d.len == b.batch * b.channels * b.inner => {
            relu_bias(bias, b, limits).map(Some)
        }
        [pool @ Op::MaxPool2dBackward(d), Op::ReluBackward(r)] if r.len == input(d) => {
            pool_relu(pool, d, limits).map(Some)
        }
        [pool @ Op::MaxPool2dBackward(d), Op::ReluBackward(r), Op::BiasGrad(b)]
            if r.len == input(d) && b.inner == d.h_in * d.w_in && b.channels == d.channels =>
        {
            pool_relu_bias(pool, d, b, limits).map(Some)
        }
        _ => Ok(None),
    }
}

/// Elements of the input of a pooling.
fn input(d: &Pool2d) -> usize {
    d.batch * d.channels * d.h_in * d.w_in
}

/// Operands: y, dy, dx of relu_backward; dx, db of bias_grad.
fn relu_bias(op: &Op, b: &BiasGrad, limits: &Limits) -> Result<Kernels> {
    let image = b.channels * b.inner;
    let summed = Summed {
        by_group: shader!("bias_grad/gradient_relu", "bias_grad/bias_grad").variant("bias_grad"),
        by_row: shader!("bias_grad/gradient_relu", "bias_grad/bias_grad_rows").variant("bias_grad_rows"),
        constants: Vec::new(),
        operands: vec![(0, image), (1, image), (2, image)],
        db: 4,
        rounds: 0,
        flops: 2 * op.flops(),
    };
    sums(op, b, &summed, limits)
}

/// Operands: index, dy, dx of max_pool2d_backward; y, dx, dx of relu_backward.
fn pool_relu(op: &Op, d: &Pool2d, limits: &Limits) -> Result<Kernels> {
    let shader = shader!(
        "bias_grad/gradient_max_pool2d_relu",
        "bias_grad/gradient_store",
        "pool2d/max_pool2d_gradient",
        "pool2d/window",
        "shared/elements"
    );
    let [large, small] = [d.h_in * d.w_in, d.h_out() * d.w_out()];
    let dispatches = slices(op, d.batch * d.channels, 1, &[large, small], limits)?
        .iter()
        .map(|slice| {
            let sides = [(0, small), (1, small), (3, large), (5, large)];
            let bindings = sides.iter().map(|&(i, size)| slice.bind(i, size)).collect();
            let each = term_rounds(covering(d));
            elements(shader, slice.count * large, each, window(d), bindings, limits)
        })
        .collect();
    Ok(Kernels { dispatches, scratch: Vec::new() })
}

/// The same, then dx, db of bias_grad.
fn pool_relu_bias(op: &Op, d: &Pool2d, b: &BiasGrad, limits: &Limits) -> Result<Kernels> {
    let [large, small] = [d.h_in * d.w_in, d.h_out() * d.w_out()].map(|plane| d.channels * plane);
    let summed = Summed {
        by_group: shader!(
            "bias_grad/gradient_max_pool2d_relu",
            "bias_grad/bias_grad",
            "pool2d/max_pool2d_gradient",
            "pool2d/window"
        )
        .variant("bias_grad"),
        by_row: shader!(
            "bias_grad/gradient_max_pool2d_relu",
            "bias_grad/bias_grad_rows",
            "pool2d/max_pool2d_gradient",
            "pool2d/window"
        )
        .variant("bias_grad_rows"),
        constants: window(d),
        operands: vec![(0, small), (1, small), (3, large), (5, large)],
        db: 7,
        rounds: term_rounds(covering(d)),
        flops: op.flops() + 2 * large as u64 * d.batch as u64,
    };
    sums(op, b, &summed, limits)
}
