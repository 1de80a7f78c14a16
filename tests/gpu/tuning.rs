//! What is chosen for a device: tiles, parts and kept files change no bit of a training run, on any device limits,
//! and what a device keeps between runs may be missing, damaged or foreign.

use crate::gpu_device;
use std::collections::BTreeMap;
use std::path::Path;
use std::process::Output;
use std::sync::{Arc, Mutex};
use striate::Error;
use striate::gpu::kernels::{BlockSize, Dispatch, GemmKernel, Limits, kernels};
use striate::gpu::{
    AdapterSelector, CacheStore, DeviceOptions, Executor, Gpu, Kind, LimitOverrides, ProgressListener,
    Tuning, adapters,
};
use striate::inference;
use striate::model::{BuildOptions, Model, Recipe, Spec};
use striate::ops::{Conv2d, Hyper, Linear, Op};
use striate::program::{Executor as _, ProgramBuilder, Role, Span, Step};
use striate::random::{Purpose, Stream};
use wgpu::naga;

/// Stores files in memory, and everything that a device reports.
#[derive(Debug, Default)]
struct Memory {
    files: Mutex<BTreeMap<String, Vec<u8>>>,
    reported: Mutex<Vec<String>>,
}

impl CacheStore for Memory {
    fn load(&self, name: &str) -> Option<Vec<u8>> {
        self.files.lock().unwrap().get(name).cloned()
    }
    fn save(&self, name: &str, content: &[u8]) {
        self.files.lock().unwrap().insert(name.into(), content.into());
    }
}

impl Memory {
    fn file(&self, prefix: &str) -> Option<(String, Vec<u8>)> {
        let files = self.files.lock().unwrap();
        files.iter().find(|(name, _)| name.starts_with(prefix)).map(|(n, c)| (n.clone(), c.clone()))
    }
    /// The reports since the last call.
    fn take(&self) -> Vec<String> {
        std::mem::take(&mut *self.reported.lock().unwrap())
    }
}

/// The device of all tests, so prepared; `None` without an adapter.
fn open(options: &DeviceOptions) -> Option<Gpu> {
    let index = gpu_device::open(&LimitOverrides::default())?.info().index;
    Some(
        Gpu::open_with(&AdapterSelector::Index(index), options)
            .expect("an adapter that could be opened before"),
    )
}

fn tuned(tuning: Tuning, host: &Arc<Memory>) -> DeviceOptions {
    let reports = host.clone();
    let progress = ProgressListener::new(move |progress| {
        reports.reported.lock().unwrap().push(format!("{progress:?}"));
    });
    DeviceOptions::default().with_tuning(tuning).with_cache(host.clone()).with_progress(progress)
}

/// A network with every kind of product: a convolution with groups, one without padding, two linear layers.
const NETWORK: &str = r#"
name = "small"
input = [2, 13, 11]
[recipe]
batch_size = 7
lr = 0.1
[[layer]]
op = "conv2d"
out_channels = 10
kernel = 3
padding = 1
groups = 2
[[layer]]
op = "relu"
[[layer]]
op = "conv2d"
out_channels = 6
kernel = [3, 2]
stride = 2
[[layer]]
op = "flatten"
[[layer]]
op = "linear"
out_features = 70
[[layer]]
op = "relu"
[[layer]]
op = "linear"
out_features = 5
"#;

