//! An open device: what the adapter allows, its queue, its pipelines and its faults.

use super::adapter::{self, AdapterInfo, Choice, Kind};
use super::binaries::Binaries;
use super::fault::{Fault, caught, one_line};
use super::host::{Host, NoHost};
use super::kernels::{Limits, MAX_ROUNDS, Products, Tile};
use super::pipeline::Pipelines;
use super::tune::{Tuner, Tuning};
use crate::error::{Error, Result};
use std::sync::Arc;

/// A device to run programs on. A clone is another handle of the same device.
#[derive(Clone, Debug)]
pub struct Gpu(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    instance: wgpu::Instance,
    device: wgpu::Device,
    queue: wgpu::Queue,
    info: AdapterInfo,
    limits: Limits,
    restriction: Restriction,
    submission: u64,
    pipelines: Pipelines,
    tuner: Tuner,
    host: Arc<dyn Host>,
    fault: Arc<Fault>,
}

impl Drop for Inner {
    fn drop(&mut self) {
        // What a lost device would say of them is not to be relied on.
        if self.fault.check().is_ok() {
            self.pipelines.save(true, self.host.as_ref());
        }
    }
}

/// How to open a device.
#[derive(Clone, Debug)]
pub struct Setup {
    /// What not to use of what the adapter offers.
    pub restriction: Restriction,
    /// Whether matrix products are timed to find their fastest tile.
    pub tuning: Tuning,
    /// What keeps files between runs, and hears what goes on.
    pub host: Arc<dyn Host>,
}

impl Default for Setup {
    /// All that is there, nothing timed, nothing kept.
    fn default() -> Self {
        Setup { restriction: Restriction::default(), tuning: Tuning::Off, host: Arc::new(NoHost) }
    }
}

/// Lowers what an adapter offers, so that a test can see that a lesser one would do. The device itself then
/// refuses what is beyond (but for workgroup memory, which wgpu 30 does not add up: `tests/gpu/tuning.rs` does). `None`
/// leaves a limit alone.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Restriction {
    /// Largest binding in bytes.
    pub binding: Option<u64>,
    /// Largest buffer in bytes.
    pub buffer: Option<u64>,
    /// Storage buffers in a kernel.
    pub storage_buffers: Option<u32>,
    /// Workgroup memory in bytes.
    pub workgroup_memory: Option<u32>,
    /// Invocations in a workgroup.
    pub invocations: Option<u32>,
    /// Alignment of bindings in bytes (raised, not lowered).
    pub alignment: Option<u32>,
    /// Largest number of workgroups in one dimension.
    pub workgroups: Option<u32>,
    /// Floating-point operations of one dispatch.
    pub work: Option<u64>,
    /// Floating-point operations of one submission.
    pub submission: Option<u64>,
    /// The shape of the matrix product.
    pub tile: Option<Tile>,
    /// Run every step of a program by itself, each tensor in a buffer of its own.
    pub apart: bool,
    /// Keep every run-time check in the shaders.
    pub checked: bool,
}

impl Restriction {
    /// What every implementation of WebGPU offers at least (the defaults of the standard).
    pub fn minimal() -> Self {
        let least = wgpu::Limits::default();
        Restriction {
            binding: Some(least.max_storage_buffer_binding_size),
            buffer: Some(least.max_buffer_size),
            storage_buffers: Some(least.max_storage_buffers_per_shader_stage),
            workgroup_memory: Some(least.max_compute_workgroup_storage_size),
            invocations: Some(least.max_compute_invocations_per_workgroup),
            alignment: Some(least.min_storage_buffer_offset_alignment),
            workgroups: Some(least.max_compute_workgroups_per_dimension),
            ..Restriction::default()
        }
    }

    fn apply(&self, limits: &mut wgpu::Limits) {
        fn lower<T: Ord + Copy>(limit: &mut T, to: Option<T>) {
            *limit = to.map_or(*limit, |to| to.min(*limit));
        }
        lower(&mut limits.max_storage_buffer_binding_size, self.binding);
        lower(&mut limits.max_buffer_size, self.buffer);
        lower(&mut limits.max_storage_buffers_per_shader_stage, self.storage_buffers);
        lower(&mut limits.max_compute_workgroup_storage_size, self.workgroup_memory);
        lower(&mut limits.max_compute_invocations_per_workgroup, self.invocations);
        lower(&mut limits.max_compute_workgroups_per_dimension, self.workgroups);
        for axis in [
            &mut limits.max_compute_workgroup_size_x,
            &mut limits.max_compute_workgroup_size_y,
            &mut limits.max_compute_workgroup_size_z,
        ] {
            lower(axis, self.invocations);
        }
        if let Some(alignment) = self.alignment {
            let least = &mut limits.min_storage_buffer_offset_alignment;
            *least = alignment.max(*least);
        }
    }
}

