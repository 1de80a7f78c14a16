//! The training loop on small networks: what it learns, that it repeats itself bit for bit, and that batches, accumulation
//! and devices do not change the result.

use crate::training_support::{self, Run, data, plain, small, train, train_on};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use striate::data::Splits;
use striate::model::{Model, Optimizer, Scheduler};
use striate::program::Executor;
use striate::run::RunFolder;
use striate::train::{Ending, Event, Options, Trainer, TrainingTask, Weights};

#[test]
fn the_loss_falls_and_the_validation_set_is_learnt() {
    let mut spec = small();
    spec.recipe.epochs = 6;
    let run = train(&spec, &data(160, 64), &Options::default());
    let epochs = run.epochs();
    assert_eq!(epochs.len(), 6);
    assert!(epochs[5].train_loss < 0.5 * epochs[0].train_loss, "{epochs:?}");
    assert!(epochs[5].acc1 > 90.0, "{epochs:?}");
    assert!(epochs[5].acc5 == 100.0);
    assert_eq!(run.done.steps, 6 * 160 / 16);
    assert_eq!(run.done.ending, Ending::Complete);
}

#[test]
fn the_same_seed_gives_the_same_bits_for_any_number_of_workers() {
    let mut spec = small();
    spec.recipe.epochs = 2;
    spec.augment.flip = true;
    let data = data(72, 16);
    let hashes = |seed, workers| {
        let options = Options::default().with_seed(seed).with_workers(workers);
        train(&spec, &data, &options).epochs().iter().map(|e| e.weights_sha256.clone()).collect::<Vec<_>>()
    };
    let first = hashes(3, 1);
    assert_ne!(first[0], first[1]);
    assert_eq!(first, hashes(3, 1));
    assert_eq!(first, hashes(3, 4));
    assert_ne!(first, hashes(4, 1));
}

#[test]
fn accumulating_two_batches_equals_one_of_twice_the_size() {
    // 80 samples: the last update of an epoch has only 16 rows.
    let data = data(80, 0);
    let weights = |batch, accumulate| {
        let mut spec = small();
        (spec.recipe.batch_size, spec.recipe.grad_accum_steps, spec.recipe.epochs) = (batch, accumulate, 2);
        train(&spec, &data, &plain())
    };
    let (one, two) = (weights(32, 1), weights(16, 2));
    assert_eq!((one.done.steps, two.done.steps), (6, 6));
    one.assert_near(&two, 1e-5);
    let losses = |run: &Run| run.epochs().iter().map(|e| e.train_loss).collect::<Vec<_>>();
    for (a, b) in losses(&one).iter().zip(losses(&two)) {
        assert!((a - b).abs() < 1e-5, "{a} {b}");
    }
}

#[test]
fn a_partial_batch_counts_only_its_rows() {
    let weights = |batch| {
        let mut spec = small();
        (spec.recipe.batch_size, spec.recipe.epochs) = (batch, 3);
        train(&spec, &data(20, 0), &plain())
    };
    // One batch of 20, full or with 12 rows of padding.
    weights(20).assert_near(&weights(32), 1e-6);
}

#[test]
fn the_epoch_loss_is_a_mean_over_samples_not_over_batches() {
    let data = data(20, 20);
    let losses = |batch| {
        let mut spec = small();
        (spec.recipe.batch_size, spec.recipe.epochs, spec.recipe.lr) = (batch, 1, 0.0);
        let epoch = train(&spec, &data, &plain()).epochs()[0].clone();
        (epoch.train_loss, epoch.val_loss)
    };
    let (whole, ragged) = (losses(20), losses(16));
    assert!((whole.0 - ragged.0).abs() < 1e-6, "{whole:?} {ragged:?}");
    assert!((whole.1 - ragged.1).abs() < 1e-6, "{whole:?} {ragged:?}");
}

#[test]
fn a_step_event_comes_after_every_log_interval_and_covers_every_step() {
    let mut spec = small();
    spec.recipe.epochs = 2;
    let steps = |log_every| {
        let options = plain().with_log_every(log_every);
        let run = train(&spec, &data(160, 0), &options);
        run.steps().iter().map(|s| s.step).collect::<Vec<_>>()
    };
    assert_eq!(steps(1), (1..=20).collect::<Vec<_>>());
    assert_eq!(steps(4), [4, 8, 10, 12, 16, 20]);
    assert_eq!(steps(100), [10, 20]);
}

#[test]
fn a_long_epoch_reads_every_record_before_it_is_overwritten() {
    let mut spec = small();
    (spec.recipe.batch_size, spec.recipe.epochs, spec.recipe.lr) = (1, 1, 0.0);
    let samples = 2 * Model::SLOTS + 22;
    let data = data(samples, 0);
    let sparse = train(&spec, &data, &plain().with_log_every(1000));
    let dense = train(&spec, &data, &plain().with_log_every(1));
    let mean = dense.steps().iter().map(|s| s.loss).sum::<f64>() / samples as f64;
    assert_eq!(dense.steps().len(), samples);
    assert!((sparse.epochs()[0].train_loss - mean).abs() < 1e-9);
}

