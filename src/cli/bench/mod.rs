//! `striate bench`: benchmarks of training steps (`step`), single operators (`ops`), the peak rates of the device
//! (`device`) and the data pipeline (`data`), and the comparison of two results (`compare`). Every table names device,
//! driver, source commit and precision class in its header, so that results can be compared.

mod compare;
mod control;
mod data;
mod header;
mod limits;
mod ops;
pub(super) mod peaks;
pub(super) mod profile;
mod progress;
mod shapes;
mod step;
mod step_report;
mod table;
pub(super) mod timing;
mod trace_events;

use super::Context;
use super::device;
use super::output::Output;
use crate::atomic;
use crate::device::{Device, DeviceSelector, LimitOverrides};
use crate::error::{Result, printable_path};
use crate::gpu::kernels::GemmKernel;
use crate::report::Roofline;
use clap::{Args, Subcommand};
pub(super) use header::Header;
use serde_json::Value;
use std::path::Path;
use timing::Budget;

#[derive(Args, Debug)]
#[command(after_help = "Examples:\n  striate bench step -m alexnet -b 128\n  striate bench ops --device gpu")]
pub(crate) struct BenchArgs {
    #[command(subcommand)]
    what: What,
}

#[derive(Subcommand, Debug)]
enum What {
    /// Benchmark a training step, its parts, and its memory
    Step(step::StepArgs),
    /// Benchmark decoding, reading, augmenting and loading images
    Data(data::DataArgs),
    /// Benchmark every kernel at the geometries of AlexNet
    Ops(ops::OpsArgs),
    /// Measure the peak rates of the device: multiply-adds, a copy, a matrix product, empty dispatches
    Device(limits::LimitsArgs),
    /// Compare two results of bench step, ops or data, or two programs; exit with 1 if something became slower
    Compare(compare::CompareArgs),
}

#[derive(Args, Debug)]
struct BudgetArgs {
    /// Set the number of runs before the measurement
    #[arg(long, default_value_t = 3, value_name = "N")]
    warmup: usize,
    /// Set the number of measurements whose median is reported
    #[arg(long, default_value_t = 15, value_name = "N", value_parser = clap::value_parser!(u32).range(3..))]
    samples: u32,
    /// Stop a measurement after about this many seconds, once it has three samples
    #[arg(long, default_value_t = 10.0, value_name = "SECONDS")]
    seconds: f64,
}

impl BudgetArgs {
    fn budget(&self) -> Budget {
        Budget { warmup: self.warmup, samples: self.samples as usize, seconds: self.seconds.max(0.0) }
    }
}

/// Options that override the GPU path's own choices.
#[derive(Args, Debug)]
struct DeviceArgs {
    /// Keep every run-time check in the shaders
    #[arg(long)]
    checked: bool,
    /// Multiply matrices by this tile alone; no result depends on it [default: by shape and device]
    #[arg(long, value_name = "TILE")]
    tile: Option<GemmKernel>,
}

impl DeviceArgs {
    fn limits(&self) -> LimitOverrides {
        LimitOverrides { checked: self.checked, kernel: self.tile, ..LimitOverrides::default() }
    }

    /// What differs from the device's own choice.
    fn words(&self) -> Vec<String> {
        let checked = self.checked.then(|| "shaders with run-time checks".to_string());
        checked.into_iter().chain(self.tile.map(|tile| format!("tile {tile}"))).collect()
    }
}

/// Writes a chart and reports its path.
pub(super) fn write_chart(path: &Path, chart: &Roofline, out: &Output) -> Result<()> {
    let text = chart.svg();
    atomic::write(path, |out| out.write_all(text.as_bytes()))?;
    out.note(&format!("{}: {} operators", printable_path(path), chart.points.len()));
    Ok(())
}

/// Writes a trace and reports its path.
fn write_trace(path: &Path, trace: &Value, out: &Output) -> Result<()> {
    let text = trace.to_string();
    atomic::write(path, |out| out.write_all(text.as_bytes()))?;
    out.note(&format!("{}: a trace for ui.perfetto.dev or chrome://tracing", printable_path(path)));
    Ok(())
}

pub(super) fn run(args: &BenchArgs, context: &Context) -> Result<u8> {
    match &args.what {
        What::Step(args) => step::run(args, context),
        What::Data(args) => data::run(args, context),
        What::Ops(args) => ops::run(args, context),
        What::Device(args) => limits::run(args, context),
        What::Compare(args) => compare::run(args, context),
    }
}

/// The chosen device, and the CPU path beside it if the choice is a GPU.
fn devices(context: &Context, alone: bool, args: &DeviceArgs) -> Result<Vec<Device>> {
    let chosen = device::open_limited(context, args.limits())?;
    let beside = !chosen.is_cpu() && !alone && context.device != DeviceSelector::Cpu;
    Ok(if beside { vec![chosen, Device::Cpu(context.cpu)] } else { vec![chosen] })
}
