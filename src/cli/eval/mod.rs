//! `striate eval` (alias `test`): measures loss, accuracies and a table per class for given weights.

mod files;
mod report;
mod robustness;

use super::device;
use super::output::Output;
use super::recipe::MOST_ROWS;
use super::run_data::of_run;
use super::samples::{Part, Samples};
use super::source::{self, SourceArgs};
use super::{Context, stop};
use crate::atomic;
use crate::data::{Dataset, Labels, Splits};
use crate::error::{Error, Result};
use crate::inference::{self, Answer, Assessment, BatchSource, Outcome, Scores};
use crate::model::{BuildOptions, LossKind, Model, Spec};
use crate::program::Executor;
use crate::report::Evaluated;
use clap::Args;
use files::TopPredictions;
use report::EvalReport;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

#[derive(Args, Debug)]
#[command(after_help = "Examples:
  striate eval --weights runs/alexnet-mini/best.safetensors --mistakes mistakes.png
  striate eval -m neuron               # one neuron with hand-set weights
  striate eval --weights alexnet.safetensors -m alexnet --data-path /data/imagenet --ten-crop
  striate eval --weights runs/alexnet-mini/best.safetensors --robustness robustness.csv --limit-val 1000")]
pub(crate) struct EvalArgs {
    /// Evaluate these weights
    ///
    /// A file (safetensors, PyTorch's .pth, NPZ or ONNX), or the folder of a run, whose best weights are taken. [default with
    /// --model: the model file's initial values]
    #[arg(long, value_name = "FILE", required_unless_present = "model")]
    weights: Option<PathBuf>,
    /// Use this network
    ///
    /// A built-in network by its name, or a model file. [default: the one the weights were trained with]
    #[arg(short, long, value_name = "NAME|FILE")]
    model: Option<String>,
    /// Evaluate this part of the data
    ///
    /// [default: the samples that the weights' run held out of this data, else the validation part, else all]
    #[arg(long, value_enum, value_name = "val|train|all")]
    part: Option<Part>,
    /// Average over ten crops of each image
    ///
    /// Probabilities are averaged over the corners and the centre of the resized image and their mirror images; requires a model
    /// with a resize larger than its input.
    #[arg(long)]
    ten_crop: bool,
    /// Write the confusion matrix
    #[arg(long, value_name = "FILE.csv")]
    confusion: Option<PathBuf>,
    /// Write the top five predictions for each sample
    ///
    /// Beside them stand their probabilities.
    #[arg(long, value_name = "FILE.csv")]
    predictions: Option<PathBuf>,
    /// Draw the most confident mistakes
    ///
    /// At most 24 images, as the network sees them, each with the answer, its probability and the true class.
    #[arg(long, value_name = "FILE.png")]
    mistakes: Option<PathBuf>,
    /// Evaluate on corrupted images, as a table
    ///
    /// Images are rotated, zoomed, darkened, blurred, noisy and occluded, level by level. FILE ends in .csv or .json; the flag may
    /// be given once for each.
    #[arg(
        long,
        value_name = "FILE",
        value_parser = robustness::table,
        conflicts_with_all = ["ten_crop", "confusion", "predictions", "mistakes"]
    )]
    robustness: Vec<robustness::RobustnessTable>,
    /// Use N samples per step [default: the recipe's]
    #[arg(short, long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=MOST_ROWS))]
    batch_size: Option<u32>,
    /// Random seed (--val-split, --robustness) [default: the one the weights were trained with]
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
    #[command(flatten)]
    source: SourceArgs,
}

pub(super) fn run(args: &EvalArgs, context: &Context) -> Result<u8> {
    let (file, spec) = source::network(args.weights.as_deref(), args.model.as_deref(), &context.out)?;
    let source = of_run(&args.source, args.weights.as_deref(), &context.out);
    let mut outputs = source.read_by(args.model.as_deref(), args.weights.as_deref(), &spec);
    let tables = args.robustness.iter().map(|table| ("--robustness", table.path()));
    let named = [
        ("--confusion", &args.confusion),
        ("--predictions", &args.predictions),
        ("--mistakes", &args.mistakes),
    ];
    let named = named.iter().filter_map(|(flag, path)| Some((*flag, path.as_deref()?)));
    for (flag, path) in named.chain(tables) {
        let formats: &[&str] = match flag {
            "--robustness" => &["csv", "json"],
            "--mistakes" => &["png"],
            _ => &["csv"],
        };
        outputs.check_as(flag, path, formats)?;
    }
    let trained_with = || file.as_ref()?.metadata.get("seed")?.parse().ok();
    let seed = args.seed.or_else(trained_with).unwrap_or(0);
    let part = source.open_part(&spec, file.as_ref(), args.part, args.seed, &context.out)?;
    let shown = Splits::of(Arc::clone(&part.data));
    let shown = match (args.ten_crop, args.robustness.is_empty()) {
        (true, _) => shown.ten_crops(),
        (_, false) => shown.with_surroundings(),
        _ => shown,
    };
    let samples = Arc::clone(&shown.val);
    if samples.is_empty() {
        let what = format!("data set {}: expected samples in this part, found none", samples.name);
        return Err(Error::Usage(what));
    }
    source::note_old_rules(&spec, &samples, &context.out);
    let named = [
        (&args.confusion, "--confusion"),
        (&args.predictions, "--predictions"),
        (&args.mistakes, "--mistakes"),
    ];
    if let (Labels::Values { .. }, Some((_, flag))) = (&samples.labels, named.iter().find(|f| f.0.is_some()))
    {
        return Err(Error::Usage(format!("{flag}: expected classes as labels, found values")));
    }
    if let (Some(_), [channels, 1, width] | [channels, width, 1]) = (&args.mistakes, samples.shape) {
        let what = format!("--mistakes: expected images, found samples of {} numbers", channels * width);
        return Err(Error::Usage(what));
    }
    if args.ten_crop && (spec.recipe.loss != LossKind::CrossEntropy) {
        return Err(Error::Usage(
            "--ten-crop averages probabilities: expected loss cross-entropy, found mse".into(),
        ));
    }
    let batch = args.batch_size.map_or(spec.recipe.batch_size, |n| n as usize);
    let build = BuildOptions {
        training: false,
        pixels: shown.pixels(spec.input),
        target: inference::target(&samples, spec.recipe.loss)?,
        ..BuildOptions::new(if args.ten_crop { inference::most_rows(batch, samples.shape) } else { batch })
    };
    let model = Model::build(&spec, &build)?;
    let device = device::open(context)?;
    inference::check_memory(&device, &spec, &build, &model)?;
    let mut executor = device.executor(Arc::clone(&model.program))?;
    match file {
        Some(file) => inference::load(&model, executor.as_mut(), file, None)?,
        None => {
            context
                .out
                .note(&format!("no --weights: using the initial values of {} with seed {seed}", spec.name));
            for (buffer, values) in model.initial(seed)? {
                executor.write(buffer, &values)?;
            }
        }
    }
    let source = BatchSource::new(&spec, &model, seed, args.source.workers(), args.source.on_bad_file);
    let stop = stop::on_signal()?;
    let mut evaluation = Evaluation { spec, model, executor, samples, part, source, seed, stop };
    let done = match args.robustness.is_empty() {
        true => evaluate(&mut evaluation, args, &context.out)?,
        false => robustness(&mut evaluation, &args.robustness, &context.out)?,
    };
    if !done {
        context.out.note("interrupted: no result, since only a part of the data was evaluated");
    }
    Ok(if done { 0 } else { stop::INTERRUPTED })
}

