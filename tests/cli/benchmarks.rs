//! Benchmarks for scripts: what `bench --json` states, the trace of a step, shapes of one's own, tables of at most 120
//! columns, and the comparison of results and programs.

use super::{code, json_lines, stderr, striate, succeed};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::Output;

/// Little of everything, on the CPU path.
const QUICK: [&str; 8] = ["--device", "cpu", "--samples", "3", "--seconds", "0.01", "--warmup", "1"];
const STEP: [&str; 6] = ["bench", "step", "-m", "lenet5", "-b", "4"];

fn run(folder: &Path, arguments: &[&str]) -> Output {
    striate(folder, arguments).output().unwrap()
}

/// The one line on stderr of a failure.
#[track_caller]
fn refused(folder: &Path, arguments: &[&str], exit: i32) -> String {
    let output = run(folder, arguments);
    let text = stderr(&output);
    assert_eq!(code(&output), exit, "striate {arguments:?}: {text}");
    assert!(output.stdout.is_empty(), "{output:?}");
    text
}

/// A measurement states how often it was made, its quartiles and every sample, which fit together.
#[track_caller]
fn assert_timing(timing: &Value) {
    let number = |key: &str| timing[key].as_f64().unwrap_or_else(|| panic!("{key} in {timing}"));
    let mut samples: Vec<f64> =
        timing["samples_ms"].as_array().unwrap().iter().map(|sample| sample.as_f64().unwrap()).collect();
    samples.sort_by(f64::total_cmp);
    assert_eq!(number("count") as usize, samples.len());
    assert!(number("runs") >= 1.0 && samples.len() >= 3);
    assert_eq!(number("fastest_ms"), samples[0]);
    let order = ["fastest_ms", "q1_ms", "median_ms", "q3_ms"].map(number);
    assert!(order.is_sorted() && order[3] <= samples[samples.len() - 1], "{timing}");
}

#[track_caller]
fn assert_header(header: &Value) {
    let keys =
        ["schema", "devices", "keys", "drivers", "processor", "system", "version", "commit", "precision"];
    for key in keys {
        assert!(!header[key].is_null(), "no {key} in {header}");
    }
    assert_eq!(header["schema"], 1);
}

#[test]
fn every_benchmark_states_its_samples_and_their_conditions() {
    let folder = tempfile::tempdir().unwrap();
    let lines = |arguments: &[&str]| {
        json_lines(&succeed(folder.path(), &[arguments, &QUICK[..], &["--json"]].concat()))
    };
    let step = &lines(&STEP)[0];
    assert_header(&step["header"]);
    assert_eq!(step["shapes"]["input"], json!([4, 1, 28, 28]));
    let result = &step["results"][0];
    for name in ["step", "resident", "forward", "gradients", "update", "host", "upload", "run"] {
        assert_timing(&result["times"][name]);
    }
    assert_eq!(result["times"]["step"]["median_ms"], result["ms_per_step"]);
    let ops = lines(&[
        "bench",
        "ops",
        "-b",
        "2",
        "--conv",
        "3,5,9x7,3x1,2,1",
        "--linear",
        "6,4",
        "--pool",
        "2,8,2,2",
    ]);
    assert_header(&ops[0]["header"]);
    let rows: Vec<&Value> = ops.iter().filter(|line| line["event"] == "op").collect();
    let names: Vec<&str> = rows.iter().filter_map(|row| row["name"].as_str()).collect();
    assert_eq!(
        names,
        [
            "conv2d_forward/3,5,9x7,3x1,2,1",
            "conv2d_grad_input/3,5,9x7,3x1,2,1",
            "conv2d_grad_weight/3,5,9x7,3x1,2,1",
            "bias_grad/3,5,9x7,3x1,2,1",
            "linear_forward/6,4",
            "linear_grad_input/6,4",
            "linear_grad_weight/6,4",
            "bias_grad/6,4",
            "max_pool2d_forward/2,8,2,2",
            "max_pool2d_backward/2,8,2,2",
            "avg_pool2d_forward/2,8,2,2",
            "avg_pool2d_backward/2,8,2,2",
        ]
    );
    // (9 + 2 - 3) / 2 + 1 rows, (7 + 2 - 1) / 2 + 1 columns.
    assert_eq!(rows[0]["shapes"], json!({"x": [2, 3, 9, 7], "w": [5, 3, 3, 1], "b": [5], "y": [2, 5, 5, 5]}));
    assert_eq!(rows[0]["flops"], 2 * 2 * 5 * 5 * 5 * 3 * 3);
    let data = &lines(&["bench", "data", "-m", "lenet5", "--images", "16", "-b", "4", "-j", "2"])[0];
    assert_header(&data["header"]);
    let stages = data["results"].as_array().unwrap();
    for row in rows {
        assert_timing(&row["times"]["run"]);
    }
    for stage in stages {
        assert_timing(&stage["times"]["one_thread"]);
        assert_timing(&stage["times"]["all_threads"]);
    }
    for timed in [result, &ops[1], &stages[0]] {
        assert_timing(&timed["control"]["multiply_adds"]);
        assert_timing(&timed["control"]["copy"]);
    }
}

