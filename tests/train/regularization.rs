//! Moving averages, MixUp, CutMix and random erasing in whole runs: beside accumulation, loss scaling, freezing and saving; and where
//! they are refused.

use crate::training_support::{self, data, plain, small, train, try_train};
use std::collections::BTreeMap;
use std::sync::atomic::AtomicBool;
use striate::inference::{Named, collect, collect_averaged, initialise};
use striate::interchange::safetensors;
use striate::model::{LossKind, Model, Recipe, Spec};
use striate::ops::Target;
use striate::program::{BufferId, Executor, Pending, Span};
use striate::run::RunFolder;
use striate::tensor::Tensor;
use striate::train::{Event, Options, Trainer, TrainingTask, Weights};
use striate::{Error, Result};

/// The small network with a batch norm, on an executor of its own: weights after each of `steps` updates, and the averages.
fn averaged(spec: &Spec, options: &Options, steps: usize) -> (Vec<Named>, Named) {
    let after = |steps| {
        let options = options.clone().with_max_steps(Some(steps));
        let model = Model::build(spec, &options.build_options(spec, Target::Class)).unwrap();
        let mut executor = striate::cpu::Executor::new(model.program.clone()).unwrap();
        training_support::train_on(spec, &model, &data(60, 0), &options, &mut executor);
        (collect(&model, &mut executor).unwrap(), collect_averaged(&model, &mut executor).unwrap())
    };
    let weights = (1..=steps).map(|steps| after(steps).0).collect();
    (weights, after(steps).1)
}

fn with_batch_norm() -> Spec {
    let norm =
        "name = \"features.1\"\nop = \"batch_norm2d\"\n[[layer]]\nname = \"features.9\"\nop = \"relu\"";
    let source = small().source.replace("name = \"features.1\"\nop = \"relu\"", norm);
    let mut spec = Spec::parse(&source, "with batch norm").unwrap();
    spec.recipe.batch_size = 8;
    spec
}

/// Fails unless `found` is the average of `initial` and the weights of the updates.
#[track_caller]
fn assert_average(initial: &BTreeMap<String, Tensor>, weights: &[Named], found: &Named, decay: f64) {
    for (number, (name, found)) in found.iter().enumerate() {
        let mut expected: Vec<f64> = initial[name].data().iter().map(|&w| w.into()).collect();
        for weights in weights {
            for (a, &w) in expected.iter_mut().zip(weights[number].1.data()) {
                *a = decay * *a + (1.0 - decay) * f64::from(w);
            }
        }
        for (a, expected) in found.data().iter().zip(&expected) {
            assert!(
                (f64::from(*a) - expected).abs() < 1e-6 * (1.0 + expected.abs()),
                "{name}: {a} {expected}"
            );
        }
        // A bias before a batch norm has no gradient.
        let stays = name == "features.0.bias";
        assert!(stays || found != &weights[weights.len() - 1][number].1, "{name} is no average");
    }
}

#[test]
fn an_average_is_made_once_an_update_also_with_accumulation_and_loss_scaling() {
    let mut spec = with_batch_norm();
    let initial = train(&spec, &data(60, 0), &plain().with_max_steps(Some(1))).before;
    for (accumulate, scale) in [(1, None), (3, None), (1, Some(1024.0)), (2, Some(1024.0))] {
        spec.recipe.grad_accum_steps = accumulate;
        let options = plain().with_ema(0.7).with_loss_scale(scale);
        let (weights, averages) = averaged(&spec, &options, 3);
        assert_average(&initial, &weights, &averages, 0.7);
        // The averages change nothing else.
        let (without, _) = averaged(&spec, &options.with_ema(None), 3);
        assert_eq!(weights, without);
    }
}

#[test]
fn a_skipped_update_leaves_the_averages() {
    let mut spec = with_batch_norm();
    spec.recipe = Recipe { batch_size: 8, ..spec.recipe };
    let options = plain().with_ema(0.5).with_loss_scale(Some(2f32.powi(126)));
    let (weights, averages) = averaged(&spec, &options, 2);
    let initial = train(&spec, &data(60, 0), &plain().with_max_steps(Some(1))).before;
    for (name, average) in &averages {
        assert_eq!(average, &initial[name], "{name}");
    }
    // The statistics of the batches have changed meanwhile.
    assert!(weights[1].iter().any(|(name, tensor)| tensor != &initial[name]));
}

