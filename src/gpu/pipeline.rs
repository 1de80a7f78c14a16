//! Pipelines: one per distinct (shader, constants), made once per device and shared by its executors.

use super::device::Gpu;
use super::fault::one_line;
use super::kernels::{Dispatch, Shader};
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

/// The pipelines and shader modules of a device.
#[derive(Debug)]
pub(super) struct Pipelines {
    checked: bool,
    modules: Mutex<HashMap<Shader, wgpu::ShaderModule>>,
    pipelines: Mutex<HashMap<Key, wgpu::ComputePipeline>>,
}

impl Pipelines {
    pub fn new(checked: bool) -> Self {
        Pipelines { checked, modules: Mutex::default(), pipelines: Mutex::default() }
    }

    /// The pipeline of `dispatch`, with the layout that its WGSL declares.
    ///
    /// # Errors
    /// `Error::Device` naming shader and constants if wgpu or the driver refuses.
    pub async fn get(&self, gpu: &Gpu, dispatch: &Dispatch) -> Result<wgpu::ComputePipeline> {
        let constants = &dispatch.constants;
        let bits = constants.iter().map(|&(name, value)| (name, value.to_bits())).collect();
        let key = Key { shader: dispatch.shader, constants: bits };
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
            cache: None,
        });
        if let Some(error) = scope.error().await {
            let list: Vec<String> = constants.iter().map(|(name, value)| format!("{name}={value}")).collect();
            return Err(Error::Device(format!(
                "shader {}.wgsl with {}: {error}",
                dispatch.shader.name,
                if list.is_empty() { "no constants".to_string() } else { list.join(" ") }
            )));
        }
        self.pipelines.lock().unwrap_or_else(PoisonError::into_inner).insert(key, pipeline.clone());
        Ok(pipeline)
    }

    fn module(&self, device: &wgpu::Device, shader: Shader) -> wgpu::ShaderModule {
        let mut modules = self.modules.lock().unwrap_or_else(PoisonError::into_inner);
        modules
            .entry(shader)
            .or_insert_with(|| trusted::module(device, shader.name, shader.source, self.checked))
            .clone()
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
