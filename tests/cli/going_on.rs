//! `train --resume` without the other flags: the run resumes with those that it was started with. More epochs are in
//! `more_epochs`.

use super::{TINY, code, stderr, striate, succeed};

#[test]
fn a_run_goes_on_with_the_flags_it_was_started_with() {
    let folder = tempfile::tempdir().unwrap();
    let parent = folder.path();
    let started = [&TINY[..], &["--name", "a b", "--lr", "0.02", "--freeze", "c1"]].concat();
    succeed(parent, &[&started[..], &["--name", "whole"]].concat());
    let first = succeed(parent, &[&started[..], &["--max-steps", "4"]].concat());
    assert!(first.contains("done, 4 steps"), "{first}");
    let args = std::fs::read_to_string(parent.join("runs/a_b/args.toml")).unwrap();
    let args: toml::Table = args.parse().unwrap();
    let options = &args["options"];
    assert_eq!((options["model"].as_str(), options["name"].as_str()), (Some("lenet5"), Some("a b")));
    assert_eq!(options["train"]["freeze"].as_str(), Some("c1"));
    assert_eq!(args["program"]["device"].as_str(), Some("cpu"));
    // Flags that do not describe the run may be given again, and are kept.
    let second = succeed(parent, &["train", "--resume", "runs/a_b", "--max-steps", "5"]);
    assert!(second.contains("done, 5 steps"), "{second}");
    let second = succeed(parent, &["train", "--resume", "runs/a_b"]);
    // The part of the epoch is evaluated again.
    assert!(second.contains("done before, nothing left to train, 5 steps"), "{second}");
    assert!(second.contains("to continue: striate train --resume runs/a_b --max-steps 10"), "{second}");
    let third =
        succeed(parent, &["-q", "train", "--resume=runs/a_b/checkpoint.safetensors", "--max-steps", "100"]);
    assert!(third.contains("done, 6 steps"), "{third}");
    let args = std::fs::read_to_string(parent.join("runs/a_b/args.toml")).unwrap();
    assert_eq!(args.parse::<toml::Table>().unwrap()["options"]["train"]["max_steps"].as_integer(), Some(100));
    let sum = |name: &str| {
        let log = std::fs::read_to_string(parent.join("runs").join(name).join("metrics.csv")).unwrap();
        log.lines().last().unwrap().rsplit(',').next().unwrap().to_string()
    };
    assert_eq!(sum("a_b"), sum("whole"));
}

#[test]
fn flags_that_describe_a_run_are_those_of_whoever_types_them() {
    let folder = tempfile::tempdir().unwrap();
    let parent = folder.path();
    succeed(parent, &[&TINY[..], &["-q", "--lr", "0.02"]].concat());
    // They are laid over those of the run: without --lr it is the same run.
    let again = succeed(parent, &[&TINY[..], &["--resume", "auto"]].concat());
    assert!(again.contains("done before"), "{again}");
    let other = [&TINY[..], &["--resume", "auto", "--lr", "0.3", "--epochs", "3"]].concat();
    let output = striate(parent, &other).output().unwrap();
    assert_eq!(code(&output), 2);
    let text = stderr(&output);
    assert!(text.contains("\n  --lr: 0.02 in this run, 0.3 given\n"), "{text}");
    // By force, and from then on.
    succeed(parent, &[&other[..], &["--resume-force"]].concat());
    let again = succeed(parent, &["train", "--resume", "runs/lenet5"]);
    assert!(again.contains("done before, nothing left to train, 9 steps"), "{again}");
    // A damaged description is no reason to guess.
    std::fs::write(parent.join("runs/lenet5/args.toml"), "command = 1\n").unwrap();
    let output = striate(parent, &["train", "--resume", "runs/lenet5"]).output().unwrap();
    assert_eq!((code(&output), stderr(&output).lines().count()), (4, 1));
    assert!(stderr(&output).contains("args.toml: command: expected a list of words"), "{}", stderr(&output));
    for command in [r#"["eval"]"#, r#"["train", "--no-such-flag"]"#, r#"["--help"]"#] {
        std::fs::write(parent.join("runs/lenet5/args.toml"), format!("command = {command}\n")).unwrap();
        let output = striate(parent, &["train", "--resume", "runs/lenet5"]).output().unwrap();
        assert_eq!((code(&output), stderr(&output).lines().count()), (4, 1), "{}", stderr(&output));
        assert!(stderr(&output).contains("args.toml: command: expected the words of"), "{}", stderr(&output));
    }
    // Nor is one with an option that this version does not know, or of another type.
    for (options, expected) in [("colour = 1", "unknown field `colour`"), ("amp = 1", "expected a boolean")] {
        std::fs::write(parent.join("runs/lenet5/args.toml"), format!("[options]\n{options}\n")).unwrap();
        let output = striate(parent, &["train", "--resume", "runs/lenet5"]).output().unwrap();
        assert_eq!((code(&output), stderr(&output).lines().count()), (4, 1), "{}", stderr(&output));
        assert!(stderr(&output).contains("args.toml: options: "), "{}", stderr(&output));
        assert!(stderr(&output).contains(expected), "{}", stderr(&output));
    }
    // Nor is a missing one: the flags are typed again.
    std::fs::remove_file(parent.join("runs/lenet5/args.toml")).unwrap();
    succeed(parent, &other);
}