/// A network with its weights, and the samples to evaluate it on.
struct Evaluation {
    spec: Spec,
    model: Model,
    executor: Box<dyn Executor>,
    samples: Arc<Dataset>,
    part: Samples,
    source: BatchSource,
    seed: u64,
    stop: Arc<AtomicBool>,
}

/// Evaluates once, and writes the report and files; false if it was interrupted.
fn evaluate(evaluation: &mut Evaluation, args: &EvalArgs, out: &Output) -> Result<bool> {
    let Evaluation { spec, model, executor, samples, part, source, stop, .. } = evaluation;
    let executor = executor.as_mut();
    let began = Instant::now();
    let has_classes = matches!(samples.labels, Labels::Classes(_));
    let kind = if args.ten_crop { Scores::Probabilities } else { Scores::of(spec.recipe.loss) };
    let mut assessment = Assessment::new(if has_classes { model.classes } else { 0 }, kind);
    let mut predictions: Vec<TopPredictions> = Vec::new();
    // The scores of ten crops are probabilities already.
    let softmax = spec.recipe.loss == LossKind::CrossEntropy && !args.ten_crop;
    let mut each = |answer: &Answer<'_>| {
        assessment.count(answer);
        if args.predictions.is_some() {
            predictions.push(TopPredictions::new(answer, softmax));
        }
        Ok(())
    };
    let totals = match (args.ten_crop, has_classes) {
        (true, _) => inference::ten_crop(model, executor, samples, source, stop, &mut each)?,
        (false, true) => inference::evaluate_each(model, executor, samples, source, stop, &mut each)?,
        (false, false) => inference::evaluate(model, executor, samples, source, stop)?,
    };
    let seconds = began.elapsed().as_secs_f64();
    out.warn_of(source.bad());
    if stop.load(Ordering::Relaxed) {
        return Ok(false);
    }
    if let Some(path) = &args.confusion {
        files::write_confusion(path, assessment.confusion(), samples)?;
    }
    if let Some(path) = &args.predictions {
        files::write_predictions(path, &predictions, part)?;
    }
    let confusion = has_classes.then_some(assessment.confusion());
    let crops = if args.ten_crop { 10 } else { 1 };
    EvalReport { spec, part, totals: &totals, confusion, crops, seconds }.print(out)?;
    if let Some(path) = &args.mistakes {
        let evaluated =
            Evaluated { assessment, data: Arc::clone(&part.data), samples: part.text(), input: spec.input };
        let png = evaluated.mistakes_sheet()?.png()?;
        atomic::write(path, |file| file.write_all(&png))?;
    }
    Ok(true)
}

/// Evaluates each level of each corruption, and writes the table and files; false if it was interrupted.
fn robustness(
    evaluation: &mut Evaluation,
    tables: &[robustness::RobustnessTable],
    out: &Output,
) -> Result<bool> {
    let Evaluation { spec, model, executor, samples, part, source, seed, stop } = evaluation;
    let mut first = true;
    let mut each = |outcome: &Outcome| {
        // The number of readable samples is known only after the first evaluation.
        if std::mem::take(&mut first) {
            robustness::head(spec, part, outcome.totals.rows(), out)?;
        }
        robustness::line(outcome, out)
    };
    let outcomes = inference::robustness(model, executor.as_mut(), samples, source, *seed, stop, &mut each)?;
    out.warn_of(source.bad());
    if stop.load(Ordering::Relaxed) {
        return Ok(false);
    }
    robustness::finish(tables, &outcomes, spec, part, out)?;
    Ok(true)
}
