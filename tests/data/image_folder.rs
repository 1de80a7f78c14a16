//! Folders of images: both layouts, classes and order by name alone, and what is wrong with a folder said in one
//! line.

use crate::{assert_clear, classes, request};
use image::{Rgb, RgbImage};
use std::fs;
use std::path::Path;
use striate::data::{Dataset, Images, Kind, Request, open};

/// Writes a small image of one colour, whose red tells it apart.
fn picture(root: &Path, name: &str, red: u8) {
    let path = root.join(name);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    RgbImage::from_pixel(5, 4, Rgb([red, 20, 30])).save_with_format(path, image::ImageFormat::Png).unwrap();
}

/// Class and red of each sample.
fn samples(dataset: &Dataset) -> Vec<(u32, u8)> {
    let Images::Stored(stored) = &dataset.images else { panic!("stored images expected") };
    let mut into = vec![0; dataset.image_len()];
    let red = |&index: &u32| {
        stored.store.read(index as usize, &mut into).unwrap();
        into[0]
    };
    classes(dataset).iter().copied().zip(stored.indices.iter().map(red)).collect()
}

fn whole(root: &Path) -> Request {
    request(root, [3, 2, 2], 4).with_val_split(Some(0.0))
}

#[test]
fn train_and_val_share_the_classes_of_train() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    // Not in the order in which they belong.
    for (name, red) in [
        ("train/dog/b.PNG", 4),
        ("train/dog/a.jpeg", 3),
        ("train/Zebra/deep/er/x.png", 2),
        ("train/Zebra/deep.jpg", 1),
        ("train/cat/1.png", 0),
        ("val/dog/v.png", 9),
        ("val/cat/w.png", 8),
    ] {
        picture(root, name, red);
    }
    // Neither images nor classes.
    for name in [
        "train/notes.txt",
        "train/dog/list.csv",
        "train/cat/._1.png",
        "train/.cache/1.png",
        "train/empty/x.txt",
    ] {
        fs::create_dir_all(root.join(name).parent().unwrap()).unwrap();
        fs::write(root.join(name), "x").unwrap();
    }
    let splits = open(&request(root, [3, 2, 2], 4)).unwrap();
    let (train, val) = (&splits.train, &splits.val);
    assert_eq!(train.class_names, ["Zebra", "cat", "dog"]);
    assert_eq!((train.classes, train.shape, val.class_names.len()), (3, [3, 2, 2], 3));
    // By path, component by component: deep/er/x.png, then deep.jpg.
    assert_eq!(samples(train), [(0, 2), (0, 1), (1, 0), (2, 3), (2, 4)]);
    assert_eq!(samples(val), [(1, 8), (2, 9)]);
}

#[test]
fn class_folders_alone_are_split() {
    let folder = tempfile::tempdir().unwrap();
    for i in 0..10 {
        picture(folder.path(), &format!("a/{i}.png"), i);
        // Vehicles: a class may be called train.
        picture(folder.path(), &format!("train/{i}.png"), 100 + i);
    }
    let all = open(&whole(folder.path())).unwrap();
    assert_eq!(all.train.class_names, ["a", "train"]);
    assert_eq!(
        samples(&all.train),
        (0..10).map(|i| (0, i)).chain((0..10).map(|i| (1, 100 + i))).collect::<Vec<_>>()
    );
    let splits = open(&whole(folder.path()).with_val_split(Some(0.2))).unwrap();
    assert_eq!((splits.train.len(), splits.val.len()), (16, 4));
    let mut together = [samples(&splits.train), samples(&splits.val)].concat();
    together.sort_unstable();
    assert_eq!(together, samples(&all.train));
    // Samples lie class by class; a limited set still has all classes.
    let limited = open(&whole(folder.path()).with_limit_train(Some(4))).unwrap();
    assert_eq!(samples(&limited.train), [(0, 0), (0, 5), (1, 100), (1, 105)]);
    let explicit = open(&whole(folder.path()).with_kind(Kind::ImageFolder)).unwrap();
    assert_eq!(samples(&explicit.train).len(), 20);
}

