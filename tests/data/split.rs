//! Which samples are held back, and limits.

use crate::{assert_clear, bytes, classes, floats, request};
use std::path::Path;
use striate::data::{Division, Request, Splits, open, open_with};

/// A table of `rows` rows whose only feature is the row's number.
fn table(folder: &Path, rows: usize) -> Request {
    let path = folder.join("rows.csv");
    std::fs::write(&path, (0..rows).map(|row| format!("{row},{}\n", row % 2)).collect::<String>()).unwrap();
    request(&path, [1, 1, 1], 2)
}

fn rows(splits: &Splits) -> (Vec<f32>, Vec<f32>) {
    (floats(&splits.train).to_vec(), floats(&splits.val).to_vec())
}

#[test]
fn a_tenth_is_held_back_by_the_seed() {
    let folder = tempfile::tempdir().unwrap();
    let request = table(folder.path(), 200);
    let (train, val) = rows(&open(&request).unwrap());
    assert_eq!((train.len(), val.len()), (180, 20));
    assert!(train.is_sorted() && val.is_sorted());
    let mut all = [train.clone(), val.clone()].concat();
    all.sort_by(f32::total_cmp);
    assert!(all.iter().enumerate().all(|(row, &value)| row as f32 == value), "every row once");
    assert_ne!(val, (0..20).map(|row| row as f32).collect::<Vec<_>>(), "drawn, not the first");
    assert_eq!(rows(&open(&request).unwrap()), (train, val.clone()));
    let (_, other) = rows(&open(&request.with_seed(1)).unwrap());
    assert_ne!(other, val);
}

#[test]
fn the_part_can_be_chosen() {
    let folder = tempfile::tempdir().unwrap();
    let request = table(folder.path(), 10);
    // Each of the two classes keeps a sample to be trained on.
    for (part, held) in [(0.5, 5), (0.01, 1), (0.999, 8)] {
        let (train, val) = rows(&open(&request.clone().with_val_split(Some(part))).unwrap());
        assert_eq!((train.len(), val.len()), (10 - held, held), "{part}");
    }
    let (train, val) = rows(&open(&request.clone().with_val_split(Some(0.0))).unwrap());
    assert!(train.len() == 10 && train == val, "nothing held back");
    for part in [1.0, -0.1, f32::NAN] {
        let error = open(&request.clone().with_val_split(Some(part))).unwrap_err();
        assert_eq!(error.exit_code(), 2, "{error}");
    }
    let error = open(&table(folder.path(), 1)).unwrap_err();
    assert_clear(&error, folder.path(), "one row");
}

#[test]
fn counts_take_training_files_and_then_validation_files_in_their_order() {
    let folder = tempfile::tempdir().unwrap();
    let base = table(folder.path(), 10);
    let split = |counts| open(&base.clone().with_counts(Some(counts)));
    let (train, val) = rows(&split([3, 4]).unwrap());
    assert_eq!((train, val), (vec![0.0, 1.0, 2.0], vec![3.0, 4.0, 5.0, 6.0]));
    for counts in [[6, 5], [usize::MAX, 2]] {
        let error = split(counts).unwrap_err();
        assert_clear(&error, folder.path(), "too many");
        assert!(error.to_string().contains("found 10"), "{error}");
    }
    assert_eq!(split([0, 5]).unwrap_err().exit_code(), 2);
    let both = base.clone().with_counts(Some([5, 5])).with_val_split(Some(0.1));
    assert_eq!(open(&both).unwrap_err().exit_code(), 2);

    // MNIST's form: 5 training images, 4 others to test with.
    let idx = |folder: &Path, part: &str, from: u8, to: u8| {
        let head = |sizes: &[u8]| {
            let sizes = sizes.iter().flat_map(|&n| [0, 0, 0, n]);
            sizes.collect::<Vec<u8>>()
        };
        let pixels: Vec<u8> = (from..to).collect();
        let images = [vec![0, 0, 8, 3], head(&[to - from, 1, 1]), pixels.clone()].concat();
        let labels = [vec![0, 0, 8, 1], head(&[to - from]), pixels.iter().map(|p| p % 3).collect()].concat();
        std::fs::write(folder.join(format!("{part}-images-idx3-ubyte")), images).unwrap();
        std::fs::write(folder.join(format!("{part}-labels-idx1-ubyte")), labels).unwrap();
    };
    let mnist = tempfile::tempdir().unwrap();
    idx(mnist.path(), "train", 0, 5);
    let pooled = request(mnist.path(), [1, 1, 1], 3).with_counts(Some([4, 3]));
    assert_clear(
        &open(&pooled.clone().with_counts(Some([4, 2]))).unwrap_err(),
        mnist.path(),
        "the training file alone",
    );
    idx(mnist.path(), "t10k", 5, 9);
    let splits = open(&pooled).unwrap();
    assert_eq!((bytes(&splits.train), bytes(&splits.val)), (&[0, 1, 2, 3][..], &[4, 5, 6][..]));
    assert_eq!(classes(&splits.val), [1, 2, 0]);
}

