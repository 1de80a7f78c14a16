//! Checkpoints of format 1, which version 0.1.0 wrote, are recognised and resumed.

use super::{code, stderr, striate, succeed};
use std::path::Path;
use striate::interchange::safetensors;

/// Written by version 0.1.0: `train -m every_layer.toml --data-path synthetic --limit-train 16 --limit-val 8 --max-steps 1
/// --device cpu --name every-layer --freeze n1`. The network has every layer that there was.
fn run() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let from = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/checkpoints/version1");
    let run = folder.path().join("runs/every-layer");
    std::fs::create_dir_all(&run).unwrap();
    std::fs::copy(from.join("every_layer.toml"), folder.path().join("every_layer.toml")).unwrap();
    for file in ["args.toml", "checkpoint.safetensors", "log.jsonl", "metrics.csv"] {
        std::fs::copy(from.join("runs/every-layer").join(file), run.join(file)).unwrap();
    }
    folder
}

fn format(folder: &Path) -> String {
    let file = safetensors::read(folder.join("runs/every-layer/checkpoint.safetensors")).unwrap();
    file.metadata["checkpoint"].clone()
}

#[test]
fn a_run_of_format_1_is_resumed_and_saved_in_format_2() {
    let folder = run();
    assert_eq!(format(folder.path()), "1");
    succeed(folder.path(), &["train", "--resume", "runs/every-layer", "--max-steps", "3"]);
    assert_eq!(format(folder.path()), "2");
    succeed(folder.path(), &["train", "--resume", "runs/every-layer", "--max-steps", "100"]);
}

#[test]
fn another_run_than_that_of_format_1_is_rejected_by_name() {
    let folder = run();
    let path = folder.path().join("every_layer.toml");
    let text = std::fs::read_to_string(&path).unwrap();
    std::fs::write(&path, text.replace("p = 0.25", "p = 0.5").replace("lr = 0.01", "lr = 0.02")).unwrap();
    let train = ["train", "-m", "every_layer.toml", "--data-path", "synthetic", "--limit-train", "16"];
    let more = ["--limit-val", "8", "--device", "cpu", "--freeze", "n1", "--resume", "runs/every-layer"];
    let output = striate(folder.path(), &[&train[..], &more].concat()).output().unwrap();
    let reported = stderr(&output);
    assert_eq!(code(&output), 2, "{reported}");
    assert!(reported.contains("lr: 0.01 in this run, 0.02 given"), "{reported}");
    assert!(reported.contains("layer d1: other than in this run"), "{reported}");
}
