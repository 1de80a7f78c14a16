//! One case on one executor.

use super::cases::Case;
use super::error_scale::error_scales;
use super::oracle;
use super::tolerance::{Expected, OperandRounding, compare};
use crate::error::Result;
use crate::ops::Access;
use crate::program::{BufferId, Executor, Span};

/// Seed of the inputs of every check.
const SEED: u64 = 1;

/// The outcome of one case.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// `Op::name` of the operator.
    pub kernel: &'static str,
    /// `Case::name`.
    pub case: String,
    /// The largest fraction of an allowed difference that was used, 0 to 1; meaningless after a fault.
    pub used: f64,
    /// The fault, in one line.
    pub fault: Option<String>,
}

impl Outcome {
    /// Whether the result is right.
    pub fn passed(&self) -> bool {
        self.fault.is_none()
    }
}

/// Runs `case` on an executor of `case.program()` and compares every output with the reference.
///
/// Also checks that inputs are unchanged, that writing a part of a tensor leaves the rest alone, that outputs are wholly
/// written (they hold NaN before), and that a second run gives the same bits. A wrong result is an
/// `Outcome::fault`; an error is a failure of the executor itself.
pub fn check(case: &Case, executor: &mut dyn Executor) -> Result<Outcome> {
    check_as(case, executor, OperandRounding::Single)
}

/// The same for an executor whose products have this precision.
pub fn check_as(case: &Case, executor: &mut dyn Executor, precision: OperandRounding) -> Result<Outcome> {
    let inputs = case.inputs(SEED);
    let found = run(case, executor, &inputs, true)?;
    let mut used = 0.0f64;
    let mut fault = None;
    match compare_outputs(case, &inputs, &found, precision) {
        Ok(most) => used = most,
        Err(what) => fault = Some(what),
    }
    if fault.is_none() {
        let again = run(case, executor, &inputs, false)?;
        fault = repeats(case, &found, &again).err();
    }
    Ok(Outcome { kernel: case.op.name(), case: case.name.clone(), used, fault })
}

/// Writes the operands (all, or only those that the operator changes), runs, and reads all of them.
fn run(case: &Case, executor: &mut dyn Executor, inputs: &[Vec<f32>], all: bool) -> Result<Vec<Vec<f32>>> {
    let operands = case.op.operands();
    for (i, (operand, values)) in operands.iter().zip(inputs).enumerate() {
        if all || operand.access != Access::Read {
            executor.write(BufferId(i as u32), values)?;
        }
    }
    executor.run(Span::Forward)?;
    executor.wait()?;
    (0..operands.len()).map(|i| executor.read(BufferId(i as u32))).collect()
}

fn compare_outputs(
    case: &Case,
    inputs: &[Vec<f32>],
    found: &[Vec<f32>],
    precision: OperandRounding,
) -> Result<f64, String> {
    let operands = case.op.operands();
    let before: Vec<Vec<f64>> =
        operands.iter().zip(inputs).map(|(operand, values)| oracle::operand(operand.kind, values)).collect();
    let mut after = before.clone();
    oracle::run(&case.op, &case.hyper, &mut after);
    let mut scales = error_scales(&case.op, &case.hyper, &before, &after).into_iter();
    let mut used = 0.0f64;
    for (i, operand) in operands.iter().enumerate() {
        if operand.access == Access::Read {
            let changed = |(before, after): (&f32, &f32)| before.to_bits() != after.to_bits();
            if let Some(at) = inputs[i].iter().zip(&found[i]).position(changed) {
                return Err(format!(
                    "{}: an input was changed, at {at} from {:e} to {:e} (bits {:#x} and {:#x})",
                    operand.name,
                    inputs[i][at],
                    found[i][at],
                    inputs[i][at].to_bits(),
                    found[i][at].to_bits()
                ));
            }
            continue;
        }
        let error_scale = scales.next().unwrap_or_default();
        let expected = Expected {
            name: operand.name,
            values: &after[i],
            error_scale: &error_scale,
            reduction_length: case.reduction_length,
            precision: if case.op.is_product() { precision } else { OperandRounding::Single },
        };
        used = used.max(compare(&expected, &found[i])?);
    }
    Ok(used)
}

fn repeats(case: &Case, first: &[Vec<f32>], second: &[Vec<f32>]) -> Result<(), String> {
    for (operand, (a, b)) in case.op.operands().iter().zip(first.iter().zip(second)) {
        if let Some(at) = first_difference(a, b) {
            return Err(format!(
                "{}: a second run gave other bits, at {at} {:e} after {:e}",
                operand.name, b[at], a[at]
            ));
        }
    }
    Ok(())
}

/// The first place where the bits differ; one NaN is as good as another.
fn first_difference(a: &[f32], b: &[f32]) -> Option<usize> {
    let differ = |(a, b): (&f32, &f32)| a.to_bits() != b.to_bits() && !(a.is_nan() && b.is_nan());
    a.iter().zip(b).position(differ)
}