#[test]
fn limits_take_the_first_samples() {
    let folder = tempfile::tempdir().unwrap();
    let request = table(folder.path(), 200);
    let (train, val) = rows(&open(&request).unwrap());
    let limited = request.clone().with_limit_train(Some(7)).with_limit_val(Some(3));
    assert_eq!(rows(&open(&limited).unwrap()), (train[..7].to_vec(), val[..3].to_vec()));
    let generous = request.clone().with_limit_train(Some(usize::MAX)).with_limit_val(Some(usize::MAX));
    assert_eq!(rows(&open(&generous).unwrap()), (train, val));
    let same = request.clone().with_limit_val(Some(2)).with_val_split(Some(0.0));
    let (train, val) = rows(&open(&same).unwrap());
    assert_eq!((train.len(), val.as_slice()), (200, &[0.0, 1.0][..]));
    assert_eq!(open(&request.with_limit_train(Some(0))).unwrap_err().exit_code(), 2);
}

#[test]
fn earlier_versions_draw_as_they_did() {
    // What version 0.1.0 held out of 40 samples, each of a separate class.
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("rows.csv");
    let lines =
        |class: fn(usize) -> usize| (0..40).map(|row| format!("{row},{}\n", class(row))).collect::<String>();
    let val = |text: String, share: f32, seed: u64, version: u32| {
        std::fs::write(&path, text).unwrap();
        let request = request(&path, [1, 1, 1], 40).with_seed(seed).with_val_split(Some(share));
        let division = Division::HeldOut { share, seed, version };
        rows(&open_with(&request, &mut |_| Ok(division.clone())).unwrap().0).1
    };
    let known: [(f32, u64, &[f32]); 2] = [
        (0.1, 0, &[6.0, 18.0, 25.0, 34.0]),
        (0.3, 5, &[3.0, 4.0, 5.0, 7.0, 8.0, 20.0, 24.0, 26.0, 27.0, 28.0, 30.0, 38.0]),
    ];
    for (share, seed, held) in known {
        assert_eq!(val(lines(|row| row), share, seed, 1), held);
        // For all classes; those of version 2 count.
        assert_eq!(val(lines(|row| row / 20), share, seed, 1), held);
        let by_class = val(lines(|row| row / 20), share, seed, 2);
        assert_eq!(by_class.iter().filter(|&&row| row < 20.0).count(), held.len() / 2);
    }
    for (share, version) in [(0.0, 2), (1.0, 2), (f32::NAN, 1), (0.1, 0), (0.1, 3)] {
        let division = Division::HeldOut { share, seed: 0, version };
        let error = open_with(&request(&path, [1, 1, 1], 40), &mut |_| Ok(division.clone())).unwrap_err();
        assert_eq!(error.exit_code(), 2, "{error}");
    }
}

#[test]
fn a_share_is_drawn_from_every_class() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("rows.csv");
    let class = |row: usize| if row < 4 { 0 } else { 1 + row % 3 };
    let text: String = (0..390).map(|row| format!("{row},{}\n", class(row))).collect();
    std::fs::write(&path, text).unwrap();
    for seed in 0..30 {
        let splits = open(&request(&path, [1, 1, 1], 4).with_seed(seed)).unwrap();
        let counts =
            |labels: &[u32]| [0, 1, 2, 3].map(|k| labels.iter().filter(|&&label| label == k).count());
        let [small, a, b, c] = counts(classes(&splits.val));
        assert_eq!((small, small + a + b + c), (1, 39), "seed {seed}");
        assert!([a, b, c].iter().all(|count| (12..=13).contains(count)), "{a} {b} {c}");
        assert_eq!(counts(classes(&splits.train)).iter().sum::<usize>(), 351);
    }
}

#[test]
fn the_same_data_is_known_again_and_its_samples_by_number() {
    let folder = tempfile::tempdir().unwrap();
    let origin = |request: &Request| open(request).unwrap().origin.unwrap();
    let base = table(folder.path(), 20);
    let first = origin(&base.clone().with_val_split(Some(0.25)).with_seed(3).with_limit_train(Some(4)));
    let [train, val] = &first.numbers;
    assert_eq!((train.len(), val.len()), (4, 5));
    let (_, held) = rows(&open(&base.clone().with_val_split(Some(0.25)).with_seed(3)).unwrap());
    assert_eq!(val.iter().map(|&number| number as f32).collect::<Vec<_>>(), held);
    let division = Division::HeldOut { share: 0.25, seed: 3, version: Division::VERSION };
    assert_eq!((&first.provenance.division, first.provenance.limit_train), (&division, Some(4)));

    // Wherever it lies and however it is divided; not with one value, one label or one sample changed.
    let text = std::fs::read_to_string(folder.path().join("rows.csv")).unwrap();
    let again = |text: &str| {
        let path = folder.path().join("other.csv");
        std::fs::write(&path, text).unwrap();
        origin(&request(&path, [1, 1, 1], 2)).provenance.data.clone()
    };
    let data = &first.provenance.data;
    assert_eq!((data.kind.as_str(), data.counts), ("csv", [20, 0]));
    assert!(data.is_same(&again(&text)));
    for other in [text.replace("19,1", "18,1"), text.replace("19,1", "19,0"), text.replace("19,1\n", "")] {
        assert!(!data.is_same(&again(&other)), "{other}");
    }
}
