//! `bench compare`: what became slower, in results from files and from programs that take turns, and what cannot be compared.

use super::{code, json_lines, stderr, striate};
use serde_json::{Value, json};
use std::fs;
use std::path::Path;
use std::process::Output;

pub(super) fn run(folder: &Path, arguments: &[&str]) -> Output {
    striate(folder, arguments).output().unwrap()
}

/// The one line on stderr of a failure.
#[track_caller]
pub(super) fn refused(folder: &Path, arguments: &[&str], exit: i32) -> String {
    let output = run(folder, arguments);
    let text = stderr(&output);
    assert_eq!(code(&output), exit, "striate {arguments:?}: {text}");
    assert!(output.stdout.is_empty(), "{output:?}");
    text
}

/// Results as `bench ops` prints them, of two kernels, the second of which takes `scale` milliseconds.
pub(super) fn results(scale: f64, commit: &str, count: u32) -> String {
    let times = |scale: f64| -> Value {
        (0..count).map(|i| scale * (1.0 + 0.004 * f64::from(i % 3))).collect::<Vec<f64>>().into()
    };
    let header = json!({"schema": 1, "devices": ["cpu"], "keys": ["cpu/x86_64/v3/winograd"], "drivers": [""],
        "processor": "P", "version": "0.1.0", "commit": commit, "precision": "strict fp32", "settings": []});
    let mut lines = vec![json!({"event": "bench-ops", "header": header, "batch_size": 4}).to_string()];
    for (name, scale) in [("a", 3.0), ("b", scale)] {
        let control = json!({"samples_ms": times(1.0)});
        lines.push(
            json!({"event": "op", "name": name, "device": "cpu, 2 threads", "shapes": {"x": [4, 7]},
                "times": {"run": {"samples_ms": times(scale)}}, "control": {"multiply_adds": control, "copy": control}})
            .to_string(),
        );
    }
    lines.join("\n") + "\n"
}

#[test]
fn what_became_slower_is_found_and_named() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| fs::write(folder.path().join(name), text).unwrap();
    write("old.json", &results(1.0, "old", 8));
    write("same.json", &results(1.05, "new", 8));
    write("slow.json", &results(1.15, "new", 8));
    write("fast.json", &results(0.8, "new", 8));
    write("few.json", &results(2.0, "new", 3));
    let compare = |name: &str, more: &[&str]| {
        run(folder.path(), &[&["bench", "compare", "old.json", name], more].concat())
    };
    let verdicts = |output: &Output| {
        let found = &json_lines(&String::from_utf8(output.stdout.clone()).unwrap())[0];
        let verdict = |change: &Value| change["verdict"].as_str().unwrap().to_string();
        let changes = found["changes"].as_array().unwrap().iter().map(verdict).collect::<Vec<String>>();
        (code(output), changes.join(", "))
    };
    for (name, more, exit, expected) in [
        ("same.json", &[][..], 0, "no change, no change"),
        ("slow.json", &[], 1, "no change, slower"),
        ("slow.json", &["--threshold", "20"], 0, "no change, no change"),
        ("same.json", &["--threshold", "3"], 1, "no change, slower"),
        ("fast.json", &[], 0, "no change, faster"),
        ("few.json", &[], 0, "no change, too few samples"),
    ] {
        let output = compare(name, &[more, &["--json"]].concat());
        if name == "few.json" {
            assert_eq!(verdicts(&output), (0, "too few samples, too few samples".into()));
        } else {
            assert_eq!(verdicts(&output), (exit, expected.into()), "{name} {more:?}");
        }
    }
    let output = compare("slow.json", &[]);
    let table = String::from_utf8(output.stdout).unwrap();
    assert_eq!(
        output.status.code(),
        Some(1),
        "the table is printed, and the exit code says that something is slower"
    );
    for part in [
        "commit old",
        "commit new",
        "1.150",
        "slower",
        "1 slower, 1 no change",
        "99 % interval",
        "verdict at 10 %",
    ] {
        assert!(table.contains(part), "no {part:?} in {table}");
    }
    // A kernel that only one side has.
    let gone = results(1.0, "new", 8).replace("\"b\"", "\"c\"");
    write("gone.json", &gone);
    assert_eq!(
        verdicts(&compare("gone.json", &["--json"])),
        (0, "no change, only in OLD, only in NEW".into())
    );
    write("shaped.json", &results(1.0, "new", 8).replace("[4,7]", "[4,8]"));
    assert_eq!(verdicts(&compare("shaped.json", &["--json"])), (0, "other shapes, other shapes".into()));
    // Several runs of one build in one file count together.
    write("more.json", &results(2.0, "new", 3).repeat(2));
    assert_eq!(verdicts(&compare("more.json", &["--json"])), (1, "no change, slower".into()));
}

