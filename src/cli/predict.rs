//! `striate predict`: what a network takes pictures for.

use super::Context;
use crate::error::{Error, Result};
use clap::Args;
use std::path::PathBuf;

#[derive(Args, Debug)]
pub(crate) struct PredictArgs {
    /// What to read
    file: PathBuf,
}

pub(super) fn run(args: &PredictArgs, _context: &Context) -> Result<u8> {
    Err(Error::Usage(format!("{}: predict is not there yet", args.file.display())))
}
