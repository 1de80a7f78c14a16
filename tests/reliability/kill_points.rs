//! A3: killed at every system call of a save, a run has its old or its new checkpoint, and resumes to the same end.

use super::program::{self, place, succeed, train};
use super::size;
use super::strace::{self, Call};
use std::collections::BTreeSet;
use striate::run::Checkpoint;

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

/// Kills a run that keeps `keep` checkpoints before each call of its save number `number`; the points that were tried. With
/// `before`, it resumes a run that has kept so many for so many steps, and the number is that since then.
fn kill_everywhere(
    keep: usize,
    before: Option<[usize; 2]>,
    number: usize,
    repetitions: usize,
) -> BTreeSet<String> {
    let folder = place();
    let arguments = |name: &str, keep: usize, more: &[&str]| {
        let keep = keep.to_string();
        let flags = ["-q", "--limit-train", "24", "--checkpoint-hist", &keep, "--resume", "auto"];
        train("wide", name, &[&flags[..], more].concat())
    };
    let prepare = |name: &str| {
        if let Some([keep, steps]) = before {
            succeed(folder.path(), &arguments(name, keep, &["--max-steps", &steps.to_string()]));
        }
    };
    let (kept, done) = before.map_or((keep, 0), |[keep, steps]| (keep, steps));
    succeed(folder.path(), &arguments("whole", keep, &[]));
    prepare("counted");
    // A second run is the one that the calls are counted in: it finds the folder of the runs made.
    let (output, calls) = strace::trace(folder.path(), &[], &arguments("counted", keep, &[]));
    assert!(output.status.success(), "{}", program::stderr(&output));
    let whole = program::end(&folder.path().join("runs/whole"));
    let mut points = BTreeSet::new();
    let mut window = strace::saves(&calls, number, number + 1);
    if before.is_some() {
        // What comes after the save has been seen elsewhere.
        let end = window.iter().position(|call| call.name == "write" && call.names("log.jsonl")).unwrap();
        window.truncate(end);
    }
    for (at, call) in window.iter().enumerate() {
        // Threads that compute open files too, to learn about the processor, and would be killed for it. A kill at the call
        // before or after one that opens a file finds the same on the disk.
        if call.name == "openat" {
            continue;
        }
        // Parts of one file that are written one after the other are points of their own.
        let earlier = window[..at].iter().filter(|other| point(other) == point(call)).count();
        let point = format!("{} {}", point(call), earlier + 1);
        for repetition in 0..repetitions {
            let name = format!("run{at}-{repetition}x");
            prepare(&name);
            let kill = format!("inject={}:signal=KILL:when={}", call.name, call.number);
            let (output, calls) =
                strace::trace(folder.path(), &["-e".into(), kill], &arguments(&name, keep, &[]));
            let last = calls.last().unwrap();
            assert!(!output.status.success() && last.number == call.number, "{point}: killed at {last:?}");
            let run = folder.path().join("runs").join(&name);
            let (_, all) = Checkpoint::find(&run).unwrap();
            let found = Checkpoint::read_first(&all).unwrap();
            assert!(found.warnings.is_empty(), "{point}: {:?}", found.warnings);
            let steps = [done + number - 1, done + number];
            assert!(steps.contains(&found.step()), "{point}: step {}", found.step());
            assert!(all.len() <= kept.max(keep) + 1, "{point}: {all:?}");
            succeed(folder.path(), &arguments(&name, keep, &[]));
            assert_eq!(program::end(&run), whole, "{point}");
            assert_eq!(program::temporaries(&run), Vec::<String>::new(), "{point}");
            std::fs::remove_dir_all(&run).unwrap();
        }
        points.insert(format!("{keep} kept, save {number}: {point}"));
    }
    points
}

#[test]
fn killed_at_every_point_of_a_save_the_old_or_the_new_checkpoint_is_there() {
    if !strace::is_there() {
        return;
    }
    let repetitions = size(1, 20);
    let mut points = kill_everywhere(3, None, 4, repetitions);
    // The second comes before an epoch ends, whose weights are saved next.
    points.extend(kill_everywhere(1, None, 2, repetitions));
    // The history gets shorter.
    points.extend(kill_everywhere(1, Some([4, 4]), 1, repetitions));
    println!(
        "A3: {} points, each {repetitions} times: the old or the new checkpoint, and the same end",
        points.len()
    );
    points.iter().for_each(|point| println!("    {point}"));
    assert!(points.len() >= 12, "{points:?}");
}
