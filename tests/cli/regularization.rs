//! `--ema`, `--mixup`, `--cutmix`, `--random-erasing` and `--trivial-augment`: what they store and say, and where they are rejected.

use super::{TINY, code, json_lines, stderr, striate, succeed};
use std::path::Path;
use striate::interchange::safetensors;

const ALL: [&str; 9] =
    ["--ema", "0.9", "--mixup", "0.2", "--cutmix", "1", "--random-erasing", "0.25", "--trivial-augment"];

#[track_caller]
fn refused(folder: &Path, arguments: &[&str], parts: &[&str]) {
    let output = striate(folder, arguments).output().unwrap();
    let text = stderr(&output);
    assert_eq!(code(&output), 2, "striate {arguments:?}: {text}");
    let line = text.lines().find(|line| line.starts_with("error:")).unwrap();
    assert!(parts.iter().all(|part| line.contains(part)), "{parts:?}: {line}");
    assert!(!folder.join("runs").exists(), "a run's folder was left");
}

#[test]
fn a_run_keeps_its_options_and_is_resumed_to_the_same_bytes() {
    let folder = tempfile::tempdir().unwrap();
    let parent = folder.path();
    let whole = [&TINY[..], &ALL, &["--name", "whole"]].concat();
    succeed(parent, &whole);
    let args: toml::Table =
        std::fs::read_to_string(parent.join("runs/whole/args.toml")).unwrap().parse().unwrap();
    let train = &args["options"]["train"];
    for (key, value) in [("ema", 0.9), ("mixup", 0.2), ("cutmix", 1.0), ("random_erasing", 0.25)] {
        assert_eq!(train[key].as_float(), Some(value), "{key}");
    }
    assert_eq!(train["trivial_augment"].as_bool(), Some(true));
    succeed(parent, &[&TINY[..], &ALL, &["--name", "part", "--max-steps", "4"]].concat());
    succeed(parent, &["train", "--resume", "runs/part", "--max-steps", "6"]);
    let bytes = |name: &str| std::fs::read(parent.join("runs").join(name)).unwrap();
    assert!(bytes("whole/best.safetensors") == bytes("part/best.safetensors"));
    assert!(bytes("whole/last.safetensors") == bytes("part/last.safetensors"));
    // The weights say that they are averages, and so does what is exported from them.
    let metadata = |path: &Path| safetensors::read(path).unwrap().metadata;
    assert_eq!(metadata(&parent.join("runs/whole/best.safetensors"))["ema_decay"], "0.9");
    let export =
        ["export", "--device", "cpu", "--weights", "runs/whole/best.safetensors", "-o", "e.safetensors"];
    succeed(parent, &export);
    assert_eq!(metadata(&parent.join("e.safetensors"))["ema_decay"], "0.9");
    let other =
        striate(parent, &[&TINY[..], &["--resume", "runs/part", "--ema", "0.8"]].concat()).output().unwrap();
    let text = stderr(&other);
    assert_eq!(code(&other), 2, "{text}");
    let only = !text.contains("mixup") && !text.contains("trivial-augment");
    assert!(text.contains("--ema: 0.9 in this run, 0.8 given") && only, "{text}");
}

#[test]
fn the_memory_of_averages_is_counted() {
    let folder = tempfile::tempdir().unwrap();
    let summary = |more: &[&str]| {
        let text = succeed(folder.path(), &[&["summary", "-m", "lenet5", "--json"][..], more].concat());
        json_lines(&text).remove(0)
    };
    let (without, with) = (summary(&[]), summary(&["--ema", "0.999"]));
    let bytes = |summary: &serde_json::Value, key: &str| summary[key].as_u64().unwrap();
    assert_eq!(
        (bytes(&without, "averages_bytes"), bytes(&with, "averages_bytes")),
        (0, bytes(&with, "weights_bytes"))
    );
    assert_eq!(
        bytes(&with, "memory_bytes") - bytes(&without, "memory_bytes"),
        bytes(&with, "averages_bytes")
    );
    let text = succeed(folder.path(), &["summary", "-m", "lenet5", "--ema", "0.999"]);
    assert!(text.contains(", averages "), "{text}");
}

#[test]
fn what_means_nothing_is_rejected_in_one_line() {
    let folder = tempfile::tempdir().unwrap();
    let parent = folder.path();
    let train = |more: &[&'static str], parts: &[&str]| refused(parent, &[&TINY[..], more].concat(), parts);
    train(&["--ema", "1"], &["--ema: ", "expected 0 or more and less than 1"]);
    train(&["--ema", "-0.1"], &["--ema: "]);
    train(&["--mixup", "0"], &["--mixup: ", "expected a number above 0"]);
    train(&["--cutmix", "nan"], &["--cutmix: ", "expected a number above 0"]);
    train(&["--random-erasing", "1.5"], &["--random-erasing: ", "expected 0 to 1"]);
    train(&["--cutmix", "1", "--no-augment"], &["cutmix: expected augmentation, found it disabled"]);
    train(&["--mixup", "1", "--overfit-batch"], &["mixup: ", "overfit-batch"]);
    train(&["--random-erasing", "1", "--no-augment"], &["random-erasing: expected augmentation"]);
    train(&["--trivial-augment", "--no-augment"], &["trivial-augment: expected augmentation"]);
    train(&["--mixup", "1", "-b", "1"], &["mixup: expected a batch size of at least 2, found 1"]);
    let net = "name = \"n\"\ninput = [1, 4, 4]\n[augment]\ncutout = 2\n[recipe]\nloss = \"mse\"\n[[layer]]\nop = \"flatten\"\n[[layer]]\nop = \"linear\"\nout_features = 3\n";
    std::fs::write(parent.join("n.toml"), net).unwrap();
    let own = |more: &[&'static str], parts: &[&str]| {
        let start =
            ["train", "--device", "cpu", "-m", "n.toml", "--dataset", "synthetic", "--limit-train", "8"];
        refused(parent, &[&start[..], more].concat(), parts);
    };
    own(&["--cutmix", "1"], &["cutmix: expected the loss cross-entropy, found mse"]);
    own(
        &["--random-erasing", "0.5"],
        &["random-erasing: expected a network without cutout, found cutout = 2"],
    );
    // Other verbs know none of them.
    for verb in ["eval", "predict", "trace", "export"] {
        refused(parent, &[verb, "--ema", "0.9"], &["--ema"]);
        refused(parent, &[verb, "--mixup", "0.9"], &["--mixup"]);
    }
}
