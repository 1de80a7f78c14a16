//! Images that are read when they are needed: pixels with their views, samples that cannot be read, and the order of
//! stores that are best read in blocks.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use striate::data::{
    Augmenter, BadFiles, Batch, Dataset, Images, InputTransform, Labels, Loader, LoaderOptions, OnBadFile,
    Store, Stored, Transform, ViewFn, Workers,
};
use striate::view::{Augment, View};
use striate::{Error, Result};

const SHAPE: [usize; 3] = [3, 5, 7];

/// All bytes of image i are i; some cannot be read.
#[derive(Debug, Default)]
struct Pictures {
    bad: BTreeSet<usize>,
    block: usize,
    reads: AtomicUsize,
    order: Mutex<Vec<usize>>,
}

impl Store for Pictures {
    fn read(&self, index: usize, into: &mut [u8]) -> Result<()> {
        self.reads.fetch_add(1, Ordering::Relaxed);
        self.order.lock().unwrap().push(index);
        // Some bytes that a broken decoder has already written.
        into.fill(index as u8);
        if self.bad.contains(&index) { Err(Error::data(format!("{index}.png"), "broken")) } else { Ok(()) }
    }

    fn block(&self) -> usize {
        self.block.max(1)
    }
}

fn dataset(store: Pictures, count: usize) -> (Arc<Pictures>, Arc<Dataset>) {
    let store = Arc::new(store);
    let dataset = Dataset {
        name: "folder".into(),
        shape: SHAPE,
        classes: 7,
        class_names: (0..7).map(|class| class.to_string()).collect(),
        // In another order than the store's.
        images: Images::Stored(Stored {
            store: store.clone(),
            indices: (0..count as u32).rev().collect(),
            framing: None,
        }),
        labels: Labels::Classes((0..count as u32).rev().map(|index| index % 7).collect()),
    };
    (store, Arc::new(dataset))
}

fn options(workers: usize, bad: &Arc<BadFiles>) -> LoaderOptions {
    let transform = Transform::default().with_resize(Some(5)).with_augment(Augment {
        flip: true,
        brightness: 0.5,
        ..Augment::default()
    });
    LoaderOptions::new(8, InputTransform::OnDevice(Augmenter::new(SHAPE, [3, 4, 4], &transform).unwrap()))
        .with_workers(Workers::new(workers))
        .with_seed(3)
        .with_epoch(1)
        .with_shuffle(true)
        .with_augment(true)
        .with_bad(Arc::clone(bad))
}

fn all(dataset: &Arc<Dataset>, options: &LoaderOptions) -> Vec<Batch> {
    Loader::new(Arc::clone(dataset), options.clone()).map(|batch| batch.unwrap()).collect()
}

/// The bytes of a row.
fn bytes(batch: &Batch, row: usize) -> &[u8] {
    &batch.input.bytes()[row * 27 * 4..(row + 1) * 27 * 4]
}

#[test]
fn a_batch_holds_the_bytes_and_the_view_of_each_picture() {
    let (_, dataset) = dataset(Pictures::default(), 50);
    let bad = BadFiles::new(OnBadFile::Fail);
    let options = options(2, &bad);
    let InputTransform::OnDevice(augmenter) = options.transform.clone() else { unreachable!() };
    let mut seen = BTreeSet::new();
    for batch in all(&dataset, &options) {
        assert_eq!(
            (batch.input.bytes().len(), batch.input.views().len(), batch.labels.len()),
            (8 * 27 * 4, 8, 8)
        );
        for row in 0..8 {
            if row >= batch.rows {
                assert!(bytes(&batch, row).iter().all(|&byte| byte == 0));
                assert_eq!((batch.input.views()[row], batch.labels[row]), (View::blank(), 0.0));
                continue;
            }
            let sample = batch.samples[row];
            let index = (49 - sample) as u8;
            assert!(bytes(&batch, row)[..105].iter().all(|&byte| byte == index), "row {row}");
            assert_eq!(bytes(&batch, row)[105..], [0; 3]);
            assert_eq!(batch.labels[row], f32::from(index % 7));
            assert_eq!(batch.input.views()[row], augmenter.draw(3, 1, sample, &[index; 105]));
            seen.insert(sample);
        }
    }
    assert_eq!(seen.len(), 50);
}

