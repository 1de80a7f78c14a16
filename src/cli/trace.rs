//! `striate trace`: dumps one training step with all intermediate values.

use super::Context;
use super::device;
use super::recipe::RecipeArgs;
use super::run_data::of_run;
use super::source::{self, SourceArgs};
use crate::data::InputRange;
use crate::error::{Error, Result};
use crate::inference::{self, BatchSource, DEFAULT_MODEL};
use crate::interchange::{self, safetensors};
use crate::model::{BuildOptions, Model, Spec};
use clap::Args;
use serde_json::json;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

#[derive(Args, Debug)]
#[command(after_help = "Example:
  striate trace -m lenet5 --weights lenet5.safetensors --data-path batch.safetensors --output step.safetensors

The file holds input, labels, parameters and running statistics before the step (parameter.<name>), <layer>.y, logits,
losses, loss, grad.<parameter>, grad.input, and parameters and running statistics after the step (updated.<name>).
The batch is the first one in the order of the data, without augmentation.")]
pub(crate) struct TraceArgs {
    /// Use this network
    ///
    /// A built-in network by its name, or a model file. [default: the one that --weights was trained with, else alexnet-mini]
    #[arg(short, long, value_name = "NAME|FILE")]
    model: Option<String>,
    /// Start from these weights
    ///
    /// A file, or the folder of a run, whose best weights are taken. [default: initial values drawn with --seed]
    #[arg(long, value_name = "FILE")]
    weights: Option<PathBuf>,
    /// Write to FILE
    #[arg(short, long, value_name = "FILE.safetensors")]
    output: PathBuf,
    #[command(flatten)]
    source: SourceArgs,
    #[command(flatten)]
    recipe: RecipeArgs,
    /// Random seed (initialisation, dropout)
    #[arg(long, default_value_t = 0, value_name = "N")]
    seed: u64,
    /// Apply dropout, which is off by default
    #[arg(long, conflicts_with = "evaluation")]
    dropout: bool,
    /// Trace an evaluation
    ///
    /// Batch norms use running statistics, and there are no gradients and no update.
    #[arg(long)]
    evaluation: bool,
    /// Disable fusion, so that the output of every layer is written
    #[arg(long)]
    no_fuse: bool,
}

pub(super) fn run(args: &TraceArgs, context: &Context) -> Result<u8> {
    if args.recipe.chooses_batch() {
        return Err(Error::Usage(
            "--batch-size: expected a number, found auto, which only train can use".into(),
        ));
    }
    let overrides = args.recipe.overrides()?;
    if args.evaluation && overrides.class_weights.is_some() {
        let what = "--class-weights: expected a training step, found --evaluation, whose loss has no weights";
        return Err(Error::Usage(what.into()));
    }
    let weights = args.weights.as_ref().map(interchange::read).transpose()?;
    let mut spec = match &weights {
        Some(file) if args.model.is_some() || file.metadata.contains_key("model") => {
            source::network_of(file, args.model.as_deref(), &context.out)?
        }
        other => {
            other.iter().for_each(|file| source::note_reading(file, &context.out));
            Spec::load(args.model.as_deref().unwrap_or(DEFAULT_MODEL))?
        }
    };
    overrides.apply(&mut spec)?;
    overrides.check_effects(&spec.recipe, &context.out)?;
    if let Some(file) = &weights {
        spec.geometry = inference::geometry(file)?;
    }
    let model = args.model.as_deref();
    let data_source = of_run(&args.source, args.weights.as_deref(), &context.out);
    let inputs = data_source.read_by(model, args.weights.as_deref(), &spec);
    inputs.reads(args.recipe.class_weights_file()).check_as("--output", &args.output, &["safetensors"])?;
    data_source.provide_for(&spec, weights.as_ref(), &context.out)?;
    let data = data_source.open_whole(&spec, weights.as_ref(), args.seed, &context.out)?;
    let data = match &weights {
        Some(file) => inference::with_classes_of(file, data, &context.out)?,
        None => data,
    };
    // An evaluation has none, so those of the recipe need not fit the data.
    let class_weights = match args.evaluation {
        true => None,
        false => inference::class_weights(&spec.recipe, &data.train, inference::outputs(&spec)?)?,
    };
    let build = BuildOptions {
        dropout: args.dropout,
        fuse: !args.no_fuse,
        keep: true,
        training: !args.evaluation,
        input_gradient: true,
        clip: spec.recipe.clip_grad_norm.is_some(),
        pixels: data.pixels(spec.input),
        target: inference::target(&data.train, spec.recipe.loss)?,
        class_weights,
        ..BuildOptions::new(spec.recipe.batch_size)
    };
    let model = Model::build(&spec, &build)?;
    let device = device::open(context)?;
    inference::check_memory(&device, &spec, &build, &model)?;
    let mut executor = device.executor(Arc::clone(&model.program))?;
    inference::initialise(&model, executor.as_mut(), args.seed)?;
    if let Some(file) = weights {
        inference::load(&model, executor.as_mut(), file, None)?;
    }
    let source = BatchSource::new(&spec, &model, args.seed, 1, args.source.on_bad_file);
    let batch = source.first(&data.train)?;
    context.out.warn_of(source.bad());
    let tensors = inference::trace(&spec, &model, executor.as_mut(), &batch, args.seed)?;
    let loss = tensors.iter().find(|(name, _)| name == "loss").map_or(f32::NAN, |(_, t)| t.data()[0]);
    let metadata = BTreeMap::from([
        ("arch".to_string(), spec.name.clone()),
        // The range of the tensor `input`, for use of the file as a data set.
        ("input_range".to_string(), InputRange::Ready.to_string()),
        ("device".to_string(), device.long_name()),
        ("lr".to_string(), spec.recipe.lr.to_string()),
        ("optimizer".to_string(), spec.recipe.optimizer.to_string()),
        ("seed".to_string(), args.seed.to_string()),
    ]);
    safetensors::write(&args.output, &tensors, &metadata)?;
    if context.out.is_json() {
        let names: Vec<&str> = tensors.iter().map(|(name, _)| name.as_str()).collect();
        context.out.json(&json!({
            "event": "trace",
            "output": args.output.display().to_string(),
            "rows": batch.rows,
            "data": data.train.name,
            "part": "train",
            "samples": data.train.len(),
            "loss": f64::from(loss),
            "tensors": names,
        }))?;
    } else {
        context.out.line(&format!(
            "{}: {} tensors of one step on the first {} of {} training samples of {}, loss {loss}",
            args.output.display(),
            tensors.len(),
            batch.rows,
            data.train.len(),
            data.train.name
        ))?;
    }
    Ok(0)
}
