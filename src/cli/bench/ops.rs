//! `striate bench ops`: every kernel at AlexNet's own geometries, against what this device was measured to be able to
//! do at all.

use super::super::Context;
use super::super::outputs::Outputs;
use super::super::recipe::MOST_ROWS;
use super::control::{Control, ControlTimes};
use super::peaks::{PeakRates, filled};
use super::profile::{self, Line};
use super::progress::Progress;
use super::shapes::ShapeArgs;
use super::table::shortened;
use super::timing::{BURST, Budget, Timing};
use super::{BudgetArgs, DeviceArgs, Header, devices, write_chart};
use crate::device::Device;
use crate::error::{Error, Result};
use crate::inference::check_main_memory;
use crate::ops::Op;
use crate::program::Span;
use crate::verify::cases::{Case, alexnet_cases};
use clap::Args;
use serde_json::{Value, json};
use std::path::PathBuf;

#[derive(Args, Debug)]
#[command(
    after_help = "Examples:\n  striate bench ops -b 128 --only conv2d\n  striate bench ops -b 32 --conv 64,192,27,5,1,2"
)]
pub(super) struct OpsArgs {
    /// Set the number of samples per batch
    #[arg(short, long, default_value_t = 128, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=MOST_ROWS))]
    batch_size: u32,
    /// Run only kernels whose name contains this
    #[arg(long, value_name = "TEXT")]
    only: Option<String>,
    /// Measure only the chosen device, without the CPU path for comparison
    #[arg(long)]
    alone: bool,
    /// Also write a roofline chart of every kernel on the chosen device, as SVG
    #[arg(long, value_name = "FILE.svg")]
    roofline: Option<PathBuf>,
    #[command(flatten)]
    shapes: ShapeArgs,
    #[command(flatten)]
    device: DeviceArgs,
    #[command(flatten)]
    budget: BudgetArgs,
}

pub(super) fn run(args: &OpsArgs, context: &Context) -> Result<u8> {
    let batch = args.batch_size as usize;
    let all = args.shapes.cases(batch)?;
    let of_alexnet = all.is_none();
    let cases: Vec<Case> = all
        .unwrap_or_else(|| alexnet_cases(batch))
        .into_iter()
        .filter(|case| args.only.as_ref().is_none_or(|text| case.name.contains(text.as_str())))
        .collect();
    if cases.is_empty() {
        let text = args.only.as_deref().unwrap_or("");
        return Err(Error::Usage(format!("--only {text}: no kernel has this in its name")));
    }
    if let Some(path) = &args.roofline {
        Outputs::new().check_as("--roofline", path, &["svg"])?;
    }
    let devices = devices(context, args.alone, &args.device)?;
    for (case, device) in cases.iter().flat_map(|case| devices.iter().map(move |device| (case, device))) {
        check_memory(case, device)?;
    }
    let header = Header::new(&devices, &args.device);
    let (budget, title) = (args.budget.budget(), title(of_alexnet, batch));
    let progress = Progress::new(context.out, devices.len() * (1 + cases.len()));
    let (mut peaks, mut controls) = (Vec::new(), Vec::new());
    for device in &devices {
        progress.begin(&format!("measuring the peak rates of {}", device.name()), true);
        peaks.push(PeakRates::measure(device, budget)?);
        controls.push(Control::new(device)?);
    }
    if context.out.is_json() {
        context.out.json(&json!({
            "event": "bench-ops",
            "header": header.json(),
            "batch_size": args.batch_size,
            "roofs": devices.iter().zip(&peaks).map(|(d, r)| r.to_json(&d.name())).collect::<Vec<_>>(),
        }))?;
    } else {
        head(&header, &devices, &peaks, &title).iter().try_for_each(|line| progress.line(line))?;
    }
    let mut lines: Vec<Vec<Line>> = vec![Vec::new(); devices.len()];
    for case in &cases {
        for (number, (device, peaks)) in devices.iter().zip(&peaks).enumerate() {
            progress.begin(&case.name, false);
            let (times, control) = measure(case, device, &mut controls[number], budget, &progress)?;
            if context.out.is_json() {
                context.out.json(&row_json(case, device, peaks, &times, &control))?;
            } else {
                let name = if number == 0 { case.name.as_str() } else { "" };
                progress.line(&row(name, &case.op, device, peaks, times.median))?;
            }
            lines[number].push(line(case, peaks, times));
        }
    }
    drop(progress);
    finish(args, context, &header, &devices, &peaks, &lines, title)?;
    Ok(0)
}

fn title(of_alexnet: bool, batch: usize) -> String {
    let whose = if of_alexnet { "AlexNet's kernels" } else { "kernels" };
    format!("{whose} at batch {batch}")
}

