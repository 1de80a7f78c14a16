//! Two programs that take turns: a run of the old one, a run of the new one, then the other way round. What slows the machine
//! for a while slows both of a pair, so small changes are found on a machine that does other things too.

use super::super::progress::Progress;
use super::results::Results;
use crate::error::{Error, Result, printable_path};
use std::path::Path;
use std::process::{Command, Stdio};

/// What a run of a benchmark is limited to where its arguments say nothing: many short runs say more than a few long ones.
const SHORT: [[&str; 2]; 2] = [["--samples", "5"], ["--seconds", "2"]];

/// The arguments of each run, after the program's name.
///
/// # Errors
/// `Error::Usage` if they are not those of a benchmark whose results can be compared.
pub(super) fn arguments(given: &[String]) -> Result<Vec<String>> {
    let mut arguments = vec!["bench".to_string()];
    let what = given.first().map_or("step", String::as_str);
    if !["step", "ops", "data"].contains(&what) {
        let expected = "expected step, ops or data and its flags after --";
        return Err(Error::Usage(format!("bench compare --run: {expected}, found {what}")));
    }
    arguments.push(what.to_string());
    arguments.extend(given.iter().skip(1).cloned());
    for [flag, value] in SHORT {
        let is_given = |argument: &String| argument == flag || argument.starts_with(&format!("{flag}="));
        if !given.iter().any(is_given) {
            arguments.extend([flag.to_string(), value.to_string()]);
        }
    }
    if !given.iter().any(|argument| argument == "--json") {
        arguments.push("--json".into());
    }
    Ok(arguments)
}

/// Runs `old` and `new` in turn, `rounds` times each.
///
/// # Errors
/// `Error::Io` if a program cannot be started, `Error::Data` if it fails or prints something else than results.
pub(super) fn run(
    old: &Path,
    new: &Path,
    arguments: &[String],
    rounds: usize,
    progress: &Progress,
) -> Result<[Results; 2]> {
    let mut results: [Option<Results>; 2] = [None, None];
    for round in 0..rounds {
        let order = if round % 2 == 0 { [0, 1] } else { [1, 0] };
        for side in order {
            let program = [old, new][side];
            progress.begin(&format!("round {} of {rounds}: {}", round + 1, printable_path(program)), false);
            let found = once(program, arguments)?;
            match &mut results[side] {
                Some(results) => results.merge(found)?,
                empty => *empty = Some(found),
            }
        }
    }
    let [Some(old), Some(new)] = results else {
        return Err(Error::Usage("bench compare --run: expected at least one round, found none".into()));
    };
    Ok([old, new])
}

fn once(program: &Path, arguments: &[String]) -> Result<Results> {
    // A name without a folder is a file too; the system would look for it among the installed programs.
    let file = if program.components().count() == 1 { Path::new(".").join(program) } else { program.into() };
    let output = Command::new(file).args(arguments).stdin(Stdio::null()).output();
    let output = output.map_err(|error| Error::io(program, error))?;
    if !output.status.success() {
        let stderr = String::from_utf8_lossy(&output.stderr);
        let last = stderr.lines().last().unwrap_or("no message").trim_start_matches("error: ").to_string();
        let (arguments, status) = (arguments.join(" "), output.status);
        return Err(Error::data(program, format!("{arguments}: {status}: {last}")));
    }
    Results::parse(&program.to_string_lossy(), &output.stdout)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_are_short_where_nothing_is_said() {
        let of = |given: &[&str]| arguments(&given.iter().map(|s| s.to_string()).collect::<Vec<_>>());
        assert_eq!(of(&[]).unwrap(), ["bench", "step", "--samples", "5", "--seconds", "2", "--json"]);
        let own = of(&["ops", "--samples=9", "--json", "--seconds", "1"]).unwrap();
        assert_eq!(own, ["bench", "ops", "--samples=9", "--json", "--seconds", "1"]);
        assert_eq!(of(&["device"]).unwrap_err().exit_code(), 2);
    }
}
