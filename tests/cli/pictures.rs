//! Training on a folder of images, some of which cannot be read.

use super::{code, json_lines, stderr, striate, succeed};
use serde_json::Value;
use std::path::Path;
use striate::interchange::safetensors;

const MODEL: &str = r#"
name = "photographs"
input = [3, 16, 16]
[preprocess]
resize = 20
crop = 16
mean = [0.5, 0.5, 0.5]
std = [0.25, 0.25, 0.25]
[augment]
crop = "random-resized"
scale = [0.5, 1.0]
flip = true
pca = 0.1
brightness = 0.2
contrast = 0.2
saturation = 0.2
rotation = 10
cutout = 4
[recipe]
epochs = 2
batch_size = 8
lr = 0.05
[[layer]]
op = "conv2d"
out_channels = 4
kernel = 3
stride = 2
[[layer]]
op = "relu"
[[layer]]
op = "flatten"
[[layer]]
name = "head"
op = "linear"
out_features = 10
"#;

/// Three classes of 14 images, one colour each with a bright corner; three files that are none.
pub(super) fn photographs(folder: &Path) {
    for (class, name) in ["blue", "green", "red"].iter().enumerate() {
        let place = folder.join("photos").join(name);
        std::fs::create_dir_all(&place).unwrap();
        for number in 0..14u32 {
            let picture = image::RgbImage::from_fn(24 + number, 30, |x, y| {
                let mut pixel = [(number * 9) as u8; 3];
                pixel[2 - class] = if x + y < 12 { 255 } else { 180 };
                image::Rgb(pixel)
            });
            picture.save(place.join(format!("{number:02}.png"))).unwrap();
        }
    }
    let whole = std::fs::read(folder.join("photos/red/03.png")).unwrap();
    std::fs::write(folder.join("photos/red/03.png"), &whole[..whole.len() / 2]).unwrap();
    std::fs::write(folder.join("photos/green/text.jpg"), "not a picture").unwrap();
    std::fs::create_dir(folder.join("photos/blue/folder.png")).unwrap();
    std::fs::write(folder.join("model.toml"), MODEL).unwrap();
}

pub(super) const TRAIN: [&str; 12] = [
    "train",
    "--json",
    "--device",
    "cpu",
    "-m",
    "model.toml",
    "--data-path",
    "photos",
    "--val-split",
    "0.2",
    "--name",
    "x",
];

fn train(folder: &Path, more: &[&str]) -> Vec<Value> {
    json_lines(&succeed(folder, &[&TRAIN[..], more].concat()))
}

fn of<'a>(events: &'a [Value], kind: &str) -> Vec<&'a Value> {
    events.iter().filter(|event| event["event"] == kind).collect()
}

#[test]
fn unreadable_pictures_are_named_once_and_change_nothing_for_any_number_of_threads() {
    let folder = tempfile::tempdir().unwrap();
    photographs(folder.path());
    let one = train(folder.path(), &["-j", "1"]);
    let four = train(folder.path(), &["-j", "4"]);
    let hashes = |events| of(events, "epoch").iter().map(|e| e["weights_sha256"].clone()).collect::<Vec<_>>();
    assert_eq!(hashes(&one), hashes(&four));
    assert_ne!(hashes(&one)[0], hashes(&one)[1]);
    for events in [&one, &four] {
        let mut warnings: Vec<&str> =
            of(events, "warning").iter().map(|e| e["message"].as_str().unwrap()).collect();
        warnings.sort_unstable();
        assert_eq!(warnings.len(), 3, "{warnings:?}");
        for (warning, name) in warnings.iter().zip(["blue/folder.png", "green/text.jpg", "red/03.png"]) {
            assert!(warning.starts_with(&format!("left out: photos/{name}: ")), "{warning}");
        }
        let start = of(events, "start")[0];
        assert_eq!((&start["train_samples"], &start["val_samples"]), (&35.into(), &9.into()));
    }
    // The log of the run has the warnings too.
    let log = std::fs::read_to_string(folder.path().join("runs/x/log.jsonl")).unwrap();
    assert_eq!(log.matches("left out").count(), 3);
}