/// The weights' hash after `steps` of training on random numbers.
fn trained(gpu: &Gpu, spec: &Spec, batch: usize, steps: u32) -> String {
    let model = Model::build(spec, &BuildOptions::new(batch)).unwrap();
    let mut executor = Executor::new(gpu, model.program.clone()).unwrap();
    inference::initialise(&model, &mut executor, 3).unwrap();
    let mut stream = Stream::new(5, Purpose::Test, 0);
    for step in 0..steps {
        let images = model.program.buffer(model.input).shape.len();
        let images: Vec<f32> = (0..images).map(|_| stream.normal()).collect();
        let labels: Vec<f32> = (0..batch).map(|_| stream.below(model.classes as u32) as f32).collect();
        let hyper = Hyper {
            rows: batch as u32,
            loss_scale: 1.0 / batch as f32,
            ..inference::hyper(&spec.recipe, 0, step as usize, 0.05)
        };
        executor.write(model.input, &images).unwrap();
        executor.write(model.labels, &labels).unwrap();
        executor.write(model.hyper, hyper.as_words()).unwrap();
        executor.run(Span::Train).unwrap();
    }
    inference::sha256(&model, &inference::collect(&model, &mut executor).unwrap())
}

#[test]
fn no_tile_and_no_tuning_changes_the_weights() {
    let spec = Spec::parse(NETWORK, "small").unwrap();
    let Some(gpu) = gpu_device::open(&LimitOverrides::default()) else { return };
    let expected = trained(&gpu, &spec, 7, 3);
    assert_ne!(expected, trained(&gpu, &spec, 7, 2), "the weights move");
    let tiles = BlockSize::ALL.map(GemmKernel::Exactly).into_iter().chain([
        GemmKernel::Registers,
        GemmKernel::Subgroup,
        GemmKernel::Shared,
    ]);
    for tile in tiles {
        let gpu =
            gpu_device::open(&LimitOverrides { kernel: Some(tile), ..LimitOverrides::default() }).unwrap();
        assert_eq!(trained(&gpu, &spec, 7, 3), expected, "{tile:?}");
    }

    // Timed: each geometry once, and the choices are kept.
    let host = Arc::new(Memory::default());
    let forced = open(&tuned(Tuning::Force, &host)).unwrap();
    assert_eq!(trained(&forced, &spec, 7, 3), expected);
    let Some((_, content)) = host.file("tiles_") else {
        assert!(!gpu.info().features.contains(&"timestamp_query".to_string()), "nothing was timed");
        return;
    };
    let heard = host.take();
    // Two convolutions and two linear layers: 4 forward, 4 for the weights, 3 for the inputs.
    assert!(heard.contains(&"Tuning { done: 11, all: 11 }".to_string()), "{heard:?}");
    let json: serde_json::Value = serde_json::from_slice(&content).unwrap();
    let choices = json["choices"].as_object().unwrap();
    assert_eq!(choices.len(), 11);
    let candidates: Vec<String> =
        GemmKernel::candidates(forced.limits()).iter().map(|kernel| kernel.to_string()).collect();
    for choice in choices.values() {
        assert!(candidates.iter().any(|tile| choice["tile"] == **tile), "{choice}");
    }
    // Once on a device.
    assert_eq!(trained(&forced, &spec, 7, 3), expected);
    assert!(!host.take().iter().any(|news| news.starts_with("Tuning")));
}

#[test]
fn a_software_adapter_is_tuned_only_by_force() {
    let spec = Spec::parse(NETWORK, "small").unwrap();
    let host = Arc::new(Memory::default());
    for tuning in [Tuning::Off, Tuning::On] {
        let Some(gpu) = open(&tuned(tuning, &host)) else { return };
        trained(&gpu, &spec, 7, 1);
        let timed = host.take().iter().any(|news| news.starts_with("Tuning"));
        assert!(!timed || (tuning == Tuning::On && gpu.info().kind != Kind::Software));
    }
}

