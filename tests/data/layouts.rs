//! The layouts of common archives of images: each is read as intended, or refused in a line that says what to do.

use crate::classes;
use image::{Rgb, RgbImage};
use std::fs;
use std::path::Path;
use striate::data::{Diagnostics, Request, Splits, open_with_diagnostics};

/// Makes the files: an image for a name that ends as images do, else a text. `*` stands for three files of the name.
pub fn tree(root: &Path, files: &[&str]) {
    for name in files {
        let names = match name.split_once('*') {
            Some((before, after)) => (0..3).map(|n| format!("{before}{n}{after}")).collect(),
            None => vec![name.to_string()],
        };
        for name in names {
            let path = root.join(&name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            let extension = path.extension().unwrap_or_default().to_string_lossy().to_lowercase();
            if ["jpg", "jpeg", "png", "jfif", "jpe"].contains(&extension.as_str()) {
                let shade = name.bytes().fold(0u8, u8::wrapping_add);
                let picture = RgbImage::from_pixel(4, 3, Rgb([shade, 20, 30]));
                picture.save_with_format(path, image::ImageFormat::Png).unwrap();
            } else {
                fs::write(path, "text").unwrap();
            }
        }
    }
}

pub fn read(root: &Path) -> striate::Result<(Splits, Diagnostics)> {
    let path = root.to_str().unwrap().to_string();
    open_with_diagnostics(
        &Request::new([3, 2, 2], 2).with_path(Some(path)).with_val_split(Some(0.0)).with_model(None),
    )
}

/// Classes, samples of training and (if others) of validation, and the notes.
#[track_caller]
pub fn right(files: &[&str], names: &[&str], counts: [usize; 2]) -> String {
    let folder = tempfile::tempdir().unwrap();
    tree(folder.path(), files);
    let (splits, notes) = read(folder.path()).unwrap();
    assert_eq!(splits.train.class_names, names);
    let val = if std::sync::Arc::ptr_eq(&splits.train, &splits.val) { 0 } else { splits.val.len() };
    assert_eq!([splits.train.len(), val], counts, "{notes:?}");
    let mut pixels = vec![0; splits.train.image_len()];
    for dataset in [&splits.train, &splits.val] {
        for sample in 0..dataset.len() {
            dataset.read_pixels(sample, &mut pixels).unwrap();
            // Every image lies below a folder of its class's name.
            let class = &dataset.class_names[classes(dataset)[sample] as usize];
            let file = dataset.file(sample).unwrap();
            assert!(file.components().any(|part| part.as_os_str() == class.as_str()), "{file:?} {class}");
        }
    }
    notes.lines.join("\n").replace(folder.path().to_str().unwrap(), "ROOT")
}

/// The line of the refusal.
#[track_caller]
pub fn refused(files: &[&str], parts: &[&str]) {
    let folder = tempfile::tempdir().unwrap();
    tree(folder.path(), files);
    let error = read(folder.path()).expect_err("refused");
    let text = error.to_string().replace(folder.path().to_str().unwrap(), "ROOT");
    assert_eq!(error.exit_code(), 4, "{text}");
    assert!(text.starts_with("ROOT") && !text.contains('\n'), "{text}");
    for part in parts {
        assert!(text.contains(part), "no {part:?} in: {text}");
    }
}

#[test]
fn eurosat_and_food_lie_in_lone_folders() {
    let notes = right(
        &["2750/Forest/*.jpg", "2750/River/*.jpg", "README.md", "label_map.json"],
        &["Forest", "River"],
        [6, 0],
    );
    assert!(notes.contains("the classes are the folders in ROOT/2750"), "{notes}");
    let notes = right(
        &[
            "food-101/images/pho/*.jpg",
            "food-101/images/ramen/*.jpg",
            "food-101/meta/classes.txt",
            "food-101/license.txt",
        ],
        &["pho", "ramen"],
        [6, 0],
    );
    assert!(notes.contains("ROOT/food-101/images"), "{notes}");
}

#[test]
fn intels_scenes_are_split_in_doubled_folders() {
    let notes = right(
        &[
            "seg_train/seg_train/sea/*.jpg",
            "seg_train/seg_train/street/*.jpg",
            "seg_test/seg_test/sea/*.jpg",
            "seg_test/seg_test/street/1.jpg",
            "seg_pred/seg_pred/*.jpg",
        ],
        &["sea", "street"],
        [6, 4],
    );
    assert!(notes.contains("seg_pred is left alone"), "{notes}");
}

#[test]
fn parts_are_known_in_any_spelling() {
    for (train, test) in [
        ("Training", "Testing"),
        ("Train", "Test"),
        ("TRAIN", "TEST"),
        ("training_set", "test_set"),
        ("training_set/training_set", "test_set/test_set"),
        ("dataset/training_set", "dataset/test_set"),
        ("train", "valid"),
        ("train", "validation"),
        ("train_images", "test_images"),
        ("asl_alphabet_train/asl_alphabet_train", "asl_alphabet_test/asl_alphabet_test"),
        ("archive/data/Training", "archive/data/Validation"),
    ] {
        let files = [
            format!("{train}/cats/*.jpg"),
            format!("{train}/dogs/*.jpg"),
            format!("{test}/cats/1.jpg"),
            format!("{test}/dogs/1.jpg"),
            "__MACOSX/x/y.jpg".into(),
            format!("{train}/._cats.jpg"),
        ];
        let files: Vec<&str> = files.iter().map(String::as_str).collect();
        right(&files, &["cats", "dogs"], [6, 2]);
    }
}

#[test]
fn of_three_parts_val_is_the_validation_part() {
    let parts =
        ["train/a/*.png", "train/b/*.png", "val/a/1.png", "val/b/1.png", "test/a/*.png", "test/b/*.png"];
    let notes = right(&parts, &["a", "b"], [6, 2]);
    assert!(notes.contains("test is left alone: the validation images are those of val"), "{notes}");
    // Chest X-rays: doubled, with what macOS leaves.
    let doubled: Vec<String> = ["chest_xray/", "chest_xray/chest_xray/", "chest_xray/__MACOSX/chest_xray/"]
        .iter()
        .flat_map(|start| parts.iter().map(move |name| format!("{start}{name}")))
        .collect();
    let doubled: Vec<&str> = doubled.iter().map(String::as_str).collect();
    let notes = right(&doubled, &["a", "b"], [6, 2]);
    assert!(notes.contains("chest_xray is left alone"), "{notes}");
    right(&doubled[6..12], &["a", "b"], [6, 2]);
}

#[test]
fn caltech_flowers_and_dogs_have_other_folders_beside_theirs() {
    let notes = right(
        &[
            "101_ObjectCategories/BACKGROUND_Google/*.jpg",
            "101_ObjectCategories/ant/*.jpg",
            "101_ObjectCategories/bass/*.jpg",
            "Annotations/ant/annotation_0001.mat",
        ],
        &["BACKGROUND_Google", "ant", "bass"],
        [9, 0],
    );
    assert!(notes.contains("BACKGROUND_Google counts as a class"), "{notes}");
    right(
        &["flower_photos/daisy/*.jpg", "flower_photos/roses/*.jpg", "flower_photos/LICENSE.txt"],
        &["daisy", "roses"],
        [6, 0],
    );
    right(
        &[
            "images/Images/n02085620-Chihuahua/*.jpg",
            "images/Images/n02085782-spaniel/*.jpg",
            "annotations/Annotation/n02085620-Chihuahua/n02085620_10074",
        ],
        &["n02085620-Chihuahua", "n02085782-spaniel"],
        [6, 0],
    );
}

#[test]
fn pictures_whose_labels_are_in_a_table_are_refused() {
    refused(
        &["train/*.jpg", "test/*.jpg", "labels.csv", "sample_submission.csv"],
        &["images directly in test, train", "labels.csv", "folders named for their classes"],
    );
    refused(&["train/*.jpg", "labels.csv"], &["images directly in train", "labels.csv"]);
    refused(&["*.jpg", "labels.csv"], &["found 3 images and no class folders", "labels.csv"]);
    // Oxford's pets.
    refused(
        &["images/Abyssinian_*.jpg", "annotations/trimaps/Abyssinian_*.png", "annotations/list.txt"],
        &["annotations, images", "no class", "folders named for their classes"],
    );
    refused(&["images/*.jpg", "labels.csv"], &["\"images\" is no class"]);
}

#[test]
fn numbered_parts_beside_a_table_are_no_classes() {
    let notes = right(
        &["HAM10000_images_part_1/*.jpg", "HAM10000_images_part_2/*.jpg", "HAM10000_metadata.csv"],
        &["HAM10000_images_part_1", "HAM10000_images_part_2"],
        [6, 0],
    );
    assert!(notes.contains("if their labels are in HAM10000_metadata.csv"), "{notes}");
    refused(
        &["train2017/*.jpg", "val2017/*.jpg", "annotations/x.json"],
        &["images directly in train2017, val2017"],
    );
    refused(&["jpg/*.jpg", "imagelabels.mat"], &["\"jpg\" is no class"]);
    let notes = right(&["class1/*.jpg", "class2/*.jpg"], &["class1", "class2"], [6, 0]);
    assert!(!notes.contains("parts of one set"), "{notes}");
}

#[test]
fn signs_and_tiny_imagenet_hold_parts_without_class_folders() {
    let notes = right(
        &[
            "Train/0/*.png",
            "Train/1/*.png",
            "Train/10/*.png",
            "Train/2/*.png",
            "Test/*.png",
            "Meta/*.png",
            "Train.csv",
            "Test.csv",
        ],
        &["0", "1", "10", "2"],
        [12, 0],
    );
    assert!(notes.contains("Test is left alone: it holds images, but no class folders"), "{notes}");
    assert!(notes.contains("Meta is left alone"), "{notes}");
    let notes = right(
        &[
            "tiny-imagenet-200/train/n01443537/images/*.JPEG",
            "tiny-imagenet-200/train/n01443537/n01443537_boxes.txt",
            "tiny-imagenet-200/train/n01629819/images/*.JPEG",
            "tiny-imagenet-200/val/images/*.JPEG",
            "tiny-imagenet-200/test/images/*.JPEG",
            "tiny-imagenet-200/wnids.txt",
        ],
        &["n01443537", "n01629819"],
        [6, 0],
    );
    assert!(notes.contains("val is left alone: it holds images, but no class folders"), "{notes}");
    assert!(!notes.contains("class folders hold folders"), "{notes}");
}

#[test]
fn imagenette_and_mnist_as_png() {
    right(
        &[
            "imagenette2/train/n01/*.JPEG",
            "imagenette2/train/n02/*.JPEG",
            "imagenette2/val/n01/1.JPEG",
            "imagenette2/val/n02/1.JPEG",
            "imagenette2/noisy_imagenette.csv",
        ],
        &["n01", "n02"],
        [6, 2],
    );
    right(
        &[
            "mnist_png/training/0/*.png",
            "mnist_png/training/1/*.png",
            "mnist_png/testing/0/1.png",
            "mnist_png/testing/1/1.png",
        ],
        &["0", "1"],
        [6, 2],
    );
}

#[test]
fn copies_of_the_classes_among_them_are_refused() {
    refused(
        &["Pepper/*.jpg", "Potato/*.jpg", "PlantVillage/Pepper/*.jpg", "PlantVillage/Potato/*.jpg"],
        &[
            "\"PlantVillage\" folders named like those beside it (Pepper, Potato)",
            "--data-path ROOT/PlantVillage",
        ],
    );
    refused(
        &[
            "PlantVillage/Pepper/*.jpg",
            "PlantVillage/Potato/*.jpg",
            "plantvillage/PlantVillage/Pepper/*.jpg",
            "plantvillage/PlantVillage/Potato/*.jpg",
        ],
        &["holds Pepper, Potato", "--data-path ROOT/plantvillage/PlantVillage"],
    );
}

#[test]
fn class_folders_that_hold_folders_are_named() {
    let notes = right(
        &["animal/cat/*.jpg", "animal/dog/*.jpg", "vehicle/car/*.jpg", "vehicle/bus/*.jpg"],
        &["animal", "vehicle"],
        [12, 0],
    );
    assert!(notes.contains("animal (cat, dog), vehicle (bus, car)"), "{notes}");
    assert!(notes.contains("such as --data-path ROOT/animal"), "{notes}");
    let notes = right(&["a/1.jpg", "a/more/*.jpg", "b/*.jpg", "cover.jpg"], &["a", "b"], [7, 0]);
    assert!(notes.contains("a (more)"), "{notes}");
    assert!(notes.contains("1 image directly in ROOT is left out: it is in no class folder"), "{notes}");
}

#[test]
fn what_is_left_out_is_named_by_class_and_type() {
    let folder = tempfile::tempdir().unwrap();
    tree(
        folder.path(),
        &[
            "cat/*.jpg",
            "cat/a*.avif",
            "cat/b.heic",
            "cat/notes.txt",
            "dog/1.jfif",
            "dog/2.JPE",
            "rose/*.avif",
            "empty/x",
            "LICENSE",
        ],
    );
    fs::remove_file(folder.path().join("empty/x")).unwrap();
    let (splits, notes) = read(folder.path()).unwrap();
    assert_eq!(splits.train.class_names, ["cat", "dog"]);
    assert_eq!(splits.train.len(), 5, "JPEG files may be called jfif and jpe");
    let text = notes.lines.join("\n");
    for part in [
        "warning: class cat: 4 of 7 images are left out, as their type is not read (3 .avif, 1 .heic)",
        "warning: class rose is left out: none of its files is an image of a type that is read (3 .avif)",
        "warning: folder empty is left out: it is empty",
        "9 other files are left alone (6 .avif, 1 without an extension, 1 .heic, 1 .txt)",
    ] {
        assert!(text.contains(part), "no {part:?} in: {text}");
    }
    let count = |class: &str, extension: &str| {
        let is_it =
            |files: &&striate::data::SkippedFiles| files.class == class && files.extension == extension;
        notes.passed_over.iter().find(is_it).map(|files| files.count)
    };
    assert_eq!(
        [count("cat", "avif"), count("cat", "heic"), count("rose", "avif"), count("", "")],
        [Some(3), Some(1), Some(3), Some(1)]
    );
    refused(&["a/*.avif", "b/*.avif"], &["found none, but 6 .avif"]);
}

#[test]
fn a_single_class_is_not_trained_on() {
    let folder = tempfile::tempdir().unwrap();
    tree(folder.path(), &["cat/*.jpg", "dog/x"]);
    fs::remove_file(folder.path().join("dog/x")).unwrap();
    let (_, notes) = read(folder.path()).unwrap();
    assert!(
        notes.lines.contains(&"warning: all training samples (3 of class 0 (cat)) are of one class".into()),
        "{notes:?}"
    );
    let path = Some(folder.path().to_str().unwrap().to_string());
    let error = open_with_diagnostics(&Request::new([3, 2, 2], 2).with_path(path).with_for_training(true))
        .unwrap_err();
    assert_eq!(error.exit_code(), 4);
    assert!(
        error.to_string().contains("at least two classes to train on, found 3 of class 0 (cat) only"),
        "{error}"
    );
}

#[test]
fn classes_that_are_called_as_parts_are_classes() {
    right(&["steam_train/*.jpg", "bullet_train/*.jpg"], &["bullet_train", "steam_train"], [6, 0]);
    right(&["car/*.jpg", "train/*.jpg", "valley/*.jpg"], &["car", "train", "valley"], [9, 0]);
    right(&["train/train/*.jpg", "train/tram/*.jpg", "val/tram/1.jpg"], &["train", "tram"], [6, 1]);
    right(&["train/a/*.jpg", "train/b/*.jpg", "val/a/more/1.jpg"], &["a", "b"], [6, 1]);
}

#[test]
fn parts_that_cannot_be_told_apart_are_refused() {
    let both = ["train/a/1.jpg", "Training/a/1.jpg", "val/a/1.jpg"];
    refused(&both, &["expected one folder of training images, found Training, train"]);
    refused(&["test/a/1.jpg", "val/a/1.jpg"], &["expected train beside test, val", "--data-path"]);
    refused(
        &["train.csv", "a/*.jpg", "b/*.jpg"],
        &["found train.csv and folders of images", "--dataset csv or --dataset image-folder"],
    );
    // Images beside a table are no data set of their own.
    refused(&["train.csv", "docs/*.png"], &["ROOT/train.csv: line 1: expected at least 2 columns"]);
}
