//! The program is stopped and started again: what it leaves and what it says. Kills, locks and signals at random times are in
//! `tests/reliability`.

use super::{TINY, code, json_lines, stderr, striate, succeed};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use striate::run::Checkpoint;

fn tiny<'a>(more: &[&'a str]) -> Vec<&'a str> {
    [&TINY[..], more].concat()
}

fn start(folder: &Path, arguments: &[&str]) -> Child {
    Command::new(assert_cmd::cargo::cargo_bin("striate"))
        .args(arguments)
        .current_dir(folder)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

#[cfg(unix)]
fn signal(child: &Child, name: &str) {
    assert!(Command::new("kill").args([name, &child.id().to_string()]).status().unwrap().success());
}

/// Waits until `is_so`, at most a minute.
#[track_caller]
fn wait_until(mut is_so: impl FnMut() -> bool) {
    let began = Instant::now();
    while !is_so() {
        assert!(began.elapsed() < Duration::from_secs(60), "waited a minute");
        std::thread::sleep(Duration::from_millis(3));
    }
}

/// The lines of a run's log except for times, devices and paths.
fn log(run: &Path) -> Vec<serde_json::Value> {
    let mut lines = json_lines(&std::fs::read_to_string(run.join("log.jsonl")).unwrap());
    for line in &mut lines {
        for key in ["seconds", "images_per_second", "data_wait", "folder", "weights"] {
            line.as_object_mut().unwrap().remove(key);
        }
    }
    lines
}

#[cfg(unix)]
#[test]
fn a_signal_saves_and_names_the_command_that_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    succeed(folder.path(), &tiny(&["-q", "--epochs", "60", "--name", "whole"]));
    for (name, kind, number) in [("int", "-INT", 130), ("term", "-TERM", 143)] {
        let child = start(folder.path(), &tiny(&["--epochs", "60", "--name", name]));
        let run = folder.path().join("runs").join(name);
        wait_until(|| run.join("checkpoint.safetensors").exists());
        signal(&child, kind);
        let output = child.wait_with_output().unwrap();
        assert_eq!(output.status.code(), Some(number), "{}", stderr(&output));
        let stdout = String::from_utf8(output.stdout).unwrap();
        let command = stdout.lines().last().unwrap().strip_prefix("resume: striate ").unwrap();
        assert!(command.ends_with(&format!("--resume runs/{name}")), "{command}");
        let words: Vec<&str> = command.split_whitespace().collect();
        let again = succeed(folder.path(), &words);
        assert!(again.contains("done, 180 steps"), "{again}");
        assert_eq!(log(&run), log(&folder.path().join("runs/whole")));
    }
}

#[cfg(unix)]
#[test]
fn a_signal_is_heard_though_nobody_reads_what_is_said() {
    let folder = tempfile::tempdir().unwrap();
    let mut child = start(folder.path(), &tiny(&["--epochs", "100000"]));
    drop(child.stdout.take());
    let run = folder.path().join("runs/lenet5");
    wait_until(|| run.join("checkpoint-1.safetensors").exists());
    signal(&child, "-TERM");
    assert_eq!(child.wait().unwrap().code(), Some(143));
}

#[cfg(unix)]
#[test]
fn a_hang_up_saves_and_the_run_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let more = ["-q", "--limit-train", "16000", "--epochs", "100", "--log-every", "1"];
    let mut child = start(folder.path(), &tiny(&more));
    let run = folder.path().join("runs/lenet5");
    let has_step =
        || std::fs::read_to_string(run.join("log.jsonl")).is_ok_and(|log| log.contains("\"step\":2"));
    wait_until(has_step);
    signal(&child, "-HUP");
    let checkpoint = run.join("checkpoint.safetensors");
    wait_until(|| checkpoint.exists());
    // An epoch has 1000 steps: no other reason to save.
    let step = Checkpoint::read(&checkpoint).unwrap().step();
    assert!(step > 1 && !step.is_multiple_of(1000), "{step}");
    let later = format!("\"step\":{},", step + 2);
    wait_until(|| std::fs::read_to_string(run.join("log.jsonl")).is_ok_and(|log| log.contains(&later)));
    assert!(child.try_wait().unwrap().is_none());
    signal(&child, "-TERM");
    assert_eq!(child.wait().unwrap().code(), Some(143));
    assert!(Checkpoint::read(&checkpoint).unwrap().step() > step);
}

