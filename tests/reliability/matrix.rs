//! A9: wherever a run is stopped, and with whichever settings without effect on the result it resumes, the end is the same.

use super::program::{self, place, succeed, train};
use std::collections::BTreeSet;
use xxhash_rust::xxh3::xxh3_64;

#[test]
fn every_way_to_stop_and_go_on_comes_to_the_same_end() {
    let folder = place();
    succeed(folder.path(), &train("tiny", "whole", &["-q"]));
    let whole = program::end(&folder.path().join("runs/whole"));
    let (mut combinations, mut hashes) = (0, BTreeSet::new());
    // Within an epoch, before the last batch of one, between two epochs, within the second and at the end.
    for stop in ["2", "4", "5", "7", "10"] {
        for workers in ["1", "2", "4"] {
            // Words of all kinds, and saves that are many or few.
            for (words, every) in [("-q", "1"), ("--json", "3"), ("-v", "1000"), ("--json", "2")] {
                let name = format!("run{combinations}");
                let other = if workers == "1" { "4" } else { "1" };
                let first = [words, "-j", workers, "--checkpoint-every", every, "--max-steps", stop];
                succeed(folder.path(), &train("tiny", &name, &first));
                let then = ["-q", "-j", other, "--checkpoint-every", "4", "--resume", "auto"];
                succeed(folder.path(), &train("tiny", &name, &then));
                let run = folder.path().join("runs").join(&name);
                assert_eq!(program::end(&run), whole, "{stop} {workers} {words} {every}");
                hashes.insert(xxh3_64(&std::fs::read(run.join("last.safetensors")).unwrap()));
                std::fs::remove_dir_all(&run).unwrap();
                combinations += 1;
            }
        }
    }
    println!(
        "A9: {combinations} combinations of stop, loader threads, words and saves: {} hash",
        hashes.len()
    );
    assert!(combinations >= 48 && hashes.len() == 1);
}
