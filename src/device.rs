//! Which device to compute on, and executors for it. The only place where the CPU and the GPU meet.
//!
//! ```no_run
//! use striate::device::{Device, Wish};
//! let (device, why) = Device::open(&Wish::Auto)?;
//! println!("{}{why}", device.name());
//! # Ok::<(), striate::Error>(())
//! ```

pub mod cache;

use crate::cpu;
use crate::error::{Error, Result};
use crate::gpu::kernels::Products;
use crate::gpu::{self, Choice, Gpu, Kind, News, Restriction, Setup, Tuning};
use crate::program::{Executor, Program};
use cache::Cache;
use std::convert::Infallible;
use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;
use std::sync::Arc;

/// What the user wants to compute on; what `--device` says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Wish {
    /// The best hardware GPU, else the CPU.
    Auto,
    Cpu,
    /// The best hardware GPU, or an error.
    Gpu,
    /// An adapter's number.
    Index(usize),
    /// A part of an adapter's name.
    Name(String),
}

impl FromStr for Wish {
    type Err = Infallible;
    fn from_str(text: &str) -> std::result::Result<Self, Infallible> {
        let text = text.trim();
        Ok(match text.to_lowercase().as_str() {
            "auto" | "" => Wish::Auto,
            "cpu" => Wish::Cpu,
            "gpu" => Wish::Gpu,
            _ => text.parse().map_or_else(|_| Wish::Name(text.to_string()), Wish::Index),
        })
    }
}

/// Everything is multiplied and added in f32.
const STRICT: &str = "strict fp32";

/// Hears what a GPU has to say while it is prepared. May be called from several threads at once.
#[derive(Clone)]
pub struct Listener(pub Arc<dyn Fn(News<'_>) + Send + Sync>);

impl fmt::Debug for Listener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Listener")
    }
}

/// How a GPU is prepared. None of it changes a result.
#[derive(Clone, Debug)]
pub struct Settings {
    /// What a GPU is to be used as if it did not have; for tests and measurements.
    pub restriction: Restriction,
    /// Whether matrix products are timed to find their fastest tile.
    pub tuning: Tuning,
    /// Where compiled shaders and the fastest tiles are kept between runs; `None` for nowhere.
    pub cache: Option<PathBuf>,
    pub listener: Listener,
}

impl Default for Settings {
    /// Tuned, kept in [`cache::folder`], nothing said.
    fn default() -> Self {
        Settings {
            restriction: Restriction::default(),
            tuning: Tuning::On,
            cache: cache::folder(),
            listener: Listener(Arc::new(|_| {})),
        }
    }
}

/// An open device.
#[derive(Clone, Debug)]
pub enum Device {
    Cpu(cpu::Options),
    Gpu(Gpu),
}

impl Device {
    /// Opens what was wished for. Beside it, why it was taken, in brackets, or nothing where that is plain.
    ///
    /// `Wish::Auto` takes a hardware GPU that works, else the CPU; it never fails but where `WGPU_ADAPTER_NAME` names what
    /// is not there.
    pub fn open(wish: &Wish) -> Result<(Device, String)> {
        Device::open_with(wish, &Settings::default())
    }

    /// The same, prepared as `settings` say.
    pub fn open_with(wish: &Wish, settings: &Settings) -> Result<(Device, String)> {
        let open = |choice: Choice| {
            let host = Cache::new(settings.cache.clone(), settings.listener.clone());
            let restriction = settings.restriction.clone();
            let setup = Setup { restriction, tuning: settings.tuning, host: Arc::new(host) };
            Gpu::open_with(&choice, &setup).map(|gpu| (Device::Gpu(gpu), String::new()))
        };
        match wish {
            Wish::Cpu => Ok((Device::cpu(), " (asked for)".into())),
            Wish::Gpu => open(Choice::Gpu),
            Wish::Index(index) => open(Choice::Index(*index)),
            Wish::Name(name) => open(Choice::Name(name.clone())),
            // A name in the environment is a wish too, and one that is not met is an error.
            Wish::Auto if std::env::var("WGPU_ADAPTER_NAME").is_ok_and(|name| !name.trim().is_empty()) => {
                open(Choice::Auto)
            }
            Wish::Auto => {
                let adapters = gpu::adapters();
                if let Some(why) = no_hardware(&adapters) {
                    return Ok((Device::cpu(), format!(" ({why})")));
                }
                // A GPU that is there but does not work should not keep anybody from training.
                open(Choice::Auto).or_else(|e| Ok((Device::cpu(), format!(" (the GPU cannot be used: {e})"))))
            }
        }
    }

    /// The CPU path.
    pub fn cpu() -> Device {
        Device::Cpu(cpu::Options::default())
    }

    /// The same device; if it is the CPU, one that computes as `options` say.
    pub fn with_cpu_options(self, options: cpu::Options) -> Device {
        match self {
            Device::Cpu(_) => Device::Cpu(options),
            gpu => gpu,
        }
    }

