//! Folders of images that do harm (row B6): loops, pipes, devices, sockets, nothing, names that are no text, files that change
//! or go while a run reads them, and very many entries. No hang, no panic, every bad file named once, and what to do
//! about them is done.

use crate::{peak, size, striate};
use image::{Rgb, RgbImage};
use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::symlink;
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};
use striate::data::{Kind, Request, open};

/// Longest that a run may take: what hangs takes longer.
const PATIENCE: Duration = Duration::from_secs(60);

const MODEL: &str = "name = \"m\"\ninput = [3, 4, 4]\n[recipe]\nbatch_size = 4\nlr = 0.01\n[[layer]]\nop = \"flatten\"\n[[layer]]\nop = \"linear\"\nout_features = 3\n";

fn picture(path: &Path, red: u8) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    RgbImage::from_pixel(5, 4, Rgb([red, 20, 30])).save_with_format(path, image::ImageFormat::Png).unwrap();
}

fn pipe(path: &Path) {
    assert!(Command::new("mkfifo").arg(path).status().unwrap().success());
}

/// Three classes of sound images and a model for them.
fn sound(folder: &Path, each: usize) -> PathBuf {
    fs::write(folder.join("m.toml"), MODEL).unwrap();
    let data = folder.join("data");
    for (class, name) in ["ant", "bee", "cow"].iter().enumerate() {
        (0..each).for_each(|n| picture(&data.join(name).join(format!("{n:02}.png")), (class * 80 + n) as u8));
    }
    data
}

const TRAIN: [&str; 14] = [
    "train",
    "--device",
    "cpu",
    "-m",
    "m.toml",
    "--data-path",
    "data",
    "--val-split",
    "0",
    "-j",
    "2",
    "--name",
    "r",
    "--quiet",
];

/// How often each of `names` is named in what was said.
#[track_caller]
fn named_once(text: &str, names: &[&str]) {
    for name in names {
        let count = text.lines().filter(|line| line.contains(name)).count();
        assert_eq!(count, 1, "{name} in:\n{text}");
    }
}

/// Bad entries, each with what names it.
fn spoil(data: &Path) -> Vec<&'static str> {
    let at = |name: &str| data.join(name);
    pipe(&at("ant/pipe.jpg"));
    fs::write(at("ant/empty.png"), []).unwrap();
    fs::write(at("ant/text.jpeg"), "no picture").unwrap();
    symlink("round.png", at("bee/round.png")).unwrap();
    symlink("nowhere", at("bee/dangling.jpg")).unwrap();
    symlink("/dev/zero", at("bee/zero.jpg")).unwrap();
    symlink("/dev/stdin", at("bee/stdin.jpg")).unwrap();
    drop(UnixListener::bind(at("cow/socket.png")).unwrap());
    fs::create_dir(at("cow/folder.png")).unwrap();
    // Loops: to itself, up, to the class beside and all.
    symlink(".", at("cow/itself")).unwrap();
    symlink("..", at("cow/up")).unwrap();
    fs::write(at("cow").join(OsStr::from_bytes(b"\xff\xfe.jpg")), "no picture").unwrap();
    fs::write(at("cow/a\u{1b}[31m\n.jpg"), "no picture").unwrap();
    vec![
        "pipe.jpg",
        "empty.png",
        "text.jpeg",
        "round.png",
        "dangling.jpg",
        "zero.jpg",
        "stdin.jpg",
        "socket.png",
        "folder.png",
        "cow/itself",
        "cow/up",
        r"\xff\xfe.jpg",
        r"a\u{1b}[31m\n.jpg",
    ]
}

#[test]
fn hostile_entries_are_named_once_or_end_the_run() {
    let folder = tempfile::tempdir().unwrap();
    let data = sound(folder.path(), 6);
    let names = spoil(&data);
    let run = |more: &[&str]| {
        let begun = Instant::now();
        let mut command = striate(folder.path(), &TRAIN[..TRAIN.len() - 1]);
        let output = command.args(more).timeout(PATIENCE).output().unwrap();
        assert!(begun.elapsed() < PATIENCE, "{more:?} hangs");
        (output.status.code(), String::from_utf8(output.stderr).unwrap())
    };
    let (code, text) = run(&["--on-bad-file", "skip", "--epochs", "3"]);
    assert_eq!(code, Some(0), "{text}");
    named_once(&text, &names);
    assert!(!text.contains(|c: char| c.is_control() && c != '\n'), "{text:?}");
    fs::remove_dir_all(folder.path().join("runs")).unwrap();
    // One bad file at a time, and what is asked for is done.
    let mut ended = 0;
    for name in ["ant/pipe.jpg", "bee/round.png", "bee/zero.jpg", "cow/socket.png", "cow/up"] {
        let kept = tempfile::tempdir().unwrap();
        let other = sound(kept.path(), 2);
        match fs::read_link(data.join(name)) {
            Ok(to) => symlink(to, other.join(name)).unwrap(),
            Err(_) => pipe(&other.join(name)),
        }
        let train = [&TRAIN[..], &["--on-bad-file", "fail", "--epochs", "1"]].concat();
        let output = striate(kept.path(), &train).timeout(PATIENCE).output().unwrap();
        let text = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(4), "{name}: {text}");
        assert!(
            text.lines().count() == 1 && text.starts_with("error: ") && text.contains(name),
            "{name}: {text}"
        );
        ended += 1;
    }
    println!("B6: {} hostile entries named once each, {ended} end a run that is to end", names.len());
}

