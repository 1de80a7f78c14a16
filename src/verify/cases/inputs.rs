//! Values for the operands of a case: both signs, and consistent where one operand follows from others.

use super::{Case, Data};
use crate::ops::{Access, Op, OperandKind as Kind};
use crate::random::{Purpose, Stream};
use crate::verify::operators::{augment, entry, loss};
use crate::verify::oracle;

/// FNV-1a, so that every case has its own random stream.
fn hash(name: &str) -> u32 {
    name.bytes().fold(0x811c_9dc5, |h, byte| (h ^ u32::from(byte)).wrapping_mul(0x0100_0193))
}

pub(super) fn draw(case: &Case, seed: u64) -> Vec<Vec<f32>> {
    let mut stream = Stream::new(seed, Purpose::Test, hash(&case.name));
    let mut operands = Vec::new();
    for (i, operand) in case.op.operands().into_iter().enumerate() {
        let len = operand.shape.len();
        let values = match operand.kind {
            Kind::Hyper => case.hyper.as_words().to_vec(),
            _ if operand.access == Access::Write => vec![f32::NAN; len],
            // Every byte is random, so that many words are NaNs of all kinds.
            Kind::Bytes => fill(len, || f32::from_bits(stream.next_u32())),
            Kind::Views => augment::words(case, &mut stream),
            // One class without weight, where others remain.
            Kind::ClassWeights => {
                let mut weights = fill(len, || 0.125 + 4.0 * stream.uniform());
                if len > 3 {
                    weights[len / 2] = 0.0;
                }
                weights
            }
            Kind::Labels => loss::labels(&case.op, len, &mut stream),
            Kind::Data if i == 0 => special(case, normal(len, &mut stream)),
            // Metrics compares ranks with 0 and 5.
            Kind::Loss => fill(len, || 3.0 * stream.uniform()),
            Kind::Rank => fill(len, || stream.below(8) as f32),
            Kind::Variance | Kind::RunningVariance => fill(len, || 0.1 + 2.0 * stream.uniform()),
            Kind::Gradient if i == 0 && case.data == Data::Nan => {
                let mut g = normal(len, &mut stream);
                g.iter_mut().step_by(5).for_each(|v| *v = f32::NAN);
                g
            }
            // Words of non-finite values that were found before, or none.
            Kind::Record if operand.access == Access::Update => fill(len, || stream.below(40) as f32),
            Kind::Norms | Kind::Factor => {
                gradients(case, operand.kind, fill(len, || 0.05 + stream.uniform()))
            }
            Kind::Scaling => {
                let count = |stream: &mut Stream| stream.below(90) as f32;
                vec![1024.0 + stream.uniform(), 5.0, count(&mut stream), count(&mut stream)]
            }
            Kind::SecondMoment => fill(len, || stream.normal().powi(2)),
            Kind::Data
            | Kind::Parameter
            | Kind::Gradient
            | Kind::Mean
            | Kind::RunningMean
            | Kind::Momentum
            | Kind::Intermediate
            | Kind::Index
            | Kind::Record => normal(len, &mut stream),
        };
        operands.push(values);
    }
    (entry(&case.op).prepare)(case, &mut operands);
    operands
}

fn fill(len: usize, value: impl FnMut() -> f32) -> Vec<f32> {
    std::iter::repeat_with(value).take(len).collect()
}

/// Both signs and variance 1: normal, or uniform where drawing normal numbers would take seconds.
fn normal(len: usize, stream: &mut Stream) -> Vec<f32> {
    const MANY: usize = 1 << 20;
    let width = 12f32.sqrt();
    fill(len, || if len < MANY { stream.normal() } else { (stream.uniform() - 0.5) * width })
}

/// Norms or factors as `Case::data` requires them.
fn gradients(case: &Case, kind: Kind, mut values: Vec<f32>) -> Vec<f32> {
    let middle = values.len() / 2;
    match (case.data, kind) {
        (Data::Skipped, Kind::Factor) => values[0] = 0.0,
        (Data::Skipped, _) => values[middle] = f32::INFINITY,
        (Data::Nan, Kind::Norms) => values[middle] = f32::NAN,
        _ => {}
    }
    values
}

/// x as `Case::data` requires it.
pub(in crate::verify) fn special(case: &Case, mut x: Vec<f32>) -> Vec<f32> {
    match case.data {
        Data::Plain | Data::Crops | Data::Skipped => {}
        Data::Ties => x.iter_mut().for_each(|v| *v = (*v * 2.0).round() / 2.0),
        Data::Offset => x.iter_mut().for_each(|v| *v += 1000.0),
        Data::Huge => x.iter_mut().for_each(|v| *v = (80.0 + *v).copysign(*v)),
        Data::Nan => {
            let rows = case.op.operands()[0].shape.dims().first().copied().unwrap_or(1);
            let row = x.len() / rows;
            match case.op {
                // One NaN in the row of each of two samples: the largest class number, then the smallest.
                Op::CrossEntropy(_) | Op::HalfSquaredError(_) => {
                    x[row - 1] = f32::NAN;
                    x[row] = f32::NAN;
                }
                // Far apart, so that no window sees two.
                Op::MaxPool2dForward(_) => x.iter_mut().step_by(97).for_each(|v| *v = f32::NAN),
                _ if rows == x.len() => x.iter_mut().step_by(5).for_each(|v| *v = f32::NAN),
                _ => x[..row].fill(f32::NAN),
            }
        }
    }
    x
}

/// A value in -2 .. 2 that looks random, for an operand that the operator itself does not have.
pub(in crate::verify) fn scatter(i: usize) -> f32 {
    let bits = (i as u32).wrapping_mul(0x9e37_79b9) ^ 0x5bd1_e995;
    (bits.wrapping_mul(0x85eb_ca6b) >> 8) as f32 / (1 << 22) as f32 - 2.0
}

/// The outputs of `op` for `inputs` by the reference, rounded to f32.
pub(in crate::verify) fn outputs(case: &Case, op: Op, inputs: &[&[f32]]) -> Vec<Vec<f32>> {
    let mut operands: Vec<Vec<f64>> =
        inputs.iter().map(|x| x.iter().map(|&v| f64::from(v)).collect()).collect();
    operands.extend(op.operands()[inputs.len()..].iter().map(|o| vec![0.0; o.shape.len()]));
    oracle::run(&op, &case.hyper, &mut operands);
    operands[inputs.len()..].iter().map(|y| y.iter().map(|&v| v as f32).collect()).collect()
}
