//! What a run prints: lines of at most 80 columns that say what the data has, warnings that --quiet leaves, and messages under
//! the names of flags.

use super::{TINY, code, json_lines, stderr, striate, succeed};
use std::path::Path;

const NET: &str = "name = \"line\"\ninput = [2, 1, 1]\n[recipe]\nepochs = 2\nbatch_size = 8\nlr = 0.1\nloss = \"LOSS\"\n\
    [[layer]]\nop = \"flatten\"\n[[layer]]\nop = \"linear\"\nout_features = OUT\n";

/// A table of two numbers and a label in `LABEL`, and a network for it.
fn table(folder: &Path, loss: &str, out: &str, label: impl Fn(usize) -> String) {
    std::fs::write(folder.join("net.toml"), NET.replace("LOSS", loss).replace("OUT", out)).unwrap();
    let row = |i: usize| format!("{},{},{}\n", i as f64 / 40.0, (i % 5) as f64 / 5.0, label(i));
    std::fs::write(folder.join("table.csv"), (0..40).map(row).collect::<String>()).unwrap();
}

const TABLE: [&str; 7] = ["train", "--device", "cpu", "-m", "net.toml", "--data-path", "table.csv"];

fn both(folder: &Path, arguments: &[&str]) -> (String, String) {
    let output = striate(folder, arguments).output().unwrap();
    assert_eq!(code(&output), 0, "{}", stderr(&output));
    (String::from_utf8(output.stdout.clone()).unwrap(), stderr(&output))
}

#[test]
fn an_epoch_is_a_line_of_at_most_80_columns() {
    let folder = tempfile::tempdir().unwrap();
    let more = ["--epochs", "100", "--max-steps", "7", "--log-every", "1", "--val-split", "0.2"];
    let (stdout, text) = both(folder.path(), &[&TINY[..], &more].concat());
    let epochs: Vec<_> = stdout.lines().filter(|line| line.starts_with("epoch ")).collect();
    assert_eq!(epochs.len(), 3, "{stdout}");
    assert!(epochs[0].starts_with("epoch 1/100: loss ") && epochs[0].ends_with("  best"), "{stdout}");
    for part in ["  val ", "  top-1 ", "  top-5 "] {
        assert!(epochs[0].contains(part), "{part}: {stdout}");
    }
    let steps: Vec<_> = text.lines().filter(|line| line.starts_with("epoch ")).collect();
    assert!(steps.len() == 7 && steps[0].starts_with("epoch 1/100 step 1/3  loss "), "{text}");
    let device = text.lines().find(|line| line.starts_with("device: ")).unwrap();
    for line in epochs.iter().chain(&steps).chain([&device]) {
        assert!(line.chars().count() <= 80 && !line.contains('\u{1b}'), "{line}");
    }
    // Numbers in args.toml are those that were given.
    let args = std::fs::read_to_string(folder.path().join("runs/lenet5/args.toml")).unwrap();
    assert!(args.contains("val_split = 0.2\n"), "{args}");
    // In files and JSON epochs count from 0.
    let metrics = std::fs::read_to_string(folder.path().join("runs/lenet5/metrics.csv")).unwrap();
    let numbers: Vec<_> = metrics.lines().skip(1).map(|line| line.split(',').next().unwrap()).collect();
    assert_eq!(numbers, ["0", "1", "2"]);
}

#[test]
fn few_classes_have_no_five_best() {
    let folder = tempfile::tempdir().unwrap();
    table(folder.path(), "cross-entropy", "3", |i| (i % 3).to_string());
    let (stdout, _) = both(folder.path(), &TABLE);
    assert!(stdout.contains("top-1") && !stdout.contains("top-5") && !stdout.contains("RMSE"), "{stdout}");
    let eval =
        ["eval", "--device", "cpu", "--weights", "runs/line/best.safetensors", "--data-path", "table.csv"];
    let stdout = succeed(folder.path(), &eval);
    let first = stdout.lines().next().unwrap();
    assert!(first.contains("top-1") && !first.contains("top-5"), "{stdout}");
}

