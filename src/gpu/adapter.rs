//! The adapters of this machine, and the selection of one.
//!
//! The environment is honoured as wgpu programs do: `WGPU_BACKEND` (a comma list such as `vulkan,dx12`) limits
//! what is listed, `WGPU_ADAPTER_NAME` (a part of a name, in any case) selects an adapter where the caller selects none,
//! and `WGPU_POWER_PREF=low` puts integrated GPUs before discrete ones. wgpu's own helper for the name is not used: it
//! panics when nothing matches.

use crate::error::{Error, Result};
use std::fmt;

/// What kind of device an adapter is, best first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Kind {
    /// A GPU with its own memory.
    Discrete,
    /// A GPU that shares the memory of the CPU.
    Integrated,
    /// A GPU of a virtual machine.
    Virtual,
    /// The driver does not say.
    Other,
    /// A software adapter, which runs on the CPU (Mesa's llvmpipe, WARP): for tests, selected only by name or number.
    Software,
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Kind::Discrete => "discrete",
            Kind::Integrated => "integrated",
            Kind::Virtual => "virtual",
            Kind::Other => "other",
            Kind::Software => "software",
        })
    }
}

impl Kind {
    /// Floating-point operations of a dispatch so that it lasts 100 ms at most, estimated for a slow member of each kind:
    /// a discrete card that achieves 1 TFLOP/s (one of a hundred dollars, ten years old), an integrated GPU that achieves
    /// 100 GFLOP/s. A desktop on the same GPU cannot draw in the meantime. Nothing waits for a software adapter: its
    /// dispatches may be as long as its submissions.
    pub fn dispatch_work(self) -> u64 {
        match self {
            Kind::Discrete => 100_000_000_000,
            Kind::Integrated | Kind::Virtual | Kind::Other => 10_000_000_000,
            Kind::Software => self.submission_work(),
        }
    }

    /// Floating-point operations after which a submission is cut. Windows resets a GPU that does not respond for 2 s; these
    /// keep a submission to about half of that on a slower member of each kind than should exist: 0.5 TFLOP/s
    /// achieved by a discrete card, 50 GFLOP/s by an integrated GPU. A software adapter has no watchdog; its budget
    /// (seconds at 10 GFLOP/s) keeps a wait interruptible.
    pub fn submission_work(self) -> u64 {
        match self {
            Kind::Discrete => 500_000_000_000,
            Kind::Integrated | Kind::Virtual | Kind::Other => 50_000_000_000,
            Kind::Software => 20_000_000_000,
        }
    }
}

impl From<wgpu::DeviceType> for Kind {
    fn from(kind: wgpu::DeviceType) -> Self {
        match kind {
            wgpu::DeviceType::DiscreteGpu => Kind::Discrete,
            wgpu::DeviceType::IntegratedGpu => Kind::Integrated,
            wgpu::DeviceType::VirtualGpu => Kind::Virtual,
            wgpu::DeviceType::Cpu => Kind::Software,
            wgpu::DeviceType::Other => Kind::Other,
        }
    }
}

/// Facts about an adapter. Limits are in bytes unless they count something.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AdapterInfo {
    /// Its number in [`adapters`], for [`AdapterSelector::Index`].
    pub index: usize,
    pub name: String,
    /// PCI number of the vendor (0x10de NVIDIA, 0x1002 AMD, 0x8086 Intel, 0x10005 Mesa).
    pub vendor: u32,
    /// `vulkan`, `metal` or `dx12`.
    pub backend: String,
    pub kind: Kind,
    /// Name and version of the driver.
    pub driver: String,
    /// Largest part of a buffer that a kernel can be given.
    pub max_binding: u64,
    /// Largest buffer.
    pub max_buffer: u64,
    /// Workgroup memory.
    pub workgroup_memory: u32,
    /// Invocations in a workgroup.
    pub invocations: u32,
    /// Storage buffers in a kernel.
    pub storage_buffers: u32,
    /// Smallest and largest number of invocations that run in lockstep.
    pub subgroup: [u32; 2],
    /// Names of the features that Striate has a use for.
    pub features: Vec<String>,
}