#[test]
fn samples_that_cannot_be_read_are_left_out_for_any_number_of_threads_and_opened_once() {
    let broken = BTreeSet::from([3, 4, 20, 41, 49]);
    let mut expected = None;
    for workers in [0, 1, 4] {
        let (store, dataset) = dataset(Pictures { bad: broken.clone(), ..Pictures::default() }, 50);
        let bad = BadFiles::new(OnBadFile::Skip);
        let batches = all(&dataset, &options(workers, &bad));
        assert_eq!(batches.len(), 7, "as many batches as without bad samples");
        assert_eq!(batches.iter().map(|batch| batch.rows).sum::<usize>(), 45);
        for batch in &batches {
            for row in 0..batch.rows {
                let index = 49 - batch.samples[row] as usize;
                assert!(!broken.contains(&index) && bytes(batch, row)[0] == index as u8);
                assert_eq!(batch.labels[row], (index % 7) as f32);
            }
            assert!((batch.rows..8).all(|row| bytes(batch, row).iter().all(|&byte| byte == 0)));
        }
        let mut news = bad.news();
        news.sort();
        assert_eq!(news.len(), 5);
        assert_eq!(news[1], "left out: 3.png: broken");
        assert_eq!(store.reads.load(Ordering::Relaxed), 50);
        let again = all(&dataset, &options(workers, &bad));
        assert!(again == batches && bad.news().is_empty());
        assert_eq!(store.reads.load(Ordering::Relaxed), 95, "bad samples are not opened again");
        assert!(*expected.get_or_insert(batches.clone()) == batches, "{workers} threads");
    }
}

#[test]
fn a_bad_sample_can_be_the_end_of_it() {
    for workers in [0, 3] {
        let (_, dataset) = dataset(Pictures { bad: BTreeSet::from([20]), ..Pictures::default() }, 50);
        let options = options(workers, &BadFiles::new(OnBadFile::Fail));
        let last = Loader::new(dataset, options).last().unwrap().unwrap_err();
        assert_eq!((last.to_string(), last.exit_code()), ("20.png: broken".into(), 4));
    }
}

#[test]
fn many_bad_samples_are_counted_not_named_and_none_good_is_an_error() {
    let (_, dataset) = dataset(Pictures { bad: (0..50).collect(), ..Pictures::default() }, 50);
    let bad = BadFiles::new(OnBadFile::Skip);
    let batches: Vec<Result<Batch>> = Loader::new(dataset, options(2, &bad)).collect();
    assert!(batches[..6].iter().all(|batch| batch.as_ref().unwrap().rows == 0));
    let error = batches[6].as_ref().unwrap_err();
    assert!(
        error.to_string().starts_with("folder: none of its 50 samples can be read; the first: "),
        "{error}"
    );
    assert_eq!(error.exit_code(), 4);
    assert_eq!(bad.news().len(), 20);
    assert_eq!(bad.others().unwrap(), "left out: 30 more that cannot be read");
    assert_eq!((bad.news().len(), bad.others()), (0, None));
}

#[test]
fn a_caller_may_look_as_it_likes_and_change_the_bytes() {
    let (_, dataset) = dataset(Pictures::default(), 20);
    let transform = InputTransform::Custom(ViewFn::new(|sample, picture| {
        assert!(picture.iter().all(|&byte| usize::from(byte) == 19 - sample));
        picture[0] = 255;
        View { reserved: [sample as u32, 0, 0], ..View::blank() }
    }));
    let bad = BadFiles::new(OnBadFile::Skip);
    let batches = all(&dataset, &options(2, &bad).with_transform(transform).with_shuffle(false));
    for (number, batch) in batches.iter().enumerate() {
        for row in 0..batch.rows {
            let sample = number * 8 + row;
            assert_eq!(bytes(batch, row)[..2], [255, 19 - sample as u8]);
            assert_eq!(batch.input.views()[row].reserved[0] as usize, sample);
        }
    }
}

#[test]
fn blocks_of_a_store_stay_near_each_other_and_everything_is_seen_once() {
    // 600 blocks of 10: the first 256 blocks drawn make up the first 2560 reads.
    let (store, dataset) = dataset(Pictures { block: 10, ..Pictures::default() }, 6000);
    let bad = BadFiles::new(OnBadFile::Skip);
    let options = options(0, &bad).with_batch(100).with_augment(false);
    let first = all(&dataset, &options);
    let order = std::mem::take(&mut *store.order.lock().unwrap());
    assert_eq!(order.iter().collect::<BTreeSet<_>>().len(), 6000);
    let blocks: BTreeSet<usize> = order[..2560].iter().map(|index| index / 10).collect();
    assert_eq!(blocks.len(), 256);
    let near = order[..2560].windows(2).filter(|pair| pair[0] / 10 == pair[1] / 10).count();
    assert!(near < 60, "{near} neighbours in the store are neighbours in the order");
    assert!(blocks.iter().last().unwrap() - blocks.first().unwrap() > 500, "blocks in random order");
    assert!(all(&dataset, &options) == first);
    assert!(all(&dataset, &options.clone().with_epoch(2)) != first);
}
