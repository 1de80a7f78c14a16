//! Linear layers as matrix products. A weight larger than a binding is cut by output rows.

use super::elements::constants;
use super::gemm::{Extents, Product, cut, product};
use super::slices::{Slice, too_large};
use super::{Binding, Dispatch, Kernels, Limits, shader};
use crate::error::Result;
use crate::ops::{Linear, Op};

const FORWARD: Product = product!(vectors "linear_forward", "linear", "relu", "gemm_zero");
const GRAD_INPUT: Product = product!(vectors "linear_grad_input", "linear");
const GRAD_WEIGHT: Product = product!(vectors "linear_grad_weight", "linear", "gemm_zero");

pub(super) fn kernels(op: &Op, limits: &Limits) -> Result<Kernels> {
    let (Op::LinearForward(linear) | Op::LinearGradInput(linear) | Op::LinearGradWeight(linear)) = op else {
        return Ok(Kernels::default());
    };
    // Only the weight is cut: x and y are bound whole. Every adapter can bind what the default limits promise.
    let activations = linear.batch * linear.inputs.max(linear.outputs);
    if activations > limits.binding.max(Limits::default().binding) {
        return Err(too_large(op, limits));
    }
    let mut kernels = Kernels::default();
    let each = op.flops() / linear.outputs as u64;
    for part in cut(op, linear.outputs, each, &[linear.inputs], limits)? {
        kernels.dispatches.push(dispatch(op, linear, &part, limits));
    }
    Ok(kernels)
}

/// The dispatch for one part of the outputs.
fn dispatch(op: &Op, linear: &Linear, part: &Slice, limits: &Limits) -> Dispatch {
    let mut all = constants([
        ("batch", linear.batch),
        ("inputs", linear.inputs),
        ("outputs", part.count),
        ("outputs_total", linear.outputs),
        ("first_output", part.first),
    ]);
    let flag = |set: bool| f64::from(u8::from(set));
    let weight = |operand| part.bind(operand, linear.inputs);
    // Rows of x are as long as inputs, rows of y as outputs; a part of the outputs may begin anywhere.
    let lengths = [linear.inputs, linear.outputs, part.first, part.count];
    let vectors = lengths.iter().all(|length| length.is_multiple_of(4));
    let extents = |rows, columns, depth| Extents { rows, columns, batches: 1, depth, vectors };
    let ((shader, groups), bindings) = match op {
        Op::LinearGradInput(_) => {
            all.push(("accumulate", flag(part.first > 0)));
            let plan = GRAD_INPUT.plan(extents(linear.batch, linear.inputs, part.count), limits);
            (plan, vec![Binding::operand(0), weight(1), Binding::operand(2)])
        }
        Op::LinearGradWeight(_) => {
            let plan = GRAD_WEIGHT.plan(extents(part.count, linear.inputs, linear.batch), limits);
            (plan, vec![Binding::operand(0), Binding::operand(1), weight(2)])
        }
        _ => {
            all.push(("has_bias", flag(linear.bias)));
            all.push(("relu_after", flag(linear.relu)));
            let plan = FORWARD.plan(extents(linear.batch, part.count, linear.inputs), limits);
            // Without a bias its binding must still be something: x, which is not looked at there.
            let (bias, y) = if linear.bias { (2, 3) } else { (0, 2) };
            (plan, vec![Binding::operand(0), weight(1), Binding::operand(bias), Binding::operand(y)])
        }
    };
    Dispatch { shader, constants: all, bindings, groups }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn activations_larger_than_a_binding_are_refused() {
        let linear = Linear { batch: 4096, inputs: 9216, outputs: 10, bias: true, relu: true };
        let error = kernels(&Op::LinearForward(linear), &Limits::default()).unwrap_err();
        assert_eq!(error.exit_code(), 3, "{error}");
    }

    #[test]
    fn the_weight_of_fc6_is_bound_in_parts_under_the_default_limits() {
        let fc6 = Linear { batch: 128, inputs: 9216, outputs: 4096, bias: true, relu: true };
        let limits = Limits::default();
        for op in [Op::LinearForward(fc6), Op::LinearGradInput(fc6), Op::LinearGradWeight(fc6)] {
            let dispatches = kernels(&op, &limits).unwrap().dispatches;
            assert_eq!(dispatches.len(), 2, "{}", op.name());
            let weight = if matches!(op, Op::LinearGradWeight(_)) { 2 } else { 1 };
            let parts: Vec<(usize, usize)> =
                dispatches.iter().filter_map(|d| d.bindings[weight].range).collect();
            assert_eq!(parts, [(0, 3640 * 9216), (3640 * 9216, 456 * 9216)], "{}", op.name());
        }
        let enough = Limits { binding: 1 << 27, ..limits };
        assert_eq!(kernels(&Op::LinearForward(fc6), &enough).unwrap().dispatches.len(), 1);
    }
}