#[test]
fn early_stopping_and_plateau_watch_the_validation_set() {
    let mut spec = small();
    (spec.recipe.epochs, spec.recipe.patience, spec.recipe.lr) = (10, Some(2), 1e-30);
    (spec.recipe.lr_scheduler, spec.recipe.lr_patience, spec.recipe.lr_gamma) = (Scheduler::Plateau, 0, 0.5);
    let run = train(&spec, &data(16, 16), &plain());
    assert_eq!(run.done.ending, Ending::EarlyStop);
    let rates: Vec<f32> = run.epochs().iter().map(|e| e.lr).collect();
    assert_eq!(rates, [1e-30, 1e-30, 0.5e-30]);
    assert_eq!(run.epochs().iter().map(|e| e.best).collect::<Vec<_>>(), [true, false, false]);

    (spec.recipe.patience, spec.recipe.lr_cuts) = (None, Some(1));
    let run = train(&spec, &data(16, 16), &plain());
    assert_eq!(run.done.ending, Ending::EarlyStop);
    let rates: Vec<f32> = run.epochs().iter().map(|e| e.lr).collect();
    assert_eq!(rates, [1e-30, 1e-30, 0.5e-30]);
}

#[test]
fn max_steps_ends_a_run_within_an_epoch_but_with_its_evaluation() {
    let options = plain().with_max_steps(Some(7));
    let run = train(&small(), &data(160, 16), &options);
    assert_eq!((run.done.steps, run.epochs().len(), run.done.ending), (7, 1, Ending::Complete));
}

#[test]
fn a_stop_is_obeyed_after_the_step_and_leaves_weights() {
    let parent = tempfile::tempdir().unwrap();
    let (spec, data, options) = (small(), data(160, 16), plain().with_log_every(1));
    let model = Model::build(&spec, &options.build_options(&spec, striate::ops::Target::Class)).unwrap();
    let mut executor = striate::cpu::Executor::new(model.program.clone()).unwrap();
    striate::inference::initialise(&model, &mut executor, 0).unwrap();
    let stop = AtomicBool::new(false);
    let mut observer = |event: &Event| {
        if matches!(event, Event::Step(s) if s.step == 3) {
            stop.store(true, Ordering::Relaxed);
        }
        Ok(())
    };
    let folder = RunFolder::create(parent.path(), "run", "").unwrap();
    let last = folder.weights_path(Weights::Last);
    let task =
        TrainingTask { spec: &spec, model: &model, data: &data, options: &options, device: "cpu".into() };
    let trainer = Trainer::new(task, &mut executor, &mut observer, &stop).unwrap();
    let done = folder.keep(trainer).run().unwrap();
    assert_eq!(done.ending, Ending::Interrupted);
    // Step 3 is reported one window later.
    assert_eq!(done.steps, 4);
    let kept = striate::interchange::safetensors::read(&last).unwrap();
    assert_eq!(kept.metadata["step"], "4");
    let parameter = &model.parameters[0];
    assert_eq!(kept.tensors[&parameter.name].data(), executor.read(parameter.buffer).unwrap());
    assert_eq!(done.weights, Some(last.display().to_string()));
}

#[test]
fn saved_weights_evaluate_to_what_the_run_said() {
    let parent = tempfile::tempdir().unwrap();
    let mut spec = small();
    spec.recipe.epochs = 2;
    let data = data(64, 30);
    let folder = RunFolder::create(parent.path(), "run", "").unwrap();
    let best = folder.weights_path(Weights::Best);
    let run = training_support::try_train(&spec, &data, &plain(), Some(folder)).unwrap();
    let file = striate::interchange::safetensors::read(&best).unwrap();
    let logged = run.epochs().into_iter().find(|e| e.epoch.to_string() == file.metadata["epoch"]).unwrap();
    // Another batch size than in training, and a network from the file alone.
    let mut restored = striate::inference::spec_of(&file, None).unwrap();
    restored.recipe.batch_size = 7;
    let (totals, confusion) = training_support::evaluate(&restored, file, &data.val);
    assert!((totals.loss() - logged.val_loss).abs() < 1e-6, "{} {}", totals.loss(), logged.val_loss);
    assert_eq!((totals.acc1(), totals.rows()), (logged.acc1, 30));
    let right: u64 = (0..4).map(|class| confusion.get(class, class)).sum();
    let all: u64 = (0..4).map(|class| confusion.samples(class)).sum();
    assert_eq!((100.0 * right as f64 / 30.0, all), (logged.acc1, 30));
}