#[test]
fn files_that_change_or_go_during_a_run_are_bad_files() {
    let folder = tempfile::tempdir().unwrap();
    let data = sound(folder.path(), 20);
    (6..20).for_each(|n| fs::remove_file(data.join(format!("cow/{n:02}.png"))).unwrap());
    let mut run = Command::new(assert_cmd::cargo::cargo_bin("striate"));
    run.current_dir(folder.path()).args(&TRAIN[..TRAIN.len() - 1]).args([
        "--epochs",
        "2000",
        "--on-bad-file",
        "skip",
    ]);
    run.env("STRIATE_CACHE", "").stdin(std::process::Stdio::null()).stdout(std::process::Stdio::null());
    // A file, since a pipe without a reader ends everything.
    let notes = folder.path().join("notes");
    let mut run = run.stderr(fs::File::create(&notes).unwrap()).spawn().unwrap();
    let log = folder.path().join("runs/r/metrics.csv");
    let epochs = || fs::read_to_string(&log).map_or(0, |text| text.lines().count());
    let begun = Instant::now();
    let wait = |count: usize| {
        while epochs() < count {
            assert!(begun.elapsed() < PATIENCE, "{} epochs only", epochs());
            std::thread::sleep(Duration::from_millis(5));
        }
    };
    wait(3);
    let at = |name: &str| data.join(name);
    let replaced = |name: &str| fs::remove_file(at(name)).unwrap();
    replaced("ant/00.png");
    fs::write(at("ant/01.png"), "no picture").unwrap();
    fs::OpenOptions::new().write(true).open(at("ant/02.png")).unwrap().set_len(30).unwrap();
    replaced("bee/00.png");
    pipe(&at("bee/00.png"));
    replaced("bee/01.png");
    fs::create_dir(at("bee/01.png")).unwrap();
    replaced("bee/02.png");
    symlink("/dev/zero", at("bee/02.png")).unwrap();
    fs::remove_dir_all(at("cow")).unwrap();
    wait(epochs() + 3);
    // Stopped by a signal, after saving.
    assert!(Command::new("kill").arg(run.id().to_string()).status().unwrap().success());
    let status = run.wait().unwrap();
    let text = fs::read_to_string(&notes).unwrap();
    assert_eq!(status.code(), Some(143), "{text}");
    let all: Vec<String> = (0..6).map(|n| format!("cow/{n:02}.png")).collect();
    let mut names: Vec<&str> = all.iter().map(String::as_str).collect();
    names.extend(["ant/00.png", "ant/01.png", "ant/02.png", "bee/00.png", "bee/01.png", "bee/02.png"]);
    named_once(&text, &names);
    println!(
        "B6: {} files that changed or went during a run, each named once, and the run continued",
        names.len()
    );
}

#[test]
fn very_many_entries_are_no_trouble() {
    let folder = tempfile::tempdir().unwrap();
    let count = size(10_000, 100_000);
    let class = folder.path().join("class");
    picture(&class.join("first.png"), 1);
    // A few links at a time to each file: file systems have limits.
    (0..count).for_each(|n| drop(fs::File::create(class.join(format!("{n}.jpg"))).unwrap()));
    let request = Request::new([3, 4, 4], 1)
        .with_path(Some(folder.path().to_str().unwrap().into()))
        .with_kind(Kind::ImageFolder)
        .with_val_split(Some(0.0))
        .with_model(None);
    let begun = Instant::now();
    let (bytes, splits) = peak(|| open(&request).unwrap());
    assert_eq!(splits.train.len(), count + 1);
    assert!(bytes < 64 << 20, "{bytes} bytes");
    assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());
    println!("B6: {count} entries of a class in {:?}, {bytes} bytes", begun.elapsed());
}
