//! Half precision: the operands of convolutions and linear layers rounded to f16, multiplied into f32 sums. In memory
//! everything stays f32. On an adapter with matrix units for that (cooperative matrices of 16 x 16 x 16, f16 to f32)
//! those are used, but only after they have been held against the same products one by one: the feature is young, and a
//! driver was reported to lose or double terms of sums that go through a loop.

use super::adapter;
use super::device::Gpu;
use super::executor::Executor;
use super::experimental;
use super::kernels::Precision;
use super::options::DeviceOptions;
use crate::error::{Error, Result};
use crate::ops::{Conv2d, Linear, Op};
use crate::program::{BufferId, Executor as _, Program, ProgramBuilder, Role, Span, step};
use crate::random::{Purpose, Stream};
use std::sync::Arc;

/// Runs of each product of the check. A race need not show at the first.
const ROUNDS: usize = 16;
/// Largest difference between a sum on matrix units and the same sum one by one, relative to the root of its length
/// (operands have the size 1). Sums that only add up in another order, cut off where one by one they would be rounded, differ by
/// some 2e-5; one sixteen of products that is lost or counted twice in a sum of 4000 is 6e-2.
const TOLERANCE: f32 = 3e-4;

impl Gpu {
    /// This adapter with half-precision products. Beside it, one line if it has matrix units that cannot be used.
    ///
    /// # Errors
    /// `Error::Device` if it has no f16.
    pub fn half(&self) -> Result<(Gpu, Option<String>)> {
        if !self.device().features().contains(wgpu::Features::SHADER_F16) {
            return Err(Error::Device(format!(
                "{}: half precision: expected an adapter with the feature shader_f16, found one without",
                self.info().name
            )));
        }
        let one_by_one = self.with_precision(Precision::Half);
        let checked = |gpu: Gpu| check(&products(), &gpu, &one_by_one).map(|()| gpu);
        let on_units =
            pollster::block_on(self.on_matrix_units()).and_then(|gpu| gpu.map(checked).transpose());
        let why = match on_units {
            Ok(None) => None,
            Ok(Some(gpu)) => return Ok((gpu, None)),
            Err(error) => Some(format!(
                "{}: its matrix units are not used, products are computed one by one: {error}",
                self.info().name
            )),
        };
        Ok((one_by_one, why))
    }

    /// A device of the same adapter that multiplies on matrix units; `None` if it has none that fit.
    async fn on_matrix_units(&self) -> Result<Option<Gpu>> {
        let (info, overrides) = (self.info().clone(), self.overrides());
        // A device with lowered limits must not use more.
        let memory = overrides.workgroup_memory.unwrap_or(info.workgroup_memory);
        if memory < WORKGROUP_MEMORY || info.subgroup != [SUBGROUP; 2] || overrides.kernel.is_some() {
            return Ok(None);
        }
        let (instance, all) = adapter::list().await;
        let found = all.into_iter().find(|(other, _)| *other == info);
        let Some((_, adapter)) = found.filter(|(_, adapter)| has_matrix_units(adapter)) else {
            return Ok(None);
        };
        let features = (adapter.features() & adapter::WANTED) | NEEDED;
        let options = DeviceOptions::default().with_limits(overrides.clone());
        let gpu = Gpu::on(instance, info, &adapter, &options, features, experimental::cooperative_matrices())
            .await?;
        Ok(Some(gpu.with_precision(Precision::HalfCooperative)))
    }
}

/// What `gemm_cooperative.wgsl` counts on.
const SUBGROUP: u32 = 32;
const WORKGROUP_MEMORY: u32 = 32_768;
const NEEDED: wgpu::Features =
    wgpu::Features::EXPERIMENTAL_COOPERATIVE_MATRIX.union(wgpu::Features::SUBGROUP);

fn has_matrix_units(adapter: &wgpu::Adapter) -> bool {
    let fits = |p: &wgpu::CooperativeMatrixProperties| {
        [p.m_size, p.n_size, p.k_size] == [16; 3]
            && p.ab_type == wgpu::CooperativeScalarType::F16
            && p.cr_type == wgpu::CooperativeScalarType::F32
            && !p.saturating_accumulation
    };
    adapter.features().contains(NEEDED) && adapter.cooperative_matrix_properties().iter().any(fits)
}

/// Ragged products: one of long sums in more workgroups than any GPU runs at once, others of few or of short sums, the sums
/// of one cut into pieces.
fn products() -> Vec<Op> {
    let linear = |batch, inputs, outputs| Linear { batch, inputs, outputs, bias: true, relu: false };
    let conv = Conv2d {
        batch: 21,
        c_in: 19,
        h_in: 29,
        w_in: 31,
        c_out: 70,
        kernel: [3, 5],
        stride: [2, 1],
        pad: [1, 2, 0, 1],
        dilation: [1, 1],
        groups: 1,
        bias: true,
        relu: false,
    };
    vec![
        Op::LinearForward(linear(2053, 4099, 2051)),
        Op::LinearGradInput(linear(131, 1027, 4099)),
        Op::LinearGradWeight(linear(77, 1033, 1029)),
        Op::Conv2dForward(conv),
        Op::Conv2dGradInput(conv),
        Op::Conv2dGradWeight(conv),
    ]
}

/// Holds the products of `gpu` against those of `reference`, several times over.
///
/// # Errors
/// `Error::Verification` if a sum is off, or not the same each time.
fn check(products: &[Op], gpu: &Gpu, reference: &Gpu) -> Result<()> {
    for op in products {
        let (program, output) = program(op)?;
        let expected = ReferenceProduct::new(reference, &program)?.run(output)?;
        let mut product = ReferenceProduct::new(gpu, &program)?;
        compare(op, &expected, &mut || product.run(output))?;
    }
    Ok(())
}

