//! Weights that meet data with other classes, or another network than they were trained with.

use super::{code, json_lines, stderr, striate, succeed};
use serde_json::Value;
use std::fs;
use std::path::Path;
use striate::interchange::safetensors;

const MODEL: &str = "name = \"tiny\"\ninput = [1, 4, 4]\n[recipe]\nepochs = 30\nbatch_size = 16\nlr = 0.1\nlr_scheduler = \"constant\"\n[[layer]]\nop = \"flatten\"\n[[layer]]\nname = \"head\"\nop = \"linear\"\nout_features = 3\n";

/// An IDX set `name` in which an image of colour k (a bright column) is of class `labels[k]`, with these names.
fn idx(parent: &Path, name: &str, side: usize, labels: &[usize], names: &[&str]) {
    let folder = parent.join(name);
    fs::create_dir_all(&folder).unwrap();
    let head = |kind: u8, sizes: &[usize]| {
        let sizes = sizes.iter().flat_map(|&n| (n as u32).to_be_bytes());
        [0, 0, 8, kind].into_iter().chain(sizes).collect::<Vec<u8>>()
    };
    for (part, count) in [("train", 48), ("t10k", 24)] {
        let (mut pixels, mut classes) = (head(3, &[count, side, side]), head(1, &[count]));
        for n in 0..count {
            let column = n % labels.len();
            classes.push(labels[column] as u8);
            pixels
                .extend((0..side * side).map(|at| if at % side == column { 250 - (n / 3) as u8 } else { 0 }));
        }
        fs::write(folder.join(format!("{part}-images-idx3-ubyte")), pixels).unwrap();
        fs::write(folder.join(format!("{part}-labels-idx1-ubyte")), classes).unwrap();
    }
    if !names.is_empty() {
        fs::write(folder.join("classes.txt"), names.join("\n")).unwrap();
    }
}

/// A folder with a run `a` on `first`, whose classes are apple, pear and plum.
fn trained() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("tiny.toml"), MODEL).unwrap();
    idx(folder.path(), "first", 4, &[0, 1, 2], &["apple", "pear", "plum"]);
    let done = train(folder.path(), &["-m", "tiny.toml", "--data-path", "first", "--name", "a"]).0;
    assert_eq!(done["best_acc1"], 100.0, "{done}");
    folder
}

const WEIGHTS: &str = "runs/a/last.safetensors";
/// A run that changes no weight, so that what it validates is what it began with.
const STILL: [&str; 8] = ["--weights", WEIGHTS, "--lr", "0", "--epochs", "1", "--name", "b"];

fn train(folder: &Path, more: &[&str]) -> (Value, String) {
    let output =
        striate(folder, &[&["train", "--json", "--device", "cpu", "-j1"], more].concat()).output().unwrap();
    assert_eq!(code(&output), 0, "{}", stderr(&output));
    (json_lines(&String::from_utf8_lossy(&output.stdout)).pop().unwrap(), stderr(&output))
}

fn eval(folder: &Path, weights: &str, data: &str, more: &[&str]) -> (Value, String) {
    let base = ["eval", "--json", "--device", "cpu", "--weights", weights, "--data-path", data];
    let output = striate(folder, &[&base[..], more].concat()).output().unwrap();
    assert_eq!(code(&output), 0, "{}", stderr(&output));
    (json_lines(&String::from_utf8_lossy(&output.stdout)).remove(0), stderr(&output))
}

#[track_caller]
fn refused(folder: &Path, arguments: &[&str], exit: i32, says: &str) {
    let output = striate(folder, arguments).output().unwrap();
    assert_eq!(code(&output), exit, "{}", stderr(&output));
    assert!(stderr(&output).contains(says), "no \"{says}\" in: {}", stderr(&output));
}

