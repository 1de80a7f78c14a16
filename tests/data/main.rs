//! Data sets: what is read is what the files say, damaged files are one clear line each, and batches do not
//! depend on the number of threads.

#[path = "../support/allocations.rs"]
mod allocations;
mod augment;
mod cifar;
mod csv;
mod fit;
mod framing;
mod hostile;
mod idx;
mod idx_families;
mod image_folder;
mod jpegs;
mod layouts;
mod loader;
mod locate;
mod memory;
mod packed;
mod pictures;
mod pngs;
mod ranges;
mod shipped;
mod sides;
mod split;
mod stored;
mod survey;
mod synthetic;
mod tables;
mod tensors;
mod unnamed_labels;
mod whole;
mod wrappers;

use std::path::Path;
use striate::Error;
use striate::data::{Dataset, Images, Kind, Labels, Request};

/// A request for the data set at `path`.
fn request(path: &Path, input: [usize; 3], outputs: usize) -> Request {
    Request::new(input, outputs).with_path(Some(path.to_str().unwrap().into()))
}

fn bytes(dataset: &Dataset) -> &[u8] {
    match &dataset.images {
        Images::U8(values) => values,
        _ => panic!("images of bytes in memory expected"),
    }
}

fn floats(dataset: &Dataset) -> &[f32] {
    match &dataset.images {
        Images::F32(values) => values,
        _ => panic!("images of f32 expected"),
    }
}

fn classes(dataset: &Dataset) -> &[u32] {
    match &dataset.labels {
        Labels::Classes(classes) => classes,
        _ => panic!("classes expected"),
    }
}

/// Bad data, said in one line that names a file of `folder`.
fn assert_clear(error: &Error, folder: &Path, case: &str) {
    let message = error.to_string();
    assert_eq!(error.exit_code(), 4, "{case}: {message}");
    assert!(message.starts_with(folder.to_str().unwrap()), "{case}: {message}");
    assert!(!message.contains('\n'), "{case}: {message}");
}

#[test]
fn kinds_are_named_and_a_wrong_name_gets_the_nearest() {
    for (kind, name) in Kind::NAMES {
        assert_eq!(name.parse::<Kind>().unwrap(), kind);
        assert_eq!(kind.to_string(), name);
    }
    let error = "imagefolder".parse::<Kind>().unwrap_err();
    assert_eq!(error.exit_code(), 2);
    assert!(error.to_string().contains("did you mean \"image-folder\"?"), "{error}");
}