fn compare(op: &Op, expected: &[f32], run: &mut dyn FnMut() -> Result<Vec<f32>>) -> Result<()> {
    let mut first: Option<Vec<f32>> = None;
    let length = reduction_length(op) as f32;
    for round in 0..ROUNDS {
        let found = run()?;
        let wrong = |what: &str, at: usize, expected: f32| {
            Error::Verification(format!(
                "{}, run {} of {ROUNDS}, element {at} of {}: {what}expected {expected:e}, found {:e}",
                op.name(),
                round + 1,
                found.len(),
                found[at]
            ))
        };
        let differs = |(a, b): (&f32, &f32)| (a - b).abs() > TOLERANCE * length.sqrt() || b.is_nan();
        if let Some(at) = expected.iter().zip(&found).position(differs) {
            return Err(wrong("", at, expected[at]));
        }
        let before = first.get_or_insert_with(|| found.clone());
        if let Some(at) = before.iter().zip(&found).position(|(a, b)| a.to_bits() != b.to_bits()) {
            return Err(wrong("as in the first run ", at, before[at]));
        }
    }
    Ok(())
}

/// The length of the sums of a product.
fn reduction_length(op: &Op) -> usize {
    match op {
        Op::LinearForward(d) => d.inputs,
        Op::LinearGradInput(d) => d.outputs,
        Op::LinearGradWeight(d) => d.batch,
        Op::Conv2dGradWeight(d) => d.batch * d.h_out() * d.w_out(),
        Op::Conv2dForward(d) | Op::Conv2dGradInput(d) => d.depth().max(d.c_out * d.kernel[0] * d.kernel[1]),
        _ => 1,
    }
}

/// A program that is this one product, and its output.
fn program(op: &Op) -> Result<(Arc<Program>, BufferId)> {
    let mut builder = ProgramBuilder::default();
    let mut buffers = Vec::new();
    for operand in op.operands() {
        buffers.push(builder.buffer(operand.name, operand.shape, Role::Output)?);
    }
    let output = *buffers.last().ok_or_else(|| Error::Internal("a product without operands".into()))?;
    builder.forward.push(step(op.clone(), "check", &buffers));
    Ok((Arc::new(builder.finish(true)?), output))
}

/// One product on a device, with random operands.
struct ReferenceProduct(Executor);

impl ReferenceProduct {
    fn new(gpu: &Gpu, program: &Arc<Program>) -> Result<ReferenceProduct> {
        let mut executor = Executor::new(gpu, Arc::clone(program))?;
        for (number, buffer) in program.buffers().iter().enumerate() {
            let mut stream = Stream::new(0, Purpose::Test, number as u32);
            // Uniform with the variance 1.
            let width = 12f32.sqrt();
            let values: Vec<f32> =
                (0..buffer.shape.len()).map(|_| (stream.uniform() - 0.5) * width).collect();
            executor.write(BufferId(number as u32), &values)?;
        }
        Ok(ReferenceProduct(executor))
    }

    fn run(&mut self, output: BufferId) -> Result<Vec<f32>> {
        self.0.run(Span::Forward)?;
        self.0.read(output)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gpu::{AdapterSelector, adapters};

    fn linear() -> Op {
        Op::LinearForward(Linear { batch: 5, inputs: 4000, outputs: 33, bias: false, relu: false })
    }

    /// How the check ends if run number `bad` has `spoil` in one element.
    fn verdict(bad: usize, spoil: impl Fn(f32) -> f32) -> Result<()> {
        let expected: Vec<f32> = (0..165).map(|i| (i as f32 * 0.7).sin() * 60.0).collect();
        let mut run = 0;
        compare(&linear(), &expected, &mut || {
            run += 1;
            let mut found = expected.clone();
            if run == bad {
                found[101] = spoil(found[101]);
            }
            Ok(found)
        })
    }

    #[test]
    fn one_wrong_element_in_one_of_many_runs_is_found() {
        assert!(verdict(0, |y| y).is_ok());
        for bad in [1, 2, ROUNDS] {
            assert!(verdict(bad, |y| 2.0 * y).is_err(), "a sum that was counted twice");
            assert!(verdict(bad, |y| y + 4.0).is_err(), "a sixteen of products");
            assert!(verdict(bad, |_| f32::NAN).is_err());
        }
        // Within the tolerance, but not what the run before gave.
        let message = verdict(3, |y| y.next_up()).unwrap_err().to_string();
        assert!(message.contains("run 3") && message.contains("first run"), "{message}");
    }

    /// Runs on any adapter that is present; `tests/gpu/half.rs` fails where one is required.
    #[test]
    fn a_device_that_multiplies_otherwise_is_found() {
        let Some(info) = adapters().pop() else { return };
        let gpu = Gpu::open(&AdapterSelector::Index(info.index)).unwrap();
        let Ok((half, _)) = gpu.half() else { return };
        let one_by_one = gpu.with_precision(Precision::Half);
        let conv = Conv2d {
            batch: 3,
            c_in: 7,
            h_in: 9,
            w_in: 11,
            c_out: 17,
            kernel: [3, 3],
            stride: [1, 2],
            pad: [1; 4],
            dilation: [1, 1],
            groups: 1,
            bias: true,
            relu: false,
        };
        let products =
            [linear(), Op::Conv2dForward(conv), Op::Conv2dGradInput(conv), Op::Conv2dGradWeight(conv)];
        check(&products, &half, &one_by_one).unwrap();
        // Operands that are not rounded to f16 give sums that are far enough off.
        let error = check(&products, &gpu, &one_by_one).unwrap_err();
        assert!(error.to_string().starts_with("linear_forward, run 1 of 16"), "{error}");
    }
}
