//! Products in half precision (f16 operands, f32 sums) on this machine's adapter.

use crate::gpu_device;
use std::sync::Arc;
use striate::gpu::kernels::{GemmKernel, Precision};
use striate::gpu::{Executor, Gpu, LimitOverrides};
use striate::program::{BufferId, Executor as _, Span};
use striate::verify::cases::{Case, cases};
use striate::verify::{self, OperandRounding, Summary};

/// The adapter of the tests with half-precision products; `None`, said loudly, if there is none or it has no f16.
fn open(limits: &LimitOverrides) -> Option<Gpu> {
    let gpu = gpu_device::open(limits)?;
    match gpu.half() {
        Ok((half, warning)) => {
            assert_eq!(warning, None);
            Some(half)
        }
        Err(error) => {
            assert!(!gpu.info().features.contains(&"shader_f16".to_string()), "{error}");
            assert_eq!(error.exit_code(), 3);
            eprintln!("skipped: {error}");
            None
        }
    }
}

fn products() -> Vec<Case> {
    cases().into_iter().filter(|case| case.op.is_product()).collect()
}

fn verify(gpu: &Gpu, precision: OperandRounding, cases: &[Case]) -> Summary {
    let mut make = |program| -> striate::Result<Box<dyn striate::program::Executor>> {
        Ok(Box::new(Executor::new(gpu, program)?))
    };
    let mut tell = |outcome: &verify::Outcome| {
        if let Some(fault) = &outcome.fault {
            eprintln!("{} {}: {fault}", outcome.kernel, outcome.case);
        }
    };
    verify::run_as(cases, precision, &mut make, &mut tell).unwrap()
}

#[test]
fn products_agree_with_the_reference_within_half_precision() {
    let Some(gpu) = open(&LimitOverrides::default()) else { return };
    assert_ne!(gpu.limits().precision, Precision::Single);
    verify(&gpu, OperandRounding::Half, &products()).result().unwrap();
}

#[test]
fn so_they_do_in_workgroup_memory() {
    let limits =
        LimitOverrides { kernel: Some(GemmKernel::Shared), checked: true, ..LimitOverrides::minimal() };
    let Some(gpu) = open(&limits) else { return };
    assert_eq!(gpu.limits().precision, Precision::Half);
    let some: Vec<Case> = products().into_iter().step_by(5).collect();
    verify(&gpu, OperandRounding::Half, &some).result().unwrap();
}

#[test]
fn they_are_not_strict_fp32() {
    let Some(gpu) = open(&LimitOverrides::default()) else { return };
    let named = |name: &str| products().into_iter().find(|case| case.name == name).unwrap();
    let cases = [named("linear_forward/64x64x64"), named("conv2d_forward/tile_64")];
    assert_eq!(verify(&gpu, OperandRounding::Single, &cases).failed.len(), cases.len());
}

/// The bits of what an operator writes, on its case's inputs.
fn bits(gpu: &Gpu, case: &Case) -> Vec<Vec<u32>> {
    let program = case.program().unwrap();
    let mut executor = Executor::new(gpu, Arc::clone(&program)).unwrap();
    let ids: Vec<BufferId> = (0..program.buffers().len() as u32).map(BufferId).collect();
    for (id, values) in ids.iter().zip(case.inputs(2)) {
        executor.write(*id, &values).unwrap();
    }
    executor.run(Span::Forward).unwrap();
    ids.iter().map(|&id| executor.read(id).unwrap().iter().map(|v| v.to_bits()).collect()).collect()
}

#[test]
fn registers_and_workgroup_memory_give_the_same_bits() {
    let with = |tile| open(&LimitOverrides { kernel: Some(tile), ..LimitOverrides::default() });
    let (Some(registers), Some(shared)) = (with(GemmKernel::Registers), with(GemmKernel::Shared)) else {
        return;
    };
    for case in products().iter().filter(|case| !case.name.contains("nan")).step_by(9) {
        assert!(bits(&registers, case) == bits(&shared, case), "{}", case.name);
    }
}