    /// The best hardware GPU that works, else the CPU.
    pub fn best() -> Result<Device> {
        Device::open(&Wish::Auto).map(|(device, _)| device)
    }

    /// Its name, for people and reports.
    pub fn name(&self) -> String {
        match self {
            Device::Cpu(options) => {
                let how = if options.winograd { "" } else { ", direct convolutions" };
                format!("cpu, {} threads{how}", rayon::current_num_threads())
            }
            Device::Gpu(gpu) => {
                let half = match gpu.limits().products {
                    Products::Single => "",
                    Products::Half => ", half precision",
                    Products::HalfCooperative => ", half precision on matrix units",
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
                let precision = match gpu.limits().products {
                    Products::Single => "fp32",
                    Products::Half => "half",
                    Products::HalfCooperative => "half-cooperative",
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

    /// The same device with the factors of matrix products rounded to f16. Beside it, one line if the device has matrix
    /// units for that which cannot be used.
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

    /// The precision class of its convolutions and linear layers, to be named beside every speed.
    pub fn precision(&self) -> &'static str {
        match self {
            Device::Cpu(_) => STRICT,
            Device::Gpu(gpu) => match gpu.limits().products {
                Products::Single => STRICT,
                Products::Half => "half: f16 products, f32 sums",
                Products::HalfCooperative => "half: f16 products, f32 sums, on matrix units",
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

    /// Fused multiply-adds in registers; `units` make it longer, by up to a limit of the device.
    pub fn fma(&self, units: usize) -> Result<Probe> {
        Ok(match self {
            Device::Cpu(_) => Probe::Cpu(cpu::Probe::fma(units)),
            Device::Gpu(gpu) => Probe::Gpu(gpu::Probe::fma(gpu, units)?),
        })
    }

    /// A copy of `bytes`, or of as many as the device binds at once.
    pub fn copy(&self, bytes: u64) -> Result<Probe> {
        Ok(match self {
            Device::Cpu(_) => Probe::Cpu(cpu::Probe::copy(bytes)?),
            Device::Gpu(gpu) => Probe::Gpu(gpu::Probe::copy(gpu, bytes)?),
        })
    }

    /// Dispatches that do nothing, each of which waits for the one before if they are `shared`; none on the CPU path.
    pub fn noop(&self, shared: bool) -> Result<Option<Probe>> {
        Ok(match self {
            Device::Cpu(_) => None,
            Device::Gpu(gpu) => Some(Probe::Gpu(gpu::Probe::noop(gpu, shared)?)),
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

/// Work that measures what a device can do at all, with none of the operators.
#[derive(Debug)]
pub enum Probe {
    Cpu(cpu::Probe),
    Gpu(gpu::Probe),
}

impl Probe {
    /// Floating-point operations of one run.
    pub fn flops(&self) -> u64 {
        match self {
            Probe::Cpu(probe) => probe.flops(),
            Probe::Gpu(probe) => probe.flops(),
        }
    }

    /// Bytes that one run reads and writes.
    pub fn bytes(&self) -> u64 {
        match self {
            Probe::Cpu(probe) => probe.bytes(),
            Probe::Gpu(probe) => probe.bytes(),
        }
    }

    /// Does it `count` times and waits.
    pub fn run(&mut self, count: usize) -> Result<()> {
        match self {
            Probe::Cpu(probe) => {
                probe.run(count);
                Ok(())
            }
            Probe::Gpu(probe) => probe.run(count),
        }
    }
}

/// Why `auto` has to take the CPU, if it has to.
fn no_hardware(adapters: &[gpu::AdapterInfo]) -> Option<String> {
    if adapters.iter().any(|a| a.kind != Kind::Software) {
        return None;
    }
    Some(match adapters {
        [] => "no GPU found: no Vulkan, Metal or DX12 adapter answers".into(),
        [one] => format!(
            "no hardware GPU found; found only the software adapter {}, which is used when named",
            one.name
        ),
        several => format!(
            "no hardware GPU found; found only the software adapters {}, which are used when named",
            several.iter().map(|a| a.name.as_str()).collect::<Vec<_>>().join(", ")
        ),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wish_is_a_word_a_number_or_a_name() {
        let wish = |text: &str| text.parse::<Wish>().unwrap();
        assert_eq!(wish("AUTO"), Wish::Auto);
        assert_eq!(wish("cpu"), Wish::Cpu);
        assert_eq!(wish("gpu"), Wish::Gpu);
        assert_eq!(wish("2"), Wish::Index(2));
        assert_eq!(wish("llvmpipe"), Wish::Name("llvmpipe".into()));
        assert_eq!(wish("RTX 4090"), Wish::Name("RTX 4090".into()));
    }

    #[test]
    fn a_key_names_the_arithmetic_and_not_the_threads() {
        let options = cpu::Options { winograd: false };
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
