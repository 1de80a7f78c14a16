//! Runs that go wrong: losses that leave all bounds or never move, and what is left of them on disk.

use crate::training_support::{self, Run, data, plain, small, train};
use striate::Error;
use striate::interchange::safetensors;
use striate::model::{Scheduler, WeightInit};
use striate::train::{Event, RunFolder, Weights};

#[test]
fn divergence_names_epoch_and_step_and_keeps_earlier_weights() {
    let parent = tempfile::tempdir().unwrap();
    let mut spec = small();
    spec.recipe.epochs = 3;
    spec.recipe.lr_scheduler = Scheduler::MultiStep;
    // The second epoch's rate is infinite for all purposes.
    (spec.recipe.lr_milestones, spec.recipe.lr_gamma) = (vec![1], 1e36);
    let folder = RunFolder::create(parent.path(), "run", "").unwrap();
    let last = folder.weights_path(Weights::Last);
    let error = training_support::try_train(&spec, &data(64, 16), &plain(), Some(folder)).unwrap_err();
    assert_eq!(error.exit_code(), 5);
    let Error::Verification(text) = &error else { panic!("{error:?}") };
    assert!(text.contains("epoch 1, step 6"), "{text}");
    let kept = safetensors::read(last).unwrap();
    assert!(kept.tensors.values().all(|t| t.data().iter().all(|v| v.is_finite())));
    assert_eq!(kept.metadata["epoch"], "0");
}

#[test]
fn a_loss_beyond_all_bounds_is_a_divergence_although_it_is_a_number() {
    let parent = tempfile::tempdir().unwrap();
    let mut spec = small();
    // Losses of 1e13 or so, but no overflow.
    (spec.recipe.lr, spec.recipe.momentum) = (100.0, 0.0);
    let folder = RunFolder::create(parent.path(), "run", "").unwrap();
    let last = folder.weights_path(Weights::Last);
    let error = training_support::try_train(&spec, &data(64, 16), &plain(), Some(folder)).unwrap_err();
    assert_eq!(error.exit_code(), 5, "{error}");
    assert!(error.to_string().contains("more than 10 times"), "{error}");
    assert!(!last.exists(), "what has diverged is not saved");
}

#[test]
fn weights_that_are_no_numbers_are_never_saved() {
    let parent = tempfile::tempdir().unwrap();
    let mut spec = small();
    (spec.recipe.lr, spec.recipe.momentum) = (3e38, 0.0);
    let folder = RunFolder::create(parent.path(), "run", "").unwrap();
    let last = folder.weights_path(Weights::Last);
    // The loss of the only step is that of the initial weights, and the update overflows.
    spec.layers.last_mut().unwrap().lr_mult = [f32::MAX; 2];
    let error = training_support::try_train(&spec, &data(16, 0), &plain(), Some(folder)).unwrap_err();
    assert_eq!(error.exit_code(), 5, "{error}");
    assert!(error.to_string().contains("classifier.3.weight"), "{error}");
    assert!(!last.exists());
}

#[test]
fn a_stall_is_said_once_and_a_run_that_learns_hears_nothing() {
    let warnings = |run: &Run| {
        let said = |e: &&Event| matches!(e, Event::Warning(_));
        run.events.iter().filter(said).map(Event::json).collect::<Vec<_>>()
    };
    let mut spec = small();
    spec.recipe.epochs = 50;
    let data = data(160, 16);
    assert_eq!(warnings(&train(&spec, &data, &plain())), [""; 0]);
    // At no rate to speak of, from outputs that are all alike.
    spec.recipe.lr = 1e-20;
    spec.layers.last_mut().unwrap().init.bias = Some(0.0);
    spec.layers.last_mut().unwrap().init.weight = WeightInit::Constant { value: 0.0 };
    let said = warnings(&train(&spec, &data, &plain()));
    assert_eq!(said.len(), 1, "{said:?}");
    assert!(said[0].contains("after 200 steps, where guessing is (1.386)"), "{said:?}");
}
