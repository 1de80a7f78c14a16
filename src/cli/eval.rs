//! `striate eval` (alias `test`): loss, accuracies and a table per class for given weights.

use super::device::Device;
use super::recipe::MOST_ROWS;
use super::source::SourceArgs;
use super::{Context, memory, stop};
use crate::atomic;
use crate::data::{Dataset, Labels};
use crate::error::{Error, Result};
use crate::interchange::safetensors;
use crate::model::{BuildOptions, Model, Spec};
use crate::train::{self, Confusion, Feed, Totals};
use clap::Args;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

#[derive(Args, Debug)]
#[command(after_help = "Examples:
  striate eval --weights runs/alexnet-mini/best.safetensors
  striate eval -m neuron               # one neuron with hand-set weights
  striate eval --weights alexnet.safetensors -m alexnet --data-path /data/imagenet --confusion confusion.csv")]
pub(crate) struct EvalArgs {
    /// The weights to evaluate [default with --model: the model file's initial values]
    #[arg(long, value_name = "FILE", required_unless_present = "model")]
    weights: Option<PathBuf>,
    /// A built-in network or a model file [default: the one the weights were trained with]
    #[arg(short, long, value_name = "NAME|FILE.toml")]
    model: Option<String>,
    #[command(flatten)]
    source: SourceArgs,
    /// Samples per step [default: the recipe's]
    #[arg(short, long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=MOST_ROWS))]
    batch_size: Option<u32>,
    /// Of a validation set that is split off (--val-split) [default: the one the weights were trained with]
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
    /// Write how often each class was taken for each other
    #[arg(long, value_name = "FILE.csv")]
    confusion: Option<PathBuf>,
}

pub(super) fn run(args: &EvalArgs, context: &Context) -> Result<u8> {
    let file = args.weights.as_ref().map(safetensors::read).transpose()?;
    let spec = match (&file, &args.model) {
        (Some(file), name) => train::spec_of(file, name.as_deref())?,
        (None, Some(name)) => Spec::load(name)?,
        (None, None) => return Err(Error::Usage("expected --weights or --model, found neither".into())),
    };
    let trained_with = || file.as_ref()?.metadata.get("seed")?.parse().ok();
    let seed = args.seed.or_else(trained_with).unwrap_or(0);
    let data = args.source.open(&spec, seed)?;
    let samples = if data.val.is_empty() {
        let what = format!("data set {} has no validation samples; --val-split makes some", data.train.name);
        return Err(Error::Usage(what));
    } else {
        Arc::clone(&data.val)
    };
    let build = BuildOptions {
        training: false,
        target: train::target(&samples, spec.recipe.loss)?,
        ..BuildOptions::new(args.batch_size.map_or(spec.recipe.batch_size, |n| n as usize))
    };
    let model = Model::build(&spec, &build)?;
    let device = Device::open(&context.wish, &context.out)?;
    memory::check(&device, &spec, &build, &model)?;
    let mut executor = device.executor(Arc::clone(&model.program))?;
    match file {
        Some(file) => train::load(&model, executor.as_mut(), file, None)?,
        None => {
            context.out.note(&format!("no --weights: the initial values of {}, seed {seed}", spec.name));
            for (buffer, values) in model.initial(seed)? {
                executor.write(buffer, &values)?;
            }
        }
    }
    let feed =
        Feed { batch: model.batch, workers: args.source.workers(), seed, transform: train::transform(&spec) };
    let stop = stop::on_signal()?;
    let began = Instant::now();
    let (totals, confusion) = match samples.labels {
        Labels::Classes(_) => {
            let (totals, confusion) =
                train::evaluate_classes(&model, executor.as_mut(), &samples, &feed, &stop)?;
            (totals, Some(confusion))
        }
        Labels::Values { .. } => (train::evaluate(&model, executor.as_mut(), &samples, &feed, &stop)?, None),
    };
    let seconds = began.elapsed().as_secs_f64();
    if stop.load(Ordering::Relaxed) {
        context.out.note("interrupted: no result, as only a part was evaluated");
        return Ok(stop::INTERRUPTED);
    }
    if let Some(path) = &args.confusion {
        let Some(confusion) = &confusion else {
            return Err(Error::Usage("--confusion needs class numbers as labels, found values".into()));
        };
        write_confusion(path, confusion, &samples)?;
    }
    report(context, &spec, &samples, &totals, confusion.as_ref(), seconds)?;
    Ok(0)
}

fn report(
    context: &Context,
    spec: &Spec,
    data: &Dataset,
    totals: &Totals,
    confusion: Option<&Confusion>,
    seconds: f64,
) -> Result<()> {
    let classes: Vec<usize> = (0..confusion.map_or(0, Confusion::classes)).collect();
    if context.out.is_json() {
        let table: Option<Vec<Value>> = confusion.map(|c| {
            let row = |&class: &usize| {
                json!({
                    "class": class,
                    "name": class_name(data, class),
                    "samples": c.samples(class),
                    "acc1": finite(c.recall(class)),
                    "precision": finite(c.precision(class)),
                })
            };
            classes.iter().map(row).collect()
        });
        return context.out.json(&json!({
            "event": "eval",
            "model": spec.name,
            "data": data.name,
            "samples": totals.rows(),
            "loss": finite(totals.loss()),
            "acc1": finite(totals.acc1()),
            "acc5": finite(totals.acc5()),
            "seconds": seconds,
            "classes": table,
        }));
    }
    context.out.line(&format!(
        "{} on {}, {} samples: loss {:.4}  top-1 {:.2} %  top-5 {:.2} %  ({:.0} img/s)",
        spec.name,
        data.name,
        totals.rows(),
        totals.loss(),
        totals.acc1(),
        totals.acc5(),
        totals.rows() as f64 / seconds.max(f64::MIN_POSITIVE)
    ))?;
    let Some(confusion) = confusion else { return Ok(()) };
    let width = classes.iter().map(|&c| class_name(data, c).chars().count()).max().unwrap_or(0).max(5);
    context
        .out
        .line(&format!("{:<width$}  {:>8}  {:>8}  {:>9}", "class", "samples", "right %", "precision"))?;
    for class in classes {
        let percent = |value: f64| if value.is_nan() { "-".to_string() } else { format!("{value:.2}") };
        context.out.line(&format!(
            "{:<width$}  {:>8}  {:>8}  {:>9}",
            class_name(data, class),
            confusion.samples(class),
            percent(confusion.recall(class)),
            percent(confusion.precision(class))
        ))?;
    }
    Ok(())
}

fn finite(value: f64) -> Option<f64> {
    value.is_finite().then_some(value)
}

fn class_name(data: &Dataset, class: usize) -> String {
    data.class_names.get(class).cloned().unwrap_or_else(|| class.to_string())
}

/// One row per right class, one column per answer; the first row and column are names.
fn write_confusion(path: &Path, confusion: &Confusion, data: &Dataset) -> Result<()> {
    atomic::write(path, |out| {
        let mut table = csv::Writer::from_writer(out);
        let names = (0..confusion.classes()).map(|class| class_name(data, class));
        table.write_record(std::iter::once("truth \\ answer".to_string()).chain(names))?;
        for truth in 0..confusion.classes() {
            let counts = (0..confusion.classes()).map(|answer| confusion.get(truth, answer).to_string());
            table.write_record(std::iter::once(class_name(data, truth)).chain(counts))?;
        }
        table.flush()
    })
}
