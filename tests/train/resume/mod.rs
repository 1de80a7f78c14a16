//! A run that was stopped and resumed does what it would have done without the stop: the same weights, bit for bit, and the
//! same lines in its logs. And what happens if its checkpoints are damaged, of another run, or cannot be written.

mod damage;
mod failure;
mod limits;
mod other;

use super::training_support::data;
use std::cell::Cell;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use striate::Result;
use striate::data::{Sampler, Splits};
use striate::inference::class_weights;
use striate::model::{ClassWeights, Model, Optimizer, Scheduler, Spec};
use striate::ops::Target;
use striate::run::{Checkpoint, RunFolder};
use striate::train::{Done, Ending, Event, Options, Trainer, TrainingTask};

const NETWORK: &str = r#"
name = "normed"
input = [1, 8, 8]
[preprocess]
mean = [0.4]
std = [0.3]
[augment]
flip = true
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
op = "max_pool2d"
kernel = 2
[[layer]]
op = "flatten"
[[layer]]
op = "dropout"
p = 0.3
[[layer]]
op = "linear"
out_features = 4
"#;

/// With batch norm, dropout, momentum and augmentation: 3 epochs of 7 updates on [`pictures`].
fn network() -> Spec {
    Spec::parse(NETWORK, "normed").unwrap()
}

/// 51 samples to train on in batches of 8, the last of 3, and 20 to validate on.
fn pictures() -> Splits {
    data(51, 20)
}

fn options() -> Options {
    Options::default().with_seed(5).with_log_every(3)
}

/// One part of a run: what it trains and how, and what happens on the way.
struct Part<'a> {
    spec: &'a Spec,
    data: &'a Splits,
    options: Options,
    /// Where it resumes.
    from: Option<&'a Path>,
    force: bool,
    /// Sees every event; the first flag stops the run, the second asks for a checkpoint.
    watch: &'a dyn Fn(&Event, &AtomicBool, &AtomicBool),
}

impl<'a> Part<'a> {
    fn new(spec: &'a Spec, data: &'a Splits, options: &Options) -> Self {
        Part { spec, data, options: options.clone(), from: None, force: false, watch: &|_, _, _| {} }
    }

    fn run(&self, parent: &Path) -> Result<(Done, PathBuf)> {
        let options = &self.options;
        let mut build = options.build_options(self.spec, Target::Class);
        build.class_weights = class_weights(&self.spec.recipe, &self.data.train, 4)?;
        let model = Model::build(self.spec, &build)?;
        let mut executor = striate::cpu::Executor::new(model.program.clone())?;
        striate::inference::initialise(&model, &mut executor, options.seed)?;
        let (stop, save) = (AtomicBool::new(false), AtomicBool::new(false));
        let mut observer = |event: &Event| {
            (self.watch)(event, &stop, &save);
            Ok(())
        };
        let task =
            TrainingTask { spec: self.spec, model: &model, data: self.data, options, device: "cpu".into() };
        let (folder, checkpoint) = match self.from {
            None => (RunFolder::create(parent, "run", "")?, None),
            Some(path) => {
                let (folder, all) = Checkpoint::find(path)?;
                (RunFolder::reopen(&folder)?, Some(Checkpoint::read_first(&all)?))
            }
        };
        let path = folder.path().to_path_buf();
        let trainer = Trainer::new(task, &mut executor, &mut observer, &stop)?;
        let trainer = match checkpoint {
            None => folder.keep(trainer),
            Some(checkpoint) => checkpoint.resume(trainer, Some(folder), self.force)?,
        };
        Ok((trainer.with_save_request(&save).run()?, path))
    }
}

/// The lines of a run's logs except for times and paths.
fn lines(folder: &Path) -> Vec<String> {
    let read = |name: &str| std::fs::read_to_string(folder.join(name)).unwrap();
    let mut lines = Vec::new();
    for line in read("log.jsonl").lines() {
        let mut event: serde_json::Value = serde_json::from_str(line).unwrap();
        for key in ["seconds", "images_per_second", "data_wait", "folder", "weights"] {
            event.as_object_mut().unwrap().remove(key);
        }
        lines.push(event.to_string());
    }
    for line in read("metrics.csv").lines() {
        let fields: Vec<&str> = line.split(',').collect();
        assert_eq!(fields.len(), 14, "{line}");
        lines.push([&fields[..9], &fields[11..]].concat().join(","));
    }
    lines
}