#[test]
fn the_same_classes_in_another_order_are_matched_by_name() {
    let folder = trained();
    let folder = folder.path();
    // Plum is class 0, apple 1, pear 2.
    idx(folder, "second", 4, &[1, 2, 0], &["plum", "apple", "pear"]);
    for model in [&[][..], &["-m", "tiny.toml"]] {
        let (done, notes) = train(folder, &[&STILL[..], &["--data-path", "second"], model].concat());
        assert_eq!(done["best_acc1"], 100.0, "{notes}");
        assert!(
            notes.contains("head keeps its rows for the 3 classes of second, matched by name"),
            "{notes}"
        );
    }
    let read = |run: &str| safetensors::read(folder.join(format!("runs/{run}/last.safetensors"))).unwrap();
    let (a, b) = (read("a"), read("b"));
    assert_eq!(b.metadata["classes"], r#"["plum","apple","pear"]"#);
    for name in ["head.weight", "head.bias"] {
        let row = |tensor: &striate::tensor::Tensor, k: usize| {
            let width = tensor.data().len() / 3;
            tensor.data()[k * width..(k + 1) * width].to_vec()
        };
        for (now, then) in [(0, 2), (1, 0), (2, 1)] {
            assert_eq!(row(&b.tensors[name], now), row(&a.tensors[name], then), "{name} {now}");
        }
    }
    // Evaluation counts by name too, whichever of the two was first.
    for (weights, data) in [(WEIGHTS, "second"), ("runs/b/last.safetensors", "first")] {
        let (result, notes) = eval(folder, weights, data, &[]);
        assert_eq!(result["acc1"], 100.0, "{notes}");
        assert!(notes.contains("matched by name"), "{notes}");
    }
}

#[test]
fn fewer_of_the_classes_keep_their_rows() {
    let folder = trained();
    let folder = folder.path();
    idx(folder, "fewer", 4, &[1, 1, 0], &["plum", "apple"]);
    // Columns 0 and 1 are both called apple now; the network knows two of the three columns.
    let (done, notes) = train(folder, &[&STILL[..], &["--data-path", "fewer"]].concat());
    assert!(done["best_acc1"].as_f64().unwrap() > 66.6, "{notes}");
    assert!(
        notes.contains("head keeps its rows for the 2 classes of fewer, matched by name with the 3"),
        "{notes}"
    );
    let read = |run: &str| safetensors::read(folder.join(format!("runs/{run}/last.safetensors"))).unwrap();
    let (a, b) = (read("a").tensors, read("b").tensors);
    assert_eq!(b["head.weight"].shape().dims(), [2, 16]);
    assert_eq!(b["head.weight"].data()[..16], a["head.weight"].data()[32..]);
    assert_eq!(b["head.weight"].data()[16..], a["head.weight"].data()[..16]);
    // The network is evaluated with all of its outputs.
    let (result, _) = eval(folder, WEIGHTS, "fewer", &[]);
    assert_eq!(result["classes"].as_array().unwrap().len(), 3);
    assert!((result["acc1"].as_f64().unwrap() - 200.0 / 3.0).abs() < 1e-9, "{result}");
    assert_eq!(
        (&result["classes"][2]["name"], &result["classes"][2]["acc1"]),
        (&"plum".into(), &100.0.into())
    );
    // A run of fewer outputs is resumed, regardless of the model file.
    let more =
        ["--data-path", "fewer", "-m", "tiny.toml", "--epochs", "3", "--max-steps", "4", "--name", "c"];
    train(folder, &[&["--weights", WEIGHTS], &more[..]].concat());
    succeed(folder, &["train", "--resume", "runs/c", "--max-steps", "9"]);
}

#[test]
fn other_classes_are_asked_for() {
    let folder = trained();
    let folder = folder.path();
    idx(folder, "other", 4, &[0, 1, 2], &["apple", "fig", "plum"]);
    let base = ["train", "--device", "cpu", "--weights", WEIGHTS, "--data-path", "other", "--max-steps", "1"];
    let says = "has no output for class \"fig\" of other (it has 3 classes: apple, pear, plum); --num-classes 3 replaces";
    refused(folder, &base, 2, says);
    refused(folder, &[&base[..], &["-m", "tiny.toml"]].concat(), 2, says);
    succeed(folder, &[&base[..], &["--num-classes", "3"]].concat());
    let eval = ["eval", "--device", "cpu", "--weights", WEIGHTS, "--data-path", "other"];
    refused(folder, &eval, 4, "whose class 1 is \"fig\", found \"pear\" (of 3 classes)");
    let trace =
        ["trace", "--device", "cpu", "--weights", WEIGHTS, "--data-path", "other", "-o", "t.safetensors"];
    refused(folder, &trace, 4, "whose class 1 is \"fig\"");
}

#[test]
fn classes_without_names_are_said_to_be_matched_by_number() {
    let folder = trained();
    let folder = folder.path();
    idx(folder, "plain", 4, &[0, 1, 2], &[]);
    let (_, notes) = train(folder, &[&STILL[..], &["--data-path", "plain"]].concat());
    assert!(
        notes.contains("the weights name their classes, plain does not: output k is taken for class k"),
        "{notes}"
    );
    let (_, notes) = eval(folder, "runs/b/last.safetensors", "first", &[]);
    assert!(notes.contains("first names its classes, the weights do not: output k is taken"), "{notes}");
}

#[test]
fn other_data_of_the_same_form_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    fs::write(folder.join("tiny.toml"), MODEL.replace("[1, 4, 4]", "[1, 28, 28]").replace("= 3", "= 10"))
        .unwrap();
    // Digits and clothes: ten classes each, without names.
    let labels: Vec<usize> = (0..10).collect();
    idx(folder, "digits", 28, &labels, &[]);
    idx(folder, "clothes", 28, &[9, 8, 7, 6, 5, 4, 3, 2, 1, 0], &[]);
    train(folder, &["-m", "tiny.toml", "--data-path", "digits", "--epochs", "1", "--name", "a"]);
    let (result, notes) = eval(folder, WEIGHTS, "clothes", &[]);
    let line = "warning: the weights were trained on digits, and are evaluated on clothes";
    assert!(notes.contains(line), "{notes}");
    assert_eq!((&result["trained_data"], &result["same_data"]), (&"digits".into(), &false.into()));
    let (result, notes) = eval(folder, WEIGHTS, "digits", &[]);
    assert!(!notes.contains("warning") && result["same_data"] == true, "{notes}");
    // The data that ships is taken only where it is meant.
    let says = "--data-path: the weights were trained on digits, which fashion-mnist is not";
    fs::copy(folder.join(WEIGHTS), folder.join("moved.safetensors")).unwrap();
    for verb in ["eval", "train"] {
        refused(folder, &[verb, "--device", "cpu", "--weights", "moved.safetensors"], 2, says);
    }
}

