//! Runs that go wrong: losses that leave all bounds or never move, and what is left of them on disk.

use crate::training_support::{self, Run, data, plain, small, train};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use striate::Error;
use striate::data::{Dataset, Images, Splits};
use striate::interchange::safetensors;
use striate::model::{Model, Scheduler, WeightInit};
use striate::run::RunFolder;
use striate::train::{Event, Options, Trainer, TrainingTask, Weights};

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
    let Error::Diverged(text) = &error else { panic!("{error:?}") };
    assert!(text.contains("in epoch 2 of 3, step 6 of the run"), "{text}");
    // The first epoch's weights times 1e34 are still numbers, what the second layer makes of them is none.
    assert!(text.contains("layer classifier.1 is the first whose output holds"), "{text}");
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
    // Weight and bias both; the last is named.
    assert!(error.to_string().contains("classifier.3.bias holds"), "{error}");
    assert!(!last.exists());
}

/// 64 images for the small network as its input, one value of sample 37 replaced.
fn numbers(value: f32) -> Splits {
    let Dataset { images: Images::U8(pixels), labels, .. } = training_support::pictures([1, 8, 8], 4, 64)
    else {
        panic!("images are bytes")
    };
    let mut input: Vec<f32> = pixels.into_iter().map(|pixel| f32::from(pixel) / 255.0).collect();
    input[37 * 64 + 5] = value;
    let set = training_support::pictures([1, 8, 8], 4, 1);
    let train = Arc::new(Dataset { images: Images::F32(input), labels, ..set });
    Splits::new(train.clone(), train)
}

#[test]
fn a_sample_that_is_no_number_is_named() {
    let options = Options::default().with_log_every(1);
    let error = training_support::try_train(&small(), &numbers(f32::NAN), &options, None).unwrap_err();
    assert_eq!(error.exit_code(), 5);
    let text = error.to_string();
    assert!(text.contains("the image of training sample 37 of stripes holds NaN"), "{text}");
    assert!(!text.contains("--lr"), "not to blame: {text}");
}

#[test]
fn the_layer_is_named_where_a_value_first_leaves_the_range_of_numbers() {
    // The value is a number, twice the value is none.
    let mut spec = small();
    spec.layers[0].init.weight = WeightInit::Constant { value: 2.0 };
    let error = training_support::try_train(&spec, &numbers(3e38), &Options::default(), None).unwrap_err();
    let text = error.to_string();
    assert!(text.contains("layer features.0 is the first whose output holds inf"), "{text}");
}

#[test]
fn without_a_look_inside_it_is_said_what_the_weights_are() {
    let mut spec = small();
    (spec.recipe.lr, spec.recipe.epochs) = (1e30, 2);
    let (data, options) = (data(64, 16), plain());
    let model = Model::build(&spec, &options.build_options(&spec, striate::ops::Target::Class)).unwrap();
    let mut executor = striate::cpu::Executor::new(model.program.clone()).unwrap();
    striate::inference::initialise(&model, &mut executor, 0).unwrap();
    let (stop, mut observer) = (AtomicBool::new(false), |_: &Event| Ok(()));
    let task =
        TrainingTask { spec: &spec, model: &model, data: &data, options: &options, device: "cpu".into() };
    let error =
        Trainer::new(task, &mut executor, &mut observer, &stop).unwrap().run().unwrap_err().to_string();
    assert!(error.contains("by now all weights hold non-finite values"), "{error}");
}

fn warnings(run: &Run) -> Vec<String> {
    let said = |e: &&Event| matches!(e, Event::Warning(_));
    run.events.iter().filter(said).map(Event::json).collect()
}

#[test]
fn dead_relus_are_named_once_and_living_ones_never() {
    let mut spec = small();
    spec.recipe.epochs = 3;
    for val in [0, 48] {
        assert_eq!(warnings(&train(&spec, &data(64, val), &plain())), [""; 0]);
    }
    spec.layers[0].init.bias = Some(-1e6);
    for (val, pictures) in [(0, 32), (48, 32), (7, 7)] {
        let said = warnings(&train(&spec, &data(64, val), &plain()));
        assert_eq!(said.len(), 1, "{said:?}");
        let text = format!("features.1: 6 of 6 channels are 0 for all {pictures} images");
        assert!(said[0].contains(&text), "{said:?}");
    }
    spec.layers[0].init.bias = None;
    spec.layers[5].init.bias = Some(-1e6);
    let said = warnings(&train(&spec, &data(64, 16), &plain()));
    assert!(said[0].contains("classifier.2: 12 of 12 units are 0"), "{said:?}");
}

#[test]
fn a_stall_is_said_once_and_a_run_that_learns_hears_nothing() {
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
    assert!(said[0].contains("after 200 steps, that of guessing (1.386)"), "{said:?}");
}