#[test]
fn values_have_a_root_mean_square_error_and_no_top_1() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    table(path, "mse", "1", |i| format!("{}", i as f64 / 20.0 - 0.3));
    let (stdout, text) = both(path, &[&TABLE[..], &["--log-every", "1"]].concat());
    assert!(!stdout.contains("top-1") && !text.contains("top-1"), "{stdout}{text}");
    assert!(stdout.contains("  RMSE ") && stdout.contains("\nbest RMSE "), "{stdout}");
    let log = json_lines(&std::fs::read_to_string(path.join("runs/line/log.jsonl")).unwrap());
    assert!(log[0]["event"] == "start" && log[0]["classes"].is_null(), "{}", log[0]);
    let epochs: Vec<_> = log.iter().filter(|event| event["event"] == "epoch").collect();
    let number = |value: &serde_json::Value| value.as_f64().unwrap();
    for epoch in &epochs {
        // The loss is half the squared error.
        let expected = (2.0 * number(&epoch["val_loss"])).sqrt();
        assert!((number(&epoch["rmse"]) - expected).abs() < 1e-6 * expected, "{epoch}");
    }
    let least = epochs.iter().map(|epoch| number(&epoch["rmse"])).fold(f64::INFINITY, f64::min);
    assert_eq!(number(&log.last().unwrap()["best_rmse"]), least);
    let metrics = std::fs::read_to_string(path.join("runs/line/metrics.csv")).unwrap();
    let mut rows = metrics.lines();
    assert!(rows.next().unwrap().ends_with(",rmse"), "{metrics}");
    assert!(rows.all(|row| row.rsplit(',').next().unwrap().parse::<f64>().is_ok()), "{metrics}");
    let eval =
        ["eval", "--device", "cpu", "--weights", "runs/line/best.safetensors", "--data-path", "table.csv"];
    let stdout = succeed(path, &eval);
    assert!(stdout.contains("  RMSE ") && !stdout.contains("top-1"), "{stdout}");
    let result = &json_lines(&succeed(path, &[&eval[..], &["--json"]].concat()))[0];
    assert!((number(&result["rmse"]) - least).abs() < 1e-5, "{result} {least}");
    // Of classes there is none.
    table(path, "cross-entropy", "3", |i| (i % 3).to_string());
    let events = json_lines(&succeed(path, &[&TABLE[..], &["--json", "--name", "classes"]].concat()));
    assert!(events[0]["classes"] == 3 && events.last().unwrap()["best_rmse"].is_null(), "{}", events[0]);
}

#[test]
fn a_network_that_learns_nothing_is_told_what_its_gradients_do() {
    let folder = tempfile::tempdir().unwrap();
    table(folder.path(), "cross-entropy", "3", |i| (i % 3).to_string());
    let trained = |hidden: &str, rate: &str| {
        let layers: String = (1..=5)
            .map(|n| format!("[[layer]]\nname = \"h{n}\"\nop = \"linear\"\nout_features = 8\n[[layer]]\nop = \"{hidden}\"\n"))
            .collect();
        let text = NET.replace("LOSS", "cross-entropy").replace("OUT", "3");
        let at = text.rfind("[[layer]]").unwrap();
        let text = format!("{}{layers}{}name = \"out\"\n", &text[..at], &text[at..]);
        std::fs::write(folder.path().join("net.toml"), text).unwrap();
        both(folder.path(), &[&TABLE[..], &["-q", "--lr", rate, "--epochs", "50"]].concat()).1
    };
    let text = trained("sigmoid", "0.01");
    let line = text.lines().find(|line| line.contains("learns nothing")).unwrap();
    assert!(line.starts_with("warning: the loss is ") && line.contains("; gradients shrink from "), "{line}");
    assert!(
        line.contains(" (out) to ") && line.ends_with(" (h1): sigmoids one after the other; try relu"),
        "{line}"
    );
    // At a rate of 0 nothing is learnt either, but the gradients are there.
    let text = trained("relu", "0");
    let line = text.lines().find(|line| line.contains("learns nothing"));
    assert!(line.is_none_or(|line| line.contains("; try another learning rate")), "{text}");
}

