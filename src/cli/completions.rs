//! `striate completions`: completion scripts for shells.

use super::Context;
use crate::error::{Error, Result};
use clap::{Args, CommandFactory};
use clap_complete::Shell;
use std::io::Write;

#[derive(Args, Debug)]
#[command(
    after_help = "Example:\n  striate completions bash > ~/.local/share/bash-completion/completions/striate"
)]
pub(crate) struct CompletionsArgs {
    /// Generate completions for this shell
    shell: Shell,
}

pub(super) fn run<C: CommandFactory>(args: &CompletionsArgs, _context: &Context) -> Result<u8> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut C::command(), "striate", &mut script);
    let mut stdout = std::io::stdout().lock();
    stdout.write_all(&script).and_then(|()| stdout.flush()).map_err(|e| Error::io("stdout", e))?;
    Ok(0)
}
