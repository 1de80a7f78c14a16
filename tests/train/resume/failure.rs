//! Saving that fails, and folders that are taken.

use super::*;
use std::cell::RefCell;

/// A run during whose steps `first .. last` the checkpoint cannot be written: a folder has its name.
fn blocked(parent: &Path, steps: std::ops::Range<usize>) -> (Result<(Done, PathBuf)>, Vec<String>) {
    let (spec, data) = (network(), pictures());
    let folder = parent.join("run");
    let warnings = RefCell::new(Vec::new());
    let watch = |event: &Event, _: &AtomicBool, _: &AtomicBool| {
        let block = folder.join("checkpoint.safetensors");
        match event {
            Event::Step(step) if step.step == steps.start => {
                // What is there already moves aside, as a disk that breaks would take it along.
                let _ = std::fs::remove_file(&block);
                std::fs::create_dir(&block).unwrap();
            }
            Event::Step(step) if step.step == steps.end => std::fs::remove_dir(&block).unwrap(),
            Event::Warning(text) => warnings.borrow_mut().push(text.clone()),
            _ => {}
        }
    };
    let often = options().with_log_every(1).with_checkpoint_every(Some(2));
    let result = Part { watch: &watch, ..Part::new(&spec, &data, &often) }.run(parent);
    (result, warnings.into_inner())
}

#[test]
fn a_failed_save_is_a_warning_and_the_next_one_makes_up_for_it() {
    let parent = tempfile::tempdir().unwrap();
    let (result, warnings) = blocked(parent.path(), 8..12);
    let (done, folder) = result.unwrap();
    assert_eq!((done.ending, warnings.len()), (Ending::Complete, 2), "{warnings:?}");
    assert!(
        warnings[0].contains("checkpoint.safetensors: ")
            && warnings[0].contains("the run continues and tries again"),
        "{warnings:?}"
    );
    assert_eq!(Checkpoint::read(&folder.join("checkpoint.safetensors")).unwrap().step(), 21);
    let left = std::fs::read_dir(&folder).unwrap();
    let left = left.filter(|entry| entry.as_ref().unwrap().file_name().to_string_lossy().ends_with(".tmp"));
    assert_eq!(left.count(), 0);
}

#[test]
fn three_failed_saves_in_a_row_end_the_run_with_exit_code_1() {
    let parent = tempfile::tempdir().unwrap();
    let (result, warnings) = blocked(parent.path(), 8..100);
    let error = result.unwrap_err();
    assert_eq!((error.exit_code(), warnings.len()), (1, 2), "{error} {warnings:?}");
    assert!(error.to_string().contains("3 times in a row"), "{error}");
    // One that fails at the end is not passed over.
    let parent = tempfile::tempdir().unwrap();
    let (result, _) = blocked(parent.path(), 20..100);
    assert!(result.is_err());
}

#[test]
fn a_folder_that_is_written_to_is_refused_and_free_as_soon_as_its_writer_is_gone() {
    let parent = tempfile::tempdir().unwrap();
    let folder = RunFolder::create(parent.path(), "run", "").unwrap();
    let path = folder.path().to_path_buf();
    let error = RunFolder::reopen(&path).unwrap_err();
    assert!(error.exit_code() == 2 && error.to_string().contains("another run"), "{error}");
    drop(folder);
    // The file of the lock stays, and means nothing.
    assert!(path.join(".lock").is_file());
    let again = RunFolder::reopen(&path).unwrap();
    assert!(RunFolder::reopen(&path).is_err());
    drop(again);
}

#[test]
fn what_a_killed_process_left_half_written_goes() {
    let parent = tempfile::tempdir().unwrap();
    let half = options().with_max_steps(Some(5));
    let (_, folder) = Part::new(&network(), &pictures(), &half).run(parent.path()).unwrap();
    let stray = folder.join(".checkpoint.safetensors.99999.0.tmp");
    std::fs::write(&stray, "half").unwrap();
    let best = folder.join("best.safetensors");
    std::fs::remove_file(&best).unwrap();
    let reported = RefCell::new(Vec::new());
    let watch = |event: &Event, _: &AtomicBool, _: &AtomicBool| {
        if let Event::Warning(text) = event {
            reported.borrow_mut().push(text.clone());
        }
    };
    let (spec, data) = (network(), pictures());
    let part = Part { from: Some(&folder), watch: &watch, ..Part::new(&spec, &data, &options()) };
    part.run(parent.path()).unwrap();
    // At step 5 no epoch had been judged: that there was a best file was of no account.
    assert!(!stray.exists() && best.is_file() && reported.borrow().is_empty(), "{reported:?}");
    // After the end it does count.
    std::fs::remove_file(&best).unwrap();
    let mut more = network();
    more.recipe.epochs = 4;
    let part =
        Part { from: Some(&folder), force: true, watch: &watch, ..Part::new(&more, &data, &options()) };
    part.run(parent.path()).unwrap();
    assert!(
        reported.borrow().iter().any(|text| text.contains("best.safetensors no longer exists"))
            && best.is_file(),
        "{reported:?}"
    );
}
