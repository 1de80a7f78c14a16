//! An open device: what the adapter allows, its queue, its pipelines and its faults.

use super::adapter::{self, AdapterInfo, AdapterSelector, Kind};
use super::binaries::Binaries;
use super::fault::{Fault, caught, one_line};
use super::kernels::{GemmKernel, Limits, MAX_ROUNDS, Precision};
use super::options::{DeviceOptions, LimitOverrides};
use super::pipeline::Pipelines;
use super::progress::ProgressListener;
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
    overrides: LimitOverrides,
    submission: u64,
    pipelines: Pipelines,
    tuner: Tuner,
    progress: ProgressListener,
    fault: Arc<Fault>,
}

impl Drop for Inner {
    fn drop(&mut self) {
        // The data of a lost device cannot be relied on.
        if self.fault.check().is_ok() {
            self.pipelines.save(true);
        }
    }
}

impl Gpu {
    /// Opens an adapter with everything it offers; nothing is timed and nothing stored.
    ///
    /// # Errors
    /// `Error::Device` if no adapter matches `selector` (the message lists those there are) or the adapter refuses.
    pub fn open(selector: &AdapterSelector) -> Result<Gpu> {
        Gpu::open_with(selector, &DeviceOptions::default())
    }

    /// Opens an adapter as if it offered less; see [`LimitOverrides`].
    pub fn open_limited(selector: &AdapterSelector, limits: &LimitOverrides) -> Result<Gpu> {
        Gpu::open_with(selector, &DeviceOptions::default().with_limits(limits.clone()))
    }

    /// Opens an adapter; see [`DeviceOptions`].
    pub fn open_with(selector: &AdapterSelector, options: &DeviceOptions) -> Result<Gpu> {
        pollster::block_on(Gpu::request(selector, options))
    }

    /// The same without blocking.
    pub async fn request(selector: &AdapterSelector, options: &DeviceOptions) -> Result<Gpu> {
        let (instance, found) = adapter::list().await;
        let (mut infos, adapters): (Vec<AdapterInfo>, Vec<wgpu::Adapter>) = found.into_iter().unzip();
        let index = adapter::choose(&infos, selector)?;
        let features = adapters[index].features() & adapter::WANTED;
        let none = wgpu::ExperimentalFeatures::disabled();
        Gpu::on(instance, infos.swap_remove(index), &adapters[index], options, features, none).await
    }

    /// A device of `adapter` with these features.
    pub(super) async fn on(
        instance: wgpu::Instance,
        info: AdapterInfo,
        adapter: &wgpu::Adapter,
        options: &DeviceOptions,
        required_features: wgpu::Features,
        experimental_features: wgpu::ExperimentalFeatures,
    ) -> Result<Gpu> {
        let DeviceOptions { limits: overrides, tuning, cache, progress } = options;
        let mut required_limits = adapter.limits();
        overrides.apply(&mut required_limits);
        let subgroups = adapter.features().contains(wgpu::Features::SUBGROUP);
        let limits = kernel_limits(&info, subgroups, &required_limits, overrides);
        check_kernel(&info, subgroups, &limits)?;
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
        // Shaders with checks are different shaders: their times are not mixed with those of shaders without.
        let tuning = if overrides.checked { Tuning::Off } else { *tuning };
        let binaries = Binaries::open(&device, &facts, cache.clone(), progress);
        let pipelines = Pipelines::new(device.clone(), limits, overrides.checked, binaries, progress.clone());
        let tuner = Tuner::open(tuning, &info, facts.device, &limits, cache.clone(), progress);
        Ok(Gpu(Arc::new(Inner {
            overrides: overrides.clone(),
            submission: overrides.submission.unwrap_or(info.kind.submission_work()),
            pipelines,
            tuner,
            progress: progress.clone(),
            instance,
            device,
            queue,
            info,
            limits,
            fault,
        })))
    }

