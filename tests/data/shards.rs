//! Images in Parquet files and tar shards, written by `datasets`, pyarrow and `webdataset` (`tests/fixtures/shards/make.py`): they are the
//! same samples as in a folder, and what is wrong with them is said in one line.

use crate::{assert_clear, classes, request};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use striate::data::{
    Augmenter, BadFiles, Dataset, InputTransform, Loader, LoaderOptions, OnBadFile, Request, Splits,
    Transform, Workers, open, open_with_diagnostics,
};

const SHAPE: [usize; 3] = [3, 8, 8];

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/shards").join(name)
}

fn wanted(name: &str) -> Request {
    request(&fixture(name), SHAPE, 3)
}

/// Classes and pixels of all samples.
fn samples(dataset: &Dataset) -> Read {
    let mut pixels = vec![0; dataset.image_len()];
    let read = |(sample, &class): (usize, &u32)| {
        dataset.read_pixels(sample, &mut pixels).unwrap();
        (class, pixels.clone())
    };
    classes(dataset).iter().enumerate().map(read).collect()
}

/// Classes and pixels of samples.
type Read = Vec<(u32, Vec<u8>)>;

/// The samples for training and validation of the folder that all sets were made of.
fn of_folder() -> [Read; 2] {
    let splits = open(&wanted("folder")).unwrap();
    assert_eq!(splits.train.class_names, ["cat", "dog", "owl"]);
    let [train, val] = [samples(&splits.train), samples(&splits.val)];
    assert_eq!((train.len(), val.len()), (24, 9));
    assert!(train.iter().any(|(_, pixels)| *pixels != train[0].1));
    [train, val]
}

fn whole(name: &str) -> Request {
    wanted(name).with_val_split(Some(0.0))
}

fn refused(request: &Request, parts: &[&str]) {
    let error = open(request).unwrap_err();
    assert_clear(&error, Path::new(request.path.as_ref().unwrap()), "refused");
    parts.iter().for_each(|part| assert!(error.to_string().contains(part), "{part}: {error}"));
}

/// Rows of an epoch, and what is reported of bad images.
fn epoch(dataset: &Arc<Dataset>, policy: OnBadFile) -> (striate::Result<usize>, Vec<String>) {
    let transform = InputTransform::OnDevice(Augmenter::new(SHAPE, SHAPE, &Transform::default()).unwrap());
    let bad = BadFiles::new(policy);
    let options = LoaderOptions::new(5, transform)
        .with_shuffle(true)
        .with_workers(Workers::new(2))
        .with_bad(Arc::clone(&bad));
    let rows = Loader::new(Arc::clone(dataset), options).map(|batch| batch.map(|batch| batch.rows)).sum();
    let mut named = bad.named();
    named.sort();
    (rows, named)
}

fn same_as_folder(splits: &Splits) {
    let [train, val] = of_folder();
    assert_eq!(splits.train.class_names, ["cat", "dog", "owl"]);
    assert!(samples(&splits.train) == train, "training samples differ");
    assert!(samples(&splits.val) == val, "validation samples differ");
}

#[cfg(feature = "parquet")]
mod parquet {
    use super::*;

    #[test]
    fn a_set_of_the_hub_is_the_folder_that_it_was_made_of() {
        let (splits, diagnostics) = open_with_diagnostics(&wanted("hub")).unwrap();
        assert!(diagnostics.lines.is_empty(), "{diagnostics:?}");
        same_as_folder(&splits);
        assert_eq!(splits.origin.as_ref().unwrap().provenance.data.kind, "parquet");
        // The folder of the files is the same set, and so are its files by a pattern.
        same_as_folder(&open(&wanted("hub/data")).unwrap());
        same_as_folder(
            &open(&wanted(
                "hub/data/{train-00000-of-00002,train-00001-of-00002,validation-00000-of-00001}.parquet",
            ))
            .unwrap(),
        );
        let train = open(&whole("hub/data/train-{00000..00001}-of-00002.parquet")).unwrap();
        assert!(samples(&train.train) == of_folder()[0]);
        let (one, diagnostics) =
            open_with_diagnostics(&whole("hub/data/train-00000-of-00002.parquet")).unwrap();
        assert_eq!(one.train.len(), 12);
        assert!(diagnostics.lines[0].contains("warning: only this shard of 2 is read"), "{diagnostics:?}");
    }

