//! The layouts of ImageNet and Tiny ImageNet, whose validation images lie in one folder with their labels in a file: the same
//! samples in the same order as folders of classes hold.

use crate::layouts::{read, right, tree};
use crate::{assert_clear, classes};
use std::fs;
use std::path::Path;
use striate::data::{Diagnostics, Kind, Splits, find};

const CAT: &str = "n02124075";
const CRANE: &str = "n03126707";
const BIRD: &str = "n02012849";

/// Training images of three classes, and four of validation in one folder.
fn imagenet(root: &Path) {
    for class in [CAT, CRANE, BIRD] {
        tree(root, &[&format!("train/{class}/{class}_*.JPEG")]);
    }
    let names = (1..=4).map(|n| format!("val/ILSVRC2012_val_0000000{n}.JPEG"));
    tree(root, &names.collect::<Vec<_>>().iter().map(String::as_str).collect::<Vec<_>>());
}

/// Number of the image in its name and class of each validation sample.
fn validation(splits: &Splits) -> Vec<(String, String)> {
    let val = &splits.val;
    (0..val.len())
        .map(|sample| {
            let file = val.file(sample).unwrap();
            let stem = file.file_stem().unwrap().to_str().unwrap();
            (stem[stem.len() - 1..].to_string(), val.class_names[classes(val)[sample] as usize].clone())
        })
        .collect()
}

fn owned(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    pairs.iter().map(|(a, b)| (a.to_string(), b.to_string())).collect()
}

#[track_caller]
fn refused(root: &Path, parts: &[&str]) {
    let error = read(root).expect_err("refused");
    assert_clear(&error, root, "refused");
    for part in parts {
        assert!(error.to_string().contains(part), "no {part:?} in: {error}");
    }
}

fn has(notes: &Diagnostics, part: &str) -> bool {
    notes.lines.iter().any(|line| line.contains(part))
}

const SOLUTION: &str = "ImageId,PredictionString\nILSVRC2012_val_00000003,n02124075 85 1 499 272 n02124075 1 2 3 4 \nILSVRC2012_val_00000001,n03126707 131 0 499 254 \nILSVRC2012_val_00000004,n02012849 1 2 3 4\nILSVRC2012_val_00000002,n02124075 1 2 3 4\n";

#[test]
fn kaggles_solution_labels_the_validation_images() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    let base = root.join("ILSVRC/Data/CLS-LOC");
    imagenet(&base);
    tree(&base, &["test/ILSVRC2012_test_*.JPEG"]);
    tree(root, &["ILSVRC/Annotations/CLS-LOC/train/n02124075/a.xml", "ILSVRC/ImageSets/CLS-LOC/val.txt"]);
    fs::write(root.join("LOC_val_solution.csv"), SOLUTION).unwrap();
    fs::write(root.join("LOC_train_solution.csv"), "ImageId,PredictionString\nx,n02124075 1 2 3 4\n")
        .unwrap();
    let ids = [("4", BIRD), ("2", CAT), ("3", CAT), ("1", CRANE)];
    // Named from the top, from the middle, and by the folder with the parts.
    for path in [root.to_path_buf(), root.join("ILSVRC"), base.clone()] {
        let (splits, notes) = read(&path).unwrap();
        assert_eq!(validation(&splits), owned(&ids), "{path:?} {notes:?}");
        assert_eq!((splits.train.len(), splits.val.len()), (9, 4));
        assert!(has(&notes, "are labelled by LOC_val_solution.csv"), "{notes:?}");
        assert!(has(&notes, "test is left alone"), "{notes:?}");
        assert_eq!(find(path.to_str(), Kind::Auto).unwrap().kind, Kind::ImageFolder);
    }
    // What the classes are called; two cranes.
    let words = "n02012849 crane\nn02124075 Egyptian cat\nn03126707 crane\nn09999999 other, thing\n";
    fs::write(root.join("LOC_synset_mapping.txt"), words).unwrap();
    let (splits, _) = read(root).unwrap();
    assert_eq!(splits.train.class_names, ["crane (n02012849)", "Egyptian cat", "crane (n03126707)"]);
    fs::write(root.join("LOC_synset_mapping.txt"), "n02012849 crane\n").unwrap();
    let (splits, notes) = read(root).unwrap();
    assert_eq!(splits.train.class_names[0], BIRD);
    assert!(has(&notes, "does not say what 2 of the 3 classes are called"), "{notes:?}");
}

#[test]
fn a_solution_that_does_not_fit_is_refused_with_its_line() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    imagenet(root);
    let with = |from: &str, to: &str| {
        assert_eq!(SOLUTION.matches(from).count(), 1, "{from}");
        fs::write(root.join("LOC_val_solution.csv"), SOLUTION.replace(from, to)).unwrap();
    };
    with("n03126707 131 0 499 254", "n00000001 131 0 499 254");
    refused(root, &["line 3: expected a class that train has too, found \"n00000001\""]);
    with("n02124075 1 2 3 4 \n", "n03126707 1 2 3 4 \n");
    refused(root, &["line 2: expected boxes of one class"]);
    with("00000004,n02012849 1 2 3 4", "00000001,n02012849 1 2 3 4");
    refused(root, &["line 4: expected each image once"]);
    with("n02012849 1 2 3 4", "");
    refused(root, &["line 4: expected a class such as"]);
    with("ILSVRC2012_val_00000004,", "../x,");
    refused(root, &["line 4: expected the name of an image file"]);
    // An image that is missing cannot be read; one without a label is left out; classes without images may be missing too.
    with("ILSVRC2012_val_00000002,n02124075", "ILSVRC2012_val_00000009,n02124075");
    let (splits, notes) = read(root).unwrap();
    assert!(has(&notes, "1 of the 4 images that LOC_val_solution.csv labels are not in"), "{notes:?}");
    assert!(has(&notes, "1 images in") && has(&notes, "does not label them"), "{notes:?}");
    let mut pixels = vec![0; splits.val.image_len()];
    let errors = (0..4).filter_map(|sample| splits.val.read_pixels(sample, &mut pixels).err());
    let errors: Vec<String> = errors.map(|error| error.to_string()).collect();
    assert!(errors.len() == 1 && errors[0].ends_with("(line 5 of LOC_val_solution.csv)"), "{errors:?}");
    with("ILSVRC2012_val_00000002,n02124075", "ILSVRC2012_val_00000009,n00000001");
    let (splits, notes) = read(root).unwrap();
    assert_eq!(splits.val.len(), 3, "{notes:?}");
}

