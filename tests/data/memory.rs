//! What packing a data set, and surveying and loading a packed one take of memory does not grow with the number of images, but
//! for a few bytes for each. It counts what all threads of the process have allocated, so it runs in a separate process.

use crate::allocations::peak_of_all_threads as peak;
use std::fs::File;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use striate::data::{
    Augmenter, BadFiles, Dataset, Images, InputTransform, Labels, Loader, LoaderOptions, OnBadFile, Request,
    ScanObserver, Splits, Store, Stored, Transform, Workers, open, pack, survey,
};
use striate::{Error, Result};

/// Set in the process that measures.
const ALONE: &str = "STRIATE_TEST_ALONE";

const SHAPE: [usize; 3] = [3, 128, 128];

/// Rows of a batch.
const BATCH: usize = 16;

/// Bytes of a batch: images, and with views, labels and lists less than this for each row beside them.
const BATCH_BYTES: usize = BATCH * (3 * 128 * 128 + 1024);

/// Batches at a time: three that the loader holds (its own promise) and the one that its user has.
const BATCHES: usize = 4;

/// Images made when they are asked for.
#[derive(Debug)]
struct Made;

impl Store for Made {
    fn read(&self, index: usize, into: &mut [u8]) -> Result<()> {
        into.iter_mut().enumerate().for_each(|(i, byte)| *byte = (index * 7 + i * i / 5) as u8);
        Ok(())
    }
}

struct Strict;

impl ScanObserver for Strict {
    fn bad(&mut self, error: Error) -> Result<()> {
        Err(error)
    }

    fn done(&mut self, _count: usize, _all: usize) -> Result<()> {
        Ok(())
    }
}

/// Rows of a training epoch over `dataset`, as training loads it.
fn load(dataset: Arc<Dataset>) -> usize {
    let options = LoaderOptions::new(
        BATCH,
        InputTransform::OnDevice(Augmenter::new(SHAPE, SHAPE, &Transform::default()).unwrap()),
    )
    .with_workers(Workers::new(2))
    .with_shuffle(true)
    .with_augment(true)
    .with_bad(BadFiles::new(OnBadFile::Fail));
    Loader::new(dataset, options).map(|batch| batch.unwrap().rows).sum()
}

/// Peaks of packing `count` images, of a survey of the packed ones, and of a training epoch over them.
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
    let splits = Splits::new(Arc::clone(&train), train);
    let (packing, summary) = peak(|| pack(&splits, &path, 2, &mut Strict).unwrap());
    assert_eq!(summary.counts, [count, 0]);
    let request =
        Request::new(SHAPE, 2).with_path(Some(path.to_str().unwrap().into())).with_val_split(Some(0.0));
    let (surveying, found) = peak(|| survey(&open(&request).unwrap(), 2, &mut Strict).unwrap());
    assert_eq!(found.counts(), [count, 0]);
    let (loading, rows) = peak(|| load(open(&request).unwrap().train));
    assert_eq!(rows, count);
    [packing, surveying, loading]
}

/// Runs the test `name` of this file in a process of its own; false there.
fn ran_alone(name: &str) -> bool {
    if std::env::var_os(ALONE).is_none() {
        let name = &format!("memory::{name}");
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args(["--exact", name, "--nocapture", "--test-threads=1"]).env(ALONE, "1");
        let output = command.output().unwrap();
        let text = String::from_utf8_lossy(&output.stdout);
        print!("{text}");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        assert!(text.contains("1 passed"), "{text}");
        return true;
    }
    false
}

/// A PNG file of noise, 48 KiB.
fn noise() -> Vec<u8> {
    let mut state = 1u32;
    let image = image::RgbImage::from_fn(128, 128, |_, _| {
        image::Rgb([0; 3].map(|_: u8| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 24) as u8
        }))
    });
    let mut bytes = std::io::Cursor::new(Vec::new());
    image.write_to(&mut bytes, image::ImageFormat::Png).unwrap();
    bytes.into_inner()
}

/// A tar shard of `count` samples.
fn tar_of(path: &Path, count: usize, image: &[u8]) {
    let mut builder = tar::Builder::new(File::create(path).unwrap());
    let mut add = |name: String, bytes: &[u8]| {
        let mut header = tar::Header::new_ustar();
        header.set_size(bytes.len() as u64);
        header.set_mode(0o644);
        header.set_cksum();
        builder.append_data(&mut header, name, bytes).unwrap();
    };
    for sample in 0..count {
        add(format!("{sample:06}.cls"), (sample % 2).to_string().as_bytes());
        add(format!("{sample:06}.png"), image);
    }
    builder.finish().unwrap();
}

/// A Parquet file of `count` rows in row groups of 25, uncompressed: more groups than there are threads.
#[cfg(feature = "parquet")]
fn parquet_of(path: &Path, count: usize, image: &[u8]) {
    use parquet::data_type::{ByteArray, ByteArrayType, Int64Type};
    use parquet::file::properties::WriterProperties;
    use parquet::file::writer::SerializedFileWriter;
    let schema = "message set { optional binary image; optional int64 label; }";
    let schema = Arc::new(parquet::schema::parser::parse_message_type(schema).unwrap());
    let properties = Arc::new(WriterProperties::builder().set_dictionary_enabled(false).build());
    let mut writer = SerializedFileWriter::new(File::create(path).unwrap(), schema, properties).unwrap();
    let image = ByteArray::from(image.to_vec());
    for group in 0..count / 25 {
        let mut columns = writer.next_row_group().unwrap();
        let mut column = columns.next_column().unwrap().unwrap();
        column.typed::<ByteArrayType>().write_batch(&vec![image.clone(); 25], Some(&[1; 25]), None).unwrap();
        column.close().unwrap();
        let labels: Vec<i64> = (0..25).map(|row| (group + row) as i64 % 2).collect();
        let mut column = columns.next_column().unwrap().unwrap();
        column.typed::<Int64Type>().write_batch(&labels, Some(&[1; 25]), None).unwrap();
        column.close().unwrap();
        columns.close().unwrap();
    }
    writer.close().unwrap();
}

#[test]
fn memory_does_not_grow_with_the_size_of_shards() {
    if ran_alone("memory_does_not_grow_with_the_size_of_shards") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let image = noise();
    type Make = fn(&Path, usize, &[u8]);
    #[cfg_attr(not(feature = "parquet"), expect(unused_mut))]
    let mut formats: Vec<(&str, Make)> = vec![("t.tar", tar_of)];
    #[cfg(feature = "parquet")]
    formats.push(("t.parquet", parquet_of));
    for (name, make) in formats {
        let path = folder.path().join(name);
        let peaks = [200, 2000].map(|count| {
            make(&path, count, &image);
            let request = Request::new(SHAPE, 2)
                .with_path(Some(path.to_str().unwrap().into()))
                .with_val_split(Some(0.0));
            let (peak, rows) = peak(|| load(open(&request).unwrap().train));
            assert_eq!(rows, count, "{name}");
            peak
        });
        println!("{name}: {} bytes for 200 images, {} for 2000", peaks[0], peaks[1]);
        assert!(peaks[1] < peaks[0] + (5 << 20), "{name}: {peaks:?}");
    }
}

#[test]
fn memory_does_not_grow_with_the_number_of_pictures() {
    if ran_alone("memory_does_not_grow_with_the_number_of_pictures") {
        return;
    }
    // 20 MB and 200 MB of images: more than is held at a time.
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
