//! `striate report`: pictures of what is inside a network.

use super::Context;
use crate::error::{Error, Result};
use clap::Args;
use std::path::PathBuf;

#[derive(Args, Debug)]
pub(crate) struct ReportArgs {
    /// What to read
    file: PathBuf,
}

pub(super) fn run(args: &ReportArgs, _context: &Context) -> Result<u8> {
    Err(Error::Usage(format!("{}: report is not there yet", args.file.display())))
}