    #[test]
    fn compressed_pages_have_the_same_images() {
        let [train, _] = of_folder();
        for name in ["snappy", "zstd", "gzip", "v2", "plain"] {
            let splits = open(&whole(&format!("parquet/{name}.parquet"))).unwrap();
            assert!(samples(&splits.train) == train, "{name}");
        }
        refused(&whole("parquet/lz4.parquet"), &["LZ4", "SNAPPY, GZIP or ZSTD", "column label"]);
    }

    #[test]
    fn columns_are_found_by_type_or_named() {
        let flat = || whole("parquet/flat.parquet");
        refused(&flat(), &["expected a column of labels", "id, picture_bytes, breed", "label-column"]);
        let splits = open(&flat().with_label_column(Some("breed".into()))).unwrap();
        assert_eq!(splits.train.class_names, ["cat", "dog", "owl"]);
        assert!(samples(&splits.train) == of_folder()[0]);
        let provenance = &splits.origin.as_ref().unwrap().provenance;
        assert_eq!(
            (provenance.image_column.as_deref(), provenance.label_column.as_deref()),
            (None, Some("breed"))
        );
        let named = |image: &str| {
            flat().with_label_column(Some("breed".into())).with_image_column(Some(image.into()))
        };
        assert_eq!(open(&named("picture_bytes")).unwrap().train.len(), 24);
        refused(&named("photo"), &["image-column photo", "id, picture_bytes, breed"]);
        refused(&named("id"), &["column id", "as bytes"]);
        // More classes than the model has outputs.
        refused(&flat().with_label_column(Some("id".into())), &["expected a class below 3", "found 3"]);
    }

    #[test]
    fn rows_that_cannot_be_trained_on_are_refused_with_their_place() {
        refused(&whole("parquet/minus_one.parquet"), &["row 5, column label", "found -1"]);
        refused(&whole("parquet/null_label.parquet"), &["row 6, column label", "found none"]);
        refused(
            &whole("parquet/paths.parquet"),
            &["column image", "only the paths of files", "embed_table_storage"],
        );
    }

    #[test]
    fn bad_images_are_left_out_or_end_the_run() {
        let splits = open(&whole("parquet/bad_images.parquet")).unwrap();
        let (rows, named) = epoch(&splits.train, OnBadFile::Skip);
        assert_eq!(rows.unwrap(), 22);
        assert_eq!(named.len(), 2, "{named:?}");
        assert!(
            named[0].contains("row 2, column image: expected the bytes of an image, found null"),
            "{named:?}"
        );
        assert!(named[1].contains("row 9, column image: not a whole"), "{named:?}");
        let (rows, _) = epoch(&splits.train, OnBadFile::Fail);
        assert_eq!(rows.unwrap_err().exit_code(), 4);
    }