impl Gpu {
    /// Opens an adapter, with all it offers; nothing is timed and nothing kept.
    ///
    /// # Errors
    /// `Error::Device` if nothing fits `choice` (the message lists what is there) or the adapter refuses.
    pub fn open(choice: &Choice) -> Result<Gpu> {
        Gpu::open_with(choice, &Setup::default())
    }

    /// Opens an adapter as if it offered less; see [`Restriction`].
    pub fn open_restricted(choice: &Choice, restriction: &Restriction) -> Result<Gpu> {
        Gpu::open_with(choice, &Setup { restriction: restriction.clone(), ..Setup::default() })
    }

    /// Opens an adapter; see [`Setup`].
    pub fn open_with(choice: &Choice, setup: &Setup) -> Result<Gpu> {
        pollster::block_on(Gpu::request(choice, setup))
    }

    /// The same without blocking.
    pub async fn request(choice: &Choice, setup: &Setup) -> Result<Gpu> {
        let (instance, found) = adapter::list().await;
        let (mut infos, adapters): (Vec<AdapterInfo>, Vec<wgpu::Adapter>) = found.into_iter().unzip();
        let index = adapter::choose(&infos, choice)?;
        let features = adapters[index].features() & adapter::WANTED;
        let none = wgpu::ExperimentalFeatures::disabled();
        Gpu::on(instance, infos.swap_remove(index), &adapters[index], setup, features, none).await
    }

    /// A device of `adapter` with these features.
    pub(super) async fn on(
        instance: wgpu::Instance,
        info: AdapterInfo,
        adapter: &wgpu::Adapter,
        setup: &Setup,
        required_features: wgpu::Features,
        experimental_features: wgpu::ExperimentalFeatures,
    ) -> Result<Gpu> {
        let Setup { restriction, tuning, host } = setup;
        let mut required_limits = adapter.limits();
        restriction.apply(&mut required_limits);
        let subgroups = adapter.features().contains(wgpu::Features::SUBGROUP);
        let limits = kernel_limits(&info, subgroups, &required_limits, restriction);
        check_tile(&info, subgroups, &limits)?;
        let descriptor = wgpu::DeviceDescriptor {
            label: Some("striate"),
            required_features,
            required_limits,
            experimental_features,
            ..Default::default()
        };
        let (device, queue) = adapter
            .request_device(&descriptor)
            .await
            .map_err(|e| Error::Device(format!("{}: {}", info.name, one_line(&e.to_string()))))?;
        let fault = Arc::new(Fault::default());
        let (uncaptured, lost) = (fault.clone(), fault.clone());
        device.on_uncaptured_error(Arc::new(move |error| uncaptured.uncaptured(error)));
        device.set_device_lost_callback(move |reason, message| lost.lost(reason, &message));
        let facts = adapter.get_info();
        // With checks a shader is another one: its times are kept from those without.
        let tuning = if restriction.checked { Tuning::Off } else { *tuning };
        let binaries = Binaries::open(&device, &facts, host.as_ref());
        Ok(Gpu(Arc::new(Inner {
            restriction: restriction.clone(),
            submission: restriction.submission.unwrap_or(info.kind.submission_work()),
            pipelines: Pipelines::new(restriction.checked, binaries),
            tuner: Tuner::open(tuning, &info, facts.device, &limits, host.as_ref()),
            host: host.clone(),
            instance,
            device,
            queue,
            info,
            limits,
            fault,
        })))
    }

    /// The same device with other products, nothing timed. Pipelines are its own and not kept.
    pub(super) fn with_products(&self, products: Products) -> Gpu {
        let inner = &*self.0;
        let limits = Limits { products, ..inner.limits };
        Gpu(Arc::new(Inner {
            instance: inner.instance.clone(),
            device: inner.device.clone(),
            queue: inner.queue.clone(),
            info: inner.info.clone(),
            limits,
            restriction: inner.restriction.clone(),
            submission: inner.submission,
            pipelines: inner.pipelines.apart(),
            tuner: Tuner::open(Tuning::Off, &inner.info, 0, &limits, &NoHost),
            host: inner.host.clone(),
            fault: inner.fault.clone(),
        }))
    }

    pub(super) fn restriction(&self) -> &Restriction {
        &self.0.restriction
    }

    /// Facts about the adapter behind this device (what it offers, whether or not it was restricted).
    pub fn info(&self) -> &AdapterInfo {
        &self.0.info
    }

    /// What kernels on this device have to respect.
    pub fn limits(&self) -> &Limits {
        &self.0.limits
    }