/// Where the shipped data does not even fit, that is reported too.
#[test]
fn weights_do_not_meet_the_default_data_by_accident() {
    let folder = trained();
    let says = "--data-path: the weights were trained on first; name the data to use";
    fs::copy(folder.path().join(WEIGHTS), folder.path().join("moved.safetensors")).unwrap();
    for verb in ["eval", "train"] {
        refused(folder.path(), &[verb, "--device", "cpu", "--weights", "moved.safetensors"], 2, says);
    }
}

/// In the folder of a run, the data is the run's.
#[test]
fn weights_in_the_folder_of_a_run_know_their_data() {
    let folder = trained();
    let folder = folder.path();
    let run = |words: &[&str]| {
        let output = striate(folder, words).output().unwrap();
        assert_eq!(code(&output), 0, "{words:?}: {}", stderr(&output));
        (String::from_utf8_lossy(&output.stdout).into_owned(), stderr(&output))
    };
    for weights in [WEIGHTS, "runs/a"] {
        let (line, notes) = run(&["eval", "--device", "cpu", "--weights", weights]);
        assert!(line.contains(" of first: loss"), "{line}");
        assert!(notes.contains("data: --data-path first as in runs/a/args.toml"), "{notes}");
    }
    let (line, _) = run(&["export", "--device", "cpu", "--weights", "runs/a", "-o", "a.onnx"]);
    assert!(line.contains("samples of first: largest difference"), "{line}");
    run(&["trace", "--device", "cpu", "--weights", "runs/a", "-o", "t.safetensors"]);
    // Data that has gone is named; an export, which only checks itself with it, does without.
    fs::rename(folder.join("first"), folder.join("gone")).unwrap();
    refused(folder, &["eval", "--device", "cpu", "--weights", "runs/a"], 4, "first: no such data set");
    let (line, _) = run(&["export", "--device", "cpu", "--weights", "runs/a", "-o", "a.onnx"]);
    assert!(line.contains("noise"), "{line}");
}

