//! A10: two processes never write to one folder, and one that is dead does not keep it.

use super::program::{self, place, run, start, train};
use super::size;
use std::path::Path;
use std::time::{Duration, Instant};

/// Waits until the run in `folder` has saved something, at most a minute.
fn wait_for_checkpoint(folder: &Path) {
    let began = Instant::now();
    while !folder.join("checkpoint.safetensors").exists() {
        assert!(began.elapsed() < Duration::from_secs(60), "waited a minute");
        std::thread::sleep(Duration::from_millis(2));
    }
}

#[test]
fn a_folder_has_one_writer_and_a_dead_one_does_not_keep_it() {
    let folder = place();
    let long = ["-q", "--epochs", "1000000"];
    let mut child = start(folder.path(), &train("tiny", "run", &long));
    let path = folder.path().join("runs/run");
    wait_for_checkpoint(&path);
    let resume = |more: &[&str]| train("tiny", "run", &[&long[..], &["--resume", "runs/run"], more].concat());
    let times = size(50, 50);
    for _ in 0..times {
        let output = run(folder.path(), &resume(&[]));
        assert_eq!(output.status.code(), Some(2), "{}", program::stderr(&output));
        assert_eq!(program::stderr(&output), "error: runs/run: another run is writing to this folder\n");
        // Not so much as a step was disturbed.
        assert!(child.try_wait().unwrap().is_none());
    }
    for _ in 0..times {
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(path.join(".lock").is_file());
        child = start(folder.path(), &resume(&[]));
        let log = path.join("log.jsonl");
        let length = || std::fs::metadata(&log).unwrap().len();
        let began = (Instant::now(), length());
        // It has cut the log to where it resumes, or written more.
        while length() == began.1 {
            assert!(began.0.elapsed() < Duration::from_secs(60), "{:?}", child.try_wait());
            std::thread::sleep(Duration::from_millis(2));
        }
    }
    child.kill().unwrap();
    child.wait().unwrap();
    println!("A10: {times} times refused with 2, {times} locks of killed processes taken over");
}

#[test]
fn runs_that_begin_at_once_get_folders_of_their_own() {
    let folder = place();
    let runs = size(8, 50);
    let children: Vec<_> = (0..runs).map(|_| start(folder.path(), &train("tiny", "run", &["-q"]))).collect();
    for child in children {
        let output = child.wait_with_output().unwrap();
        assert_eq!(output.status.code(), Some(0), "{}", program::stderr(&output));
    }
    let ends = |number: usize| {
        let name = if number == 1 { "run".to_string() } else { format!("run-{number}") };
        program::end(&folder.path().join("runs").join(name))
    };
    (2..=runs).for_each(|number| assert_eq!(ends(number), ends(1), "{number}"));
    println!("A10: {runs} runs of one name at once: {runs} folders, all the same");
}
