//! `striate import`: networks and weights from other programs.

use super::Context;
use crate::error::{Error, Result};
use clap::Args;
use std::path::PathBuf;

#[derive(Args, Debug)]
pub(crate) struct ImportArgs {
    /// What to read
    file: PathBuf,
}

pub(super) fn run(args: &ImportArgs, _context: &Context) -> Result<u8> {
    Err(Error::Usage(format!("{}: import is not there yet", args.file.display())))
}
