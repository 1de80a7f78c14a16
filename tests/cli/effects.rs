//! Flags and keys that would be taken and do nothing are refused: in one line that says what they would need.

use super::{TINY, code, stderr, striate, succeed};
use std::path::Path;

const OPTIMIZERS: [&str; 4] = ["sgd", "adam", "adamw", "rmsprop"];
const SCHEDULERS: [&str; 6] = ["constant", "step", "multistep", "cosine", "poly", "plateau"];

/// Keys, a value, and the optimizers or schedulers that heed them: from PyTorch's documentation of each.
const BY_OPTIMIZER: [(&str, &str, &[&str]); 5] = [
    ("nesterov", "true", &["sgd"]),
    ("momentum", "0.5", &OPTIMIZERS),
    ("beta2", "0.9", &["adam", "adamw", "rmsprop"]),
    ("eps", "1e-6", &["adam", "adamw", "rmsprop"]),
    ("weight_decay", "0.1", &OPTIMIZERS),
];
const BY_SCHEDULER: [(&str, &str, &[&str]); 8] = [
    ("lr_step_size", "2", &["step"]),
    ("lr_milestones", "1", &["multistep"]),
    ("lr_gamma", "0.5", &["step", "multistep", "plateau"]),
    ("lr_min", "0.001", &["step", "multistep", "cosine", "poly", "plateau"]),
    ("lr_power", "2.0", &["poly"]),
    ("lr_patience", "2", &["plateau"]),
    ("lr_cuts", "2", &["plateau"]),
    ("lr_warmup_epochs", "1.0", &SCHEDULERS),
];

/// `striate train` that ends after a preview sheet of the first samples: all that is refused is refused before.
fn looked_at(folder: &Path, words: &[&str]) -> (i32, String) {
    let output = striate(
        folder,
        &[
            &[
                "train",
                "--device",
                "cpu",
                "--dataset",
                "synthetic",
                "--limit-train",
                "4",
                "--limit-val",
                "4",
                "--preview",
                "p.png",
            ],
            words,
        ]
        .concat(),
    )
    .output()
    .unwrap();
    (code(&output), stderr(&output))
}

/// The message of a command that is refused with exit code 2.
#[track_caller]
fn refused(folder: &Path, words: &[&str]) -> String {
    let output = striate(folder, words).output().unwrap();
    assert_eq!(code(&output), 2, "{words:?}: {}", stderr(&output));
    stderr(&output)
}

/// Fails unless exactly the words that `heeds` are accepted; `names` are what a refusal names.
#[track_caller]
fn assert_pair(found: (i32, String), heeds: bool, names: &[&str]) {
    let (code, text) = found;
    if heeds {
        assert_eq!(code, 0, "{names:?}: {text}");
        return;
    }
    assert_eq!(code, 2, "{names:?}: {text}");
    let line = text.lines().last().unwrap();
    assert!(line.starts_with("error: ") && line.ends_with("has no effect"), "{line}");
    for name in names {
        assert!(line.contains(name), "no {name} in {line}");
    }
}

