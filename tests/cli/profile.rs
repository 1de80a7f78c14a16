//! What is measured operator by operator: `bench step --profile`, `bench ops`, `bench device` and `train --profile`.

use super::{TINY, code, json_lines, stderr, striate, succeed};
use serde_json::Value;
use std::fs;

/// Little of everything, on the CPU path.
const QUICK: [&str; 6] = ["--device", "cpu", "--samples", "3", "--seconds", "0.01"];

fn number(value: &Value, key: &str) -> f64 {
    value[key].as_f64().unwrap_or_else(|| panic!("{key} in {value}"))
}

fn sum(list: &Value, key: &str) -> f64 {
    list.as_array().unwrap().iter().map(|entry| number(entry, key)).sum()
}

#[track_caller]
fn assert_near(found: f64, expected: f64) {
    assert!((found - expected).abs() <= 1e-9 * expected.abs().max(1e-9), "{found}, expected {expected}");
}

/// Steps, totals and summary of one profile say the same.
#[track_caller]
fn assert_adds_up(summary: &Value, kinds: &Value, steps: &Value) {
    let whole = number(summary, "sum_ms");
    assert_near(sum(steps, "ms"), whole);
    assert_near(sum(kinds, "ms"), whole);
    assert_near(sum(kinds, "roof_ms"), number(summary, "roof_ms"));
    assert_near(sum(steps, "share"), 1.0);
    assert_near(sum(kinds, "flops"), sum(steps, "flops"));
    assert_eq!(sum(kinds, "times"), number(summary, "pieces"));
    for list in [kinds, steps] {
        let times: Vec<f64> = list.as_array().unwrap().iter().map(|entry| number(entry, "ms")).collect();
        assert!(times.is_sorted_by(|a, b| a >= b), "{times:?}");
    }
}

#[test]
fn bench_step_profiles_every_step_and_draws_it() {
    let folder = tempfile::tempdir().unwrap();
    let arguments =
        [&["bench", "step", "-m", "lenet5", "-b", "4", "--roofline", "step.svg"], &QUICK[..]].concat();
    let result = &json_lines(&succeed(folder.path(), &[&arguments[..], &["--json"]].concat()))[0];
    let step = &result["results"][0];
    assert_adds_up(&step["profile_summary"], &step["kinds"], &step["profile"]);
    assert_near(sum(&step["profile"], "flops"), number(result, "flops_per_step"));
    for key in ["fma_gflops", "product_gflops", "gigabytes_per_second"] {
        assert!(number(&step["roofs"], key) > 0.0);
    }
    assert!(number(step, "resident_ms") > 0.0);
    let pieces = number(&step["profile_summary"], "pieces") as usize;
    let svg = fs::read_to_string(folder.path().join("step.svg")).unwrap();
    assert_eq!(svg.matches("class=\"dot mark\"").count(), pieces);
    assert!(svg.contains("strict fp32") && svg.contains("commit") && svg.contains("conv2d_grad_weight"));
    let table = succeed(folder.path(), &arguments);
    for part in ["peak rates allow", "multiply-adds in registers", "the whole, without clocks", "adam"] {
        assert!(table.contains(part), "no {part} in {table}");
    }
}

#[test]
fn bench_ops_adds_its_kernels_up() {
    let folder = tempfile::tempdir().unwrap();
    let arguments =
        [&["bench", "ops", "-b", "1", "--only", "conv3", "--roofline", "ops.svg", "--json"], &QUICK[..]]
            .concat();
    let lines = json_lines(&succeed(folder.path(), &arguments));
    let (ops, last) = (&lines[1..lines.len() - 1], &lines[lines.len() - 1]);
    assert_eq!(last["event"], "kinds");
    assert_near(sum(&last["kinds"], "ms"), ops.iter().map(|op| number(op, "ms")).sum());
    let svg = fs::read_to_string(folder.path().join("ops.svg")).unwrap();
    assert_eq!(svg.matches("class=\"dot mark\"").count(), ops.len());
}