#[test]
fn the_first_bad_file_ends_the_run_if_that_is_wanted() {
    let folder = tempfile::tempdir().unwrap();
    photographs(folder.path());
    let output = striate(folder.path(), &[&TRAIN[..], &["--on-bad-file", "fail"]].concat()).output().unwrap();
    assert_eq!(code(&output), 4, "{}", stderr(&output));
    let errors = stderr(&output);
    let error = errors.lines().last().unwrap();
    assert!(error.starts_with("error: photos/"), "{error}");
}

#[test]
fn accumulated_batches_are_weighted_by_the_rows_that_could_be_read() {
    let folder = tempfile::tempdir().unwrap();
    photographs(folder.path());
    let weights = |name: &str, more: &[&str]| {
        train(folder.path(), &[&["--name", name, "--no-augment"], more].concat());
        safetensors::read(folder.path().join("runs").join(name).join("last.safetensors")).unwrap()
    };
    let one = weights("one", &["-b", "12"]);
    let three = weights("three", &["-b", "4", "--grad-accum-steps", "3"]);
    for (name, tensor) in &one.tensors {
        for (a, b) in tensor.data().iter().zip(three.tensors[name].data()) {
            assert!((a - b).abs() < 1e-5, "{name}: {a} {b}");
        }
    }
}

#[test]
fn the_data_decides_the_number_of_outputs_and_evaluation_knows_the_classes() {
    let folder = tempfile::tempdir().unwrap();
    photographs(folder.path());
    let output = striate(folder.path(), &TRAIN).output().unwrap();
    let notes = stderr(&output);
    assert!(notes.contains("photographs: head gets 3 outputs, one per class of photos"), "{notes}");
    let weights = "runs/x/last.safetensors";
    let file = safetensors::read(folder.path().join(weights)).unwrap();
    assert_eq!(file.tensors["head.weight"].shape().dims()[0], 3);
    let evaluated = succeed(
        folder.path(),
        &["eval", "--json", "--device", "cpu", "--weights", weights, "--data-path", "photos"],
    );
    assert_eq!(json_lines(&evaluated)[0]["classes"].as_array().unwrap().len(), 3);
    // Of other outputs than there are classes.
    std::fs::create_dir(folder.path().join("photos/yellow")).unwrap();
    std::fs::copy(folder.path().join("photos/red/04.png"), folder.path().join("photos/yellow/0.png"))
        .unwrap();
    std::fs::write(folder.path().join("model.toml"), MODEL.replace("= 10\n", "= 3\n")).unwrap();
    let fails = |arguments: &[&str], exit: i32, part: &str| {
        let output = striate(folder.path(), arguments).output().unwrap();
        let errors = stderr(&output);
        assert_eq!(code(&output), exit, "{errors}");
        let error = errors.lines().last().unwrap();
        assert!(error.contains(part), "{error}");
    };
    fails(&[&TRAIN[..], &["--weights", weights]].concat(), 2, "--num-classes 4 replaces the last layer");
    train(folder.path(), &["--weights", weights, "--num-classes", "4", "--max-steps", "1"]);
    // Of other classes of the same number.
    std::fs::remove_dir_all(folder.path().join("photos/green")).unwrap();
    let other = ["eval", "--device", "cpu", "--weights", weights, "--data-path", "photos"];
    fails(&other, 4, "whose class 1 is \"red\", found \"green\" (of 3 classes)");
}

