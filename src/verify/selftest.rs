//! Every kernel of an executor against the reference.

use super::cases::{Case, cases};
use super::check::{Outcome, check_as};
use super::tolerance::OperandRounding;
use crate::error::{Error, Result};
use crate::program::{Executor, Program};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// The outcomes of a self-test.
#[derive(Clone, Debug)]
pub struct Summary {
    /// How many cases ran.
    pub cases: usize,
    /// How many kernels they cover.
    pub kernels: usize,
    /// The outcomes with a fault, in order.
    pub failed: Vec<Outcome>,
    pub elapsed: Duration,
}

impl Summary {
    /// Adds the outcomes of a further run over kernels that this one has covered.
    pub fn add(&mut self, other: Summary) {
        self.cases += other.cases;
        self.failed.extend(other.failed);
        self.elapsed += other.elapsed;
    }

    /// The kernels with a failure, each once.
    pub fn failed_kernels(&self) -> Vec<&'static str> {
        let mut kernels: Vec<&'static str> = Vec::new();
        for outcome in &self.failed {
            if !kernels.contains(&outcome.kernel) {
                kernels.push(outcome.kernel);
            }
        }
        kernels
    }

    /// An `Error::Verification` that names the kernels, if any failed.
    pub fn result(&self) -> Result<()> {
        let kernels = self.failed_kernels();
        if kernels.is_empty() {
            return Ok(());
        }
        Err(Error::Verification(format!(
            "{} of {} cases disagree with the f64 reference; kernels: {}",
            self.failed.len(),
            self.cases,
            kernels.join(", ")
        )))
    }
}

/// Runs all [`cases`] on executors that `make` makes; `report` is called with the outcome of each.
///
/// An executor that cannot be made, or fails, counts as a failure of that case: its message becomes the fault.
pub fn selftest(
    make: &mut dyn FnMut(Arc<Program>) -> Result<Box<dyn Executor>>,
    report: &mut dyn FnMut(&Outcome),
) -> Result<Summary> {
    run(&cases(), make, report)
}

/// [`selftest`] for a list of cases.
pub fn run(
    cases: &[Case],
    make: &mut dyn FnMut(Arc<Program>) -> Result<Box<dyn Executor>>,
    report: &mut dyn FnMut(&Outcome),
) -> Result<Summary> {
    run_as(cases, OperandRounding::Single, make, report)
}

/// [`run`] on executors whose products have this precision.
pub fn run_as(
    cases: &[Case],
    precision: OperandRounding,
    make: &mut dyn FnMut(Arc<Program>) -> Result<Box<dyn Executor>>,
    report: &mut dyn FnMut(&Outcome),
) -> Result<Summary> {
    let start = Instant::now();
    let mut failed = Vec::new();
    let mut kernels: Vec<&'static str> = Vec::new();
    for case in cases {
        let program = case.program()?;
        let outcome = make(program).and_then(|mut executor| check_as(case, executor.as_mut(), precision));
        let outcome = outcome.unwrap_or_else(|error| Outcome {
            kernel: case.op.name(),
            case: case.name.clone(),
            used: 0.0,
            fault: Some(error.to_string()),
        });
        report(&outcome);
        kernels.push(outcome.kernel);
        if !outcome.passed() {
            failed.push(outcome);
        }
    }
    kernels.sort_unstable();
    kernels.dedup();
    Ok(Summary { cases: cases.len(), kernels: kernels.len(), failed, elapsed: start.elapsed() })
}