#[test]
fn what_cannot_be_compared_is_refused_in_one_line() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| fs::write(folder.path().join(name), text).unwrap();
    let old = results(1.0, "old", 8);
    write("old.json", &old);
    let compare = |text: &str, expected: &str| {
        write("new.json", text);
        let line = refused(folder.path(), &["bench", "compare", "old.json", "new.json"], 4);
        assert_eq!(line.trim_end().lines().count(), 1, "{line}");
        assert!(
            line.starts_with("error: new.json: ") && line.contains(expected),
            "{line}, expected {expected}"
        );
    };
    for (from, to, expected) in [
        ("strict fp32", "half", "precision: expected \"strict fp32\", found \"half\""),
        ("cpu/x86_64/v3/winograd", "gpu/vulkan/A/fp32", "device: expected \"cpu/x86_64/v3/winograd\""),
        ("\"P\"", "\"Q\"", "processor: expected \"P\", found \"Q\""),
        ("\"batch_size\":4", "\"batch_size\":8", "batch_size: expected 4, found 8"),
        ("\"settings\":[]", "\"settings\":[\"tile 32x32x16\"]", "settings: expected []"),
        (
            "\"b\"",
            "\"b\",\"name\":\"c\"",
            "line 3: expected JSON of striate bench, found expected each key once",
        ),
        ("cpu, 2 threads", "cpu, 1 threads", "expected measurements that old.json has too"),
        ("\"samples_ms\":[3.0", "\"samples_ms\":[-3.0", "run: expected times of 0 ms or more, found -3"),
        ("\"samples_ms\":[3.0", "\"samples_ms\":[\"3\"", "run: samples_ms: expected numbers"),
        (
            "\"event\":\"op\"",
            "\"event\":\"step\"",
            "line 2: expected the event bench-step, bench-ops or bench-data",
        ),
    ] {
        assert!(old.contains(from), "{from}");
        compare(&old.replace(from, to), expected);
    }
    compare("", "expected results of striate bench step, ops or data --json, found none");
    compare("no JSON", "line 1: expected JSON of striate bench");
    compare(
        &old.lines().skip(1).collect::<Vec<_>>().join("\n"),
        "line 1: expected the event bench-ops before op",
    );
    compare(&format!("{old}{}", results(1.0, "other", 8)), "two runs are of different builds");
    compare(
        &format!("{old}{}", old.replace("strict fp32", "half")),
        "two runs of bench ops differ in precision",
    );
    compare("{\"event\":\"bench-step\",\"header\":{},\"results\":[]}", "found none");
    let line = refused(folder.path(), &["bench", "compare", "old.json", "missing.json"], 4);
    assert!(line.starts_with("error: missing.json: "), "{line}");
    for arguments in [
        &["bench", "compare", "old.json"][..],
        &["bench", "compare", "old.json", "old.json", "--threshold", "-1"],
        &["bench", "compare", "old.json", "old.json", "--rounds", "10"],
        &["bench", "compare", "--run", "a", "b", "--rounds", "7"],
        &["bench", "compare", "--run", "a", "b", "--", "device"],
        &["bench", "compare", "old.json", "old.json", "--device", "cpu"],
    ] {
        refused(folder.path(), arguments, 2);
    }
}

/// Two programs take turns: each run is a process of its own, and the order changes from round to round.
#[cfg(unix)]
#[test]
fn two_programs_are_run_in_turn() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    let program = |name: &str, body: &str| {
        let path = folder.path().join(name);
        fs::write(&path, format!("#!/bin/sh\necho \"{name} $*\" >>calls\n{body}\n")).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    };
    fs::write(folder.path().join("1.json"), results(1.0, "old", 3)).unwrap();
    fs::write(folder.path().join("2.json"), results(1.15, "new", 3)).unwrap();
    program("old", "cat 1.json");
    program("new", "cat 2.json");
    program("broken", "echo 'error: no such flag' >&2; exit 2");
    let compare = |new: &str| {
        let arguments =
            ["bench", "compare", "--run", "./old", new, "--rounds", "8", "--", "ops", "--only", "x"];
        run(folder.path(), &arguments)
    };
    let output = compare("./new");
    let table = String::from_utf8(output.stdout.clone()).unwrap();
    assert_eq!(code(&output), 1, "{}", stderr(&output));
    assert!(table.contains("1.150") && table.contains("1 slower, 1 no change"), "{table}");
    let calls = fs::read_to_string(folder.path().join("calls")).unwrap();
    let calls: Vec<&str> = calls.lines().collect();
    assert_eq!(calls[0], "old bench ops --only x --samples 5 --seconds 2 --json");
    let order: Vec<&str> = calls.iter().map(|call| &call[..3]).collect();
    assert_eq!(order[..6], ["old", "new", "new", "old", "old", "new"]);
    assert_eq!(order.len(), 16);
    let output = compare("./old");
    assert_eq!(code(&output), 0, "{}", String::from_utf8_lossy(&output.stdout));
    let output = compare("./broken");
    let line = stderr(&output);
    assert_eq!(code(&output), 4, "{line}");
    assert!(line.contains("./broken: bench ops --only x") && line.contains("no such flag"), "{line}");
    assert_eq!(code(&compare("./missing")), 4);
}
