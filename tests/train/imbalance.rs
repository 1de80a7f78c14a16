//! Class weights and the balanced sampler in training. What the weighted loss of a batch is, `tests/verify/pytorch` compares with
//! PyTorch; here it is over accumulated and incomplete batches, and in the reports.

use crate::training_support::{self, Run, data, plain, small, train, try_train};
use std::collections::BTreeMap;
use std::sync::Arc;
use striate::data::{Dataset, Labels, Sampler, Splits};
use striate::inference::{Confusion, class_weights};
use striate::interchange::safetensors;
use striate::model::{ClassWeights, Model, Spec};
use striate::ops::Target;
use striate::program::{Executor, Span};
use striate::run::RunFolder;
use striate::train::Options;

fn named(weights: [f32; 4]) -> ClassWeights {
    let name = |class: usize| format!("stripe {class}");
    let weights: BTreeMap<String, f32> = (0..4).map(|class| (name(class), weights[class])).collect();
    ClassWeights::Named(weights)
}

/// [`small`] for one epoch of batches of 16.
fn weighted(weights: ClassWeights) -> Spec {
    let mut spec = small();
    spec.recipe.class_weights = weights;
    spec
}

fn epoch_losses(run: &Run) -> Vec<f64> {
    run.epochs().iter().map(|epoch| epoch.train_loss).collect()
}

#[test]
fn accumulated_batches_equal_one_of_their_size() {
    // 88 samples: the last update of an epoch has 24 rows, in batches of 16 and 8.
    let data = data(88, 0);
    let run = |batch, accumulate, smoothing| {
        let mut spec = weighted(named([0.1, 4.0, 1.0, 0.3]));
        (spec.recipe.batch_size, spec.recipe.grad_accum_steps, spec.recipe.epochs) = (batch, accumulate, 2);
        spec.recipe.label_smoothing = smoothing;
        train(&spec, &data, &plain())
    };
    for smoothing in [0.0, 0.1] {
        let (one, two) = (run(32, 1, smoothing), run(16, 2, smoothing));
        one.assert_near(&two, 1e-5);
        for (a, b) in epoch_losses(&one).iter().zip(epoch_losses(&two)) {
            assert!((a - b).abs() < 1e-5, "{a} {b}");
        }
    }
}

#[test]
fn equal_weights_are_no_weights_and_only_their_ratios_matter() {
    let data = data(72, 16);
    let run = |weights| train(&weighted(weights), &data, &plain());
    let none = run(ClassWeights::None);
    let equal = run(named([2.5; 4]));
    none.assert_near(&equal, 1e-5);
    let skewed = run(named([0.1, 4.0, 1.0, 0.3]));
    skewed.assert_near(&run(named([0.2, 8.0, 2.0, 0.6])), 1e-5);
    let differs = |(name, tensor): (&String, &striate::tensor::Tensor)| {
        tensor.data().iter().zip(none.after[name].data()).any(|(a, b)| (a - b).abs() > 1e-3)
    };
    assert!(skewed.after.iter().any(differs), "the weights changed nothing");
    // The validation loss is not weighted: at a learning rate of 0 it is that of the network without weights.
    let mut frozen = [weighted(ClassWeights::None), weighted(named([0.1, 4.0, 1.0, 0.3]))];
    let [plain, other] = frozen.each_mut().map(|spec| {
        spec.recipe.lr = 0.0;
        let run = train(spec, &data, &training_support::plain());
        let epoch = &run.epochs()[0];
        [epoch.val_loss, epoch.train_loss]
    });
    assert_eq!(plain[0], other[0]);
    assert!((plain[1] - other[1]).abs() > 1e-4, "{plain:?} {other:?}");
}

/// The sum of w[label] loss over that of w[label], batch by batch, each counted by its rows.
#[test]
fn the_reported_training_loss_is_the_weighted_mean() {
    let data = data(40, 0);
    let weights = [0.1, 4.0, 1.0, 0.3];
    let mut spec = weighted(named(weights));
    spec.recipe.lr = 0.0;
    let reported = train(&spec, &data, &plain()).epochs()[0].train_loss;
    let model = Model::build(&spec, &plain().build_options(&spec, Target::Class)).unwrap();
    let mut executor = striate::cpu::Executor::new(model.program.clone()).unwrap();
    striate::inference::initialise(&model, &mut executor, 0).unwrap();
    let source = training_support::batch_source(&spec, &model);
    let Labels::Classes(labels) = &data.train.labels else { unreachable!() };
    let mut expected = 0.0;
    for first in [0, 16, 32] {
        let rows = (first..40.min(first + 16)).collect::<Vec<usize>>();
        let part = Arc::new(part(&data.train, &rows));
        let batch = source.first(&part).unwrap();
        executor.write(model.input, batch.input.values()).unwrap();
        executor.run(Span::Forward).unwrap();
        let logits = executor.read(model.logits).unwrap();
        let (mut sum, mut all) = (0.0, 0.0);
        for (row, &sample) in rows.iter().enumerate() {
            let row: Vec<f64> = logits[row * 4..row * 4 + 4].iter().map(|&v| f64::from(v)).collect();
            let class = labels[sample] as usize;
            let log_sum = row.iter().map(|v| v.exp()).sum::<f64>().ln();
            sum += f64::from(weights[class]) * (log_sum - row[class]);
            all += f64::from(weights[class]);
        }
        expected += rows.len() as f64 * sum / all / 40.0;
    }
    assert!((reported - expected).abs() < 1e-5, "{reported}, expected {expected}");
}

