//! Every reader on every file of `tests/fuzz/corpus`: the named seeds that fuzzing (`tests/fuzz/run`) starts from, and the inputs
//! that it found, packed in one archive for each target. No panic, no malformed error, bounded memory and time.

use crate::{allocations, targets};
use flate2::read::GzDecoder;
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use tar::Archive;

/// Most bytes that a reader holds at once beyond twice the file: row B3. An image may take what its header claims, as far
/// as the file's length bears it out.
const MOST: usize = 64 << 20;

/// Longest that one small file may take; the machine may be busy.
const LONGEST: Duration = Duration::from_secs(5);

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fuzz")
}

/// The seeds and the packed files of a target, in the order of their names.
fn corpus(target: &str) -> Vec<(PathBuf, Vec<u8>)> {
    let folder = root().join("corpus").join(target);
    let seeds = fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path());
    let mut files: Vec<_> = seeds.map(|path| (path.clone(), fs::read(path).unwrap())).collect();
    if let Ok(packed) = File::open(folder.with_extension("tar.gz")) {
        for entry in Archive::new(GzDecoder::new(packed)).entries().unwrap() {
            let mut entry = entry.unwrap();
            let mut content = Vec::new();
            entry.read_to_end(&mut content).unwrap();
            files.push((folder.join(entry.path().unwrap()), content));
        }
    }
    files.sort();
    files
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
            let pictures = if matches!(target, "png" | "jpeg" | "tiff" | "bmp" | "webp" | "gif") {
                512 << 20
            } else {
                0
            };
            assert!(peak <= 2 * content.len() + MOST + pictures, "{}: {peak} bytes", path.display());
            (files, bytes, most) = (files + 1, bytes + content.len(), most.max(peak));
        }
    }
    assert!(bytes < 1_500_000, "the corpora have {bytes} bytes");
    assert!(files > 1000, "the corpora have {files} files: is an archive missing?");
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
    // The fuzzer itself, and what builds it.
    let own = ["striate-fuzz", "libfuzzer-sys", "arbitrary", "jobserver", "cc", "find-msvc-tools", "shlex"];
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
