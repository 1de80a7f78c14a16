//! `striate bench ops`: every kernel at AlexNet's own geometries, against what this device was measured to be able to
//! do at all.

use super::super::Context;
use super::super::outputs::Outputs;
use super::super::recipe::MOST_ROWS;
use super::peaks::{PeakRates, time};
use super::profile::{self, Line};
use super::{BudgetArgs, DeviceArgs, Header, devices, write_chart};
use crate::device::Device;
use crate::error::{Error, Result};
use crate::ops::Op;
use crate::verify::cases::{Case, alexnet_cases};
use clap::Args;
use serde_json::{Value, json};
use std::path::PathBuf;

#[derive(Args, Debug)]
#[command(after_help = "Example:\n  striate bench ops -b 128 --only conv2d")]
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
    device: DeviceArgs,
    #[command(flatten)]
    budget: BudgetArgs,
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
    if let Some(path) = &args.roofline {
        Outputs::new().check_as("--roofline", path, &["svg"])?;
    }
    let devices = devices(context, args.alone, &args.device)?;
    let header = Header::new(&devices, &args.device);
    let budget = args.budget.budget();
    let mut peaks = Vec::new();
    for device in &devices {
        context.out.note(&format!("measuring the peak rates of {}", device.name()));
        peaks.push(PeakRates::measure(device, budget)?);
    }
    if context.out.is_json() {
        context.out.json(&json!({
            "event": "bench-ops",
            "header": header.json(),
            "batch_size": args.batch_size,
            "roofs": devices.iter().zip(&peaks).map(|(d, r)| r.to_json(&d.name())).collect::<Vec<_>>(),
        }))?;
    } else {
        print_head(context, &header, &devices, &peaks, args.batch_size)?;
    }
    let mut lines: Vec<Vec<Line>> = vec![Vec::new(); devices.len()];
    for case in &cases {
        for (number, (device, peaks)) in devices.iter().zip(&peaks).enumerate() {
            let seconds = time(device, case.program()?, &inputs(case), budget)?;
            lines[number].push(line(case, peaks, seconds));
            if context.out.is_json() {
                context.out.json(&row_json(case, device, peaks, seconds))?;
            } else {
                let name = if number == 0 { case.name.as_str() } else { "" };
                context.out.line(&row(name, &case.op, device, peaks, seconds))?;
            }
        }
    }
    finish(args, context, &header, &devices, &peaks, &lines)?;
    Ok(0)
}

/// Totals by operator, and the chart.
fn finish(
    args: &OpsArgs,
    context: &Context,
    header: &Header,
    devices: &[Device],
    peaks: &[PeakRates],
    lines: &[Vec<Line>],
) -> Result<()> {
    for (device, lines) in devices.iter().zip(lines) {
        if context.out.is_json() {
            let kinds = profile::totals_json(lines);
            context.out.json(&json!({"event": "kinds", "device": device.name(), "kinds": kinds}))?;
        } else {
            context.out.line(&format!("\n{}: all kernels once, {}", device.name(), device.precision()))?;
            profile::totals_table(lines).iter().try_for_each(|line| context.out.line(line))?;
        }
    }
    if let (Some(path), Some(peaks), Some(lines)) = (&args.roofline, peaks.first(), lines.first()) {
        let title = format!("AlexNet's kernels at batch {}", args.batch_size);
        write_chart(path, &profile::chart(peaks, lines, title, header.notes(0)), &context.out)?;
    }
    Ok(())
}

fn line(case: &Case, peaks: &PeakRates, seconds: f64) -> Line {
    let (kind, flops, bytes) = (case.op.name(), case.op.flops(), case.op.bytes());
    let label = case.name.strip_prefix(kind).unwrap_or(&case.name).trim_matches([' ', '/', '_', ':']);
    Line {
        kind: kind.into(),
        label: label.into(),
        seconds,
        flops,
        bytes,
        bound: peaks.bound(flops, bytes),
        pipelines: Vec::new(),
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

fn row_json(case: &Case, device: &Device, peaks: &PeakRates, seconds: f64) -> Value {
    json!({
        "event": "op",
        "name": case.name,
        "kernel": case.op.name(),
        "device": device.name(),
        "ms": seconds * 1e3,
        "gflops": case.op.flops() as f64 / seconds / 1e9,
        "gigabytes_per_second": case.op.bytes() as f64 / seconds / 1e9,
        "fraction_of_roof": peaks.bound(case.op.flops(), case.op.bytes()) / seconds,
    })
}

fn print_head(
    context: &Context,
    header: &Header,
    devices: &[Device],
    peaks: &[PeakRates],
    batch: u32,
) -> Result<()> {
    for line in header.lines() {
        context.out.line(&line)?;
    }
    for (device, r) in devices.iter().zip(peaks) {
        r.lines(&device.name()).iter().try_for_each(|line| context.out.line(line))?;
    }
    context.out.line(&format!(
        "AlexNet's kernels at batch {batch}; medians; peak is the share of the nearer peak rate"
    ))?;
    context.out.line(&format!(
        "{:<44} {:<26} {:>10} {:>9} {:>8} {:>6}",
        "kernel", "device", "ms", "GFLOP/s", "GB/s", "peak"
    ))
}

fn row(name: &str, op: &Op, device: &Device, peaks: &PeakRates, seconds: f64) -> String {
    format!(
        "{name:<44} {:<26} {:>10.4} {:>9.1} {:>8.1} {:>4.0} %",
        device.name().chars().take(26).collect::<String>(),
        seconds * 1e3,
        op.flops() as f64 / seconds / 1e9,
        op.bytes() as f64 / seconds / 1e9,
        100.0 * peaks.bound(op.flops(), op.bytes()) / seconds
    )
}
