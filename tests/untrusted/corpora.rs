//! Every reader on every file of `corpus/`: what fuzzing (`run`) began with, and what it found worth keeping. No panic, no bad
//! error, not much memory, not much time.

use crate::{allocations, targets};
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// Most bytes that a reader holds at once beyond twice the file: row B3. A picture may take what its header claims, as far
/// as the file's length bears it out.
const MOST: usize = 64 << 20;

/// Longest that one small file may take; the machine may be busy.
const LONGEST: Duration = Duration::from_secs(5);

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fuzz")
}

/// The files of a target, in the order of their names.
fn corpus(target: &str) -> Vec<(PathBuf, Vec<u8>)> {
    let folder = root().join("corpus").join(target);
    let mut paths: Vec<_> = fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    paths.into_iter().map(|path| (path.clone(), fs::read(path).unwrap())).collect()
}

#[test]
fn every_file_of_the_corpora_is_read_or_refused_in_one_line() {
    let (mut files, mut bytes, mut most) = (0, 0, 0);
    for (target, read) in targets::TARGETS {
        let corpus = corpus(target);
        assert!(corpus.len() >= 2, "{target}: {} files", corpus.len());
        for (path, content) in corpus {
            assert!(content.len() < 16 << 10, "{}: {} bytes", path.display(), content.len());
            let begun = Instant::now();
            let peak = allocations::peak_during(|| read(&content));
            println!("{}: {peak} bytes, {:?}", path.display(), begun.elapsed());
            assert!(begun.elapsed() < LONGEST, "{}: {:?}", path.display(), begun.elapsed());
            let pictures = if matches!(target, "png" | "jpeg") { 512 << 20 } else { 0 };
            assert!(peak <= 2 * content.len() + MOST + pictures, "{}: {peak} bytes", path.display());
            (files, bytes, most) = (files + 1, bytes + content.len(), most.max(peak));
        }
    }
    assert!(bytes < 1_500_000, "the corpora have {bytes} bytes");
    println!(
        "B1, B3: {files} files of {bytes} bytes, {} targets, at most {most} bytes at once",
        targets::TARGETS.len()
    );
}

/// The versions of the packages of a lock file, by name.
fn versions(lock: &Path) -> BTreeMap<String, Vec<String>> {
    let text = fs::read_to_string(lock).unwrap();
    let mut versions: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let mut name = String::new();
    for line in text.lines() {
        let value = |key| line.strip_prefix(key).and_then(|rest: &str| rest.strip_suffix('"'));
        if let Some(found) = value("name = \"") {
            name = found.to_string();
        } else if let Some(version) = value("version = \"") {
            versions.entry(name.clone()).or_default().push(version.to_string());
        }
    }
    versions
}

#[test]
fn what_is_fuzzed_is_what_is_shipped() {
    let shipped = versions(&root().join("../../Cargo.lock"));
    let fuzzed = versions(&root().join("libfuzzer/Cargo.lock"));
    let own = ["striate-fuzz", "libfuzzer-sys", "arbitrary", "jobserver"];
    let mut shared = 0;
    for (name, versions) in fuzzed.iter().filter(|(name, _)| !own.contains(&name.as_str())) {
        for version in versions {
            let there = shipped.get(name).is_some_and(|known| known.contains(version));
            assert!(there, "{name} {version} of libfuzzer/Cargo.lock is not in Cargo.lock");
            shared += 1;
        }
    }
    assert!(shared > 40, "{shared} packages");
}
