//! An open device: what the adapter allows, its queue, its pipelines and its faults.

use super::adapter::{self, AdapterInfo, Choice, Kind};
use super::fault::{Fault, one_line};
use super::kernels::{Limits, Products, Tile};
use super::pipeline::Pipelines;
use crate::error::{Error, Result};
use std::sync::Arc;

/// A device to run programs on. A clone is another handle of the same device.
#[derive(Clone, Debug)]
pub struct Gpu(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    device: wgpu::Device,
    queue: wgpu::Queue,
    info: AdapterInfo,
    limits: Limits,
    restriction: Restriction,
    submission: u64,
    pipelines: Pipelines,
    fault: Arc<Fault>,
}

/// Lowers what an adapter offers, so that a test can see that a lesser one would do. The device itself then
/// refuses what is beyond. `None` leaves a limit alone.
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
    /// Opens an adapter, with all it offers.
    ///
    /// # Errors
    /// `Error::Device` if nothing fits `choice` (the message lists what is there) or the adapter refuses.
    pub fn open(choice: &Choice) -> Result<Gpu> {
        Gpu::open_restricted(choice, &Restriction::default())
    }

    /// Opens an adapter as if it offered less; see [`Restriction`].
    pub fn open_restricted(choice: &Choice, restriction: &Restriction) -> Result<Gpu> {
        pollster::block_on(Gpu::request(choice, restriction))
    }

    /// The same without blocking.
    pub async fn request(choice: &Choice, restriction: &Restriction) -> Result<Gpu> {
        let found = adapter::list().await;
        let (mut infos, adapters): (Vec<AdapterInfo>, Vec<wgpu::Adapter>) = found.into_iter().unzip();
        let index = adapter::choose(&infos, choice)?;
        let features = adapters[index].features() & adapter::WANTED;
        let none = wgpu::ExperimentalFeatures::disabled();
        Gpu::on(infos.swap_remove(index), &adapters[index], restriction, features, none).await
    }

    /// A device of `adapter` with these features.
    pub(super) async fn on(
        info: AdapterInfo,
        adapter: &wgpu::Adapter,
        restriction: &Restriction,
        required_features: wgpu::Features,
        experimental_features: wgpu::ExperimentalFeatures,
    ) -> Result<Gpu> {
        let mut required_limits = adapter.limits();
        restriction.apply(&mut required_limits);
        let limits = kernel_limits(&info, &required_limits, restriction);
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
        Ok(Gpu(Arc::new(Inner {
            restriction: restriction.clone(),
            submission: restriction.submission.unwrap_or(submission_budget(info.kind)),
            pipelines: Pipelines::new(restriction.checked),
            device,
            queue,
            info,
            limits,
            fault,
        })))
    }

    /// The same device with other products. Pipelines are its own.
    pub(super) fn with_products(&self, products: Products) -> Gpu {
        let inner = &*self.0;
        Gpu(Arc::new(Inner {
            device: inner.device.clone(),
            queue: inner.queue.clone(),
            info: inner.info.clone(),
            limits: Limits { products, ..inner.limits },
            restriction: inner.restriction.clone(),
            submission: inner.submission,
            pipelines: Pipelines::new(inner.restriction.checked),
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

    pub(super) fn device(&self) -> &wgpu::Device {
        &self.0.device
    }

    pub(super) fn queue(&self) -> &wgpu::Queue {
        &self.0.queue
    }

    pub(super) fn pipelines(&self) -> &Pipelines {
        &self.0.pipelines
    }

    /// Floating-point operations after which a submission is cut.
    pub(super) fn submission(&self) -> u64 {
        self.0.submission
    }
}

fn kernel_limits(info: &AdapterInfo, limits: &wgpu::Limits, restriction: &Restriction) -> Limits {
    let tile = if info.kind == Kind::Software { Tile::Registers } else { Tile::Shared };
    Limits {
        binding: (limits.max_storage_buffer_binding_size / 4) as usize,
        align: (limits.min_storage_buffer_offset_alignment as usize).div_ceil(4).max(1),
        groups: limits.max_compute_workgroups_per_dimension,
        work: restriction.work.unwrap_or(submission_budget(info.kind)),
        tile: restriction.tile.unwrap_or(tile),
        products: Products::Single,
    }
}

/// Windows resets a GPU that answers nothing for 2 s. These budgets keep a submission below about half of that
/// on slow members of each kind: 0.5 TFLOP/s achieved by a discrete card, 100 GFLOP/s by an integrated one.
/// A software adapter has no watchdog; its budget (seconds at 10 GFLOP/s) keeps a wait interruptible.
fn submission_budget(kind: Kind) -> u64 {
    match kind {
        Kind::Discrete => 500_000_000_000,
        Kind::Integrated | Kind::Virtual | Kind::Other => 50_000_000_000,
        Kind::Software => 20_000_000_000,
    }
}
