//! What the program says about itself: short and long help, flags only where they act, manual pages, completions, the built-in
//! networks.

use super::{code, json_lines, stderr, striate, succeed};
use std::collections::BTreeSet;
use std::path::Path;

/// Every verb with the flags that it offers, shared ones by group: O for json, quiet and verbose, D for those of the device.
const VERBS: [(&str, &str); 30] = [
    (
        "train",
        "O D data-path dataset input-range image-column label-column image-root transpose val-split split limit-train limit-val \
         workers ignore-exif on-bad-file model weights epochs batch-size lr opt momentum nesterov weight-decay lr-scheduler \
         lr-step-size lr-milestones lr-gamma lr-min lr-power lr-patience lr-cuts lr-warmup-epochs label-smoothing class-weights \
         clip-grad-norm grad-accum-steps patience ema mixup cutmix random-erasing trivial-augment seed output-dir name num-classes freeze lr-mult \
         max-steps log-every no-shuffle sampler no-augment no-dropout profile preview no-report on-device-lost amp overfit-batch resume \
         resume-force checkpoint-every checkpoint-hist",
    ),
    (
        "eval",
        "O D weights model part ten-crop confusion predictions mistakes robustness batch-size seed data-path dataset input-range \
         image-column label-column image-root transpose val-split split limit-train limit-val workers ignore-exif on-bad-file",
    ),
    (
        "predict",
        "O D explain layer output weights model top-k labels ten-crop annotate truth batch-size workers ignore-exif on-bad-file",
    ),
    ("report", "O"),
    ("report run", "O D output workers"),
    ("report filters", "O weights model output scale columns zoom layer"),
    ("report activations", "O D weights model output scale columns zoom image ignore-exif layer"),
    (
        "export",
        "O D weights model format output with-preprocess batch-size data-path dataset input-range image-column label-column \
         image-root transpose val-split split limit-val ignore-exif",
    ),
    ("import", "O output force model name classes input external-data scale mean std resize"),
    ("summary", "O model batch-size expand ema"),
    ("devices", "O"),
    ("selftest", "O D only"),
    ("bench", "O"),
    (
        "bench step",
        "O D model batch-size amp alone profile roofline trace checked tile warmup samples seconds",
    ),
    ("bench data", "O data-path picture ignore-exif model batch-size images workers warmup samples seconds"),
    ("bench ops", "O D batch-size only conv linear pool alone roofline checked tile warmup samples seconds"),
    ("bench compare", "O threshold run rounds"),
    ("bench device", "O device threads tune sustain alone checked tile warmup samples seconds"),
    ("shader", "O op model batch-size tile"),
    (
        "trace",
        "O D model weights output seed dropout evaluation no-fuse data-path dataset input-range image-column label-column \
         image-root transpose val-split split limit-train ignore-exif on-bad-file batch-size lr opt momentum nesterov \
         weight-decay label-smoothing class-weights clip-grad-norm",
    ),
    ("weights", "O"),
    ("weights list", "O"),
    ("weights fetch", "O output force from"),
    ("dataset", "O"),
    (
        "dataset info",
        "O dataset input-range image-column label-column image-root transpose val-split seed size ignore-exif channels",
    ),
    (
        "dataset stats",
        "O dataset input-range image-column label-column image-root transpose val-split seed size ignore-exif channels \
         on-bad-file workers",
    ),
    (
        "dataset pack",
        "O output dataset input-range image-column label-column image-root transpose val-split seed size ignore-exif channels \
         on-bad-file workers",
    ),
    ("dataset fetch", "O dir from"),
    ("learn", "O D output lang data-path weights image seed"),
    ("models", "O"),
];

/// Those that print a text of another format.
const SCRIPTS: [(&str, &str); 2] = [("completions", ""), ("man", "output")];

const OUTPUT: [&str; 3] = ["json", "quiet", "verbose"];
const DEVICE: [&str; 4] = ["device", "threads", "tune", "no-winograd"];

fn all() -> impl Iterator<Item = (Vec<&'static str>, BTreeSet<&'static str>)> {
    VERBS.into_iter().chain(SCRIPTS).map(|(verb, flags)| {
        let flags = flags.split_whitespace().flat_map(|word| match word {
            "O" => OUTPUT.to_vec(),
            "D" => DEVICE.to_vec(),
            flag => vec![flag],
        });
        (verb.split(' ').collect(), flags.chain(["help"]).collect())
    })
}

/// The long flags of the lines of `help` that begin with one.
fn flags(help: &str) -> BTreeSet<&str> {
    let lines = help.lines().map(str::trim_start).filter(|line| line.starts_with('-'));
    let names = lines.filter_map(|line| line.split_whitespace().find_map(|word| word.strip_prefix("--")));
    names.map(|name| name.split(['=', '[', '<', '.']).next().unwrap()).collect()
}

