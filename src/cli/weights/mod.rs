//! `striate weights`: pretrained weights of the built-in networks that others publish: what there is (`list`), and their download
//! (`fetch`).

mod fetch;
mod sources;

use super::Context;
use super::output::bytes;
use crate::error::Result;
use clap::{Args, Subcommand};
use serde_json::json;
use sources::SOURCES;

#[derive(Args, Debug)]
#[command(after_help = "Examples:\n  striate weights list\n  striate weights fetch resnet18")]
pub(crate) struct WeightsArgs {
    #[command(subcommand)]
    command: WeightsCommand,
}

#[derive(Subcommand, Debug)]
enum WeightsCommand {
    /// List the weights that can be downloaded
    #[command(after_help = "Example: striate weights list")]
    List,
    /// Download weights and convert them
    Fetch(fetch::FetchArgs),
}

pub(super) fn run(args: &WeightsArgs, context: &Context) -> Result<u8> {
    match &args.command {
        WeightsCommand::List => list(context),
        WeightsCommand::Fetch(args) => fetch::run(args, context),
    }
}

fn list(context: &Context) -> Result<u8> {
    for source in &SOURCES {
        let size = source.file.most();
        if context.out.is_json() {
            context.out.json(&json!({
                "name": source.name,
                "about": source.about,
                "address": source.address(),
                "sha256_prefix": source.file.sha256,
                "bytes_at_most": size,
            }))?;
        } else {
            context.out.line(&format!("{:<16} {:>10}  {}", source.name, bytes(size), source.about))?;
        }
    }
    Ok(0)
}