#[test]
fn one_batch_is_learnt_by_heart() {
    let mut spec = small();
    spec.recipe.epochs = 12;
    spec.recipe.optimizer = Optimizer::Adam;
    spec.recipe.lr = 0.01;
    let options = Options::default().with_overfit_batch(true);
    let run = train(&spec, &data(160, 16), &options);
    let last = run.epochs().pop().unwrap();
    assert!(last.train_loss < 0.05 && last.acc1 == 100.0, "{last:?}");
    // Evaluated on that batch too, and without dropout or augmentation.
    assert!((last.val_loss - last.train_loss).abs() < 0.05, "{last:?}");
}

#[test]
fn a_trace_holds_the_step_it_describes() {
    let mut spec = small();
    (spec.recipe.weight_decay, spec.recipe.lr) = (0.1, 0.5);
    let build = striate::model::BuildOptions {
        keep: true,
        input_gradient: true,
        dropout: false,
        fuse: false,
        ..striate::model::BuildOptions::new(16)
    };
    let model = Model::build(&spec, &build).unwrap();
    let mut executor = striate::cpu::Executor::new(model.program.clone()).unwrap();
    striate::inference::initialise(&model, &mut executor, 0).unwrap();
    let source = training_support::batch_source(&spec, &model);
    let batch = source.first(&data(10, 0).train).unwrap();
    let tensors: std::collections::BTreeMap<_, _> =
        striate::inference::trace(&spec, &model, &mut executor, &batch, 0).unwrap().into_iter().collect();
    for layer in &spec.layers {
        assert_eq!(tensors[&format!("{}.y", layer.name)].shape().dims()[0], 10, "{}", layer.name);
    }
    assert_eq!(tensors["grad.input"].shape(), tensors["input"].shape());
    assert_eq!(tensors["input"].shape().dims(), [10, 1, 8, 8]);
    // The first step of SGD with momentum: w - lr (g + weight_decay w).
    for parameter in &model.parameters {
        let name = &parameter.name;
        let after = &tensors[&format!("updated.{name}")];
        let gradient = &tensors[&format!("grad.{name}")];
        assert!(gradient.data().iter().any(|&g| g != 0.0), "{name}");
        for ((w, g), u) in
            tensors[&format!("parameter.{name}")].data().iter().zip(gradient.data()).zip(after.data())
        {
            assert!((w - 0.5 * (g + 0.1 * w) - u).abs() < 1e-6, "{name}: {w} {g} {u}");
        }
    }
    // The mean loss from the logits, by hand.
    let (logits, labels) = (&tensors["logits"], &tensors["labels"]);
    let mut sum = 0.0;
    for (row, &label) in logits.data().chunks(4).zip(labels.data()) {
        let exp: f64 = row.iter().map(|&x| f64::from(x).exp()).sum();
        sum += exp.ln() - f64::from(row[label as usize]);
    }
    assert!((sum / 10.0 - f64::from(tensors["loss"].data()[0])).abs() < 1e-6);
}

#[test]
fn the_gpu_and_the_cpu_agree_on_the_first_ten_steps() {
    let Some(gpu) = training_support::gpu() else { return };
    // SGD, because Adam divides by the size of each gradient: where that is nothing but rounding, two devices go
    // different ways within a few steps, and both are right.
    let mut spec = striate::model::Spec::load("alexnet-mini").unwrap();
    spec.recipe = striate::model::Recipe { batch_size: 16, ..striate::model::Recipe::default() };
    let pictures = Arc::new(training_support::pictures([1, 28, 28], 10, 160));
    let data = Splits::new(pictures.clone(), pictures);
    let options = Options::default().with_log_every(1).with_max_steps(Some(10));
    let model = Model::build(&spec, &options.build_options(&spec, striate::ops::Target::Class)).unwrap();
    let mut on_gpu = striate::gpu::Executor::new(&gpu, model.program.clone()).unwrap();
    let mut on_cpu = striate::cpu::Executor::new(model.program.clone()).unwrap();
    let gpu_run = train_on(&spec, &model, &data, &options, &mut on_gpu);
    let cpu_run = train_on(&spec, &model, &data, &options, &mut on_cpu);
    let losses = |run: &Run| run.steps().iter().map(|s| s.loss).collect::<Vec<_>>();
    let (a, b) = (losses(&gpu_run), losses(&cpu_run));
    assert_eq!(a.len(), 10);
    for (step, (a, b)) in a.iter().zip(&b).enumerate() {
        assert!((a - b).abs() < 5e-5 * b.abs(), "step {}: gpu {a}, cpu {b}", step + 1);
    }
    assert!(b[9] != b[0]);
    // And the device repeats itself bit for bit.
    let mut again = striate::gpu::Executor::new(&gpu, model.program.clone()).unwrap();
    let repeated = train_on(&spec, &model, &data, &options, &mut again);
    assert_eq!(gpu_run.epochs()[0].weights_sha256, repeated.epochs()[0].weights_sha256);
}
