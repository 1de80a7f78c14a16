//! A5: every call of a save fails once, and then for good. A failure is one warning and the run continues to the same end; the
//! third in a row ends it with the right exit code, and what was saved before is there.

use super::program::{self, End, place, run, succeed, train};
use super::size;
use super::strace::{self, Call};
use std::path::Path;
use striate::run::Checkpoint;
use tempfile::TempDir;

/// What the system says, and the exit code of a run that it says it to for good.
const ERRORS: [(&str, i32); 4] = [("ENOSPC", 3), ("EIO", 1), ("EDQUOT", 3), ("EACCES", 1)];

fn arguments(name: &str) -> Vec<String> {
    train("wide", name, &["--limit-train", "24", "--resume", "auto"])
}

/// A folder with a whole run, how it ended, and the calls of its second save and of what follows: the end of an epoch with
/// its weights, and at full size the save of that.
fn prepared() -> (TempDir, End, Vec<Call>) {
    let folder = place();
    succeed(folder.path(), &arguments("whole"));
    // In a second run, which finds the folder of the runs made.
    let (output, calls) = strace::trace(folder.path(), &[], &arguments("counted"));
    assert!(output.status.success(), "{}", program::stderr(&output));
    let whole = program::end(&folder.path().join("runs/whole"));
    (folder, whole, strace::saves(&calls, 2, size(3, 4)))
}

fn lines(text: &str, start: &str) -> Vec<String> {
    text.lines().filter(|line| line.starts_with(start)).map(String::from).collect()
}

/// The step of the newest checkpoint, which is whole.
fn newest(run: &Path) -> usize {
    let (_, all) = Checkpoint::find(run).unwrap();
    let found = Checkpoint::read_first(&all).unwrap();
    assert!(found.warnings.is_empty(), "{:?}", found.warnings);
    found.step()
}

#[test]
fn a_call_that_fails_once_is_one_warning_and_the_run_goes_on_to_the_same_end() {
    if !strace::is_there() {
        return;
    }
    let (folder, whole, calls) = prepared();
    let (mut tried, mut warned) = (0, 0);
    for (number, call) in calls.iter().enumerate() {
        let errors = (0..ERRORS.len()).cycle().skip(number).take(size(1, ERRORS.len()));
        for (error, _) in errors.map(|which| ERRORS[which]) {
            let what =
                format!("{error} by {} {}", call.name, call.arguments.chars().take(100).collect::<String>());
            let inject = format!("inject={}:error={error}:when={}", call.name, call.number);
            let (output, _) = strace::trace(folder.path(), &["-e".into(), inject], &arguments("failed"));
            let text = program::stderr(&output);
            assert_eq!(output.status.code(), Some(0), "{what}: {text}");
            let warnings = lines(&text, "warning: ");
            assert!(warnings.len() <= 1, "{what}: {text}");
            let is_good =
                |line: &String| line.contains("runs/failed") && line.contains("continues and tries again");
            assert!(warnings.iter().all(is_good), "{what}: {text}");
            let run = folder.path().join("runs/failed");
            assert_eq!(newest(&run), 6, "{what}");
            assert_eq!(program::end(&run), whole, "{what}");
            assert_eq!(program::temporaries(&run), Vec::<String>::new(), "{what}");
            std::fs::remove_dir_all(&run).unwrap();
            (tried, warned) = (tried + 1, warned + warnings.len());
        }
    }
    println!("A5: {} calls, {tried} failures, {warned} warnings, all resumed to the same end", calls.len());
    // Where no hard link can be made there is another way; nothing else may fail in silence.
    assert!(calls.len() >= 25 && warned + 3 * size(1, ERRORS.len()) >= tried, "{warned} of {tried}");
}

#[test]
fn a_call_that_fails_for_good_ends_the_run_with_everything_that_was_saved() {
    if !strace::is_there() {
        return;
    }
    let (folder, whole, calls) = prepared();
    let mut tried = 0;
    for (number, call) in calls.iter().enumerate() {
        // All writes would be those to stdout and stderr too.
        if call.name == "write" || call.name.starts_with("link") {
            continue;
        }
        let (error, code) = ERRORS[number % ERRORS.len()];
        let what = format!("{error} by {} {}", call.name, call.arguments);
        let inject = format!("inject={}:error={error}:when={}+", call.name, call.number);
        let (output, _) = strace::trace(folder.path(), &["-e".into(), inject], &arguments("failed"));
        let text = program::stderr(&output);
        let run_folder = folder.path().join("runs/failed");
        // A name that cannot be removed costs nothing as long as none has to be.
        assert_eq!(output.status.code(), Some(code), "{what}: {text}");
        let errors = lines(&text, "error: ");
        assert_eq!((errors.len(), lines(&text, "warning: ").len()), (1, 2), "{what}: {text}");
        assert!(
            errors[0].contains("runs/failed") && errors[0].contains("3 times in a row"),
            "{what}: {text}"
        );
        assert!(newest(&run_folder) >= 1, "{what}");
        if !call.name.starts_with("unlink") {
            assert_eq!(program::temporaries(&run_folder), Vec::<String>::new(), "{what}");
        }
        let again = run(folder.path(), &arguments("failed"));
        assert_eq!(again.status.code(), Some(0), "{what}: {}", program::stderr(&again));
        assert_eq!(program::end(&run_folder), whole, "{what}");
        std::fs::remove_dir_all(&run_folder).unwrap();
        tried += 1;
    }
    println!(
        "A5: {tried} failures for good, each ended after 3 saves in a row, and a later run resumed to the same end"
    );
}

#[test]
fn a_run_whose_words_nobody_can_take_down_goes_on() {
    let folder = place();
    succeed(folder.path(), &arguments("whole"));
    let Ok(full) = std::fs::OpenOptions::new().write(true).open("/dev/full") else { return };
    let mut command = program::command(&program::striate(), folder.path());
    let output = command.args(arguments("mute")).stdout(full).output().unwrap();
    let text = program::stderr(&output);
    assert_eq!((output.status.code(), lines(&text, "warning: ").len()), (Some(3), 1), "{text}");
    assert_eq!(lines(&text, "error: ").len(), 1, "{text}");
    let ends = ["whole", "mute"].map(|name| program::end(&folder.path().join("runs").join(name)));
    assert_eq!(ends[0], ends[1]);
}