#[test]
fn bench_device_measures_what_no_operator_is_part_of() {
    let folder = tempfile::tempdir().unwrap();
    let arguments = [&["bench", "device", "--sustain", "0.05", "--json"], &QUICK[..]].concat();
    let found = &json_lines(&succeed(folder.path(), &arguments))[0];
    assert_eq!(
        (&found["event"], &found["header"]["precision"]),
        (&"bench-device".into(), &"strict fp32".into())
    );
    let device = &found["results"][0];
    assert!(number(device, "fma_gflops") > 0.0 && number(device, "gigabytes_per_second") > 0.0);
    assert!(number(&device["sustained"], "last_gflops") > 0.0);
    assert_eq!(number(device, "dispatch_floor_ms"), 0.0, "the CPU path dispatches nothing");
}

#[test]
fn what_cannot_be_is_refused_before_anything_is_measured() {
    let folder = tempfile::tempdir().unwrap();
    let run = |arguments: &[&str]| striate(folder.path(), arguments).output().unwrap();
    let output = run(&["bench", "ops", "--tile", "7x7", "--device", "cpu"]);
    assert_eq!(code(&output), 2);
    let message = stderr(&output);
    assert!(message.contains("expected one of shared, subgroup, registers, 32x32x16"), "{message}");
    let output = run(&["bench", "step", "-m", "lenet5", "--roofline", "nowhere/a.svg", "--device", "cpu"]);
    assert_eq!(code(&output), 4);
    let output = run(&[&TINY[..], &["--profile=nowhere/a.svg"]].concat());
    assert_eq!(code(&output), 4);
    assert!(!folder.path().join("runs").exists());
}

#[test]
fn a_profile_changes_nothing_about_a_training_run() {
    let folder = tempfile::tempdir().unwrap();
    let train = |more: &[&str]| {
        // Six batches an epoch: five to warm up, five to time.
        let flags = ["-b", "8", "--log-every", "1", "--json"];
        let output = striate(folder.path(), &[&TINY[..], &flags, more].concat()).output().unwrap();
        assert_eq!(code(&output), 0, "{}", stderr(&output));
        let lines = json_lines(&String::from_utf8(output.stdout.clone()).unwrap());
        let epochs: Vec<String> =
            lines.iter().filter_map(|line| line["weights_sha256"].as_str().map(String::from)).collect();
        (epochs, stderr(&output))
    };
    let (plain, _) = train(&[]);
    assert_eq!(plain.len(), 2);
    let (timed, table) = train(&["--profile"]);
    assert_eq!(timed, plain);
    for part in ["conv2d_grad_weight/plain", "/direct c1", "strict fp32", "peak rates allow", "share"] {
        assert!(table.contains(part), "no {part} in {table}");
    }
    let (timed, _) = train(&["--profile=p.json"]);
    assert_eq!(timed, plain);
    let profile = &json_lines(&fs::read_to_string(folder.path().join("p.json")).unwrap())[0];
    let spans = profile["spans"].as_array().unwrap();
    assert_eq!((spans.len(), &spans[0]["span"]), (1, &"gradients and update".into()));
    assert_adds_up(&spans[0]["summary"], &spans[0]["kinds"], &spans[0]["profile"]);
    train(&["--profile=p.svg"]);
    let svg = fs::read_to_string(folder.path().join("p.svg")).unwrap();
    assert_eq!(svg.matches("class=\"dot mark\"").count() as f64, number(&spans[0]["summary"], "pieces"));
    let (_, short) = train(&["--profile", "--max-steps", "4"]);
    assert!(short.contains("nothing was profiled: the run ended before its step 6"), "{short}");
}

#[test]
fn accumulated_gradients_and_the_update_are_profiled_apart() {
    let folder = tempfile::tempdir().unwrap();
    let flags = ["-b", "4", "--grad-accum-steps", "2", "--profile=p.json", "--epochs", "3"];
    succeed(folder.path(), &[&TINY[..], &flags].concat());
    let profile = &json_lines(&fs::read_to_string(folder.path().join("p.json")).unwrap())[0];
    let spans = profile["spans"].as_array().unwrap();
    let names: Vec<&str> = spans.iter().filter_map(|span| span["span"].as_str()).collect();
    assert_eq!(names, ["gradients", "update"]);
    for span in spans {
        assert_adds_up(&span["summary"], &span["kinds"], &span["profile"]);
    }
    assert!(spans[1]["kinds"].as_array().unwrap().iter().all(|kind| kind["kind"] == "adam"), "{profile}");
}