#[test]
fn what_is_frozen_is_its_own_average_and_takes_no_memory() {
    let spec = with_batch_norm();
    let options = plain().with_ema(0.7).with_freeze("features");
    let model = Model::build(&spec, &options.build_options(&spec, Target::Class)).unwrap();
    let names: Vec<&str> = model.averages().map(|(p, _)| p.name.as_str()).collect();
    let expected = ["classifier.1.weight", "classifier.1.bias", "classifier.3.weight", "classifier.3.bias"];
    assert_eq!(names, expected);
    let (weights, averages) = averaged(&spec, &options, 3);
    let initial = train(&spec, &data(60, 0), &plain().with_max_steps(Some(1))).before;
    for (name, average) in averages.iter().filter(|(name, _)| name.starts_with("features")) {
        assert_eq!(average, &initial[name], "{name}");
    }
    let trained = |tensors: &Named| {
        tensors.iter().filter(|(name, _)| name.starts_with("classifier")).cloned().collect::<Named>()
    };
    let weights: Vec<Named> = weights.iter().map(trained).collect();
    assert_average(&initial, &weights, &trained(&averages), 0.7);
    let bytes = |options: &Options| {
        let model = Model::build(&spec, &options.build_options(&spec, Target::Class)).unwrap();
        striate::model::Summary::new(&model)
    };
    let (with, without) = (bytes(&options), bytes(&plain().with_freeze("features")));
    let trained: usize = model.averages().map(|(p, _)| p.shape.len()).sum();
    assert_eq!((with.averages, without.averages), (4 * trained as u64, 0));
    assert_eq!(with.memory - without.memory, with.averages);
    assert!(with.memory_line().contains("averages "), "{}", with.memory_line());
}

#[test]
fn the_averages_are_evaluated_and_saved_and_the_weights_go_on() {
    let mut spec = with_batch_norm();
    spec.recipe.epochs = 3;
    let data = data(64, 30);
    let parent = tempfile::tempdir().unwrap();
    let folder = RunFolder::create(parent.path(), "run", "").unwrap();
    let [best, last] = [Weights::Best, Weights::Last].map(|which| folder.weights_path(which));
    let options = plain().with_ema(0.9);
    let run = try_train(&spec, &data, &options, Some(folder)).unwrap();
    // Evaluating the averages leaves the weights as a run without them has them.
    let without = train(&spec, &data, &plain());
    assert_eq!(run.after, without.after);
    assert_ne!(run.epochs()[2].val_loss, without.epochs()[2].val_loss);
    for path in [best, last] {
        let file = safetensors::read(&path).unwrap();
        assert_eq!(file.metadata["ema_decay"], "0.9");
        assert_ne!(file.tensors["classifier.3.weight"], run.after["classifier.3.weight"]);
        let epoch = run.epochs().into_iter().find(|e| e.epoch.to_string() == file.metadata["epoch"]).unwrap();
        let restored = striate::inference::spec_of(&file, None).unwrap();
        let (totals, _) = training_support::evaluate(&restored, file, &data.val);
        assert!((totals.loss() - epoch.val_loss).abs() < 1e-6, "{} {}", totals.loss(), epoch.val_loss);
        assert_eq!(totals.acc1(), epoch.acc1);
    }
    let checkpoint = safetensors::read(parent.path().join("run/checkpoint.safetensors")).unwrap();
    assert_eq!(checkpoint.tensors["classifier.3.weight"], run.after["classifier.3.weight"]);
}

/// A mixed run of one image an update sees each image alone, so a last batch of one is as without mixing.
/// Fails where an evaluation reads the outputs.
struct NoOutputs {
    inner: striate::cpu::Executor,
    logits: BufferId,
}

impl Executor for NoOutputs {
    fn write(&mut self, buffer: BufferId, values: &[f32]) -> Result<()> {
        self.inner.write(buffer, values)
    }

    fn start_read(&mut self, buffer: BufferId) -> Result<Pending> {
        match buffer == self.logits {
            true => Err(Error::Device("no outputs".into())),
            false => self.inner.start_read(buffer),
        }
    }

    fn finish_read(&mut self, pending: Pending) -> Result<Vec<f32>> {
        self.inner.finish_read(pending)
    }

    fn run(&mut self, span: Span) -> Result<()> {
        self.inner.run(span)
    }

    fn wait(&mut self) -> Result<()> {
        self.inner.wait()
    }
}

#[test]
fn an_evaluation_that_fails_leaves_the_weights_in_their_place() {
    let (spec, data, options) = (small(), data(48, 16), plain().with_ema(0.9));
    let expected = train(&spec, &data, &plain()).after;
    let model = Model::build(&spec, &options.build_options(&spec, Target::Class)).unwrap();
    let inner = striate::cpu::Executor::new(model.program.clone()).unwrap();
    let mut executor = NoOutputs { inner, logits: model.logits };
    initialise(&model, &mut executor, options.seed).unwrap();
    let task =
        TrainingTask { spec: &spec, model: &model, data: &data, options: &options, device: "test".into() };
    let (mut observer, stop) = (|_: &Event| Ok(()), AtomicBool::new(false));
    let error = Trainer::new(task, &mut executor, &mut observer, &stop).unwrap().run().unwrap_err();
    assert!(error.to_string().contains("no outputs"), "{error}");
    for (name, found) in collect(&model, &mut executor).unwrap() {
        for (a, b) in found.data().iter().zip(expected[&name].data()) {
            assert!((a - b).abs() < 1e-6, "{name}: {a} {b}");
        }
    }
}