#[test]
fn flags_without_effect_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let flag = |key: &str| format!("--{}", key.replace('_', "-"));
    for (key, value, heeding) in BY_OPTIMIZER {
        // There are no flags of these two.
        for optimizer in OPTIMIZERS.iter().filter(|_| !["beta2", "eps"].contains(&key)) {
            let given = format!("{}={value}", flag(key));
            let found = looked_at(
                folder.path(),
                &["-m", "mlp-784-15-10", "--opt", optimizer, "--momentum=0.9", &given],
            );
            assert_pair(found, heeding.contains(optimizer), &[&flag(key), "--opt", optimizer]);
        }
    }
    for (key, value, heeding) in BY_SCHEDULER {
        for scheduler in SCHEDULERS {
            let given = format!("{}={value}", flag(key));
            let needs: &[&str] =
                if scheduler == "multistep" && key != "lr_milestones" { &["--lr-milestones=1"] } else { &[] };
            let words = [&["-m", "lenet5", "--lr-scheduler", scheduler, &given], needs].concat();
            let found = looked_at(folder.path(), &words);
            assert_pair(found, heeding.contains(&scheduler), &[&flag(key), "--lr-scheduler", scheduler]);
        }
    }
    // The scheduler and the loss may be the model file's: a cosine, and half squared errors.
    let found = looked_at(folder.path(), &["-m", "lenet5", "--lr-step-size", "3"]);
    assert_pair(found, false, &["--lr-step-size: expected --lr-scheduler step, found cosine"]);
    let found = looked_at(folder.path(), &["-m", "mlp-784-15-10", "--label-smoothing", "0.1"]);
    assert_pair(found, false, &["--label-smoothing: expected loss cross-entropy, found mse"]);
    let found = looked_at(folder.path(), &["-m", "lenet5", "--label-smoothing", "0.1"]);
    assert_pair(found, true, &[]);
    let (code, text) = looked_at(folder.path(), &["-m", "lenet5", "--lr-scheduler", "multistep"]);
    assert!(
        code == 2 && text.contains("--lr-scheduler: expected --lr-milestones beside multistep, found none"),
        "{text}"
    );
}

/// A model file with a recipe.
fn model(folder: &Path, recipe: &str) {
    let text = format!(
        "name = \"m\"\ninput = [1, 4, 4]\n[recipe]\n{recipe}\n[[layer]]\nop = \"flatten\"\n[[layer]]\nop = \"linear\"\nout_features = 10\n"
    );
    std::fs::write(folder.join("m.toml"), text).unwrap();
}

#[test]
fn keys_of_a_model_file_without_effect_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let check = |recipe: &str, heeds: bool, names: &[&str]| {
        model(folder.path(), recipe);
        assert_pair(looked_at(folder.path(), &["-m", "m.toml"]), heeds, names);
    };
    for (key, value, heeding) in BY_OPTIMIZER {
        for optimizer in OPTIMIZERS {
            let more = if key == "momentum" { "" } else { "\nmomentum = 0.9" };
            let recipe = format!("optimizer = \"{optimizer}\"\n{key} = {value}{more}");
            check(
                &recipe,
                heeding.contains(&optimizer),
                &["m.toml:5: [recipe]: ", key, "optimizer", optimizer],
            );
        }
    }
    for (key, value, heeding) in BY_SCHEDULER {
        for scheduler in SCHEDULERS {
            let value = if key == "lr_milestones" { "[1]" } else { value };
            let more =
                if scheduler == "multistep" && key != "lr_milestones" { "\nlr_milestones = [1]" } else { "" };
            let recipe = format!("lr_scheduler = \"{scheduler}\"\n{key} = {value}{more}");
            check(
                &recipe,
                heeding.contains(&scheduler),
                &["m.toml:5: [recipe]: ", key, "lr_scheduler", scheduler],
            );
        }
    }
    check(
        "loss = \"mse\"\nlabel_smoothing = 0.1",
        false,
        &["m.toml:5", "label_smoothing", "loss cross-entropy, found mse"],
    );
    check("label_smoothing = 0.1", true, &[]);
}

/// What a model file has for its own scheduler or optimizer is no mistake where a flag takes another.
#[test]
fn a_flag_may_take_the_effect_from_a_key_of_the_model_file() {
    let folder = tempfile::tempdir().unwrap();
    model(
        folder.path(),
        "nesterov = true\nlr_scheduler = \"step\"\nlr_step_size = 5\nlr_gamma = 0.5\nlabel_smoothing = 0.1",
    );
    for flags in [
        &["--lr-scheduler", "cosine"][..],
        &["--opt", "adam"],
        &["--opt", "rmsprop", "--lr-scheduler", "poly"],
    ] {
        let (code, text) = looked_at(folder.path(), &[&["-m", "m.toml"], flags].concat());
        assert_eq!(code, 0, "{flags:?}: {text}");
    }
    let (code, text) = looked_at(
        folder.path(),
        &["-m", "alexnet", "--opt", "adamw", "--lr-scheduler", "constant", "--limit-train", "2"],
    );
    assert_eq!(code, 0, "{text}");
    // But it is one where the file itself has both.
    model(folder.path(), "optimizer = \"adam\"\nnesterov = true");
    let (code, _) = looked_at(folder.path(), &["-m", "m.toml", "--opt", "sgd"]);
    assert_eq!(code, 2);
}