fn help(folder: &Path, verb: &[&str], flag: &str, columns: &str) -> String {
    let output = striate(folder, &[verb, &[flag]].concat()).env("COLUMNS", columns).output().unwrap();
    assert_eq!(code(&output), 0, "{verb:?} {flag}: {}", stderr(&output));
    String::from_utf8(output.stdout).unwrap()
}

/// The headings, in their order.
fn headings(help: &str) -> Vec<&str> {
    let is_heading =
        |line: &&str| line.ends_with(':') && line.starts_with(|c: char| c.is_uppercase() && c != 'E');
    help.lines().filter(is_heading).collect()
}

#[test]
fn a_verb_offers_the_flags_that_act_and_no_others() {
    let folder = tempfile::tempdir().unwrap();
    for (verb, expected) in all() {
        let text = help(folder.path(), &verb, "--help", "100");
        assert_eq!(flags(&text), expected, "striate {}", verb.join(" "));
        // What all verbs share comes last.
        let groups = headings(&text);
        let last: &[&str] = match expected.contains("device") {
            true => &["Output:", "Device:"],
            false => &["Output:"],
        };
        assert!(groups.ends_with(last), "{verb:?}: {groups:?}");
    }
}

#[test]
fn the_verbs_are_all_in_the_table() {
    let folder = tempfile::tempdir().unwrap();
    let below = |verb: &[&str]| -> BTreeSet<String> {
        let text = help(folder.path(), verb, "-h", "100");
        let commands = text.lines().skip_while(|line| *line != "Commands:").skip(1);
        // Other lines go on with a description.
        let names =
            commands.take_while(|line| line.starts_with("  ")).filter(|line| !line.starts_with("   "));
        names.map(|line| line.split_whitespace().next().unwrap().to_string()).collect()
    };
    let known: BTreeSet<String> = all().map(|(verb, _)| verb.join(" ")).collect();
    let mut found = below(&[]);
    for group in ["report", "bench", "weights", "dataset"] {
        found.extend(
            below(&[group]).into_iter().filter(|verb| verb != "help").map(|verb| format!("{group} {verb}")),
        );
    }
    found.remove("help");
    assert_eq!(found, known);
}

/// A flag of the device is refused where nothing computes, and decides on the device elsewhere.
#[test]
fn flags_of_the_device_act_where_they_are_offered() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    image::GrayImage::from_pixel(28, 28, image::Luma([9])).save(root.join("p.png")).unwrap();
    let train = "train --device cpu -m lenet5 --dataset synthetic --limit-train 16 --limit-val 4 -b 8 --epochs 1 -q --name w";
    succeed(root, &train.split(' ').collect::<Vec<_>>());
    let weights = ["--weights", "runs/w"];
    let synthetic = ["-m", "lenet5", "--dataset", "synthetic", "--limit-train", "4"];
    let needed: [(&str, Vec<&str>); 12] = [
        ("train", [&synthetic[..], &["--limit-val", "4", "--epochs", "1"]].concat()),
        ("eval", [&weights[..], &["--dataset", "synthetic", "--limit-val", "4"]].concat()),
        ("predict", [&weights[..], &["p.png"]].concat()),
        (
            "report activations",
            [&weights[..], &["--image", "p.png", "--layer", "c1", "-o", "o.png"]].concat(),
        ),
        ("report run", vec!["runs/w", "-o", "r.html"]),
        ("export", [&weights[..], &["-o", "o.onnx", "--dataset", "synthetic"]].concat()),
        ("selftest", vec!["--only", "softmax"]),
        ("bench step", vec!["-m", "lenet5", "-b", "1", "--samples", "3", "--seconds", "0"]),
        ("bench ops", vec!["-b", "1", "--only", "max_pool2d", "--samples", "3", "--seconds", "0"]),
        ("bench device", vec!["--samples", "3", "--seconds", "0"]),
        ("trace", [&synthetic[..], &["-o", "t.safetensors"]].concat()),
        ("learn", vec!["neuron"]),
    ];
    let mut computing = BTreeSet::new();
    for (verb, needed) in &needed {
        let words: Vec<&str> = verb.split(' ').chain(needed.iter().copied()).collect();
        let output =
            striate(root, &[&words[..], &["--device", "no such adapter"]].concat()).output().unwrap();
        let text = stderr(&output);
        assert!(code(&output) == 3 && text.contains("no adapter with \"no such adapter\""), "{verb}: {text}");
        // Before the verb it is the same flag.
        let output = striate(root, &[&["--device", "997"], &words[..]].concat()).output().unwrap();
        assert_eq!(code(&output), 3, "{verb}: {}", stderr(&output));
        computing.insert(verb.to_string());
    }
    for (verb, expected) in all() {
        let is_computing = computing.contains(&verb.join(" "));
        assert_eq!(expected.contains("device"), is_computing, "{verb:?}");
        for flag in [&["--device", "cpu"][..], &["--threads", "1"], &["--tune", "off"], &["--no-winograd"]] {
            if expected.contains(flag[0].trim_start_matches('-')) {
                continue;
            }
            let output = striate(root, &[&verb[..], flag].concat()).output().unwrap();
            let text = stderr(&output);
            let is_group = ["report", "bench", "weights", "dataset"].contains(&verb.join(" ").as_str());
            assert_eq!(code(&output), 2, "{verb:?} {flag:?}: {text}");
            assert!(is_group || text.contains(&format!("{}: striate", flag[0])), "{verb:?} {flag:?}: {text}");
        }
    }
    // The others of the group: the number of threads is that of the device, and the kernels of the CPU are not tuned.
    let one = [&["eval", "--device", "cpu", "--threads", "1", "--tune", "force"][..], &needed[1].1].concat();
    let output = striate(root, &one).output().unwrap();
    let text = stderr(&output);
    assert!(text.contains("cpu, 1 thread") && text.contains("--tune force has no effect"), "{text}");
}

