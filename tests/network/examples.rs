//! The programs of `examples/` run and do what they say. A plain `cargo test` has built them; before this test is run alone,
//! `cargo build --release --examples` does.

use std::path::{Path, PathBuf};
use std::process::Command;

fn run(program: &Path, arguments: &[&Path]) -> String {
    let mut command = Command::new(program);
    command.current_dir(env!("CARGO_MANIFEST_DIR")).args(arguments).env_remove("WGPU_ADAPTER_NAME");
    let output = command.output().unwrap_or_else(|e| panic!("{}: {e}", program.display()));
    let message = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{}: {message}", program.display());
    String::from_utf8(output.stdout).unwrap()
}

fn program(name: &str) -> PathBuf {
    let programs = Path::new(env!("CARGO_BIN_EXE_striate")).parent().unwrap();
    let name = format!("{name}{}", std::env::consts::EXE_SUFFIX);
    let program = programs.join("examples").join(name);
    assert!(program.exists(), "{}: cargo build --release --examples", program.display());
    program
}

fn example(name: &str, arguments: &[&Path]) -> String {
    run(&program(name), arguments)
}

/// The number after `word` in `line`.
fn number(line: &str, word: &str) -> f64 {
    let rest = line.split(word).nth(1).unwrap_or_else(|| panic!("no {word} in {line}"));
    let text: String = rest.trim_start().chars().take_while(|c| c.is_ascii_digit() || *c == '.').collect();
    text.parse().unwrap()
}

#[test]
fn train_from_code_learns() {
    let text = example("train_from_code", &[]);
    let losses: Vec<f64> =
        text.lines().filter(|l| l.starts_with("step")).map(|l| number(l, "loss")).collect();
    assert_eq!(losses.len(), 10);
    assert!(losses[9] < 0.3 * losses[0], "{text}");
    assert!(text.lines().last().unwrap().starts_with("the first picture is a "), "{text}");
}

#[test]
fn a_killed_run_is_resumed_to_the_same_bits() {
    let parent = tempfile::tempdir().unwrap();
    let (whole, killed) = (parent.path().join("whole"), parent.path().join("killed"));
    let expected = example("resume", &[&whole]);
    let last = expected.lines().last().unwrap();
    assert!(last.starts_with("30 steps, weights "), "{expected}");
    // Twice, hard: between checkpoints, and in the epoch after.
    for steps in ["7", "14"] {
        let mut command = Command::new(program("resume"));
        command.current_dir(env!("CARGO_MANIFEST_DIR")).arg(&killed).arg(steps);
        let output = command.env_remove("WGPU_ADAPTER_NAME").output().unwrap();
        assert!(!output.status.success(), "killed at {steps}");
        assert!(killed.join("checkpoint.safetensors").exists());
    }
    let resumed = example("resume", &[&killed]);
    assert_eq!(resumed.lines().last().unwrap(), last, "{resumed}");
}

#[test]
fn custom_schedule_follows_its_rule() {
    let text = example("custom_schedule", &[Path::new("640")]);
    let rates: Vec<f64> = text.lines().filter(|l| l.contains(": lr")).map(|l| number(l, "lr")).collect();
    // Ten updates an epoch, in triangles of fifty; the last of each.
    for (rate, expected) in rates.iter().zip([0.0018, 0.0032, 0.0034, 0.0020, 0.0006]) {
        assert!((rate - expected).abs() < 1e-4, "{text}");
    }
    assert!(!rates.is_empty() && text.contains("best top-1"), "{text}");
}

#[test]
fn fine_tune_and_predict_go_on_from_a_trained_network() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    let words =
        "train -m lenet5 --device cpu --epochs 1 --limit-train 1280 --limit-val 100 -q --name n --output-dir";
    let mut arguments: Vec<PathBuf> = words.split(' ').map(PathBuf::from).collect();
    arguments.push(folder.path().to_path_buf());
    let arguments: Vec<&Path> = arguments.iter().map(PathBuf::as_path).collect();
    run(Path::new(env!("CARGO_BIN_EXE_striate")), &arguments);

    let shoes = path("shoes.safetensors");
    let text = example("fine_tune", &[&path("n/last.safetensors"), &shoes]);
    let last = text.lines().rfind(|line| line.starts_with("step")).unwrap();
    assert!(number(last, ", ") >= 52.0, "{text}");
    assert!(text.ends_with("a network with the outputs other, shoe\n"), "{text}");

    // An image of nothing: what counts is that the classes come with the weights.
    let picture = path("picture.png");
    image::GrayImage::new(40, 40).save(&picture).unwrap();
    let text = example("predict", &[&shoes, &picture, &picture]);
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines.len(), 6, "{text}");
    assert!(lines[0].ends_with("picture.png") && lines[1..3] == lines[4..6], "{text}");
    assert!(lines[1..3].iter().any(|line| line.ends_with("shoe")), "{text}");
    let percent = |line: &str| line.trim().split(' ').next().unwrap().parse::<f64>().unwrap();
    assert!((percent(lines[1]) + percent(lines[2]) - 100.0).abs() < 0.2, "{text}");
}
