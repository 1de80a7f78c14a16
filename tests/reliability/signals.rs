//! A8: a signal at any time ends a run after its step, saved, with the exit code of the signal; a second one ends it at once.

use super::program::{self, place_on_disk as place, start, succeed, train};
use super::size;
use serde_json::Value;
use std::path::Path;
use std::process::{Child, Command};
use std::time::{Duration, Instant};
use striate::random::{Purpose, Stream};
use striate::run::Checkpoint;

fn signal(child: &Child, name: &str) {
    assert!(Command::new("kill").args([name, &child.id().to_string()]).status().unwrap().success());
}

/// The events of a run except for its end, and for what differs from time to time.
fn events(run: &Path) -> Vec<Value> {
    let mut events = program::end(run).log;
    events.retain(|event| event["event"] != "done");
    events
}

#[test]
fn a_signal_ends_a_run_saved_and_the_rest_is_as_if_there_had_been_none() {
    let folder = place();
    let long = ["--epochs", "100000"];
    let mut stream = Stream::new(8, Purpose::Test, 0);
    let mut whole: Vec<Value> = Vec::new();
    let (mut slowest, mut before) = (Duration::ZERO, 0);
    let each = size(10, 100);
    for number in 0..2 * each {
        let (kind, code, by) = [("-INT", 130, 2), ("-TERM", 143, 15)][number % 2];
        let name = format!("run{number}x");
        let run = folder.path().join("runs").join(&name);
        let child = start(folder.path(), &train("tiny", &name, &[&long[..], &["-q"]].concat()));
        std::thread::sleep(Duration::from_micros(stream.below(300_000).into()));
        signal(&child, kind);
        let began = Instant::now();
        let output = child.wait_with_output().unwrap();
        let status = std::os::unix::process::ExitStatusExt::signal(&output.status);
        if status == Some(by) && !run.join("log.jsonl").exists() {
            // Before there was anything to save.
            before += 1;
            continue;
        }
        slowest = slowest.max(began.elapsed());
        assert_eq!(output.status.code(), Some(code), "{}", program::stderr(&output));
        assert_eq!(program::temporaries(&run), Vec::<String>::new());
        let (_, all) = Checkpoint::find(&run).unwrap();
        let found = Checkpoint::read_first(&all).unwrap();
        assert!(found.warnings.is_empty(), "{:?}", found.warnings);
        let steps = (found.step() / 5 + 1) * 5;
        let limit = steps.to_string();
        let more = [&long[..], &["-q", "--max-steps", &limit]].concat();
        succeed(folder.path(), &train("tiny", &name, &[&more[..], &["--resume", "auto"]].concat()));
        let events = events(&run);
        // Each epoch's event has the hash of its weights.
        if whole.len() < events.len() {
            let name = format!("whole{number}x");
            succeed(folder.path(), &train("tiny", &name, &more));
            whole = self::events(&folder.path().join("runs").join(name));
        }
        assert_eq!(events, whole[..events.len()], "{name}");
        assert_eq!(events.iter().filter(|event| event["event"] == "epoch").count() * 5, steps);
        std::fs::remove_dir_all(&run).unwrap();
    }
    println!(
        "A8: {each} SIGINT and {each} SIGTERM, {before} of them before the run had begun: the others saved within {} ms, \
         and resumed to the same end",
        slowest.as_millis()
    );
    assert!(slowest < Duration::from_secs(5), "{slowest:?}");
}

#[test]
fn a_second_signal_ends_the_program_at_once() {
    let mut waits = Vec::new();
    let times = size(3, 20);
    for number in 0..times {
        let folder = place();
        // Steps of a few tenths of a second.
        let words = "train --device cpu --dataset synthetic --threads 1 --limit-train 2048 -b 512 --json --log-every 1 -q";
        let arguments: Vec<String> = words.split(' ').map(String::from).collect();
        let child = start(folder.path(), &arguments);
        let log = folder.path().join("runs/alexnet-mini/log.jsonl");
        let began = Instant::now();
        while !std::fs::read_to_string(&log).is_ok_and(|log| log.contains("\"event\":\"start\"")) {
            assert!(began.elapsed() < Duration::from_secs(60), "waited a minute");
            std::thread::sleep(Duration::from_millis(3));
        }
        let (second, code) = [("-TERM", 143), ("-INT", 130)][number % 2];
        signal(&child, "-INT");
        std::thread::sleep(Duration::from_millis(30));
        signal(&child, second);
        // Without the time that the program takes that sends it.
        let began = Instant::now();
        let output = child.wait_with_output().unwrap();
        waits.push(began.elapsed());
        assert_eq!(output.status.code(), Some(code));
        assert!(!String::from_utf8(output.stdout).unwrap().contains("\"done\""));
    }
    waits.sort();
    let [median, slowest] = [waits[times / 2], waits[times - 1]];
    println!(
        "A8: {times} second signals, exit after {} ms, at most {} ms",
        median.as_millis(),
        slowest.as_millis()
    );
    // Other tests may keep the machine busy for a moment.
    assert!(median < Duration::from_millis(200) && slowest < Duration::from_secs(1), "{waits:?}");
}
