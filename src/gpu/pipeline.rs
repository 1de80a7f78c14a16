//! Pipelines: one per distinct (shader, constants), made once per device and shared by its executors.

use super::binaries::Binaries;
use super::device::Gpu;
use super::fault::one_line;
use super::host::{Host, News};
use super::kernels::{Dispatch, Shader, check_rounds};
#[cfg(not(target_arch = "wasm32"))]
use super::threads;
use super::trusted;
use crate::error::{Error, Result};
use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

/// A shader and the bits of its constants in order.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Key {
    shader: Shader,
    constants: Vec<(&'static str, u64)>,
}

impl Key {
    fn of(dispatch: &Dispatch) -> Self {
        let bits = dispatch.constants.iter().map(|&(name, value)| (name, value.to_bits())).collect();
        Key { shader: dispatch.shader, constants: bits }
    }
}

/// The pipelines and shader modules of a device.
#[derive(Debug)]
pub(super) struct Pipelines {
    checked: bool,
    binaries: Option<Binaries>,
    modules: Mutex<HashMap<Shader, wgpu::ShaderModule>>,
    pipelines: Mutex<HashMap<Key, wgpu::ComputePipeline>>,
}

impl Pipelines {
    /// With `checked`, shaders keep their run-time checks.
    pub fn new(checked: bool, binaries: Option<Binaries>) -> Self {
        Pipelines { checked, binaries, modules: Mutex::default(), pipelines: Mutex::default() }
    }

    /// None yet, and nothing of them will be kept: for trials.
    pub fn apart(&self) -> Self {
        Pipelines::new(self.checked, None)
    }

    /// Makes what is missing for `dispatches` on all processors at once. One that cannot be made is left to
    /// [`Pipelines::get`], which says why.
    #[cfg(not(target_arch = "wasm32"))]
    pub fn prepare(&self, gpu: &Gpu, dispatches: &[&Dispatch]) {
        let mut missing: HashMap<Key, &Dispatch> = HashMap::new();
        let made = self.pipelines.lock().unwrap_or_else(PoisonError::into_inner);
        for dispatch in dispatches {
            let key = Key::of(dispatch);
            if !made.contains_key(&key) {
                missing.insert(key, dispatch);
            }
        }
        drop(made);
        let mut shaders: Vec<Shader> = missing.keys().map(|key| key.shader).collect();
        shaders.sort_by_key(|shader| shader.source);
        shaders.dedup();
        // What takes long first, or the last thread works while the others are done: a tile has the most text.
        let mut missing: Vec<&Dispatch> = missing.into_values().collect();
        missing.sort_by_key(|dispatch| std::cmp::Reverse(dispatch.shader.source.len()));
        let (host, all) = (gpu.host(), missing.len());
        if all == 0 {
            return;
        }
        host.hear(News::Compiling { done: 0, all });
        threads::each(&shaders, |&shader| {
            // An error is found again when a pipeline asks for the module.
            let scope = Scope::new(gpu.device());
            let module = self.module(gpu.device(), shader);
            if pollster::block_on(scope.error()).is_none() {
                self.modules.lock().unwrap_or_else(PoisonError::into_inner).insert(shader, module);
            }
        });
        let done = std::sync::atomic::AtomicUsize::new(0);
        threads::each(&missing, |dispatch| {
            let _ = pollster::block_on(self.get(gpu, dispatch));
            let done = done.fetch_add(1, std::sync::atomic::Ordering::Relaxed) + 1;
            host.hear(News::Compiling { done, all });
        });
    }

    /// Keeps what the driver made of the pipelines, where there is more of it than before; with `last`, any more.
    pub fn save(&self, last: bool, host: &dyn Host) {
        if let Some(binaries) = &self.binaries {
            binaries.save(self.count(), last, host);
        }
    }

    /// The pipeline of `dispatch`, with the layout that its WGSL declares.
    ///
    /// # Errors
    /// `Error::Device` naming shader and constants if wgpu or the driver refuses, or if its loops are longer than the
    /// adapter runs them: whatever runs comes by here.
    pub async fn get(&self, gpu: &Gpu, dispatch: &Dispatch) -> Result<wgpu::ComputePipeline> {
        check_rounds(dispatch.shader, dispatch.rounds, gpu.limits())?;
        let constants = &dispatch.constants;
        let key = Key::of(dispatch);
        if let Some(found) = self.pipelines.lock().unwrap_or_else(PoisonError::into_inner).get(&key) {
            return Ok(found.clone());
        }
        let scope = Scope::new(gpu.device());
        let module = self.module(gpu.device(), dispatch.shader);
        let pipeline = gpu.device().create_compute_pipeline(&wgpu::ComputePipelineDescriptor {
            label: Some(dispatch.shader.name),
            layout: None,
            module: &module,
            entry_point: Some("main"),
            compilation_options: wgpu::PipelineCompilationOptions {
                constants,
                zero_initialize_workgroup_memory: false,
            },
            cache: self.binaries.as_ref().map(Binaries::cache),
        });
        if let Some(error) = scope.error().await {
            let list: Vec<String> = constants.iter().map(|(name, value)| format!("{name}={value}")).collect();
            return Err(Error::Device(format!(
                "shader {}.wgsl with {}: {error}",
                dispatch.shader.name,
                if list.is_empty() { "no constants".to_string() } else { list.join(" ") }
            )));
        }
        self.modules.lock().unwrap_or_else(PoisonError::into_inner).insert(dispatch.shader, module);
        self.pipelines.lock().unwrap_or_else(PoisonError::into_inner).insert(key, pipeline.clone());
        Ok(pipeline)
    }

    /// The module of a shader. No lock is held while it is made, so that several can be made at once.
    fn module(&self, device: &wgpu::Device, shader: Shader) -> wgpu::ShaderModule {
        let found = self.modules.lock().unwrap_or_else(PoisonError::into_inner).get(&shader).cloned();
        found.unwrap_or_else(|| trusted::module(device, shader.name, shader.source, self.checked))
    }

    /// How many pipelines have been made.
    pub fn count(&self) -> usize {
        self.pipelines.lock().unwrap_or_else(PoisonError::into_inner).len()
    }
}

/// Catches validation and internal errors of what happens until [`Scope::error`].
pub(super) struct Scope {
    // Popped in reverse order of their creation, as wgpu demands.
    internal: wgpu::ErrorScopeGuard,
    validation: wgpu::ErrorScopeGuard,
}

impl Scope {
    pub fn new(device: &wgpu::Device) -> Self {
        let validation = device.push_error_scope(wgpu::ErrorFilter::Validation);
        let internal = device.push_error_scope(wgpu::ErrorFilter::Internal);
        Scope { internal, validation }
    }

    /// The first error since [`Scope::new`], on one line.
    pub async fn error(self) -> Option<String> {
        let (internal, validation) = (self.internal.pop(), self.validation.pop());
        let (internal, validation) = (internal.await, validation.await);
        validation.or(internal).map(|error| one_line(&error.to_string()))
    }
}
