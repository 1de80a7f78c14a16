//! Every operator on every executor against the f64 reference: the CPU path, and each adapter of this machine.

use std::collections::BTreeSet;
use std::sync::Arc;
use striate::gpu::{self, AdapterSelector, Gpu};
use striate::ops::Op;
use striate::program::{Executor, Program};
use striate::verify::cases::{Case, alexnet_cases, cases, large_cases};
use striate::verify::{Faulty, Summary, run};
use striate::{Result, cpu};

/// The names of all operators.
fn kernels() -> BTreeSet<&'static str> {
    Op::NAMES.iter().copied().collect()
}

fn on_cpu(program: Arc<Program>) -> Result<Box<dyn Executor>> {
    Ok(Box::new(cpu::Executor::new(program)?))
}

/// Fails with all faults at once.
fn demand(device: &str, summary: &Summary) {
    let faults: Vec<String> = summary
        .failed
        .iter()
        .map(|outcome| format!("  {}: {}", outcome.case, outcome.fault.clone().unwrap_or_default()))
        .collect();
    println!("{device}: {} cases in {:.1?}", summary.cases, summary.elapsed);
    assert!(
        faults.is_empty(),
        "{device}: {} of {} cases are wrong\n{}",
        faults.len(),
        summary.cases,
        faults.join("\n")
    );
}

/// The adapters of this machine, software ones too. None is a failure if `STRIATE_REQUIRE_GPU=1`.
fn adapters() -> Vec<Gpu> {
    let found = gpu::adapters();
    if found.is_empty() {
        let required = std::env::var("STRIATE_REQUIRE_GPU").is_ok_and(|value| value == "1");
        assert!(!required, "STRIATE_REQUIRE_GPU=1, but there is no adapter (see `vulkaninfo --summary`)");
        println!("skipped: no adapter (Debian: apt-get install mesa-vulkan-drivers libvulkan1)");
    }
    found
        .iter()
        .map(|info| {
            Gpu::open(&AdapterSelector::Index(info.index)).unwrap_or_else(|e| panic!("{}: {e}", info.name))
        })
        .collect()
}

fn on_adapters(cases: &[Case]) {
    for gpu in adapters() {
        let mut make = |program: Arc<Program>| -> Result<Box<dyn Executor>> {
            Ok(Box::new(gpu::Executor::new(&gpu, program)?))
        };
        let summary = run(cases, &mut make, &mut |_| {}).expect("cases make programs");
        demand(&gpu.info().name, &summary);
    }
}

#[test]
fn every_operator_has_several_cases() {
    let all = cases();
    for kernel in kernels() {
        let count = all.iter().filter(|case| case.op.name() == kernel).count();
        assert!(count >= 5, "{kernel} has only {count} cases");
    }
    let names: BTreeSet<&str> = all.iter().map(|case| case.name.as_str()).collect();
    assert_eq!(names.len(), all.len(), "two cases have one name");
}

#[test]
fn cpu_agrees_with_the_reference() {
    let summary = run(&cases(), &mut on_cpu, &mut |_| {}).expect("cases make programs");
    demand("cpu", &summary);
}

#[test]
fn every_adapter_agrees_with_the_reference() {
    on_adapters(&cases());
}

/// Tensors beyond the default limit of a binding, grids beyond 65,535 workgroups.
#[test]
fn large_tensors_agree_with_the_reference() {
    let large = large_cases();
    demand("cpu", &run(&large, &mut on_cpu, &mut |_| {}).expect("cases make programs"));
    on_adapters(&large);
}

/// The geometries that `bench ops` times.
#[test]
fn alexnets_own_geometries_agree_with_the_reference() {
    let alexnet = alexnet_cases(1);
    let names: BTreeSet<&str> = alexnet.iter().map(|case| case.name.as_str()).collect();
    assert_eq!(names.len(), alexnet.len(), "two cases have one name");
    // All but the largest convolutions and weights: the reference would take a minute for these.
    let is_modest = |case: &&Case| case.op.flops() < 150_000_000 && case.op.bytes() < 100_000_000;
    let modest: Vec<Case> = alexnet.iter().filter(is_modest).cloned().collect();
    assert!(modest.len() >= 45, "only {} of {} cases are modest", modest.len(), alexnet.len());
    demand("cpu", &run(&modest, &mut on_cpu, &mut |_| {}).expect("cases make programs"));
    on_adapters(&modest);
}

/// A device that computes wrongly, for every kernel in turn: the self-test has to fail and to name it.
#[test]
fn a_wrong_kernel_is_noticed_and_named() {
    let all = cases();
    for kernel in kernels() {
        // The most elements among the small cases: a perturbed element is not lost in a tensor of one.
        let own = all.iter().filter(|case| case.op.name() == kernel && case.op.bytes() < 100_000);
        let case = own.max_by_key(|case| case.op.bytes()).expect("a small case").clone();
        let mut make = |program: Arc<Program>| -> Result<Box<dyn Executor>> {
            Ok(Box::new(Faulty::new(on_cpu(program.clone())?, program, kernel)))
        };
        let others = all.iter().filter(|case| case.op.name() != kernel).take(2).cloned();
        let cases: Vec<Case> = std::iter::once(case).chain(others).collect();
        let summary = run(&cases, &mut make, &mut |_| {}).expect("cases make programs");
        assert_eq!(summary.failed_kernels(), [kernel]);
        let message = summary.result().expect_err("a kernel is wrong").to_string();
        assert!(message.contains(kernel), "{message}");
        assert_eq!(summary.result().expect_err("a kernel is wrong").exit_code(), 5);
    }
}
