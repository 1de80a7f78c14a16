//! A checkpoint of another run: refused by what differs, or taken as far as it fits.

use super::{NETWORK, Part, lines, network, options, pictures};
use crate::training_support;
use striate::Error;
use striate::data::{Sampler, Splits};
use striate::model::{ClassWeights, Optimizer, Spec};
use striate::train::{Ending, Options};

#[test]
fn another_recipe_network_or_data_set_is_refused_by_name_unless_forced() {
    let (spec, data) = (network(), pictures());
    let parent = tempfile::tempdir().unwrap();
    let half = options().with_max_steps(Some(10));
    let (_, folder) = Part::new(&spec, &data, &half).run(parent.path()).unwrap();
    let before = lines(&folder);
    let refused = |spec: &Spec, data: &Splits, options: &Options, expected: &[&str]| {
        let error =
            Part { from: Some(&folder), ..Part::new(spec, data, options) }.run(parent.path()).unwrap_err();
        assert!(matches!(error, Error::Usage(_)) && error.exit_code() == 2, "{error}");
        let text = error.to_string();
        // The program adds the flag that resumes all the same; the library names none.
        assert!(!text.contains('\n') && text.contains("this is not the run that made it"), "{text}");
        assert!(!text.contains("--"), "{text}");
        expected.iter().for_each(|part| assert!(text.contains(part), "{part}: {text}"));
        assert_eq!(lines(&folder), before);
    };
    let mut other = network();
    (other.recipe.lr, other.recipe.momentum) = (0.01, 0.5);
    refused(&other, &data, &options(), &["lr: 0.05 in this run, 0.01 given", "momentum: "]);
    let other = Spec::parse(&NETWORK.replace("p = 0.3", "p = 0.4"), "normed").unwrap();
    refused(&other, &data, &options(), &["layer dropout", "p 0.3", "p 0.4"]);
    let other = Spec::parse(&NETWORK.replace("out_channels = 5", "out_channels = 6"), "normed").unwrap();
    refused(&other, &data, &options(), &["layer conv2d.0: out_channels 5 in this run, out_channels 6 given"]);
    refused(
        &spec,
        &training_support::data(50, 20),
        &options(),
        &["training samples: 51 in this run, 50 given"],
    );
    let mut pixel = pictures();
    let mut train = (*pixel.train).clone();
    if let striate::data::Images::U8(values) = &mut train.images {
        values[77] ^= 1;
    }
    pixel.train = std::sync::Arc::new(train);
    refused(&spec, &pixel, &options(), &["training images: "]);
    refused(&spec, &data, &options().with_seed(6), &["seed: 5 in this run, 6 given"]);
    refused(&spec, &data, &options().with_freeze("conv"), &["freeze"]);
    refused(
        &spec,
        &data,
        &options().with_sampler(Sampler::Balanced),
        &["sampler: none in this run, balanced given"],
    );
    let mut other = network();
    other.recipe.class_weights = ClassWeights::Balanced;
    refused(&other, &data, &options(), &["class-weights: none in this run, balanced given"]);
    // What fits is taken if that is wished for: more epochs, another rate, another optimiser, other batches.
    let mut other = network();
    (other.recipe.lr, other.recipe.epochs, other.recipe.batch_size) = (0.01, 4, 16);
    other.recipe.optimizer = Optimizer::Adam;
    let forced = Part { from: Some(&folder), force: true, ..Part::new(&other, &data, &options()) };
    let (done, _) = forced.run(parent.path()).unwrap();
    // The second epoch restarts: it has 4 updates now.
    assert_eq!((done.ending, done.steps), (Ending::Complete, 16));
    // Another network cannot be forced into.
    let other = Spec::parse(&NETWORK.replace("out_channels = 5", "out_channels = 6"), "normed").unwrap();
    let error = Part { from: Some(&folder), force: true, ..Part::new(&other, &data, &options()) };
    let error = error.run(parent.path()).unwrap_err();
    assert!(error.exit_code() == 4 && error.to_string().contains("tensor"), "{error}");
}
