//! Every kind of failure: the exit code, one line on stderr that starts with `error:`, and nothing left behind.

use super::{TINY, code, stderr, striate};
use std::path::Path;
use tempfile::TempDir;

/// Runs, expects `exit`, and returns the message. Exactly one line of stderr may start with `error:`, it must be the
/// last, and no run's folder may have been made.
#[track_caller]
fn fail(folder: &Path, arguments: &[&str], exit: i32) -> String {
    let output = striate(folder, arguments).output().unwrap();
    let text = stderr(&output);
    assert_eq!(code(&output), exit, "striate {arguments:?}: {text}");
    let errors: Vec<&str> = text.lines().filter(|line| line.starts_with("error:")).collect();
    assert_eq!(errors.len(), 1, "striate {arguments:?}: {text}");
    assert_eq!(text.lines().last(), Some(errors[0]), "{text}");
    assert!(!folder.join("runs").exists(), "a run's folder was left");
    assert!(output.stdout.is_empty(), "{}", String::from_utf8_lossy(&output.stdout));
    errors[0].to_string()
}

#[track_caller]
fn assert_says(message: &str, parts: &[&str]) {
    for part in parts {
        assert!(message.contains(part), "no \"{part}\" in: {message}");
    }
}

fn folder_with(file: &str, content: &str) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join(file), content).unwrap();
    folder
}

/// The four files of MNIST with `count` images of 28 x 28 and these labels.
fn write_idx(folder: &Path, count: u32, label: u8) {
    let images = |n: u32| {
        let mut bytes = vec![0, 0, 8, 3];
        for extent in [n, 28, 28] {
            bytes.extend(extent.to_be_bytes());
        }
        bytes.extend(vec![7; n as usize * 784]);
        bytes
    };
    let labels = |n: u32| {
        let mut bytes = vec![0, 0, 8, 1];
        bytes.extend(n.to_be_bytes());
        bytes.extend(vec![label; n as usize]);
        bytes
    };
    for stem in ["train", "t10k"] {
        std::fs::write(folder.join(format!("{stem}-images-idx3-ubyte")), images(count)).unwrap();
        std::fs::write(folder.join(format!("{stem}-labels-idx1-ubyte")), labels(count)).unwrap();
    }
}

fn train_on(data: &str) -> Vec<&str> {
    vec!["train", "--device", "cpu", "-m", "lenet5", "--data-path", data, "--epochs", "1"]
}

#[test]
fn a_truncated_idx_file() {
    let folder = tempfile::tempdir().unwrap();
    write_idx(folder.path(), 20, 3);
    let path = folder.path().join("train-images-idx3-ubyte");
    let bytes = std::fs::read(&path).unwrap();
    std::fs::write(&path, &bytes[..bytes.len() - 100]).unwrap();
    let message = fail(folder.path(), &train_on("."), 4);
    assert_says(&message, &["train-images-idx3-ubyte"]);
}

#[test]
fn a_label_the_model_has_no_output_for() {
    let folder = tempfile::tempdir().unwrap();
    write_idx(folder.path(), 20, 10);
    let message = fail(folder.path(), &train_on("."), 4);
    assert_says(&message, &["labels-idx1-ubyte", "10"]);
}

#[test]
fn data_that_is_not_there() {
    let folder = tempfile::tempdir().unwrap();
    assert_says(&fail(folder.path(), &train_on("no/such/folder"), 4), &["no/such/folder"]);
}

const CONV: &str =
    "name = \"n\"\ninput = [1, 8, 8]\n[[layer]]\nop = \"conv2d\"\nout_channels = 2\nkernel = 3\n";
const TAIL: &str = "[[layer]]\nop = \"flatten\"\n[[layer]]\nop = \"linear\"\nout_features = 10\n";

#[test]
fn an_unknown_key_in_a_model_file() {
    let folder = folder_with("m.toml", &format!("{CONV}strid = 2\n{TAIL}"));
    let message = fail(folder.path(), &["train", "-m", "m.toml", "--dataset", "synthetic"], 4);
    assert_says(&message, &["m.toml:7", "strid", "stride"]);
}

#[test]
fn a_kernel_larger_than_its_input() {
    let folder = folder_with("m.toml", &format!("{}{TAIL}", CONV.replace("kernel = 3", "kernel = 11")));
    let message = fail(folder.path(), &["train", "-m", "m.toml", "--dataset", "synthetic"], 4);
    assert_says(&message, &["m.toml", "kernel 11x11", "8x8"]);
}

#[test]
fn files_that_are_missing() {
    let folder = tempfile::tempdir().unwrap();
    assert_says(&fail(folder.path(), &["train", "-m", "gone.toml"], 4), &["gone.toml"]);
    assert_says(&fail(folder.path(), &["eval", "--weights", "gone.safetensors"], 4), &["gone.safetensors"]);
    let message = fail(folder.path(), &[&TINY[..], &["--weights", "gone.safetensors"]].concat(), 4);
    assert_says(&message, &["gone.safetensors"]);
}

