//! Batches: in order, whole, and the same for any number of threads.

use std::sync::Arc;
use striate::data::{
    BadFiles, Batch, BatchInput, Dataset, Images, InputTransform, Labels, Loader, LoaderOptions, OnBadFile,
    Transform, Workers,
};
use striate::view::{Augment, View};

/// `count` images of `shape`; all bytes of image i are i, except for the first column, which is 200.
fn dataset(count: usize, shape: [usize; 3]) -> Arc<Dataset> {
    let len: usize = shape.iter().product();
    let pixels = (0..count * len).map(|at| if at % shape[2] == 0 { 200 } else { (at / len) as u8 }).collect();
    Arc::new(Dataset {
        name: "test".into(),
        shape,
        classes: 5,
        class_names: (0..5).map(|class| class.to_string()).collect(),
        images: Images::U8(pixels),
        labels: Labels::Classes((0..count as u32).map(|sample| sample % 5).collect()),
    })
}

fn plain() -> Transform {
    Transform::default().with_scale(1.0)
}

fn mirrors() -> Augment {
    Augment { flip: true, ..Augment::default() }
}

fn options(batch: usize, workers: usize) -> LoaderOptions {
    LoaderOptions::new(batch, InputTransform::OnHost(plain()))
        .with_workers(Workers::new(workers))
        .with_seed(3)
        .with_bad(BadFiles::new(OnBadFile::Skip))
}

fn all(dataset: &Arc<Dataset>, options: &LoaderOptions) -> Vec<Batch> {
    Loader::new(Arc::clone(dataset), options.clone()).map(|batch| batch.unwrap()).collect()
}

#[test]
fn batches_are_in_order_and_the_rest_of_the_last_one_is_zero() {
    let dataset = dataset(23, [2, 1, 3]);
    for workers in [0, 1, 3, 100] {
        let mut loader = Loader::new(Arc::clone(&dataset), options(5, workers));
        assert_eq!((loader.batches(), loader.size_hint()), (5, (1, Some(5))));
        for number in 0..5 {
            let batch = loader.next().unwrap().unwrap();
            assert_eq!(batch.rows, if number == 4 { 3 } else { 5 });
            assert_eq!((batch.input.values().len(), batch.labels.len()), (30, 5));
            for row in 0..5 {
                let sample = (number * 5 + row) as f32;
                let (image, label) = if row < batch.rows {
                    ([200.0, sample, sample, 200.0, sample, sample], sample % 5.0)
                } else {
                    ([0.0; 6], 0.0)
                };
                assert_eq!(batch.input.values()[row * 6..][..6], image);
                assert_eq!(batch.labels[row], label);
            }
            // The next batch reuses this one's memory; nothing of it may remain.
            let images = BatchInput::Images { bytes: vec![9; 40], views: vec![View::blank(); 5] };
            loader.recycle(Batch {
                input: if number % 2 == 0 { BatchInput::Values(vec![f32::NAN; 30]) } else { images },
                labels: vec![f32::NAN; 5],
                samples: vec![9; 9],
                rows: 5,
            });
        }
        assert!(loader.next().is_none() && loader.next().is_none());
    }
}

#[test]
fn the_number_of_threads_changes_nothing() {
    let dataset = dataset(203, [3, 4, 5]);
    let transform = Transform::default()
        .with_mean(vec![0.1, 0.2, 0.3])
        .with_std(vec![0.4, 0.5, 0.6])
        .with_augment(mirrors());
    let with = |workers, epoch, seed| {
        let options =
            options(8, workers).with_epoch(epoch).with_seed(seed).with_shuffle(true).with_augment(true);
        all(&dataset, &options.with_transform(InputTransform::OnHost(transform.clone())))
    };
    let expected = with(0, 2, 3);
    assert_eq!(expected.len(), 26);
    for workers in [1, 2, 4] {
        assert_eq!(with(workers, 2, 3), expected, "{workers} threads");
    }
    assert_ne!(with(2, 3, 3), expected, "another epoch");
    assert_ne!(with(2, 2, 4), expected, "another seed");
}

#[test]
fn shuffling_shows_every_sample_once_in_another_order_each_epoch() {
    let dataset = dataset(101, [1, 1, 2]);
    let order = |epoch| -> Vec<f32> {
        let options = options(10, 2).with_shuffle(true).with_epoch(epoch);
        all(&dataset, &options)
            .iter()
            .flat_map(|batch| batch.input.values().chunks(2).take(batch.rows).map(|image| image[1]))
            .collect()
    };
    let mut sorted = order(0);
    assert!(!sorted.is_sorted());
    sorted.sort_by(f32::total_cmp);
    assert_eq!(sorted, (0..101).map(|sample| sample as f32).collect::<Vec<_>>());
    assert_ne!(order(0), order(1));
}

