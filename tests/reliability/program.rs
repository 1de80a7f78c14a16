//! The program as a process that can be killed, on networks so small that a run takes a tenth of a second, and what it
//! leaves behind.

use serde_json::Value;
use std::fmt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use striate::run::RunFolder;
use tempfile::TempDir;

/// With everything that has a state: batch norm, dropout, momentum, augmentation.
const NETWORK: &str = r#"
name = "NAME"
input = [1, 6, 6]
[preprocess]
mean = [0.4]
std = [0.3]
[augment]
flip = true
[recipe]
epochs = 2
batch_size = 8
lr = 0.05
momentum = 0.9
[[layer]]
op = "conv2d"
out_channels = 4
kernel = 3
[[layer]]
op = "batch_norm2d"
[[layer]]
op = "relu"
[[layer]]
op = "flatten"
LAYERS[[layer]]
op = "dropout"
p = 0.3
[[layer]]
op = "linear"
out_features = 4
"#;

/// One of eight layers with which a checkpoint has 4 MiB, which is written in pieces.
const WIDE: &str = r#"[[layer]]
op = "linear"
out_features = 256
[[layer]]
op = "relu"
"#;

/// A folder with the networks `tiny` (10 kB a checkpoint) and `wide` (4 MiB).
pub fn place() -> TempDir {
    place_in(&std::env::temp_dir())
}

/// The same on a disk, even if temporary files are in memory: how long a save takes decides how many kills hit one.
pub fn place_on_disk() -> TempDir {
    let disk = std::env::var_os("STRIATE_TEST_DISK").map_or_else(std::env::temp_dir, PathBuf::from);
    place_in(&disk)
}

fn place_in(parent: &Path) -> TempDir {
    let folder = tempfile::tempdir_in(parent).unwrap();
    for (name, layers) in [("tiny", String::new()), ("wide", WIDE.repeat(8))] {
        let text = NETWORK.replace("NAME", name).replace("LAYERS", &layers);
        std::fs::write(folder.path().join(name).with_extension("toml"), text).unwrap();
    }
    folder
}

/// The flags of a run unless the test says otherwise.
const FLAGS: [[&str; 2]; 7] = [
    ["--device", "cpu"],
    ["--dataset", "synthetic"],
    ["--limit-train", "40"],
    ["--limit-val", "8"],
    ["-j", "1"],
    ["--checkpoint-every", "1"],
    ["--log-every", "1"],
];

/// A run of 2 epochs of 5 steps that saves after every step, into `runs/NAME`.
pub fn train(network: &str, name: &str, more: &[&str]) -> Vec<String> {
    let model = format!("{network}.toml");
    let flags = FLAGS.iter().filter(|[flag, _]| !more.contains(flag)).flatten();
    let start = ["train", "-m", &model, "--name", name];
    start.iter().chain(flags).chain(more).map(|word| word.to_string()).collect()
}

/// What starts `program` with nothing of the caller's environment that matters.
pub fn command(program: &Path, folder: &Path) -> Command {
    let mut command = Command::new(program);
    command.current_dir(folder).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    for name in ["RUST_LOG", "STRIATE_FAULT", "WGPU_ADAPTER_NAME", "WGPU_BACKEND", "XDG_RUNTIME_DIR"] {
        command.env_remove(name);
    }
    command.env("STRIATE_CACHE", "");
    command
}

pub fn start(folder: &Path, arguments: &[String]) -> Child {
    command(&striate(), folder).args(arguments).spawn().unwrap()
}

pub fn striate() -> PathBuf {
    assert_cmd::cargo::cargo_bin("striate")
}

pub fn run(folder: &Path, arguments: &[String]) -> Output {
    command(&striate(), folder).args(arguments).output().unwrap()
}

/// Runs to the end.
#[track_caller]
pub fn succeed(folder: &Path, arguments: &[String]) -> Output {
    let output = run(folder, arguments);
    assert_eq!(output.status.code(), Some(0), "{arguments:?}: {}", stderr(&output));
    output
}

pub fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// The folder of the run `name`: killed before its first checkpoint, a run restarts in a new folder.
pub fn folder_of(place: &Path, name: &str) -> PathBuf {
    RunFolder::latest(&place.join("runs"), name).unwrap()
}

/// The temporary files in `folder`.
pub fn temporaries(folder: &Path) -> Vec<String> {
    let Ok(entries) = std::fs::read_dir(folder) else { return Vec::new() };
    let names = entries.map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned());
    names.filter(|name| name.ends_with(".tmp")).collect()
}

/// What a run has come to: every line of its logs except for times, warnings and paths, and the bytes of its weights.
#[derive(PartialEq)]
pub struct End {
    pub log: Vec<Value>,
    metrics: Vec<String>,
    weights: [Vec<u8>; 2],
}

impl fmt::Debug for End {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.log.iter().try_for_each(|line| writeln!(f, "{line}"))?;
        writeln!(f, "{}", self.metrics.join("\n"))
    }
}

/// Of the run in `folder`.
pub fn end(folder: &Path) -> End {
    let read = |name: &str| std::fs::read_to_string(folder.join(name)).unwrap();
    let event = |line: &str| serde_json::from_str(line).unwrap_or_else(|e| panic!("{line}: {e}"));
    let mut log: Vec<Value> = read("log.jsonl").lines().map(event).collect();
    log.retain(|event| event["event"] != "warning");
    for event in &mut log {
        for key in ["seconds", "images_per_second", "data_wait", "folder", "weights"] {
            event.as_object_mut().unwrap().remove(key);
        }
    }
    let line = |line: &str| {
        let fields: Vec<&str> = line.split(',').collect();
        assert_eq!(fields.len(), 14, "{line}");
        [&fields[..9], &fields[11..]].concat().join(",")
    };
    let metrics = read("metrics.csv").lines().map(line).collect();
    let weights = ["best.safetensors", "last.safetensors"].map(|name| std::fs::read(folder.join(name)));
    End { log, metrics, weights: weights.map(Result::unwrap) }
}
