//! Class weights, the balanced sampler, the remark on uneven classes, and the batch size that fits: as flags, in `args.toml` and
//! over a resume.

use super::{code, json_lines, stderr, striate, succeed};
use serde_json::Value;
use std::fs;
use std::path::Path;

const MODEL: &str = "name = \"tiny\"\ninput = [1, 2, 2]\n[preprocess]\nmean = [0.5]\nstd = [0.5]\n[recipe]\nepochs = 2\nbatch_size = 8\n[[layer]]\nop = \"flatten\"\n[[layer]]\nop = \"linear\"\nout_features = 2\n";

/// A model, and a table of 42 samples of "cat" and 7 of "guinea pig", of which four and one validate.
fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("tiny.toml"), MODEL).unwrap();
    let row = |n: usize| {
        let class = if n.is_multiple_of(7) { "guinea pig" } else { "cat" };
        format!("{},{},{},{},{class}\n", n * 5 % 200, n * 7 % 100, n * 3 % 50, 250 - n)
    };
    let rows: String = (0..49).map(row).collect();
    fs::write(folder.path().join("t.csv"), format!("a,b,c,d,label\n{rows}")).unwrap();
    folder
}

const BASE: [&str; 7] = ["train", "--device", "cpu", "-j1", "-m", "tiny.toml", "--data-path=t.csv"];

fn words<'a>(more: &[&'a str]) -> Vec<&'a str> {
    [&BASE[..], more].concat()
}

/// The notes of a run that succeeds.
#[track_caller]
fn notes(folder: &Path, more: &[&str]) -> String {
    let output = striate(folder, &words(more)).output().unwrap();
    assert_eq!(code(&output), 0, "{more:?}: {}", stderr(&output));
    stderr(&output)
}

/// The message of a run that is refused.
#[track_caller]
fn refused(folder: &Path, expected: i32, words: &[&str]) -> String {
    let output = striate(folder, words).output().unwrap();
    let text = stderr(&output);
    assert_eq!(code(&output), expected, "{words:?}: {text}");
    assert!(!folder.join("runs").exists(), "{words:?} left a folder");
    text.lines().find(|line| line.starts_with("error: ")).unwrap_or_else(|| panic!("{text}")).to_string()
}

/// The last epoch of the run in `folder`.
fn last_epoch(folder: &Path, run: &str) -> Value {
    let log = fs::read_to_string(folder.join("runs").join(run).join("log.jsonl")).unwrap();
    json_lines(&log).into_iter().rfind(|event| event["event"] == "epoch").unwrap()
}

fn args(folder: &Path, run: &str) -> toml::Table {
    fs::read_to_string(folder.join("runs").join(run).join("args.toml")).unwrap().parse().unwrap()
}

#[test]
fn uneven_classes_are_named_once_unless_an_option_sees_to_them() {
    let folder = folder();
    let remark = "note: class cat has 38 training samples, class guinea pig only 6; \
        --class-weights balanced or --sampler balanced gives rare classes more weight";
    let text = notes(folder.path(), &[]);
    assert_eq!(text.matches("training samples, class").count(), 1, "{text}");
    assert!(text.lines().any(|line| line == remark), "{text}");
    let twice = "note: --class-weights and --sampler balanced together balance the classes twice";
    let text = notes(folder.path(), &["--class-weights", "balanced", "--sampler", "balanced"]);
    assert_eq!(text.lines().filter(|line| *line == twice).count(), 1, "{text}");
    for more in [
        &["--class-weights", "balanced"][..],
        &["--class-weights", "none"],
        &["--sampler", "balanced"],
        &["--resume", "runs/tiny"],
    ] {
        let text = notes(folder.path(), more);
        assert!(!text.contains("training samples, class") && !text.contains("twice"), "{more:?}: {text}");
    }
}

