//! Dynamic loss scaling: a scale that is a power of two changes no bit of a run; steps whose gradients overflow are left
//! out; and half precision on the GPU, which needs it, trains as fp32 does.

use crate::training_support::{self, Run, data, gpu, plain, small, train, train_on, try_train};
use std::sync::Arc;
use striate::data::{Dataset, Images, Splits};
use striate::gpu;
use striate::model::{Model, Optimizer, Recipe, Spec};
use striate::ops::{Scaling, Target};
use striate::program::Executor;
use striate::train::{Event, Options};

fn scaled(scale: f32) -> Options {
    plain().with_loss_scale(Some(scale))
}

/// A run on the CPU and the state of its loss scale at the end.
fn run(spec: &Spec, data: &Splits, options: &Options) -> (Run, Scaling) {
    let model = Model::build(spec, &options.build_options(spec, Target::Class)).unwrap();
    let mut executor = striate::cpu::Executor::new(model.program.clone()).unwrap();
    on(spec, &model, data, options, &mut executor)
}

fn on(
    spec: &Spec,
    model: &Model,
    data: &Splits,
    options: &Options,
    executor: &mut dyn Executor,
) -> (Run, Scaling) {
    let run = train_on(spec, model, data, options, executor);
    let state = Scaling::from_words(&executor.read(model.loss_scale.unwrap()).unwrap());
    (run, state)
}

fn recipes() -> Vec<Recipe> {
    let of = |optimizer| Recipe { epochs: 2, batch_size: 16, ..Recipe::for_optimizer(optimizer) };
    let sgd = Recipe { lr: 0.05, momentum: 0.9, nesterov: true, ..of(Optimizer::Sgd) };
    vec![
        Recipe { clip_grad_norm: Some(0.2), ..sgd.clone() },
        Recipe { grad_accum_steps: 2, ..sgd.clone() },
        Recipe { momentum: 0.0, nesterov: false, ..sgd },
        of(Optimizer::Adam),
        Recipe { clip_grad_norm: Some(0.1), grad_accum_steps: 3, ..of(Optimizer::AdamW) },
        Recipe { momentum: 0.5, ..of(Optimizer::RmsProp) },
    ]
}

#[test]
fn a_power_of_two_changes_no_bit() {
    let data = data(100, 16);
    for recipe in recipes() {
        let spec = Spec { recipe, ..small() };
        let expected = train(&spec, &data, &plain());
        for scale in [1.0, 65_536.0] {
            let (run, state) = run(&spec, &data, &scaled(scale));
            assert_eq!(run.after, expected.after, "{scale}, {:?}", spec.recipe);
            assert_ne!(run.after, run.before);
            let updates = run.done.steps as f32;
            assert_eq!(state, Scaling { scale, streak: updates, updates, skipped: 0.0 });
        }
    }
}

#[test]
fn gradients_that_overflow_change_nothing_but_the_scale() {
    for recipe in recipes() {
        let spec = Spec { recipe, ..small() };
        let huge = 2f32.powi(120);
        let once = scaled(huge).with_max_steps(Some(3));
        let (few, state) = run(&spec, &data(320, 16), &once);
        assert_eq!(few.after, few.before, "{:?}", spec.recipe);
        assert_eq!(state, Scaling { scale: huge / 8.0, streak: 0.0, updates: 0.0, skipped: 3.0 });
    }
}

#[test]
fn the_run_after_an_overflow_is_that_of_an_optimiser_that_never_saw_it() {
    // The same batch over and over: so many updates later, the weights are those of a run without the steps left out.
    for recipe in [Recipe::for_optimizer(Optimizer::Adam), Recipe { lr: 0.05, ..Recipe::default() }] {
        let mut spec = Spec { recipe, ..small() };
        (spec.recipe.epochs, spec.recipe.batch_size) = (100, 16);
        spec.recipe.lr_scheduler = striate::model::Scheduler::Constant;
        let data = data(16, 0);
        let with = |loss_scale, steps| plain().with_loss_scale(loss_scale).with_max_steps(Some(steps));
        let (late, state) = run(&spec, &data, &with(Some(2f32.powi(90)), 60));
        assert!(state.skipped > 5.0 && state.updates > 5.0, "{state:?}");
        assert_eq!(state.skipped + state.updates, 60.0);
        let expected = train(&spec, &data, &with(None, state.updates as usize));
        assert_eq!(late.after, expected.after, "{:?}", spec.recipe.optimizer);
        let reported = late
            .events
            .iter()
            .filter(|e| matches!(e, Event::Warning(text) if text.contains("were skipped so far")));
        assert!(reported.count() > 0, "{:?}", late.events);
    }
}

