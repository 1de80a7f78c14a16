//! No output takes the place of what is read, and a path that cannot be written is an error before the work begins.

use super::{TINY, code, json_lines, stderr, striate, succeed};
use std::fs;
use std::path::Path;

/// Runs to an error of exit code `exit`, whose line is returned.
#[track_caller]
fn refuse(folder: &Path, arguments: &[&str], exit: i32) -> String {
    let output = striate(folder, arguments).output().unwrap();
    let message = stderr(&output);
    assert_eq!(code(&output), exit, "striate {arguments:?}: {message}");
    message.lines().find(|line| line.starts_with("error: ")).unwrap().to_string()
}

#[test]
fn an_output_takes_the_place_of_no_input_and_no_other_output() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    fs::create_dir_all(root.join("photos/a")).unwrap();
    image::RgbImage::new(20, 20).save(root.join("photos/a/1.png")).unwrap();
    fs::write(root.join("net.toml"), NETWORK).unwrap();
    fs::write(root.join("data.csv"), "1,2,0\n3,4,1\n5,6,0\n7,8,1\n").unwrap();
    let initial =
        ["trace", "-m", "net.toml", "--data-path", "data.csv", "-o", "w.safetensors", "--device", "cpu"];
    let eval = ["eval", "-m", "net.toml", "--data-path", "data.csv", "--device", "cpu"];
    let with = |verb: &[&'static str], more: &[&'static str]| [verb, more].concat();
    let trace = &initial[..5];
    fs::write(root.join("weights.csv"), "0,1\n1,2\n").unwrap();
    let files = ["net.toml", "data.csv", "weights.csv", "photos/a/1.png"];
    let before = files.map(|name| fs::read(root.join(name)).unwrap());
    let taken = "a file other than the input";
    for (arguments, what) in [
        (with(&eval, &["--predictions", "data.csv"]), taken),
        (with(&eval, &["--predictions", "./photos/../net.toml"]), taken),
        (with(&eval, &["--confusion", "net.toml"]), taken),
        (with(&eval, &["--robustness", "data.csv"]), taken),
        (
            with(&eval, &["--predictions", "p.csv", "--confusion", "./p.csv"]),
            "a different file for each output",
        ),
        (with(trace, &["-o", "net.toml"]), taken),
        (vec!["train", "-m", "net.toml", "--data-path", "data.csv", "--preview", "data.csv"], taken),
        (with(trace, &["--class-weights", "weights.csv", "-o", "weights.csv"]), taken),
        (
            with(
                &["train", "-m", "net.toml", "--data-path", "data.csv"],
                &["--class-weights", "weights.csv", "--preview", "weights.csv"],
            ),
            taken,
        ),
        (vec!["train", "--data-path", "photos", "--preview", "photos/a/2.png"], "a file in the data"),
        (vec!["dataset", "pack", "photos", "-o", "photos/a/1.png"], taken),
        (vec!["dataset", "pack", "photos", "-o", "photos/packed"], "a file outside the input folder"),
    ] {
        let message = refuse(root, &arguments, 2);
        assert!(message.contains(what), "{message}");
    }
    for (output, what) in
        [("no/p.csv", "in an existing folder"), ("photos", "found a folder"), ("new/", "found a folder")]
    {
        let message = refuse(root, &with(&eval, &["--predictions", output]), 4);
        assert!(message.contains(what), "{message}");
    }
    let after = files.map(|name| fs::read(root.join(name)).unwrap());
    assert!(before == after && !root.join("p.csv").exists());
}

const NETWORK: &str = r#"
name = "two"
input = [2, 1, 1]
[[layer]]
op = "flatten"
[[layer]]
name = "head"
op = "linear"
out_features = 2
"#;

#[test]
fn weights_bring_their_network_unless_another_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    let lines = json_lines(&succeed(root, &[&TINY[..], &["--json", "--max-steps", "1"]].concat()));
    assert!(!lines.is_empty());
    let weights = "runs/lenet5/last.safetensors";
    let data = ["--dataset", "synthetic", "--limit-train", "16", "--limit-val", "8", "--max-steps", "1"];
    let again = [&["train", "--device", "cpu", "--weights", weights], &data[..]].concat();
    succeed(root, &again);
    assert!(root.join("runs/lenet5-2").is_dir(), "the network is that of the weights");
    // Another network: the message names it, and is short.
    let output = striate(root, &[&again[..], &["-m", "alexnet-mini"]].concat()).output().unwrap();
    let message = stderr(&output);
    assert!(code(&output) == 4 && message.contains("do not fit the model alexnet-mini"), "{message}");
    assert!(message.contains(" more"), "{message}");
}

#[test]
fn training_nothing_and_negative_numbers_are_refused_in_our_words() {
    let folder = tempfile::tempdir().unwrap();
    for (more, what) in [
        (&["--freeze", ""][..], "freeze: expected the beginning of a parameter's name, found nothing"),
        (&["--freeze", "c", "--freeze", "f", "--freeze", "o"], "freeze: expected parameters left to train"),
        (&["--lr", "-1"], "lr: expected"),
        (&["--val-split", "-0.1"], "val-split: expected"),
    ] {
        let message = refuse(folder.path(), &[&TINY[..], more].concat(), 2);
        assert!(message.contains(what), "{message}");
    }
}

#[test]
fn predictions_name_the_files_of_pictures() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    for name in ["val/a/1.png", "train/a/1.png", "train/b/2.png"] {
        let path = root.join("photos").join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        image::RgbImage::new(20, 20).save(path).unwrap();
    }
    fs::write(root.join("n.toml"), NETWORK.replace("[2, 1, 1]", "[3, 4, 4]")).unwrap();
    let arguments = ["-m", "n.toml", "--data-path", "photos", "--predictions", "p.csv", "--device", "cpu"];
    succeed(root, &[&["eval"], &arguments[..]].concat());
    let table = fs::read_to_string(root.join("p.csv")).unwrap();
    let lines: Vec<_> = table.lines().collect();
    assert!(lines[0].starts_with("sample,file,truth,"), "{table}");
    assert!(lines[1].starts_with("0,photos/val/a/1.png,a,"), "{table}");
}