#[test]
fn auto_goes_on_with_the_run_of_the_name_that_is_typed_and_with_its_flags() {
    let folder = tempfile::tempdir().unwrap();
    let parent = folder.path();
    succeed(parent, &[&TINY[..], &["--name", "alexnet-mini"]].concat());
    succeed(parent, &[&TINY[..], &["--name", "mine", "--lr", "0.02", "-vvvv", "--max-steps", "4"]].concat());
    let resume = ["-q", "train", "--resume", "auto", "--name", "mine", "--max-steps", "5"];
    let said = succeed(parent, &resume);
    assert!(said.contains("done, 5 steps"), "{said}");
}

#[test]
fn another_way_to_compute_is_told_and_another_number_of_threads_is_not() {
    let folder = tempfile::tempdir().unwrap();
    let parent = folder.path();
    succeed(parent, &[&TINY[..], &["--max-steps", "3"]].concat());
    let reported = |more: &[&str]| {
        let resume = ["train", "--resume", "runs/lenet5", "--max-steps", "4"];
        let output = striate(parent, &[&resume[..], more].concat()).output().unwrap();
        assert_eq!(code(&output), 0, "{}", stderr(&output));
        {
            let text = stderr(&output);
            text.contains("direct convolutions a run that started on ")
                && text.contains("will not be bit-identical")
        }
    };
    assert!(!reported(&["--threads", "1"]));
    assert!(reported(&["--no-winograd"]));
}

/// A run of three steps of six in `runs/lenet5`.
fn begun(parent: &std::path::Path, more: &[&str]) {
    succeed(parent, &[&TINY[..], &["--max-steps", "3"], more].concat());
}

#[test]
fn how_much_is_told_and_what_is_written_beside_is_up_to_whoever_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let parent = folder.path();
    begun(parent, &["-q", "--profile=profile.txt"]);
    std::fs::write(parent.join("profile.txt"), "mine").unwrap();
    let output =
        striate(parent, &["train", "-v", "--resume", "runs/lenet5", "--max-steps", "4"]).output().unwrap();
    assert_eq!(code(&output), 0, "{}", stderr(&output));
    assert!(stderr(&output).contains("resume: "), "{}", stderr(&output));
    // Nor by somebody else's folder.
    let args = parent.join("runs/lenet5/args.toml");
    let words = [&TINY[..], &["--profile=profile.txt"]].concat();
    std::fs::write(&args, format!("striate = \"0.1.0\"\ncommand = {words:?}\n")).unwrap();
    let more = ["train", "--resume", "runs/lenet5", "--max-steps", "5", "--on-device-lost", "stop"];
    assert!(succeed(parent, &more).contains("done, 5 steps"));
    assert_eq!(std::fs::read_to_string(parent.join("profile.txt")).unwrap(), "mine");
}

