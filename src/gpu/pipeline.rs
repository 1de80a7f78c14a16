//! Pipelines: one per distinct (shader, constants), made once per device and shared by its executors.

use super::binaries::Binaries;
use super::fault::one_line;
use super::kernels::{Dispatch, Limits, Shader, check_rounds};
#[cfg(not(target_arch = "wasm32"))]
use super::progress::Progress;
use super::progress::ProgressListener;
#[cfg(not(target_arch = "wasm32"))]
use super::threads;
use super::trusted;
use crate::error::{Error, Result};
use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

/// A shader, which its label identifies, and the bits of its constants in order.
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
    device: wgpu::Device,
    limits: Limits,
    checked: bool,
    binaries: Option<Binaries>,
    progress: ProgressListener,
    modules: Mutex<HashMap<Shader, wgpu::ShaderModule>>,
    pipelines: Mutex<HashMap<Key, wgpu::ComputePipeline>>,
}

impl Pipelines {
    /// No pipelines yet. With `checked`, shaders keep their run-time checks.
    pub fn new(
        device: wgpu::Device,
        limits: Limits,
        checked: bool,
        binaries: Option<Binaries>,
        progress: ProgressListener,
    ) -> Self {
        let (modules, pipelines) = Default::default();
        Pipelines { device, limits, checked, binaries, progress, modules, pipelines }
    }

    /// An empty set on the same device that is never stored: for trials.
    pub fn detached(&self) -> Self {
        Pipelines::new(self.device.clone(), self.limits, self.checked, None, self.progress.clone())
    }

    /// Compiles the missing pipelines of `dispatches` on all processors at once. [`Pipelines::get`] reports those that
    /// cannot be compiled.
    #[cfg(not(target_arch = "wasm32"))]
    pub fn prepare(&self, dispatches: &[&Dispatch]) {
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
        shaders.sort_by_cached_key(Shader::label);
        shaders.dedup();
        // The slowest first, or the last thread works while the others are done: a tiled product has the most text.
        let mut missing: Vec<&Dispatch> = missing.into_values().collect();
        missing.sort_by_key(|dispatch| std::cmp::Reverse(dispatch.shader.len()));
        let all = missing.len();
        if all == 0 {
            return;
        }
        self.progress.report(Progress::Compiling { done: 0, all });
        threads::each(&shaders, |&shader| {
            // An error is found again when a pipeline asks for the module.
            let scope = Scope::new(&self.device);
            let module = self.module(shader);
            if pollster::block_on(scope.error()).is_none() {
                self.modules.lock().unwrap_or_else(PoisonError::into_inner).insert(shader, module);
            }
        });
        let done = std::sync::atomic::AtomicUsize::new(0);
        threads::each(&missing, |dispatch| {
            let _ = pollster::block_on(self.get(dispatch));
            let done = done.fetch_add(1, std::sync::atomic::Ordering::Relaxed) + 1;
            self.progress.report(Progress::Compiling { done, all });
        });
    }

    /// Stores the compiled pipelines if there are many more than before; with `last`, if there are any more.
    pub fn save(&self, last: bool) {
        if let Some(binaries) = &self.binaries {
            binaries.save(self.count(), last);
        }
    }

