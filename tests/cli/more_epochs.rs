//! "Twenty epochs more": a run is resumed with its own flags under those that are given. How long it goes on may change, what it
//! did may not.

use super::{TINY, code, json_lines, stderr, striate, succeed};
use std::path::Path;

/// A run of `epochs` epochs at a constant learning rate, in `runs/NAME`.
fn constant(parent: &Path, name: &str, epochs: &str, more: &[&str]) -> String {
    let own = ["--name", name, "--epochs", epochs, "--lr-scheduler", "constant"];
    succeed(parent, &[&TINY[..], &own, more].concat())
}

/// The events of the run's log.
fn log(parent: &Path, name: &str) -> Vec<serde_json::Value> {
    json_lines(&std::fs::read_to_string(parent.join("runs").join(name).join("log.jsonl")).unwrap())
}

/// Number, hash and losses of every epoch.
fn epochs(parent: &Path, name: &str) -> Vec<[serde_json::Value; 4]> {
    let keys = ["epoch", "weights_sha256", "train_loss", "val_loss"];
    let epochs = log(parent, name).into_iter().filter(|event| event["event"] == "epoch");
    epochs.map(|event| keys.map(|key| event[key].clone())).collect()
}

fn notes(parent: &Path, arguments: &[&str]) -> (String, String) {
    let output = striate(parent, arguments).output().unwrap();
    assert_eq!(code(&output), 0, "{arguments:?}: {}", stderr(&output));
    (String::from_utf8(output.stdout.clone()).unwrap(), stderr(&output))
}

#[test]
fn more_epochs_at_a_constant_rate_are_those_of_a_run_that_had_them_from_the_start() {
    let folder = tempfile::tempdir().unwrap();
    let parent = folder.path();
    constant(parent, "whole", "4", &[]);
    constant(parent, "more", "2", &[]);
    let (_, text) = notes(parent, &["train", "--resume", "runs/more", "--epochs", "4"]);
    let change: Vec<_> = text.lines().filter(|line| line.contains("->")).collect();
    assert_eq!(change, ["resume: epochs 2 -> 4"], "{text}");
    assert!(!text.contains("schedule"), "{text}");
    assert_eq!(epochs(parent, "more"), epochs(parent, "whole"));
    // The log says how many epochs there are now.
    let starts = log(parent, "more").into_iter().filter(|event| event["event"] == "start");
    assert_eq!(starts.map(|event| event["epochs"].as_u64().unwrap()).collect::<Vec<_>>(), [2, 4]);
    // The run has kept them. It has nothing left to do, says so, and how to go on.
    let (stdout, text) = notes(parent, &["train", "--resume", "runs/more"]);
    assert!(stdout.starts_with("done before, nothing left to train, 12 steps"), "{stdout}");
    assert!(stdout.contains("\nto continue: striate train --resume runs/more --epochs 8\n"), "{stdout}");
    assert!(!text.contains("->"), "{text}");
    // In two parts, the second of which says nothing of epochs: no other bits.
    constant(parent, "parts", "2", &[]);
    let (_, text) = notes(
        parent,
        &["train", "--resume", "runs/parts", "--epochs", "4", "--max-steps", "8", "--log-every", "1"],
    );
    assert!(text.contains("resume: epochs 2 -> 4, max-steps none -> 8, log-every 10 -> 1\n"), "{text}");
    succeed(parent, &["train", "--resume", "runs/parts", "--max-steps", "100"]);
    assert_eq!(epochs(parent, "parts"), epochs(parent, "whole"));
    // By the name of the run, too.
    let auto = ["train", "--resume", "auto", "--name", "parts", "--epochs", "5"];
    assert!(succeed(parent, &auto).contains("done, 15 steps"));
    assert_eq!(epochs(parent, "parts")[..4], epochs(parent, "whole"));
}

#[test]
fn a_limit_of_steps_ends_where_more_epochs_are_given() {
    let folder = tempfile::tempdir().unwrap();
    let parent = folder.path();
    constant(parent, "a", "2", &["--max-steps", "4"]);
    let (stdout, text) = notes(parent, &["train", "--resume", "runs/a", "--epochs", "3"]);
    assert!(stdout.contains("done, 9 steps"), "{stdout}");
    assert!(text.contains("resume: epochs 2 -> 3, max-steps 4 -> none\n"), "{text}");
}

#[test]
fn a_schedule_that_ends_later_says_what_the_learning_rate_does() {
    let folder = tempfile::tempdir().unwrap();
    let parent = folder.path();
    let own = ["--lr", "0.5", "--lr-scheduler", "cosine", "--lr-warmup-epochs", "0"];
    succeed(parent, &[&TINY[..], &own].concat());
    let (_, text) = notes(parent, &["train", "--resume", "runs/lenet5", "--epochs", "4"]);
    // Half of a cosine over 12 steps: 0.25 after 6. The sixth of six steps had 0.5 (1 + cos(5/6 pi)) / 2.
    let line = text.lines().find(|line| line.contains("schedule")).unwrap();
    assert!(line.starts_with("resume: the cosine schedule now ends with epoch 4: "), "{line}");
    assert!(
        line.contains("the learning rate was 0.0334") && line.contains(" is 0.25 in the next step"),
        "{line}"
    );
    let rates: Vec<_> = log(parent, "lenet5").into_iter().filter(|event| event["event"] == "epoch").collect();
    assert!(rates[2]["lr"].as_f64().unwrap() > rates[1]["lr"].as_f64().unwrap());
    // Milestones to come may be added, those behind may not be moved.
    let cuts =
        ["--name", "cuts", "--lr-scheduler", "multistep", "--lr-milestones", "1", "--lr-warmup-epochs", "0"];
    succeed(parent, &[&TINY[..], &cuts].concat());
    let (_, text) =
        notes(parent, &["train", "--resume", "runs/cuts", "--epochs", "4", "--lr-milestones", "1,3"]);
    assert!(text.contains("resume: epochs 2 -> 4, lr-milestones [1] -> [1, 3]\n"), "{text}");
    let moved = ["train", "--resume", "runs/cuts", "--lr-milestones", "2,3"];
    let output = striate(parent, &moved).output().unwrap();
    assert_eq!(code(&output), 2);
    assert!(
        stderr(&output).contains("  --lr-milestones: [1, 3] in this run, [2, 3] given\n"),
        "{}",
        stderr(&output)
    );
}

