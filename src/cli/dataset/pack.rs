//! `striate dataset pack`: packs a data set of images into one file.

use super::progress::ScanProgress;
use super::{PassArgs, SelectionArgs};
use crate::cli::Context;
use crate::cli::output::bytes;
use crate::cli::outputs::Outputs;
use crate::cli::source::add_notes;
use crate::data::pack;
use crate::error::{Result, printable_path};
use crate::inference::quoted;
use clap::Args;
use serde_json::json;
use std::path::PathBuf;

#[derive(Args, Debug)]
#[command(after_help = "Example:\n  striate dataset pack photos -o photos.safetensors --size 256\n  \
                  striate train -m alexnet --data-path photos.safetensors\n\n\
                  The file is a safetensors file with train.images, train.labels and their hashes (val.* likewise).\n\
                  Image files are stored whole with a resized shorter side, so that training from the packed file sees\n\
                  the same images as training from files resized once. Their sizes are in train.sizes.")]
pub(super) struct PackArgs {
    #[command(flatten)]
    data: SelectionArgs,
    /// Write to FILE
    ///
    /// An existing file is replaced when the new one is complete.
    #[arg(short, long, value_name = "FILE")]
    output: PathBuf,
    #[command(flatten)]
    pass: PassArgs,
}

pub(super) fn run(args: &PackArgs, context: &Context) -> Result<u8> {
    let mut outputs = Outputs::new().packs(args.data.data.as_deref(), args.data.dataset);
    outputs.check_as("--output", &args.output, &["safetensors"])?;
    let (splits, notes) = args.data.open_whole(context)?;
    let mut pass = ScanProgress::new(context.out, args.pass.on_bad_file)?;
    let packed = pack(&splits, &args.output, args.pass.workers(), &mut pass);
    let summary = match pass.end(packed) {
        Ok(summary) => summary,
        Err(ended) => return ended,
    };
    let [train, val] = summary.counts;
    if context.out.is_json() {
        let mut object = json!({
            "event": "dataset-pack",
            "output": args.output.to_string_lossy(),
            "name": splits.train.name,
            "shape": splits.train.shape,
            "whole": splits.train.has_sizes(),
            "train": train,
            "val": val,
            "skipped": summary.skipped,
            "bytes": summary.bytes,
            "mean": summary.statistics.mean,
            "std": summary.statistics.std,
        });
        add_notes(&mut object, &notes);
        context.out.json(&object)?;
        return Ok(0);
    }
    let [c, h, w] = splits.train.shape;
    let images = if splits.train.has_sizes() {
        format!("whole images of {c} channels and a shorter side of {h}")
    } else {
        format!("images of {c}x{h}x{w}")
    };
    context.out.line(&format!(
        "{}: {train} training and {val} validation {images}, {} skipped, {}",
        printable_path(&args.output),
        summary.skipped,
        bytes(summary.bytes)
    ))?;
    let model = if h.min(w) >= 224 { "alexnet" } else { "alexnet-64" };
    let output = quoted(&args.output.to_string_lossy());
    context.out.line(&format!("next: striate train -m {model} --data-path {output}"))?;
    Ok(0)
}
