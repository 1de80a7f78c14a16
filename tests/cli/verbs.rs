//! What the other verbs do when all is well.

use super::{code, json_lines, stderr, striate, succeed};
use std::process::Stdio;
use striate::interchange::safetensors;

#[test]
fn without_a_verb_it_says_what_to_type() {
    let folder = tempfile::tempdir().unwrap();
    assert!(succeed(folder.path(), &[]).contains("striate train"));
}

#[test]
fn summary_counts_what_torchvision_counts() {
    let folder = tempfile::tempdir().unwrap();
    let result =
        &json_lines(&succeed(folder.path(), &["summary", "-m", "alexnet", "-b", "128", "--json"]))[0];
    // torchvision's documentation of AlexNet_Weights: 61,100,840 parameters, 0.71 GFLOPS (multiply-adds).
    assert_eq!(result["parameters"], 61_100_840);
    assert_eq!(result["macs"], 714_188_480);
    assert_eq!(result["layers"][0]["output"], serde_json::json!([128, 64, 55, 55]));
    let text = succeed(folder.path(), &["summary", "-m", "alexnet", "-b", "128"]);
    assert!(text.contains("61100840 parameters") && text.contains("at batch 128"), "{text}");
}

#[test]
fn devices_lists_the_cpu_and_whatever_else() {
    let folder = tempfile::tempdir().unwrap();
    let result = &json_lines(&succeed(folder.path(), &["devices", "--json"]))[0];
    assert!(result["cpu"]["threads"].as_u64().unwrap() >= 1);
    assert!(result["adapters"].is_array());
    assert!(succeed(folder.path(), &["devices"]).starts_with("cpu: "));
    assert!(result["cache"].is_null(), "STRIATE_CACHE is set to nothing");
}

#[test]
fn the_cache_is_where_the_environment_says() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().to_str().unwrap();
    let xdg = folder.path().join("striate");
    let mut command = striate(folder.path(), &["devices", "--json"]);
    let output = command.env("STRIATE_CACHE", "here").env("XDG_CACHE_HOME", path).output().unwrap();
    assert_eq!(json_lines(&String::from_utf8(output.stdout).unwrap())[0]["cache"], "here");
    let default = |value: &str| {
        let mut command = striate(folder.path(), &["devices", "--json"]);
        command.env_remove("STRIATE_CACHE").env("XDG_CACHE_HOME", value).env("HOME", "/home/me");
        command.env_remove("LOCALAPPDATA");
        json_lines(&String::from_utf8(command.output().unwrap().stdout).unwrap())[0]["cache"].clone()
    };
    assert_eq!(default(path), xdg.to_str().unwrap());
    // The XDG specification: a path that is not absolute is ignored.
    if cfg!(target_os = "linux") {
        assert_eq!(default("relative"), "/home/me/.cache/striate");
    }
}

/// What machines without AVX-512, or without any vectors beyond the usual ones, run.
#[test]
fn narrower_vectors_are_right_too() {
    let folder = tempfile::tempdir().unwrap();
    for widest in ["avx2", "none"] {
        let mut command = striate(folder.path(), &["selftest", "--device", "cpu", "--quiet"]);
        command.env("STRIATE_SIMD", widest).assert().success();
    }
}

#[test]
fn selftest_names_every_kernel_and_finds_a_spoilt_one() {
    let folder = tempfile::tempdir().unwrap();
    let result = json_lines(&succeed(folder.path(), &["selftest", "--device", "cpu", "--json"]));
    let done = result.last().unwrap();
    assert_eq!(done["kernels"].as_u64().unwrap() as usize, result.len() - 1);
    assert!(done["kernels"].as_u64().unwrap() >= 40);
    assert!(result[..result.len() - 1].iter().all(|kernel| kernel["passed"] == true));

    let mut command = striate(folder.path(), &["selftest", "--device", "cpu"]);
    let output = command.env("STRIATE_FAULT", "max_pool2d_backward").output().unwrap();
    assert_eq!(code(&output), 5);
    assert!(
        stderr(&output).lines().last().unwrap().ends_with("kernels: max_pool2d_backward"),
        "{}",
        stderr(&output)
    );
    let stdout = String::from_utf8(output.stdout).unwrap();
    let wrong: Vec<&str> = stdout.lines().filter(|line| line.contains("WRONG")).collect();
    assert_eq!(wrong.len(), 1, "{stdout}");
    assert!(wrong[0].starts_with("max_pool2d_backward"));
}