/// The samples `rows` of `data`.
fn part(data: &Dataset, rows: &[usize]) -> Dataset {
    let (Labels::Classes(labels), striate::data::Images::U8(pixels)) = (&data.labels, &data.images) else {
        unreachable!()
    };
    let mut part = data.clone();
    part.labels = Labels::Classes(rows.iter().map(|&row| labels[row]).collect());
    part.images = striate::data::Images::U8(
        rows.iter().flat_map(|&row| pixels[row * 64..(row + 1) * 64].to_vec()).collect(),
    );
    part
}

#[test]
fn a_model_without_the_weights_of_its_recipe_is_not_trained() {
    let (spec, data) = (weighted(ClassWeights::Balanced), data(16, 0));
    let model = Model::build(&spec, &plain().build_options(&spec, Target::Class)).unwrap();
    let mut executor = striate::cpu::Executor::new(model.program.clone()).unwrap();
    let stop = std::sync::atomic::AtomicBool::new(false);
    let options = plain();
    let task = striate::train::TrainingTask {
        spec: &spec,
        model: &model,
        data: &data,
        options: &options,
        device: "cpu".into(),
    };
    let mut observer = |_: &striate::train::Event| Ok(());
    let error = striate::train::Trainer::new(task, &mut executor, &mut observer, &stop).unwrap_err();
    assert!(
        error.exit_code() == 2 && error.to_string().starts_with("class_weights: expected a model"),
        "{error}"
    );
    let mut build = plain().build_options(&spec, Target::Class);
    build.class_weights = Some(vec![1.0; 3]);
    assert!(Model::build(&spec, &build).is_err(), "three weights for four classes");
    for (weights, expected) in [
        ([1.0, -1.0, 1.0, 1.0], "expected numbers of at least 0, found -1 for class 1"),
        ([1.0, 1.0, 1.0, f32::NAN], "found NaN for class 3"),
        ([1.0, 1.0, f32::INFINITY, 1.0], "found inf for class 2"),
        ([0.0; 4], "expected one above 0, found only 0"),
    ] {
        build.class_weights = Some(weights.to_vec());
        let error = Model::build(&spec, &build).unwrap_err();
        assert!(error.exit_code() == 2 && error.to_string().ends_with(expected), "{error}");
    }
}

/// 160 samples of class 0, 8 of each other one.
fn skewed() -> Splits {
    let all = training_support::pictures([1, 8, 8], 4, 1000);
    let Labels::Classes(labels) = &all.labels else { unreachable!() };
    let of = |class: u32, most: usize| {
        let samples = labels.iter().enumerate().filter(move |(_, label)| **label == class);
        samples.map(|(sample, _)| sample).take(most)
    };
    let rows: Vec<usize> = (0..4).flat_map(|class| of(class, if class == 0 { 160 } else { 8 })).collect();
    Splits::new(Arc::new(part(&all, &rows)), Arc::new(training_support::pictures([1, 8, 8], 4, 200)))
}

#[test]
fn rare_classes_are_learnt_sooner_and_the_reports_show_it() {
    let data = skewed();
    let weights = class_weights(&weighted(ClassWeights::Balanced).recipe, &data.train, 4).unwrap().unwrap();
    assert_eq!(weights, [184.0 / (4.0 * 160.0), 5.75, 5.75, 5.75]);
    let run = |weights, sampler| {
        let mut spec = weighted(weights);
        (spec.recipe.epochs, spec.recipe.lr) = (4, 0.01);
        let parent = tempfile::tempdir().unwrap();
        let folder = RunFolder::create(parent.path(), "run", "").unwrap();
        let path = folder.path().to_path_buf();
        let options = Options::default().with_seed(2).with_sampler(sampler);
        let run = try_train(&spec, &data, &options, Some(folder)).unwrap();
        let last = run.epochs().pop().unwrap();
        // What is reported is what an evaluation of the weights finds.
        let file = safetensors::read(path.join("last.safetensors")).unwrap();
        let (_, confusion): (_, Confusion) = training_support::evaluate(&spec, file, &data.val);
        assert_eq!(last.balanced_accuracy, confusion.balanced_accuracy());
        assert_eq!(last.macro_f1, confusion.macro_f1());
        last.balanced_accuracy
    };
    let plain = run(ClassWeights::None, Sampler::Shuffle);
    let weights = run(ClassWeights::Balanced, Sampler::Shuffle);
    let sampler = run(ClassWeights::None, Sampler::Balanced);
    assert!(weights > plain + 10.0 && sampler > plain + 10.0, "{plain} {weights} {sampler}");
}

#[test]
fn the_number_of_threads_does_not_change_what_the_sampler_draws() {
    let (mut spec, data) = (weighted(ClassWeights::Balanced), skewed());
    spec.augment.flip = true;
    let hash = |workers| {
        let options = Options::default().with_sampler(Sampler::Balanced).with_workers(workers);
        train(&spec, &data, &options).epochs()[0].weights_sha256.clone()
    };
    let one = hash(1);
    assert_eq!([hash(3), hash(4)], [one.clone(), one]);
}
