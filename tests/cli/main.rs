//! The program as a user runs it: training runs (`runs`, `pictures`), evaluation in many looks (`evaluation`) of the samples that training held out (`origin`), weights that meet other classes (`classes`), answers to
//! images (`predict`), visualisations of a network (`report`), what a run leaves of itself for people (`run_report`), how images are brought to a network's input, now and in older files (`geometry`), runs that are stopped, killed and resumed (`resume`, `going_on`, `more_epochs`), averaged weights and mixed images (`regularization`), what is measured (`profile`, `benchmarks`) and compared (`comparison`), the lines of a run (`lines`), the learner's chapters (`learn`), the network that data gets where none is named (`default_network`), the modules of kernels (`shader`), the other verbs (`verbs`), what the program says about itself (`help`) and about what people type by mistake (`mistyped`), networks to other programs and back
//! (`exchange`, `import`), what data is taken for (`input`, `lists`), files of every type that hold the same images (`kinds`) and what weights remember of it (`tables`), where results may be written (`outputs`), and every way to go wrong with its exit code and its one line (`errors`). Everything here runs on the
//! CPU path.

mod benchmarks;
mod classes;
mod comparison;
mod dataset;
mod default_network;
mod effects;
mod errors;
mod evaluation;
mod exchange;
mod geometry;
mod going_on;
mod help;
mod imbalance;
mod import;
mod input;
#[cfg(unix)]
mod installed;
mod kinds;
mod learn;
mod lines;
mod lists;
mod mistyped;
mod more_epochs;
mod origin;
mod outputs;
mod pictures;
mod predict;
mod profile;
mod regularization;
mod report;
mod resume;
mod run_report;
mod runs;
mod shader;
mod shards;
mod tables;
mod verbs;
mod version1;
mod weights;

use assert_cmd::Command;
use std::path::Path;
use std::process::Output;

/// `striate arguments` in `folder`.
fn striate(folder: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::cargo_bin("striate").unwrap();
    command.current_dir(folder).args(arguments);
    for name in ["RUST_LOG", "STRIATE_FAULT", "WGPU_ADAPTER_NAME", "WGPU_BACKEND", "XDG_RUNTIME_DIR"] {
        command.env_remove(name);
    }
    command.env("STRIATE_CACHE", "");
    command
}

/// Runs to the end; stdout if the exit code is 0.
#[track_caller]
fn succeed(folder: &Path, arguments: &[&str]) -> String {
    let output = striate(folder, arguments).output().unwrap();
    assert_eq!(code(&output), 0, "striate {arguments:?}: {}", stderr(&output));
    String::from_utf8(output.stdout).unwrap()
}

/// The objects on stdout, one a line.
fn json_lines(text: &str) -> Vec<serde_json::Value> {
    text.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|e| panic!("{e}: {line}"))).collect()
}

fn code(output: &Output) -> i32 {
    output.status.code().unwrap()
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// A tiny training run on random images.
const TINY: [&str; 16] = [
    "train",
    "--device",
    "cpu",
    "-m",
    "lenet5",
    "--dataset",
    "synthetic",
    "--limit-train",
    "48",
    "--limit-val",
    "20",
    "-b",
    "16",
    "--epochs",
    "2",
    "-j1",
];
