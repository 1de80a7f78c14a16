//! Products in half precision (f16 factors, f32 sums) on this machine's adapter.

use crate::gpu_device;
use std::sync::Arc;
use striate::gpu::kernels::{Products, Tile};
use striate::gpu::{Executor, Gpu, Restriction};
use striate::program::{BufferId, Executor as _, Span};
use striate::verify::cases::{Case, cases};
use striate::verify::{self, Precision, Summary};

/// The adapter of the tests with half-precision products; `None`, said loudly, if there is none or it has no f16.
fn open(restriction: &Restriction) -> Option<Gpu> {
    let gpu = gpu_device::open(restriction)?;
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

fn verify(gpu: &Gpu, precision: Precision, cases: &[Case]) -> Summary {
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
    let Some(gpu) = open(&Restriction::default()) else { return };
    assert_ne!(gpu.limits().products, Products::Single);
    verify(&gpu, Precision::Half, &products()).result().unwrap();
}

#[test]
fn so_they_do_in_workgroup_memory() {
    let restriction = Restriction { tile: Some(Tile::Shared), checked: true, ..Restriction::minimal() };
    let Some(gpu) = open(&restriction) else { return };
    assert_eq!(gpu.limits().products, Products::Half);
    let some: Vec<Case> = products().into_iter().step_by(5).collect();
    verify(&gpu, Precision::Half, &some).result().unwrap();
}

#[test]
fn they_are_not_strict_fp32() {
    let Some(gpu) = open(&Restriction::default()) else { return };
    let named = |name: &str| products().into_iter().find(|case| case.name == name).unwrap();
    let cases = [named("linear_forward/64x64x64"), named("conv2d_forward/tile_64")];
    assert_eq!(verify(&gpu, Precision::Single, &cases).failed.len(), cases.len());
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
    let with = |tile| open(&Restriction { tile: Some(tile), ..Restriction::default() });
    let (Some(registers), Some(shared)) = (with(Tile::Registers), with(Tile::Shared)) else { return };
    for case in products().iter().filter(|case| !case.name.contains("nan")).step_by(9) {
        assert!(bits(&registers, case) == bits(&shared, case), "{}", case.name);
    }
}