/// The bytes of `best.safetensors` and `last.safetensors`.
fn weights(folder: &Path) -> [Vec<u8>; 2] {
    ["best.safetensors", "last.safetensors"].map(|name| std::fs::read(folder.join(name)).unwrap())
}

/// Stops a run of `spec` after `steps` updates and resumes it; its folder and how it ended.
fn interrupted(
    spec: &Spec,
    data: &Splits,
    options: &Options,
    steps: usize,
    later: &Options,
) -> (tempfile::TempDir, PathBuf) {
    let parent = tempfile::tempdir().unwrap();
    let first = options.clone().with_max_steps(Some(steps));
    let (_, folder) = Part::new(spec, data, &first).run(parent.path()).unwrap();
    let (done, again) =
        Part { from: Some(&folder), ..Part::new(spec, data, later) }.run(parent.path()).unwrap();
    assert_eq!(again, folder);
    assert_ne!(done.ending, Ending::Interrupted);
    (parent, folder)
}

/// A run of `spec` is the same with a stop after any of `steps` updates.
#[track_caller]
fn assert_goes_on(spec: &Spec, options: &Options, steps: impl IntoIterator<Item = usize>) {
    let data = pictures();
    let parent = tempfile::tempdir().unwrap();
    let (_, whole) = Part::new(spec, &data, options).run(parent.path()).unwrap();
    let workers = [1, 2, 4, 0];
    for stop in steps {
        let later = options.clone().with_workers(workers[stop % 4]);
        let (_parent, folder) = interrupted(spec, &data, options, stop, &later);
        assert_eq!(lines(&folder), lines(&whole), "stopped after {stop} updates");
        assert!(weights(&folder) == weights(&whole), "stopped after {stop} updates");
    }
}

#[test]
fn a_run_goes_on_the_same_from_every_step_of_it() {
    // 21 updates; the 7th and 14th end an epoch, the 21st the run.
    assert_goes_on(&network(), &options(), 1..=21);
}

#[test]
fn every_optimiser_and_accumulation_go_on_the_same() {
    for optimizer in [Optimizer::Adam, Optimizer::AdamW, Optimizer::RmsProp] {
        let mut spec = network();
        spec.recipe = striate::model::Recipe {
            epochs: 2,
            batch_size: 8,
            ..striate::model::Recipe::for_optimizer(optimizer)
        };
        assert_goes_on(&spec, &options(), [1, 4, 7, 12]);
    }
    let mut spec = network();
    (spec.recipe.grad_accum_steps, spec.recipe.clip_grad_norm) = (2, Some(0.5));
    assert_goes_on(&spec, &options(), [1, 3, 4, 6, 11]);
}

#[test]
fn loss_scaling_goes_on_the_same_also_while_the_scale_falls() {
    let mut spec = network();
    (spec.recipe.epochs, spec.recipe.clip_grad_norm) = (2, Some(0.5));
    let options = options().with_loss_scale(Some(2f32.powi(68))).with_log_every(1);
    let data = pictures();
    let parent = tempfile::tempdir().unwrap();
    let (_, whole) = Part::new(&spec, &data, &options).run(parent.path()).unwrap();
    let skips = lines(&whole).iter().filter(|line| line.contains("skipped so far")).count();
    assert!(skips > 0, "no gradient overflowed");
    let scale = |folder: &Path| {
        let file = striate::interchange::safetensors::read(folder.join("checkpoint.safetensors")).unwrap();
        striate::ops::Scaling::from_words(file.tensors["loss_scale"].data())
    };
    let end = scale(&whole);
    assert!(end.skipped > 0.0 && end.updates > 0.0 && end.skipped + end.updates == 14.0, "{end:?}");
    for stop in [1, 4, 7, 12] {
        let (_parent, folder) = interrupted(&spec, &data, &options, stop, &options);
        assert_eq!(scale(&folder), end, "stopped after {stop} updates");
    }
    assert_goes_on(&spec, &options, [1, 2, 4, 6, 7, 9, 13]);
}

