//! Benchmarks for scripts: what `bench --json` states, the trace of a step, shapes of one's own, and tables of at most 120
//! columns.

use super::comparison::{refused, results, run};
use super::{code, json_lines, stderr, succeed};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::fs;

/// Little of everything, on the CPU path. (The loader has no device.)
const QUICK: [&str; 8] = ["--device", "cpu", "--samples", "3", "--seconds", "0.01", "--warmup", "1"];
const STEP: [&str; 6] = ["bench", "step", "-m", "lenet5", "-b", "4"];

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
    let words = ["bench", "data", "-m", "lenet5", "--images", "16", "-b", "4", "-j", "2", "--json"];
    let data = &json_lines(&succeed(folder.path(), &[&words, &QUICK[2..]].concat()))[0];
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
    let data = [&["bench", "data", "-m", "lenet5", "--images", "8", "-b", "4"], &QUICK[2..]].concat();
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
