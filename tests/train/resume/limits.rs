//! Runs that end at `max_steps`, within an epoch, and resume later with a higher limit.

use super::*;
use std::sync::Arc;
use striate::data::Labels;

#[test]
fn a_part_of_an_epoch_never_takes_the_place_of_the_best_whole_one() {
    let mut spec = network();
    // Labels without a pattern and small steps: which part of an epoch is the best is up to chance.
    spec.recipe.lr = 0.0003;
    let mut val = crate::training_support::pictures([1, 8, 8], 4, 20);
    val.labels = Labels::Classes((0..20u32).map(|sample| sample * 7 / 3 % 4).collect());
    let data = Splits::new(pictures().train, Arc::new(val));
    let parent = tempfile::tempdir().unwrap();
    let result = |event: &Event| match event {
        Event::Epoch(epoch) => Some((-epoch.acc1, epoch.val_loss)),
        _ => None,
    };
    let wholes = std::cell::RefCell::new(Vec::new());
    let watch = |event: &Event, _: &AtomicBool, _: &AtomicBool| wholes.borrow_mut().extend(result(event));
    let (_, whole) =
        Part { watch: &watch, ..Part::new(&spec, &data, &options()) }.run(parent.path()).unwrap();
    let best = |folder: &Path| std::fs::read(folder.join("best.safetensors")).unwrap();
    let mut better = 0;
    for limit in 1..21 {
        let parent = tempfile::tempdir().unwrap();
        let short = options().with_max_steps(Some(limit));
        let last = std::cell::Cell::new(None);
        let watch = |event: &Event, _: &AtomicBool, _: &AtomicBool| last.set(result(event).or(last.get()));
        let (_, folder) =
            Part { watch: &watch, ..Part::new(&spec, &data, &short) }.run(parent.path()).unwrap();
        assert!(folder.join("best.safetensors").is_file(), "{limit}");
        // Better than what stays the best epoch to the end: nothing else would bring that one back.
        let wholes = wholes.borrow();
        let before = wholes[..limit / 7].iter().min_by(|a, b| a.partial_cmp(b).unwrap());
        let stays = before.filter(|best| limit % 7 != 0 && wholes.iter().all(|whole| whole >= *best));
        better += usize::from(stays.is_some_and(|&best| last.get() < Some(best)));
        let part = Part { from: Some(&folder), ..Part::new(&spec, &data, &options()) };
        part.run(parent.path()).unwrap();
        assert_eq!(lines(&folder), lines(&whole), "{limit}");
        assert!(best(&folder) == best(&whole), "stopped at step {limit}");
    }
    assert!(better > 0, "no part was better than the best epoch before it: {wholes:?}");
}
