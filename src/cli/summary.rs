//! `striate summary`: layers, parameters, multiply-adds, and the memory of a training step.

use super::Context;
use super::recipe::MOST_ROWS;
use crate::error::Result;
use crate::inference::DEFAULT_MODEL;
use crate::model::{BuildOptions, Model, Spec, Summary};
use clap::Args;
use serde_json::json;

#[derive(Args, Debug)]
#[command(
    after_help = "Examples:\n  striate summary -m alexnet -b 256\n  striate summary -m resnet50 --expand > mine.toml"
)]
pub(crate) struct SummaryArgs {
    /// Show this network, a built-in one or a model file
    #[arg(short, long, default_value = DEFAULT_MODEL, value_name = "NAME|FILE")]
    model: String,
    /// Use N samples per step [default: the recipe's]
    #[arg(short, long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=MOST_ROWS))]
    batch_size: Option<u32>,
    /// Print the model file with the layers of its blocks written out
    #[arg(long, conflicts_with_all = ["batch_size", "ema"])]
    expand: bool,
    /// Count the moving average of `train --ema DECAY`
    #[arg(long, value_name = "DECAY", value_parser = super::regularization::decay)]
    ema: Option<f64>,
}

pub(super) fn run(args: &SummaryArgs, context: &Context) -> Result<u8> {
    let spec = Spec::load(&args.model)?;
    if args.expand {
        let text = spec.to_toml();
        return match context.out.is_json() {
            true => context.out.json(&json!({ "model": spec.name, "toml": text })).map(|()| 0),
            false => context.out.line(text.trim_end()).map(|()| 0),
        };
    }
    let batch = args.batch_size.map_or(spec.recipe.batch_size, |n| n as usize);
    let options = BuildOptions { ema: args.ema, ..BuildOptions::for_recipe(&spec.recipe, batch) };
    let summary = Summary::new(&Model::build(&spec, &options)?);
    if !context.out.is_json() {
        context.out.line(summary.to_string().trim_end())?;
        return Ok(0);
    }
    let layers: Vec<_> = summary
        .layers
        .iter()
        .map(|layer| {
            json!({
                "name": layer.name,
                "op": layer.op,
                "output": layer.output.dims(),
                "parameters": layer.parameters,
                "macs": layer.macs,
                // A layer that is fused into the next operator has no output buffer.
                "bytes": layer.buffer.map_or(0, |_| layer.output.bytes()),
            })
        })
        .collect();
    context.out.json(&json!({
        "model": summary.name,
        "batch_size": summary.batch,
        "parameters": summary.parameters,
        "macs": summary.macs,
        "train_flops": summary.train_flops,
        "memory_bytes": summary.memory,
        "weights_bytes": summary.weights,
        "gradients_bytes": summary.gradients,
        "optimizer_bytes": summary.optimizer,
        "averages_bytes": summary.averages,
        "activations_bytes": summary.activations,
        "layers": layers,
    }))?;
    Ok(0)
}