/// Class "1" of the data is not the output "0", though both stand first.
#[test]
fn numbers_as_names_are_not_shifted() {
    let folder = trained();
    let folder = folder.path();
    idx(folder, "numbers", 4, &[0, 1, 2], &[]);
    train(folder, &["-m", "tiny.toml", "--data-path", "numbers", "--name", "n", "--epochs", "1"]);
    idx(folder, "shifted", 4, &[0, 1, 2], &["1", "2", "3"]);
    let says = "whose class 0 is \"1\", found \"0\"";
    let eval = ["eval", "--device", "cpu", "--weights", "runs/n/last.safetensors", "--data-path", "shifted"];
    refused(folder, &eval, 4, says);
}

/// A table that is sorted by its label, of which `--split` leaves one class.
#[test]
fn one_class_that_a_division_leaves_is_not_trained_on() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let rows: String = (0..30).map(|n| format!("{},{},{}\n", n % 7, n % 5, n / 10)).collect();
    fs::write(folder.join("sorted.csv"), format!("a,b,label\n{rows}")).unwrap();
    fs::write(folder.join("two.toml"), MODEL.replace("[1, 4, 4]", "[2, 1, 1]")).unwrap();
    let train =
        ["train", "--device", "cpu", "-m", "two.toml", "--data-path", "sorted.csv", "--max-steps", "1"];
    let says =
        "expected training samples of at least two classes once some are held out, found 10 of class 0 only";
    refused(folder, &[&train[..], &["--split", "10/20"]].concat(), 4, says);
    refused(folder, &[&train[..], &["--split", "20/10"]].concat(), 0, "");
}

#[test]
fn a_model_file_that_prepares_its_input_otherwise_is_named() {
    let folder = trained();
    let folder = folder.path();
    let other = MODEL.replace("[recipe]", "[preprocess]\nmean = [0.5]\n[recipe]");
    fs::write(folder.join("other.toml"), other).unwrap();
    image::GrayImage::from_pixel(4, 4, image::Luma([9])).save(folder.join("p.png")).unwrap();
    let says = "were trained with mean [0.0], not [0.5]; what the model file tiny says is used";
    let runs: [&[&str]; 5] = [
        &["eval", "--weights", WEIGHTS, "--data-path", "first"],
        &["train", "--weights", WEIGHTS, "--data-path", "first", "--max-steps", "1"],
        &["predict", "--weights", WEIGHTS, "p.png"],
        &["trace", "--weights", WEIGHTS, "--data-path", "first", "-o", "t.safetensors"],
        &["export", "--weights", WEIGHTS, "--data-path", "first", "-o", "t.onnx"],
    ];
    for verb in runs {
        for (model, is_said) in [("tiny.toml", false), ("other.toml", true)] {
            let output =
                striate(folder, &[verb, &["--device", "cpu", "-m", model]].concat()).output().unwrap();
            assert_eq!(code(&output), 0, "{}", stderr(&output));
            assert_eq!(stderr(&output).contains(says), is_said, "{verb:?} {model}: {}", stderr(&output));
        }
    }
}

#[test]
fn a_trace_takes_the_network_of_the_weights() {
    let folder = trained();
    let arguments =
        ["trace", "--device", "cpu", "--weights", WEIGHTS, "--data-path", "first", "-o", "t.safetensors"];
    succeed(folder.path(), &arguments);
    let trace = safetensors::read(folder.path().join("t.safetensors")).unwrap();
    let weights = safetensors::read(folder.path().join(WEIGHTS)).unwrap();
    assert_eq!(trace.metadata["arch"], "tiny");
    assert_eq!(trace.tensors["parameter.head.weight"], weights.tensors["head.weight"]);
}

#[test]
fn exports_and_imports_keep_what_the_weights_know() {
    let folder = trained();
    let folder = folder.path();
    let origin = safetensors::read(folder.join(WEIGHTS)).unwrap().metadata["origin"].clone();
    for format in ["onnx", "npz", "safetensors"] {
        let file = format!("x.{format}");
        succeed(
            folder,
            &["export", "--device", "cpu", "--weights", WEIGHTS, "--data-path", "first", "-o", &file],
        );
        succeed(folder, &["import", &file, "-o", format]);
        let imported = format!("{format}/tiny.safetensors");
        assert_eq!(safetensors::read(folder.join(&imported)).unwrap().metadata["origin"], origin, "{format}");
        for weights in [&file, &imported] {
            let (result, notes) = eval(folder, weights, "first", &[]);
            assert_eq!((&result["trained_on"], &result["same_data"]), (&0.into(), &true.into()), "{notes}");
        }
    }
}