    #[test]
    fn damaged_pages_cost_their_rows_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("cut.parquet");
        let mut bytes = fs::read(fixture("parquet/snappy.parquet")).unwrap();
        // In the pages of the first row group, which has seven rows: the length that SNAPPY claims.
        let at = bytes.windows(4).position(|four| four == b"\x89PNG").unwrap();
        bytes[at..at + 2000].fill(0xff);
        fs::write(&path, bytes).unwrap();
        let splits = open(&request(&path, SHAPE, 3).with_val_split(Some(0.0))).unwrap();
        let (rows, named) = epoch(&splits.train, OnBadFile::Skip);
        let rows = rows.unwrap();
        assert!((17..24).contains(&rows), "{rows} rows, {named:?}");
        assert!(
            named.iter().all(|line| line.starts_with(path.to_str().unwrap()) && line.contains("row ")),
            "{named:?}"
        );
    }

    #[test]
    fn files_of_one_data_set_are_all_there_and_no_others() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        let put = |from: &str, to: &str| {
            let to = root.join(to);
            fs::create_dir_all(to.parent().unwrap()).unwrap();
            fs::copy(fixture(from), to).unwrap();
        };
        let train = |number: usize| format!("hub/data/train-0000{number}-of-00002.parquet");
        put(&train(0), "a/train-00000-of-00002.parquet");
        let wanted = |name: &str| request(&root.join(name), SHAPE, 3).with_val_split(Some(0.0));
        let error = open(&wanted("a")).unwrap_err();
        assert_clear(&error, root, "a shard is missing");
        assert!(error.to_string().contains("number 1 is missing"), "{error}");
        // The parts as folders, as the Hub converts data sets; test beside validation.
        put(&train(0), "b/default/train/0000.parquet");
        put(&train(1), "b/default/train/0001.parquet");
        put("hub/data/validation-00000-of-00001.parquet", "b/default/validation/0000.parquet");
        put("parquet/minus_one.parquet", "b/default/test/0000.parquet");
        let (splits, diagnostics) = open_with_diagnostics(&wanted("b")).unwrap();
        same_as_folder(&splits);
        assert_eq!(diagnostics.lines, ["1 test file is left alone"]);
        // Two configurations.
        put(&train(0), "b/other/train/0000.parquet");
        let error = open(&wanted("b")).unwrap_err();
        assert!(error.to_string().contains("files of one data set"), "{error}");
        // A validation part without labels is no validation part.
        put(&train(0), "c/train-0.parquet");
        put("parquet/flat.parquet", "c/val-0.parquet");
        let error = open(&wanted("c")).unwrap_err();
        assert!(error.to_string().contains("val-0.parquet"), "{error}");
        fs::write(root.join("c/val-0.parquet"), "PAR1 no such thing PAR1").unwrap();
        assert_clear(&open(&wanted("c")).unwrap_err(), root, "not Parquet");
    }
}

#[test]
fn tar_shards_are_the_folder_that_they_were_made_of() {
    let (splits, diagnostics) = open_with_diagnostics(&wanted("tar")).unwrap();
    assert!(diagnostics.lines.is_empty(), "{diagnostics:?}");
    let [train, val] = of_folder();
    assert_eq!(splits.train.class_names, ["0", "1", "2"]);
    assert!(samples(&splits.train) == train && samples(&splits.val) == val);
    let pattern = open(&whole("tar/train-{000000..000002}.tar")).unwrap();
    assert!(samples(&pattern.train) == train);
    let missing = open(&whole("tar/train-{000000..000003}.tar")).unwrap_err();
    assert_eq!(missing.exit_code(), 4);
    assert!(missing.to_string().contains("train-000003.tar"), "{missing}");
    assert_eq!(open(&whole("tar/train-{000000..}.tar")).unwrap_err().exit_code(), 2);
}

#[test]
fn a_field_of_json_is_the_label_of_a_tar_sample() {
    refused(
        &whole("tar-json/birds-00.tar"),
        &["sample cat/00", "label (.cls)", "found .json, .png", "label-column"],
    );
    let named = |field: &str| whole("tar-json/birds-00.tar").with_label_column(Some(field.into()));
    let splits = open(&named("breed")).unwrap();
    assert_eq!(splits.train.class_names, ["cat", "dog", "owl"]);
    assert!(samples(&splits.train) == of_folder()[0]);
    assert_eq!(classes(&open(&named("id")).unwrap().train), classes(&splits.train));
    refused(&named("colour"), &["cat/00.json", "field colour", "breed, file, id"]);
    // Of samples of JPEG and PNG files, only those with the named end are images.
    refused(&named("breed").with_image_column(Some("png".into())), &["sample cat/01", "found .jpg, .json"]);
}