#[test]
fn bench_step_adds_up() {
    let folder = tempfile::tempdir().unwrap();
    let arguments = [
        "bench",
        "step",
        "-m",
        "lenet5",
        "-b",
        "8",
        "--device",
        "cpu",
        "--samples",
        "3",
        "--seconds",
        "0.1",
        "--profile",
        "--json",
    ];
    let result = &json_lines(&succeed(folder.path(), &arguments))[0];
    assert_eq!(result["header"]["precision"], "strict fp32");
    let step = &result["results"][0];
    let ms = step["ms_per_step"].as_f64().unwrap();
    assert!((step["images_per_second"].as_f64().unwrap() - 8000.0 / ms).abs() < 1e-6 * 8000.0 / ms);
    for key in ["forward_ms", "gradients_ms", "update_ms", "host_ms", "upload_ms", "gflops"] {
        assert!(step[key].as_f64().unwrap() > 0.0, "{key}");
    }
    assert_eq!(step["encode_ms"], 0.0, "the CPU path records nothing");
    assert!(step["profile"].as_array().unwrap().len() > 20);
    let table = succeed(folder.path(), &arguments[..arguments.len() - 1]);
    assert!(table.contains("strict fp32") && table.contains("img/s"), "{table}");
}

#[test]
fn bench_ops_measures_against_measured_roofs() {
    let folder = tempfile::tempdir().unwrap();
    let arguments = [
        "bench",
        "ops",
        "-b",
        "1",
        "--device",
        "cpu",
        "--samples",
        "3",
        "--seconds",
        "0.01",
        "--warmup",
        "1",
        "--only",
        "conv3",
        "--json",
    ];
    let lines = json_lines(&succeed(folder.path(), &arguments));
    assert_eq!(lines[0]["event"], "bench-ops");
    assert!(lines[0]["roofs"][0]["gflops"].as_f64().unwrap() > 0.0);
    assert!(lines.len() > 3);
    for op in &lines[1..lines.len() - 1] {
        assert!(op["name"].as_str().unwrap().contains("conv3"));
        assert!(op["ms"].as_f64().unwrap() > 0.0 && op["fraction_of_roof"].as_f64().unwrap() > 0.0);
    }
}

#[test]
fn trace_dumps_a_step_by_name() {
    let folder = tempfile::tempdir().unwrap();
    let arguments = [
        "trace",
        "-m",
        "lenet5",
        "--dataset",
        "synthetic",
        "--limit-train",
        "30",
        "-b",
        "6",
        "--device",
        "cpu",
        "--no-fuse",
        "--output",
        "step.safetensors",
        "--json",
    ];
    let result = &json_lines(&succeed(folder.path(), &arguments))[0];
    assert_eq!(result["rows"], 6);
    let file = safetensors::read(folder.path().join("step.safetensors")).unwrap();
    assert_eq!(file.tensors.len(), result["tensors"].as_array().unwrap().len());
    for name in [
        "input",
        "labels",
        "parameter.c1.weight",
        "c1.y",
        "logits",
        "loss",
        "grad.c1.weight",
        "grad.output.bias",
        "grad.input",
        "updated.c1.weight",
    ] {
        assert!(file.tensors.contains_key(name), "{name}");
    }
    assert_eq!(file.tensors["logits"].shape().dims(), [6, 10]);
    // The weights of a trace train another program to the same step: load them and trace again.
    succeed(folder.path(), &arguments[..arguments.len() - 1]);
    let again = safetensors::read(folder.path().join("step.safetensors")).unwrap();
    assert_eq!(again.tensors, file.tensors);
}

#[test]
fn trace_as_evaluation_computes_it() {
    let folder = tempfile::tempdir().unwrap();
    let trace = |output: &str, flags: &[&str]| {
        let arguments = [
            "trace",
            "-m",
            "alexnet-mini",
            "--dataset",
            "synthetic",
            "-b",
            "4",
            "--device",
            "cpu",
            "-o",
            output,
        ];
        succeed(folder.path(), &[&arguments, flags].concat());
        safetensors::read(folder.path().join(output)).unwrap().tensors
    };
    let (step, evaluated) =
        (trace("step.safetensors", &[]), trace("evaluated.safetensors", &["--evaluation"]));
    assert_eq!(step["input"], evaluated["input"]);
    // Batch norms use running statistics (0 and 1 at first), not those of the batch.
    assert_ne!(step["logits"], evaluated["logits"]);
    assert!(evaluated.keys().all(|name| !name.starts_with("grad.") && !name.starts_with("updated.")));
    // A row does not depend on its neighbours, except for the order in which products sum in another batch.
    let alone = trace("alone.safetensors", &["--evaluation", "-b", "1"]);
    for (one, among) in alone["logits"].data().iter().zip(evaluated["logits"].data()) {
        assert!((one - among).abs() < 1e-5, "{one} alone, {among} among others");
    }
}

#[test]
fn a_reader_that_goes_away_is_no_error() {
    let folder = tempfile::tempdir().unwrap();
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let output = std::process::Command::new(assert_cmd::cargo::cargo_bin("striate"))
        .args(["summary", "-m", "alexnet"])
        .current_dir(folder.path())
        .stdout(writer)
        .stderr(Stdio::piped())
        .output()
        .unwrap();
    assert_eq!((code(&output), stderr(&output).as_str()), (0, ""));
}
