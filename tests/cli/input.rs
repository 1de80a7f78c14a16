//! The same images from files of any kind: one network input, and facts that the file does not hold are requested. And the report on a
//! folder of images whose files are not all read.

use super::{code, json_lines, stderr, striate, succeed};
use safetensors::tensor::{Dtype, TensorView};
use std::fs;
use std::path::Path;

const IMAGES: usize = 40;

fn pixel(image: usize, at: usize) -> u8 {
    // Every digit has its own bright row.
    let row = if at / 28 / 2 == image % 10 { 150 } else { 0 };
    (row + (image * 31 + at * 7) % 100) as u8
}

fn pixels() -> Vec<u8> {
    (0..IMAGES).flat_map(|image| (0..784).map(move |at| pixel(image, at))).collect()
}

/// Forty digits as IDX in `idx/`, and as `digits.csv` and `unit.safetensors`, whose pixels are divided by 255.
fn digits(folder: &Path) {
    let labels: Vec<u8> = (0..IMAGES).map(|image| (image % 10) as u8).collect();
    let count = (IMAGES as u32).to_be_bytes();
    let side = 28u32.to_be_bytes();
    fs::create_dir(folder.join("idx")).unwrap();
    let images = [&[0, 0, 8, 3][..], &count, &side, &side, &pixels()].concat();
    fs::write(folder.join("idx/train-images-idx3-ubyte"), images).unwrap();
    fs::write(folder.join("idx/train-labels-idx1-ubyte"), [&[0, 0, 8, 1][..], &count, &labels].concat())
        .unwrap();

    let names: Vec<String> = (0..784).map(|n| format!("pixel{n}")).collect();
    let mut text = format!("label,{}\n", names.join(","));
    for (image, row) in pixels().chunks(784).enumerate() {
        let row: Vec<String> = row.iter().map(u8::to_string).collect();
        text.push_str(&format!("{},{}\n", image % 10, row.join(",")));
    }
    fs::write(folder.join("digits.csv"), text).unwrap();

    let unit: Vec<u8> = pixels().iter().flat_map(|&pixel| (f32::from(pixel) / 255.0).to_le_bytes()).collect();
    let views = [
        ("images", TensorView::new(Dtype::F32, vec![IMAGES, 1, 28, 28], &unit).unwrap()),
        ("labels", TensorView::new(Dtype::U8, vec![IMAGES], &labels).unwrap()),
    ];
    fs::write(folder.join("unit.safetensors"), safetensors::serialize(views, None).unwrap()).unwrap();
}