#[test]
fn a_stopped_run_with_both_options_ends_as_one_without_a_stop() {
    let folder = folder();
    fs::write(folder.path().join("weights.csv"), "class,weight\nguinea pig,3.5\ncat,0.7\n").unwrap();
    let both = ["--class-weights", "weights.csv", "--sampler", "balanced", "--label-smoothing", "0.1"];
    let with = |name, more: &[&'static str]| [&["--name", name], &both[..], more].concat();
    notes(folder.path(), &with("whole", &[]));
    // In the middle of the first epoch; the file is no longer needed: args.toml has the numbers.
    notes(folder.path(), &with("parts", &["--max-steps", "2"]));
    fs::remove_file(folder.path().join("weights.csv")).unwrap();
    let table = args(folder.path(), "parts");
    assert_eq!(
        table["options"]["recipe"]["class_weights"].as_str(),
        Some("{\"cat\":0.7,\"guinea pig\":3.5}"),
        "{table}"
    );
    assert_eq!(table["options"]["train"]["sampler"].as_str(), Some("balanced"));
    assert_eq!(table["recipe"]["class_weights"]["guinea pig"].as_float(), Some(3.5));
    succeed(
        folder.path(),
        &["train", "-q", "--device", "cpu", "--resume", "runs/parts", "--max-steps", "1000"],
    );
    let [whole, parts] = ["whole", "parts"].map(|run| last_epoch(folder.path(), run));
    for key in ["epoch", "weights_sha256", "train_loss", "val_loss", "balanced_accuracy", "macro_f1"] {
        assert_eq!(whole[key], parts[key], "{key}");
    }
    assert!(whole["balanced_accuracy"].is_number() && whole["macro_f1"].is_number(), "{whole}");
    // Another weight is another run.
    fs::write(folder.path().join("weights.csv"), "cat 0.7\nguinea pig 3.4\n").unwrap();
    let again = words(&with("parts", &["--resume", "auto"]));
    let output = striate(folder.path(), &again).output().unwrap();
    let text = stderr(&output);
    assert!(
        code(&output) == 2
            && text.contains("--class-weights: guinea pig 3.5 in this run, guinea pig 3.4 given"),
        "{text}"
    );
    // Each option changes the weights that come out.
    notes(folder.path(), &["--name", "plain", "--label-smoothing", "0.1"]);
    assert_ne!(last_epoch(folder.path(), "plain")["weights_sha256"], whole["weights_sha256"]);
}

#[test]
fn evaluation_reports_balanced_accuracy_and_macro_f1() {
    let folder = folder();
    notes(folder.path(), &["--lr", "0"]);
    let base = ["eval", "--device", "cpu", "--weights", "runs/tiny/last.safetensors", "--data-path", "t.csv"];
    let text = succeed(folder.path(), &base);
    let line = text.lines().nth(1).unwrap();
    assert!(line.starts_with("balanced accuracy ") && line.contains(" %  macro-F1 "), "{text}");
    let events = json_lines(&succeed(folder.path(), &[&base[..], &["--json"]].concat()));
    let object = events.last().unwrap();
    // From the table of classes.
    let classes = object["classes"].as_array().unwrap();
    let recalls: Vec<f64> = classes.iter().map(|class| class["acc1"].as_f64().unwrap()).collect();
    let expected = recalls.iter().sum::<f64>() / 2.0;
    assert!((object["balanced_accuracy"].as_f64().unwrap() - expected).abs() < 1e-9, "{object}");
    let epoch = last_epoch(folder.path(), "tiny");
    for key in ["balanced_accuracy", "macro_f1"] {
        assert!((epoch[key].as_f64().unwrap() - object[key].as_f64().unwrap()).abs() < 1e-6, "{key}");
    }
}

#[test]
fn weights_and_samplers_that_cannot_be_meant_are_refused_before_a_folder_is_made() {
    let folder = folder();
    let path = folder.path();
    let weights = |text: &str| fs::write(path.join("w.csv"), text).unwrap();
    weights("cat,1\nguinea pg,2\n");
    let text = refused(path, 2, &words(&["--class-weights", "w.csv"]));
    assert_eq!(
        text,
        "error: --class-weights: expected one of the 2 classes of t, found guinea pg; did you mean `guinea pig`?"
    );
    weights("cat,1\n");
    let text = refused(path, 2, &words(&["--class-weights", "w.csv"]));
    assert!(text.ends_with("found 1: none for guinea pig"), "{text}");
    weights("cat,1\nguinea pig,-2\n");
    let text = refused(path, 4, &words(&["--class-weights", "w.csv"]));
    assert_eq!(
        text,
        "error: w.csv: line 2: guinea pig: expected a number from 0.000001 to 1000000, found -2"
    );
    let text = refused(path, 4, &words(&["--class-weights", "missing.csv"]));
    assert!(text.contains("missing.csv"), "{text}");
    for conflict in ["--no-shuffle", "--overfit-batch"] {
        let text = refused(path, 2, &words(&["--sampler", "balanced", conflict]));
        assert!(text.contains("--sampler") && text.contains(conflict), "{text}");
    }
    refused(path, 2, &words(&["--sampler", "even"]));
    // A loss without classes.
    fs::write(path.join("tiny.toml"), MODEL.replace("epochs = 2", "epochs = 2\nloss = \"mse\"")).unwrap();
    let text = refused(path, 2, &words(&["--class-weights", "balanced"]));
    assert!(text.contains("--class-weights: expected loss cross-entropy, found mse"), "{text}");
    // A key of the model file.
    let with = |value: &str| {
        let key = format!("epochs = 2\nclass_weights = {value}");
        fs::write(path.join("tiny.toml"), MODEL.replace("epochs = 2", &key)).unwrap();
    };
    with("{ cat = 1.0, dog = 2.0 }");
    let text = refused(path, 2, &words(&[]));
    assert!(text.contains("of t, found dog"), "{text}");
    with("\"even\"");
    let text = refused(path, 4, &words(&[]));
    assert!(
        text.contains("tiny.toml:8: [recipe]: class_weights: expected \"none\", \"balanced\" or a table"),
        "{text}"
    );
    with("{ cat = 0.0, \"guinea pig\" = 1.0 }");
    let text = refused(path, 4, &words(&[]));
    assert!(
        text.contains(
            "tiny.toml:8: [recipe]: class_weights: cat: expected a number from 0.000001 to 1000000, found 0"
        ),
        "{text}"
    );
    // It is heeded, and a flag overrides it.
    with("\"balanced\"");
    notes(path, &["--name", "file"]);
    notes(path, &["--name", "flag", "--class-weights", "none"]);
    let [file, flag] = ["file", "flag"].map(|run| last_epoch(path, run)["weights_sha256"].clone());
    assert_ne!(file, flag);
}

#[test]
fn other_verbs_heed_or_refuse_the_flags() {
    let folder = folder();
    let path = folder.path();
    let trace = |more: &[&'static str]| {
        let base =
            ["trace", "--device", "cpu", "-m", "tiny.toml", "--data-path", "t.csv", "-o", "t.safetensors"];
        [&base[..], more].concat()
    };
    let loss = |more: &[&'static str]| {
        succeed(path, &trace(more));
        striate::interchange::safetensors::read(path.join("t.safetensors")).unwrap().tensors["loss"].data()[0]
    };
    assert!((loss(&[]) - loss(&["--class-weights", "balanced"])).abs() > 1e-4);
    let text = refused(path, 2, &trace(&["--class-weights", "balanced", "--evaluation"]));
    assert!(text.contains("--class-weights: expected a training step, found --evaluation"), "{text}");
    // The weights of a recipe need not fit data that is only evaluated.
    let key = "epochs = 2\nclass_weights = { dog = 2.0 }";
    fs::write(path.join("tiny.toml"), MODEL.replace("epochs = 2", key)).unwrap();
    refused(path, 2, &trace(&[]));
    loss(&["--evaluation"]);
    let text = refused(path, 2, &trace(&["-b", "auto"]));
    assert!(text.contains("--batch-size: expected a number, found auto"), "{text}");
}

#[test]
fn the_batch_size_that_fits_is_chosen_said_and_kept() {
    let folder = folder();
    let path = folder.path();
    // 44 training samples: 32 is the largest power of two, far below any memory.
    let text = notes(path, &["-b", "auto", "--max-steps", "1"]);
    let line = "batch size: 32 (the largest power of two for 44 training samples)";
    assert_eq!(text.lines().filter(|l| l.starts_with("batch size: ")).collect::<Vec<_>>(), [line], "{text}");
    let table = args(path, "tiny");
    assert_eq!(table["recipe"]["batch_size"].as_integer(), Some(32));
    assert_eq!(table["options"]["recipe"]["batch_size"].as_integer(), Some(32));
    assert_eq!(table["options"]["auto_batch"].as_bool(), Some(false));
    // Whether the flag is repeated or not.
    for (resume, steps) in
        [(&["--resume", "runs/tiny", "--max-steps", "3"][..], 3), (&["--resume", "auto", "-b", "auto"], 4)]
    {
        let words = if steps == 3 { [&["train", "--device", "cpu"], resume].concat() } else { words(resume) };
        let output = striate(path, &words).output().unwrap();
        let text = stderr(&output);
        assert_eq!(code(&output), 0, "{text}");
        let said = text.contains("batch size: 32, as the run that is resumed has it");
        assert_eq!(said, steps == 4, "{text}");
        let log = fs::read_to_string(path.join("runs/tiny/log.jsonl")).unwrap();
        let done = json_lines(&log).into_iter().rfind(|event| event["event"] == "done").unwrap();
        assert_eq!(done["steps"], steps);
    }
    // The size of the model file is not used, so it need not suit mixing.
    fs::write(path.join("tiny.toml"), MODEL.replace("batch_size = 8", "batch_size = 1")).unwrap();
    let text = notes(path, &["--name", "mixed", "-b", "auto", "--mixup", "0.2", "--max-steps", "1"]);
    assert!(text.contains(line), "{text}");
    for size in ["0", "-1", "some", "1048577"] {
        let text = refused_size(path, size);
        assert!(text.contains("expected auto or a number from 1 to 1048576"), "{text}");
    }
}

fn refused_size(folder: &Path, size: &str) -> String {
    let flag = format!("--batch-size={size}");
    let output = striate(folder, &words(&[&flag])).output().unwrap();
    assert_eq!(code(&output), 2);
    stderr(&output)
}
