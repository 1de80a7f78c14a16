//! Packed data sets: what goes in comes out, whatever the number of threads, and no damage goes unnoticed.

use crate::{assert_clear, classes, request};
use safetensors::SafeTensors;
use safetensors::tensor::Dtype;
use std::path::Path;
use std::sync::Arc;
use striate::Error;
use striate::data::{
    Dataset, Images, Kind, Labels, PackSummary, Request, ScanObserver, Splits, Statistics, Store, Stored,
    open, pack,
};

const SHAPE: [usize; 3] = [3, 5, 7];

/// Pixels that differ in every picture, and classes in turn.
fn dataset(count: usize, first: usize, shape: [usize; 3]) -> Dataset {
    let image_len: usize = shape.iter().product();
    let pixel = |i: usize| ((i * i) >> 3 ^ (i * 31)) as u8;
    Dataset {
        name: "waves".into(),
        shape,
        classes: 3,
        class_names: ["a", "b \"quoted\"", "\u{e9}"].map(String::from).to_vec(),
        images: Images::U8((first * image_len..(first + count) * image_len).map(pixel).collect()),
        labels: Labels::Classes((0..count as u32).map(|i| i % 3).collect()),
    }
}

fn splits(train: usize, val: usize) -> Splits {
    let train = Arc::new(dataset(train, 0, SHAPE));
    let val = if val == 0 { Arc::clone(&train) } else { Arc::new(dataset(val, 1000, SHAPE)) };
    Splits::new(train, val)
}

/// What was bad and what was done; the first bad picture ends the pass if it is to.
#[derive(Default)]
pub struct Seen {
    pub bad: Vec<String>,
    done: Vec<(usize, usize)>,
    strict: bool,
}

impl ScanObserver for Seen {
    fn bad(&mut self, error: Error) -> striate::Result<()> {
        if self.strict {
            return Err(error);
        }
        self.bad.push(error.to_string());
        Ok(())
    }

    fn done(&mut self, count: usize, all: usize) -> striate::Result<()> {
        self.done.push((count, all));
        Ok(())
    }
}

pub fn strict() -> Seen {
    Seen { strict: true, ..Seen::default() }
}

fn write(splits: &Splits, path: &Path, workers: usize) -> PackSummary {
    pack(splits, path, workers, &mut strict()).unwrap()
}

fn reopen(path: &Path) -> striate::Result<Splits> {
    open(&Request { val_split: Some(0.0), ..request(path, SHAPE, 3) })
}

/// Every picture with its class, in the order of the data set.
pub fn content(dataset: &Dataset) -> striate::Result<Vec<(Vec<u8>, u32)>> {
    let one = |sample: usize| {
        let mut pixels = vec![0; dataset.image_len()];
        dataset.read_pixels(sample, &mut pixels)?;
        Ok((pixels, classes(dataset)[sample]))
    };
    (0..dataset.len()).map(one).collect()
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
    let source = Request { kind: Kind::Synthetic, ..request(folder.path(), SHAPE, 3) };
    let given = open(&Request { limit_train: Some(40), ..source }).unwrap();
    let alone = Splits::new(Arc::clone(&given.train), Arc::clone(&given.train));
    write(&alone, &first, 0);
    let split = |path: &Path| open(&Request { val_split: Some(0.3), seed: 5, ..request(path, SHAPE, 3) });
    let one = split(&first).unwrap();
    assert_eq!((one.train.len(), one.val.len()), (28, 12));
    // The pack of a pack is the same file, and its parts are the same.
    write(&reopen(&first).unwrap(), &again, 2);
    assert_eq!(std::fs::read(&first).unwrap(), std::fs::read(&again).unwrap());
    // Held back by the same seed from the same pictures in their first order.
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
    // More than one block of pictures.
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

#[test]
fn every_cut_and_every_flipped_bit_is_found() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("waves.safetensors");
    write(&splits(3, 2), &path, 0);
    let good = std::fs::read(&path).unwrap();
    let as_packed =
        || open(&Request { kind: Kind::Packed, val_split: Some(0.0), ..request(&path, SHAPE, 3) });
    for cut in 0..good.len() {
        std::fs::write(&path, &good[..cut]).unwrap();
        assert_clear(&as_packed().expect_err("a cut file"), folder.path(), &format!("cut at {cut}"));
    }
    std::fs::write(&path, [&good[..], &[0]].concat()).unwrap();
    assert_clear(&as_packed().expect_err("a longer file"), folder.path(), "one byte more");
    let header = u64::from_le_bytes(*good.first_chunk().unwrap()) as usize + 8;
    let pictures = header..header + 5 * 105;
    for byte in 0..good.len() {
        let mut wrong = good.clone();
        wrong[byte] ^= 1 << (byte % 8);
        std::fs::write(&path, &wrong).unwrap();
        let case = format!("byte {byte}");
        let error = match as_packed() {
            Err(error) => error,
            Ok(splits) => {
                assert!(pictures.contains(&byte), "{case} is not noticed when the file is opened");
                let (train, val) = (content(&splits.train), content(&splits.val));
                let (part, number) =
                    if byte - header < 315 { ("train", byte - header) } else { ("val", byte - header - 315) };
                let error = train.and(val).expect_err(&case);
                let place = format!("{part}.images, picture {}: expected hash ", number / 105);
                assert!(error.to_string().contains(&place), "{case}: {error}");
                error
            }
        };
        assert_clear(&error, folder.path(), &case);
    }
    assert!(crate::allocations::largest() < 256 << 20, "an allocation of {}", crate::allocations::largest());
}

#[test]
fn headers_that_lie_are_refused_before_memory_is_taken() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("waves.safetensors");
    write(&splits(3, 2), &path, 0);
    let good = std::fs::read(&path).unwrap();
    let header = u64::from_le_bytes(*good.first_chunk().unwrap()) as usize + 8;
    let text = String::from_utf8(good[8..header].to_vec()).unwrap();
    for (from, to, expected) in [
        ("\"version\":\"1\"", "\"version\":\"3\"", "metadata version: expected 1 or 2, found \"3\""),
        ("\"version\":\"1\"", "\"version\":\"2\"", "train.images: expected [pixels, channels]"),
        ("striate-packed", "striate-pecked", "metadata format: expected striate-packed"),
        ("\"name\"", "\"nome\"", "metadata name: expected a text, found none"),
        ("[3,3,5,7]", "[3,2,5,7]", "the header: "),
        ("train.labels", "train.lobels", "train.labels: expected"),
        ("\"I32\"", "\"U32\"", "labels: expected I32"),
        ("[2,3,5,7]", "[1,6,5,7]", "val.images: expected U8 [1, 3, 5, 7]"),
        ("[3,3,5,7]", "[3,15,1,7]", "train.images: expected 1 or 3 channels"),
    ] {
        let wrong = text.replacen(from, to, 1);
        assert_ne!(wrong, text, "{from}");
        let length = (wrong.len() as u64).to_le_bytes();
        std::fs::write(&path, [&length[..], wrong.as_bytes(), &good[header..]].concat()).unwrap();
        let error = open(&Request { kind: Kind::Packed, ..request(&path, SHAPE, 3) }).expect_err(to);
        assert_clear(&error, folder.path(), to);
        assert!(error.to_string().contains(expected), "{to}: {error}");
    }
}

/// A store whose pictures with an odd number cannot be read.
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
    assert!(error.to_string().contains("expected a training picture to pack, found none"), "{error}");
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
    assert!(error.to_string().contains("picture 3"), "{error}");
}