#[test]
fn quiet_leaves_warnings() {
    let folder = tempfile::tempdir().unwrap();
    let (_, text) =
        both(folder.path(), &[&TINY[..], &["-q", "--tune", "force", "--max-steps", "1"]].concat());
    assert!(text.starts_with("warning: --tune force has no effect"), "{text}");
    assert!(text.lines().all(|line| line.starts_with("warning: ")), "{text}");
}

#[test]
fn errors_have_the_names_of_flags_and_of_folders() {
    let folder = tempfile::tempdir().unwrap();
    let refused = |more: &[&str], number: i32, expected: &str| {
        let output = striate(folder.path(), &[&TINY[..], more].concat()).output().unwrap();
        let text = stderr(&output);
        let last = text.lines().last().unwrap();
        assert_eq!(code(&output), number, "{text}");
        assert!(last.starts_with(expected), "{expected}: {last}");
    };
    refused(&["--lr", "-1"], 2, "error: --lr: expected ");
    refused(&["--epochs", "0"], 2, "error: --epochs: expected ");
    refused(&["--name", "a/b"], 2, "error: --name: expected a name without /");
    if Path::new("/proc/self").exists() {
        refused(
            &["--output-dir", "/proc/x"],
            1,
            "error: /proc/x: expected a folder in which files can be written",
        );
    }
    assert!(!folder.path().join("runs").exists());
}

/// What a terminal shows after `arguments`, line by line, and all that was written. `script` gives the program a terminal.
#[cfg(target_os = "linux")]
fn on_a_terminal(folder: &Path, arguments: &[&str], no_color: &str) -> Option<(Vec<String>, String)> {
    let program = assert_cmd::cargo::cargo_bin("striate");
    let command = format!("{} {}", program.display(), arguments.join(" "));
    let mut script = std::process::Command::new("script");
    script.args(["-qec", &command, "/dev/null"]).current_dir(folder);
    script.env("TERM", "xterm").env("NO_COLOR", no_color).stdin(std::process::Stdio::null());
    let Ok(output) = script.output() else {
        eprintln!("skipped: script (bsdutils) is not installed");
        return None;
    };
    let all = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{all}");
    // Everything on a line is erased before it is written again.
    let lines =
        all.split('\n').map(|line| line.rsplit("\u{1b}[J").next().unwrap().trim_matches('\r').to_string());
    Some((lines.collect(), all.clone()))
}

#[cfg(target_os = "linux")]
#[test]
fn a_bar_leaves_nothing_behind_and_colours_can_be_refused() {
    let folder = tempfile::tempdir().unwrap();
    // Long enough that the bar is drawn again, with the time that is left.
    let arguments: Vec<_> =
        "train --device cpu -m lenet5 --dataset synthetic --limit-train 6000 --limit-val 20 --epochs 2 -b 16"
            .split(' ')
            .collect();
    for no_color in ["", "1"] {
        let Some((lines, all)) = on_a_terminal(folder.path(), &arguments, no_color) else { return };
        assert!(all.contains("\u{1b}[Jepoch 1/2  "), "no bar was drawn: {all:?}");
        assert!(all.contains(" left\r") && all.contains("[="), "{all:?}");
        let epochs: Vec<_> = lines.iter().filter(|line| line.starts_with("epoch ")).collect();
        assert!(epochs.len() == 2 && epochs.iter().all(|line| line.contains(": loss ")), "{lines:?}");
        assert_eq!(epochs[0].ends_with("\u{1b}[32mbest\u{1b}[0m"), no_color.is_empty(), "{epochs:?}");
        assert_eq!(epochs[0].ends_with("  best"), !no_color.is_empty(), "{epochs:?}");
    }
}
