//! C1: the device is taken away at random points of a run. The run resumes from its newest checkpoint, or its beginning, on a
//! reopened device, and ends with the weights and the log of a run that was not disturbed; or it ends with exit
//! code 3 and a checkpoint that is whole. Nothing panics.

use super::size;
use super::training_support::data;
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use striate::data::Splits;
use striate::gpu::{AdapterSelector, CacheStore, DeviceOptions, Gpu, Progress, ProgressListener, adapters};
use striate::inference::initialise;
use striate::model::{Model, Spec};
use striate::ops::Target;
use striate::program::{BufferId, Executor, Pending, Profile, Span};
use striate::random::{Purpose, Stream};
use striate::run::{Checkpoint, DeviceExecutor, OnDeviceLost, PreparedRun, Recovery, RunFolder};
use striate::train::{Done, Ending, Event, Options, Prefetcher, TrainingTask};
use striate::{Error, Result};

const NETWORK: &str = r#"
name = "normed"
input = [1, 8, 8]
[preprocess]
mean = [0.4]
std = [0.3]
[recipe]
epochs = 3
batch_size = 8
lr = 0.05
momentum = 0.9
[[layer]]
op = "conv2d"
out_channels = 5
kernel = 3
[[layer]]
op = "batch_norm2d"
[[layer]]
op = "relu"
[[layer]]
op = "flatten"
[[layer]]
op = "dropout"
p = 0.3
[[layer]]
op = "linear"
out_features = 4
"#;

/// Where the device is lost next.
#[derive(Debug, Default)]
struct Plan {
    /// Calls of executors and pipelines so far.
    calls: AtomicUsize,
    pipelines: AtomicUsize,
    /// Those before which it is lost, each once.
    at: Mutex<Vec<usize>>,
    at_pipelines: Mutex<Vec<usize>>,
    /// The device that is there.
    gpu: Mutex<Option<Gpu>>,
    /// What the driver compiled, for the next device.
    files: Mutex<HashMap<String, Vec<u8>>>,
    opened: AtomicUsize,
    losses: AtomicUsize,
}

impl Plan {
    fn lose(&self) {
        // Not under the lock: dropping a device may take a while.
        let gpu = self.gpu.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some(gpu) = gpu {
            self.losses.fetch_add(1, Ordering::Relaxed);
            gpu.lose();
        }
    }

    fn call(&self) {
        let call = self.calls.fetch_add(1, Ordering::Relaxed);
        if self.at.lock().unwrap().contains(&call) {
            self.lose();
        }
    }
}

/// Keeps compiled shaders from one device to the next.
#[derive(Debug)]
struct Keeper(Arc<Plan>);

impl CacheStore for Keeper {
    fn load(&self, name: &str) -> Option<Vec<u8>> {
        self.0.files.lock().unwrap().get(name).cloned()
    }

    fn save(&self, name: &str, content: &[u8]) {
        self.0.files.lock().unwrap().insert(name.into(), content.into());
    }
}

/// Loses a device while its shaders are compiled.
fn losing(plan: &Arc<Plan>) -> ProgressListener {
    let plan = plan.clone();
    ProgressListener::new(move |progress| {
        if let Progress::Compiling { .. } = progress {
            let number = plan.pipelines.fetch_add(1, Ordering::Relaxed);
            if plan.at_pipelines.lock().unwrap().contains(&number) {
                plan.lose();
            }
        }
    })
}

/// Counts calls and passes them on.
struct Disturbed {
    inner: striate::gpu::Executor,
    plan: Arc<Plan>,
}

impl Executor for Disturbed {
    fn write(&mut self, buffer: BufferId, values: &[f32]) -> Result<()> {
        self.plan.call();
        self.inner.write(buffer, values)
    }

    fn start_read(&mut self, buffer: BufferId) -> Result<Pending> {
        self.plan.call();
        self.inner.start_read(buffer)
    }

    fn finish_read(&mut self, pending: Pending) -> Result<Vec<f32>> {
        self.plan.call();
        self.inner.finish_read(pending)
    }

    fn run(&mut self, span: Span) -> Result<()> {
        self.plan.call();
        self.inner.run(span)
    }

    fn profile(&mut self, span: Span) -> Result<Profile> {
        self.inner.profile(span)
    }

    fn wait(&mut self) -> Result<()> {
        self.inner.wait()
    }
}

/// A network with something random in it, and its data.
struct Bench {
    spec: Spec,
    model: Model,
    data: Splits,
    options: Options,
    parent: tempfile::TempDir,
    choice: AdapterSelector,
}

/// What a run came to.
struct Run {
    result: Result<Done>,
    folder: PathBuf,
    warnings: Vec<String>,
    plan: Arc<Plan>,
    time: Duration,
}