#[test]
fn flags_of_a_group_that_a_verb_ignores_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    for (words, flag) in [
        ("trace -m lenet5 --dataset synthetic -o t.safetensors --epochs 3", "--epochs"),
        ("trace -m lenet5 --dataset synthetic -o t.safetensors --lr-scheduler cosine", "--lr-scheduler"),
        ("export -m lenet5 -o o.onnx --workers 2", "--workers"),
    ] {
        let output = striate(folder.path(), &words.split(' ').collect::<Vec<_>>()).output().unwrap();
        let text = stderr(&output);
        assert!(code(&output) == 2 && text.starts_with(&format!("error: {flag} has no effect: ")), "{text}");
    }
}

#[test]
fn short_help_fits_on_a_screen_and_long_help_has_an_example() {
    let folder = tempfile::tempdir().unwrap();
    for (verb, offered) in all().chain([(Vec::new(), BTreeSet::new())]) {
        for columns in ["80", "100", "140"] {
            let short = help(folder.path(), &verb, "-h", columns);
            let lines = short.lines().count();
            assert!(lines <= 30, "{verb:?} in {columns} columns: {lines} lines\n{short}");
            // clap wraps all but the usage.
            let lines = short.lines().filter(|line| !line.starts_with("Usage: "));
            let widest = lines.map(|line| line.chars().count()).max().unwrap();
            assert!(widest <= columns.parse().unwrap(), "{widest} columns: {short}");
        }
        let (short, long) =
            (help(folder.path(), &verb, "-h", "100"), help(folder.path(), &verb, "--help", "100"));
        assert!(long.lines().count() >= short.lines().count(), "{verb:?}");
        // What is left out is announced.
        if flags(&short).len() < offered.len() {
            assert!(short.trim_end().ends_with(&format!("striate {} --help", verb.join(" "))), "{short}");
        }
        let is_group = ["", "report", "bench", "dataset"].contains(&verb.join(" ").as_str());
        assert!(is_group || long.contains("Example"), "{verb:?}: {long}");
    }
    let short = help(folder.path(), &["train"], "-h", "80");
    let groups: Vec<&str> =
        headings(&short).into_iter().map(|line| line.split([' ', ':']).next().unwrap()).collect();
    assert_eq!(groups, ["Data", "Recipe", "Output", "Device"], "{short}");
    // Defaults are shown.
    assert!(short.contains("[default: runs]") && short.contains("[default: auto]"), "{short}");
}

#[test]
fn help_of_a_verb_is_its_long_help() {
    let folder = tempfile::tempdir().unwrap();
    for verb in [&["train"][..], &["dataset", "fetch"], &["test"]] {
        let text = succeed(folder.path(), &[&["help"], verb].concat());
        assert_eq!(text, help(folder.path(), verb, "--help", ""), "{verb:?}");
    }
    assert!(succeed(folder.path(), &["help"]).contains("Commands:"));
}