fn train<'a>(model: &'a str, data: &[&'a str]) -> Vec<&'a str> {
    let start = [
        "train",
        "--device",
        "cpu",
        "-j1",
        "-b",
        "8",
        "--epochs",
        "1",
        "--val-split",
        "0.25",
        "-m",
        model,
        "--data-path",
    ];
    [&start[..], data].concat()
}

/// The fingerprint of the weights after one epoch.
#[track_caller]
fn weights(folder: &Path, model: &str, data: &[&str]) -> String {
    let lines = json_lines(&succeed(folder, &[&train(model, data)[..], &["--json"]].concat()));
    let epoch = lines.iter().find(|line| line["event"] == "epoch").unwrap();
    epoch["weights_sha256"].as_str().unwrap().to_string()
}

#[track_caller]
fn refused(folder: &Path, arguments: &[&str], exit: i32, parts: &[&str]) {
    let output = striate(folder, arguments).output().unwrap();
    let text = stderr(&output);
    assert_eq!(code(&output), exit, "{arguments:?}: {text}");
    for part in parts {
        assert!(text.contains(part), "{arguments:?}: no {part:?} in: {text}");
    }
    assert!(!folder.join("runs").exists() && output.stdout.is_empty(), "{text}");
}

#[test]
fn digits_teach_the_same_from_any_file() {
    let folder = tempfile::tempdir().unwrap();
    digits(folder.path());
    for model in ["lenet5", "mlp-784-15-10"] {
        let expected = weights(folder.path(), model, &["idx"]);
        assert_eq!(weights(folder.path(), model, &["digits.csv"]), expected, "{model}");
        let unit = ["unit.safetensors", "--input-range", "0..1"];
        assert_eq!(weights(folder.path(), model, &unit), expected, "{model}");
        let ready = ["digits.csv", "--input-range", "ready"];
        assert_ne!(weights(folder.path(), model, &ready), expected, "{model}");
    }
    let loss = |data: &[&str]| {
        let eval =
            ["eval", "--device", "cpu", "--json", "--weights", "runs/lenet5/last.safetensors", "--data-path"];
        let lines = json_lines(&succeed(folder.path(), &[&eval[..], data].concat()));
        lines.last().unwrap()["loss"].as_f64().unwrap()
    };
    let expected = loss(&["idx"]);
    assert_eq!(loss(&["digits.csv"]), expected);
    assert_eq!(loss(&["unit.safetensors", "--input-range", "0..1"]), expected);
}

#[test]
fn numbers_for_a_network_of_pixels_are_declared() {
    let folder = tempfile::tempdir().unwrap();
    digits(folder.path());
    let what = &["--input-range 0..255 (pixels), 0..1 (pixels divided by 255) or ready"][..];
    refused(folder.path(), &train("lenet5", &["unit.safetensors"]), 4, what);
    for verb in ["eval", "trace"] {
        let more: &[&str] = if verb == "trace" { &["-o", "t.safetensors"] } else { &[] };
        let start = [verb, "--device", "cpu", "-m", "lenet5", "--data-path", "unit.safetensors"];
        refused(folder.path(), &[&start[..], more].concat(), 4, what);
    }
    let pixels = ["unit.safetensors", "--input-range", "0..256"];
    refused(folder.path(), &train("lenet5", &pixels), 2, &["expected 0..255, 0..1 or ready"]);
    refused(
        folder.path(),
        &train("lenet5", &["idx", "--input-range", "0..1"]),
        4,
        &["found bytes, which are pixels"],
    );
    refused(
        folder.path(),
        &train("lenet5", &["idx", "--label-column", "1"]),
        2,
        &["label-column: expected data with such a column"],
    );
    // The neuron takes numbers as they are.
    let text = succeed(folder.path(), &["eval", "-m", "neuron", "--device", "cpu"]);
    assert!(text.contains("top-1 100.00 %"), "{text}");
    let args = ["dataset", "stats", "digits.csv", "--input-range", "0..255", "--json"];
    let stats = &json_lines(&succeed(folder.path(), &args))[0];
    let mean = pixels_mean();
    assert!((stats["mean"][0].as_f64().unwrap() - mean).abs() < 1e-9, "{stats} {mean}");
    let info = &json_lines(&succeed(
        folder.path(),
        &["dataset", "info", "digits.csv", "--label-column", "label", "--json"],
    ))[0];
    assert_eq!((&info["train"], &info["shape"]), (&40.into(), &serde_json::json!([1, 28, 28])));
}

fn pixels_mean() -> f64 {
    pixels().iter().map(|&pixel| f64::from(pixel) / 255.0).sum::<f64>() / pixels().len() as f64
}

#[test]
fn range_and_label_go_with_the_run() {
    let folder = tempfile::tempdir().unwrap();
    digits(folder.path());
    let data = ["digits.csv", "--input-range", "0..255", "--label-column", "label", "--max-steps", "2"];
    let text = succeed(folder.path(), &train("lenet5", &data));
    let next = "--data-path digits.csv --input-range 0..255 --label-column label";
    assert!(text.contains(next), "{text}");
    let args: toml::Table =
        fs::read_to_string(folder.path().join("runs/lenet5/args.toml")).unwrap().parse().unwrap();
    let data = &args["options"]["data"];
    assert_eq!(
        (data["input_range"].as_str(), data["label_column"].as_str()),
        (Some("0..255"), Some("label"))
    );
    succeed(folder.path(), &["train", "--resume", "runs/lenet5", "--device", "cpu", "--max-steps", "3"]);
    // Another meaning of the numbers is another run.
    let ready =
        ["digits.csv", "--input-range", "ready", "--label-column", "label", "--resume", "runs/lenet5"];
    let output = striate(folder.path(), &train("lenet5", &ready)).output().unwrap();
    assert_eq!(code(&output), 2, "{}", stderr(&output));
    assert!(
        stderr(&output).contains("--input-range: 0..255 in this run, ready given"),
        "{}",
        stderr(&output)
    );
}

fn picture(folder: &Path, name: &str, shade: u8) {
    let path = folder.join(name);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    image::GrayImage::from_pixel(28, 28, image::Luma([shade]))
        .save_with_format(path, image::ImageFormat::Png)
        .unwrap();
}

#[test]
fn what_is_left_out_is_told_on_both_streams() {
    let folder = tempfile::tempdir().unwrap();
    for (class, name) in ["0", "1", "10", "2"].iter().enumerate() {
        (0..6).for_each(|n| {
            picture(folder.path(), &format!("signs/Train/{name}/{n}.png"), (60 * class + n) as u8)
        });
    }
    for name in ["Train/2/a.avif", "Train/2/b.avif", "Train/7/a.avif", "Test/x.txt"] {
        let path = folder.path().join("signs").join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, "RIFF").unwrap();
    }
    picture(folder.path(), "signs/Test/1.png", 9);
    let lines = [
        "warning: class 2: 2 of 8 images are left out, as their type is not read (2 .avif)",
        "warning: class 7 is left out: none of its files is an image of a type that is read (1 .avif)",
        "warning: Test is left alone: it holds images, but no class folders",
    ];
    let output =
        striate(folder.path(), &[&train("lenet5", &["signs"])[..], &["--json"]].concat()).output().unwrap();
    let (text, events) = (stderr(&output), json_lines(&String::from_utf8(output.stdout).unwrap()));
    let notes = events[0]["notes"].as_array().unwrap();
    assert_eq!(events[0]["event"], "data");
    let weights = ["--weights", "runs/lenet5/last.safetensors"];
    let eval =
        [&["eval", "--device", "cpu", "--data-path", "signs", "--val-split", "0.25"][..], &weights].concat();
    let evaluated = stderr(&striate(folder.path(), &eval).output().unwrap());
    let info = striate(folder.path(), &["dataset", "info", "signs", "--json"]).output().unwrap();
    let looked = stderr(&info);
    let info = &json_lines(&String::from_utf8(info.stdout).unwrap())[0];
    for line in lines {
        assert!(
            text.contains(line) && evaluated.contains(line) && looked.contains(line),
            "no {line:?} in: {text}"
        );
        assert!(notes.iter().any(|note| note.as_str().unwrap().starts_with(line)), "{notes:?}");
    }
    let files = serde_json::json!([
        {"class": "2", "extension": "avif", "count": 2},
        {"class": "7", "extension": "avif", "count": 1},
    ]);
    assert_eq!((&events[0]["passed_over"], &info["passed_over"]), (&files, &files));
    // The names of folders are the names of classes, in any order.
    let arguments =
        [&["predict", "--device", "cpu", "--json", "-k", "4", "signs/Train/10/0.png"][..], &weights].concat();
    let answer = &json_lines(&succeed(folder.path(), &arguments))[0];
    let mut names: Vec<_> =
        answer["top"].as_array().unwrap().iter().map(|top| top["name"].as_str().unwrap()).collect();
    names.sort_unstable();
    assert_eq!(names, ["0", "1", "10", "2"]);
}