impl Bench {
    /// `None` without an adapter. Three epochs of seven updates, with a checkpoint after every fourth and each epoch.
    fn new() -> Option<Bench> {
        let Some(first) = adapters().into_iter().next() else {
            let required = std::env::var("STRIATE_REQUIRE_GPU").is_ok_and(|value| value == "1");
            assert!(!required, "STRIATE_REQUIRE_GPU=1, but there is no adapter");
            eprintln!("SKIPPED, NOT TESTED: no GPU adapter here");
            return None;
        };
        let spec = Spec::parse(NETWORK, "normed").unwrap();
        let options = Options::default().with_seed(5).with_log_every(3).with_checkpoint_every(Some(4));
        let model = Model::build(&spec, &options.build_options(&spec, Target::Class)).unwrap();
        let parent = tempfile::tempdir().unwrap();
        let choice = AdapterSelector::Index(first.index);
        Some(Bench { spec, model, data: data(51, 20), options, parent, choice })
    }

    /// Trains with the device lost as `plan` says, and besides whenever `disturb` wants, which runs on another thread.
    fn train(&self, plan: Plan, policy: OnDeviceLost, disturb: impl FnOnce(&Plan) + Send) -> Run {
        let plan = Arc::new(plan);
        let open = || {
            let cache = Arc::new(Keeper(plan.clone()));
            let setup = DeviceOptions::default().with_cache(cache).with_progress(losing(&plan));
            let gpu = Gpu::open_with(&self.choice, &setup)?;
            *plan.gpu.lock().unwrap() = Some(gpu.clone());
            plan.opened.fetch_add(1, Ordering::Relaxed);
            let inner = striate::gpu::Executor::new(&gpu, self.model.program.clone())?;
            let mut executor = Disturbed { inner, plan: plan.clone() };
            initialise(&self.model, &mut executor, self.options.seed)?;
            Ok(DeviceExecutor { executor: Box::new(executor), device: gpu.info().name.as_str().into() })
        };
        let (began, stop, mut warnings) = (Instant::now(), AtomicBool::new(false), Vec::new());
        let Bench { spec, model, data, options, parent, .. } = self;
        let task = TrainingTask { spec, model, data, options, device: "".into() };
        let mut recovery = Recovery::new(policy, open).with_resume_command("striate train --resume X".into());
        let mut reported = Vec::new();
        let opened = recovery.open(&mut |text| {
            reported.push(text);
            Ok(())
        });
        let folder = RunFolder::create(parent.path(), "run", "").unwrap();
        let path = folder.path().to_path_buf();
        let mut observer = |event: &Event| {
            // The folder is this run's from the first line to the last.
            assert_eq!(RunFolder::reopen(&path).unwrap_err().exit_code(), 2);
            if let Event::Warning(text) = event {
                warnings.push(text.clone());
            }
            Ok(())
        };
        let result = opened.and_then(|opened| {
            let prefetcher = Prefetcher::start(spec, model, data, options)?;
            let folder = Some(folder);
            let job = PreparedRun {
                task,
                device_executor: opened,
                prefetcher,
                folder,
                checkpoint: None,
                force: false,
                args: String::new(),
            };
            std::thread::scope(|scope| {
                scope.spawn(|| disturb(&plan));
                recovery.train(job, &mut observer, &stop)
            })
        });
        warnings.splice(0..0, reported);
        plan.gpu.lock().unwrap().take();
        Run { result, folder: path, warnings, plan, time: began.elapsed() }
    }

    fn undisturbed(&self) -> Run {
        let run = self.train(Plan::default(), OnDeviceLost::Retry, |_| {});
        assert_eq!(run.result.as_ref().unwrap().ending, Ending::Complete);
        assert!(run.warnings.is_empty(), "{:?}", run.warnings);
        run
    }
}

impl Run {
    /// What it left, except for times and paths.
    fn remains(&self) -> Vec<String> {
        let mut remains = lines(&self.folder);
        remains.extend(["last", "best"].map(|name| hash(&self.folder.join(format!("{name}.safetensors")))));
        let newest = Checkpoint::read(&self.folder.join("checkpoint.safetensors")).unwrap();
        remains.push(format!("step {}", newest.step()));
        remains
    }

    /// The plan of another run that has the compiled shaders of this one.
    fn plan(&self, at: &[usize], at_pipelines: &[usize]) -> Plan {
        let files = self.plan.files.lock().unwrap().clone();
        Plan {
            at: at.to_vec().into(),
            at_pipelines: at_pipelines.to_vec().into(),
            files: files.into(),
            ..Plan::default()
        }
    }
}

/// The lines of a run's log except for times and paths.
fn lines(folder: &Path) -> Vec<String> {
    let text = std::fs::read_to_string(folder.join("log.jsonl")).unwrap();
    let line = |line: &str| {
        let mut event: serde_json::Value = serde_json::from_str(line).unwrap();
        for key in ["seconds", "images_per_second", "data_wait", "folder", "weights"] {
            event.as_object_mut().unwrap().remove(key);
        }
        event.to_string()
    };
    text.lines().map(line).collect()
}