#[test]
fn manual_pages_are_written_for_every_verb() {
    let folder = tempfile::tempdir().unwrap();
    let page = succeed(folder.path(), &["man"]);
    assert!(
        page.contains(".TH STRIATE 1")
            && page.contains("striate\\-train")
            && page.contains("Train a network"),
        "{page}"
    );
    assert_eq!(
        succeed(folder.path(), &["man", "-o", "in/man1"]),
        format!("in/man1: {} pages\n", all().count() + 1)
    );
    for (verb, flags) in all() {
        let path = folder.path().join(format!("in/man1/striate-{}.1", verb.join("-")));
        let page = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path:?}: {error}"));
        for flag in flags {
            assert!(page.contains(&format!("\\-\\-{}", flag.replace('-', "\\-"))), "{verb:?} {flag}");
        }
    }
    // Its checks are those of a reader of such pages, where one is installed.
    let lint = std::process::Command::new("mandoc")
        .args(["-T", "lint", "-W", "warning"])
        .args(std::fs::read_dir(folder.path().join("in/man1")).unwrap().map(|entry| entry.unwrap().path()))
        .output();
    if let Ok(output) = lint {
        let text = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success() && text.is_empty(), "{text}");
    }
    let output = striate(folder.path(), &["man", "-o", "in/man1/striate.1"]).output().unwrap();
    assert_ne!(code(&output), 0, "a file where the folder should be");
}

/// The words that a shell is offered after `words`.
fn completed(folder: &Path, words: &[&str]) -> Vec<String> {
    let line: Vec<&str> = ["--", "striate"].iter().chain(words).copied().collect();
    let output = striate(folder, &line)
        .env("STRIATE_COMPLETE", "bash")
        .env("_CLAP_COMPLETE_INDEX", words.len().to_string())
        .env("_CLAP_IFS", "\n")
        .output()
        .unwrap();
    assert_eq!(code(&output), 0, "{words:?}: {}", stderr(&output));
    String::from_utf8(output.stdout).unwrap().lines().map(String::from).collect()
}

#[test]
fn shells_are_told_verbs_flags_and_values() {
    let folder = tempfile::tempdir().unwrap();
    for file in ["mine.toml", "w.safetensors", "notes.txt"] {
        std::fs::write(folder.path().join(file), "").unwrap();
    }
    let offered = |words: &[&str]| completed(folder.path(), words);
    for shell in ["bash", "zsh", "fish", "powershell", "elvish"] {
        let script = succeed(folder.path(), &["completions", shell]);
        assert!(script.contains("STRIATE_COMPLETE") && script.contains("striate"), "{shell}: {script}");
    }
    assert_eq!(offered(&["tra"]), ["train", "trace"]);
    assert!(offered(&["train", "--lr-"]).contains(&"--lr-milestones".to_string()));
    // Flags that a verb has not are not offered.
    assert!(offered(&["dataset", "info", "--dev"]).is_empty());
    assert_eq!(offered(&["train", "-m", "lenet"]), ["lenet5"]);
    let models = offered(&["train", "-m", ""]);
    assert!(models.contains(&"mine.toml".into()) && !models.contains(&"notes.txt".into()), "{models:?}");
    assert_eq!(offered(&["eval", "--weights", "w"]), ["w.safetensors"]);
    assert_eq!(offered(&["eval", "--device", ""]), ["auto", "cpu", "gpu"]);
    assert_eq!(offered(&["train", "--opt", "ad"]), ["adam", "adamw"]);
    assert_eq!(offered(&["train", "--dataset", "cif"]), ["cifar10", "cifar100"]);
    assert_eq!(offered(&["dataset", "fetch", "cif"]), ["cifar10", "cifar100"]);
    assert!(offered(&["train", "--data-path", "fash"]).contains(&"fashion-mnist".to_string()));
    let output = striate(folder.path(), &[]).env("STRIATE_COMPLETE", "tcsh").output().unwrap();
    assert_eq!(code(&output), 2, "{}", stderr(&output));
}

#[test]
fn built_in_networks_are_listed_with_what_summary_counts() {
    let folder = tempfile::tempdir().unwrap();
    let list = &json_lines(&succeed(folder.path(), &["models", "--json"]))[0]["models"];
    let text = succeed(folder.path(), &["models"]);
    let names = striate::model::Spec::builtin_names();
    assert_eq!(list.as_array().unwrap().len(), names.len());
    assert_eq!(text.lines().count(), names.len() + 1);
    for (network, line) in list.as_array().unwrap().iter().zip(text.lines().skip(1)) {
        let name = network["name"].as_str().unwrap();
        let summary = &json_lines(&succeed(folder.path(), &["summary", "--json", "-b", "1", "-m", name]))[0];
        assert_eq!(network["parameters"], summary["parameters"], "{name}");
        assert_eq!(
            &network["outputs"],
            summary["layers"].as_array().unwrap().last().unwrap()["output"]
                .as_array()
                .unwrap()
                .last()
                .unwrap(),
            "{name}"
        );
        let about = network["about"].as_str().unwrap();
        assert!((10..=100).contains(&about.chars().count()) && !about.ends_with('.'), "{name}: {about}");
        for part in [name, about, &network["parameters"].to_string()] {
            assert!(line.contains(part), "no {part} in {line}");
        }
    }
    assert!(text.contains("3x224x224") && text.contains("61100840"), "{text}");
}
