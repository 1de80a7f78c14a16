//! `striate selftest`: every kernel of a device against the f64 reference.

use super::Context;
use super::device;
use crate::device::Device;
use crate::error::{Error, Result};
use crate::program::{Executor, Program};
use crate::verify::cases::{Case, cases};
use crate::verify::{self, Faulty, OperandRounding, Outcome};
use clap::Args;
use serde_json::json;
use std::sync::Arc;

#[derive(Args, Debug)]
#[command(after_help = "Examples:
  striate selftest
  striate selftest --device llvmpipe

Exit code 5 if a kernel is wrong; the last line names it.")]
pub(crate) struct SelftestArgs {
    /// Check only kernels whose name contains TEXT
    #[arg(long, value_name = "TEXT")]
    only: Option<String>,
}

/// Names a kernel whose results are corrupted, to show that a broken kernel is found.
const FAULT: &str = "STRIATE_FAULT";

pub(super) fn run(args: &SelftestArgs, context: &Context) -> Result<u8> {
    let cases = by_kernel(cases(), args.only.as_deref());
    if cases.is_empty() {
        let text = args.only.as_deref().unwrap_or("");
        return Err(Error::Usage(format!("--only {text}: no kernel has this in its name")));
    }
    let fault = std::env::var(FAULT).ok().filter(|kernel| !kernel.is_empty());
    if let Some(kernel) = fault.as_deref().filter(|k| cases.iter().all(|case| case.op.name() != *k)) {
        return Err(Error::Usage(format!("{FAULT}: no kernel is called {kernel}")));
    }
    let device = device::open(context)?;
    let mut make = |program| fault_in(device.executor(Arc::clone(&program))?, program, fault.as_deref());
    let mut report = Report { context, precision: device.precision(), kernel: None, written: Ok(()) };
    let mut summary = verify::run(&cases, &mut make, &mut |outcome| report.add(outcome))?;
    report.flush();
    let products: Vec<Case> = cases.into_iter().filter(|case| case.op.is_product()).collect();
    if let Some(half) = half(&device, context).filter(|_| !products.is_empty()) {
        report.precision = half.precision();
        let mut make = |program| fault_in(half.executor(Arc::clone(&program))?, program, fault.as_deref());
        let halves =
            verify::run_as(&products, OperandRounding::Half, &mut make, &mut |outcome| report.add(outcome))?;
        report.flush();
        summary.add(halves);
    }
    report.written?;
    let seconds = summary.elapsed.as_secs_f64();
    if context.out.is_json() {
        context.out.json(&json!({
            "event": "done",
            "device": device.long_name(),
            "cases": summary.cases,
            "kernels": summary.kernels,
            "failed": summary.failed_kernels(),
            "seconds": seconds,
        }))?;
    } else if summary.failed.is_empty() {
        context.out.line(&format!(
            "{}: all {} kernels right in {} cases ({seconds:.1} s)",
            device.long_name(),
            summary.kernels,
            summary.cases
        ))?;
    }
    summary.result()?;
    Ok(0)
}

/// `executor`, with a fault in `kernel` if one is requested.
fn fault_in(
    executor: Box<dyn Executor>,
    program: Arc<Program>,
    kernel: Option<&str>,
) -> Result<Box<dyn Executor>> {
    Ok(match kernel {
        Some(kernel) => Box::new(Faulty::new(executor, program, kernel)),
        None => executor,
    })
}

/// The same device with products in half precision, if it has them.
fn half(device: &Device, context: &Context) -> Option<Device> {
    let (half, why) = device.half().ok()?;
    if let Some(why) = why {
        context.out.note(&format!("warning: {why}"));
    }
    Some(half)
}

/// The selected cases, grouped by kernel in the order of first appearance.
fn by_kernel(cases: Vec<Case>, only: Option<&str>) -> Vec<Case> {
    let mut kernels: Vec<&str> = Vec::new();
    for case in &cases {
        if !kernels.contains(&case.op.name()) {
            kernels.push(case.op.name());
        }
    }
    let wanted = |case: &Case| only.is_none_or(|text| case.op.name().contains(text));
    let mut cases: Vec<Case> = cases.into_iter().filter(wanted).collect();
    cases.sort_by_key(|case| kernels.iter().position(|k| *k == case.op.name()));
    cases
}

/// Prints one line per kernel as soon as its last case is done.
struct Report<'a> {
    context: &'a Context,
    /// Of the products that are being checked.
    precision: &'static str,
    kernel: Option<Kernel>,
    written: Result<()>,
}

struct Kernel {
    name: &'static str,
    cases: usize,
    used: f64,
    faults: Vec<String>,
}

impl Report<'_> {
    fn add(&mut self, outcome: &Outcome) {
        if self.kernel.as_ref().is_some_and(|k| k.name != outcome.kernel) {
            self.flush();
        }
        let fresh = Kernel { name: outcome.kernel, cases: 0, used: 0.0, faults: Vec::new() };
        let kernel = self.kernel.get_or_insert(fresh);
        kernel.cases += 1;
        kernel.used = kernel.used.max(outcome.used);
        if let Some(fault) = &outcome.fault {
            kernel.faults.push(format!("{}: {fault}", outcome.case));
        }
    }

    fn flush(&mut self) {
        let Some(kernel) = self.kernel.take() else { return };
        if self.written.is_ok() {
            self.written = self.print(&kernel);
        }
    }

    fn print(&self, kernel: &Kernel) -> Result<()> {
        let out = &self.context.out;
        if out.is_json() {
            return out.json(&json!({
                "event": "kernel",
                "kernel": kernel.name,
                "precision": self.precision,
                "cases": kernel.cases,
                "passed": kernel.faults.is_empty(),
                "tolerance_used": kernel.used,
                "faults": kernel.faults,
            }));
        }
        let verdict = match kernel.faults.first() {
            None => format!("ok     {:.0} % of the tolerance", 100.0 * kernel.used),
            Some(fault) => format!("WRONG  in {} cases; {fault}", kernel.faults.len()),
        };
        let name = match self.precision.split_once(':') {
            Some((class, _)) => format!("{}, {class}", kernel.name),
            None => kernel.name.to_string(),
        };
        out.line(&format!("{name:<32} {:>3} cases  {verdict}", kernel.cases))
    }
}