#[test]
fn a_preview_shows_what_training_sees_and_nothing_else_is_left() {
    let folder = tempfile::tempdir().unwrap();
    photographs(folder.path());
    let sheet = |more: &[&str]| {
        let arguments = [&TRAIN[..], &["--preview", "sheet.png"], more].concat();
        let events = json_lines(&succeed(folder.path(), &arguments));
        assert_eq!((&events[0]["event"], events.len()), (&"preview".into(), 1));
        let bytes = std::fs::read(folder.path().join("sheet.png")).unwrap();
        (bytes, events[0]["pictures"].as_u64().unwrap())
    };
    let (one, pictures) = sheet(&["-j", "1"]);
    assert_eq!(sheet(&["-j", "4"]).0, one);
    assert_ne!(sheet(&["--seed", "1"]).0, one);
    assert!(!folder.path().join("runs").exists());
    // Three of the first 32 samples may be bad; each good one is shown twice, 8 to a row.
    assert!((58..=64).contains(&pictures) && pictures % 2 == 0, "{pictures}");
    let shown = image::load_from_memory(&one).unwrap().to_rgb8();
    assert_eq!(shown.width(), 8 * 16 + 7 * 2);
    // Without changes, the pairs are equal, and their colours are those of the images: one is 180 or 255.
    let plain = image::load_from_memory(&sheet(&["--no-augment"]).0).unwrap().to_rgb8();
    for pair in 0..pictures as u32 / 2 {
        let (left, top) = (pair % 4 * 36, pair / 4 * 18);
        for (x, y) in (0..16).flat_map(|x| (0..16).map(move |y| (x, y))) {
            let pixel = plain.get_pixel(left + x, top + y);
            assert_eq!(pixel, plain.get_pixel(left + 18 + x, top + y));
            assert!(pixel.0.iter().any(|&colour| colour > 170), "{pixel:?}");
        }
        let differs =
            (0..16).any(|x| shown.get_pixel(left + x, top + 8) != shown.get_pixel(left + 18 + x, top + 8));
        assert!(differs, "pair {pair} is not augmented");
    }
}

#[test]
fn more_classes_than_outputs_are_followed_also_if_their_names_are_numbers() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("model.toml"), MODEL).unwrap();
    for class in 0..12u8 {
        let place = folder.path().join("photos").join(class.to_string());
        std::fs::create_dir_all(&place).unwrap();
        for number in 0..3 {
            let picture = image::RgbImage::from_pixel(20, 20, image::Rgb([20 * class, 9 * number, 0]));
            picture.save(place.join(format!("{number}.png"))).unwrap();
        }
    }
    let output = striate(folder.path(), &TRAIN).output().unwrap();
    assert_eq!(code(&output), 0, "{}", stderr(&output));
    assert!(stderr(&output).contains("photographs: head gets 12 outputs"), "{}", stderr(&output));
}

#[test]
fn validation_that_can_mostly_not_be_read_is_no_result() {
    let folder = tempfile::tempdir().unwrap();
    photographs(folder.path());
    let photos = folder.path().join("photos");
    for (part, numbers) in [("train", 4..8), ("val", 8..12)] {
        for class in ["blue", "green", "red"] {
            let place = folder.path().join("parts").join(part).join(class);
            std::fs::create_dir_all(&place).unwrap();
            for number in numbers.clone() {
                let name = format!("{number:02}.png");
                std::fs::copy(photos.join(class).join(&name), place.join(&name)).unwrap();
            }
        }
    }
    let run = || {
        let args = ["train", "--json", "--device", "cpu", "-m", "model.toml", "--data-path", "parts"];
        striate(folder.path(), &args).output().unwrap()
    };
    let break_one = |name: &str| std::fs::write(folder.path().join("parts/val").join(name), "").unwrap();
    ["blue/08.png", "blue/09.png", "red/08.png"].iter().for_each(|name| break_one(name));
    let some = run();
    let events = json_lines(&String::from_utf8(some.stdout).unwrap());
    let epoch = of(&events, "epoch")[0];
    assert_eq!((&epoch["train_samples"], &epoch["val_samples"]), (&12.into(), &9.into()));
    ["red/09.png", "red/10.png", "red/11.png", "green/08.png"].iter().for_each(|name| break_one(name));
    let few = run();
    assert_eq!(code(&few), 4, "{}", stderr(&few));
    let expected = "expected at least half of its 12 validation samples to be readable, found 5";
    assert!(stderr(&few).contains(expected), "{}", stderr(&few));
    assert!(folder.path().join("runs/photographs-2/last.safetensors").is_file());
    assert!(!folder.path().join("runs/photographs-2/best.safetensors").exists());
}
