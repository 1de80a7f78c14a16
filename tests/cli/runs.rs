//! Training runs and their evaluation: the files, the events, and what to type next.

use super::{TINY, code, json_lines, stderr, striate, succeed};
use std::io::{BufRead, BufReader, Read};
use std::process::Stdio;
use striate::interchange::safetensors;

fn tiny(more: &[&'static str]) -> Vec<&'static str> {
    [&TINY[..], more].concat()
}

#[test]
fn training_leaves_a_folder_and_says_what_to_type_next() {
    let folder = tempfile::tempdir().unwrap();
    let output = striate(folder.path(), &tiny(&["--log-every", "1"])).output().unwrap();
    assert_eq!(code(&output), 0, "{}", stderr(&output));
    let notes = stderr(&output);
    assert!(
        notes.contains("device: cpu") && notes.contains("memory: ") && notes.contains("step 3/3"),
        "{notes}"
    );
    let stdout = String::from_utf8(output.stdout).unwrap();
    assert!(stdout.contains("epoch 2/2: loss "), "{stdout}");
    let run = folder.path().join("runs/lenet5");
    for file in ["best.safetensors", "last.safetensors", "args.toml", "metrics.csv", "log.jsonl"] {
        assert!(run.join(file).is_file(), "{file}");
    }
    for file in ["curves.svg", "confusion.svg", "mistakes.png", "report.html"] {
        assert!(run.join(file).is_file(), "{file}");
    }
    // And two checkpoints and the lock, nothing else.
    assert!(run.join("checkpoint.safetensors").is_file() && run.join("checkpoint-1.safetensors").is_file());
    assert_eq!(std::fs::read_dir(&run).unwrap().count(), 5 + 4 + 3);
    assert_eq!(std::fs::read_to_string(run.join("metrics.csv")).unwrap().lines().count(), 3);
    // The command it names works as it stands.
    let next = stdout.lines().last().unwrap().strip_prefix("next: striate ").unwrap();
    let mut words: Vec<&str> = next.split_whitespace().collect();
    words.extend(["--device", "cpu", "--limit-val", "20"]);
    assert!(succeed(folder.path(), &words).contains("on the validation set (20) of synthetic: loss"));
}

#[test]
fn a_second_run_of_the_same_name_gets_a_folder_of_its_own() {
    let folder = tempfile::tempdir().unwrap();
    for _ in 0..2 {
        succeed(folder.path(), &tiny(&["-q", "--name", "x", "--output-dir", "o"]));
    }
    assert!(folder.path().join("o/x/last.safetensors").is_file());
    assert!(folder.path().join("o/x-2/last.safetensors").is_file());
}

#[test]
fn json_events_come_in_order_with_their_fields() {
    let folder = tempfile::tempdir().unwrap();
    let arguments = tiny(&["--json", "--log-every", "1", "--seed", "5"]);
    let stdout = succeed(folder.path(), &arguments);
    let events = json_lines(&stdout);
    let kinds: Vec<&str> = events.iter().map(|e| e["event"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["start", "step", "step", "step", "epoch", "step", "step", "step", "epoch", "done"]);
    assert_eq!(events[0]["parameters"], 61706);
    assert!(events[0]["memory_bytes"].as_u64().unwrap() > 61706 * 4 * 3);
    assert_eq!((&events[1]["epoch"], &events[1]["step"]), (&0.into(), &1.into()));
    // Losses have nine significant digits.
    let loss = stdout.lines().nth(1).unwrap().split("\"loss\":").nth(1).unwrap().split(',').next().unwrap();
    assert_eq!(loss.chars().filter(char::is_ascii_digit).count(), 9, "{loss}");
    let epoch = &events[4];
    for key in ["train_loss", "val_loss", "acc1", "acc5", "seconds"] {
        assert!(epoch[key].is_number(), "{key}");
    }
    assert_eq!(epoch["weights_sha256"].as_str().unwrap().len(), 64);
    assert_eq!(events[9]["steps"], 6);
    assert_eq!(events[9]["weights"], "runs/lenet5/best.safetensors");
    // The run's own log holds the same.
    let log = std::fs::read_to_string(folder.path().join("runs/lenet5/log.jsonl")).unwrap();
    assert_eq!(json_lines(&log), events);
    // And the weights can be used without the run's folder.
    let file = safetensors::read(folder.path().join("runs/lenet5/last.safetensors")).unwrap();
    assert_eq!(file.metadata["format"], "pt");
    assert_eq!(file.metadata["arch"], "lenet5");
    assert_eq!(file.metadata["epoch"], "1");
    assert_eq!(file.metadata["seed"], "5");
    for key in ["classes", "num_classes", "mean", "std", "val_acc1", "engine_version", "model"] {
        assert!(file.metadata.contains_key(key), "{key}");
    }
}

#[test]
fn flags_of_a_recipe_are_written_down_and_obeyed() {
    let folder = tempfile::tempdir().unwrap();
    let more = [
        "--json",
        "--opt",
        "sgd",
        "--lr",
        "0.02",
        "--lr-scheduler",
        "multistep",
        "--lr-milestones",
        "1",
        "--lr-gamma",
        "0.5",
        "--wd",
        "0.001",
        "--nesterov",
        "--label-smoothing",
        "0.1",
        "--clip-grad-norm",
        "1",
        "--grad-accum-steps",
        "2",
        "--lr-warmup-epochs",
        "0",
        "--momentum",
        "0.8",
        "--no-augment",
        "--no-shuffle",
    ];
    let events = json_lines(&succeed(folder.path(), &tiny(&more)));
    let epochs: Vec<_> = events.iter().filter(|e| e["event"] == "epoch").collect();
    assert_eq!((&epochs[0]["lr"], &epochs[1]["lr"]), (&0.02.into(), &0.01.into()));
    // Three batches are two updates of at most two batches.
    assert_eq!(events.last().unwrap()["steps"], 4);
    let args = std::fs::read_to_string(folder.path().join("runs/lenet5/args.toml")).unwrap();
    let args: toml::Table = args.parse().unwrap();
    assert_eq!(args["recipe"]["weight_decay"].as_float(), Some(0.001));
    assert_eq!(args["recipe"]["nesterov"].as_bool(), Some(true));
    assert_eq!(args["options"]["recipe"]["weight_decay"].as_float(), Some(0.001));
    assert_eq!(args["options"]["train"]["shuffle"].as_bool(), Some(false));
    assert_eq!(args["options"]["data"]["kind"].as_str(), Some("synthetic"));
}

#[test]
fn fine_tuning_starts_from_weights_with_other_classes() {
    let folder = tempfile::tempdir().unwrap();
    succeed(folder.path(), &tiny(&["-q", "--name", "first"]));
    let more = [
        "-q",
        "--name",
        "second",
        "--weights",
        "runs/first/last.safetensors",
        "--num-classes",
        "3",
        "--freeze",
        "c1",
        "--freeze",
        "c3",
    ];
    succeed(folder.path(), &tiny(&more));
    let read = |name: &str| safetensors::read(folder.path().join(name)).unwrap().tensors;
    let (first, second) = (read("runs/first/last.safetensors"), read("runs/second/last.safetensors"));
    assert_eq!(first["c1.weight"], second["c1.weight"]);
    assert_ne!(first["c5.weight"], second["c5.weight"]);
    assert_eq!(second["output.weight"].shape().dims(), [3, 84]);
    let arguments = ["eval", "--device", "cpu", "--dataset", "synthetic", "--limit-val", "9", "--weights"];
    let report = succeed(folder.path(), &[&arguments[..], &["runs/second/last.safetensors"]].concat());
    assert_eq!(report.lines().count(), 3 + 3, "{report}");
}

#[test]
fn eval_counts_classes_and_writes_the_confusion() {
    let folder = tempfile::tempdir().unwrap();
    let events = json_lines(&succeed(folder.path(), &tiny(&["--json"])));
    let reported = events.iter().rfind(|e| e["event"] == "epoch").unwrap();
    let arguments = [
        "test",
        "--device",
        "cpu",
        "--weights",
        "runs/lenet5/last.safetensors",
        "--dataset",
        "synthetic",
        "--limit-val",
        "20",
        "-b",
        "7",
        "--json",
        "--confusion",
        "confusion.csv",
        "--predictions",
        "predictions.csv",
    ];
    let result = &json_lines(&succeed(folder.path(), &arguments))[0];
    assert_eq!((&result["acc1"], &result["acc5"]), (&reported["acc1"], &reported["acc5"]));
    let near =
        |a: &serde_json::Value, b: &serde_json::Value| (a.as_f64().unwrap() - b.as_f64().unwrap()).abs();
    assert!(near(&result["loss"], &reported["val_loss"]) < 1e-5);
    assert_eq!(result["classes"].as_array().unwrap().len(), 10);
    let mut table = csv::Reader::from_path(folder.path().join("confusion.csv")).unwrap();
    assert_eq!(table.headers().unwrap().len(), 11);
    let sum = table
        .records()
        .flat_map(|row| row.unwrap().iter().skip(1).map(|n| n.parse::<u64>().unwrap()).collect::<Vec<_>>())
        .sum::<u64>();
    assert_eq!(sum, 20);
    let number = |value: &serde_json::Value| value.as_f64().unwrap();
    assert!((number(&result["acc1"]) + number(&result["error1"]) - 100.0).abs() < 1e-9);
    assert!((number(&result["acc5"]) + number(&result["error5"]) - 100.0).abs() < 1e-9);
    // The answers to the samples are those that were counted.
    let mut table = csv::Reader::from_path(folder.path().join("predictions.csv")).unwrap();
    assert_eq!(table.headers().unwrap().len(), 2 + 2 * 5);
    let rows: Vec<csv::StringRecord> = table.records().map(|row| row.unwrap()).collect();
    let hits = |answers: usize| {
        let hit = |row: &csv::StringRecord| (0..answers).any(|i| row[2 + 2 * i] == row[1]);
        100.0 * rows.iter().filter(|row| hit(row)).count() as f64 / 20.0
    };
    assert_eq!((hits(1), hits(5)), (number(&result["acc1"]), number(&result["acc5"])));
    let by_class = |key: &str| {
        let hits = |class: &serde_json::Value| number(&class["samples"]) * class[key].as_f64().unwrap_or(0.0);
        result["classes"].as_array().unwrap().iter().map(hits).sum::<f64>() / 20.0
    };
    assert!((by_class("acc1") - hits(1)).abs() < 1e-9 && (by_class("acc5") - hits(5)).abs() < 1e-9);
    for (sample, row) in rows.iter().enumerate() {
        assert_eq!(row[0], sample.to_string());
        let p: Vec<f64> = (0..5).map(|i| row[3 + 2 * i].parse().unwrap()).collect();
        assert!(p.is_sorted_by(|a, b| a >= b) && p[0] <= 1.0 && p.iter().sum::<f64>() > 0.5, "{p:?}");
    }
}

#[cfg(unix)]
#[test]
fn an_interrupt_finishes_the_step_saves_and_exits_130() {
    let folder = tempfile::tempdir().unwrap();
    let mut child = std::process::Command::new(assert_cmd::cargo::cargo_bin("striate"))
        .args(tiny(&["--json", "--log-every", "1", "--epochs", "100000"]))
        .current_dir(folder.path())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap());
    let mut line = String::new();
    while !line.contains("\"epoch\":1,\"step\"") {
        line.clear();
        assert!(lines.read_line(&mut line).unwrap() > 0, "the run ended by itself");
    }
    let killed = std::process::Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap();
    assert!(killed.success());
    let mut rest = String::new();
    lines.read_to_string(&mut rest).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(130));
    let done = json_lines(&rest).pop().unwrap();
    assert_eq!((done["event"].as_str(), done["ending"].as_str()), (Some("done"), Some("interrupted")));
    let last = safetensors::read(folder.path().join("runs/lenet5/last.safetensors")).unwrap();
    assert_eq!(last.metadata["step"], done["steps"].to_string());
    assert!(folder.path().join(done["weights"].as_str().unwrap()).is_file());
}
