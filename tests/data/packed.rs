//! Packed data sets: what goes in comes out, for any number of threads, and no damage goes unnoticed.

use crate::packs::{SHAPE, Seen, content, dataset, splits, strict, write};
use crate::request;
use safetensors::SafeTensors;
use safetensors::tensor::Dtype;
use std::path::Path;
use std::sync::Arc;
use striate::Error;
use striate::data::{Dataset, Images, Kind, Labels, Splits, Statistics, Store, Stored, open, pack};

fn reopen(path: &Path) -> striate::Result<Splits> {
    open(&request(path, SHAPE, 3).with_val_split(Some(0.0)))
}

#[test]
fn what_is_packed_is_read_back_pixel_for_pixel() {
    let folder = tempfile::tempdir().unwrap();
    for (train, val) in [(1, 0), (5, 0), (23, 4), (8, 8)] {
        let path = folder.path().join(format!("{train}-{val}.any"));
        let given = splits(train, val);
        let summary = write(&given, &path, 0);
        assert_eq!((summary.counts, summary.skipped), ([train, val], 0));
        assert_eq!(summary.bytes, path.metadata().unwrap().len());
        let read = reopen(&path).unwrap();
        assert_eq!((read.train.name.as_str(), read.train.shape), ("waves", SHAPE));
        assert_eq!(read.train.class_names, given.train.class_names);
        assert_eq!(content(&given.train).unwrap(), content(&read.train).unwrap());
        if val > 0 {
            assert_eq!(content(&given.val).unwrap(), content(&read.val).unwrap());
        }
    }
}

#[test]
fn a_pack_holds_back_the_same_pictures_for_validation_as_what_was_packed() {
    let folder = tempfile::tempdir().unwrap();
    let [first, again] = ["first", "again"].map(|name| folder.path().join(name));
    let source = request(folder.path(), SHAPE, 3).with_kind(Kind::Synthetic);
    let given = open(&source.with_limit_train(Some(40))).unwrap();
    let alone = Splits::new(Arc::clone(&given.train), Arc::clone(&given.train));
    write(&alone, &first, 0);
    let split = |path: &Path| open(&request(path, SHAPE, 3).with_val_split(Some(0.3)).with_seed(5));
    let one = split(&first).unwrap();
    assert_eq!((one.train.len(), one.val.len()), (28, 12));
    // The pack of a pack is the same file, and its parts are the same.
    write(&reopen(&first).unwrap(), &again, 2);
    assert_eq!(std::fs::read(&first).unwrap(), std::fs::read(&again).unwrap());
    // Held back by the same seed from the same images in their first order.
    let order: Vec<_> = content(&given.train).unwrap();
    let held: Vec<usize> =
        content(&one.val).unwrap().iter().map(|p| order.iter().position(|q| p == q).unwrap()).collect();
    assert!(held.is_sorted(), "{held:?}");
}

#[test]
fn names_that_no_reader_would_take_are_refused_before_anything_is_written() {
    let folder = tempfile::tempdir().unwrap();
    let names = (0..9).map(|i| i.to_string().repeat(1 << 20)).collect();
    let train = Arc::new(Dataset { class_names: names, classes: 9, ..dataset(5, 0, SHAPE) });
    let given = Splits::new(Arc::clone(&train), train);
    let error = pack(&given, &folder.path().join("long"), 0, &mut strict()).unwrap_err();
    assert_eq!(error.exit_code(), 4);
    assert!(
        error.to_string().starts_with("waves: expected a header (names of classes) of at most 8388608 bytes"),
        "{error}"
    );
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
}

#[test]
fn the_number_of_threads_does_not_change_a_byte() {
    let folder = tempfile::tempdir().unwrap();
    // More than one block of images.
    let train = Arc::new(dataset(400, 0, [3, 100, 120]));
    let given = Splits::new(Arc::clone(&train), train);
    let file = |workers: usize| {
        let path = folder.path().join(workers.to_string());
        write(&given, &path, workers);
        std::fs::read(path).unwrap()
    };
    let one = file(1);
    assert!(one == file(4) && one == file(3));
}

