//! Data sets in shards through the program: the same weights as from the folder that they were made of, and every verb for data.

use super::{code, json_lines, stderr, striate, succeed};
use serde_json::Value;
use std::path::{Path, PathBuf};

const MODEL: &str = "name = \"tiny\"\ninput = [3, 8, 8]\n[preprocess]\nmean = [0.4, 0.5, 0.5]\nstd = [0.3, 0.2, 0.2]\n[augment]\nflip = true\n[recipe]\nepochs = 2\nbatch_size = 5\n[[layer]]\nop = \"flatten\"\n[[layer]]\nop = \"linear\"\nout_features = 3\n";

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/shards").join(name)
}

/// What a run on `data` prints.
fn train(folder: &Path, data: &Path, more: &[&str]) -> Vec<Value> {
    std::fs::write(folder.join("tiny.toml"), MODEL).unwrap();
    let base = [
        "train",
        "--json",
        "--device",
        "cpu",
        "-j2",
        "-m",
        "tiny.toml",
        "--data-path",
        data.to_str().unwrap(),
    ];
    json_lines(&succeed(folder, &[&base[..], more].concat()))
}

/// The hashes of the weights after each epoch, and the accuracies.
fn epochs(lines: &[Value]) -> Vec<(&Value, &Value)> {
    let epochs: Vec<_> = lines.iter().filter(|line| line["event"] == "epoch").collect();
    assert_eq!(epochs.len(), 2);
    assert!(
        epochs[0]["weights_sha256"] != epochs[1]["weights_sha256"] && epochs[0]["weights_sha256"].is_string()
    );
    epochs.into_iter().map(|line| (&line["weights_sha256"], &line["val_loss"])).collect()
}

#[test]
fn shards_train_to_the_weights_of_the_folder_that_they_were_made_of() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let expected = train(folder, &fixture("folder"), &[]);
    let other = train(folder, &fixture("folder"), &["--seed", "1"]);
    assert_ne!(epochs(&expected), epochs(&other), "the order of the samples does not matter in this test");
    let mut sets = vec![("tar", &[][..])];
    if cfg!(feature = "parquet") {
        sets.extend([("hub", &[][..])]);
    }
    for (set, more) in sets {
        let lines = train(folder, &fixture(set), more);
        assert_eq!(epochs(&lines), epochs(&expected), "{set}");
    }
    // Without a validation part, the same samples are held out.
    let expected = train(folder, &fixture("folder/train"), &[]);
    let json = train(folder, &fixture("tar-json/birds-{00..00}.tar"), &["--label-column", "breed"]);
    assert_eq!(epochs(&json), epochs(&expected));
}

#[test]
fn columns_are_remembered_by_the_weights() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    train(folder, &fixture("tar-json"), &["--label-column", "breed"]);
    let eval = |more: &[&str]| {
        let data = fixture("tar-json");
        let base =
            ["eval", "--json", "--device", "cpu", "--weights", "runs/tiny/last.safetensors", "--data-path"];
        let output =
            striate(folder, &[&base[..], &[data.to_str().unwrap()], more].concat()).output().unwrap();
        assert_eq!(code(&output), 0, "{}", stderr(&output));
        (json_lines(&String::from_utf8_lossy(&output.stdout)).pop().unwrap(), stderr(&output))
    };
    let (result, notes) = eval(&[]);
    assert!(notes.contains("data: the label is --label-column breed, as in the weights' run"), "{notes}");
    assert_eq!(result["same_data"], true);
    assert_eq!(eval(&["--label-column", "breed"]).0["acc1"], result["acc1"]);
    // A format without columns has no use for one.
    let output =
        striate(folder, &["dataset", "info", "fashion-mnist", "--image-column", "x"]).output().unwrap();
    assert_eq!(code(&output), 2);
    assert!(
        stderr(&output).contains("image-column: expected data with such a column (parquet"),
        "{}",
        stderr(&output)
    );
}

#[test]
fn columns_of_another_format_are_not_remembered() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let eval = |data: &Path, column: &str| {
        let base =
            ["eval", "--json", "--device", "cpu", "--weights", "runs/tiny/last.safetensors", "--data-path"];
        let output = striate(folder, &[&base[..], &[data.to_str().unwrap()]].concat()).output().unwrap();
        assert_eq!(code(&output), 0, "{column}: {}", stderr(&output));
        assert!(!stderr(&output).contains("as in the weights' run"), "{column}: {}", stderr(&output));
    };
    // A list, whose columns may be numbers.
    let mut list = String::new();
    for class in ["cat", "dog", "owl"] {
        for image in 2..8 {
            list.push_str(&format!("train/{class}/0{image}.png,{class}\n"));
        }
    }
    std::fs::write(folder.join("list.csv"), list).unwrap();
    let root = fixture("folder");
    let more = ["--dataset", "list", "--image-column", "1", "--label-column", "2", "--image-root"];
    train(folder, &folder.join("list.csv"), &[&more[..], &[root.to_str().unwrap()]].concat());
    eval(&fixture("tar"), "2");
    if cfg!(feature = "parquet") {
        eval(&fixture("hub"), "2");
        std::fs::remove_dir_all(folder.join("runs")).unwrap();
        train(
            folder,
            &fixture("parquet/flat.parquet"),
            &["--image-column", "picture_bytes", "--label-column", "breed"],
        );
        eval(&fixture("tar"), "those of a Parquet file");
    }
}

#[test]
fn shards_are_looked_at_surveyed_and_packed() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let mut sets = vec![("tar", "tar", 20480 * 3 + 30720)];
    if cfg!(feature = "parquet") {
        let size = |name: &str| std::fs::metadata(fixture(name)).unwrap().len();
        let names = ["train-00000-of-00002", "train-00001-of-00002", "validation-00000-of-00001"];
        sets.push((
            "hub",
            "parquet",
            names.map(|name| size(&format!("hub/data/{name}.parquet"))).iter().sum(),
        ));
    }
    let verb = |verb: &str, data: &Path, more: &[&str]| {
        let arguments = [&["dataset", verb, data.to_str().unwrap(), "--json"], more].concat();
        json_lines(&succeed(folder, &arguments)).pop().unwrap()
    };
    let files = verb("stats", &fixture("folder"), &["--size", "8"]);
    let pack = |data: &Path, name: &str| {
        verb("pack", data, &["-o", name, "--size", "8"]);
        std::fs::read(folder.join(name)).unwrap()
    };
    for (set, kind, bytes) in sets {
        let data = fixture(set);
        let info = verb("info", &data, &[]);
        assert_eq!(
            (&info["kind"], &info["train"], &info["val"]),
            (&kind.into(), &24.into(), &9.into()),
            "{set}"
        );
        assert_eq!(info["bytes"], bytes, "{set}");
        let stats = verb("stats", &data, &["--size", "8"]);
        assert_eq!((&stats["mean"], &stats["std"]), (&files["mean"], &files["std"]), "{set}");
        assert_eq!(stats["unreadable"], 0);
        let packed = pack(&data, "p.safetensors");
        let again = verb("stats", &folder.join("p.safetensors"), &["--size", "8"]);
        assert_eq!((packed.is_empty(), &again["mean"]), (false, &files["mean"]), "{set}");
    }
    let info = verb("info", &fixture("npz/medmnist.npz"), &[]);
    assert_eq!((&info["kind"], &info["shape"]), (&"npz".into(), &serde_json::json!([3, 9, 7])));
    assert_eq!((&info["train"], &info["val"]), (&12.into(), &6.into()));
}