#[test]
fn kept_files_may_be_missing_damaged_or_foreign() {
    let spec = Spec::parse(NETWORK, "small").unwrap();
    let host = Arc::new(Memory::default());
    let setup = tuned(Tuning::Off, &host);
    let Some(gpu) = open(&setup) else { return };
    let expected = trained(&gpu, &spec, 7, 1);
    drop(gpu);
    let Some((name, whole)) = host.file("wgpu_pipeline_cache") else {
        let cached = |info: &striate::gpu::AdapterInfo| info.features.contains(&"pipeline_cache".to_string());
        assert!(!adapters().iter().any(cached), "nothing was kept");
        return;
    };
    // The stored file is used unchanged, without a warning.
    host.take();
    assert_eq!(trained(&open(&setup).unwrap(), &spec, 7, 1), expected);
    assert!(!host.take().iter().any(|news| news.starts_with("Warning")));
    let mut altered = whole.clone();
    *altered.last_mut().unwrap() ^= 1;
    let cut = whole[..whole.len() - 1].to_vec();
    for content in [Vec::new(), b"something else\n".to_vec(), cut, altered] {
        host.files.lock().unwrap().insert(name.clone(), content);
        assert_eq!(trained(&open(&setup).unwrap(), &spec, 7, 1), expected);
        let warnings: Vec<String> = host.take().into_iter().filter(|n| n.starts_with("Warning")).collect();
        assert_eq!(warnings.len(), 1, "{warnings:?}");
        assert!(warnings[0].contains(&name), "{warnings:?}");
        assert_eq!(host.load(&name).as_ref(), Some(&whole), "the file is rewritten");
    }
}

#[test]
fn every_pipeline_of_a_program_is_compiled_once_and_counted() {
    let spec = Spec::parse(NETWORK, "small").unwrap();
    let host = Arc::new(Memory::default());
    let Some(gpu) = open(&tuned(Tuning::Off, &host)) else { return };
    trained(&gpu, &spec, 7, 1);
    let all = gpu.pipeline_count();
    assert!(all > 15, "{all}");
    let heard = host.take();
    assert_eq!(heard.len(), all + 1, "{heard:?}");
    for done in 0..=all {
        assert!(heard.contains(&format!("Compiling {{ done: {done}, all: {all} }}")), "{done} of {all}");
    }
    trained(&gpu, &spec, 7, 1);
    assert_eq!((gpu.pipeline_count(), host.take().len()), (all, 0));
}

#[test]
fn a_pipeline_that_cannot_be_made_is_an_error_that_names_step_label_and_constants() {
    // The tile has more invocations than there may be.
    let limits = LimitOverrides {
        invocations: Some(128),
        kernel: Some(GemmKernel::Exactly(BlockSize::B64x64x16)),
        ..LimitOverrides::default()
    };
    let Some(gpu) = gpu_device::open(&limits) else { return };
    let mut builder = ProgramBuilder::default();
    for (label, outputs) in [("fc6", 3), ("fc7", 5)] {
        let op = Op::LinearForward(Linear { batch: 2, inputs: 4, outputs, bias: false, relu: false });
        let buffer = |operand: &striate::ops::Operand| format!("{label}.{}", operand.name);
        let buffers = op.operands().iter().map(|o| (buffer(o), o.shape.clone())).collect::<Vec<_>>();
        let buffers =
            buffers.into_iter().map(|(n, shape)| builder.buffer(n, shape, Role::Output).unwrap()).collect();
        builder.forward.push(Step { op, buffers, label: label.into() });
    }
    let error = Executor::new(&gpu, Arc::new(builder.finish(true).unwrap())).unwrap_err();
    assert!(matches!(error, Error::Device(_)), "{error}");
    let message = error.to_string();
    for part in ["linear_forward of fc6", "pipeline linear_forward/64x64x16 with ", "outputs=3"] {
        assert!(message.contains(part), "{message}");
    }
    assert!(!message.contains('\n') && gpu.check().is_ok(), "{message}");
}