/// The file as another program sees it, which knows nothing but safetensors.
#[test]
fn the_file_is_a_safetensors_file_with_statistics() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("waves.safetensors");
    let given = splits(23, 4);
    let summary = write(&given, &path, 0);
    let bytes = std::fs::read(&path).unwrap();
    let file = SafeTensors::deserialize(&bytes).unwrap();
    let images = file.tensor("train.images").unwrap();
    assert_eq!((images.dtype(), images.shape()), (Dtype::U8, &[23, 3, 5, 7][..]));
    let labels = file.tensor("val.labels").unwrap();
    assert_eq!((labels.dtype(), labels.shape(), labels.data()[4]), (Dtype::I32, &[4][..], 1));
    for name in ["train.hashes", "val.hashes", "train.labels", "checksum"] {
        let data = file.tensor(name).unwrap().data().as_ptr() as usize - bytes.as_ptr() as usize;
        assert_eq!(data % if name.ends_with("labels") { 4 } else { 8 }, 0, "{name} is aligned");
    }
    let (_, metadata) = SafeTensors::read_metadata(&bytes).unwrap();
    let text = |key: &str| metadata.metadata().as_ref().unwrap()[key].clone();
    let numbers = |key: &str| serde_json::from_str::<serde_json::Value>(&text(key)).unwrap();
    assert_eq!((text("format").as_str(), text("version").as_str()), ("striate-packed", "1"));
    assert_eq!(numbers("classes"), serde_json::json!(given.train.class_names));
    let Statistics { mean, std, pca } = summary.statistics;
    let pixels = images.data().chunks(35).step_by(3).flatten().map(|&p| f64::from(p) / 255.0);
    let red = pixels.clone().sum::<f64>() / pixels.count() as f64;
    assert!((mean[0] - red).abs() < 1e-12);
    assert_eq!((numbers("mean"), numbers("std")), (serde_json::json!(mean), serde_json::json!(std)));
    assert_eq!(numbers("pca_eigenvalues"), serde_json::json!(pca.unwrap().values));
}

/// A store whose images with an odd number cannot be read.
#[derive(Debug)]
struct Halves;

impl Store for Halves {
    fn read(&self, index: usize, into: &mut [u8]) -> striate::Result<()> {
        into.fill(index as u8);
        if index % 2 == 1 { Err(Error::data(format!("{index}.png"), "damaged")) } else { Ok(()) }
    }
}

fn stored(indices: Vec<u32>) -> Splits {
    let labels = Labels::Classes(indices.iter().map(|i| i % 3).collect());
    let images = Images::Stored(Stored { store: Arc::new(Halves), indices, framing: None });
    let train = Arc::new(Dataset { images, labels, ..dataset(0, 0, SHAPE) });
    Splits::new(Arc::clone(&train), train)
}

#[test]
fn bad_pictures_are_named_once_and_left_out_or_end_it() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("halves");
    let mut seen = Seen::default();
    let summary = pack(&stored((0..20).collect()), &path, 2, &mut seen).unwrap();
    assert_eq!((summary.counts, summary.skipped), ([10, 0], 10));
    let expected: Vec<_> = (0..10).map(|i| format!("{}.png: damaged", 2 * i + 1)).collect();
    assert_eq!(seen.bad, expected);
    assert_eq!(seen.done.last(), Some(&(20, 20)));
    let read = content(&reopen(&path).unwrap().train).unwrap();
    assert_eq!(read.len(), 10);
    assert!(read.iter().all(|(pixels, class)| pixels[0] % 2 == 0 && *class == u32::from(pixels[0]) % 3));

    let before = std::fs::read(&path).unwrap();
    assert!(
        pack(&stored(vec![0, 1, 2]), &path, 0, &mut strict())
            .unwrap_err()
            .to_string()
            .contains("1.png: damaged")
    );
    let error = pack(&stored(vec![1, 3]), &path, 0, &mut Seen::default()).unwrap_err();
    assert!(error.to_string().contains("expected a training image to pack, found none"), "{error}");
    assert!(before == std::fs::read(&path).unwrap(), "what was there stays");
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1, "nothing is left beside it");
}

#[test]
fn what_has_no_pixels_or_no_classes_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("set");
    let refuse = |train: Dataset, expected: &str| {
        let train = Arc::new(train);
        let error = pack(&Splits::new(Arc::clone(&train), train), &path, 0, &mut strict()).unwrap_err();
        assert!(error.exit_code() == 4 && error.to_string().contains(expected), "{error}");
    };
    refuse(Dataset { images: Images::F32(vec![0.0; 210]), ..dataset(2, 0, SHAPE) }, "found f32 images");
    let values = Labels::Values { width: 1, values: vec![0.5; 2] };
    refuse(Dataset { labels: values, ..dataset(2, 0, SHAPE) }, "found values as labels");
    refuse(dataset(2, 0, [2, 4, 4]), "found 2 channels");
    assert!(!path.exists());
}

#[test]
fn reading_in_blocks_is_advised() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("set");
    write(&splits(3, 0), &path, 0);
    let Images::Stored(stored) = &reopen(&path).unwrap().train.images else { panic!("a store expected") };
    assert_eq!(stored.store.block(), (4 << 20) / 105);
    let error = stored.store.read(3, &mut [0; 105]).unwrap_err();
    assert!(error.to_string().contains("image 3"), "{error}");
}