#[test]
fn no_erasing_at_all_takes_the_place_of_that_of_the_model_file() {
    let data = data(48, 16);
    let hash = |probability: f64, options: Options| {
        let mut spec = small();
        spec.augment.random_erasing = probability;
        train(&spec, &data, &options).epochs()[0].weights_sha256.clone()
    };
    let options = Options::default().with_seed(1);
    let none = hash(0.0, options.clone());
    assert_eq!(hash(0.9, options.clone().with_random_erasing(0.0)), none);
    assert_ne!(hash(0.9, options.clone()), none);
    // It fits what erasing does not fit.
    let mut spec = small();
    spec.augment.cutout = 2;
    for (probability, fits) in [(0.0, true), (0.5, false)] {
        let options = options.clone().with_random_erasing(probability);
        assert_eq!(options.check_spec(&spec).is_ok(), fits);
        assert_eq!(options.with_augment(false).check().is_ok(), fits);
    }
}

#[test]
fn a_last_batch_of_one_image_is_mixed_with_itself() {
    let mut spec = small();
    (spec.recipe.batch_size, spec.recipe.lr) = (16, 0.0);
    let losses = |options: Options| {
        let run = train(&spec, &data(33, 0), &options.with_log_every(1));
        run.steps().iter().map(|step| step.loss).collect::<Vec<_>>()
    };
    let options = plain().with_augment(true);
    let plain = losses(options.clone());
    for mixed in [losses(options.clone().with_mixup(1.0)), losses(options.with_cutmix(1.0))] {
        assert!((mixed[2] - plain[2]).abs() < 1e-6, "{mixed:?} {plain:?}");
        assert!(mixed[..2].iter().zip(&plain).all(|(a, b)| (a - b).abs() > 1e-6), "{mixed:?} {plain:?}");
    }
}

#[test]
fn mixed_and_erased_images_are_learnt() {
    let mut spec = small();
    (spec.recipe.epochs, spec.recipe.momentum, spec.recipe.label_smoothing) = (12, 0.9, 0.1);
    let options = Options::default().with_ema(0.9).with_mixup(0.2).with_cutmix(0.5).with_random_erasing(0.25);
    let run = train(&spec, &data(160, 64), &options);
    let epochs = run.epochs();
    assert!(epochs[11].acc1 > 90.0, "{epochs:?}");
    // The share of images whose larger label is answered, which is lower.
    assert!(epochs[11].train_acc1 > 40.0 && epochs[11].train_acc1 < epochs[11].acc1, "{epochs:?}");
}

#[test]
fn what_has_no_effect_or_no_meaning_is_refused_in_one_line() {
    let refused = |options: &Options, change: &dyn Fn(&mut Spec), parts: &[&str]| {
        let mut spec = small();
        change(&mut spec);
        let text = match options.check() {
            Err(text) => text,
            Ok(()) => {
                let error = options.check_spec(&spec).unwrap_err();
                assert_eq!(error.exit_code(), 2);
                error.to_string()
            }
        };
        assert!(!text.contains('\n') && parts.iter().all(|part| text.contains(part)), "{text}");
    };
    let nothing = |_: &mut Spec| {};
    let options = Options::default;
    refused(&options().with_ema(1.0), &nothing, &["ema: expected 0 or more and less than 1, found 1"]);
    refused(&options().with_ema(f64::NAN), &nothing, &["ema: ", "found NaN"]);
    refused(&options().with_mixup(0.0), &nothing, &["mixup: expected a number above 0, found 0"]);
    refused(&options().with_cutmix(f64::INFINITY), &nothing, &["cutmix: ", "found inf"]);
    refused(&options().with_random_erasing(1.5), &nothing, &["random_erasing: expected 0 to 1, found 1.5"]);
    refused(&options().with_cutmix(1.0).with_augment(false), &nothing, &["cutmix: expected augmentation"]);
    let batch = options().with_random_erasing(0.5).with_overfit_batch(true);
    refused(&batch, &nothing, &["random_erasing: ", "overfit-batch"]);
    let mse = |spec: &mut Spec| spec.recipe.loss = LossKind::Mse;
    refused(&options().with_mixup(0.2), &mse, &["mixup: expected the loss cross-entropy, found mse"]);
    refused(&options().with_cutmix(1.0), &mse, &["cutmix: expected the loss cross-entropy, found mse"]);
    let one = |spec: &mut Spec| spec.recipe.batch_size = 1;
    refused(&options().with_cutmix(1.0), &one, &["cutmix: expected a batch size of at least 2, found 1"]);
    let holes = |spec: &mut Spec| spec.augment.cutout = 3;
    refused(&options().with_random_erasing(0.5), &holes, &["random-erasing: ", "found cutout = 3"]);
    // Averages need neither.
    let mut spec = small();
    (spec.recipe.loss, spec.recipe.batch_size) = (LossKind::Mse, 1);
    options().with_ema(0.9).with_augment(false).check_spec(&spec).unwrap();
    // The trainer refuses them too, and changes of pixels where images are none.
    let changed = options().with_trivial_augment(true);
    let error = try_train(&small(), &data(8, 0), &changed, None).unwrap_err();
    assert_eq!(error.exit_code(), 2);
    assert!(error.to_string().starts_with("trivial-augment: expected 8-bit images"), "{error}");
    assert_eq!(try_train(&spec, &data(8, 0), &options().with_mixup(0.2), None).unwrap_err().exit_code(), 2);
}