#[test]
fn weights_that_are_none_or_another_networks() {
    let folder =
        folder_with("w.safetensors", "this is no safetensors file, but long enough to look like one");
    assert_says(&fail(folder.path(), &["eval", "--weights", "w.safetensors"], 4), &["w.safetensors"]);
    let tensors = [("x".to_string(), striate::tensor::Tensor::full([2], 1.0))];
    let path = folder.path().join("other.safetensors");
    striate::interchange::safetensors::write(path, &tensors, &Default::default()).unwrap();
    let message = fail(folder.path(), &["eval", "--weights", "other.safetensors"], 2);
    assert_says(&message, &["other.safetensors", "set the option model"]);
    let named = ["eval", "--weights", "other.safetensors", "-m", "lenet5", "--dataset", "synthetic"];
    assert_says(&fail(folder.path(), &[&named[..], &["--device", "cpu"]].concat(), 4), &["c1.weight"]);
}

#[test]
fn a_device_that_is_not_there() {
    let folder = tempfile::tempdir().unwrap();
    for wish in ["no such adapter", "997"] {
        let mut arguments = TINY.to_vec();
        arguments[2] = wish;
        assert_says(&fail(folder.path(), &arguments, 3), &[wish, "adapters here"]);
    }
    // A name in the environment is a wish as well.
    let mut arguments = TINY.to_vec();
    arguments[2] = "auto";
    let output =
        striate(folder.path(), &arguments).env("WGPU_ADAPTER_NAME", "no such adapter").output().unwrap();
    assert_eq!(code(&output), 3, "{}", stderr(&output));
}

#[cfg(target_os = "linux")]
#[test]
fn a_batch_too_large_for_memory() {
    let folder = tempfile::tempdir().unwrap();
    let arguments = [
        "train",
        "--device",
        "cpu",
        "-m",
        "alexnet",
        "--dataset",
        "synthetic",
        "--limit-train",
        "2",
        "--limit-val",
        "2",
        "-b",
        "1000000",
    ];
    let message = fail(folder.path(), &arguments, 3);
    assert_says(
        &message,
        &["alexnet at batch 1000000 needs", "GiB", "available", "the largest batch that fits is"],
    );
    // And that batch does fit: summary can say what it needs.
    let batch: u64 = message.rsplit(' ').next().unwrap().parse().unwrap();
    assert!((1..1_000_000).contains(&batch), "{message}");
}

#[test]
fn settings_that_cannot_be_meant() {
    let folder = tempfile::tempdir().unwrap();
    for (flags, part) in [
        (&["--lr=-1"][..], "lr"),
        (&["--momentum", "1.5"], "momentum"),
        (&["--epochs", "0"], "epochs"),
        (&["--grad-accum-steps", "0"], "grad-accum-steps"),
        (&["--label-smoothing", "2"], "label-smoothing"),
        (&["--val-split", "3"], "val"),
        (&["--limit-train", "0"], "limit-train"),
    ] {
        let message = fail(folder.path(), &[&TINY[..], flags].concat(), 2);
        assert_says(&message, &[part]);
    }
    let message = fail(folder.path(), &["train", "-m", "alexnt"], 2);
    assert_says(&message, &["alexnt", "alexnet"]);
}

#[test]
fn words_that_clap_does_not_know_are_usage_errors() {
    let folder = tempfile::tempdir().unwrap();
    for arguments in [&["train", "--no-such-flag"][..], &["trian"], &["train", "-b", "0"], &["eval"]] {
        let output = striate(folder.path(), arguments).output().unwrap();
        assert_eq!(code(&output), 2, "{arguments:?}");
        assert!(stderr(&output).starts_with("error: "), "{}", stderr(&output));
    }
}

#[test]
fn a_training_that_diverges() {
    let folder = tempfile::tempdir().unwrap();
    let more = ["-m", "alexnet-mini", "--opt", "sgd", "--lr", "1e30"];
    let output = striate(folder.path(), &[&TINY[..], &more].concat()).output().unwrap();
    assert_eq!(code(&output), 5, "{}", stderr(&output));
    let text = stderr(&output);
    assert_says(text.lines().last().unwrap(), &["error: ", "diverged", "in epoch 1 of 2, step"]);
}

#[test]
fn a_folder_that_cannot_be_written_to() {
    let folder = folder_with("taken", "a file where a folder should be");
    let message = fail(folder.path(), &[&TINY[..], &["--output-dir", "taken"]].concat(), 1);
    assert_says(&message, &["taken"]);
}

#[test]
fn half_precision_on_the_cpu_path() {
    let folder = tempfile::tempdir().unwrap();
    let message = fail(folder.path(), &[&TINY[..], &["--amp"]].concat(), 3);
    assert_says(&message, &["--amp", "expected a GPU", "CPU path"]);
    let message = fail(folder.path(), &["bench", "step", "-m", "lenet5", "--amp", "--device", "cpu"], 3);
    assert_says(&message, &["--amp", "expected a GPU"]);
}
