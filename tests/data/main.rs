//! Data sets: what is read is what the files say, damaged files are one clear line each, and batches do not
//! depend on the number of threads.

#[path = "../support/allocations.rs"]
mod allocations;
mod augment;
mod cifar;
mod csv;
#[path = "../support/dataset.rs"]
mod dataset;
mod fit;
mod framing;
mod idx;
mod idx_families;
mod image_folder;
mod imagenet;
mod jpegs;
mod kinds;
mod layouts;
mod list_files;
mod lists;
mod loader;
mod locate;
mod memory;
mod npz;
mod packed;
#[path = "../support/packs.rs"]
mod packs;
mod pictures;
mod pixel_tables;
mod pngs;
mod ranges;
mod sampler;
mod shards;
mod shipped;
mod sides;
mod split;
mod stl10;
mod stored;
mod survey;
mod synthetic;
mod tables;
mod tensors;
mod transpose;
mod trivial_augment;
mod unnamed_labels;
mod whole;
mod wrappers;

use dataset::{assert_clear, classes, request};
use striate::data::{Dataset, Images, Kind};

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