    /// How many pipelines this device has compiled; executors share them.
    pub fn pipeline_count(&self) -> usize {
        self.0.pipelines.count()
    }

    /// The first error that this device reported outside of a call, if there was one.
    pub fn check(&self) -> Result<()> {
        self.0.fault.check()
    }

    /// Takes the device away, as if it had been lost, from every executor on it: for tests. What it was given before is still
    /// done; nothing can be read any more.
    pub fn lose(&self) {
        self.0.fault.lose("it was taken away");
        self.0.device.destroy();
    }

    /// How many objects of each kind there are on this device, as text: for tests that nothing is left behind. `None` where the
    /// back end does not say.
    pub fn objects(&self) -> Option<String> {
        let report = self.0.instance.generate_report()?.hub;
        let kinds = [
            ("shaders", report.shader_modules),
            ("bind groups", report.bind_groups),
            ("encoders", report.command_encoders),
            ("commands", report.command_buffers),
            ("pipelines", report.compute_pipelines),
            ("queries", report.query_sets),
            ("buffers", report.buffers),
            ("passes", report.compute_passes),
        ];
        Some(kinds.map(|(name, kind)| format!("{} {name}", kind.num_allocated)).join(", "))
    }

    /// Lets the device go on until what `until` names is done, and delivers what it has.
    pub(super) fn poll(&self, until: wgpu::PollType) -> Result<()> {
        let polled = caught(|| self.0.device.poll(until));
        if polled.is_none() {
            self.0.fault.lose("waiting for it failed");
        }
        self.check()?;
        match polled {
            Some(Err(e)) => Err(Error::Device(format!("waiting for the device: {e}"))),
            _ => Ok(()),
        }
    }

    /// What is to be answered where `error` was found: the loss of the device, if that is why.
    pub(super) fn blame(&self, error: Error) -> Error {
        self.0.fault.blame(error)
    }

    pub(super) fn device(&self) -> &wgpu::Device {
        &self.0.device
    }

    pub(super) fn queue(&self) -> &wgpu::Queue {
        &self.0.queue
    }

    pub(super) fn pipelines(&self) -> &Pipelines {
        &self.0.pipelines
    }

    pub(super) fn tuner(&self) -> &Tuner {
        &self.0.tuner
    }

    pub(super) fn host(&self) -> &dyn Host {
        self.0.host.as_ref()
    }

    /// Floating-point operations after which a submission is cut.
    pub(super) fn submission(&self) -> u64 {
        self.0.submission
    }
}

/// An error if the adapter cannot have the tile of `limits`. wgpu sees to invocations, but neither to the sum of a
/// kernel's workgroup memory (a software adapter has what it takes) nor to the size of a subgroup.
fn check_tile(info: &AdapterInfo, subgroups: bool, limits: &Limits) -> Result<()> {
    match limits.tile {
        Tile::Subgroup if !subgroups || info.subgroup[0] < SUBGROUP => Err(Error::Device(format!(
            "{}: tile subgroup: expected subgroups of at least {SUBGROUP}, found {}",
            info.name, info.subgroup[0]
        ))),
        Tile::Exactly(block) if info.kind != Kind::Software && block.needs()[0] > limits.workgroup_memory => {
            Err(Error::Device(format!(
                "{}: tile {}: expected {} bytes of workgroup memory, found {}",
                info.name,
                block.name(),
                block.needs()[0],
                limits.workgroup_memory
            )))
        }
        _ => Ok(()),
    }
}

/// Invocations of a workgroup of `gemm_subgroup.wgsl`, which takes them for one subgroup, or a part of one.
const SUBGROUP: u32 = 8;

fn kernel_limits(
    info: &AdapterInfo,
    subgroups: bool,
    limits: &wgpu::Limits,
    restriction: &Restriction,
) -> Limits {
    let tile = match info.kind {
        Kind::Software if subgroups && info.subgroup[0] >= SUBGROUP => Tile::Subgroup,
        Kind::Software => Tile::Registers,
        _ => Tile::Shared,
    };
    Limits {
        binding: (limits.max_storage_buffer_binding_size / 4) as usize,
        buffer: (limits.max_buffer_size / 4) as usize,
        align: (limits.min_storage_buffer_offset_alignment as usize).div_ceil(4).max(1),
        groups: limits.max_compute_workgroups_per_dimension,
        work: restriction.work.unwrap_or(info.kind.dispatch_work()),
        rounds: if info.kind == Kind::Software { MAX_ROUNDS } else { u64::MAX },
        workgroup_memory: limits.max_compute_workgroup_storage_size,
        invocations: limits.max_compute_invocations_per_workgroup,
        tile: restriction.tile.unwrap_or(tile),
        products: Products::Single,
        fuse: !restriction.apart,
    }
}
