//! What heads every result: the device, its driver, the build and the precision class.

use super::DeviceArgs;
use super::table::wrapped;
use crate::device::Device;
use serde_json::{Value, json};
use std::process::Command;

/// The version of the JSON of `bench` (`docs/measuring.md`); it grows when a name changes its meaning or goes.
const SCHEMA: u32 = 1;

/// What heads a table.
pub(in crate::cli) struct Header {
    devices: Vec<String>,
    /// What they compute with ([`Device::key`]).
    keys: Vec<String>,
    /// Empty for the CPU path.
    drivers: Vec<String>,
    /// Of the first device.
    precision: &'static str,
    commit: String,
    settings: Vec<String>,
}

impl Header {
    pub(super) fn new(devices: &[Device], args: &DeviceArgs) -> Self {
        Header { settings: args.words(), ..Header::plain(devices) }
    }

    /// For devices as they are by themselves.
    pub fn plain(devices: &[Device]) -> Self {
        Header {
            devices: devices.iter().map(Device::long_name).collect(),
            keys: devices.iter().map(Device::key).collect(),
            drivers: devices.iter().map(driver).collect(),
            precision: devices.first().map_or("", Device::precision),
            commit: commit(),
            settings: Vec::new(),
        }
    }

    /// Below the title of a chart about the device of this number.
    pub fn notes(&self, device: usize) -> Vec<String> {
        let named = self.devices.get(device).map(|name| format!("device: {name}"));
        named.into_iter().chain(self.build()).collect()
    }

    pub fn lines(&self) -> Vec<String> {
        let devices = self.devices.iter().map(|name| format!("device: {name}"));
        devices.chain(self.build()).flat_map(|line| wrapped(&line)).collect()
    }

    /// The lines that are about no device.
    fn build(&self) -> Vec<String> {
        let version = env!("CARGO_PKG_VERSION");
        let mut lines =
            vec![format!("striate {version}, commit {}; precision class: {}", self.commit, self.precision)];
        lines.extend((!self.settings.is_empty()).then(|| format!("with {}", self.settings.join(", "))));
        lines
    }

    pub fn json(&self) -> Value {
        json!({
            "schema": SCHEMA,
            "devices": self.devices,
            "keys": self.keys,
            "drivers": self.drivers,
            "processor": processor(),
            "threads": rayon::current_num_threads(),
            "system": format!("{} {}", std::env::consts::OS, std::env::consts::ARCH),
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

/// Name and version of the driver of a GPU; nothing for the CPU path.
fn driver(device: &Device) -> String {
    match device {
        Device::Cpu(_) => String::new(),
        Device::Gpu(gpu) => gpu.info().driver.clone(),
    }
}

/// The processor as Linux names it, elsewhere its architecture.
fn processor() -> String {
    let named = std::fs::read_to_string("/proc/cpuinfo").ok().and_then(|text| {
        let line = text.lines().find(|line| line.starts_with("model name"))?;
        line.split_once(':').map(|(_, name)| name.trim().to_string())
    });
    named.unwrap_or_else(|| std::env::consts::ARCH.into())
}
