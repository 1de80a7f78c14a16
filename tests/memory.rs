//! What packing a data set, and surveying and loading a packed one take of memory does not grow with the number of pictures, but
//! for a few bytes for each. A program of its own: it counts what all its threads have allocated.

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use striate::data::{
    BadFiles, Dataset, Images, Labels, Loader, LoaderOptions, Look, OnBadFile, Request, Splits, Store,
    Stored, Transform, Viewer, Watch, Workers, open, pack, survey,
};
use striate::{Error, Result};

static LIVE: AtomicUsize = AtomicUsize::new(0);
static PEAK: AtomicUsize = AtomicUsize::new(0);

struct Counted;

fn grow(bytes: usize) {
    let live = LIVE.fetch_add(bytes, Ordering::Relaxed) + bytes;
    PEAK.fetch_max(live, Ordering::Relaxed);
}

// SAFETY: every call is passed on to the system allocator unchanged; only counters are kept beside it.
unsafe impl GlobalAlloc for Counted {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        grow(layout.size());
        unsafe { System.alloc(layout) }
    }
    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        LIVE.fetch_sub(layout.size(), Ordering::Relaxed);
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counted = Counted;

/// Most bytes at a time while `work` runs, beyond those before.
fn peak<T>(work: impl FnOnce() -> T) -> (usize, T) {
    let before = LIVE.load(Ordering::Relaxed);
    PEAK.store(before, Ordering::Relaxed);
    let result = work();
    (PEAK.load(Ordering::Relaxed) - before, result)
}

const SHAPE: [usize; 3] = [3, 128, 128];

/// Rows of a batch.
const BATCH: usize = 16;

/// Bytes of a batch: pictures, and with views, labels and lists less than this for each row beside them.
const BATCH_BYTES: usize = BATCH * (3 * 128 * 128 + 1024);

/// Batches at a time: three that the loader holds (its own promise) and the one that its user has.
const BATCHES: usize = 4;

/// Pictures made when they are asked for.
#[derive(Debug)]
struct Made;

impl Store for Made {
    fn read(&self, index: usize, into: &mut [u8]) -> Result<()> {
        into.iter_mut().enumerate().for_each(|(i, byte)| *byte = (index * 7 + i * i / 5) as u8);
        Ok(())
    }
}

struct Strict;

impl Watch for Strict {
    fn bad(&mut self, error: Error) -> Result<()> {
        Err(error)
    }

    fn done(&mut self, _count: usize, _all: usize) -> Result<()> {
        Ok(())
    }
}

/// Rows of a training epoch over `dataset`, as training loads it.
fn load(dataset: Arc<Dataset>) -> usize {
    let options = LoaderOptions {
        batch: BATCH,
        workers: Workers::new(2),
        seed: 0,
        epoch: 0,
        shuffle: true,
        augment: true,
        look: Look::Views(Viewer::new(SHAPE, SHAPE, &Transform::default()).unwrap()),
        bad: BadFiles::new(OnBadFile::Fail),
    };
    Loader::new(dataset, options).map(|batch| batch.unwrap().rows).sum()
}

/// Peaks of packing `count` pictures, of a survey of the packed ones, and of a training epoch over them.
fn peaks(count: usize) -> [usize; 3] {
    let indices: Vec<u32> = (0..count as u32).collect();
    let train = Arc::new(Dataset {
        name: "made".into(),
        shape: SHAPE,
        classes: 2,
        class_names: vec!["a".into(), "b".into()],
        labels: Labels::Classes(indices.iter().map(|i| i % 2).collect()),
        images: Images::Stored(Stored { store: Arc::new(Made), indices, framing: None }),
    });
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("packed");
    let splits = Splits { val: Arc::clone(&train), train };
    let (packing, summary) = peak(|| pack(&splits, &path, 2, &mut Strict).unwrap());
    assert_eq!(summary.counts, [count, 0]);
    let request =
        Request { path: Some(path.to_str().unwrap().into()), val_split: Some(0.0), ..Request::new(SHAPE, 2) };
    let (surveying, found) = peak(|| survey(&open(&request).unwrap(), 2, &mut Strict).unwrap());
    assert_eq!(found.counts(), [count, 0]);
    let (loading, rows) = peak(|| load(open(&request).unwrap().train));
    assert_eq!(rows, count);
    [packing, surveying, loading]
}

#[test]
fn memory_does_not_grow_with_the_number_of_pictures() {
    // 20 MB and 200 MB of pictures: more than is held at a time.
    let (few, many) = (400, 4000);
    let (once, ten_times) = (peaks(few), peaks(many));
    // Hashes, labels and places, in vectors that may have grown to twice their contents.
    let indices = |count: usize| count * 100;
    for (what, (small, large)) in ["packing", "surveying", "loading"].iter().zip(once.iter().zip(ten_times)) {
        println!("{what}: {small} bytes for {few} pictures, {large} for {many}");
        assert!(large < 64 << 20, "{what}: {large} bytes");
    }
    for work in [0, 1] {
        let (small, large) = (once[work], ten_times[work]);
        assert!(large < small + indices(many - few), "{small} bytes for {few} pictures, {large} for {many}");
    }
    // How far the loader runs ahead of its user is chance; how far it may is not.
    for (count, peak) in [(few, once[2]), (many, ten_times[2])] {
        let allowed = BATCHES * BATCH_BYTES + indices(count);
        assert!(peak < allowed, "loading {count} pictures: {peak} bytes, at most {allowed} are allowed");
    }
}