/// Of all tensors in the file.
fn hash(path: &Path) -> String {
    let file = striate::interchange::read(path).unwrap();
    let tensors: Vec<(String, &[f32])> = file.tensors.iter().map(|(n, t)| (n.clone(), t.data())).collect();
    striate::interchange::weights_sha256(&tensors)
}

#[test]
fn a_run_that_loses_its_device_ends_as_if_it_had_not() {
    let Some(bench) = Bench::new() else { return };
    let whole = bench.undisturbed();
    let (expected, calls) = (whole.remains(), whole.plan.calls.load(Ordering::Relaxed));
    let pipelines = whole.plan.pipelines.load(Ordering::Relaxed);
    let mut stream = Stream::new(23, Purpose::Test, 0);
    let points = size(20, 100);
    let (mut losses, mut from_checkpoint, mut from_beginning) = (0, 0, 0);
    for point in 0..points {
        // Of five points, one has two losses, one is while pipelines are made, one at any moment, one early.
        let mut some = || stream.below(calls as u32) as usize;
        let moment = Duration::from_secs_f64(whole.time.as_secs_f64() * some() as f64 / calls as f64);
        let plan = match point % 5 {
            0 => whole.plan(&[some(), some() + calls / 3], &[]),
            1 => whole.plan(&[], &[some() % pipelines]),
            2 => whole.plan(&[], &[]),
            // Before there is a checkpoint.
            3 => whole.plan(&[some() / 8], &[]),
            _ => whole.plan(&[some()], &[]),
        };
        let run = bench.train(plan, OnDeviceLost::Retry, |plan| {
            if point % 5 == 2 {
                std::thread::sleep(moment);
                plan.lose();
            }
        });
        let result = run.result.as_ref().unwrap_or_else(|error| panic!("point {point}: {error}"));
        assert_eq!(result.ending, Ending::Complete);
        assert_eq!(run.remains(), expected, "point {point}: {:?}", run.warnings);
        assert_eq!(run.warnings.len() + 1, run.plan.opened.load(Ordering::Relaxed), "{:?}", run.warnings);
        assert!(run.warnings.iter().all(|text| text.contains("the device was lost")), "{:?}", run.warnings);
        losses += run.warnings.len();
        from_checkpoint += run.warnings.iter().filter(|text| text.contains("checkpoint.safetensors")).count();
        from_beginning += run.warnings.iter().filter(|text| text.contains("the run restarts")).count();
        std::fs::remove_dir_all(&run.folder).unwrap();
    }
    println!(
        "C1 gpu: {points} of {points} runs with {losses} losses recovered ({from_checkpoint} from a checkpoint, \
         {from_beginning} from the beginning) to the same bits and the same log, 0 panics"
    );
    assert!(losses + 3 >= points && from_checkpoint > 0 && from_beginning > 0);
}

#[test]
fn a_device_that_is_lost_again_and_again_is_given_up_with_a_checkpoint() {
    let Some(bench) = Bench::new() else { return };
    let whole = bench.undisturbed();
    let calls = whole.plan.calls.load(Ordering::Relaxed);
    // Once past the first epoch, every call finds the device gone.
    let all: Vec<usize> = (calls / 2..4 * calls).collect();
    let run = bench.train(whole.plan(&all, &[]), OnDeviceLost::Retry, |_| {});
    let error = run.result.unwrap_err();
    assert!(matches!(error, Error::Lost(_)) && error.exit_code() == 3, "{error}");
    let newest = Checkpoint::read(&run.folder.join("checkpoint.safetensors")).unwrap();
    let text = error.to_string();
    let holds =
        format!("checkpoint.safetensors holds step {}; to resume: striate train --resume X", newest.step());
    assert!(text.contains("3 times in a row without a new step") && text.ends_with(&holds), "{text}");
    assert_eq!(run.plan.opened.load(Ordering::Relaxed), 3);
    assert_eq!(run.warnings.len(), 2, "{:?}", run.warnings);
    println!("C1 gpu: three losses in a row end with exit code 3: {text}");
}

#[test]
fn with_stop_the_first_loss_is_the_end() {
    let Some(bench) = Bench::new() else { return };
    let whole = bench.undisturbed();
    let calls = whole.plan.calls.load(Ordering::Relaxed);
    let run = bench.train(whole.plan(&[calls * 3 / 4], &[]), OnDeviceLost::Stop, |_| {});
    let error = run.result.unwrap_err();
    assert!(matches!(error, Error::Lost(_)) && error.exit_code() == 3, "{error}");
    assert!(Checkpoint::read(&run.folder.join("checkpoint.safetensors")).is_ok());
    assert!(error.to_string().contains("; to resume: striate train --resume X"), "{error}");
    // Before there is a checkpoint, no command is of any use.
    let run = bench.train(whole.plan(&[calls / 20], &[]), OnDeviceLost::Stop, |_| {});
    let error = run.result.unwrap_err();
    assert_eq!(error.exit_code(), 3);
    assert!(error.to_string().ends_with("has no checkpoint yet"), "{error}");
    assert!(run.warnings.is_empty());
}
