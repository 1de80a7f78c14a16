//! `eval` with more than the plain look at every image: ten crops, and damage by kind and level.

use super::{code, json_lines, stderr, striate, succeed};
use serde_json::Value;
use std::path::Path;

/// A network that looks at 24 x 24 of 28 x 28 pixels.
const NETWORK: &str = r#"
name = "room"
input = [1, 24, 24]
[preprocess]
resize = 28
[[layer]]
op = "avg_pool2d"
kernel = 4
[[layer]]
op = "flatten"
[[layer]]
op = "linear"
out_features = 10
"#;

fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("room.toml"), NETWORK).unwrap();
    folder
}

/// `striate eval` of it on 20 made-up images.
fn eval(more: &[&'static str]) -> Vec<&'static str> {
    let plain = ["eval", "--device", "cpu", "-m", "room.toml", "--dataset", "synthetic", "--limit-val", "20"];
    [&plain, more].concat()
}

#[track_caller]
fn refused(folder: &Path, arguments: &[&str], exit: i32, says: &str) {
    let output = striate(folder, arguments).output().unwrap();
    assert_eq!(code(&output), exit, "{}", stderr(&output));
    assert!(stderr(&output).contains(says), "no \"{says}\" in: {}", stderr(&output));
    assert!(output.stdout.is_empty());
}

#[test]
fn ten_crops_are_one_more_way_to_evaluate() {
    let folder = folder();
    let one = &json_lines(&succeed(folder.path(), &eval(&["--json"])))[0];
    let more = ["--json", "--ten-crop", "--predictions", "p.csv"];
    let ten = &json_lines(&succeed(folder.path(), &eval(&more)))[0];
    assert_eq!((&one["crops"], &ten["crops"]), (&1.into(), &10.into()));
    assert_eq!((&one["samples"], &ten["samples"]), (&20.into(), &20.into()));
    assert_ne!(one["loss"], ten["loss"]);
    // What is written are the mean probabilities themselves.
    let mut table = csv::Reader::from_path(folder.path().join("p.csv")).unwrap();
    let p: Vec<f64> = table.records().map(|row| row.unwrap()[3].parse().unwrap()).collect();
    assert!(p.len() == 20 && p.iter().all(|p| (0.1..1.0).contains(p)), "{p:?}");
    let text = succeed(folder.path(), &eval(&["--ten-crop"]));
    assert!(text.starts_with("room on the validation set (20) of synthetic in 10 crops: loss"), "{text}");
}

#[test]
fn ten_crops_of_a_network_that_sees_the_whole_picture() {
    let folder = folder();
    let whole = ["eval", "--device", "cpu", "-m", "lenet5", "--dataset", "synthetic", "--ten-crop"];
    refused(folder.path(), &whole, 2, "resize");
    let error = ["eval", "--device", "cpu", "-m", "mlp-784-15-10", "--dataset", "synthetic", "--ten-crop"];
    refused(folder.path(), &error, 2, "cross-entropy");
}

#[test]
fn robustness_is_a_table_on_stdout_and_in_both_files() {
    let folder = folder();
    let files = ["--robustness", "r.csv", "--robustness", "r.json"];
    let plain = &json_lines(&succeed(folder.path(), &eval(&["--json"])))[0];
    let text = succeed(folder.path(), &eval(&files));
    let json: Value =
        serde_json::from_str(&std::fs::read_to_string(folder.path().join("r.json")).unwrap()).unwrap();
    let levels = json["levels"].as_array().unwrap();
    let mut table = csv::Reader::from_path(folder.path().join("r.csv")).unwrap();
    assert_eq!(table.headers().unwrap().iter().take(3).collect::<Vec<_>>(), ["corruption", "level", "unit"]);
    let rows: Vec<csv::StringRecord> = table.records().map(|row| row.unwrap()).collect();
    assert_eq!((rows.len(), text.lines().count()), (levels.len(), levels.len() + 2));
    for ((row, level), line) in rows.iter().zip(levels).zip(text.lines().skip(2)) {
        assert_eq!(row[0], *level["corruption"].as_str().unwrap());
        assert!(line.starts_with(&row[0]) && line.contains(&row[1]), "{line}");
        for (column, key) in [(1, "level"), (3, "samples"), (4, "loss"), (5, "acc1"), (8, "error5")] {
            let (a, b) = (row[column].parse::<f64>().unwrap(), level[key].as_f64().unwrap());
            assert!((a - b).abs() <= 1e-12 * b.abs(), "{key}: {a} {b}");
        }
        let harmless = matches!(
            (&row[0], &row[1]),
            ("rotation" | "blur" | "noise" | "occlusion", "0") | ("scale" | "brightness" | "contrast", "1")
        );
        assert_eq!(level["loss"] == plain["loss"], harmless, "{level}");
    }
    let printed = &json_lines(&succeed(folder.path(), &[&eval(&files)[..], &["--json", "-j3"]].concat()))[0];
    assert_eq!(printed, &json);
}

#[test]
fn robustness_files_that_cannot_be_written_are_refused_before_the_work() {
    let folder = folder();
    refused(folder.path(), &eval(&["--robustness", "r.txt"]), 2, ".csv or .json");
    refused(folder.path(), &eval(&["--robustness", "gone/r.csv"]), 4, "gone");
    refused(folder.path(), &eval(&["--robustness", "r.csv", "--ten-crop"]), 2, "--ten-crop");
    assert!(!folder.path().join("r.csv").exists());
}
