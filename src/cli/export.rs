//! `striate export`: a trained network for other programs.

use super::Context;
use crate::error::{Error, Result};
use clap::Args;
use std::path::PathBuf;

#[derive(Args, Debug)]
pub(crate) struct ExportArgs {
    /// What to read
    file: PathBuf,
}

pub(super) fn run(args: &ExportArgs, _context: &Context) -> Result<u8> {
    Err(Error::Usage(format!("{}: export is not there yet", args.file.display())))
}