#[test]
fn a_run_that_is_resumed_stays_in_its_folder() {
    let folder = tempfile::tempdir().unwrap();
    let parent = folder.path();
    constant(parent, "a", "2", &["-q", "--max-steps", "2"]);
    let before = std::fs::read(parent.join("runs/a/args.toml")).unwrap();
    for (flag, value) in [("--name", "b"), ("--output-dir", "elsewhere")] {
        let output = striate(parent, &["train", "--resume", "runs/a", flag, value]).output().unwrap();
        let text = stderr(&output);
        assert_eq!(code(&output), 2, "{text}");
        let expected =
            format!("error: {flag} {value}: expected none beside --resume runs/a, which is written");
        assert!(text.contains(&expected), "{text}");
    }
    assert_eq!(std::fs::read(parent.join("runs/a/args.toml")).unwrap(), before);
    succeed(parent, &["train", "--resume", "runs/a", "--name", "a", "--output-dir", "runs"]);
}

#[test]
fn what_would_be_another_run_is_refused_flag_by_flag() {
    let folder = tempfile::tempdir().unwrap();
    let parent = folder.path();
    constant(parent, "a", "2", &["-q"]);
    let before = std::fs::read(parent.join("runs/a/args.toml")).unwrap();
    let refused = |more: &[&str], expected: &[&str]| {
        let output = striate(parent, &[&["train", "--resume", "runs/a"], more].concat()).output().unwrap();
        let text = stderr(&output);
        assert_eq!(code(&output), 2, "{more:?}: {text}");
        let from = text.lines().position(|line| line.starts_with("error: ")).unwrap();
        let lines: Vec<_> = text.lines().skip(from).collect();
        assert!(
            lines[0].ends_with("checkpoint.safetensors: these options are not those of the run:"),
            "{text}"
        );
        assert_eq!(lines[1..lines.len() - 1], *expected, "{text}");
        let last = lines.last().unwrap();
        assert!(
            last.starts_with("to resume the run with its own options: striate train --resume runs/a"),
            "{last}"
        );
        // No debug forms.
        assert!(!text.contains(" { ") && !text.contains("Some("), "{text}");
        last.to_string()
    };
    let last = refused(
        &[
            "--epochs",
            "9",
            "-b",
            "8",
            "--seed",
            "4",
            "--no-augment",
            "--freeze",
            "c1",
            "--checkpoint-every",
            "5",
        ],
        &[
            "  --no-augment: not given in this run, given now",
            "  --batch-size: 16 in this run, 8 given",
            "  --freeze: none in this run, c1 given",
            "  --seed: 0 in this run, 4 given",
        ],
    );
    assert!(last.contains("runs/a --epochs 9 --checkpoint-every 5 ("), "{last}");
    // Another network or optimizer has other values of everything: its name says it all.
    refused(&["-m", "alexnet-mini"], &["  --model: lenet5 in this run, alexnet-mini given"]);
    refused(&["--opt", "adamw"], &["  --opt: adam in this run, adamw given"]);
    refused(&["--limit-train", "32"], &["  --limit-train: 48 in this run, 32 given"]);
    refused(&["--weights", "other.safetensors"], &["  --weights: none in this run, other.safetensors given"]);
    assert_eq!(std::fs::read(parent.join("runs/a/args.toml")).unwrap(), before);
    let fewer = striate(parent, &["train", "--resume", "runs/a", "--epochs", "1"]).output().unwrap();
    assert_eq!(code(&fewer), 2);
    assert!(stderr(&fewer).contains("error: --epochs: expected at least 2"), "{}", stderr(&fewer));
    // The values that the run has are no difference.
    succeed(parent, &["train", "--resume", "runs/a", "-b", "16", "--seed", "0", "-m", "lenet5"]);
}

#[test]
fn a_run_that_stopped_early_says_so_and_goes_on_with_more_patience() {
    let folder = tempfile::tempdir().unwrap();
    let parent = folder.path();
    // Nothing changes at a rate of 0: the second epoch is no better than the first.
    constant(parent, "a", "9", &["--lr", "0", "--patience", "1", "--weight-decay", "0"]);
    let (stdout, _) = notes(parent, &["train", "--resume", "runs/a"]);
    assert!(stdout.starts_with("done before, nothing left to train, 6 steps"), "{stdout}");
    assert!(stdout.contains("to continue: striate train --resume runs/a --patience 2\n"), "{stdout}");
    let (stdout, text) = notes(parent, &["train", "--resume", "runs/a", "--patience", "2"]);
    assert!(stdout.contains("stopped early") && stdout.contains(", 9 steps"), "{stdout}");
    assert!(text.contains("resume: patience 1 -> 2\n"), "{text}");
}