impl fmt::Display for AdapterInfo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {} ({}, {}", self.index, self.name, self.kind, self.backend)?;
        if !self.driver.is_empty() {
            write!(f, ", {}", self.driver)?;
        }
        f.write_str(")")
    }
}

/// Selects an adapter.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum AdapterSelector {
    /// The best GPU; never a software adapter.
    #[default]
    Best,
    /// The adapter with this number in [`adapters`].
    Index(usize),
    /// The best adapter whose name contains this, in any case.
    Name(String),
}

/// Features that are used where an adapter has them.
pub(super) const WANTED: wgpu::Features = wgpu::Features::TIMESTAMP_QUERY
    .union(wgpu::Features::TIMESTAMP_QUERY_INSIDE_ENCODERS)
    .union(wgpu::Features::TIMESTAMP_QUERY_INSIDE_PASSES)
    .union(wgpu::Features::PIPELINE_CACHE)
    .union(wgpu::Features::SUBGROUP)
    .union(wgpu::Features::SHADER_F16);

/// wgpu's flags, as the environment (`WGPU_DEBUG`, `WGPU_VALIDATION`) sets them.
pub(super) fn flags() -> wgpu::InstanceFlags {
    wgpu::InstanceFlags::default().with_env()
}

/// All adapters that can compute, in a stable order; empty if there is no driver (or no Vulkan loader).
pub fn adapters() -> Vec<AdapterInfo> {
    pollster::block_on(list()).1.into_iter().map(|(info, _)| info).collect()
}

/// The same with the adapters themselves and their instance.
pub(super) async fn list() -> (wgpu::Instance, Vec<(AdapterInfo, wgpu::Adapter)>) {
    let mut descriptor = wgpu::InstanceDescriptor::new_without_display_handle();
    descriptor.flags = flags();
    descriptor.backends = match std::env::var("WGPU_BACKEND") {
        Ok(names) => wgpu::Backends::from_comma_list(&names),
        Err(_) => wgpu::Backends::all(),
    };
    let backends = descriptor.backends;
    let instance = wgpu::Instance::new(descriptor);
    let found = instance.enumerate_adapters(backends).await;
    let computes = |a: &wgpu::Adapter| {
        a.get_downlevel_capabilities().flags.contains(wgpu::DownlevelFlags::COMPUTE_SHADERS)
    };
    let found = found.into_iter().filter(computes).enumerate();
    (instance, found.map(|(index, adapter)| (describe(index, &adapter), adapter)).collect())
}

fn describe(index: usize, adapter: &wgpu::Adapter) -> AdapterInfo {
    let (info, limits) = (adapter.get_info(), adapter.limits());
    let driver = [info.driver, info.driver_info];
    AdapterInfo {
        index,
        name: info.name,
        vendor: info.vendor,
        backend: info.backend.to_string(),
        kind: info.device_type.into(),
        driver: driver.iter().filter(|s| !s.is_empty()).cloned().collect::<Vec<_>>().join(" "),
        max_binding: limits.max_storage_buffer_binding_size,
        max_buffer: limits.max_buffer_size,
        workgroup_memory: limits.max_compute_workgroup_storage_size,
        invocations: limits.max_compute_invocations_per_workgroup,
        storage_buffers: limits.max_storage_buffers_per_shader_stage,
        subgroup: [info.subgroup_min_size, info.subgroup_max_size],
        features: (adapter.features() & WANTED).iter_names().map(|(name, _)| name.to_lowercase()).collect(),
    }
}

/// Position in `list` of the selected adapter; the error lists the adapters there are.
pub(super) fn choose(list: &[AdapterInfo], selector: &AdapterSelector) -> Result<usize> {
    let environment = |name: &str| std::env::var(name).ok().filter(|value| !value.trim().is_empty());
    let low_power = environment("WGPU_POWER_PREF").is_some_and(|p| p.trim().eq_ignore_ascii_case("low"));
    let named = match selector {
        AdapterSelector::Best => environment("WGPU_ADAPTER_NAME").map(AdapterSelector::Name),
        AdapterSelector::Index(_) | AdapterSelector::Name(_) => None,
    };
    select(list, named.as_ref().unwrap_or(selector), low_power)
}