/// [`data`], with an image that holds a NaN.
fn with_nan() -> Splits {
    let Splits { train, val, .. } = data(64, 16);
    let Images::U8(pixels) = &train.images else { unreachable!() };
    let mut values: Vec<f32> = pixels.iter().map(|&v| f32::from(v) / 255.0).collect();
    values[20 * 64 + 7] = f32::NAN;
    Splits::new(Arc::new(Dataset { images: Images::F32(values), ..(*train).clone() }), val)
}

#[test]
fn a_loss_that_is_no_number_ends_only_a_run_that_learnt_from_it() {
    let mut spec = small();
    spec.recipe.epochs = 3;
    let data = with_nan();
    let error = try_train(&spec, &data, &plain(), None).unwrap_err();
    assert_eq!(error.exit_code(), 5, "{error}");
    let (run, state) = run(&spec, &data, &scaled(1024.0));
    assert_eq!((state.skipped, state.updates), (3.0, 9.0));
    // What was left out is no part of the mean.
    assert!(run.epochs().iter().all(|epoch| epoch.train_loss.is_finite() && epoch.train_samples == 48));
}

#[test]
fn a_run_that_no_scale_helps_ends() {
    let mut spec = small();
    spec.recipe.epochs = 3;
    let error = try_train(&spec, &with_nan(), &scaled(2.0), None).unwrap_err();
    assert_eq!(error.exit_code(), 5, "{error}");
    let text = error.to_string();
    assert!(text.contains("although the loss scale has fallen to 0.5"), "{text}");
    assert!(text.contains("training sample 20"), "{text}");
}

/// A run in half precision on the GPU; `None` if there is none that can.
fn half(spec: &Spec, data: &Splits, scale: f32) -> Option<(Run, Scaling)> {
    let Ok((device, _)) = gpu()?.half() else {
        eprintln!("SKIPPED, NOT TESTED: the adapter here has no f16");
        return None;
    };
    let options = scaled(scale);
    let model = Model::build(spec, &options.build_options(spec, Target::Class)).unwrap();
    let mut executor = gpu::Executor::new(&device, model.program.clone()).unwrap();
    Some(on(spec, &model, data, &options, &mut executor))
}

#[test]
fn half_precision_trains_as_fp32_does_and_twice_the_same() {
    let mut spec = small();
    (spec.recipe.epochs, spec.recipe.momentum) = (3, 0.9);
    let data = data(160, 64);
    let Some((first, state)) = half(&spec, &data, Scaling::INITIAL) else { return };
    assert_eq!((state.skipped, state.updates), (0.0, 30.0));
    let (again, _) = half(&spec, &data, Scaling::INITIAL).unwrap();
    assert_eq!(first.after, again.after);
    let full = train(&spec, &data, &plain());
    assert_ne!(first.after, full.after, "that was not half precision");
    for (half, full) in first.epochs().iter().zip(full.epochs()) {
        assert!(
            (half.train_loss - full.train_loss).abs() < 0.02 * full.train_loss + 1e-3,
            "{half:?} {full:?}"
        );
    }
    assert!(first.epochs()[2].acc1 > 90.0, "{:?}", first.epochs());
}

#[test]
fn in_half_precision_a_scale_that_overflows_falls_until_it_fits() {
    let mut spec = small();
    spec.recipe.epochs = 4;
    let Some((run, state)) = half(&spec, &data(160, 64), 2f32.powi(30)) else { return };
    // The gradient of a logit is 1/16 at most, and f16 ends at 65504.
    assert!((1.0..=20.0).contains(&state.skipped), "{state:?}");
    assert_eq!(state.skipped + state.updates, 40.0);
    assert_eq!(state.scale, 2f32.powi(30 - state.skipped as i32));
    let epochs = run.epochs();
    assert!(epochs[3].train_loss < epochs[0].train_loss, "{epochs:?}");
    assert!(run.after.values().all(|tensor| tensor.data().iter().all(|w| w.is_finite())));
}

#[test]
fn a_checkpoint_knows_the_scale() {
    let spec = training_support::small();
    let model = Model::build(&spec, &scaled(8.0).build_options(&spec, Target::Class)).unwrap();
    let initial = model.initial(0).unwrap();
    let (_, words) = initial.iter().find(|(id, _)| Some(*id) == model.loss_scale).unwrap();
    assert_eq!(Scaling::from_words(words), Scaling::new(8.0));
}