#[test]
fn bytes_are_normalised_per_channel() {
    let dataset = dataset(2, [2, 1, 2]);
    let transform = plain().with_scale(0.5).with_mean(vec![1.0, 2.0]).with_std(vec![4.0, 8.0]);
    let batch = &all(&dataset, &options(2, 0).with_transform(InputTransform::OnHost(transform)))[0];
    // (200 * 0.5 - mean) / std and (sample * 0.5 - mean) / std, exact in f32.
    assert_eq!(batch.input.values(), [24.75, -0.25, 12.25, -0.25, 24.75, -0.125, 12.25, -0.1875]);
    let one_for_all = plain().with_mean(vec![8.0]);
    let batch = &all(&dataset, &options(1, 0).with_transform(InputTransform::OnHost(one_for_all)))[1];
    assert_eq!(batch.input.values(), [192.0, -7.0, 192.0, -7.0]);
}

#[test]
fn half_of_the_images_are_mirrored_by_seed_epoch_and_sample() {
    let dataset = dataset(250, [1, 2, 3]);
    let flip = InputTransform::OnHost(plain().with_augment(mirrors()));
    let mirrored = |epoch, augment, batch, shuffle| {
        let options = options(batch, 2)
            .with_epoch(epoch)
            .with_augment(augment)
            .with_shuffle(shuffle)
            .with_transform(flip.clone());
        let mut mirrored = vec![false; 250];
        for batch in all(&dataset, &options) {
            for image in batch.input.values().chunks(6).take(batch.rows) {
                let sample = image[1];
                let (first, last) = if image[0] == 200.0 { (0, 2) } else { (2, 0) };
                assert!(image[first] == 200.0 && image[first + 3] == 200.0);
                assert!(image[last] == sample && image[last + 3] == sample);
                mirrored[sample as usize] = first == 2;
            }
        }
        // Sample 200 looks the same both ways.
        mirrored[200] = false;
        mirrored
    };
    let first = mirrored(0, true, 7, false);
    let count = first.iter().filter(|&&mirrored| mirrored).count();
    assert!((95..155).contains(&count), "{count} of 250");
    assert_eq!(mirrored(0, true, 32, true), first, "neither batch size nor order matters");
    assert_ne!(mirrored(1, true, 7, false), first);
    assert!(mirrored(0, false, 7, false).iter().all(|mirrored| !mirrored));
}

#[test]
fn images_of_f32_and_rows_of_values_pass_unchanged() {
    let dataset = Arc::new(Dataset {
        name: "values".into(),
        shape: [2, 1, 1],
        classes: 0,
        class_names: vec![],
        images: Images::F32(vec![0.5, -0.5, 1e-30, 3.0, 7.0, 8.0]),
        labels: Labels::Values { width: 2, values: vec![1.0, 2.0, 3.0, 4.0, 5.0, 6.0] },
    });
    let transform = plain().with_scale(9.0).with_mean(vec![9.0]).with_std(vec![9.0]).with_augment(mirrors());
    let transform = InputTransform::OnHost(transform);
    let batches = all(&dataset, &options(2, 1).with_augment(true).with_transform(transform));
    assert_eq!(batches[0].input.values(), [0.5, -0.5, 1e-30, 3.0]);
    assert_eq!(batches[0].labels, [1.0, 2.0, 3.0, 4.0]);
    assert_eq!((batches[1].input.values(), batches[1].rows), (&[7.0, 8.0, 0.0, 0.0][..], 1));
    assert_eq!(batches[1].labels, [5.0, 6.0, 0.0, 0.0]);
}

#[test]
fn dropping_the_loader_early_stops_its_threads() {
    let dataset = dataset(10_000, [3, 8, 8]);
    for taken in [0, 1, 5] {
        let mut loader = Loader::new(Arc::clone(&dataset), options(4, 4));
        for _ in 0..taken {
            loader.next().unwrap().unwrap();
        }
        drop(loader);
        // Each thread holds the data set for as long as it runs.
        assert_eq!(Arc::strong_count(&dataset), 1, "after {taken} batches");
    }
}

#[test]
fn waiting_is_counted() {
    let dataset = dataset(2_000, [3, 32, 32]);
    let mut loader = Loader::new(dataset, options(500, 0));
    assert!(loader.waited().is_zero());
    loader.next().unwrap().unwrap();
    let once = loader.waited();
    assert!(!once.is_zero());
    loader.next().unwrap().unwrap();
    assert!(loader.waited() > once);
}

#[test]
fn options_that_cannot_be_meant_are_the_only_item() {
    let dataset = dataset(10, [3, 2, 2]);
    let two_means = plain().with_mean(vec![0.0; 2]);
    let zero_std = plain().with_std(vec![0.0]);
    // 1 - x: an inverted image.
    plain().with_std(vec![-1.0]).check(1).unwrap();
    let wrong = [
        (options(0, 2), "batch-size"),
        (
            options(4, 2).with_transform(InputTransform::OnHost(two_means)),
            "preprocess.mean: expected 1 or 3 numbers",
        ),
        (
            options(4, 2).with_transform(InputTransform::OnHost(zero_std)),
            "preprocess.std: expected numbers other than 0",
        ),
    ];
    for (options, expected) in wrong {
        let mut loader = Loader::new(Arc::clone(&dataset), options);
        let error = loader.next().unwrap().unwrap_err();
        assert_eq!(error.exit_code(), 2);
        assert!(error.to_string().contains(expected), "{error}");
        assert!(loader.next().is_none());
    }
}