#[test]
fn a_wrong_folder_is_told_the_layout() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    let wrong = |case: &str, part: &str| {
        let error = open(&request(root, [3, 2, 2], 2).with_kind(Kind::ImageFolder)).unwrap_err();
        assert_clear(&error, root, case);
        assert!(error.to_string().contains(part), "{case}: {error}");
    };
    wrong("empty", "train/<class>/<image>.jpg or <class>/<image>.jpg");
    picture(root, "1.png", 0);
    wrong("pictures without classes", "found 1 image and no class folders");
    picture(root, "val/cat/1.png", 0);
    // Without training it is the whole.
    let lone = request(root, [3, 2, 2], 2).with_kind(Kind::ImageFolder).with_val_split(Some(0.0));
    assert_eq!(open(&lone).unwrap().train.class_names, ["cat"]);
    let error = open(&lone.with_for_training(true)).unwrap_err();
    assert!(error.to_string().contains("expected train beside val"), "{error}");
    picture(root, "train/cat/1.png", 0);
    fs::create_dir_all(root.join("train/dog")).unwrap();
    picture(root, "val/dog/1.png", 0);
    wrong("a class only in val", "val: class dog is in val only; train has cat");
    picture(root, "train/dog/1.png", 0);
    picture(root, "train/eel/1.png", 0);
    wrong("more classes than outputs", "expected at most 2 classes (the model's outputs), found 3");
    let error = open(&whole(root).with_image_shape([4, 2, 2]).with_model(None)).unwrap_err();
    assert!(error.exit_code() == 2 && error.to_string().contains("4 channels"), "{error}");
}

#[test]
fn any_number_of_threads_reads_the_same() {
    let folder = tempfile::tempdir().unwrap();
    for i in 0..20 {
        picture(folder.path(), &format!("a/{i:02}.png"), 10 * i);
    }
    let splits = open(&whole(folder.path())).unwrap();
    let expected = samples(&splits.train);
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..4).map(|_| scope.spawn(|| samples(&splits.train))).collect();
        for thread in threads {
            assert_eq!(thread.join().unwrap(), expected);
        }
    });
}

#[cfg(unix)]
mod links {
    use super::*;
    use std::os::unix::fs::symlink;

    #[test]
    fn links_are_followed_and_loops_are_named() {
        let folder = tempfile::tempdir().unwrap();
        let (root, elsewhere) = (folder.path().join("set"), folder.path().join("elsewhere"));
        picture(&elsewhere, "dogs/1.png", 1);
        picture(&elsewhere, "loose.png", 2);
        picture(&root, "cat/1.png", 3);
        symlink(elsewhere.join("dogs"), root.join("dog")).unwrap();
        symlink(elsewhere.join("loose.png"), root.join("cat/2.png")).unwrap();
        assert_eq!(samples(&open(&whole(&root)).unwrap().train), [(0, 3), (0, 2), (1, 1)]);
        // Back to where the link lies, to the classes, to the whole system, and a second way to the same folder.
        for (name, target) in
            [("l1", "."), ("l2", ".."), ("l3", "/"), ("m1", "../../elsewhere"), ("m2", "../../elsewhere")]
        {
            symlink(target, root.join("cat").join(name)).unwrap();
        }
        let splits = open(&whole(&root)).unwrap();
        let Images::Stored(stored) = &splits.train.images else { panic!("stored images expected") };
        let read = |&index: &u32| stored.store.read(index as usize, &mut [0; 12]);
        let errors: Vec<_> = stored.indices.iter().filter_map(|index| read(index).err()).collect();
        assert_eq!(errors.len(), 4, "{errors:?}");
        for (error, name) in errors.iter().zip(["l1", "l2", "l3", "m2"]) {
            assert_clear(error, &root.join("cat").join(name), name);
            assert!(error.to_string().contains("found a link"), "{error}");
        }
        symlink("..", root.join("up")).unwrap();
        let error = open(&whole(&root)).unwrap_err();
        assert_clear(&error, &root.join("up"), "a class that is a loop");
    }

    #[test]
    fn folders_cannot_be_nested_without_end() {
        let folder = tempfile::tempdir().unwrap();
        picture(folder.path(), "b/1.png", 1);
        picture(folder.path(), &format!("a/{}1.png", "d/".repeat(32)), 1);
        assert_eq!(open(&whole(folder.path())).unwrap().train.len(), 2);
        picture(folder.path(), &format!("a/{}1.png", "d/".repeat(33)), 1);
        let error = open(&whole(folder.path())).unwrap_err();
        assert_clear(&error, folder.path(), "too deep");
    }
}

#[test]
fn without_val_the_first_of_valid_validation_and_test_is_the_validation_part() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    picture(root, "train/a/1.png", 1);
    // Each is preferred to those before it.
    for (red, name) in [(4, "test"), (5, "validation"), (6, "valid"), (7, "val")] {
        picture(root, &format!("{name}/a/1.png"), red);
        let splits = open(&request(root, [3, 2, 2], 4)).unwrap();
        assert_eq!((samples(&splits.train), samples(&splits.val)), (vec![(0, 1)], vec![(0, red)]), "{name}");
    }
}
