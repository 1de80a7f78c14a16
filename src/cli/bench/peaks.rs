//! What a device can do at best, measured: what the times of operators are held against. The peak rates over arithmetic and
//! memory are measured without any operator, so that a poor kernel does not lower the bar for itself.

use super::table::wrapped;
use super::timing::{Budget, Timing, measure};
use crate::device::{Device, DeviceProbe};
use crate::error::Result;
use crate::ops::{Linear, Op, Pointwise};
use crate::program::{BufferId, Executor, Program, ProgramBuilder, Role, Span, Step};
use crate::random::{Purpose, Stream};
use crate::report::{Ceiling, Roofline};
use serde_json::{Value, json};
use std::sync::Arc;

/// A copy is larger than caches, and as large as every adapter binds at once (128 MiB).
const COPY_BYTES: u64 = 1 << 27;
/// A measurement grows until a run takes this many seconds.
pub(super) const LONG: f64 = 0.02;

#[derive(Clone, Debug)]
pub(crate) struct PeakRates {
    /// Seconds of a run of one operator that does next to nothing.
    pub floor: f64,
    /// Seconds of an empty dispatch among others, each waiting for the one before; 0 on the CPU path.
    pub dispatch: f64,
    /// The same without anything to wait for.
    pub dispatch_apart: f64,
    /// Floating-point operations per second of fused multiply-adds in registers.
    pub fma: f64,
    /// Floating-point operations per second of our best large square matrix product.
    pub product: f64,
    /// Bytes per second, read and written, of a copy.
    pub copy: f64,
}

impl PeakRates {
    pub fn measure(device: &Device, budget: Budget) -> Result<PeakRates> {
        let floor = alone(device, &Op::ReluForward(Pointwise { len: 1 }), budget)?;
        let dispatch = |shared: bool| -> Result<f64> {
            match device.noop(shared)? {
                Some(mut probe) => Ok(times(&mut probe, budget, 256)?.median),
                None => Ok(0.0),
            }
        };
        let (dispatch, dispatch_apart) = (dispatch(true)?, dispatch(false)?);
        let mut probe = device.copy(COPY_BYTES)?;
        let copy = probe.bytes() as f64 / times(&mut probe, budget, 1)?.median;
        drop(probe);
        let mut probe = fma(device, LONG)?;
        let fma = probe.flops() as f64 / times(&mut probe, budget, 1)?.median;
        Ok(PeakRates { floor, dispatch, dispatch_apart, fma, product: product(device, budget)?, copy })
    }

    /// Floating-point operations per second that nothing exceeded.
    pub fn flops(&self) -> f64 {
        self.fma.max(self.product)
    }

    /// The smallest time in seconds that the peak rates allow for the given operations and bytes: the slower of arithmetic and
    /// memory. Winograd convolution does less arithmetic than is counted, and can be faster.
    pub fn bound(&self, flops: u64, bytes: u64) -> f64 {
        (flops as f64 / self.flops()).max(bytes as f64 / self.copy)
    }

    pub fn lines(&self, device: &str) -> Vec<String> {
        let mut lines = vec![format!(
            "{device}: measured peaks {:.1} GFLOP/s (multiply-adds in registers; our best square product {:.1}) and {:.1} GB/s (a copy)",
            self.fma / 1e9,
            self.product / 1e9,
            self.copy / 1e9
        )];
        lines.push(match self.dispatch > 0.0 {
            true => format!(
                "{device}: an operator that does nothing takes {:.4} ms, an empty dispatch {:.4} ms behind a barrier and {:.4} ms without",
                self.floor * 1e3,
                self.dispatch * 1e3,
                self.dispatch_apart * 1e3
            ),
            false => format!("{device}: an operator that does nothing takes {:.4} ms", self.floor * 1e3),
        });
        lines.iter().flat_map(|line| wrapped(line)).collect()
    }

