//! A1 and A2: killed at random times, once or many times in one run, a run resumes by itself to the same weights and the
//! same log.

use super::program::{self, End, place_on_disk as place, start, succeed, train};
use super::size;
use std::path::Path;
use std::time::{Duration, Instant};
use striate::random::{Purpose, Stream};

/// How a run on a device is killed.
struct Killer<'a> {
    place: &'a Path,
    device: &'a str,
    network: &'a str,
    epochs: String,
    stream: Stream,
    /// The longest time until a kill, in microseconds.
    time: u32,
    kills: usize,
    /// Kills that left a file half written.
    in_save: usize,
}

impl<'a> Killer<'a> {
    /// With an uninterrupted run as `runs/whole`, and how it ended.
    fn new(place: &'a Path, device: &'a str, network: &'a str, epochs: usize, seed: u64) -> (Self, End) {
        let stream = Stream::new(seed, Purpose::Test, 0);
        let epochs = epochs.to_string();
        let mut killer = Killer { place, device, network, epochs, stream, time: 0, kills: 0, in_save: 0 };
        let began = Instant::now();
        succeed(place, &killer.arguments("whole"));
        killer.time = began.elapsed().as_micros() as u32;
        let whole = program::end(&place.join("runs/whole"));
        (killer, whole)
    }

    fn arguments(&self, name: &str) -> Vec<String> {
        train(
            self.network,
            name,
            &["-q", "--resume", "auto", "--device", self.device, "--epochs", &self.epochs],
        )
    }

    /// Begins or resumes the run `name` and kills it at a random time, at the latest when it has got on by `most`
    /// steps; false if it came to its end before.
    fn kill(&mut self, name: &str, most: usize) -> bool {
        let begun = self.lines(name);
        let time = Duration::from_micros(self.stream.below(self.time).into());
        let began = Instant::now();
        let mut child = start(self.place, &self.arguments(name));
        while let Some(left) = time.checked_sub(began.elapsed())
            && (most == usize::MAX || self.lines(name) < begun + most)
        {
            std::thread::sleep(if most == usize::MAX { left } else { left.min(Duration::from_millis(1)) });
        }
        child.kill().unwrap();
        let output = child.wait_with_output().unwrap();
        if let Some(code) = output.status.code() {
            assert_eq!(code, 0, "{}", program::stderr(&output));
            return false;
        }
        self.kills += 1;
        let runs = std::fs::read_dir(self.place.join("runs")).unwrap();
        let left = |run: std::fs::DirEntry| !program::temporaries(&run.path()).is_empty();
        self.in_save += usize::from(runs.map(Result::unwrap).any(left));
        true
    }

    /// Lines in the log of the run `name`.
    fn lines(&self, name: &str) -> usize {
        let run = striate::run::RunFolder::latest(&self.place.join("runs"), name);
        let log = run.and_then(|run| std::fs::read_to_string(run.join("log.jsonl")).ok());
        log.map_or(0, |log| log.lines().count())
    }

    /// Lets the run `name` come to its end, which must be that of the uninterrupted one; its folders go.
    fn finish(&mut self, name: &str, whole: &End) {
        let output = succeed(self.place, &self.arguments(name));
        assert!(program::stderr(&output).is_empty(), "{}", program::stderr(&output));
        let runs = self.place.join("runs");
        let run = program::folder_of(self.place, name);
        assert_eq!(program::end(&run), *whole, "{}", run.display());
        assert_eq!(program::temporaries(&run), Vec::<String>::new());
        for entry in std::fs::read_dir(&runs).unwrap() {
            let path = entry.unwrap().path();
            if path != runs.join("whole") {
                std::fs::remove_dir_all(path).unwrap();
            }
        }
    }
}

/// `kills` runs that are killed once.
fn once(device: &str, network: &str, kills: usize, seed: u64) {
    let folder = place();
    let (mut killer, whole) = Killer::new(folder.path(), device, network, 2, seed);
    while killer.kills < kills {
        let name = format!("run{}", killer.kills);
        killer.kill(&name, usize::MAX);
        killer.finish(&name, &whole);
    }
    let Killer { kills, in_save, .. } = killer;
    println!(
        "A1 {device}: {kills} kills, {kills} resumed to the same end, {in_save} while a file was written"
    );
    // On a machine whose disk takes no time there are fewer.
    let least = if device == "cpu" { kills / 10 } else { 0 };
    assert!(in_save >= least, "{in_save} of {kills} kills came while a file was written");
}

#[test]
fn a_killed_run_goes_on_to_the_same_end() {
    once("cpu", "wide", size(50, 200), 1);
}

#[test]
fn a_killed_run_on_a_software_gpu_goes_on_to_the_same_end() {
    let is_there = striate::gpu::adapters().iter().any(|adapter| adapter.name.contains("llvmpipe"));
    if !is_there {
        let required = std::env::var("STRIATE_REQUIRE_GPU").is_ok_and(|value| value == "1");
        assert!(
            !required || !striate::gpu::adapters().is_empty(),
            "STRIATE_REQUIRE_GPU=1, but there is no adapter"
        );
        eprintln!("skipped: no software adapter");
        return;
    }
    once("llvmpipe", "tiny", size(5, 20), 2);
}

#[test]
fn a_run_that_is_killed_again_and_again_goes_on_to_the_same_end() {
    let folder = place();
    let (mut killer, whole) = Killer::new(folder.path(), "cpu", "tiny", 16, 3);
    let chains = size(5, 50);
    for chain in 0..chains {
        let name = format!("chain{chain}");
        for _ in 0..10 {
            let most = 1 + killer.stream.below(9) as usize;
            if !killer.kill(&name, most) {
                break;
            }
        }
        killer.finish(&name, &whole);
    }
    let Killer { kills, in_save, .. } = killer;
    println!(
        "A2: {chains} chains of up to 10 kills ({kills} in all), all came to the same end, {in_save} while a file was written"
    );
    assert!(kills >= 5 * chains, "{kills} kills in {chains} chains");
}