#[test]
fn shapes_that_cannot_be_are_refused_in_one_line() {
    let folder = tempfile::tempdir().unwrap();
    let ops = |arguments: &[&str], exit: i32| {
        refused(folder.path(), &[&["bench", "ops", "--device", "cpu"], arguments].concat(), exit)
    };
    let line = ops(&["--conv", "64,192,27"], 2);
    assert!(line.contains("expected 6 or 7 numbers with commas"), "{line}");
    assert!(ops(&["--conv", "64,192,27,5,1,2,5"], 2).contains("groups must divide 64 input"));
    assert!(ops(&["--linear", "0,5"], 2).contains("in: expected a number from 1"));
    assert!(ops(&["--pool", "3,4,9,1"], 2).contains("is larger than its input 4x4"));
    let line = ops(&["--linear", "65536,32768", "-b", "1048576"], 3);
    assert!(line.contains("error: linear_forward/65536,32768 needs") && line.contains("available"), "{line}");
    let line = ops(&["--conv", "1,1,3,1,1,0", "--only", "linear"], 2);
    assert!(line.contains("no kernel has this in its name"), "{line}");
}

/// The rules of the Trace Event Format for the events that are written, and what the trace of a step says.
#[test]
fn a_step_is_written_as_a_trace() {
    let folder = tempfile::tempdir().unwrap();
    let arguments = [&STEP[..], &["--trace", "step.json", "--json"], &QUICK].concat();
    let result = &json_lines(&succeed(folder.path(), &arguments))[0];
    let trace: Value =
        serde_json::from_str(&fs::read_to_string(folder.path().join("step.json")).unwrap()).unwrap();
    assert_eq!(trace["displayTimeUnit"], "ms");
    assert_header(&trace["otherData"]["header"]);
    let (mut kernels, mut layers, mut named) = (Vec::new(), BTreeSet::new(), BTreeSet::new());
    for event in trace["traceEvents"].as_array().unwrap() {
        let track = (event["pid"].as_u64().unwrap(), event["tid"].as_u64().unwrap());
        let name = event["name"].as_str().unwrap();
        assert!(!name.is_empty() && event["args"].is_object(), "{event}");
        match event["ph"].as_str().unwrap() {
            "M" => {
                let is_name = ["process_name", "thread_name"].contains(&name);
                assert!(
                    is_name && event["args"]["name"].is_string() || name == "process_sort_index",
                    "{event}"
                );
                named.insert(track);
            }
            "X" => {
                assert!(named.contains(&track), "{event} is in a thread without a name");
                let [start, time] = ["ts", "dur"].map(|key| event[key].as_f64().unwrap());
                assert!(start >= 0.0 && time >= 0.0 && event["cat"].is_string(), "{event}");
                match track {
                    (2, 2) => kernels.push((start, time, event)),
                    (2, 1) => drop(layers.insert(name)),
                    _ => (),
                }
            }
            other => panic!("{other} is no kind of event that is written"),
        }
    }
    let profile = result["results"][0]["profile"].as_array().unwrap();
    assert_eq!(kernels.len(), profile.len());
    // One after the other, in the order of the program: a network begins with its first layer and ends with an update.
    assert!(kernels.windows(2).all(|pair| pair[0].0 + pair[0].1 <= pair[1].0 + 1e-3), "{kernels:?}");
    let argument = |number: usize, key: &str| kernels[number].2["args"][key].as_str().unwrap().to_string();
    assert!(argument(0, "operator").starts_with("conv2d_forward"), "{:?}", kernels[0]);
    assert_eq!(argument(kernels.len() - 1, "operator"), "adam");
    let of_profile: BTreeSet<&str> = profile.iter().filter_map(|piece| piece["layer"].as_str()).collect();
    assert!(layers.is_superset(&of_profile.iter().copied().filter(|layer| !layer.is_empty()).collect()));
    let line = refused(folder.path(), &[&STEP[..], &["--trace", "nowhere/a.json"]].concat(), 4);
    assert!(line.contains("found no such folder"), "{line}");
}

