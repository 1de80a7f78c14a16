//! Names that are paths, escape sequences, markup or very long, as names of runs, classes, layers and tensors (row B7): nothing
//! is written outside the run's folder, no control character reaches a terminal, and drawings hold them as text.

use crate::striate;
use image::{Rgb, RgbImage};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Output;
use striate::interchange::safetensors;
use striate::tensor::Tensor;

/// Everything that a name should not be.
fn hostile() -> Vec<String> {
    let names = [
        "../../escaped",
        "..",
        ".",
        "/escaped",
        "a/../../escaped",
        "..\\..\\escaped",
        "C:\\escaped",
        "\\\\host\\escaped",
        "./x",
        "a/b",
        "\u{1b}[31mred",
        "\u{1b}]0;title\u{7}",
        "\u{1b}[2J\u{1b}[H",
        "\u{9b}31m",
        "line\r\nerror: faked",
        "\u{8}\u{8}\u{8}",
        "\u{7f}",
        "tab\tbed",
        "\u{202e}gnp.exe",
        "\u{2066}turned\u{2069}",
        "<script>alert(1)</script>",
        "<img src=x onerror=alert(1)>",
        "\"/><svg/onload=alert(1)>",
        "'><a href='javascript:alert(1)'>",
        "]]>",
        "&lt;b&gt;",
        "<!--",
        "$(touch escaped)",
        "`touch escaped`",
        "; touch escaped",
        "%s%n%p",
        "{{7*7}}",
        "-rf",
        "~",
        "CON",
        "nul.txt",
        "\u{fffd}",
        "e\u{301}\u{301}\u{301}",
        "",
    ];
    let mut names: Vec<String> = names.map(String::from).to_vec();
    names.push("A".repeat(10_000));
    names.push("\u{e4}".repeat(5000));
    names.push("\u{4e2d}".repeat(4000));
    names.push("\u{1d400}".repeat(3000));
    names
}

const MODEL: &str = r#"
name = "NAME"
input = [3, 4, 4]
[recipe]
batch_size = 4
[[layer]]
name = "LAYER"
op = "conv2d"
out_channels = 2
kernel = 3
[[layer]]
op = "flatten"
[[layer]]
op = "linear"
out_features = 64
"#;

