//! Bad files of every format that is read (rows B2, B3): through the library, each is an error of exit code 4 in one line that
//! names the file, what was expected and what was found, and takes no more memory than the file bears out. Some also through
//! the program.

mod data;
mod models;
mod other;
mod shards;

use crate::sound::seed;
use crate::{peak, size, striate};
use data::{Bad, Format, TRAIN};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};
use striate::error::Error;

/// Bytes beyond twice the file.
const MOST: usize = 64 << 20;

fn formats() -> Vec<Format> {
    let data = [data::idx(), data::cifar(), data::safetensors(), shards::shards()];
    data.into_iter()
        .chain([other::pictures(), other::tables(), models::models(), other::lists(), other::networks()])
        .flatten()
        .collect()
}

/// The bad file in its own folder, and its path.
fn place(folder: &Path, format: &Format, bytes: &[u8]) -> PathBuf {
    for (name, content) in &format.beside {
        fs::write(folder.join(name), content).unwrap();
    }
    let path = folder.join(format.file);
    fs::write(&path, bytes).unwrap();
    path
}

/// What is wrong with the answer to a bad file in `folder`.
fn fault(error: &Error, folder: &Path) -> Option<String> {
    let text = error.to_string();
    let good = error.exit_code() == 4
        && text.starts_with(folder.to_str().unwrap())
        && !text.contains(char::is_control)
        && text.len() < 4000;
    (!good).then(|| format!("code {}: {text:?}", error.exit_code()))
}

/// Whether a message says what would have been right, or what there is instead.
fn is_plain(text: &str) -> bool {
    let has = |words: &[&str]| words.iter().any(|word| text.contains(word));
    has(&["expected", "claims", "missing", "unknown", "did you mean", "needs", "describes"])
}

/// What the readers did with the bad files of one format or of all.
#[derive(Default)]
struct Outcome {
    refused: usize,
    read: usize,
    /// Refusals that say what would have been right.
    plain: usize,
    /// Most bytes held at once.
    most: usize,
    wrong: Vec<String>,
}

/// Reads every bad file of `format`.
fn read_all(format: &Format) -> Outcome {
    let folder = tempfile::tempdir().unwrap();
    let mut outcome = Outcome::default();
    for Bad { what, bytes } in &format.bad {
        let path = place(folder.path(), format, bytes);
        let begun = Instant::now();
        let (peak, result) = peak(|| (format.read)(&path));
        let time = begun.elapsed();
        let case = format!("{}: {what}", format.name);
        let pictures = if matches!(format.name, "PNG" | "JPEG" | "TIFF" | "BMP" | "WebP" | "GIF") {
            256 << 20
        } else {
            0
        };
        outcome.most = outcome.most.max(peak);
        if peak > 2 * bytes.len() + MOST + pictures {
            outcome.wrong.push(format!("{case}: {peak} bytes for {}", bytes.len()));
        }
        if time > Duration::from_secs(1) {
            outcome.wrong.push(format!("{case}: {time:?}"));
        }
        match result {
            Ok(()) if format.forgiving => outcome.read += 1,
            Ok(()) => outcome.wrong.push(format!("{case}: was read")),
            Err(error) => {
                outcome.wrong.extend(fault(&error, folder.path()).map(|fault| format!("{case}: {fault}")));
                outcome.refused += 1;
                outcome.plain += usize::from(is_plain(&error.to_string()));
            }
        }
    }
    let Outcome { refused, plain, read, .. } = outcome;
    println!("{}: {refused} refused, {plain} of them with what was expected, {read} read", format.name);
    outcome
}

#[test]
fn bad_files_are_one_line_each() {
    let formats = formats();
    let next = AtomicUsize::new(0);
    let work = || {
        let mut outcomes = Vec::new();
        while let Some(format) = formats.get(next.fetch_add(1, Ordering::Relaxed)) {
            outcomes.push(read_all(format));
        }
        outcomes
    };
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let outcomes: Vec<Outcome> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
        threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
    });
    let sum = |number: fn(&Outcome) -> usize| -> usize { outcomes.iter().map(number).sum() };
    let (refused, sound, plain) = (sum(|o| o.refused), sum(|o| o.read), sum(|o| o.plain));
    let most = outcomes.iter().map(|o| o.most).max().unwrap();
    println!(
        "B2, B3: {refused} bad files refused ({plain} say what was expected; {sound} more were sound), at most {most} bytes at once"
    );
    let wrong: Vec<&String> = outcomes.iter().flat_map(|outcome| &outcome.wrong).collect();
    assert!(wrong.is_empty(), "{} wrong:\n{:#?}", wrong.len(), &wrong[..wrong.len().min(60)]);
    assert!(refused >= 2000 && plain * 10 >= refused * 6, "{refused} refused, {plain} plain");
}