#[test]
fn damage_is_told_in_one_line_and_the_one_before_is_taken() {
    let folder = tempfile::tempdir().unwrap();
    succeed(folder.path(), &tiny(&["-q", "--name", "x"]));
    let run = folder.path().join("runs/x");
    let before = log(&run);
    let newest = run.join("checkpoint.safetensors");
    let mut bytes = std::fs::read(&newest).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 4;
    std::fs::write(&newest, &bytes).unwrap();
    let output = striate(folder.path(), &tiny(&["--name", "x", "--resume", "auto"])).output().unwrap();
    assert_eq!(code(&output), 0, "{}", stderr(&output));
    let warnings: Vec<String> =
        stderr(&output).lines().filter(|line| line.starts_with("warning: ")).map(String::from).collect();
    assert_eq!(warnings.len(), 1, "{warnings:?}");
    assert!(
        warnings[0].contains("runs/x/checkpoint.safetensors: tensor ")
            && warnings[0].contains("checkpoint-1")
    );
    assert_eq!(log(&run), before);
    for name in ["checkpoint.safetensors", "checkpoint-1.safetensors"] {
        std::fs::write(run.join(name), &bytes[..middle]).unwrap();
    }
    let output = striate(folder.path(), &tiny(&["-q", "--resume", "runs/x"])).output().unwrap();
    assert_eq!((code(&output), stderr(&output).lines().count()), (4, 1), "{}", stderr(&output));
    assert!(stderr(&output).contains("nor is any of the 1 before it whole"), "{}", stderr(&output));
}

#[test]
fn what_cannot_be_meant_is_one_line_and_exit_code_2() {
    let folder = tempfile::tempdir().unwrap();
    let fails = |more: &[&str], expected: i32, part: &str| {
        let output = striate(folder.path(), &tiny(&[&["-q"], more].concat())).output().unwrap();
        let text = stderr(&output);
        assert_eq!(code(&output), expected, "{more:?}: {text}");
        assert!(text.contains(part), "{more:?}: {text}");
        if expected == 4 {
            assert_eq!(text.lines().count(), 1, "{text}");
        }
    };
    fails(&["--checkpoint-every", "0"], 2, "--checkpoint-every");
    fails(&["--checkpoint-hist", "0"], 2, "--checkpoint-hist");
    fails(&["--resume-force"], 2, "--resume");
    fails(&["--resume", "nowhere"], 4, "nowhere");
    assert!(!folder.path().join("runs").exists());
    succeed(folder.path(), &tiny(&["-q", "--resume", "auto"]));
    let output = striate(folder.path(), &tiny(&["--resume", "auto", "--lr", "0.5"])).output().unwrap();
    assert_eq!(code(&output), 2);
    let text = stderr(&output);
    assert!(text.contains("  --lr: ") && text.contains(" in this run, 0.5 given\n"), "{text}");
    assert!(text.lines().last().unwrap().contains("--resume-force resumes it with these"), "{text}");
    succeed(folder.path(), &tiny(&["-q", "--resume", "auto", "--epochs", "3", "--resume-force"]));
    let log = log(&folder.path().join("runs/lenet5"));
    assert_eq!(log.iter().filter(|line| line["event"] == "epoch").count(), 3);
}

#[test]
fn options_out_of_their_range_in_a_folder_are_rejected_by_name() {
    let folder = tempfile::tempdir().unwrap();
    succeed(folder.path(), &tiny(&["-q", "--max-steps", "1", "--name", "a", "--device", "cpu"]));
    let file = folder.path().join("runs/a/args.toml");
    let sound = std::fs::read_to_string(&file).unwrap();
    let changes = [
        ("workers = ", "workers = 100000", "options.train.workers: expected 1 to 256, found 100000"),
        ("log_every = ", "log_every = 0", "options.train.log_every: expected at least 1, found 0"),
        ("checkpoint_hist = ", "checkpoint_hist = 0", "options.train.checkpoint_hist: expected 1 to 10000"),
        ("max_steps = ", "max_steps = 0", "options.train.max_steps: expected at least 1, found 0"),
        ("shuffle = ", "loss_scale = nan", "options.train.loss_scale: expected a finite number"),
        ("shuffle = ", "foo = 1", "options: unknown field `foo`"),
        (
            "device = \"cpu\"",
            "device = 1",
            "program.device: expected the value of that flag as a string, found 1",
        ),
        ("device = \"cpu\"", "threads = \"0\"", "program.threads: expected"),
        ("device = \"cpu\"", "no_winograd = \"false\"", "program.no_winograd: expected"),
        ("device = \"cpu\"", "other = \"x\"", "program.other: expected"),
    ];
    for (line, changed, message) in changes {
        let replaced = |old: &str| if old.starts_with(line) { changed.to_string() } else { old.to_string() };
        let text: Vec<String> = sound.lines().map(replaced).collect();
        let text = text.join("\n");
        assert_ne!(text, sound.trim_end(), "{line}");
        std::fs::write(&file, text).unwrap();
        let output = striate(folder.path(), &["train", "--resume", "runs/a"]).output().unwrap();
        let lines = stderr(&output);
        assert_eq!(code(&output), 4, "{changed}: {lines}");
        assert!(lines.contains("args.toml: ") && lines.contains(message), "{changed}: {lines}");
    }
    std::fs::write(&file, &sound).unwrap();
    succeed(folder.path(), &["train", "-q", "--resume", "runs/a", "--max-steps", "2"]);
}
