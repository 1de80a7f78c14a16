//! Opens a device and makes executors for it. The only place where the CPU and the GPU meet.
//!
//! ```no_run
//! use striate::device::{Device, DeviceSelector};
//! let (device, why) = Device::open(&DeviceSelector::Auto)?;
//! println!("{}{why}", device.name());
//! # Ok::<(), striate::Error>(())
//! ```

pub mod cache;
mod probe;

use crate::cpu;
use crate::error::{Error, Result};
use crate::gpu::kernels::Precision;
use crate::gpu::{self, AdapterSelector, Gpu, Kind, Tuning};
pub use crate::gpu::{DeviceOptions, LimitOverrides, Progress, ProgressListener};
use crate::program::{Executor, Program};
use cache::FolderCache;
pub use probe::DeviceProbe;
use std::convert::Infallible;
use std::str::FromStr;
use std::sync::Arc;

/// Selects a device, as `--device` does.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum DeviceSelector {
    /// The best hardware GPU, else the CPU.
    #[default]
    Auto,
    Cpu,
    /// The best hardware GPU, or an error.
    Gpu,
    /// An adapter's number.
    Index(usize),
    /// A part of an adapter's name.
    Name(String),
}

impl FromStr for DeviceSelector {
    type Err = Infallible;
    fn from_str(text: &str) -> std::result::Result<Self, Infallible> {
        let text = text.trim();
        Ok(match text.to_lowercase().as_str() {
            "auto" | "" => DeviceSelector::Auto,
            "cpu" => DeviceSelector::Cpu,
            "gpu" => DeviceSelector::Gpu,
            _ => text.parse().map_or_else(|_| DeviceSelector::Name(text.to_string()), DeviceSelector::Index),
        })
    }
}

/// All products and sums are f32.
const STRICT: &str = "strict fp32";

/// Options for training: matrix products are tuned, and compiled shaders and the fastest kernels are kept in
/// [`cache::folder`]. Progress and warnings go to `progress`.
pub fn options(progress: ProgressListener) -> DeviceOptions {
    let cache = FolderCache::new(cache::folder(), progress.clone());
    DeviceOptions::default().with_tuning(Tuning::On).with_cache(Arc::new(cache)).with_progress(progress)
}

/// An open device.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Device {
    Cpu(cpu::CpuOptions),
    Gpu(Gpu),
}

impl Device {
    /// Opens a device with the [`options`] for training. The text beside it says in brackets why this device was chosen; it
    /// is empty where the selector names the device.
    ///
    /// `DeviceSelector::Auto` opens a hardware GPU that works, else the CPU; it fails only where `WGPU_ADAPTER_NAME` names
    /// an adapter that does not exist.
    pub fn open(selector: &DeviceSelector) -> Result<(Device, String)> {
        Device::open_with(selector, &options(ProgressListener::default()))
    }

    /// The same with options for a GPU.
    pub fn open_with(selector: &DeviceSelector, options: &DeviceOptions) -> Result<(Device, String)> {
        let open = |adapter: AdapterSelector| {
            Gpu::open_with(&adapter, options).map(|gpu| (Device::Gpu(gpu), String::new()))
        };
        match selector {
            DeviceSelector::Cpu => Ok((Device::cpu(), String::new())),
            DeviceSelector::Gpu => open(AdapterSelector::Best),
            DeviceSelector::Index(index) => open(AdapterSelector::Index(*index)),
            DeviceSelector::Name(name) => open(AdapterSelector::Name(name.clone())),
            // A name in the environment selects too, and one that matches nothing is an error.
            DeviceSelector::Auto
                if std::env::var("WGPU_ADAPTER_NAME").is_ok_and(|name| !name.trim().is_empty()) =>
            {
                open(AdapterSelector::Best)
            }
            DeviceSelector::Auto => {
                let adapters = gpu::adapters();
                if let Some(why) = no_hardware(&adapters) {
                    return Ok((Device::cpu(), format!(" ({why})")));
                }
                // A GPU that does not work should not prevent training.
                open(AdapterSelector::Best)
                    .or_else(|e| Ok((Device::cpu(), format!(" (the GPU cannot be used: {e})"))))
            }
        }
    }

