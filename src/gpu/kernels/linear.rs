//! Linear layers as matrix products. A weight larger than a binding is cut by output rows.

use super::conv2d::sum_partials;
use super::dispatch::{Binding, Dispatch, DispatchKind, Kernels};
use super::elements::constants;
use super::gemm::{Extents, GemmFiles, GemmPlan, cut, product};
use super::limits::Limits;
use super::rounds::{SumPart, parts};
use super::slices::{Slice, too_large};
use crate::error::Result;
use crate::ops::{Linear, Op};

const FORWARD: GemmFiles = product!(
    vec4 "linear/linear_forward",
    "linear/linear",
    "gemm/gemm_part",
    "activation/relu",
    "gemm/gemm_zero"
);
const GRAD_INPUT: GemmFiles = product!(vec4 "linear/linear_grad_input", "linear/linear");
const GRAD_WEIGHT: GemmFiles =
    product!(vec4 "linear/linear_grad_weight", "linear/linear", "gemm/gemm_part", "gemm/gemm_zero");

/// Most elements of the partial sums of dx together: 64 MiB, half of the smallest binding limit.
const SCRATCH: usize = 1 << 24;

pub(super) fn forward(op: &Op, linear: &Linear, limits: &Limits) -> Result<Kernels> {
    check_activations(op, linear, limits)?;
    by_outputs(op, linear, linear.inputs, limits)
}

pub(super) fn grad_weight(op: &Op, linear: &Linear, limits: &Limits) -> Result<Kernels> {
    check_activations(op, linear, limits)?;
    by_outputs(op, linear, linear.batch, limits)
}

/// Only the weight is cut: x and y are bound whole. Every adapter can bind what the default limits promise.
fn check_activations(op: &Op, linear: &Linear, limits: &Limits) -> Result<()> {
    let activations = linear.batch * linear.inputs.max(linear.outputs);
    if activations > limits.binding.max(Limits::default().binding) {
        return Err(too_large(op, limits));
    }
    Ok(())
}

/// Operations for one output.
fn output_flops(op: &Op, linear: &Linear) -> u64 {
    op.flops() / linear.outputs as u64
}

/// The forward pass or the gradient of the weight: parts of the outputs, and for each the parts of sums of `depth` products.
fn by_outputs(op: &Op, linear: &Linear, depth: usize, limits: &Limits) -> Result<Kernels> {
    let mut kernels = Kernels::default();
    for slice in cut(op, linear.outputs, output_flops(op, linear), &[linear.inputs], limits)? {
        for part in parts(depth) {
            kernels.dispatches.push(dispatch(op, linear, &slice, part, limits));
        }
    }
    Ok(kernels)
}

/// The overrides of `linear.wgsl`.
fn geometry(linear: &Linear, first_output: usize, outputs: usize) -> Vec<(&'static str, f64)> {
    constants([
        ("batch", linear.batch),
        ("inputs", linear.inputs),
        ("outputs", outputs),
        ("outputs_total", linear.outputs),
        ("first_output", first_output),
    ])
}

fn flag(set: bool) -> f64 {
    f64::from(u8::from(set))
}

fn dispatch(op: &Op, linear: &Linear, slice: &Slice, part: SumPart, limits: &Limits) -> Dispatch {
    let mut all = geometry(linear, slice.first, slice.count);
    all.extend(constants([("part_first", part.first), ("part_len", part.len)]));
    let weight = |operand| slice.bind(operand, linear.inputs);
    // Rows of x are as long as inputs, rows of y as outputs; a part of the outputs may begin anywhere.
    let lengths = [linear.inputs, linear.outputs, slice.first, slice.count];
    let vec4 = lengths.iter().all(|length| length.is_multiple_of(4));
    let extents = |m, n| Extents { m, n, batches: 1, k: part.len, vec4 };
    let (plan, bindings) = if matches!(op, Op::LinearGradWeight(_)) {
        let plan = GRAD_WEIGHT.plan(extents(slice.count, linear.inputs), limits);
        (plan, vec![Binding::operand(0), Binding::operand(1), weight(2)])
    } else {
        all.push(("has_bias", flag(linear.bias && part.last)));
        all.push(("relu_after", flag(linear.relu && part.last)));
        let plan = FORWARD.plan(extents(linear.batch, slice.count), limits);
        // Without a bias its binding must still be something: x, which is not looked at there.
        let (bias, y) = if linear.bias { (2, 3) } else { (0, 2) };
        (plan, vec![Binding::operand(0), weight(1), Binding::operand(bias), Binding::operand(y)])
    };
    let GemmPlan { shader, groups, rounds } = plan;
    Dispatch { kind: DispatchKind::Kernel, shader, constants: all, bindings, groups, rounds }
}

/// The gradient of the input sums over the outputs, and so over the rows by which a weight is bound: each dispatch after the
/// first of a part of the sum continues with the sums that it finds.
pub(super) fn grad_input(op: &Op, linear: &Linear, limits: &Limits) -> Result<Kernels> {
    check_activations(op, linear, limits)?;
    let Linear { batch, inputs, outputs, .. } = *linear;
    let parts = parts(outputs);
    // Where partial sums would need too much memory the sum is one chain after all, in several dispatches.
    let several = parts.len() > 1 && parts.len() * batch * inputs <= SCRATCH;
    let mut kernels = Kernels::default();
    for (number, part) in parts.iter().enumerate() {
        for slice in cut(op, part.len, output_flops(op, linear), &[inputs], limits)? {
            let (first, count) = (part.first + slice.first, slice.count);
            let mut all = geometry(linear, first, count);
            let goes_on = slice.first > 0 || (!several && number > 0);
            all.push(("accumulate", flag(goes_on)));
            all.push(("part", if several { number as f64 } else { 0.0 }));
            let vec4 = [inputs, outputs, first, count].iter().all(|length| length.is_multiple_of(4));
            let extents = Extents { m: batch, n: inputs, batches: 1, k: count, vec4 };
            let GemmPlan { shader, groups, rounds } = GRAD_INPUT.plan(extents, limits);
            let weight = if count == outputs {
                Binding::operand(1)
            } else {
                Binding::slice(1, first * inputs, count * inputs)
            };
            let dx = if several { Binding::scratch(0) } else { Binding::operand(2) };
            let bindings = vec![Binding::operand(0), weight, dx];
            kernels.dispatches.push(Dispatch {
                kind: DispatchKind::Kernel,
                shader,
                constants: all,
                bindings,
                groups,
                rounds,
            });
        }
    }
    if several {
        kernels.scratch.push(parts.len() * batch * inputs);
        kernels.dispatches.push(sum_partials(parts.len(), batch * inputs, 2, limits));
    }
    Ok(kernels)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gpu::kernels::kernels;

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
