//! The balanced sampler: PyTorch's `WeightedRandomSampler(1 / count[label], n, replacement=True)` in distribution, and a function
//! of seed, epoch and position.

use std::sync::Arc;
use striate::data::{
    BadFiles, Batch, Dataset, Images, InputTransform, Labels, Loader, LoaderOptions, OnBadFile, Sampler,
    Transform, Workers,
};
use striate::view::Augment;

/// Samples of each class; class 3 has none.
const COUNTS: [usize; 5] = [900, 90, 9, 0, 1];

/// Images of two columns, 200 and 0, in which classes alternate as far as they go.
fn dataset(labels: Labels) -> Arc<Dataset> {
    let samples = match &labels {
        Labels::Classes(labels) => labels.len(),
        Labels::Values { values, .. } => values.len(),
        _ => unreachable!(),
    };
    Arc::new(Dataset {
        name: "skewed".into(),
        shape: [1, 1, 2],
        classes: COUNTS.len(),
        class_names: Vec::new(),
        images: Images::U8([200, 0].repeat(samples)),
        labels,
    })
}

fn skewed() -> Arc<Dataset> {
    let mut labels: Vec<u32> = Vec::new();
    let mut left = COUNTS;
    while labels.len() < 1000 {
        for (class, left) in left.iter_mut().enumerate().filter(|(_, left)| **left > 0) {
            labels.push(class as u32);
            *left -= 1;
        }
    }
    dataset(Labels::Classes(labels))
}

fn options(batch: usize, workers: usize) -> LoaderOptions {
    LoaderOptions::new(batch, InputTransform::OnHost(Transform::default()))
        .with_workers(Workers::new(workers))
        .with_seed(7)
        .with_shuffle(true)
        .with_sampler(Sampler::Balanced)
        .with_bad(BadFiles::new(OnBadFile::Skip))
}

fn all(dataset: &Arc<Dataset>, options: LoaderOptions) -> Vec<Batch> {
    Loader::new(Arc::clone(dataset), options).map(Result::unwrap).collect()
}

fn drawn(dataset: &Arc<Dataset>, options: LoaderOptions) -> Vec<u32> {
    all(dataset, options).into_iter().flat_map(|batch| batch.samples).collect()
}

/// Pearson's statistic of `found` against equal expectations.
fn chi_square(found: &[usize]) -> f64 {
    let expected = found.iter().sum::<usize>() as f64 / found.len() as f64;
    found.iter().map(|&n| (n as f64 - expected).powi(2) / expected).sum()
}

#[test]
fn every_class_is_drawn_equally_often_and_so_is_each_of_its_samples() {
    let dataset = skewed();
    let Labels::Classes(labels) = &dataset.labels else { unreachable!() };
    let mut drawn_of = vec![0; labels.len()];
    for epoch in 0..100 {
        let order = drawn(&dataset, options(64, 0).with_epoch(epoch));
        assert_eq!(order.len(), labels.len());
        order.iter().for_each(|&sample| drawn_of[sample as usize] += 1);
    }
    let of_class = |class: usize| -> Vec<usize> {
        drawn_of.iter().zip(labels).filter(|(_, label)| **label as usize == class).map(|(&n, _)| n).collect()
    };
    // The 99.9 % quantiles of the chi-square distribution with 3, 899, 89 and 8 degrees of freedom.
    let classes: Vec<usize> = [0, 1, 2, 4].iter().map(|&class| of_class(class).iter().sum()).collect();
    assert_eq!(classes.iter().sum::<usize>(), 100_000);
    assert!(chi_square(&classes) < 16.27, "{classes:?}");
    for (class, quantile) in [(0, 1035.9), (1, 135.0), (2, 26.12)] {
        let found = of_class(class);
        assert!(chi_square(&found) < quantile, "class {class}: {}", chi_square(&found));
    }
    // Draws are independent: 1000 of them leave out about (1 - 1/4000)^1000 of class 1's 90 in an epoch, and repeat others.
    let one = drawn(&dataset, options(64, 0));
    let mut distinct = one.clone();
    distinct.sort_unstable();
    distinct.dedup();
    assert!(distinct.len() < one.len() / 2, "{}", distinct.len());
    // Consecutive draws are of the same class a quarter of the time.
    let same = one.windows(2).filter(|w| labels[w[0] as usize] == labels[w[1] as usize]).count();
    assert!((200..300).contains(&same), "{same}");
}

#[test]
fn the_draws_depend_on_seed_and_epoch_and_on_nothing_else() {
    let dataset = skewed();
    let expected = drawn(&dataset, options(64, 0));
    for (batch, workers) in [(64, 1), (64, 3), (7, 2), (1000, 4)] {
        assert_eq!(drawn(&dataset, options(batch, workers)), expected, "{batch}, {workers} threads");
    }
    assert_ne!(drawn(&dataset, options(64, 0).with_epoch(1)), expected);
    assert_ne!(drawn(&dataset, options(64, 0).with_seed(8)), expected);
    assert_ne!(drawn(&dataset, options(64, 0).with_sampler(Sampler::Shuffle)), expected);
    // From the middle of an epoch on.
    let rest = Loader::starting_at(Arc::clone(&dataset), options(64, 2), 9);
    let rest: Vec<u32> = rest.flat_map(|batch| batch.unwrap().samples).collect();
    assert_eq!(rest, expected[9 * 64..]);
    // Without shuffling the data's own order stays.
    let plain = drawn(&dataset, options(64, 0).with_shuffle(false));
    assert_eq!(plain, (0..1000).collect::<Vec<u32>>());
}

#[test]
fn a_sample_that_is_drawn_again_is_augmented_again() {
    let dataset = skewed();
    let Labels::Classes(labels) = &dataset.labels else { unreachable!() };
    let lone = labels.iter().position(|&label| label == 4).unwrap() as u32;
    let flip = Transform::default().with_augment(Augment { flip: true, ..Augment::default() });
    let images = |batch, workers| {
        let options = options(batch, workers).with_augment(true);
        let batches = all(&dataset, options.with_transform(InputTransform::OnHost(flip.clone())));
        let mut of_lone = Vec::new();
        for batch in &batches {
            let images = batch.input.values().chunks(2).zip(&batch.samples);
            of_lone.extend(images.filter(|(_, sample)| **sample == lone).map(|(image, _)| image[0] > 0.5));
        }
        of_lone
    };
    let found = images(64, 0);
    let mirrored = found.iter().filter(|&&is_plain| !is_plain).count();
    assert!((200..300).contains(&found.len()), "{}", found.len());
    assert!(
        (found.len() * 4 / 10..found.len() * 6 / 10).contains(&mirrored),
        "{mirrored} of {}",
        found.len()
    );
    assert_eq!(images(7, 3), found, "the size of batches and the number of threads");
}

#[test]
fn values_have_no_classes_to_balance() {
    let dataset = dataset(Labels::Values { width: 1, values: vec![0.5; 10] });
    let error = Loader::new(dataset, options(4, 1)).next().unwrap().unwrap_err();
    assert_eq!(error.exit_code(), 2);
    assert_eq!(error.to_string(), "sampler: skewed: expected classes as labels, found values");
}

#[test]
fn samplers_are_named() {
    for sampler in [Sampler::Shuffle, Sampler::Balanced] {
        assert_eq!(sampler.to_string().parse::<Sampler>().unwrap(), sampler);
    }
    let error = "even".parse::<Sampler>().unwrap_err();
    assert_eq!(error.to_string(), "sampler: expected shuffle or balanced, found even");
}
