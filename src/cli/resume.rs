//! The flags of checkpoints, and the command that goes on with a run.

use super::output::Output;
use super::source::quoted;
use crate::error::{Error, Result, printable_path};
use crate::train::{Checkpoint, RunFolder};
use clap::parser::ValueSource;
use clap::{Args, CommandFactory};
use serde::Deserialize;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

#[derive(Args, Debug)]
#[command(next_help_heading = "Stop and go on")]
pub(crate) struct ResumeArgs {
    /// Go on with the run in this folder, or from this checkpoint of it, as if it had not been stopped. Without other flags
    /// those that it was started with are taken; otherwise they have to be the same. auto is the newest folder of this run's name with a checkpoint in it; without one
    /// the run begins
    #[arg(long, value_name = "auto|DIR|FILE", conflicts_with = "preview")]
    resume: Option<PathBuf>,
    /// Go on although recipe, network, data or options have changed; what does not fit starts anew
    #[arg(long, requires = "resume")]
    pub resume_force: bool,
    /// Save a checkpoint after every so many steps too, not only after every epoch
    #[arg(long, value_name = "STEPS", value_parser = clap::value_parser!(u32).range(1..))]
    pub checkpoint_every: Option<u32>,
    /// Checkpoints that are kept: checkpoint.safetensors, checkpoint-1.safetensors (the one before), ...
    #[arg(long, default_value_t = 2, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub checkpoint_hist: u32,
}

impl ResumeArgs {
    /// The checkpoint to go on from, and its folder, locked. `output_dir` and `name` are where `auto` looks.
    pub fn open(
        &self,
        output_dir: &Path,
        name: &str,
        out: &Output,
    ) -> Result<Option<(Checkpoint, RunFolder)>> {
        let Some(path) = &self.resume else { return Ok(None) };
        let auto = path.as_os_str() == "auto";
        let path = if auto { RunFolder::latest(output_dir, name) } else { Some(path.clone()) };
        let Some(path) = path else {
            out.note(&format!(
                "resume: no checkpoint of {name} in {}: a new run",
                printable_path(output_dir)
            ));
            return Ok(None);
        };
        let (folder, all) = Checkpoint::find(&path)?;
        if !folder.join("log.jsonl").exists() {
            // A file by itself is to be whole before a run's files are made beside it.
            Checkpoint::read_first(&all)?;
        }
        let folder = RunFolder::reopen(&folder)?;
        // Once more, now that nobody else can change them.
        let (_, all) = Checkpoint::find(&path)?;
        let checkpoint = Checkpoint::read_first(&all)?;
        out.note(&format!("resume: {}, step {}", printable_path(&checkpoint.path), checkpoint.step()));
        Ok(Some((checkpoint, folder)))
    }
}

/// In `args.toml`: the words that the run was started with, or last went on with.
pub(super) const COMMAND: &str = "command";

/// Arguments that say how a run goes on and not what it is. What every verb understands is of this kind too.
const HOW: [&str; 8] = [
    "resume",
    "resume_force",
    "checkpoint_every",
    "checkpoint_hist",
    "max_steps",
    "log_every",
    "workers",
    "profile",
];

/// What was typed (program name first) but for where the run goes on from; nothing where a word is no text.
pub(super) fn words(typed: &[OsString]) -> Vec<String> {
    let mut words = Vec::new();
    let mut rest = typed.iter().skip(1);
    while let Some(word) = rest.next() {
        let Some(word) = word.to_str() else { return Vec::new() };
        if word == "--resume" {
            rest.next();
        } else if !word.starts_with("--resume=") && word != "--resume-force" {
            words.push(word.to_string());
        }
    }
    words
}

/// What to type to go on with the run in `folder`.
pub(super) fn command(folder: &Path) -> String {
    format!("striate train --resume {}", quoted(&folder.to_string_lossy()))
}

/// `typed` (program name first). Where that is `train --resume ...` without an argument that describes a run, the words
/// that the run was started with come before its own, which win.
pub(super) fn completed<C: CommandFactory>(typed: Vec<OsString>) -> Result<Vec<OsString>> {
    // What cannot be parsed is reported by whoever needs it parsed.
    let Ok(matches) = C::command().try_get_matches_from(&typed) else { return Ok(typed) };
    let Some(("train", train)) = matches.subcommand() else { return Ok(typed) };
    let Some(path) = train.get_one::<PathBuf>("resume") else { return Ok(typed) };
    let command = C::command();
    let of_the_run = command.find_subcommand("train").into_iter().flat_map(clap::Command::get_arguments);
    let is_typed = |id: &str| train.value_source(id) == Some(ValueSource::CommandLine);
    if of_the_run.map(|argument| argument.get_id().as_str()).any(|id| !HOW.contains(&id) && is_typed(id)) {
        return Ok(typed);
    }
    let folder = if path.as_os_str() == "auto" {
        let output_dir = train.get_one::<PathBuf>("output_dir").map_or(Path::new("runs"), PathBuf::as_path);
        let Some(folder) = RunFolder::latest(output_dir, super::train::DEFAULT_MODEL) else {
            return Ok(typed);
        };
        folder
    } else {
        match Checkpoint::find(path) {
            Ok((folder, _)) => folder,
            Err(_) => return Ok(typed),
        }
    };
    // Without them the flags have to be typed again.
    let Ok(text) = RunFolder::description(&folder) else { return Ok(typed) };
    let bad = |what: String| Error::data(folder.join("args.toml"), what);
    let table: toml::Table = text.parse().map_err(|e: toml::de::Error| bad(e.message().to_string()))?;
    let mut all = match table.get(COMMAND).map(|value| Vec::<String>::deserialize(value.clone())) {
        None => return Ok(typed),
        Some(Ok(words)) if words.is_empty() => return Ok(typed),
        Some(Ok(words)) => words,
        Some(Err(e)) => return Err(bad(format!("{COMMAND}: expected a list of words: {}", e.message()))),
    };
    let own = words(&typed);
    // The verb once.
    let own: Vec<String> = own.into_iter().filter(|word| word != "train").collect();
    if !all.ends_with(&own) {
        all.extend(own);
    }
    let program = typed.first().cloned().unwrap_or_else(|| "striate".into());
    let mut all: Vec<OsString> =
        std::iter::once(program).chain(all.into_iter().map(OsString::from)).collect();
    all.extend(["--resume".into(), path.clone().into_os_string()]);
    all.extend(train.get_flag("resume_force").then(|| "--resume-force".into()));
    Ok(all)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_words_of_a_run_are_those_that_began_it_but_for_where_it_goes_on_from() {
        let typed =
            ["/bin/striate", "train", "--resume", "auto", "--name", "a b", "--resume-force", "--resume=x"];
        let typed: Vec<OsString> = typed.iter().map(OsString::from).collect();
        assert_eq!(words(&typed), ["train", "--name", "a b"]);
        assert_eq!(command(Path::new("runs/a b")), "striate train --resume 'runs/a b'");
    }
}