/// What the program said, free of control characters.
#[track_caller]
fn said(output: &Output, case: &str) -> String {
    let text = [&output.stdout[..], &output.stderr].concat();
    let text = String::from_utf8(text).unwrap_or_else(|error| panic!("{case}: {error}"));
    let bad = |c: &char| {
        (c.is_control() && *c != '\n')
            || matches!(c, '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    assert!(!text.contains("faked\n") || !text.lines().any(|line| line == "error: faked"), "{case}: {text}");
    if let Some(bad) = text.chars().find(bad) {
        panic!("{case}: {bad:?} in {text:?}");
    }
    assert_ne!(output.status.code(), Some(101), "{case}: {text}");
    text
}

/// Everything in `folder` and below, with lengths.
fn tree(folder: &Path) -> BTreeMap<PathBuf, u64> {
    let mut found = BTreeMap::new();
    let mut folders = vec![folder.to_path_buf()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let metadata = path.symlink_metadata().unwrap();
            if metadata.is_dir() {
                folders.push(path.clone());
            }
            found.insert(path, metadata.len() * u64::from(metadata.is_file()));
        }
    }
    found
}

/// A TOML string of this text.
fn quoted(text: &str) -> String {
    toml::Value::String(text.into()).to_string()
}

fn model(name: &str, layer: &str) -> String {
    MODEL.replace("\"NAME\"", &quoted(name)).replace("\"LAYER\"", &quoted(layer))
}

const TRAIN: [&str; 12] = [
    "train",
    "--device",
    "cpu",
    "-m",
    "m.toml",
    "--dataset",
    "synthetic",
    "--max-steps",
    "1",
    "--limit-train",
    "4",
    "--limit-val=4",
];

#[test]
fn names_of_runs_and_networks_stay_in_the_folder_of_runs() {
    let outer = tempfile::tempdir().unwrap();
    let folder = outer.path().join("a/b/place");
    fs::create_dir_all(&folder).unwrap();
    let names = hostile();
    for name in &names {
        for as_flag in [true, false] {
            fs::write(folder.join("m.toml"), model(if as_flag { "m" } else { name }, "c")).unwrap();
            let flag = format!("--name={name}");
            let output = striate(&folder, &TRAIN).args(as_flag.then_some(&flag)).output().unwrap();
            let case = format!("{:.60}", name.escape_debug());
            let text = said(&output, &case);
            let made = tree(outer.path());
            let runs = folder.join("runs");
            for path in
                made.keys().filter(|path| !folder.starts_with(path) && **path != folder.join("m.toml"))
            {
                assert!(path.starts_with(&runs), "{case}: {}", path.display());
                let run = path.strip_prefix(&runs).unwrap();
                assert!(
                    run.components().count() <= 2 && run.to_str().is_some_and(|run| run.len() < 300),
                    "{case}: {run:?}"
                );
            }
            match output.status.code() {
                Some(0) => fs::remove_dir_all(&runs).unwrap(),
                code => assert!(matches!(code, Some(2 | 4)) && !runs.exists(), "{case}: {code:?}: {text}"),
            }
        }
    }
    println!("B7: {} names of runs and of networks, nothing outside the folder of runs", names.len());
    assert!(names.len() >= 30);
}

/// A folder of images with a class for each name that can be a folder's, and `classes.txt` and others for the rest.
fn pictures(folder: &Path) -> usize {
    let mut classes = 0;
    for name in hostile() {
        if name.contains('/') || name.len() > 255 || name.is_empty() || name.starts_with('.') {
            continue;
        }
        fs::create_dir_all(folder.join(&name)).unwrap();
        let picture = RgbImage::from_pixel(5, 5, Rgb([classes as u8 * 3, 9, 200]));
        picture.save_with_format(folder.join(&name).join("a.png"), image::ImageFormat::Png).unwrap();
        fs::write(folder.join(&name).join(format!("{name}.jpg")), "no picture").unwrap();
        classes += 1;
    }
    classes
}

#[test]
fn names_of_classes_and_pictures_are_text() {
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path();
    let classes = pictures(&here.join("data"));
    fs::write(here.join("m.toml"), model("m", "c")).unwrap();
    // What cannot be a folder's name may be a line.
    let hostile = hostile();
    let labels: Vec<String> =
        (0..classes).map(|n| hostile[n % (hostile.len() - 5)].replace(['\n', '\r'], "\u{1b}")).collect();
    fs::write(here.join("labels.txt"), labels.join("\n")).unwrap();
    let train = [
        "train",
        "--device",
        "cpu",
        "-m",
        "m.toml",
        "--data-path",
        "data",
        "--val-split",
        "0",
        "--epochs",
        "1",
        "--profile=p.svg",
    ];
    let mut texts = Vec::new();
    let mut run = |arguments: &[&str]| {
        let output = striate(here, arguments).output().unwrap();
        let text = said(&output, &format!("{arguments:?}"));
        assert_eq!(output.status.code(), Some(0), "{arguments:?}: {text}");
        texts.push(text);
    };
    run(&train);
    let weights = "runs/m/last.safetensors";
    run(&["dataset", "info", "data"]);
    run(&["dataset", "stats", "data"]);
    run(&["dataset", "pack", "data", "-o", "packed", "--size", "4"]);
    run(&["dataset", "info", "packed"]);
    run(&[
        "eval",
        "--device",
        "cpu",
        "--weights",
        weights,
        "--data-path",
        "data",
        "--val-split",
        "0",
        "--confusion",
        "c.csv",
    ]);
    run(&[
        "eval",
        "--device",
        "cpu",
        "--weights",
        weights,
        "--data-path",
        "packed",
        "--val-split",
        "0",
        "--json",
    ]);
    run(&["predict", "--device", "cpu", "--weights", weights, "data/-rf/a.png"]);
    run(&["predict", "--device", "cpu", "--weights", weights, "data/-rf/a.png", "--labels", "labels.txt"]);
    assert!(texts[0].contains(r"\u{1b}"), "{}", texts[0]);
    for name in ["escaped", "data/escaped"] {
        assert!(!here.join(name).exists());
    }
    drawing(&fs::read_to_string(here.join("p.svg")).unwrap());
    println!("B7: {classes} names of classes and pictures through {} commands, all text", texts.len());
}

/// Whether a drawing is text and shapes only.
#[track_caller]
fn drawing(text: &str) {
    assert!(text.starts_with("<svg") || text.starts_with("<?xml"), "{text:.100}");
    assert!(!text.chars().any(|c| c.is_control() && c != '\n'), "control characters in a drawing");
    let mut rest = &text[text.find("<svg").unwrap()..];
    while let Some(at) = rest.find('<') {
        rest = &rest[at + 1..];
        let element: String =
            rest.trim_start_matches('/').chars().take_while(|c| c.is_alphanumeric()).collect();
        let known = [
            "svg", "rect", "line", "text", "title", "path", "circle", "g", "style", "polyline", "polygon",
            "desc", "defs",
        ];
        assert!(known.contains(&element.as_str()), "an element {element:?} in a drawing: {rest:.80}");
        let inside = &rest[..rest.find('>').unwrap()];
        assert!(!inside.contains(" on") && !inside.contains("href"), "{inside}");
    }
}

#[test]
fn names_of_layers_and_tensors_are_text() {
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path();
    let names = hostile();
    let (mut refused, mut drawn) = (0, 0);
    // All that a model file may have, in one network.
    let mut text = model("m", "c");
    for name in &names {
        let case = format!("{:.60}", name.escape_debug());
        fs::write(here.join("m.toml"), model("m", name)).unwrap();
        let output = striate(here, &["summary", "-m", "m.toml"]).output().unwrap();
        let said = said(&output, &case);
        if output.status.code() == Some(0) {
            let layer = format!(
                "[[layer]]\nname = {}\nop = \"conv2d\"\nout_channels = 2\nkernel = 1\n",
                quoted(name)
            );
            text = text.replacen(
                "[[layer]]\nop = \"flatten\"",
                &format!("{layer}[[layer]]\nop = \"flatten\""),
                1,
            );
            drawn += 1;
        } else {
            assert_eq!(output.status.code(), Some(4), "{case}: {said}");
            assert_eq!(tree(here).len(), 1, "{case}");
            refused += 1;
        }
    }
    assert!(drawn > 20 && refused > 10, "{drawn} drawn, {refused} refused");
    fs::write(here.join("m.toml"), text).unwrap();
    let train =
        ["--limit-train", "64", "--limit-val", "4", "--epochs", "1", "--name", "r", "--profile=p.svg"];
    let weights = "runs/r/last.safetensors";
    for arguments in [
        &[&TRAIN[..7], &train].concat()[..],
        &["summary", "-m", "m.toml"],
        &["export", "--device", "cpu", "--weights", weights, "-o", "x.npz"],
        &["export", "--device", "cpu", "--weights", weights, "-o", "x.onnx"],
        &["import", "x.onnx", "-o", "imported"],
    ] {
        let output = striate(here, arguments).output().unwrap();
        let text = said(&output, &format!("{arguments:?}"));
        assert_eq!(output.status.code(), Some(0), "{arguments:?}: {text}");
    }
    drawing(&fs::read_to_string(here.join("p.svg")).unwrap());
    let tops: BTreeSet<_> = tree(here)
        .into_keys()
        .map(|path| path.strip_prefix(here).unwrap().iter().next().unwrap().to_owned())
        .collect();
    assert_eq!(tops, ["imported", "m.toml", "p.svg", "runs", "x.npz", "x.onnx"].map(Into::into).into());
    // Tensors that no network has: the message lists the first.
    let tensors: Vec<_> =
        names.iter().enumerate().map(|(n, name)| (format!("{name}{n}"), Tensor::full([2], 0.0))).collect();
    for (number, chunk) in tensors.chunks(5).enumerate() {
        let path = here.join(format!("t{number}.safetensors"));
        let notes = BTreeMap::from([
            ("classes".into(), serde_json::json!(names).to_string()),
            ("arch".into(), names[number].clone()),
        ]);
        safetensors::write(&path, chunk, &notes).unwrap();
        let output = striate(
            here,
            &[
                "export",
                "--device",
                "cpu",
                "-m",
                "lenet5",
                "-o",
                "o.npz",
                "--weights",
                path.to_str().unwrap(),
            ],
        )
        .output()
        .unwrap();
        let text = said(&output, "tensors");
        assert_eq!(output.status.code(), Some(4), "{text}");
        assert_eq!(text.lines().filter(|line| line.starts_with("error: ")).count(), 1, "{text}");
        assert!(!here.join("o.npz").exists());
    }
    println!(
        "B7: {} names of layers ({refused} refused, {drawn} drawn) and of tensors, all text",
        names.len()
    );
}