/// An error if the operands of `case` do not fit: the values that they begin with, and where the device has its buffers in
/// main memory, those too.
fn check_memory(case: &Case, device: &Device) -> Result<()> {
    let bytes: u64 = case.op.operands().iter().map(|operand| operand.shape.bytes()).sum();
    let copies = if device.uses_main_memory() { 2 } else { 1 };
    check_main_memory(&case.name, bytes.saturating_mul(copies))
}

/// Seconds of a kernel, measured in turn with the control.
fn measure(
    case: &Case,
    device: &Device,
    control: &mut Control,
    budget: Budget,
    progress: &Progress,
) -> Result<(Timing, ControlTimes)> {
    let mut executor = filled(device, case.program()?, &inputs(case))?;
    let burst = |_: usize, runs: usize| {
        (0..runs).try_for_each(|_| executor.run(Span::Forward))?;
        executor.wait()
    };
    let done = |round: usize| progress.round(&case.name, round, budget.samples);
    let (mut timings, control) = control.in_turn(budget, &[BURST], burst, done)?;
    Ok((timings.swap_remove(0), control))
}

/// Totals by operator, and the chart.
fn finish(
    args: &OpsArgs,
    context: &Context,
    header: &Header,
    devices: &[Device],
    peaks: &[PeakRates],
    lines: &[Vec<Line>],
    title: String,
) -> Result<()> {
    for ((device, peaks), lines) in devices.iter().zip(peaks).zip(lines) {
        if context.out.is_json() {
            let kinds = profile::totals_json(lines);
            context.out.json(&json!({"event": "kinds", "device": device.name(), "kinds": kinds}))?;
        } else {
            context.out.line(&format!("\n{}: all kernels once, {}", device.name(), device.precision()))?;
            let notes = profile::explanations(lines, peaks);
            let table = profile::totals_table(lines).into_iter().chain(notes);
            table.into_iter().try_for_each(|line| context.out.line(&line))?;
        }
    }
    if let (Some(path), Some(peaks), Some(lines)) = (&args.roofline, peaks.first(), lines.first()) {
        write_chart(path, &profile::chart(peaks, lines, title, header.notes(0)), &context.out)?;
    }
    Ok(())
}

fn line(case: &Case, peaks: &PeakRates, times: Timing) -> Line {
    let (kind, flops, bytes) = (case.op.name(), case.op.flops(), case.op.bytes());
    let label = case.name.strip_prefix(kind).unwrap_or(&case.name).trim_matches([' ', '/', '_', ':']);
    Line {
        kind: kind.into(),
        label: label.into(),
        seconds: times.median,
        flops,
        bytes,
        bound: peaks.bound(flops, bytes),
        pipelines: Vec::new(),
        times: Some(times),
    }
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

fn row_json(
    case: &Case,
    device: &Device,
    peaks: &PeakRates,
    times: &Timing,
    control: &ControlTimes,
) -> Value {
    let (seconds, flops, bytes) = (times.median, case.op.flops(), case.op.bytes());
    let shapes = case.op.operands().into_iter().map(|o| (o.name.to_string(), o.shape.dims().to_vec().into()));
    json!({
        "event": "op",
        "name": case.name,
        "kernel": case.op.name(),
        "device": device.name(),
        "precision": device.precision(),
        "shapes": shapes.collect::<serde_json::Map<String, Value>>(),
        "flops": flops,
        "bytes": bytes,
        "ms": seconds * 1e3,
        "gflops": flops as f64 / seconds / 1e9,
        "gigabytes_per_second": bytes as f64 / seconds / 1e9,
        "fraction_of_roof": peaks.bound(flops, bytes) / seconds,
        "times": {"run": times.to_json()},
        "control": control.to_json(),
    })
}

fn head(header: &Header, devices: &[Device], peaks: &[PeakRates], title: &str) -> Vec<String> {
    let mut lines = header.lines();
    for (device, r) in devices.iter().zip(peaks) {
        lines.extend(r.lines(&device.name()));
    }
    lines.push(format!("{title}; medians; peak is the share of the nearer peak rate"));
    lines.push(format!(
        "{:<44} {:<26} {:>10} {:>9} {:>8} {:>6}",
        "kernel", "device", "ms", "GFLOP/s", "GB/s", "peak"
    ));
    lines
}

fn row(name: &str, op: &Op, device: &Device, peaks: &PeakRates, seconds: f64) -> String {
    format!(
        "{:<44} {:<26} {:>10.4} {:>9.1} {:>8.1} {:>4.0} %",
        shortened(name, 44),
        shortened(&device.name(), 26),
        seconds * 1e3,
        op.flops() as f64 / seconds / 1e9,
        op.bytes() as f64 / seconds / 1e9,
        100.0 * peaks.bound(op.flops(), op.bytes()) / seconds
    )
}
