//! Row A11: a run that an earlier version saved can be resumed. `tests/fixtures/runs` has a folder for each version that was released or
//! is about to be: `striate train -m tiny.toml --dataset synthetic ...` stopped at step 10 of 18, as its `args.toml` says.
//!
//! A version whose checkpoints cannot be read any more must be refused in one line, and its folder leave this list.

use super::program::{run, stderr};
use std::path::Path;

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap().map(|entry| entry.unwrap()) {
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), target).unwrap();
        }
    }
}

#[test]
fn runs_of_every_version_go_on() {
    let versions = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/runs");
    let mut count = 0;
    for version in std::fs::read_dir(versions).unwrap().map(|entry| entry.unwrap().path()) {
        let folder = tempfile::tempdir().unwrap();
        copy(&version, folder.path());
        let words = ["train", "--resume", "runs/tiny", "--max-steps", "100"].map(String::from);
        let output = run(folder.path(), &words);
        let text = stderr(&output);
        assert_eq!(output.status.code(), Some(0), "{}: {text}", version.display());
        assert!(!text.contains("warning"), "{}: {text}", version.display());
        let said = String::from_utf8_lossy(&output.stdout);
        assert!(said.contains("done, 18 steps"), "{}: {said}", version.display());
        let log = std::fs::read_to_string(folder.path().join("runs/tiny/metrics.csv")).unwrap();
        assert_eq!(log.lines().count(), 4, "the lines of the epoch before, and of the two after: {log}");
        count += 1;
    }
    assert!(count > 0);
    println!("A11: runs of {count} versions resume");
}
