//! Runs that end at `max_steps`, within an epoch, and go on later with a higher limit.

use super::*;

#[test]
fn a_part_of_an_epoch_never_takes_the_place_of_the_best_whole_one() {
    let (spec, data) = (network(), pictures());
    let parent = tempfile::tempdir().unwrap();
    let (_, whole) = Part::new(&spec, &data, &options()).run(parent.path()).unwrap();
    let best = |folder: &Path| std::fs::read(folder.join("best.safetensors")).unwrap();
    for limit in 1..21 {
        let parent = tempfile::tempdir().unwrap();
        let short = Options { max_steps: Some(limit), ..options() };
        let (_, folder) = Part::new(&spec, &data, &short).run(parent.path()).unwrap();
        assert!(folder.join("best.safetensors").is_file(), "{limit}");
        let part = Part { from: Some(&folder), ..Part::new(&spec, &data, &options()) };
        part.run(parent.path()).unwrap();
        assert_eq!(lines(&folder), lines(&whole), "{limit}");
        assert!(best(&folder) == best(&whole), "stopped at step {limit}");
    }
}
