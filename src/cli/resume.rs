//! The flags of checkpoints, and the command that goes on with a run.

use super::output::Output;
use super::source::quoted;
use crate::error::{Result, printable_path};
use crate::train::{Checkpoint, RunFolder};
use clap::Args;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

#[derive(Args, Debug)]
#[command(next_help_heading = "Stop and go on")]
pub(crate) struct ResumeArgs {
    /// Go on with the run in this folder, or from this checkpoint of it, as if it had not been stopped; the other flags must
    /// be those that it was started with. auto is the newest folder of this run's name with a checkpoint in it; without one
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

/// What to type to go on with the run in `folder` that was started by `typed` (program name first).
pub(super) fn command(typed: &[OsString], folder: &Path) -> String {
    let mut words = vec!["striate".to_string()];
    let mut rest = typed.iter().skip(1);
    while let Some(word) = rest.next() {
        let word = word.to_string_lossy();
        if word == "--resume" {
            rest.next();
        } else if !word.starts_with("--resume=") && word != "--resume-force" {
            words.push(quoted(&word));
        }
    }
    words.push(format!("--resume {}", quoted(&folder.to_string_lossy())));
    words.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_to_go_on_is_the_one_that_began_but_for_where_it_goes_on_from() {
        let typed =
            ["/bin/striate", "train", "--resume", "auto", "--name", "a b", "--resume-force", "--resume=x"];
        let typed: Vec<OsString> = typed.iter().map(OsString::from).collect();
        assert_eq!(
            command(&typed, Path::new("runs/a_b-2")),
            "striate train --name 'a b' --resume runs/a_b-2"
        );
    }
}