/// The selection without the environment.
fn select(list: &[AdapterInfo], selector: &AdapterSelector, low_power: bool) -> Result<usize> {
    let rank = |info: &AdapterInfo| match info.kind {
        Kind::Discrete if low_power => Kind::Integrated,
        Kind::Integrated if low_power => Kind::Discrete,
        kind => kind,
    };
    let best = |fits: &dyn Fn(&AdapterInfo) -> bool| {
        let fitting = list.iter().enumerate().filter(|(_, info)| fits(info));
        fitting.min_by_key(|(i, info)| (rank(info), *i)).map(|(i, _)| i)
    };
    let (found, missing) = match selector {
        AdapterSelector::Best => (best(&|info| info.kind != Kind::Software), "no GPU".to_string()),
        AdapterSelector::Index(index) => {
            ((*index < list.len()).then_some(*index), format!("no adapter number {index}"))
        }
        AdapterSelector::Name(name) => {
            let wanted = name.trim().to_lowercase();
            let found = best(&|info| info.name.to_lowercase().contains(&wanted));
            (found, format!("no adapter with \"{}\" in its name", name.trim()))
        }
    };
    found.ok_or_else(|| {
        let names: Vec<String> = list.iter().map(|info| info.to_string()).collect();
        let there = if names.is_empty() { "none".to_string() } else { names.join("; ") };
        let backend =
            std::env::var("WGPU_BACKEND").map(|b| format!(", WGPU_BACKEND={b}")).unwrap_or_default();
        Error::Device(format!("{missing}; adapters here: {there}{backend}; the device cpu is always there"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn info(index: usize, name: &str, kind: Kind) -> AdapterInfo {
        AdapterInfo {
            index,
            name: name.into(),
            vendor: 0,
            backend: "vulkan".into(),
            kind,
            driver: String::new(),
            max_binding: 1 << 27,
            max_buffer: 1 << 28,
            workgroup_memory: 16384,
            invocations: 256,
            storage_buffers: 8,
            subgroup: [32, 32],
            features: Vec::new(),
        }
    }

    fn machine() -> Vec<AdapterInfo> {
        vec![
            info(0, "llvmpipe (LLVM 15)", Kind::Software),
            info(1, "Iris Xe", Kind::Integrated),
            info(2, "GeForce RTX", Kind::Discrete),
        ]
    }

    #[test]
    fn discrete_then_integrated_and_never_software() {
        let list = machine();
        assert_eq!(select(&list, &AdapterSelector::Best, false).unwrap(), 2);
        assert_eq!(select(&list, &AdapterSelector::Best, true).unwrap(), 1);
        assert_eq!(select(&list[..2], &AdapterSelector::Best, false).unwrap(), 1);
        assert!(matches!(select(&list[..1], &AdapterSelector::Best, false), Err(Error::Device(_))));
    }

    #[test]
    fn by_name_and_number() {
        let list = machine();
        assert_eq!(select(&list, &AdapterSelector::Name(" LLVMpipe".into()), false).unwrap(), 0);
        assert_eq!(select(&list, &AdapterSelector::Index(0), false).unwrap(), 0);
        let absent = select(&list, &AdapterSelector::Name("radeon".into()), false).unwrap_err().to_string();
        assert!(
            absent.contains("radeon") && absent.contains("2: GeForce RTX (discrete, vulkan)"),
            "{absent}"
        );
        let beyond = select(&list, &AdapterSelector::Index(3), false).unwrap_err().to_string();
        assert!(beyond.contains("number 3") && !beyond.contains('\n'), "{beyond}");
        let nothing = select(&[], &AdapterSelector::Best, false).unwrap_err().to_string();
        assert!(nothing.contains("adapters here: none"), "{nothing}");
    }
}