#[test]
fn averages_mixed_images_and_erased_rectangles_go_on_the_same() {
    let options = options().with_ema(0.8).with_mixup(0.5).with_cutmix(1.0).with_random_erasing(0.5);
    let normal = network();
    assert_goes_on(&normal, &options, [1, 3, 7, 9, 14, 20]);
    let mut spec = network();
    (spec.recipe.epochs, spec.recipe.grad_accum_steps) = (2, 2);
    let scaled = options.clone().with_loss_scale(Some(2f32.powi(68)));
    assert_goes_on(&spec, &scaled, [1, 3, 4, 6]);
    // The checkpoint holds the averages beside the weights, and what is missing of them is no other run.
    let (data, parent) = (pictures(), tempfile::tempdir().unwrap());
    let half = options.clone().with_max_steps(Some(10));
    let (_, folder) = Part::new(&normal, &data, &half).run(parent.path()).unwrap();
    let file = striate::interchange::safetensors::read(folder.join("checkpoint.safetensors")).unwrap();
    for name in ["conv2d.0.weight", "batch_norm2d.1.running_var", "linear.6.bias"] {
        let (weight, average) = (&file.tensors[name], &file.tensors[&format!("ema.{name}")]);
        assert!(weight.shape() == average.shape() && weight != average, "{name}");
    }
    for (other, line) in [
        (options.clone().with_ema(None), "ema: 0.8 in this run, none given"),
        (options.clone().with_mixup(0.4), "mixup: 0.5 in this run, 0.4 given"),
        (options.clone().with_cutmix(None), "cutmix: 1 in this run, none given"),
        (options.clone().with_random_erasing(0.4), "random-erasing: 0.5 in this run, 0.4 given"),
    ] {
        let part = Part { from: Some(&folder), ..Part::new(&normal, &data, &other) };
        let text = part.run(parent.path()).unwrap_err().to_string();
        assert!(text.contains(line), "{line}: {text}");
    }
    // A run without averages that is forced to keep some begins them with its weights.
    let (_, folder) = Part::new(&normal, &data, &half.with_ema(None)).run(parent.path()).unwrap();
    let last = options.with_ema(0.0).with_max_steps(Some(10));
    let forced = Part { from: Some(&folder), force: true, ..Part::new(&normal, &data, &last) };
    forced.run(parent.path()).unwrap();
    let file = striate::interchange::safetensors::read(folder.join("last.safetensors")).unwrap();
    let checkpoint = striate::interchange::safetensors::read(folder.join("checkpoint.safetensors")).unwrap();
    assert_eq!(file.tensors["linear.6.weight"], checkpoint.tensors["linear.6.weight"]);
}

#[test]
fn plateau_patience_and_warm_up_go_on_the_same() {
    let mut spec = network();
    (spec.recipe.epochs, spec.recipe.lr) = (8, 1e-30);
    (spec.recipe.lr_scheduler, spec.recipe.lr_patience, spec.recipe.lr_gamma) = (Scheduler::Plateau, 0, 0.5);
    spec.recipe.patience = Some(4);
    // Without dropout and with a rate of nothing no epoch is better than another, except for batch norm's statistics.
    assert_goes_on(&spec, &options(), [5, 14, 17, 24, 28]);
    let mut spec = network();
    (spec.recipe.lr_scheduler, spec.recipe.lr_warmup_epochs) = (Scheduler::Cosine, 1.5);
    assert_goes_on(&spec, &options(), [2, 7, 9, 20]);
}

#[test]
fn orders_of_the_data_and_one_batch_alone_go_on_the_same() {
    for options in [
        options().with_shuffle(false).with_augment(false).with_dropout(false),
        options().with_overfit_batch(true).with_log_every(1),
        options().with_workers(4).with_log_every(100),
    ] {
        assert_goes_on(&network(), &options, [3, 7, 10]);
    }
}

#[test]
fn class_weights_and_a_balanced_sampler_go_on_the_same() {
    let mut spec = network();
    spec.recipe.class_weights = ClassWeights::Balanced;
    (spec.recipe.label_smoothing, spec.recipe.grad_accum_steps) = (0.1, 2);
    assert_goes_on(&spec, &options(), [1, 3, 4, 6, 11]);
    assert_goes_on(&network(), &options().with_sampler(Sampler::Balanced), [1, 3, 7, 10, 20]);
    let both =
        options().with_sampler(Sampler::Balanced).with_checkpoint_every(Some(2)).with_loss_scale(4096.0);
    assert_goes_on(&spec, &both, [2, 5]);
}