#[test]
fn a_block_needs_what_its_shader_declares() {
    // A convolution, which has a table of terms.
    let conv = Conv2d {
        batch: 2,
        c_in: 3,
        h_in: 5,
        w_in: 5,
        c_out: 4,
        kernel: [3, 3],
        stride: [1, 1],
        pad: [0; 4],
        dilation: [1, 1],
        groups: 1,
        bias: false,
        relu: false,
    };
    let op = Op::Conv2dForward(conv);
    for block in BlockSize::ALL {
        let limits = Limits { kernel: GemmKernel::Exactly(block), ..Limits::default() };
        let dispatch: Dispatch = kernels(&op, &limits).unwrap().dispatches.remove(0);
        let module = naga::front::wgsl::parse_str(&dispatch.shader.source()).unwrap();
        let mut layouter = naga::proc::Layouter::default();
        layouter.update(module.to_ctx()).unwrap();
        let shared = module.global_variables.iter().map(|(_, variable)| variable);
        let shared = shared.filter(|variable| variable.space == naga::AddressSpace::WorkGroup);
        let memory: u32 = shared.map(|variable| layouter[variable.ty].size).sum();
        let invocations: u32 = module.entry_points[0].workgroup_size.iter().product();
        assert_eq!([block.workgroup_memory(), block.invocations()], [memory, invocations], "{block:?}");
    }
}

#[test]
fn only_tiles_that_fit_are_candidates() {
    let all = Limits { workgroup_memory: u32::MAX, invocations: u32::MAX, ..Limits::default() };
    assert_eq!(GemmKernel::candidates(&all), BlockSize::ALL.map(GemmKernel::Exactly));
    for block in BlockSize::ALL {
        let [memory, invocations] = [block.workgroup_memory(), block.invocations()];
        let kernel = GemmKernel::Exactly(block);
        let fits = |limits: Limits| GemmKernel::candidates(&limits).contains(&kernel);
        assert!(fits(Limits { workgroup_memory: memory, invocations, ..all }));
        assert!(!fits(Limits { workgroup_memory: memory - 1, ..all }));
        assert!(!fits(Limits { invocations: invocations - 1, ..all }));
        // What was asked for is not second-guessed.
        assert_eq!(GemmKernel::candidates(&Limits { kernel, workgroup_memory: 0, ..all }), [kernel]);
    }
    for kernel in [GemmKernel::Registers, GemmKernel::Subgroup] {
        let small = [kernel, GemmKernel::Exactly(BlockSize::ALL[0]), GemmKernel::Exactly(BlockSize::ALL[1])];
        assert_eq!(GemmKernel::candidates(&Limits { kernel, ..all }), small, "a software adapter");
    }
}

/// The least that WebGPU promises, and parts as short as watchdogs could ever ask for.
#[test]
fn a_minimal_adapter_trains_to_the_same_weights() {
    let Some(gpu) = gpu_device::open(&LimitOverrides::default()) else { return };
    let mut spec = Spec::load("alexnet-mini").unwrap();
    spec.recipe = Recipe { batch_size: 16, ..Recipe::default() };
    let expected = trained(&gpu, &spec, 16, 2);
    let short =
        LimitOverrides { work: Some(1_000_000), submission: Some(10_000_000), ..LimitOverrides::minimal() };
    for limits in [LimitOverrides::minimal(), short] {
        let small = gpu_device::open(&limits).unwrap();
        assert_eq!(trained(&small, &spec, 16, 2), expected, "{limits:?}");
    }
}