#[test]
fn numbers_of_the_development_kit_need_its_table() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    imagenet(root);
    let kit = root.join("ILSVRC2012_devkit_t12/data");
    fs::create_dir_all(&kit).unwrap();
    fs::write(kit.join("ILSVRC2012_validation_ground_truth.txt"), "490\n361\n361\n7\n").unwrap();
    fs::write(kit.join("meta.mat"), "MATLAB 5.0").unwrap();
    refused(
        root,
        &["ILSVRC2012_validation_ground_truth.txt: expected map_clsloc.txt beside it", "own order"],
    );
    let map = "n02012849 7 crane\nn02124075 361 Egyptian_cat\nn03126707 490 crane\n";
    fs::write(kit.join("map_clsloc.txt"), map).unwrap();
    let (splits, notes) = read(root).unwrap();
    assert_eq!(validation(&splits), owned(&[("4", BIRD), ("2", CAT), ("3", CAT), ("1", CRANE)]), "{notes:?}");
    fs::write(kit.join("ILSVRC2012_validation_ground_truth.txt"), "490\n361\n").unwrap();
    refused(root, &["00000003.JPEG: expected an image whose name ends with a number of 1 to 2"]);
    fs::write(kit.join("ILSVRC2012_validation_ground_truth.txt"), "490\n361\n9\n7\n").unwrap();
    refused(root, &["line 3: expected a number of a class of map_clsloc.txt, found \"9\""]);
    fs::write(kit.join("map_clsloc.txt"), format!("{map}n00000001 7 x\n")).unwrap();
    refused(root, &["line 4: expected each number once, found 7 again"]);
    // Validation images in folders of classes need no labels.
    let sorted = tempfile::tempdir().unwrap();
    tree(sorted.path(), &["train/n02124075/*.JPEG", "train/n02012849/*.JPEG", "val/n02124075/1.JPEG"]);
    fs::write(sorted.path().join("ILSVRC2012_validation_ground_truth.txt"), "1\n").unwrap();
    assert_eq!(read(sorted.path()).unwrap().0.val.len(), 1);
}

#[test]
fn tiny_imagenets_validation_images_are_labelled_by_their_annotations() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("tiny-imagenet-200");
    for class in [CAT, CRANE, BIRD] {
        tree(&root, &[&format!("train/{class}/images/{class}_*.JPEG")]);
        fs::write(root.join(format!("train/{class}/{class}_boxes.txt")), "x.JPEG\t0\t1\t2\t3\n").unwrap();
    }
    tree(&root, &["val/images/val_*.JPEG", "test/images/test_*.JPEG"]);
    let annotations = "val_0.JPEG\tn03126707\t0\t32\t44\t62\nval_1.JPEG\tn02124075\t52\t55\t57\t59\nval_2.JPEG\tn02124075\t4\t0\t60\t55\n";
    fs::write(root.join("val/val_annotations.txt"), annotations).unwrap();
    fs::write(root.join("wnids.txt"), format!("{CAT}\n{CRANE}\n{BIRD}\n")).unwrap();
    for path in [root.clone(), folder.path().to_path_buf()] {
        let (splits, notes) = read(&path).unwrap();
        assert_eq!(validation(&splits), owned(&[("1", CAT), ("2", CAT), ("0", CRANE)]), "{notes:?}");
        assert_eq!(splits.train.class_names, [BIRD, CAT, CRANE]);
        assert!(has(&notes, "holds no images of n02012849"), "{notes:?}");
    }
    let words = "n00001740\tentity\nn02012849\tcrane, bird\nn02124075\tEgyptian cat\nn03126707\tcrane\n";
    fs::write(root.join("words.txt"), words).unwrap();
    let (splits, _) = read(&root).unwrap();
    assert_eq!(splits.train.class_names, ["crane (n02012849)", "Egyptian cat", "crane (n03126707)"]);
    fs::write(root.join("val/val_annotations.txt"), "val_0.JPEG\tn09999999\t0\t1\t2\t3\n").unwrap();
    refused(&root, &["line 1: expected a class that train has too"]);
    fs::write(root.join("val/val_annotations.txt"), "val_0.JPEG\n").unwrap();
    refused(&root, &["line 1: expected a file name, a tab and a class"]);
    fs::write(root.join("val/val_annotations.txt"), "").unwrap();
    refused(&root, &["found none of 0"]);
    // Without the file, as before.
    let notes = right(
        &["train/n1/images/*.JPEG", "train/n2/images/*.JPEG", "val/images/*.JPEG"],
        &["n1", "n2"],
        [6, 0],
    );
    assert!(notes.contains("val is left alone: it holds images, but no class folders"), "{notes}");
}
