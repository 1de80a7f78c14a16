//! What weights remember of the table that they were trained on, and weights of before there was something to remember.

use super::{code, json_lines, stderr, striate, succeed};
use serde_json::Value;
use std::fs;
use std::path::Path;
use striate::interchange::safetensors;

const MODEL: &str = "name = \"tiny\"\ninput = [1, 2, 2]\n[preprocess]\nmean = [0.5]\nstd = [0.5]\n[recipe]\nepochs = 1\nbatch_size = 8\n[[layer]]\nop = \"flatten\"\n[[layer]]\nop = \"linear\"\nout_features = 2\n";

const WEIGHTS: &str = "runs/tiny/last.safetensors";

/// The model, and a table whose first column is the label and the last could be.
fn tables(folder: &Path) {
    fs::write(folder.join("tiny.toml"), MODEL).unwrap();
    let row =
        |n: usize| format!("{},{},{},{},{}\n", n % 2, 90 * (n % 2) + n, n * 7 % 100, n * 3 % 50, n / 2 % 2);
    fs::write(folder.join("t.csv"), (0..40).map(row).collect::<String>()).unwrap();
}

fn train(folder: &Path, more: &[&str]) -> (i32, String) {
    let base = ["train", "--json", "--device", "cpu", "-j1", "-m", "tiny.toml", "--data-path", "t.csv"];
    let output = striate(folder, &[&base[..], more].concat()).output().unwrap();
    (code(&output), stderr(&output))
}

fn eval(folder: &Path, more: &[&str]) -> (Value, String) {
    let base = ["eval", "--json", "--device", "cpu", "--weights", WEIGHTS, "--data-path", "t.csv"];
    let output = striate(folder, &[&base[..], more].concat()).output().unwrap();
    assert_eq!(code(&output), 0, "{}", stderr(&output));
    let lines = json_lines(&String::from_utf8_lossy(&output.stdout));
    (lines.last().unwrap().clone(), stderr(&output))
}

fn write(path: &Path, file: striate::interchange::File) {
    let tensors: Vec<_> = file.tensors.into_iter().collect();
    safetensors::write(path, &tensors, &file.metadata).unwrap();
}

#[test]
fn weights_remember_the_label_and_the_range_of_their_table() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    tables(folder);
    let flags = ["--label-column", "1", "--input-range", "ready"];
    let (code, notes) = train(folder, &flags);
    assert_eq!(code, 0, "{notes}");
    let file = safetensors::read(folder.join(WEIGHTS)).unwrap();
    let origin: Value = serde_json::from_str(&file.metadata["origin"]).unwrap();
    assert_eq!((&origin["label_column"], &origin["input_range"]), (&"1".into(), &"ready".into()));
    let (reported, notes) = eval(folder, &flags);
    assert!(!notes.contains("warning") && !notes.contains("weights' run"), "{notes}");
    let (silent, notes) = eval(folder, &[]);
    assert!(!notes.contains("warning"), "{notes}");
    assert!(notes.contains("data: the label is --label-column 1, as in the weights' run"), "{notes}");
    assert!(notes.contains("--input-range ready, as in the weights' run"), "{notes}");
    for key in ["loss", "acc1", "samples", "trained_on", "same_data"] {
        assert_eq!(reported[key], silent[key], "{key}");
    }
    assert_eq!(silent["same_data"], true);
    // Flags win.
    let (_, notes) = eval(folder, &["--label-column", "5", "--input-range", "0..255"]);
    assert!(!notes.contains("weights' run was") && !notes.contains("as in the weights' run"), "{notes}");
    // The next run has them too, and hands them on.
    let (code, notes) = train(folder, &["--weights", WEIGHTS, "--name", "b"]);
    assert_eq!(code, 0, "{notes}");
    let next = safetensors::read(folder.join("runs/b/last.safetensors")).unwrap();
    let next: Value = serde_json::from_str(&next.metadata["origin"]).unwrap();
    assert_eq!((&next["label_column"], &next["input_range"]), (&"1".into(), &"ready".into()));
    assert_eq!(next["images"], origin["images"]);
    // A run that resumes with some of its flags given again.
    let (code, notes) = train(folder, &["--resume", "runs/tiny", "--epochs", "1", "--max-steps", "1"]);
    assert_eq!(code, 0, "{notes}");
}

#[test]
fn weights_of_before_do_not_take_numbers_for_pixels_unasked() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    tables(folder);
    let (code_, notes) = train(folder, &["--label-column", "1", "--input-range", "ready"]);
    assert_eq!(code_, 0, "{notes}");
    let mut file = safetensors::read(folder.join(WEIGHTS)).unwrap();
    for key in ["geometry", "origin", "origin_before"] {
        file.metadata.remove(key);
    }
    write(&folder.join("old.safetensors"), file);
    let base =
        ["--device", "cpu", "--data-path", "t.csv", "--label-column", "1", "--weights", "old.safetensors"];
    let refusal = "--input-range: weights of Striate 0.1.0 were trained on a table's numbers as they are; pass ready for such \
                   weights, 0..255 for pixels";
    for verb in [&["eval"][..], &["train", "-j1", "--name", "c"]] {
        let output = striate(folder, &[verb, &base[..]].concat()).output().unwrap();
        assert_eq!(code(&output), 2, "{}", stderr(&output));
        assert!(stderr(&output).contains(refusal), "{}", stderr(&output));
        assert!(!folder.join("runs/c").exists());
    }
    for range in ["ready", "0..255"] {
        succeed(folder, &[&["eval"][..], &base[..], &["--input-range", range]].concat());
    }
}

#[test]
fn a_run_of_before_whose_numbers_were_no_pixels_is_told_what_to_say() {
    let fixture = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/runs/0.1.0-split");
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    fs::create_dir_all(folder.join("runs/tiny")).unwrap();
    for file in ["args.toml", "checkpoint.safetensors", "log.jsonl", "metrics.csv"] {
        fs::copy(fixture.join("runs/tiny").join(file), folder.join("runs/tiny").join(file)).unwrap();
    }
    // The same run, as its network and its table would be with pixels in them.
    let model = fs::read_to_string(fixture.join("tiny.toml")).unwrap();
    let list = "[0.5, 0.5, 0.5, 0.5, 0.5, 0.5]";
    let preprocess = format!("[preprocess]\nmean = {list}\nstd = {list}\n[recipe]\n");
    fs::write(folder.join("tiny.toml"), model.replace("[recipe]\n", &preprocess)).unwrap();
    let rows = fs::read_to_string(fixture.join("rows.csv")).unwrap();
    let whole = |line: &str| {
        let (numbers, label) = line.rsplit_once(',').unwrap();
        let whole = |text: &str| format!("{:.0}", 100.0 + 20.0 * text.parse::<f32>().unwrap());
        format!("{},{label}\n", numbers.split(',').map(whole).collect::<Vec<_>>().join(","))
    };
    fs::write(folder.join("rows.csv"), rows.lines().map(whole).collect::<String>()).unwrap();
    let output = striate(folder, &["train", "--resume", "runs/tiny"]).output().unwrap();
    let text = stderr(&output);
    assert_eq!(code(&output), 2, "{text}");
    assert!(text.contains("training images"), "{text}");
    assert!(
        text.contains("used the numbers of a table unchanged: pass its options and --input-range ready"),
        "{text}"
    );
}
