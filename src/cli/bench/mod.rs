//! `striate bench`: benchmarks of training steps (`step`), single operators (`ops`), the peak rates of the device
//! (`device`) and the data pipeline (`data`). Every table names device, driver, source commit and precision class in its
//! header, so that results can be compared.

mod data;
mod limits;
mod ops;
pub(super) mod peaks;
pub(super) mod profile;
mod step;
pub(super) mod timing;

use super::Context;
use super::device;
use super::output::Output;
use crate::atomic;
use crate::device::LimitOverrides;
use crate::device::{Device, DeviceSelector};
use crate::error::{Result, printable_path};
use crate::gpu::kernels::GemmKernel;
use crate::report::Roofline;
use clap::{Args, Subcommand};
use serde_json::{Value, json};
use std::path::Path;
use std::process::Command;
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

pub(super) fn run(args: &BenchArgs, context: &Context) -> Result<u8> {
    match &args.what {
        What::Step(args) => step::run(args, context),
        What::Data(args) => data::run(args, context),
        What::Ops(args) => ops::run(args, context),
        What::Device(args) => limits::run(args, context),
    }
}

/// The chosen device, and the CPU path beside it if the choice is a GPU.
fn devices(context: &Context, alone: bool, args: &DeviceArgs) -> Result<Vec<Device>> {
    let chosen = device::open_limited(context, args.limits())?;
    let beside = !chosen.is_cpu() && !alone && context.device != DeviceSelector::Cpu;
    Ok(if beside { vec![chosen, Device::Cpu(context.cpu)] } else { vec![chosen] })
}

/// What heads a table.
pub(super) struct Header {
    devices: Vec<String>,
    /// Of the first device.
    precision: &'static str,
    commit: String,
    settings: Vec<String>,
}

impl Header {
    fn new(devices: &[Device], args: &DeviceArgs) -> Self {
        Header { settings: args.words(), ..Header::plain(devices) }
    }

    /// For devices as they are by themselves.
    pub fn plain(devices: &[Device]) -> Self {
        Header {
            devices: devices.iter().map(Device::long_name).collect(),
            precision: devices.first().map_or("", Device::precision),
            commit: commit(),
            settings: Vec::new(),
        }
    }

    /// Below the title of a chart about the device of this number.
    pub fn notes(&self, device: usize) -> Vec<String> {
        let lines = self.lines();
        let named = lines.get(device).filter(|_| device < self.devices.len());
        named.into_iter().chain(lines.get(self.devices.len()..).into_iter().flatten()).cloned().collect()
    }

    pub fn lines(&self) -> Vec<String> {
        let mut lines: Vec<String> = self.devices.iter().map(|d| format!("device: {d}")).collect();
        let version = env!("CARGO_PKG_VERSION");
        lines.push(format!("striate {version}, commit {}; precision class: {}", self.commit, self.precision));
        lines.extend((!self.settings.is_empty()).then(|| format!("with {}", self.settings.join(", "))));
        lines
    }

    pub fn json(&self) -> Value {
        json!({
            "devices": self.devices,
            "version": env!("CARGO_PKG_VERSION"),
            "commit": self.commit,
            "precision": self.precision,
            "settings": self.settings,
        })
    }
}

/// The commit of the sources that this program was built from, with `-dirty` if they have been changed since: as
/// `STRIATE_COMMIT` said when it was built or says now (for a program that was carried elsewhere), else as git says;
/// "unknown" where the sources or git are gone.
fn commit() -> String {
    let carried = std::env::var("STRIATE_COMMIT").ok().filter(|commit| !commit.is_empty());
    if let Some(commit) = option_env!("STRIATE_COMMIT").map(str::to_string).or(carried) {
        return commit;
    }
    let output = Command::new("git")
        .args([
            "-C",
            env!("CARGO_MANIFEST_DIR"),
            "describe",
            "--always",
            "--dirty",
            "--abbrev=10",
            "--exclude=*",
        ])
        .output();
    match output {
        Ok(output) if output.status.success() => String::from_utf8_lossy(&output.stdout).trim().to_string(),
        _ => "unknown".into(),
    }
}