#[test]
fn no_dispatch_of_any_network_is_estimated_to_last_longer_than_100_ms() {
    for name in Spec::builtin_names() {
        let spec = Spec::load(name).unwrap();
        let model = Model::build(&spec, &BuildOptions::new(spec.recipe.batch_size)).unwrap();
        for kind in [Kind::Discrete, Kind::Integrated, Kind::Virtual, Kind::Other] {
            let work = kind.dispatch_work();
            assert!(work < kind.submission_work());
            // Bindings begin at every 64 bytes of most adapters. Where only at every 256, parts are what these allow.
            for (binding, align, most) in [(1 << 25, 16, work), (1 << 29, 16, work), (1 << 25, 64, 3 * work)]
            {
                let limits = Limits { binding, align, work, ..Limits::default() };
                for step in
                    [Span::Train, Span::Forward].into_iter().flat_map(|span| model.program.steps(span))
                {
                    // Not those that only add up the pieces of a sum.
                    let dispatches = match kernels(&step.op, &limits) {
                        Ok(found) => found.dispatches,
                        // 227 x 227 pixels of 3 channels begin at such an offset only every 64 images.
                        Err(error) => {
                            assert!(align == 64 && error.exit_code() == 3, "{name}, {kind}: {error}");
                            continue;
                        }
                    };
                    let own = dispatches.iter().filter(|d| d.shader.name == step.op.name()).count();
                    let each = step.op.flops() / own.max(1) as u64;
                    assert!(each <= most, "{name}, {kind}: {} of {}: {each}", step.op.name(), step.label);
                }
            }
        }
    }
}

fn striate(folder: &Path, cache: &Path, arguments: &[&str]) -> Output {
    let mut command = assert_cmd::Command::cargo_bin("striate").unwrap();
    command.env("STRIATE_CACHE", cache).env_remove("RUST_LOG").current_dir(folder).args(arguments);
    command.output().unwrap()
}

#[test]
fn the_program_tunes_and_keeps_and_says_so() {
    let Some(gpu) = gpu_device::open(&LimitOverrides::default()) else { return };
    let (index, folder) = (gpu.info().index.to_string(), tempfile::tempdir().unwrap());
    std::fs::write(folder.path().join("small.toml"), NETWORK).unwrap();
    let common =
        ["train", "-m", "small.toml", "--dataset", "synthetic", "--limit-train", "14", "--epochs", "1"];
    let common = [&common[..], &["--limit-val", "7", "-j1", "--json", "--device", &index]].concat();
    let cache = folder.path().join("cache");
    let run = |cache: &Path, more: &[&str]| {
        let output = striate(folder.path(), cache, &[&common[..], more].concat());
        let text = String::from_utf8(output.stderr).unwrap();
        assert!(output.status.success(), "{text}");
        let stdout = String::from_utf8(output.stdout).unwrap();
        let mut lines = stdout.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap());
        let epoch = lines.rfind(|line| line["event"] == "epoch").unwrap();
        (epoch["weights_sha256"].as_str().unwrap().to_string(), text)
    };
    let (expected, text) = run(&cache, &["--tune", "off"]);
    assert!(!text.contains("tun"), "{text}");
    if gpu.info().features.contains(&"timestamp_query".to_string()) {
        let (forced, text) = run(&cache, &["--tune", "force"]);
        assert!(text.contains("tuning 11 matrix products\n") && text.contains("tuned 11 matrix"), "{text}");
        assert_eq!(forced, expected);
        let tiles = std::fs::read_dir(&cache).unwrap().flatten();
        assert!(tiles.into_iter().any(|f| f.file_name().to_string_lossy().starts_with("tiles_")));
        let (quiet, text) = run(&cache, &["--tune", "force", "--quiet"]);
        assert_eq!((quiet.as_str(), text.as_str()), (expected.as_str(), ""));
    }
    // A cache that cannot be is one note, none at all is nothing.
    let (weights, text) = run(&folder.path().join("small.toml"), &["--tune", "on"]);
    assert_eq!((weights.as_str(), text.matches("cache folder").count()), (expected.as_str(), 1), "{text}");
    let (weights, text) = run(Path::new(""), &[]);
    assert!(weights == expected && !text.contains("cache"), "{text}");
    let wrong = striate(folder.path(), &cache, &["devices", "--tune", "fast"]);
    assert_eq!(wrong.status.code(), Some(2));
    let listed = striate(folder.path(), &cache, &["devices", "--json"]);
    let listed: serde_json::Value = serde_json::from_slice(&listed.stdout).unwrap();
    assert_eq!(listed["cache"].as_str().unwrap(), cache.to_str().unwrap());
}
