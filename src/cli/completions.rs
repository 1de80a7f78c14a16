//! `striate completions`: the script by which a shell asks this program for completions, and the answers.

use super::Context;
use super::flags;
use crate::error::{Error, Result};
use clap::Args;
use clap_complete::env::Shells;
use clap_complete::{CompleteEnv, Shell};
use std::ffi::OsString;
use std::io::Write;

/// The environment variable by which the script names its shell.
const VARIABLE: &str = "STRIATE_COMPLETE";

#[derive(Args, Debug)]
#[command(after_help = "Examples:
  striate completions bash > ~/.local/share/bash-completion/completions/striate
  striate completions zsh > ~/.zfunc/_striate
  striate completions fish > ~/.config/fish/completions/striate.fish

The script calls striate for its answers. Write it again after an update of striate.")]
pub(crate) struct CompletionsArgs {
    /// Complete the words of this shell
    shell: Shell,
}

pub(super) fn run(args: &CompletionsArgs, _context: &Context) -> Result<u8> {
    let name = args.shell.to_string();
    let shells = Shells::builtins();
    let shell =
        shells.completer(&name).ok_or_else(|| Error::Internal(format!("no completions of {name}")))?;
    let mut script = Vec::new();
    let written = shell.write_registration(VARIABLE, "striate", "striate", "striate", &mut script);
    let mut stdout = std::io::stdout().lock();
    let written = written.and_then(|()| stdout.write_all(&script)).and_then(|()| stdout.flush());
    written.map_err(|error| Error::io("stdout", error))?;
    Ok(0)
}

/// Answers a shell that asks how to complete the command line `arguments`; false if none asks.
pub(super) fn answered(arguments: &[OsString]) -> Result<bool> {
    let folder = std::env::current_dir().ok();
    let environment = CompleteEnv::with_factory(flags::command).var(VARIABLE).bin("striate");
    environment
        .try_complete(arguments.iter().cloned(), folder.as_deref())
        .map_err(|error| Error::Usage(format!("{VARIABLE}: {}", error.to_string().trim_end())))
}
