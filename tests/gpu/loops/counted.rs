//! Whether the rounds that dispatches state are enough: their shaders run with loops that end where these are used up.

use crate::{dispatch as raw, gpu_device};
use std::collections::BTreeMap;
use striate::gpu::kernels::{Dispatch, GemmKernel, Kernels, kernels};
use striate::gpu::{Gpu, LimitOverrides};
use striate::ops::Access;
use striate::verify::cases::{Case, cases};

/// Every `for` counts down from the rounds that its dispatch states, as llvmpipe's do from 65,535, and ends where none are
/// left. Tests that end loops count.
fn counted(dispatch: &Dispatch, rounds: u64) -> String {
    let mut lines: Vec<String> = Vec::new();
    for line in dispatch.shader.source().lines() {
        // Comments have words of their own.
        let code = line.split("//").next().unwrap_or_default();
        let Some((before, after)) = code.split_once("for (") else {
            lines.push(line.into());
            continue;
        };
        let parts: Vec<&str> = after.splitn(3, "; ").collect();
        let [first, condition, rest] = parts[..] else { panic!("{}: {line}", dispatch.shader.label()) };
        lines.push(format!("{before}for ({first}; turn() && ({condition}); {rest}"));
    }
    let counter = "fn turn() -> bool { if turns == 0u { return false; } turns -= 1u; return true; }";
    format!("{}\nvar<private> turns: u32 = {rounds}u;\n{counter}\n", lines.join("\n"))
}

/// Those of all operands that the operator writes.
fn outputs(case: &Case, operands: Vec<Vec<u32>>) -> Vec<Vec<u32>> {
    let all = case.op.operands().into_iter().zip(operands);
    all.filter(|(operand, _)| operand.access != Access::Read).map(|(_, values)| values).collect()
}

/// The bits of all outputs with loops that end after what their dispatches state, times `share`.
fn with_counters(
    device: &(wgpu::Device, wgpu::Queue),
    found: &Kernels,
    case: &Case,
    share: f64,
) -> Vec<Vec<u32>> {
    let rewrite = |dispatch: &Dispatch| counted(dispatch, (dispatch.rounds as f64 * share) as u64);
    outputs(case, raw::run(device, found, &case.inputs(5), &rewrite))
}

#[test]
fn stated_rounds_are_enough() {
    let Some(gpu) = gpu_device::open(&LimitOverrides::default()) else { return };
    let device = raw::device(&gpu, gpu_features(&gpu));
    // Of each shader the case with the most rounds that does not take long, the largest of several.
    let size = |case: &Case| case.op.operands().iter().map(|operand| operand.shape.len()).sum::<usize>();
    let mut most: BTreeMap<&str, (u64, Case, Kernels)> = BTreeMap::new();
    for case in cases().into_iter().filter(|case| case.op.flops() < 20_000_000) {
        let found = kernels(&case.op, gpu.limits()).unwrap();
        if found.dispatches.len() > 4 {
            continue;
        }
        for Dispatch { shader, rounds, .. } in &found.dispatches {
            let entry = most.entry(shader.name).or_insert_with(|| (0, case.clone(), found.clone()));
            if (*rounds, size(&case)) > (entry.0, size(&entry.1)) {
                *entry = (*rounds, case.clone(), found.clone());
            }
        }
    }
    let (mut checked, mut noticed) = (0, 0);
    for (shader, (rounds, case, found)) in &most {
        if *rounds == 0 {
            continue;
        }
        let operands = case.inputs(5);
        let expected = raw::expected(&gpu, case, &operands);
        let expected = outputs(case, expected);
        assert!(
            with_counters(&device, found, case, 1.0) == expected,
            "{shader}.wgsl needs more than {rounds}: {}",
            case.name
        );
        noticed += usize::from(with_counters(&device, found, case, 0.4) != expected);
        checked += 1;
    }
    assert!(checked >= 40, "only {checked} shaders with loops");
    // Many bounds are loose: windows are cut by the image, and reductions have few rounds.
    assert!(
        noticed * 5 >= checked * 2,
        "two fifths of the rounds are noticed in only {noticed} of {checked}"
    );
}

fn gpu_features(gpu: &Gpu) -> wgpu::Features {
    match gpu.limits().kernel {
        GemmKernel::Subgroup => wgpu::Features::SUBGROUP,
        _ => wgpu::Features::empty(),
    }
}
