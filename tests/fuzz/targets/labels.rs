//! The files that label images: lists, and those of ImageNet.

use super::{LOOKED_AT, folder, judged};
use std::fs;
use std::path::Path;
use striate::data::{Kind, Request, Splits, open};

/// Opens the data set of `request` for no model; errors begin with `named_by`.
fn opened(request: Request, named_by: &Path) {
    let request = request.with_val_split(Some(0.0)).with_model(None);
    let Some(Splits { train, val, .. }) = judged(open(&request), named_by) else { return };
    for dataset in [train, val] {
        assert!(!dataset.is_empty() && dataset.class_names.len() == dataset.classes);
        for sample in (0..dataset.len()).take(LOOKED_AT) {
            // It may be any file that a list names, or none.
            let _ = dataset.read_pixels(sample, &mut vec![0; dataset.image_len()]);
        }
    }
}

/// A list of image files as a table and as a text, with its columns named and not, alone and as the list of the validation part.
pub fn list(bytes: &[u8]) {
    let folder = folder().join("list");
    if !folder.is_dir() {
        fs::create_dir_all(folder.join("train")).unwrap();
        ["a.png", "b.jpg", "train/c.png"].iter().for_each(|name| fs::write(folder.join(name), "x").unwrap());
    }
    let request = |path: &Path, kind| {
        Request::new([3, 8, 8], 10).with_path(Some(path.to_str().unwrap().into())).with_kind(kind)
    };
    for name in ["l.csv", "l.txt", "l.tsv"] {
        let path = folder.join(name);
        fs::write(&path, bytes).unwrap();
        opened(request(&path, Kind::List), &folder);
        if name == "l.csv" {
            opened(request(&path, Kind::Auto), &folder);
            opened(request(&path, Kind::Csv), &folder);
            let chosen = request(&path, Kind::List).with_image_column(Some("1".into()));
            opened(chosen.with_label_column(Some("label".into())), &folder);
        }
        fs::remove_file(path).unwrap();
    }
    fs::write(folder.join("train.csv"), "file,label\na,x\nc,y\n").unwrap();
    fs::write(folder.join("val.csv"), bytes).unwrap();
    opened(request(&folder, Kind::List), &folder);
    ["train.csv", "val.csv"].iter().for_each(|name| fs::remove_file(folder.join(name)).unwrap());
}

/// A byte that says which of ImageNet's files it is, then the file.
pub fn annotations(bytes: &[u8]) {
    let Some((which, bytes)) = bytes.split_first() else { return };
    let folder = folder().join("imagenet");
    if !folder.is_dir() {
        for name in ["train/n01443537/a.JPEG", "train/n02124075/b.JPEG", "val/v_1.JPEG", "val/v_2.JPEG"] {
            fs::create_dir_all(folder.join(name).parent().unwrap()).unwrap();
            fs::write(folder.join(name), "x").unwrap();
        }
    }
    let truth = ["ILSVRC2012_validation_ground_truth.txt", "map_clsloc.txt"];
    let (name, beside) = match which % 6 {
        0 => ("val/val_annotations.txt", None),
        1 => ("LOC_val_solution.csv", None),
        2 => (truth[0], Some((truth[1], "n01443537 1 a\nn02124075 2 b\n"))),
        3 => (truth[1], Some((truth[0], "1\n2\n"))),
        4 => ("LOC_synset_mapping.txt", None),
        _ => ("words.txt", Some(("wnids.txt", "n01443537\n"))),
    };
    let mut written = vec![folder.join(name)];
    fs::write(&written[0], bytes).unwrap();
    if let Some((name, text)) = beside {
        written.push(folder.join(name));
        fs::write(&written[1], text).unwrap();
    }
    let path = Some(folder.to_str().unwrap().into());
    opened(Request::new([3, 8, 8], 10).with_path(path), &folder);
    written.iter().for_each(|path| fs::remove_file(path).unwrap());
}