#[test]
fn what_goes_on_is_a_runs_own_folder_and_nobody_elses_files_are_touched() {
    let folder = tempfile::tempdir().unwrap();
    let parent = folder.path();
    begun(parent, &["-q"]);
    let other = parent.join("other");
    std::fs::create_dir(&other).unwrap();
    let files =
        [("metrics.csv", "mine, a long line of it, longer than what a run has\n"), (".thesis.docx.tmp", "x")];
    files.iter().for_each(|(name, text)| std::fs::write(other.join(name), text).unwrap());
    let refused = |file: &str, expected: &str| {
        let output = striate(parent, &[&TINY[..], &["--resume", file]].concat()).output().unwrap();
        let text = stderr(&output);
        assert_eq!(code(&output), 4, "{text}");
        assert!(text.lines().last().unwrap().contains(expected), "{text}");
        for (name, text) in files {
            assert_eq!(std::fs::read_to_string(other.join(name)).unwrap(), text);
        }
    };
    for name in ["copy.safetensors", "checkpoint.safetensors"] {
        std::fs::copy(parent.join("runs/lenet5/checkpoint.safetensors"), other.join(name)).unwrap();
    }
    refused("other/copy.safetensors", "found a file of another name");
    refused("other/checkpoint.safetensors", "metrics.csv: expected a run's folder");
    // Alone it may resume; and a temporary file that belongs to another program stays.
    std::fs::remove_file(other.join("metrics.csv")).unwrap();
    succeed(parent, &[&TINY[..], &["-q", "--resume", "other/checkpoint.safetensors"]].concat());
    assert!(other.join(".thesis.docx.tmp").exists() && other.join("log.jsonl").exists());
}

#[cfg(unix)]
#[test]
fn links_and_pipes_in_a_runs_folder_are_refused_and_not_waited_for() {
    let folder = tempfile::tempdir().unwrap();
    let parent = folder.path();
    begun(parent, &["-q"]);
    std::fs::write(parent.join("victim"), "precious\n").unwrap();
    for name in ["args.toml", "log.jsonl", "metrics.csv", ".lock"] {
        let path = parent.join("runs/lenet5").join(name);
        let sound = std::fs::read(&path).unwrap();
        for pipe in [false, true] {
            std::fs::remove_file(&path).unwrap();
            if pipe {
                assert!(std::process::Command::new("mkfifo").arg(&path).status().unwrap().success());
            } else {
                std::os::unix::fs::symlink(parent.join("victim"), &path).unwrap();
            }
            let mut command = striate(parent, &["train", "--resume", "runs/lenet5"]);
            let output = command.timeout(std::time::Duration::from_secs(30)).output().unwrap();
            assert_eq!((code(&output), stderr(&output).lines().count()), (4, 1), "{}", stderr(&output));
            let expected = format!("runs/lenet5/{name}: expected a plain file");
            assert!(stderr(&output).contains(&expected), "{}", stderr(&output));
        }
        std::fs::remove_file(&path).unwrap();
        std::fs::write(&path, sound).unwrap();
    }
    assert_eq!(std::fs::read_to_string(parent.join("victim")).unwrap(), "precious\n");
    succeed(parent, &["train", "--resume", "runs/lenet5"]);
}

#[test]
fn a_way_to_go_on_that_was_refused_is_not_kept() {
    let folder = tempfile::tempdir().unwrap();
    let parent = folder.path();
    begun(parent, &["-q"]);
    let forced = ["train", "--device", "cpu", "--dataset", "synthetic", "-m", "mlp-784-15-10"];
    let output = striate(parent, &[&forced[..], &["--resume", "runs/lenet5", "--resume-force"]].concat())
        .output()
        .unwrap();
    assert_eq!(code(&output), 4, "{}", stderr(&output));
    assert!(
        succeed(parent, &["train", "--resume", "runs/lenet5", "--max-steps", "4"]).contains("done, 4 steps")
    );
    // And the error says how to resume.
    let output = striate(parent, &["train", "--resume", "runs/lenet5", "--lr", "0.3"]).output().unwrap();
    assert_eq!(code(&output), 2);
    let text = stderr(&output);
    assert!(text.contains("with its own options: striate train --resume runs/lenet5 ("), "{text}");
}
