//! What a device can do at best, measured with our own kernels: what the times of operators are held against.

use super::timing::{Budget, measure};
use crate::device::Device;
use crate::error::Result;
use crate::ops::{Linear, Op, Pointwise};
use crate::program::{BufferId, Program, ProgramBuilder, Role, Span, Step};
use crate::random::{Purpose, Stream};
use serde_json::{Value, json};
use std::sync::Arc;

pub(super) struct Roofs {
    /// Seconds of a run that does next to nothing.
    pub floor: f64,
    /// Floating-point operations per second of a large square matrix product.
    pub flops: f64,
    /// Bytes per second of y = a + b over large vectors.
    pub bandwidth: f64,
}

impl Roofs {
    pub fn measure(device: &Device, budget: Budget) -> Result<Roofs> {
        let alone = |op: Op| -> Result<f64> {
            let (program, buffers) = single(&op)?;
            time(device, program, &buffers, budget)
        };
        let floor = alone(Op::ReluForward(Pointwise { len: 1 }))?;
        // Three vectors of 64 MiB: larger than caches, smaller than the default limit of a binding (128 MiB).
        let add = Op::Add(Pointwise { len: 1 << 24 });
        let bandwidth = add.bytes() as f64 / alone(add.clone())?;
        // As large as it takes for the device to need 20 ms, so that small devices do not take minutes.
        let mut size = 512;
        let flops = loop {
            let square = Op::LinearForward(Linear {
                batch: size,
                inputs: size,
                outputs: size,
                bias: false,
                relu: false,
            });
            let seconds = alone(square.clone())?;
            if seconds > 0.02 || size >= 4096 {
                break square.flops() as f64 / seconds;
            }
            size *= 2;
        };
        Ok(Roofs { floor, flops, bandwidth })
    }

    /// The smallest time in seconds that the roofs allow so many operations and bytes: the slower of arithmetic and
    /// memory. A convolution by minimal filtering does less arithmetic than is counted, and can be faster.
    pub fn bound(&self, flops: u64, bytes: u64) -> f64 {
        (flops as f64 / self.flops).max(bytes as f64 / self.bandwidth)
    }

    pub fn line(&self, device: &Device) -> String {
        format!(
            "{}: measured roofs {:.1} GFLOP/s and {:.1} GB/s, an empty dispatch takes {:.4} ms",
            device.name(),
            self.flops / 1e9,
            self.bandwidth / 1e9,
            self.floor * 1e3
        )
    }

    pub fn to_json(&self, device: &Device) -> Value {
        json!({
            "device": device.name(),
            "dispatch_floor_ms": self.floor * 1e3,
            "gflops": self.flops / 1e9,
            "gigabytes_per_second": self.bandwidth / 1e9,
        })
    }
}

/// Seconds of one run of a program whose buffers are given in order.
pub(super) fn time(
    device: &Device,
    program: Arc<Program>,
    buffers: &[Vec<f32>],
    budget: Budget,
) -> Result<f64> {
    let mut executor = device.executor(program)?;
    for (number, values) in buffers.iter().enumerate() {
        executor.write(BufferId(number as u32), values)?;
    }
    let timing = measure(budget, |runs| {
        (0..runs).try_for_each(|_| executor.run(Span::Forward))?;
        executor.wait()
    })?;
    Ok(timing.median)
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
