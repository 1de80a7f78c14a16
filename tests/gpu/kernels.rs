//! Every kernel on this machine's adapter against the f64 reference: with all run-time checks in the shaders, and with the
//! minimal limits of WebGPU. Kernels as shipped are compared on every adapter by `tests/verify/operators.rs`.

use crate::gpu_device;
use striate::gpu::kernels::{BlockSize, GemmKernel};
use striate::gpu::{Executor, LimitOverrides};
use striate::ops::Op;
use striate::verify::cases::{Case, cases};
use striate::verify::{self, Summary};

/// Runs the cases that `fits` picks; `None` without an adapter.
fn verify(limits: &LimitOverrides, fits: impl Fn(&Case) -> bool) -> Option<Summary> {
    let gpu = gpu_device::open(limits)?;
    let picked: Vec<Case> = cases().into_iter().filter(|case| fits(case)).collect();
    let summary =
        verify::run(&picked, &mut |program| Ok(Box::new(Executor::new(&gpu, program)?)), &mut |outcome| {
            if let Some(fault) = &outcome.fault {
                eprintln!("{} {}: {fault}", outcome.kernel, outcome.case);
            }
        });
    Some(summary.expect("the cases are valid programs"))
}

fn all_pass(limits: &LimitOverrides, fits: impl Fn(&Case) -> bool) {
    if let Some(summary) = verify(limits, fits) {
        assert!(summary.cases > 0, "no case was picked");
        summary.result().unwrap_or_else(|error| panic!("{error}"));
        eprintln!("{} cases of {} kernels in {:?}", summary.cases, summary.kernels, summary.elapsed);
    }
}

fn is_product(case: &Case) -> bool {
    matches!(
        case.op,
        Op::Conv2dForward(_)
            | Op::Conv2dGradInput(_)
            | Op::Conv2dGradWeight(_)
            | Op::LinearForward(_)
            | Op::LinearGradInput(_)
            | Op::LinearGradWeight(_)
    )
}

#[test]
fn every_kernel_agrees_with_run_time_checks_in_the_shaders() {
    all_pass(&LimitOverrides { checked: true, ..LimitOverrides::default() }, |_| true);
}

#[test]
fn every_kernel_agrees_on_a_minimal_adapter() {
    all_pass(&LimitOverrides::minimal(), |_| true);
}

/// Every twelfth case each, since a software adapter takes long to compile the large blocks. That all tiles give the
/// same bits is tested in `gpu_executor`.
#[test]
fn products_agree_with_every_tile() {
    for (number, block) in BlockSize::ALL.into_iter().enumerate() {
        // As small an adapter as has room for it.
        let minimal = LimitOverrides::minimal();
        let memory = minimal.workgroup_memory.map(|least| least.max(block.workgroup_memory()));
        let limits =
            LimitOverrides { kernel: Some(GemmKernel::Exactly(block)), workgroup_memory: memory, ..minimal };
        let product = std::cell::Cell::new(number);
        all_pass(&limits, |case| is_product(case) && product.replace(product.get() + 1) % 12 == 0);
    }
    for tile in [GemmKernel::Registers, GemmKernel::Subgroup] {
        all_pass(&LimitOverrides { kernel: Some(tile), ..LimitOverrides::default() }, is_product);
    }
}
