//! Synthetic images: reproducible, and something can be learnt from them.

use crate::{bytes, classes};
use striate::data::{Dataset, Kind, Labels, Request, open};

fn synthetic(input: [usize; 3], outputs: usize) -> Request {
    Request::new(input, outputs).with_kind(Kind::Synthetic)
}

/// The mean image of each class.
fn means(dataset: &Dataset, count: usize) -> Vec<Vec<f64>> {
    let mut sums = vec![vec![0.0; dataset.image_len()]; count];
    let mut samples = vec![0.0; count];
    for (image, &class) in bytes(dataset).chunks(dataset.image_len()).zip(classes(dataset)) {
        samples[class as usize] += 1.0;
        for (sum, &pixel) in sums[class as usize].iter_mut().zip(image) {
            *sum += f64::from(pixel);
        }
    }
    for (sum, count) in sums.iter_mut().zip(samples) {
        sum.iter_mut().for_each(|sum| *sum /= count);
    }
    sums
}

#[test]
fn the_nearest_class_mean_finds_the_class() {
    // Three numbers leave the noise room to mislead; guessing finds half of two classes.
    for (input, count, floor) in [([1, 28, 28], 10, 0.95), ([3, 17, 23], 10, 0.95), ([3, 1, 1], 2, 0.65)] {
        let splits = open(&synthetic(input, count)).unwrap();
        assert_eq!((splits.train.len(), splits.val.len(), splits.train.classes), (2048, 512, count));
        let means = means(&splits.train, count);
        let images = bytes(&splits.val).chunks(splits.val.image_len());
        let hits = images.zip(classes(&splits.val)).filter(|(image, class)| {
            let distance = |mean: &Vec<f64>| -> f64 {
                mean.iter().zip(*image).map(|(mean, &pixel)| (mean - f64::from(pixel)).powi(2)).sum()
            };
            let nearest = (0..count).min_by(|&a, &b| distance(&means[a]).total_cmp(&distance(&means[b])));
            nearest == Some(**class as usize)
        });
        let accuracy = hits.count() as f64 / 512.0;
        assert!(accuracy > floor, "{input:?}: {accuracy}");
    }
}

#[test]
fn the_same_seed_gives_the_same_images() {
    let request = synthetic([3, 9, 7], 5).with_limit_train(Some(64)).with_limit_val(Some(64));
    let first = open(&request).unwrap();
    let again = open(&request).unwrap();
    assert_eq!(first.train, again.train);
    assert_ne!(bytes(&first.train), bytes(&first.val));
    let other = open(&request.with_seed(1)).unwrap();
    assert_ne!(bytes(&first.train), bytes(&other.train));
    let images: Vec<_> = bytes(&first.train).chunks(3 * 9 * 7).collect();
    assert!(images.iter().enumerate().all(|(i, a)| images[..i].iter().all(|b| a != b)), "no image twice");
}

#[test]
fn one_output_gets_values() {
    let splits = open(&synthetic([1, 2, 2], 1).with_limit_train(Some(4))).unwrap();
    assert_eq!(splits.train.labels, Labels::Values { width: 1, values: vec![0.0, 1.0, 0.0, 1.0] });
}

#[test]
fn more_than_memory_holds_is_an_error() {
    for count in [1 << 29, usize::MAX] {
        let request = synthetic([3, 100_000, 100_000], 2).with_limit_train(Some(count));
        assert_eq!(open(&request).unwrap_err().exit_code(), 3);
    }
}