/// A tar file of these members.
fn tar(path: &Path, members: &[(&str, &[u8])]) {
    let mut builder = ::tar::Builder::new(fs::File::create(path).unwrap());
    for (name, bytes) in members {
        let mut header = ::tar::Header::new_ustar();
        header.set_size(bytes.len() as u64);
        header.set_mode(0o644);
        header.set_cksum();
        builder.append_data(&mut header, name, *bytes).unwrap();
    }
    builder.finish().unwrap();
}

#[test]
fn a_damaged_shard_is_refused_and_a_damaged_image_left_out() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.tar");
    let wanted = || request(&path, SHAPE, 3).with_val_split(Some(0.0));
    let png = fs::read(fixture("folder/train/cat/00.png")).unwrap();
    let fails = |what: &str, parts: &[&str]| {
        let error = open(&wanted()).unwrap_err();
        assert_clear(&error, folder.path(), what);
        parts.iter().for_each(|part| assert!(error.to_string().contains(part), "{what}: {error}"));
    };
    let whole: &[(&str, &[u8])] = &[
        ("a.cls", b"0"),
        ("a.png", &png),
        ("._a.png", b"?"),
        ("b.cls", b"2\n"),
        ("b.txt", b"?"),
        ("b.png", &png[..200]),
        ("c.cls", b"1"),
        ("c.png", &png),
    ];
    // A mask that no decoder reads is no second image.
    tar(&path, &[&[("a.png", &png[..]), ("a.pgm", b"P5"), ("a.cls", b"1")], &whole[3..]].concat());
    assert_eq!(classes(&open(&wanted()).unwrap().train), [1, 2, 1]);
    tar(&path, whole);
    let splits = open(&wanted()).unwrap();
    assert_eq!(classes(&splits.train), [0, 2, 1]);
    let (rows, named) = epoch(&splits.train, OnBadFile::Skip);
    assert_eq!((rows.unwrap(), named.len()), (2, 1));
    assert!(named[0].contains("x.tar: b.png: "), "{named:?}");
    // Cut anywhere: nothing is lost in silence.
    let bytes = fs::read(&path).unwrap();
    let last = bytes.iter().rposition(|&byte| byte != 0).unwrap();
    for length in
        (1..last.next_multiple_of(512)).step_by(97).chain((512..=last.next_multiple_of(512)).step_by(512))
    {
        fs::write(&path, &bytes[..length]).unwrap();
        assert_clear(&open(&wanted()).unwrap_err(), folder.path(), &format!("{length} bytes"));
    }
    // Two archives in one file.
    fs::write(&path, [&bytes[..], &bytes].concat()).unwrap();
    fails("two archives", &["after the end of the archive"]);
    for (what, members, parts) in [
        ("no label", &[("a.png", &png[..]), ("b.png", &png)][..], &["sample a", "found .png"][..]),
        ("apart", &[("a.png", &png), ("b.png", &png), ("a.cls", b"1"), ("b.cls", b"1")], &["sample a"]),
        ("two images", &[("a.cls", b"1"), ("a.png", &png), ("a.jpg", &png)], &["a.jpg", "image-column"]),
        (
            "negative",
            &[("a.cls", b"0"), ("a.png", &png), ("b.cls", b"-1"), ("b.png", &png)],
            &["b.png", "found -1"],
        ),
        (
            "empty",
            &[("a.cls", b""), ("a.png", &png), ("b.cls", b"1"), ("b.png", &png)],
            &["a.png", "found none"],
        ),
        (
            "both kinds",
            &[("a.cls", b"0"), ("a.png", &png), ("b.cls", b"cat"), ("b.png", &png)],
            &["found both"],
        ),
        ("nothing", &[("readme", b"x")], &["found none"]),
    ] {
        tar(&path, members);
        fails(what, parts);
    }
}
