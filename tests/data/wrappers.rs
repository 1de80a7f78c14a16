//! Folders around data sets are not taken for classes, numbered pieces of a set are remarked on, and the report on files
//! that are left out is short and right.

use crate::layouts::{read, refused, right, tree};

#[test]
fn folders_around_the_parts_of_a_data_set_are_no_classes() {
    // Castings: the smaller data set lies beside the larger, both doubled.
    refused(
        &[
            "casting_data/casting_data/train/def_front/*.jpg",
            "casting_data/casting_data/train/ok_front/*.jpg",
            "casting_data/casting_data/test/def_front/*.jpg",
            "casting_data/casting_data/test/ok_front/*.jpg",
            "casting_512x512/casting_512x512/def_front/*.jpg",
            "casting_512x512/casting_512x512/ok_front/*.jpg",
        ],
        &[
            "found casting_512x512, casting_data, and the parts of a data set (test, train)",
            "--data-path ROOT/casting_data/casting_data",
        ],
    );
    // Blood cells, sorted and not.
    refused(
        &[
            "dataset-master/dataset-master/JPEGImages/*.jpg",
            "dataset-master/dataset-master/Annotations/1.xml",
            "dataset2-master/dataset2-master/images/TRAIN/MONOCYTE/*.jpg",
            "dataset2-master/dataset2-master/images/TRAIN/EOSINOPHIL/*.jpg",
            "dataset2-master/dataset2-master/images/TEST/MONOCYTE/*.jpg",
            "dataset2-master/dataset2-master/images/TEST/EOSINOPHIL/*.jpg",
            "dataset2-master/dataset2-master/images/TEST_SIMPLE/MONOCYTE/*.jpg",
        ],
        &[
            "the parts of a data set (TEST, TEST_SIMPLE, TRAIN)",
            "--data-path ROOT/dataset2-master/dataset2-master/images",
        ],
    );
    // Plant diseases: the test images lie outside.
    refused(
        &[
            "Plants(Augmented)/Plants(Augmented)/train/scab/*.jpg",
            "Plants(Augmented)/Plants(Augmented)/train/rust/*.jpg",
            "Plants(Augmented)/Plants(Augmented)/valid/scab/*.jpg",
            "Plants(Augmented)/Plants(Augmented)/valid/rust/*.jpg",
            "test/test/*.jpg",
        ],
        &["--data-path ROOT/Plants(Augmented)/Plants(Augmented)"],
    );
    // Monkeypox: three versions of one data set.
    refused(
        &[
            "Fold1/Fold1/Fold1/Train/Monkeypox/*.jpg",
            "Fold1/Fold1/Fold1/Train/Others/*.jpg",
            "Fold1/Fold1/Fold1/Val/Monkeypox/*.jpg",
            "Original Images/Original Images/Monkeypox/*.jpg",
            "Original Images/Original Images/Others/*.jpg",
            "Augmented Images/Augmented Images/Monkeypox_augmented/*.jpg",
            "Augmented Images/Augmented Images/Others_augmented/*.jpg",
        ],
        &["(Train, Val)", "--data-path ROOT/Fold1/Fold1/Fold1"],
    );
    // A repository with its data and its results.
    refused(
        &["data/train/x/*.jpg", "data/train/y/*.jpg", "sample_outputs/*.jpg"],
        &["the parts of a data set (train) in ROOT/data", "--data-path ROOT/data"],
    );
    refused(
        &["data/seg_train/a/*.jpg", "data/seg_test/a/*.jpg", "figures/*.png"],
        &["(seg_test, seg_train)", "--data-path ROOT/data"],
    );
    refused(
        &["a/a/cat/*.jpg", "a/a/dog/*.jpg", "b/b/cat/*.jpg", "b/b/emu/*.jpg"],
        &["folders around others (ROOT/a/a holds cat, dog)", "--data-path ROOT/a/a"],
    );
    // Images for detection, without classes, and those of a program's tests.
    for other in ["tests/x/*.jpg", "figures/*.jpg"] {
        refused(
            &["BCCD/JPEGImages/*.jpg", "BCCD/Annotations/1.xml", other],
            &["but ROOT/BCCD holds JPEGImages, which is no class; sort the images into folders"],
        );
    }
}

