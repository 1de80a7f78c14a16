//! Starting from weights: other classes, frozen layers, rates by group.

use crate::training_support::{self, Run, data, plain, small, train};
use std::sync::Arc;
use striate::data::Splits;
use striate::interchange::{File, safetensors};
use striate::model::{Model, Spec};
use striate::ops::Target;
use striate::run::RunFolder;
use striate::train::{Options, Weights, scale_rates};

#[test]
fn frozen_parameters_stay_and_the_others_do_not() {
    let options = plain().with_freeze("features");
    let run = train(&small(), &data(32, 0), &options);
    for (name, before) in &run.before {
        let after = &run.after[name];
        assert_eq!(before == after, name.starts_with("features"), "{name}");
    }
}

#[test]
fn fine_tuning_keeps_everything_but_the_replaced_layer() {
    let parent = tempfile::tempdir().unwrap();
    let folder = RunFolder::create(parent.path(), "run", "").unwrap();
    let last = folder.weights_path(Weights::Last);
    let run = training_support::try_train(&small(), &data(32, 8), &plain(), Some(folder)).unwrap();
    let file = safetensors::read(&last).unwrap();

    let mut spec = small();
    let replaced = spec.replace_outputs(3).unwrap();
    assert_eq!(replaced, "classifier.3");
    let model = Model::build(&spec, &plain().build_options(&spec, Target::Class)).unwrap();
    let mut executor = striate::cpu::Executor::new(model.program.clone()).unwrap();
    striate::inference::initialise(&model, &mut executor, 9).unwrap();
    let whole = striate::inference::load(&model, &mut executor, file.clone(), None).unwrap_err();
    assert_eq!(whole.exit_code(), 4, "{whole}");
    striate::inference::load(&model, &mut executor, file, Some(&replaced)).unwrap();
    for (name, tensor) in striate::inference::collect(&model, &mut executor).unwrap() {
        if name.starts_with("classifier.3") {
            assert_eq!(tensor.shape().dims()[0], 3);
        } else {
            assert_eq!(&tensor, &run.after[&name], "{name}");
        }
    }
}

#[test]
fn fine_tuning_on_other_classes_leaves_frozen_features_bit_for_bit() {
    let mut spec = with_batch_norm();
    spec.recipe.epochs = 3;
    let first = train(&spec, &data(96, 32), &Options::default());
    let (weights, _) = trained_file(&spec, &first);
    // Three classes in place of four, in other images.
    let replaced = spec.replace_outputs(3).unwrap();
    let pictures = Arc::new(training_support::pictures([1, 8, 8], 3, 96));
    let data = Splits::new(pictures.clone(), pictures);
    let options = Options::default().with_freeze("features");
    let run = training_support::fine_tune(&spec, &data, &options, weights, &replaced);
    assert!(run.epochs()[2].acc1 > 60.0, "{:?}", run.epochs());
    for (name, after) in &run.after {
        if name.starts_with("features") {
            // Weights, and also the running statistics of the batch norm.
            assert_eq!(after, &first.after[name], "{name}");
        } else {
            assert_ne!(after, &run.before[name], "{name}");
        }
    }
    assert!(run.after.contains_key("features.1.running_mean"));
    assert_ne!(first.after["features.1.running_mean"], first.before["features.1.running_mean"]);
}

/// Weights that a data-parallel wrapper or torch.compile has saved, its names before all others, start the same training.
#[test]
fn wrapped_names_start_the_same_fine_tuning() {
    let mut spec = with_batch_norm();
    let first = train(&spec, &data(96, 32), &Options::default());
    let (weights, _) = trained_file(&spec, &first);
    let mut wrapped = weights.clone();
    let names = std::mem::take(&mut wrapped.tensors).into_iter();
    wrapped.tensors = names.map(|(name, tensor)| (format!("_orig_mod.module.{name}"), tensor)).collect();
    let replaced = spec.replace_outputs(3).unwrap();
    let pictures = Arc::new(training_support::pictures([1, 8, 8], 3, 48));
    let data = Splits::new(pictures.clone(), pictures);
    let [plain, wrapped] =
        [weights, wrapped].map(|file| training_support::fine_tune(&spec, &data, &plain(), file, &replaced));
    assert_eq!(wrapped.after, plain.after);
    assert_eq!(wrapped.before["features.0.weight"], first.after["features.0.weight"]);
}

#[test]
fn a_frozen_batch_norm_normalises_as_in_evaluation() {
    let mut spec = with_batch_norm();
    spec.recipe.epochs = 1;
    let first = train(&spec, &data(96, 32), &plain());
    let (weights, validation) = trained_file(&spec, &first);
    // Nothing moves: the loss of training is then that of evaluation.
    spec.recipe.lr = 0.0;
    let options = plain().with_freeze("features");
    let run = training_support::fine_tune(&spec, &data(32, 32), &options, weights, "");
    assert!((run.epochs()[0].train_loss - validation).abs() < 1e-6, "{:?} {validation}", run.epochs());
}

/// The small network with a batch norm behind its convolution.
fn with_batch_norm() -> Spec {
    let spec = small();
    let norm =
        "name = \"features.1\"\nop = \"batch_norm2d\"\n[[layer]]\nname = \"features.9\"\nop = \"relu\"";
    let source = spec.source.replace("name = \"features.1\"\nop = \"relu\"", norm);
    assert_ne!(source, spec.source);
    Spec::parse(&source, "with batch norm").unwrap()
}

/// The weights after a run as a file, and the loss of its last validation.
fn trained_file(spec: &Spec, run: &Run) -> (File, f64) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("w.safetensors");
    let tensors: Vec<_> = run.after.iter().map(|(n, t)| (n.clone(), t.clone())).collect();
    let metadata = [("model".to_string(), spec.source.clone())].into_iter().collect();
    safetensors::write(&path, &tensors, &metadata).unwrap();
    let file = safetensors::read(&path).unwrap();
    (file, run.epochs().last().unwrap().val_loss)
}

#[test]
fn rates_by_group_scale_the_first_step() {
    let mut spec = small();
    (spec.recipe.momentum, spec.recipe.lr) = (0.0, 0.01);
    let options = plain().with_max_steps(Some(1));
    let moved = |groups: &[&str]| {
        let mut spec = spec.clone();
        let groups: Vec<_> = groups.iter().map(|g| g.parse().unwrap()).collect();
        scale_rates(&mut spec, &groups).unwrap();
        let run = train(&spec, &data(16, 0), &options);
        move |name: &str| -> Vec<f32> {
            run.after[name].data().iter().zip(run.before[name].data()).map(|(a, b)| a - b).collect()
        }
    };
    let (all, grouped) = (moved(&[]), moved(&["features=0.5", "features.0.bias=0"]));
    for (name, factor) in [("features.0.weight", 0.5), ("features.0.bias", 0.0), ("classifier.3.weight", 1.0)]
    {
        for (a, g) in all(name).iter().zip(grouped(name)) {
            assert!((a * factor - g).abs() < 1e-7, "{name}: {a} {g}");
        }
        assert!(all(name).iter().any(|a| a.abs() > 1e-6), "{name}");
    }
}
