//! `train --resume` without the other flags: the run goes on with those that it was started with.

use super::{TINY, code, stderr, striate, succeed};

#[test]
fn a_run_goes_on_with_the_flags_it_was_started_with() {
    let folder = tempfile::tempdir().unwrap();
    let parent = folder.path();
    let started = [&TINY[..], &["--name", "a b", "--lr", "0.02", "--freeze", "c1"]].concat();
    succeed(parent, &[&started[..], &["--name", "whole"]].concat());
    let first = succeed(parent, &[&started[..], &["--max-steps", "4"]].concat());
    assert!(first.contains("done, 4 steps"), "{first}");
    let args = std::fs::read_to_string(parent.join("runs/a_b/args.toml")).unwrap();
    assert!(args.contains(r#"command = ["train", "--device", "cpu", "-m", "lenet5""#), "{args}");
    // What does not describe the run may be said anew, and stays said.
    let second = succeed(parent, &["train", "--resume", "runs/a_b", "--max-steps", "5"]);
    assert!(second.contains("done, 5 steps"), "{second}");
    let second = succeed(parent, &["train", "--resume", "runs/a_b"]);
    assert!(second.contains("done, 5 steps"), "{second}");
    let third =
        succeed(parent, &["-q", "train", "--resume=runs/a_b/checkpoint.safetensors", "--max-steps", "100"]);
    assert!(third.contains("done, 6 steps"), "{third}");
    let sum = |name: &str| {
        let log = std::fs::read_to_string(parent.join("runs").join(name).join("metrics.csv")).unwrap();
        log.lines().last().unwrap().rsplit(',').next().unwrap().to_string()
    };
    assert_eq!(sum("a_b"), sum("whole"));
}

#[test]
fn flags_that_describe_a_run_are_those_of_whoever_types_them() {
    let folder = tempfile::tempdir().unwrap();
    let parent = folder.path();
    succeed(parent, &[&TINY[..], &["-q", "--lr", "0.02"]].concat());
    // All of them, as typed: no --lr.
    let output = striate(parent, &[&TINY[..], &["--resume", "auto"]].concat()).output().unwrap();
    assert_eq!(code(&output), 2);
    let text = stderr(&output);
    assert!(text.lines().last().unwrap().contains("lr: 0.02"), "{text}");
    // By force, and from then on.
    let forced = [&TINY[..], &["--resume", "auto", "--resume-force", "--epochs", "3"]].concat();
    succeed(parent, &forced);
    let again = succeed(parent, &["train", "--resume", "runs/lenet5"]);
    assert!(again.contains("done, 9 steps"), "{again}");
    // A damaged description is no reason to guess.
    std::fs::write(parent.join("runs/lenet5/args.toml"), "command = 1\n").unwrap();
    let output = striate(parent, &["train", "--resume", "runs/lenet5"]).output().unwrap();
    assert_eq!((code(&output), stderr(&output).lines().count()), (4, 1));
    assert!(stderr(&output).contains("args.toml: command: expected a list of words"), "{}", stderr(&output));
    // Nor is a missing one: the flags are typed again.
    std::fs::remove_file(parent.join("runs/lenet5/args.toml")).unwrap();
    succeed(parent, &[&TINY[..], &["--resume", "auto", "--epochs", "3"]].concat());
}

#[test]
fn another_way_to_compute_is_told_and_another_number_of_threads_is_not() {
    let folder = tempfile::tempdir().unwrap();
    let parent = folder.path();
    succeed(parent, &[&TINY[..], &["--max-steps", "3"]].concat());
    let told = |more: &[&str]| {
        let resume = ["train", "--resume", "runs/lenet5", "--max-steps", "4"];
        let output = striate(parent, &[&resume[..], more].concat()).output().unwrap();
        assert_eq!(code(&output), 0, "{}", stderr(&output));
        stderr(&output).contains("direct convolutions: the same bits are not to be expected")
    };
    assert!(!told(&["--threads", "1"]));
    assert!(told(&["--no-winograd"]));
}
