//! `striate bench ops`: every kernel at AlexNet's own geometries, against what this device was measured to be able to
//! do at all.

use super::super::Context;
use super::super::recipe::MOST_ROWS;
use super::roofs::{Roofs, time};
use super::{BudgetArgs, Header, devices};
use crate::device::Device;
use crate::error::{Error, Result};
use crate::ops::Op;
use crate::verify::cases::{Case, alexnet_cases};
use clap::Args;
use serde_json::{Value, json};

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
        roofs.push(Roofs::measure(device, budget)?);
    }
    if context.out.is_json() {
        context.out.json(&json!({
            "event": "bench-ops",
            "header": header.json(),
            "batch_size": args.batch_size,
            "roofs": devices.iter().zip(&roofs).map(|(d, r)| r.to_json(d)).collect::<Vec<_>>(),
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

fn row_json(case: &Case, device: &Device, roofs: &Roofs, seconds: f64) -> Value {
    json!({
        "event": "op",
        "name": case.name,
        "kernel": case.op.name(),
        "device": device.name(),
        "ms": seconds * 1e3,
        "gflops": case.op.flops() as f64 / seconds / 1e9,
        "gigabytes_per_second": case.op.bytes() as f64 / seconds / 1e9,
        "fraction_of_roof": roofs.bound(case.op.flops(), case.op.bytes()) / seconds,
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
        context.out.line(&r.line(device))?;
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
        100.0 * roofs.bound(op.flops(), op.bytes()) / seconds
    )
}