#[test]
fn folders_in_classes_do_not_make_them_less_so() {
    let silent = "class folders hold folders";
    let notes = right(&["n01/images/*.jpg", "n02/images/*.jpg"], &["n01", "n02"], [6, 0]);
    assert!(!notes.contains(silent), "{notes}");
    let notes = right(&["cat/images/*.jpg", "dog/*.jpg"], &["cat", "dog"], [6, 0]);
    assert!(!notes.contains(silent), "{notes}");
    // Breast cancer: what lies below the lone folder is named.
    let notes = right(
        &[
            "benign/SOB/adenosis/*.png",
            "benign/SOB/fibroadenoma/*.png",
            "malignant/SOB/ductal/*.png",
            "malignant/SOB/lobular/*.png",
        ],
        &["benign", "malignant"],
        [12, 0],
    );
    assert!(notes.contains("benign (adenosis, fibroadenoma), malignant (ductal, lobular)"), "{notes}");
    assert!(notes.contains("such as --data-path ROOT/benign/SOB"), "{notes}");
    // Each with its masks.
    let notes = right(
        &["COVID/images/*.png", "COVID/masks/*.png", "Normal/images/*.png", "Normal/masks/*.png"],
        &["COVID", "Normal"],
        [12, 0],
    );
    assert!(notes.contains("folders of the same names (images, masks)"), "{notes}");
    // Each class has its own parts.
    let notes = right(
        &["cat/train/*.jpg", "cat/test/*.jpg", "dog/train/*.jpg", "dog/test/*.jpg"],
        &["cat", "dog"],
        [12, 0],
    );
    assert!(notes.contains("folders of the same names (test, train)"), "{notes}");
    // The train is a vehicle here.
    let notes = right(
        &["animal/cat/*.jpg", "animal/dog/*.jpg", "vehicle/car/*.jpg", "vehicle/train/*.jpg"],
        &["animal", "vehicle"],
        [12, 0],
    );
    assert!(notes.contains("vehicle (car, train)"), "{notes}");
    let notes = right(&["a/a/cat/*.jpg", "a/a/dog/*.jpg", "b/*.jpg", "c/*.jpg"], &["a", "b", "c"], [12, 0]);
    assert!(notes.contains("a counts as a class, but ROOT/a/a holds cat, dog"), "{notes}");
}

#[test]
fn numbered_pieces_are_remarked_on_without_a_table_too() {
    for pieces in [
        ["HAM10000_images_part_1", "HAM10000_images_part_2"],
        ["batch_1", "batch_2"],
        ["Fold1", "Fold2"],
        ["images_001", "images_002"],
        ["data-shard-0", "data-shard-1"],
        ["Chunk 1", "Chunk 2"],
    ] {
        let files = pieces.map(|name| format!("{name}/*.jpg"));
        let notes = right(&files.each_ref().map(String::as_str), &pieces, [6, 0]);
        let text = format!("the classes {}, {} are named as parts of one set are", pieces[0], pieces[1]);
        assert!(notes.contains(&text) && notes.contains("if their labels are elsewhere"), "{notes}");
    }
    for classes in [["class_1", "class_2"], ["0", "42"], ["party1", "party2"], ["part_1", "whole_1"]] {
        let files = classes.map(|name| format!("{name}/*.jpg"));
        let notes = right(&files.each_ref().map(String::as_str), &classes, [6, 0]);
        assert!(!notes.contains("parts of one set"), "{notes}");
    }
}

#[test]
fn a_doubled_test_folder_without_classes_is_left_alone() {
    for test in ["asl_test", "asl_test/asl_test", "asl_test/test_images"] {
        let test = format!("{test}/A_*.jpg");
        let notes = right(&["asl_train/A/*.jpg", "asl_train/B/*.jpg", &test], &["A", "B"], [6, 0]);
        let text = "warning: asl_test is left alone: it holds images, but no class folders";
        assert!(notes.contains(text), "{notes}");
    }
    // Cars and Kaggle's cats and dogs: the training part is flat too.
    for files in [
        ["cars_train/cars_train/*.jpg", "cars_test/cars_test/*.jpg", "cars_annos.mat"],
        ["dogs-vs-cats/train/train/cat.*.jpg", "dogs-vs-cats/test1/test1/*.jpg", "sampleSubmission.csv"],
    ] {
        refused(&files, &["expected a folder of images for each class", "found images directly in"]);
    }
    // Another folder is a class that train should have.
    refused(
        &["train/a/*.jpg", "train/b/*.jpg", "val/c/*.jpg"],
        &["ROOT/val: class c is in val only; train has a, b"],
    );
    refused(
        &["train/a/*.jpg", "train/b/*.jpg", "train/c/*.avif", "val/a/1.jpg", "val/c/1.png"],
        &[
            "ROOT/val/c: expected a class",
            "found one of which ROOT/train/c holds no image of a type that is read (3 .avif)",
        ],
    );
}

#[test]
fn what_many_classes_lack_is_one_line() {
    let notes_of = |files: &[String]| {
        let folder = tempfile::tempdir().unwrap();
        tree(folder.path(), &files.iter().map(String::as_str).collect::<Vec<_>>());
        read(folder.path()).unwrap().1.lines
    };
    let lines = |count: usize| -> Vec<String> {
        let class = |n| [format!("c{n}/*.png"), format!("c{n}/x.svg"), format!("w{n}/*.avif")];
        notes_of(&(1..=count).flat_map(class).collect::<Vec<_>>())
    };
    let about = |lines: &[String], end: &str| -> Vec<String> {
        lines.iter().filter(|line| line.starts_with("warning: ") && line.contains(end)).cloned().collect()
    };
    let few = lines(4);
    assert_eq!(about(&few, ".svg").len(), 4, "{few:?}");
    assert_eq!(
        about(&few, ".svg")[0],
        "warning: class c1: 1 of 4 images is left out, as their type is not read (1 .svg)"
    );
    assert_eq!(about(&few, ".avif").len(), 4, "{few:?}");
    let many = lines(6);
    assert_eq!(
        about(&many, ".svg"),
        [
            "warning: 6 classes (c1, c2, c3, c4 and 2 more): 6 of 24 images are left out, as their type is not read (6 .svg)"
        ]
    );
    assert_eq!(
        about(&many, ".avif"),
        [
            "warning: 6 classes are left out: none of their files is an image of a type that is read (18 .avif): w1, w2, w3, w4 and 2 more; convert \
             them to have them"
        ]
    );
}