    pub fn to_json(&self, device: &str) -> Value {
        json!({
            "device": device,
            "operator_floor_ms": self.floor * 1e3,
            "dispatch_floor_ms": self.dispatch * 1e3,
            "dispatch_without_barrier_ms": self.dispatch_apart * 1e3,
            "fma_gflops": self.fma / 1e9,
            "product_gflops": self.product / 1e9,
            "gflops": self.flops() / 1e9,
            "gigabytes_per_second": self.copy / 1e9,
        })
    }

    /// An empty chart of these peak rates.
    pub fn chart(&self, title: String, notes: Vec<String>) -> Roofline {
        let mut ceilings = vec![Ceiling { label: "multiply-adds in registers".into(), flops: self.fma }];
        ceilings.push(Ceiling { label: "our best square product".into(), flops: self.product });
        Roofline { title, notes, ceilings, bandwidth: self.copy, points: Vec::new() }
    }
}

/// Multiply-adds that take this many seconds, or as long as the device can be kept at it.
pub(super) fn fma(device: &Device, seconds: f64) -> Result<DeviceProbe> {
    let (mut units, mut before) = (16, 0);
    loop {
        let mut probe = device.fma(units)?;
        let once = Budget { warmup: 1, samples: 3, seconds: 0.0 };
        // A device that can be given no more answers with the same work again.
        if times(&mut probe, once, 1)?.median > seconds || probe.flops() == before || units >= 1 << 24 {
            return Ok(probe);
        }
        (before, units) = (probe.flops(), units * 4);
    }
}

/// Operations per second of a square product as large as it takes for the device to need [`LONG`], so that small devices
/// do not take minutes.
fn product(device: &Device, budget: Budget) -> Result<f64> {
    let (mut size, mut best) = (512, 0.0f64);
    loop {
        let square = Linear { batch: size, inputs: size, outputs: size, bias: false, relu: false };
        let op = Op::LinearForward(square);
        let seconds = alone(device, &op, budget)?;
        best = best.max(op.flops() as f64 / seconds);
        if seconds > LONG || size >= 4096 {
            return Ok(best);
        }
        size *= 2;
    }
}

/// Seconds of one of `burst` runs in a row.
pub(super) fn times(probe: &mut DeviceProbe, budget: Budget, burst: usize) -> Result<Timing> {
    let timing = measure(budget, |runs| probe.run(runs * burst))?;
    let scale = 1.0 / burst as f64;
    Ok(timing.scaled(scale))
}

/// Seconds of one run of an operator over random numbers.
fn alone(device: &Device, op: &Op, budget: Budget) -> Result<f64> {
    let (program, buffers) = single(op)?;
    time(device, program, &buffers, budget)
}

/// Seconds of one run of a program whose buffers are given in order.
fn time(device: &Device, program: Arc<Program>, buffers: &[Vec<f32>], budget: Budget) -> Result<f64> {
    let mut executor = filled(device, program, buffers)?;
    let timing = measure(budget, |runs| {
        (0..runs).try_for_each(|_| executor.run(Span::Forward))?;
        executor.wait()
    })?;
    Ok(timing.median)
}

/// An executor of a program whose buffers are given in order.
pub(super) fn filled(
    device: &Device,
    program: Arc<Program>,
    buffers: &[Vec<f32>],
) -> Result<Box<dyn Executor>> {
    let mut executor = device.executor(program)?;
    for (number, values) in buffers.iter().enumerate() {
        executor.write(BufferId(number as u32), values)?;
    }
    Ok(executor)
}

/// A program of one operator over random numbers.
fn single(op: &Op) -> Result<(Arc<Program>, Vec<Vec<f32>>)> {
    let mut builder = ProgramBuilder::default();
    let mut buffers = Vec::new();
    let mut contents = Vec::new();
    for (number, operand) in op.operands().into_iter().enumerate() {
        let mut stream = Stream::new(0, Purpose::Test, number as u32);
        contents.push((0..operand.shape.len()).map(|_| stream.normal()).collect());
        buffers.push(builder.buffer(operand.name, operand.shape, Role::Output)?);
    }
    builder.forward.push(Step { op: op.clone(), buffers, label: op.name().to_string() });
    Ok((Arc::new(builder.finish(true)?), contents))
}
