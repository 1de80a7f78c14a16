//! `striate bench device`: what a device can do at all, with none of the operators in the way, and what empty dispatches
//! cost it.

use super::super::Context;
use super::peaks::{self, PeakRates};
use super::timing::median;
use super::{BudgetArgs, DeviceArgs, Header, devices};
use crate::device::Device;
use crate::error::Result;
use clap::Args;
use serde_json::{Value, json};
use std::time::Instant;

#[derive(Args, Debug)]
#[command(after_help = "Example:\n  striate bench device --device gpu --sustain 30")]
pub(super) struct LimitsArgs {
    /// Also run multiply-adds for this many seconds, until clocks and temperature have settled
    #[arg(long, value_name = "SECONDS", default_value_t = 0.0)]
    sustain: f64,
    /// Measure only the chosen device, without the CPU path for comparison
    #[arg(long)]
    alone: bool,
    #[command(flatten)]
    device: DeviceArgs,
    #[command(flatten)]
    budget: BudgetArgs,
}

/// Multiply-adds for a long time, in operations per second.
struct Sustained {
    seconds: f64,
    /// Medians of the first and the last tenth of the time.
    first: f64,
    last: f64,
}

pub(super) fn run(args: &LimitsArgs, context: &Context) -> Result<u8> {
    let devices = devices(context, args.alone, &args.device)?;
    let header = Header::new(&devices, &args.device);
    let mut found: Vec<(&Device, PeakRates, Option<Sustained>)> = Vec::new();
    for device in &devices {
        context.out.note(&format!("measuring {}", device.name()));
        let peaks = PeakRates::measure(device, args.budget.budget())?;
        let sustained = (args.sustain > 0.0).then(|| sustain(device, args.sustain)).transpose()?;
        found.push((device, peaks, sustained));
    }
    if context.out.is_json() {
        let results: Vec<Value> = found.iter().map(to_json).collect();
        context.out.json(&json!({"event": "bench-device", "header": header.json(), "results": results}))?;
        return Ok(0);
    }
    header.lines().iter().try_for_each(|line| context.out.line(line))?;
    for (device, peaks, sustained) in &found {
        peaks.lines(&device.name()).iter().try_for_each(|line| context.out.line(line))?;
        if let Some(Sustained { seconds, first, last }) = sustained {
            context.out.line(&format!(
                "{}: multiply-adds for {seconds:.0} s: {:.1} GFLOP/s at first, {:.1} at last",
                device.name(),
                first / 1e9,
                last / 1e9
            ))?;
        }
    }
    Ok(0)
}

/// At least ten runs of [`peaks::fma`], over about this many seconds.
fn sustain(device: &Device, seconds: f64) -> Result<Sustained> {
    let mut probe = peaks::fma(device, peaks::LONG)?;
    let (began, mut rates) = (Instant::now(), Vec::new());
    while rates.len() < 10 || began.elapsed().as_secs_f64() < seconds {
        let start = Instant::now();
        probe.run(4)?;
        rates.push(4.0 * probe.flops() as f64 / start.elapsed().as_secs_f64());
    }
    let tenth = rates.len() / 10;
    let last = rates.len() - tenth;
    let seconds = began.elapsed().as_secs_f64();
    Ok(Sustained { seconds, first: median(&mut rates[..tenth].to_vec()), last: median(&mut rates[last..]) })
}

fn to_json((device, peaks, sustained): &(&Device, PeakRates, Option<Sustained>)) -> Value {
    let mut object = peaks.to_json(&device.name());
    if let Some(Sustained { seconds, first, last }) = sustained {
        object["sustained"] =
            json!({"seconds": seconds, "first_gflops": first / 1e9, "last_gflops": last / 1e9});
    }
    object
}
