//! A3: killed at every system call of a save, a run has its old or its new checkpoint, and goes on to the same end.

use super::program::{self, place, succeed, train};
use super::size;
use super::strace::{self, Call};
use std::collections::BTreeSet;
use striate::train::Checkpoint;

/// A name for people: what is done to which file.
fn point(call: &Call) -> String {
    let files = [
        ".checkpoint",
        "checkpoint-2",
        "checkpoint-1",
        "checkpoint.",
        ".last",
        ".best",
        "log.jsonl",
        "metrics.csv",
    ];
    let file = files.into_iter().find(|file| call.names(file)).unwrap_or("folder");
    format!("{} {file}", call.name)
}

/// Kills a run before each call of its save number `number`; the points that were tried.
fn kill_everywhere(keep: &str, number: usize, repetitions: usize) -> BTreeSet<String> {
    let folder = place();
    let arguments = |name: &str| {
        train("wide", name, &["-q", "--limit-train", "24", "--checkpoint-hist", keep, "--resume", "auto"])
    };
    succeed(folder.path(), &arguments("whole"));
    // A second run is the one that the calls are counted in: it finds the folder of the runs made.
    let (output, calls) = strace::trace(folder.path(), &[], &arguments("counted"));
    assert!(output.status.success(), "{}", program::stderr(&output));
    let whole = program::end(&folder.path().join("runs/whole"));
    let mut points = BTreeSet::new();
    let window = strace::saves(&calls, number, number + 1);
    for (place_of_call, call) in window.iter().enumerate() {
        // Parts of one file that are written one after the other are points of their own.
        let point = format!(
            "{} {}",
            point(call),
            window[..place_of_call].iter().filter(|c| c.name == call.name).count()
        );
        for repetition in 0..repetitions {
            let kill = format!("inject={}:signal=KILL:when={}", call.name, call.number);
            let name = format!("run{place_of_call}-{repetition}x");
            let (output, _) = strace::trace(folder.path(), &["-e".into(), kill], &arguments(&name));
            assert!(!output.status.success(), "{point}: not killed");
            let run = folder.path().join("runs").join(&name);
            let (_, all) = Checkpoint::find(&run).unwrap();
            let found = Checkpoint::read_first(&all).unwrap();
            assert!(found.warnings.is_empty(), "{point}: {:?}", found.warnings);
            assert!([number - 1, number].contains(&found.step()), "{point}: step {}", found.step());
            assert!(all.len() <= keep.parse::<usize>().unwrap() + 1, "{point}: {all:?}");
            succeed(folder.path(), &arguments(&name));
            assert_eq!(program::end(&run), whole, "{point}");
            assert_eq!(program::temporaries(&run), Vec::<String>::new(), "{point}");
            std::fs::remove_dir_all(&run).unwrap();
        }
        points.insert(format!("keep {keep} save {number}: {point}"));
    }
    points
}

#[test]
fn killed_at_every_point_of_a_save_the_old_or_the_new_checkpoint_is_there() {
    if !strace::is_there() {
        return;
    }
    let repetitions = size(1, 20);
    // With three files kept and with one; the second comes before an epoch ends, whose weights are saved next.
    let mut points = kill_everywhere("3", 4, repetitions);
    points.extend(kill_everywhere("1", 2, repetitions));
    println!(
        "A3: {} points, each {repetitions} times: the old or the new checkpoint, and the same end",
        points.len()
    );
    points.iter().for_each(|point| println!("    {point}"));
    assert!(points.len() >= 12, "{points:?}");
}
