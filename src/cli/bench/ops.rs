//! `striate bench ops`: every kernel at AlexNet's own geometries, against what this device was measured to be able to
//! do at all.

use super::super::Context;
use super::super::recipe::MOST_ROWS;
use super::timing::{Budget, measure};
use super::{BudgetArgs, Header, devices};
use crate::device::Device;
use crate::error::{Error, Result};
use crate::ops::{Linear, Op, Pointwise};
use crate::program::{BufferId, Program, ProgramBuilder, Role, Span, Step};
use crate::random::{Purpose, Stream};
use crate::verify::cases::{Case, alexnet_cases};
use clap::Args;
use serde_json::{Value, json};
use std::sync::Arc;

#[derive(Args, Debug)]
#[command(after_help = "Example:\n  striate bench ops -b 128 --only conv2d")]
pub(super) struct OpsArgs {
    /// Rows of the batch
    #[arg(short, long, default_value_t = 128, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=MOST_ROWS))]
    batch_size: u32,
    /// Only kernels whose name contains this
    #[arg(long, value_name = "TEXT")]
    only: Option<String>,
    /// Only the chosen device, without the CPU path beside it
    #[arg(long)]
    alone: bool,
    #[command(flatten)]
    budget: BudgetArgs,
}

/// What a device can do at best, measured with our own kernels.
struct Roofs {
    /// Seconds of a run that does next to nothing.
    floor: f64,
    /// Floating-point operations per second of a large square matrix product.
    flops: f64,
    /// Bytes per second of y = a + b over large vectors.
    bandwidth: f64,
}

pub(super) fn run(args: &OpsArgs, context: &Context) -> Result<u8> {
    let cases: Vec<Case> = alexnet_cases(args.batch_size as usize)
        .into_iter()
        .filter(|case| args.only.as_ref().is_none_or(|text| case.name.contains(text.as_str())))
        .collect();
    if cases.is_empty() {
        let text = args.only.as_deref().unwrap_or("");
        return Err(Error::Usage(format!("--only {text}: no kernel has this in its name")));
    }
    let devices = devices(context, args.alone)?;
    let header = Header::new(&devices);
    let budget = args.budget.budget();
    let mut roofs = Vec::new();
    for device in &devices {
        context.out.note(&format!("measuring the roofs of {}", device.name()));
        roofs.push(measure_roofs(device, budget)?);
    }
    if context.out.is_json() {
        context.out.json(&json!({
            "event": "bench-ops",
            "header": header.json(),
            "batch_size": args.batch_size,
            "roofs": devices.iter().zip(&roofs).map(|(d, r)| roofs_json(d, r)).collect::<Vec<_>>(),
        }))?;
    } else {
        print_head(context, &header, &devices, &roofs, args.batch_size)?;
    }
    for case in &cases {
        for (number, (device, roofs)) in devices.iter().zip(&roofs).enumerate() {
            let seconds = time(device, case.program()?, &inputs(case), budget)?;
            if context.out.is_json() {
                context.out.json(&row_json(case, device, roofs, seconds))?;
            } else {
                let name = if number == 0 { case.name.as_str() } else { "" };
                context.out.line(&row(name, &case.op, device, roofs, seconds))?;
            }
        }
    }
    Ok(0)
}

/// The case's inputs; what a kernel only writes starts as zeros.
fn inputs(case: &Case) -> Vec<Vec<f32>> {
    let mut inputs = case.inputs(0);
    for values in &mut inputs {
        if values.iter().all(|v| v.is_nan()) {
            values.fill(0.0);
        }
    }
    inputs
}

/// Seconds of one run of a program whose buffers are given in order.
fn time(device: &Device, program: Arc<Program>, buffers: &[Vec<f32>], budget: Budget) -> Result<f64> {
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

fn measure_roofs(device: &Device, budget: Budget) -> Result<Roofs> {
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
        let square =
            Op::LinearForward(Linear { batch: size, inputs: size, outputs: size, bias: false, relu: false });
        let seconds = alone(square.clone())?;
        if seconds > 0.02 || size >= 4096 {
            break square.flops() as f64 / seconds;
        }
        size *= 2;
    };
    Ok(Roofs { floor, flops, bandwidth })
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

/// The smallest time that the roofs allow: the slower of arithmetic and memory.
fn bound(op: &Op, roofs: &Roofs) -> f64 {
    (op.flops() as f64 / roofs.flops).max(op.bytes() as f64 / roofs.bandwidth)
}

fn roofs_json(device: &Device, r: &Roofs) -> Value {
    json!({
        "device": device.name(),
        "dispatch_floor_ms": r.floor * 1e3,
        "gflops": r.flops / 1e9,
        "gigabytes_per_second": r.bandwidth / 1e9,
    })
}

fn row_json(case: &Case, device: &Device, roofs: &Roofs, seconds: f64) -> Value {
    json!({
        "event": "op",
        "name": case.name,
        "kernel": case.op.name(),
        "device": device.name(),
        "ms": seconds * 1e3,
        "gflops": case.op.flops() as f64 / seconds / 1e9,
        "gigabytes_per_second": case.op.bytes() as f64 / seconds / 1e9,
        "fraction_of_roof": bound(&case.op, roofs) / seconds,
    })
}

fn print_head(
    context: &Context,
    header: &Header,
    devices: &[Device],
    roofs: &[Roofs],
    batch: u32,
) -> Result<()> {
    for line in header.lines() {
        context.out.line(&line)?;
    }
    for (device, r) in devices.iter().zip(roofs) {
        context.out.line(&format!(
            "{}: measured roofs {:.1} GFLOP/s and {:.1} GB/s, an empty dispatch takes {:.4} ms",
            device.name(),
            r.flops / 1e9,
            r.bandwidth / 1e9,
            r.floor * 1e3
        ))?;
    }
    context.out.line(&format!(
        "AlexNet's kernels at batch {batch}; medians; roof is the share of the nearer roof"
    ))?;
    context.out.line(&format!(
        "{:<44} {:<26} {:>10} {:>9} {:>8} {:>6}",
        "kernel", "device", "ms", "GFLOP/s", "GB/s", "roof"
    ))
}

fn row(name: &str, op: &Op, device: &Device, roofs: &Roofs, seconds: f64) -> String {
    format!(
        "{name:<44} {:<26} {:>10.4} {:>9.1} {:>8.1} {:>4.0} %",
        device.name().chars().take(26).collect::<String>(),
        seconds * 1e3,
        op.flops() as f64 / seconds / 1e9,
        op.bytes() as f64 / seconds / 1e9,
        100.0 * bound(op, roofs) / seconds
    )
}