    /// The pipeline of `dispatch`, with the layout that its WGSL declares.
    ///
    /// # Errors
    /// `Error::Device` with the label and constants of the pipeline if wgpu or the driver rejects it (with file and line
    /// if its WGSL is invalid), or if its loops are longer than the adapter runs them. Every dispatch passes through here.
    pub async fn get(&self, dispatch: &Dispatch) -> Result<wgpu::ComputePipeline> {
        let shader = dispatch.shader;
        check_rounds(shader, dispatch.rounds, &self.limits)?;
        let constants = &dispatch.constants;
        let key = Key::of(dispatch);
        if let Some(found) = self.pipelines.lock().unwrap_or_else(PoisonError::into_inner).get(&key) {
            return Ok(found.clone());
        }
        let label = shader.label();
        let scope = Scope::new(&self.device);
        let module = self.module(shader);
        let pipeline = self.device.create_compute_pipeline(&wgpu::ComputePipelineDescriptor {
            label: Some(&label),
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
            let error = invalid_wgsl(shader, &module).await.unwrap_or(error);
            let list: Vec<String> = constants.iter().map(|(name, value)| format!("{name}={value}")).collect();
            let list = if list.is_empty() { "no constants".to_string() } else { list.join(" ") };
            return Err(Error::Device(format!("pipeline {label} with {list}: {error}")));
        }
        self.modules.lock().unwrap_or_else(PoisonError::into_inner).insert(shader, module);
        self.pipelines.lock().unwrap_or_else(PoisonError::into_inner).insert(key, pipeline.clone());
        Ok(pipeline)
    }

    /// The module of a shader. No lock is held while it is made, so that several can be made at once.
    fn module(&self, shader: Shader) -> wgpu::ShaderModule {
        let found = self.modules.lock().unwrap_or_else(PoisonError::into_inner).get(&shader).cloned();
        found
            .unwrap_or_else(|| trusted::module(&self.device, &shader.label(), &shader.source(), self.checked))
    }

    /// How many pipelines have been made.
    pub fn count(&self) -> usize {
        self.pipelines.lock().unwrap_or_else(PoisonError::into_inner).len()
    }
}

/// What the compiler reports about the WGSL of a module, with file and line of the part; `None` if it accepts it.
async fn invalid_wgsl(shader: Shader, module: &wgpu::ShaderModule) -> Option<String> {
    let messages = module.get_compilation_info().await.messages;
    let error = messages.into_iter().find(|m| m.message_type == wgpu::CompilationMessageType::Error)?;
    let found = error.location.and_then(|at| {
        let (file, line) = shader.locate(at.line_number as usize)?;
        Some(format!("{file}:{line}:{}: ", at.line_position))
    });
    let mut lines = error.message.lines().map(str::trim).filter(|line| !line.is_empty());
    let text = lines.next().unwrap_or_default();
    // The causes stand below the excerpt of the source, whose line numbers are those of the whole module.
    let causes = lines.filter_map(|line| line.strip_prefix("= "));
    let text = found.unwrap_or_default() + text.rsplit("error: ").next().unwrap_or(text);
    Some(causes.fold(text, |text, cause| text + ": " + cause))
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gpu::kernels::{DispatchKind, ShaderFile};
    use crate::gpu::{AdapterSelector, Gpu, adapters};

    const GOOD: ShaderFile = ShaderFile {
        path: "shaders/test/good.wgsl",
        text: "override len: u32;\n@compute @workgroup_size(1)\nfn main() {\n    helper(len);\n}\n",
    };
    const BAD: ShaderFile = ShaderFile {
        path: "shaders/test/bad.wgsl",
        text: "fn helper(x: u32) {\n    let y = undefined;\n}\n",
    };
    const FINE: ShaderFile = ShaderFile { path: "shaders/test/fine.wgsl", text: "fn helper(x: u32) {}\n" };

    fn error(shader: Shader, constants: Vec<(&'static str, f64)>) -> Option<String> {
        let info = adapters().pop()?;
        let gpu = Gpu::open(&AdapterSelector::Index(info.index)).unwrap();
        let (kind, bindings) = (DispatchKind::Kernel, Vec::new());
        let dispatch = Dispatch { shader, kind, constants, bindings, groups: [1; 3], rounds: 0 };
        Some(pollster::block_on(gpu.pipelines().get(&dispatch)).unwrap_err().to_string())
    }

    #[test]
    fn an_error_in_wgsl_names_the_pipeline_and_file_and_line_of_the_part() {
        let shader = Shader::new(&[GOOD, BAD]).variant("64x64x16");
        let Some(error) = error(shader, vec![("len", 1.0)]) else { return };
        assert!(error.contains("pipeline good/64x64x16 with len=1: shaders/test/bad.wgsl:2:"), "{error}");
        assert!(!error.contains('\n'), "{error}");
    }

    #[test]
    fn an_error_of_a_pipeline_names_its_label_and_constants() {
        let shader = Shader::new(&[GOOD, FINE]).variant("64x64x16").variant("vec4");
        let Some(error) = error(shader, vec![("length", 3.0)]) else { return };
        assert!(error.contains("pipeline good/64x64x16/vec4 with length=3: "), "{error}");
    }
}
