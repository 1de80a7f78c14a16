//! How to open a device.

use super::cache_store::{CacheStore, NoCache};
use super::kernels::GemmKernel;
use super::progress::ProgressListener;
use super::tune::Tuning;
use std::sync::Arc;

/// How to open a GPU. None of it changes a result.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct DeviceOptions {
    /// Limits below those that the adapter offers; for tests and measurements.
    pub limits: LimitOverrides,
    /// Whether matrix products are timed to find their fastest kernel.
    pub tuning: Tuning,
    /// Keeps compiled shaders and the fastest kernels between runs.
    pub cache: Arc<dyn CacheStore>,
    /// Receives progress and warnings.
    pub progress: ProgressListener,
}

impl Default for DeviceOptions {
    /// Everything that the adapter offers; nothing is timed, stored or reported.
    fn default() -> Self {
        DeviceOptions {
            limits: LimitOverrides::default(),
            tuning: Tuning::Off,
            cache: Arc::new(NoCache),
            progress: ProgressListener::default(),
        }
    }
}

impl DeviceOptions {
    /// The same with these limits.
    pub fn with_limits(self, limits: LimitOverrides) -> Self {
        DeviceOptions { limits, ..self }
    }

    /// The same with this tuning.
    pub fn with_tuning(self, tuning: Tuning) -> Self {
        DeviceOptions { tuning, ..self }
    }

    /// The same with this store.
    pub fn with_cache(self, cache: Arc<dyn CacheStore>) -> Self {
        DeviceOptions { cache, ..self }
    }

    /// The same with this listener.
    pub fn with_progress(self, progress: ProgressListener) -> Self {
        DeviceOptions { progress, ..self }
    }
}

/// Lowers what an adapter offers, so that a test can see that a lesser one would do. The device itself then
/// refuses what is beyond (except workgroup memory, which wgpu 30 does not add up: `tests/gpu/tuning.rs` does). `None`
/// leaves a limit alone.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LimitOverrides {
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
    /// The kernel of matrix products.
    pub kernel: Option<GemmKernel>,
    /// Run every step of a program in a separate dispatch, with each tensor in its own buffer.
    pub apart: bool,
    /// Keep every run-time check in the shaders.
    pub checked: bool,
}

impl LimitOverrides {
    /// What every implementation of WebGPU offers at least (the defaults of the standard).
    pub fn minimal() -> Self {
        let least = wgpu::Limits::default();
        LimitOverrides {
            binding: Some(least.max_storage_buffer_binding_size),
            buffer: Some(least.max_buffer_size),
            storage_buffers: Some(least.max_storage_buffers_per_shader_stage),
            workgroup_memory: Some(least.max_compute_workgroup_storage_size),
            invocations: Some(least.max_compute_invocations_per_workgroup),
            alignment: Some(least.min_storage_buffer_offset_alignment),
            workgroups: Some(least.max_compute_workgroups_per_dimension),
            ..LimitOverrides::default()
        }
    }

    /// Lowers `limits`.
    pub(super) fn apply(&self, limits: &mut wgpu::Limits) {
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