#[test]
fn one_class_is_nothing_to_learn() {
    let folder = tempfile::tempdir().unwrap();
    (0..4).for_each(|n| picture(folder.path(), &format!("data/train/cat/{n}.png"), 60 + n));
    fs::create_dir_all(folder.path().join("data/train/dog")).unwrap();
    let what = "at least two classes to train on, found 4 of class 0 (cat) only; folder dog is left out: it is empty";
    refused(folder.path(), &train("lenet5", &["data"]), 4, &[what]);
    fs::write(folder.path().join("one.csv"), "label,a,b,c\n1,2,3,4\n1,5,6,7\n").unwrap();
    let model = "name = \"m\"\ninput = [3, 1, 1]\n[[layer]]\nop = \"flatten\"\n[[layer]]\nop = \"linear\"\nout_features = 2\n";
    fs::write(folder.path().join("m.toml"), model).unwrap();
    refused(folder.path(), &train("m.toml", &["one.csv"]), 4, &["found 2 of class 1 only"]);
    // Images with their labels in a list, and in a file that is none.
    (0..4).for_each(|n| picture(folder.path(), &format!("breeds/train/{n}.jpg"), 60 + n));
    picture(folder.path(), "breeds/test/1.jpg", 1);
    fs::write(folder.path().join("breeds/labels.csv"), "id,breed\n0,pug\n").unwrap();
    refused(
        folder.path(),
        &train("lenet5", &["breeds"]),
        4,
        &["labels.csv", "found 1 of class 0 (pug) only"],
    );
    fs::write(folder.path().join("breeds/labels.csv"), "pug").unwrap();
    refused(
        folder.path(),
        &train("lenet5", &["breeds"]),
        4,
        &["images directly in test, train", "labels.csv"],
    );
}