#[cfg(target_os = "linux")]
#[test]
fn what_is_no_file_is_refused_and_nothing_waits_for_it() {
    use std::os::unix::fs::symlink;
    let mut refused = 0;
    for format in formats() {
        for kind in ["a pipe", "a device", "a loop", "a folder", "a socket"] {
            let folder = tempfile::tempdir().unwrap();
            let path = place(folder.path(), &format, &[]);
            fs::remove_file(&path).unwrap();
            match kind {
                // A model may come through a pipe, as `<(command)` makes one.
                "a pipe" if format.name.starts_with("model file") => continue,
                "a pipe" => {
                    assert!(std::process::Command::new("mkfifo").arg(&path).status().unwrap().success());
                }
                "a device" => symlink("/dev/zero", &path).unwrap(),
                "a loop" => symlink(format.file, &path).unwrap(),
                "a folder" => fs::create_dir(&path).unwrap(),
                _ => drop(std::os::unix::net::UnixListener::bind(&path).unwrap()),
            }
            let (sender, receiver) = std::sync::mpsc::channel();
            let (read, at) = (format.read, path.clone());
            std::thread::spawn(move || sender.send(read(&at)));
            let result = receiver.recv_timeout(Duration::from_secs(20));
            let result = result.unwrap_or_else(|_| panic!("{}: waits for {kind}", format.name));
            let Err(error) = result else {
                // Names that are not there are numbers.
                assert_eq!(format.name, "class names of CIFAR-10", "{kind} was read");
                continue;
            };
            // A socket cannot be opened, says the system.
            let code =
                if kind == "a socket" { [1, 4].contains(&error.exit_code()) } else { error.exit_code() == 4 };
            let text = error.to_string();
            assert!(
                code && text.starts_with(folder.path().to_str().unwrap()),
                "{}: {kind}: {text}",
                format.name
            );
            refused += 1;
        }
    }
    println!("B2: {refused} pipes, devices, loops, folders and sockets refused");
}

#[test]
fn the_program_refuses_bad_files_in_one_line() {
    let (mut runs, mut longest) = (0, Duration::ZERO);
    let mut wrong = Vec::new();
    for format in formats() {
        // Those that the library refuses, evenly spread.
        let folder = tempfile::tempdir().unwrap();
        let each = size(4, 100);
        let step = (format.bad.len() / each).max(1);
        for Bad { what, bytes } in format.bad.iter().skip(step / 2).step_by(step) {
            let path = place(folder.path(), &format, bytes);
            if (format.read)(&path).is_ok() {
                continue;
            }
            let path = path.to_str().unwrap();
            let arguments: Vec<&str> = match format.arguments {
                ["predict"] => {
                    let weights = seed("safetensors", "tiny");
                    fs::write(folder.path().join("weights.safetensors"), weights).unwrap();
                    vec!["predict", "-q", "--device", "cpu", "--weights", "weights.safetensors", path]
                }
                more @ ["--dataset", ..] => {
                    let data =
                        if ["tensors", "packed", "csv", "list"].contains(&more[1]) { path } else { "." };
                    [&TRAIN[..], &[data], more].concat()
                }
                arguments => arguments.to_vec(),
            };
            let before: Vec<_> = names(folder.path());
            let mut fastest = Duration::MAX;
            let mut output = None;
            // A busy machine may need a second try.
            for _ in 0..3 {
                let begun = Instant::now();
                output = Some(striate(folder.path(), &arguments).output().unwrap());
                fastest = fastest.min(begun.elapsed());
                if fastest < Duration::from_secs(1) {
                    break;
                }
            }
            let output = output.unwrap();
            let text = String::from_utf8_lossy(&output.stderr).into_owned();
            let good = output.status.code() == Some(4)
                && output.stdout.is_empty()
                && text.lines().count() == 1
                && text.starts_with("error: ")
                && text.contains(format.file.split('.').next().unwrap())
                && names(folder.path()) == before
                && fastest < Duration::from_secs(1);
            if !good {
                let code = output.status.code();
                wrong.push(format!("{}: {what}: {arguments:?}: {code:?}, {fastest:?}, {text}", format.name));
            }
            runs += 1;
            longest = longest.max(fastest);
        }
    }
    println!("B2: {runs} runs of the program refused in one line each, at most {longest:?}");
    assert!(wrong.is_empty() && runs >= 50, "{runs} runs:\n{}", wrong.join("\n"));
}

/// What is in `folder`, except for the lock of a run, which is no output.
fn names(folder: &Path) -> Vec<PathBuf> {
    let mut names: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    names.retain(|name| !name.ends_with(".lock"));
    names.sort();
    names
}
