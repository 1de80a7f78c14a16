//! The program where it was installed: without its sources, in an empty folder, with and without a network (a script in
//! place of `curl`).

use crate::{code, stderr};
use std::fs;
use std::path::Path;
use std::process::{Command, Output};

/// A home with the program in `bin`, and a `curl` that runs `script` as a shell.
struct Home(tempfile::TempDir);

impl Home {
    fn new(script: &str) -> Home {
        use std::os::unix::fs::PermissionsExt;
        let home = tempfile::tempdir().unwrap();
        for folder in ["bin", "empty"] {
            fs::create_dir(home.path().join(folder)).unwrap();
        }
        fs::copy(assert_cmd::cargo::cargo_bin("striate"), home.path().join("bin/striate")).unwrap();
        let curl = home.path().join("bin/curl");
        fs::write(&curl, format!("#!/bin/sh\n{script}\n")).unwrap();
        fs::set_permissions(&curl, fs::Permissions::from_mode(0o755)).unwrap();
        Home(home)
    }

    fn striate(&self, arguments: &[&str]) -> Output {
        let path =
            std::env::join_paths([self.path("bin"), Path::new("/usr/bin").into(), Path::new("/bin").into()]);
        Command::new(self.path("bin/striate"))
            .env_clear()
            .envs([("HOME", self.path("")), ("PATH", path.unwrap().into())])
            .env("STRIATE_CACHE", "")
            .current_dir(self.path("empty"))
            .args(arguments)
            .output()
            .unwrap()
    }

    fn path(&self, below: &str) -> std::path::PathBuf {
        self.0.path().join(below)
    }

    fn data(&self, below: &str) -> std::path::PathBuf {
        self.path(".local/share/striate").join(below)
    }
}

const TRAIN: [&str; 5] = ["train", "--device", "cpu", "--max-steps", "1"];

#[test]
fn without_a_network_one_line_says_what_to_do() {
    let home = Home::new("echo 'curl: (6) Could not resolve host: github.com' >&2; exit 6");
    let output = home.striate(&TRAIN);
    let text = stderr(&output);
    assert_eq!(code(&output), 4, "{text}");
    // What it tries, from where, and how much that is.
    assert!(text.contains("fetching it (29.4 MiB) from https://github.com/zalandoresearch/"), "{text}");
    let errors: Vec<_> = text.lines().filter(|line| line.starts_with("error: ")).collect();
    let [error] = errors[..] else { panic!("one error line: {text}") };
    for part in
        ["fashion-mnist: ", "Could not resolve host", "--data-path", "`striate dataset fetch fashion-mnist`"]
    {
        assert!(error.contains(part), "{part}: {error}");
    }
    assert!(!home.data("fashion-mnist").exists() && !home.data("fashion-mnist.part").exists());
    assert!(fs::read_dir(home.path("empty")).unwrap().next().is_none(), "a run folder");
}

#[test]
fn a_download_that_breaks_off_is_no_data_set_and_is_continued() {
    let home = Home::new("printf 0123456789; echo 'curl: (56) Recv failure' >&2; exit 56");
    for expected in [10, 20] {
        let output = home.striate(&TRAIN);
        let text = stderr(&output);
        assert!(code(&output) == 4 && text.contains("Recv failure"), "{text}");
        assert!(!home.data("fashion-mnist").exists());
        let part = home.data("fashion-mnist.part/train-images-idx3-ubyte.gz.part");
        assert_eq!(part.metadata().unwrap().len(), expected);
    }
}

#[test]
fn the_truth_table_of_the_neuron_comes_with_the_program() {
    let home = Home::new("exit 6");
    for note in ["traffic-light was written to ", ""] {
        let output = home.striate(&["eval", "-m", "neuron", "--device", "cpu"]);
        let text = stderr(&output);
        assert!(code(&output) == 0 && text.contains(note), "{text}");
        assert!(!note.is_empty() || !text.contains("traffic-light was written"), "{text}");
    }
    let shipped = concat!(env!("CARGO_MANIFEST_DIR"), "/data/traffic-light/train.csv");
    assert_eq!(fs::read(home.data("traffic-light/train.csv")).unwrap(), fs::read(shipped).unwrap());
}

#[test]
fn data_of_ones_own_is_not_looked_for_elsewhere() {
    let home = Home::new("exit 6");
    let output = home.striate(&["train", "--device", "cpu", "--data-path", "mnist"]);
    let text = stderr(&output);
    assert!(code(&output) == 4 && text.contains("mnist: no such data set; looked for mnist"), "{text}");
    assert!(!text.contains("fetching"), "{text}");
}