#[test]
fn the_values_that_another_optimizer_brings_are_told() {
    let folder = tempfile::tempdir().unwrap();
    let reported = |flags: &[&str]| {
        let (code, text) = looked_at(folder.path(), &[&["-m", "lenet5"], flags].concat());
        assert_eq!(code, 0, "{text}");
        text.lines().find(|line| line.starts_with("optimizer: ")).map(String::from)
    };
    assert_eq!(reported(&["--opt", "sgd"]).unwrap(), "optimizer: sgd, lr 0.01, momentum 0.9, weight decay 0");
    let flags = ["--opt", "rmsprop", "--lr", "0.5", "--wd", "0.25"];
    assert_eq!(reported(&flags).unwrap(), "optimizer: rmsprop, lr 0.5, momentum 0, weight decay 0.25");
    // The model file's own brings nothing.
    assert_eq!(reported(&["--opt", "adam"]), None);
}

/// A run that was started when such flags were still taken is resumed unchanged.
#[test]
fn an_old_run_with_idle_flags_is_resumed() {
    let folder = tempfile::tempdir().unwrap();
    let parent = folder.path();
    model(parent, "optimizer = \"adam\"\nepochs = 2\nlr_scheduler = \"cosine\"");
    let start = [
        "train",
        "--device",
        "cpu",
        "-m",
        "m.toml",
        "--dataset",
        "synthetic",
        "--limit-train",
        "48",
        "--limit-val",
        "4",
        "-b",
        "16",
    ];
    succeed(parent, &[&start[..], &["--max-steps", "3"]].concat());
    // As such a run left its command; a changed model file would be another run.
    let path = parent.join("runs/m/args.toml");
    let text = std::fs::read_to_string(&path).unwrap();
    let idle = ["--lr-power", "1", "--lr-cuts=7", "--tune", "force"];
    std::fs::write(&path, format!("command = {:?}\n{text}", [&start[..], &idle].concat())).unwrap();
    let text = std::fs::read_to_string(&path).unwrap();
    std::fs::write(&path, text.split("[program]").next().unwrap()).unwrap();
    let output = striate(parent, &["train", "--resume", "runs/m", "--resume-force", "--max-steps", "4"])
        .output()
        .unwrap();
    assert_eq!(code(&output), 0, "{}", stderr(&output));
    // In a new run they are not.
    refused(parent, &[&start[..], &["--lr-power", "1"]].concat());
}

#[test]
fn words_about_the_device_that_do_nothing_are_told() {
    let folder = tempfile::tempdir().unwrap();
    let reported = |more: &[&str]| {
        let output =
            striate(folder.path(), &[&TINY[..], &["--max-steps", "1"], more].concat()).output().unwrap();
        assert_eq!(code(&output), 0, "{}", stderr(&output));
        stderr(&output).lines().find(|line| line.contains("has no effect")).map(String::from)
    };
    let line = reported(&["--tune", "force"]).unwrap();
    assert!(line.starts_with("warning: --tune force has no effect: expected a GPU"), "{line}");
    for more in [&["--tune", "on"][..], &["--no-winograd"]] {
        assert_eq!(reported(more), None);
    }
    // A profile goes to stderr, where --quiet prints nothing.
    let message = refused(folder.path(), &[&TINY[..], &["-q", "--profile"]].concat());
    assert!(message.contains("--profile: expected a file (--profile=FILE) with --quiet"), "{message}");
    succeed(folder.path(), &[&TINY[..], &["-q", "--profile=p.txt"]].concat());
    assert!(folder.path().join("p.txt").exists());
}