    /// The CPU path.
    pub fn cpu() -> Device {
        Device::Cpu(cpu::CpuOptions::default())
    }

    /// The same device; the CPU path computes with these options.
    pub fn with_cpu_options(self, options: cpu::CpuOptions) -> Device {
        match self {
            Device::Cpu(_) => Device::Cpu(options),
            gpu => gpu,
        }
    }

    /// The best hardware GPU that works, else the CPU.
    pub fn best() -> Result<Device> {
        Device::open(&DeviceSelector::Auto).map(|(device, _)| device)
    }

    /// Its name in messages and reports.
    pub fn name(&self) -> String {
        match self {
            Device::Cpu(options) => {
                let how = if options.winograd { "" } else { ", direct convolutions" };
                let threads = rayon::current_num_threads();
                let plural = if threads == 1 { "" } else { "s" };
                format!("cpu, {threads} thread{plural}{how}")
            }
            Device::Gpu(gpu) => {
                let half = match gpu.limits().precision {
                    Precision::Single => "",
                    Precision::Half => ", half precision",
                    Precision::HalfCooperative => ", half precision on matrix units",
                };
                format!("{}, {}{half}", gpu.info().name, gpu.info().backend)
            }
        }
    }

    /// A stable identifier of the arithmetic: two devices with the same key compute the same bits. For a GPU it is
    /// `gpu/<backend>/<adapter>/<precision class>`; for the CPU path `cpu/<architecture>/<SIMD level>/<convolution>`,
    /// without the number of threads, which changes no bit. Unlike [`Device::name`], it may be stored and compared.
    pub fn key(&self) -> String {
        match self {
            Device::Cpu(options) => {
                let convolution = if options.winograd { "winograd" } else { "direct" };
                format!("cpu/{}/{}/{convolution}", std::env::consts::ARCH, cpu::simd_level())
            }
            Device::Gpu(gpu) => {
                let precision = match gpu.limits().precision {
                    Precision::Single => "fp32",
                    Precision::Half => "half",
                    Precision::HalfCooperative => "half-cooperative",
                };
                format!("gpu/{}/{}/{precision}", gpu.info().backend, gpu.info().name)
            }
        }
    }

    /// Name and driver.
    pub fn long_name(&self) -> String {
        match self {
            Device::Cpu(_) => format!("{} ({})", self.name(), std::env::consts::ARCH),
            Device::Gpu(gpu) => gpu.info().to_string(),
        }
    }

    /// Whether its buffers lie in the main memory of this machine.
    pub fn uses_main_memory(&self) -> bool {
        match self {
            Device::Cpu(_) => true,
            Device::Gpu(gpu) => matches!(gpu.info().kind, Kind::Software | Kind::Integrated),
        }
    }

    /// Whether it is a software adapter: a GPU that the CPU computes.
    pub fn is_software(&self) -> bool {
        matches!(self, Device::Gpu(gpu) if gpu.info().kind == Kind::Software)
    }

    /// The same device with the operands of matrix products rounded to f16. The text beside it is one line if the device
    /// has matrix units for that which cannot be used.
    ///
    /// # Errors
    /// `Error::Device` if it has no f16; the CPU path has none.
    pub fn half(&self) -> Result<(Device, Option<String>)> {
        match self {
            Device::Cpu(_) => Err(Error::Device(format!(
                "{}: half precision: expected a GPU, found the CPU path, which computes in strict fp32",
                self.name()
            ))),
            Device::Gpu(gpu) => gpu.half().map(|(gpu, why)| (Device::Gpu(gpu), why)),
        }
    }

