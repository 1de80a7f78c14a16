//! A6: a disk that is too small is reported before a run begins; one that fills up on the way harms nothing that is there.

use super::program::{self, place, run, start, succeed, train};
use super::size;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};
use striate::run::Checkpoint;

/// A separate disk in memory.
struct Disk {
    path: PathBuf,
}

impl Disk {
    /// Of `mebibytes`. `None` where nothing may be mounted.
    fn new(place: &Path, mebibytes: usize) -> Option<Disk> {
        let path = place.join("disk");
        std::fs::create_dir_all(&path).unwrap();
        let options = ["-t", "tmpfs", "-o", &format!("size={mebibytes}m"), "tmpfs"];
        let mount = Command::new("mount").args(options).arg(&path).output();
        if !mount.is_ok_and(|output| output.status.success()) {
            eprintln!("skipped: no file system may be mounted here");
            return None;
        }
        Some(Disk { path })
    }

    /// Leaves about `free` bytes.
    fn fill(&self, free: u64) {
        let mut count = 0;
        loop {
            let left = fs4::available_space(&self.path).unwrap().saturating_sub(free);
            let file = self.path.join(format!("ballast{count}"));
            if left < 4096 || std::fs::write(file, vec![1; left.min(1 << 20) as usize]).is_err() {
                return;
            }
            count += 1;
        }
    }

    fn empty(&self) {
        for entry in std::fs::read_dir(&self.path).unwrap() {
            let path = entry.unwrap().path();
            if path.is_file() {
                std::fs::remove_file(path).unwrap();
            }
        }
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.path).status();
    }
}

/// Waits until `is_so`, at most a minute.
#[track_caller]
fn wait_until(mut is_so: impl FnMut() -> bool) {
    let began = Instant::now();
    while !is_so() {
        assert!(began.elapsed() < Duration::from_secs(60), "waited a minute");
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// All files of tensors in `run` are whole, and there are at most `most` checkpoints.
fn assert_whole(run: &Path, most: usize) {
    let (_, all) = Checkpoint::find(run).unwrap();
    assert!(all.len() <= most, "{all:?}");
    all.iter().for_each(|path| assert!(Checkpoint::read(path).is_ok(), "{}", path.display()));
    for name in ["best.safetensors", "last.safetensors"] {
        let path = run.join(name);
        assert!(!path.exists() || striate::interchange::read(&path).is_ok(), "{name}");
    }
}

#[test]
fn a_run_that_does_not_fit_on_the_disk_does_not_begin() {
    let folder = place();
    let Some(disk) = Disk::new(folder.path(), 12) else { return };
    let arguments =
        |more: &[&str]| train("wide", "run", &[&["-q", "--output-dir", "disk/runs"], more].concat());
    let output = run(folder.path(), &arguments(&[]));
    let text = program::stderr(&output);
    assert_eq!((output.status.code(), text.lines().count()), (Some(3), 1), "{text}");
    let expected =
        ["error: disk/runs: disk space: expected ", " MiB for 3 checkpoints of ", "found 12.0 MiB free"];
    expected.iter().for_each(|part| assert!(text.contains(part), "{part}: {text}"));
    assert_eq!(std::fs::read_dir(&disk.path).unwrap().count(), 0);
    // One checkpoint fewer is the way out; and what is there already does not count twice.
    drop(disk);
    let _disk = Disk::new(folder.path(), 18).unwrap();
    assert_eq!(run(folder.path(), &arguments(&["--checkpoint-hist", "5"])).status.code(), Some(3));
    succeed(folder.path(), &arguments(&["--max-steps", "3"]));
    succeed(folder.path(), &arguments(&["--resume", "auto"]));
    println!("A6: refused with 3 and the numbers: {}", text.trim());
}

#[test]
fn a_disk_that_fills_up_harms_nothing_and_the_run_goes_on_when_there_is_room() {
    let keep = 3;
    let mut ended = Vec::new();
    let free: &[u64] = &[0, 4 << 10, 100 << 10, 2 << 20, 7 << 19];
    for &free in free.iter().cycle().take(size(free.len(), 10 * free.len())) {
        let folder = place();
        let Some(disk) = Disk::new(folder.path(), 64) else { return };
        let more =
            ["--output-dir", "disk/runs", "--checkpoint-hist", "3", "--epochs", "100000", "--resume", "auto"];
        let mut child = start(folder.path(), &train("wide", "run", &more));
        let path = disk.path.join("runs/run");
        wait_until(|| path.join("checkpoint-2.safetensors").exists());
        disk.fill(free);
        let began = Instant::now();
        while child.try_wait().unwrap().is_none() {
            assert!(Checkpoint::find(&path).unwrap().1.len() <= keep + 1);
            // The disk gets no emptier by what the run puts away meanwhile.
            disk.fill(free);
            assert!(
                began.elapsed() < Duration::from_secs(60),
                "{free} bytes: the run continues for a minute"
            );
        }
        let output = child.wait_with_output().unwrap();
        let text = program::stderr(&output);
        assert_eq!(output.status.code(), Some(3), "{text}");
        let errors: Vec<&str> = text.lines().filter(|line| line.starts_with("error: ")).collect();
        assert!(errors.len() == 1 && errors[0].contains("3 times in a row"), "{text}");
        assert_whole(&path, keep + 1);
        assert_eq!(program::temporaries(&path), Vec::<String>::new());
        let (_, all) = Checkpoint::find(&path).unwrap();
        let step = Checkpoint::read_first(&all).unwrap().step();
        ended.push(step);
        disk.empty();
        // To the end of the epoch after, here and without a stop.
        let steps = ((step / 5 + 1) * 5).to_string();
        succeed(folder.path(), &train("wide", "run", &[&more[..], &["--max-steps", &steps]].concat()));
        let whole = ["--epochs", "100000", "--max-steps", &steps];
        succeed(folder.path(), &train("wide", "whole", &whole));
        assert_eq!(program::end(&path), program::end(&folder.path().join("runs/whole")));
    }
    println!(
        "A6: {} disks filled up (runs ended after {ended:?} steps): all files whole, all resumed to the same end",
        ended.len()
    );
}