#[test]
fn checkpoints_on_the_way_change_nothing_and_each_is_a_place_to_go_on_from() {
    let (spec, data) = (network(), pictures());
    let parent = tempfile::tempdir().unwrap();
    let (_, whole) = Part::new(&spec, &data, &options()).run(parent.path()).unwrap();
    let often = options().with_checkpoint_every(Some(2)).with_checkpoint_hist(30);
    let (_, folder) = Part::new(&spec, &data, &often).run(parent.path()).unwrap();
    assert_eq!((lines(&folder), weights(&folder)), (lines(&whole), weights(&whole)));
    let (_, all) = Checkpoint::find(&folder).unwrap();
    let steps: Vec<usize> = all.iter().map(|path| Checkpoint::read(path).unwrap().step()).collect();
    assert_eq!(steps, [21, 20, 18, 16, 14, 12, 10, 8, 7, 6, 4, 2]);
    // From older ones, always of the same folder.
    for age in [2, 3, 8, 11] {
        let path = folder.join(format!("checkpoint-{age}.safetensors"));
        let expected = Checkpoint::read(&path).unwrap().step();
        let first = Cell::new(None);
        let watch = |event: &Event, _: &AtomicBool, _: &AtomicBool| {
            if let (Event::Step(step), None) = (event, first.get()) {
                first.set(Some(step.step));
            }
        };
        let part = Part { from: Some(&path), watch: &watch, ..Part::new(&spec, &data, &often) };
        part.run(parent.path()).unwrap();
        assert!(first.get().unwrap() > expected, "{first:?} {expected}");
        assert_eq!((lines(&folder), weights(&folder)), (lines(&whole), weights(&whole)));
    }
}

#[test]
fn stops_at_any_time_and_many_of_them_leave_no_trace() {
    let (spec, data) = (network(), pictures());
    let parent = tempfile::tempdir().unwrap();
    let (_, whole) = Part::new(&spec, &data, &options()).run(parent.path()).unwrap();
    let stop_soon = |event: &Event, stop: &AtomicBool, _: &AtomicBool| {
        if matches!(event, Event::Step(_) | Event::Epoch(_)) {
            stop.store(true, Ordering::Relaxed);
        }
    };
    let (mut done, folder) =
        Part { watch: &stop_soon, ..Part::new(&spec, &data, &options()) }.run(parent.path()).unwrap();
    let mut parts = 1;
    while done.ending == Ending::Interrupted {
        let part = Part { watch: &stop_soon, from: Some(&folder), ..Part::new(&spec, &data, &options()) };
        (done, _) = part.run(parent.path()).unwrap();
        parts += 1;
        assert!(parts < 50);
    }
    assert!(parts > 4, "{parts}");
    assert_eq!((lines(&folder), weights(&folder)), (lines(&whole), weights(&whole)));
    // Asked once more, a run that is over is over.
    Part { from: Some(&folder), ..Part::new(&spec, &data, &options()) }.run(parent.path()).unwrap();
    assert_eq!((lines(&folder), weights(&folder)), (lines(&whole), weights(&whole)));
}

#[test]
fn a_request_saves_at_once_and_the_run_goes_on() {
    let (spec, data) = (network(), pictures());
    let parent = tempfile::tempdir().unwrap();
    let every_step = options().with_log_every(1).with_checkpoint_hist(30);
    let asked = Cell::new(0);
    let watch = |event: &Event, _: &AtomicBool, save: &AtomicBool| {
        if matches!(event, Event::Step(step) if step.step == 9) {
            asked.set(asked.get() + 1);
            save.store(true, Ordering::Relaxed);
        }
    };
    let (done, folder) =
        Part { watch: &watch, ..Part::new(&spec, &data, &every_step) }.run(parent.path()).unwrap();
    assert_eq!((done.ending, done.steps, asked.get()), (Ending::Complete, 21, 1));
    let (_, all) = Checkpoint::find(&folder).unwrap();
    let steps: Vec<usize> = all.iter().map(|path| Checkpoint::read(path).unwrap().step()).collect();
    // Step 9 is reported one update later.
    assert_eq!(steps, [21, 14, 10, 7]);
}