    /// The precision class of its convolutions and linear layers, which reports print beside every speed.
    pub fn precision(&self) -> &'static str {
        match self {
            Device::Cpu(_) => STRICT,
            Device::Gpu(gpu) => match gpu.limits().precision {
                Precision::Single => STRICT,
                Precision::Half => "half: f16 products, f32 sums",
                Precision::HalfCooperative => "half: f16 products, f32 sums, on matrix units",
            },
        }
    }

    /// Whether it is the CPU path.
    pub fn is_cpu(&self) -> bool {
        matches!(self, Device::Cpu(_))
    }

    /// An error unless its executors can time their steps.
    pub fn check_clock(&self) -> Result<()> {
        match self {
            Device::Cpu(_) => Ok(()),
            Device::Gpu(gpu) => gpu.check_clock(),
        }
    }

    /// A probe of fused multiply-adds in registers, of a length of `units`, up to a limit of the device.
    pub fn fma(&self, units: usize) -> Result<DeviceProbe> {
        Ok(match self {
            Device::Cpu(_) => DeviceProbe::Cpu(cpu::Probe::fma(units)),
            Device::Gpu(gpu) => DeviceProbe::Gpu(gpu::Probe::fma(gpu, units)?),
        })
    }

    /// A probe that copies `bytes`, or as many as the device binds at once.
    pub fn copy(&self, bytes: u64) -> Result<DeviceProbe> {
        Ok(match self {
            Device::Cpu(_) => DeviceProbe::Cpu(cpu::Probe::copy(bytes)?),
            Device::Gpu(gpu) => DeviceProbe::Gpu(gpu::Probe::copy(gpu, bytes)?),
        })
    }

    /// A probe of empty dispatches, each of which waits for the one before if they are `shared`; `None` on the CPU path.
    pub fn noop(&self, shared: bool) -> Result<Option<DeviceProbe>> {
        Ok(match self {
            Device::Cpu(_) => None,
            Device::Gpu(gpu) => Some(DeviceProbe::Gpu(gpu::Probe::noop(gpu, shared)?)),
        })
    }

    /// An executor of `program`.
    pub fn executor(&self, program: Arc<Program>) -> Result<Box<dyn Executor>> {
        Ok(match self {
            Device::Cpu(options) => Box::new(cpu::Executor::with_options(program, *options)?),
            Device::Gpu(gpu) => Box::new(gpu::Executor::new(gpu, program)?),
        })
    }

    /// An executor whose recording alone can be timed; `None` on the CPU, where nothing is recorded.
    pub fn recorder(&self, program: Arc<Program>) -> Result<Option<gpu::Executor>> {
        match self {
            Device::Cpu(_) => Ok(None),
            Device::Gpu(gpu) => gpu::Executor::new(gpu, program).map(Some),
        }
    }
}

/// Why `auto` selects the CPU, if it has to.
fn no_hardware(adapters: &[gpu::AdapterInfo]) -> Option<String> {
    if adapters.iter().any(|a| a.kind != Kind::Software) {
        return None;
    }
    Some(match adapters {
        [] => "no GPU found: no Vulkan, Metal or DX12 adapter answers".into(),
        // Its first word selects it; the rest names versions.
        [first, ..] => {
            let name = first.name.split([' ', '(']).next().unwrap_or_default().to_lowercase();
            format!("no GPU; device {name} uses the software adapter")
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_selector_is_a_word_a_number_or_a_name() {
        let selector = |text: &str| text.parse::<DeviceSelector>().unwrap();
        assert_eq!(selector("AUTO"), DeviceSelector::Auto);
        assert_eq!(selector("cpu"), DeviceSelector::Cpu);
        assert_eq!(selector("gpu"), DeviceSelector::Gpu);
        assert_eq!(selector("2"), DeviceSelector::Index(2));
        assert_eq!(selector("llvmpipe"), DeviceSelector::Name("llvmpipe".into()));
        assert_eq!(selector("RTX 4090"), DeviceSelector::Name("RTX 4090".into()));
    }

    #[test]
    fn a_key_names_the_arithmetic_and_not_the_threads() {
        let options = cpu::CpuOptions { winograd: false };
        let [winograd, direct] = [Device::cpu(), Device::cpu().with_cpu_options(options)].map(|d| d.key());
        assert!(winograd.starts_with("cpu/") && winograd.ends_with("/winograd"), "{winograd}");
        assert_eq!(direct, winograd.replace("winograd", "direct"));
        let pool = rayon::ThreadPoolBuilder::new().num_threads(3).build().unwrap();
        assert_eq!(pool.install(|| Device::cpu().key()), winograd);
    }

    #[test]
    fn without_any_adapter_the_reason_says_so() {
        assert!(no_hardware(&[]).unwrap().starts_with("no GPU found"));
    }
}