#[test]
fn tables_have_at_most_120_columns() {
    let folder = tempfile::tempdir().unwrap();
    let step = [&STEP[..], &["--profile"], &QUICK].concat();
    let ops = [&["bench", "ops", "-b", "1", "--only", "conv3"], &QUICK[..]].concat();
    let data = [&["bench", "data", "-m", "lenet5", "--images", "8", "-b", "4"], &QUICK[..]].concat();
    fs::write(folder.path().join("a.json"), results(1.0, "a", 8)).unwrap();
    let compare = vec!["bench", "compare", "a.json", "a.json"];
    let mut all = vec![step, ops, data, compare];
    for model in ["alexnet", "alexnet-mini", "lenet5"] {
        all.push(vec!["summary", "-m", model]);
    }
    for arguments in all {
        let output = run(folder.path(), &arguments);
        assert_eq!(code(&output), 0, "{arguments:?}: {}", stderr(&output));
        for line in String::from_utf8(output.stdout).unwrap().lines() {
            assert!(
                line.chars().count() <= 120,
                "{arguments:?} prints {} columns: {line}",
                line.chars().count()
            );
        }
    }
}

#[test]
fn summary_and_bench_step_agree_on_memory() {
    let folder = tempfile::tempdir().unwrap();
    // Clipping and accumulating gradients take memory too.
    let model = "name = \"small\"\ninput = [1, 8, 8]\n[recipe]\nepochs = 1\nbatch_size = 4\nclip_grad_norm = 1.0\n\
                 grad_accum_steps = 2\n[[layer]]\nop = \"flatten\"\n[[layer]]\nop = \"linear\"\nout_features = 3\n";
    fs::write(folder.path().join("small.toml"), model).unwrap();
    for (name, batch) in [("small.toml", "4"), ("lenet5", "16")] {
        let common = ["-m", name, "-b", batch];
        let summary = [&["summary"], &common[..]].concat();
        let step = [&["bench", "step"], &common[..], &QUICK].concat();
        let json = |arguments: &[&str]| {
            json_lines(&succeed(folder.path(), &[arguments, &["--json"]].concat())).remove(0)
        };
        let (summed, measured) = (json(&summary), json(&step));
        assert_eq!(summed["memory_bytes"], measured["memory_bytes"], "{name}");
        assert_eq!(summed["train_flops"], measured["flops_per_step"], "{name}");
        let text = succeed(folder.path(), &summary);
        let line = text.lines().last().unwrap().strip_prefix("its memory: ").unwrap().to_string();
        let table = succeed(folder.path(), &step);
        let unwrapped = table.replace("\n  ", " ");
        assert!(unwrapped.contains(&line), "no {line:?} in {table}");
    }
}

/// Results as `bench ops` prints them, of two kernels, the second of which takes `scale` milliseconds.
fn results(scale: f64, commit: &str, count: u32) -> String {
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