    /// The same device with another precision, nothing timed. It has its own pipelines, which are not stored.
    pub(super) fn with_precision(&self, precision: Precision) -> Gpu {
        let inner = &*self.0;
        Gpu(Arc::new(Inner {
            instance: inner.instance.clone(),
            device: inner.device.clone(),
            queue: inner.queue.clone(),
            info: inner.info.clone(),
            limits: Limits { precision, ..inner.limits },
            overrides: inner.overrides.clone(),
            submission: inner.submission,
            pipelines: inner.pipelines.detached(),
            tuner: Tuner::off(),
            progress: inner.progress.clone(),
            fault: inner.fault.clone(),
        }))
    }

    /// The limits that this device was opened with, below those of its adapter.
    pub(super) fn overrides(&self) -> &LimitOverrides {
        &self.0.overrides
    }

    /// Facts about the adapter behind this device; limits are those it offers, not those the device was opened with.
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

    /// Destroys the device as if it had been lost, for every executor on it: for tests. Work submitted before is still
    /// done, but nothing can be read any more.
    pub fn lose(&self) {
        self.0.fault.lose("it was taken away");
        self.0.device.destroy();
    }

    /// How many objects of each kind exist on this device, as text: for tests that nothing leaks. `None` where the back end
    /// does not report it.
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

    /// Polls the device until `until` is reached, and delivers finished callbacks.
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

    /// The error to return where `error` was found: the loss of the device, if that is the cause.
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

    pub(super) fn progress(&self) -> &ProgressListener {
        &self.0.progress
    }

    /// Floating-point operations after which a submission is cut.
    pub(super) fn submission(&self) -> u64 {
        self.0.submission
    }
}

/// An error if the adapter cannot run the kernel of `limits`. wgpu checks the number of invocations, but neither the sum of
/// a kernel's workgroup memory (a software adapter has as much as it needs) nor the size of a subgroup.
fn check_kernel(info: &AdapterInfo, subgroups: bool, limits: &Limits) -> Result<()> {
    match limits.kernel {
        GemmKernel::Subgroup if !subgroups || info.subgroup[0] < SUBGROUP => Err(Error::Device(format!(
            "{}: tile subgroup: expected subgroups of at least {SUBGROUP}, found {}",
            info.name, info.subgroup[0]
        ))),
        GemmKernel::Exactly(block)
            if info.kind != Kind::Software && block.workgroup_memory() > limits.workgroup_memory =>
        {
            Err(Error::Device(format!(
                "{}: tile {}: expected {} bytes of workgroup memory, found {}",
                info.name,
                block.name(),
                block.workgroup_memory(),
                limits.workgroup_memory
            )))
        }
        _ => Ok(()),
    }
}

/// Invocations of a workgroup of `gemm_subgroup.wgsl`, which must be one subgroup or a part of one.
const SUBGROUP: u32 = 8;

fn kernel_limits(
    info: &AdapterInfo,
    subgroups: bool,
    limits: &wgpu::Limits,
    overrides: &LimitOverrides,
) -> Limits {
    let kernel = match info.kind {
        Kind::Software if subgroups && info.subgroup[0] >= SUBGROUP => GemmKernel::Subgroup,
        Kind::Software => GemmKernel::Registers,
        _ => GemmKernel::Shared,
    };
    Limits {
        binding: (limits.max_storage_buffer_binding_size / 4) as usize,
        buffer: (limits.max_buffer_size / 4) as usize,
        align: (limits.min_storage_buffer_offset_alignment as usize).div_ceil(4).max(1),
        groups: limits.max_compute_workgroups_per_dimension,
        work: overrides.work.unwrap_or(info.kind.dispatch_work()),
        rounds: if info.kind == Kind::Software { MAX_ROUNDS } else { u64::MAX },
        workgroup_memory: limits.max_compute_workgroup_storage_size,
        invocations: limits.max_compute_invocations_per_workgroup,
        kernel: overrides.kernel.unwrap_or(kernel),
        precision: Precision::Single,
        fuse: !overrides.apart,
    }
}
