//! Batches in which a batch norm has one value per channel: computed, and reported.

use super::training_support::{Run, data, plain, train};
use striate::Spec;
use striate::train::{Event, Options};

/// Batch norms over a flat value, and over a map of 8 x 8.
fn network(norm: &str) -> Spec {
    let text = format!(
        "name = \"n\"\ninput = [1, 8, 8]\n[recipe]\nbatch_size = 4\nlr = 0.05\n{norm}[[layer]]\nname = \"last\"\nop = \"linear\"\nout_features = 4\n"
    );
    Spec::parse(&text, "n").unwrap()
}

const FLAT: &str =
    "[[layer]]\nop = \"flatten\"\n[[layer]]\nname = \"first\"\nop = \"linear\"\nout_features = 6
    [[layer]]\nname = \"norm\"\nop = \"batch_norm2d\"\n[[layer]]\nop = \"relu\"\n";
const WIDE: &str = "[[layer]]\nname = \"norm\"\nop = \"batch_norm2d\"\n[[layer]]\nop = \"flatten\"\n";

fn warnings(run: &Run) -> Vec<String> {
    let text = |event: &Event| if let Event::Warning(text) = event { Some(text.clone()) } else { None };
    run.events.iter().filter_map(text).filter(|text| text.contains("one value per channel")).collect()
}

#[test]
fn a_last_batch_of_one_sample_is_told_once() {
    let mut spec = network(FLAT);
    spec.recipe.epochs = 3;
    let run = train(&spec, &data(13, 0), &plain());
    let [warning] = &warnings(&run)[..] else { panic!("{:?}", warnings(&run)) };
    assert!(
        warning.starts_with("the last batch of an epoch has 1 sample (13 samples in batches of 4)"),
        "{warning}"
    );
    assert!(warning.contains("batch norm norm has one value"), "{warning}");
    // It is computed like any other: as many updates as without a batch norm.
    assert_eq!(run.done.steps, 3 * 4);
    assert!(run.after.values().all(|tensor| tensor.data().iter().all(|value| value.is_finite())));

    spec.recipe.batch_size = 1;
    let single = warnings(&train(&spec, &data(3, 0), &plain()));
    assert!(single.len() == 1 && single[0].starts_with("every batch has 1 sample"), "{single:?}");
}

#[test]
fn other_batches_are_not_told_of() {
    let quiet = |spec: &Spec, samples: usize, options: &Options| {
        let found = warnings(&train(spec, &data(samples, 0), options));
        assert!(found.is_empty(), "{found:?}");
    };
    quiet(&network(FLAT), 14, &plain());
    quiet(&network(FLAT), 12, &plain());
    // 64 values of each channel, also of one image.
    quiet(&network(WIDE), 13, &plain());
    // A batch norm with nothing trained below it uses its running statistics.
    quiet(&network(FLAT), 13, &plain().with_freeze("first,norm"));
    quiet(&network(FLAT), 13, &plain().with_overfit_batch(true));
}

/// What such a batch does: the output is the bias, and what is below gets no gradient. One sample, one step.
#[test]
fn a_single_value_gives_the_bias_and_no_gradient() {
    let mut spec = network(FLAT);
    (spec.recipe.batch_size, spec.recipe.epochs) = (1, 1);
    let run = train(&spec, &data(1, 0), &plain());
    assert_eq!(run.before["first.weight"], run.after["first.weight"]);
    assert_eq!(run.before["norm.weight"], run.after["norm.weight"]);
    assert_ne!(run.before["last.bias"], run.after["last.bias"]);
}
