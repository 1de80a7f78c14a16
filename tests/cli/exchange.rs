//! Networks to other programs and back: `export`.

use super::{TINY, code, json_lines, stderr, striate, succeed};
use std::fs;
use std::path::Path;
use striate::interchange;

/// Files in `folder`, hidden ones too.
fn names(folder: &Path) -> Vec<String> {
    let mut names: Vec<String> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned())
        .collect();
    names.sort();
    names
}

#[track_caller]
fn refuse(folder: &Path, arguments: &[&str], exit: i32, what: &str) {
    let output = striate(folder, arguments).output().unwrap();
    let message = stderr(&output);
    assert_eq!(code(&output), exit, "striate {arguments:?}: {message}");
    assert!(message.contains(what), "striate {arguments:?}: {message}");
}

#[test]
fn a_trained_network_is_exported_with_its_proof_in_the_file() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    succeed(root, &TINY);
    let weights = "runs/lenet5/best.safetensors";
    let export = ["export", "--weights", weights, "--device", "cpu", "-o"];
    let data = ["--dataset", "synthetic", "--limit-val", "20", "--json"];
    let text = succeed(root, &[&export[..], &["copy.safetensors"], &data].concat());
    let event = &json_lines(&text)[0];
    assert_eq!(event["event"], "export");
    assert_eq!((event["samples"].as_u64(), event["max_difference"].as_f64()), (Some(20), Some(0.0)));
    assert!(event["largest_logit"].as_f64().unwrap() > 0.0, "{event}");

    let before = interchange::read(root.join(weights)).unwrap();
    let after = interchange::read(root.join("copy.safetensors")).unwrap();
    assert_eq!(before.tensors, after.tensors);
    assert_eq!(after.metadata["export_check_samples"], "20");
    assert_eq!(after.metadata["export_check_max_difference"], "0e0");
    assert!(after.metadata["export_check_device"].starts_with("cpu"), "{:?}", after.metadata);
    for key in ["model", "classes", "epoch", "val_acc1"] {
        assert_eq!(before.metadata[key], after.metadata[key], "{key}");
    }
    assert_eq!(names(root), ["copy.safetensors", "runs"]);
}

#[test]
fn without_data_that_fits_noise_is_said_to_have_been_used() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    let net = "name = \"n\"\ninput = [3, 6, 5]\n[[layer]]\nop = \"flatten\"\n[[layer]]\nop = \"linear\"\nout_features = 4\n";
    fs::write(root.join("net.toml"), net).unwrap();
    let export = ["export", "-m", "net.toml", "--device", "cpu", "-b", "5", "-o", "n.safetensors"];
    let output = striate(root, &export).output().unwrap();
    assert_eq!(code(&output), 0, "{}", stderr(&output));
    let said = stderr(&output);
    assert!(said.contains("5 images of noise") && said.contains("--data-path"), "{said}");
    assert!(said.contains("using the initial values of n"), "{said}");
    let line = String::from_utf8(output.stdout).unwrap();
    assert!(line.contains("5 samples of noise: largest difference 0, "), "{line}");
}

#[test]
fn what_cannot_be_exported_leaves_nothing_behind() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    let model = ["export", "-m", "lenet5", "--device", "cpu", "-o"];
    let with = |more: &[&'static str]| [&model[..], more].concat();
    refuse(
        root,
        &with(&["net.pth"]),
        2,
        "expected a name that ends in .safetensors, .npz, .onnx, or --format, found .pth; PyTorch reads .safetensors",
    );
    refuse(root, &with(&["n.npz", "--with-preprocess"]), 2, "expected --format onnx");
    // The error is about the file that was asked for, not about the temporary one.
    let long = format!("{}.onnx", "n".repeat(248));
    refuse(root, &[&model[..], &[&long]].concat(), 1, &format!("error: {long}: "));
    refuse(root, &with(&["n.npz", "--data-path", "nowhere"]), 4, "nowhere");
    refuse(root, &with(&["no/n.npz"]), 4, "in an existing folder");
    refuse(root, &["export", "-o", "n.npz"], 2, "--weights");
    fs::write(root.join("w.safetensors"), "nothing").unwrap();
    refuse(root, &["export", "--weights", "w.safetensors", "-o", "n.npz"], 4, "w.safetensors");
    assert_eq!(names(root), ["w.safetensors"]);

    succeed(root, &with(&["good.safetensors", "--dataset", "synthetic"]));
    let onto = ["export", "--weights", "good.safetensors", "--device", "cpu", "-o", "good.safetensors"];
    refuse(root, &onto, 2, "a file other than the input");
}
