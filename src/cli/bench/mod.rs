//! `striate bench`: what a training step takes (`step`), what single operators take (`ops`), and what the way of
//! pictures to the network takes (`data`). Every table is headed by device, driver, source commit and precision class,
//! so that a number can be compared with another.

mod data;
mod ops;
mod roofs;
mod step;
mod timing;

use super::Context;
use super::device;
use crate::device::{Device, Wish};
use crate::error::Result;
use clap::{Args, Subcommand};
use serde_json::{Value, json};
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
    /// Time of a training step, its parts, and its memory
    Step(step::StepArgs),
    /// Decoding, reading, augmenting and loading pictures
    Data(data::DataArgs),
    /// Every kernel at the geometries of AlexNet
    Ops(ops::OpsArgs),
}

#[derive(Args, Debug)]
struct BudgetArgs {
    /// Runs before the measurement
    #[arg(long, default_value_t = 3, value_name = "N")]
    warmup: usize,
    /// Measurements whose median is reported
    #[arg(long, default_value_t = 15, value_name = "N", value_parser = clap::value_parser!(u32).range(3..))]
    samples: u32,
    /// Stop a measurement after about so many seconds, once there are three
    #[arg(long, default_value_t = 10.0, value_name = "SECONDS")]
    seconds: f64,
}

impl BudgetArgs {
    fn budget(&self) -> Budget {
        Budget { warmup: self.warmup, samples: self.samples as usize, seconds: self.seconds.max(0.0) }
    }
}

pub(super) fn run(args: &BenchArgs, context: &Context) -> Result<u8> {
    match &args.what {
        What::Step(args) => step::run(args, context),
        What::Data(args) => data::run(args, context),
        What::Ops(args) => ops::run(args, context),
    }
}

/// The chosen device, and the CPU path beside it if the choice is a GPU.
fn devices(context: &Context, alone: bool) -> Result<Vec<Device>> {
    let chosen = device::open(context)?;
    let beside = !chosen.is_cpu() && !alone && context.wish != Wish::Cpu;
    Ok(if beside { vec![chosen, Device::Cpu(context.cpu)] } else { vec![chosen] })
}

/// What heads a table.
struct Header {
    devices: Vec<String>,
    /// Of the first device.
    precision: &'static str,
    commit: String,
}

impl Header {
    fn new(devices: &[Device]) -> Self {
        Header {
            devices: devices.iter().map(Device::long_name).collect(),
            precision: devices.first().map_or("", Device::precision),
            commit: commit(),
        }
    }

    fn lines(&self) -> Vec<String> {
        let mut lines: Vec<String> = self.devices.iter().map(|d| format!("device: {d}")).collect();
        let version = env!("CARGO_PKG_VERSION");
        lines.push(format!("striate {version}, commit {}; precision class: {}", self.commit, self.precision));
        lines
    }

    fn json(&self) -> Value {
        json!({
            "devices": self.devices,
            "version": env!("CARGO_PKG_VERSION"),
            "commit": self.commit,
            "precision": self.precision,
        })
    }
}

/// The commit of the sources that this program was built from, with `-dirty` if they have been changed since;
/// "unknown" where they or git are gone.
fn commit() -> String {
    if let Some(commit) = option_env!("STRIATE_COMMIT") {
        return commit.to_string();
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
