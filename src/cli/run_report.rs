//! `striate report run`: the report of one run or several, evaluated anew where their weights and data are still there.

use super::outputs::Outputs;
use super::source::{self, SourceArgs};
use super::{Context, device, stop, train_command};
use crate::atomic;
use crate::data::{Labels, OnBadFile, Splits};
use crate::error::{Error, Result, printable_path};
use crate::inference::{self, BatchSource, assess};
use crate::interchange::File;
use crate::model::{BuildOptions, Model};
use crate::report::Evaluated;
use crate::run::{ONE_BATCH, RunOptions, RunReport, no_answers, report_page};
use clap::Args;
use serde_json::json;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;

pub(super) const EXAMPLES: &str = "\
Examples:
  striate report run runs/alexnet-mini -o report.html
  striate report run runs/alexnet-mini runs/alexnet-mini-2 -o comparison.html";

/// Most runs of a page.
const MOST: usize = 20;

#[derive(Args, Debug)]
pub(crate) struct RunReportArgs {
    /// Report on these runs
    ///
    /// Their folders. A run that goes on is reported as far as it has got.
    #[arg(required = true, value_name = "RUN")]
    runs: Vec<PathBuf>,
    /// Write to FILE
    #[arg(short, long, value_name = "FILE.html")]
    output: PathBuf,
    /// Decode images with N threads [default: up to 4]
    #[arg(short = 'j', long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=256))]
    workers: Option<u16>,
}

pub(super) fn run(args: &RunReportArgs, context: &Context) -> Result<u8> {
    if args.runs.len() > MOST {
        let what = format!("RUN: expected at most {MOST} runs, found {}", args.runs.len());
        return Err(Error::Usage(what));
    }
    let mut reports: Vec<RunReport> =
        args.runs.iter().map(|folder| RunReport::of_folder(folder)).collect::<Result<_>>()?;
    let places = reports.iter().filter_map(|report| report.options().map(|options| options.data.clone()));
    let outputs =
        places.fold(Outputs::new(), |outputs, data| outputs.reads_data(data.path.as_deref(), data.kind));
    let mut outputs = outputs;
    outputs.check_as("--output", &args.output, &["html"])?;
    let stop = stop::on_signal()?;
    for (folder, report) in args.runs.iter().zip(&mut reports) {
        let command = report.options().map(|o| train_command::command_of(o, &report.program_options()));
        let (mut with_weights, file) =
            report.clone().with_command(command.unwrap_or_default()).with_weights();
        if let Some(file) = file {
            // The logs are worth a report without the rest.
            with_weights = match answers(&with_weights, file, args, context, &stop) {
                Ok(Answers::Found(evaluated)) => with_weights.with_answers(*evaluated),
                Ok(Answers::None(why)) => with_weights.without(why),
                // A device that was asked for by a wrong name.
                Err(error @ Error::Device(_)) => return Err(error),
                Err(error) => {
                    let what = format!("no confusion matrix, mistakes or calibration: {error}");
                    context.out.note(&format!("warning: {}: {what}", printable_path(folder)));
                    with_weights.without(what)
                }
            };
        }
        if stop.load(Ordering::Relaxed) {
            context.out.note("interrupted: no report, since only a part of the data was evaluated");
            return Ok(stop::INTERRUPTED);
        }
        *report = with_weights;
    }
    let html = report_page(&reports)?;
    atomic::write(&args.output, |out| out.write_all(html.as_bytes()))?;
    if context.out.is_json() {
        let file = args.output.to_string_lossy();
        let object = json!({"event": "report", "report": "run", "runs": reports.len(), "file": file, "bytes": html.len()});
        context.out.json(&object)?;
    } else {
        let (path, count) = (printable_path(&args.output), reports.len());
        let runs = if count == 1 { "run" } else { "runs" };
        context.out.line(&format!("{path}: report of {count} {runs}, {} kB", html.len().div_ceil(1000)))?;
    }
    Ok(0)
}

/// The answers to a run's validation samples, or why there are none.
enum Answers {
    Found(Box<Evaluated>),
    None(&'static str),
}

fn answers(
    report: &RunReport,
    file: File,
    args: &RunReportArgs,
    context: &Context,
    stop: &std::sync::atomic::AtomicBool,
) -> Result<Answers> {
    let options = report.options().cloned().unwrap_or_default();
    if options.train.overfit_batch {
        return Ok(Answers::None(ONE_BATCH));
    }
    let spec = source::network_of(&file, None, &context.out)?;
    let samples = source_args(&options, args).open_part(&spec, Some(&file), None, None, &context.out)?;
    let shown = Splits::of(Arc::clone(&samples.data));
    let data = Arc::clone(&shown.val);
    let outputs = inference::outputs(&spec)?;
    if data.is_empty() || outputs == 1 || !matches!(data.labels, Labels::Classes(_)) {
        return Ok(Answers::None(no_answers(&data, outputs)));
    }
    let build = BuildOptions {
        training: false,
        pixels: shown.pixels(spec.input),
        target: inference::target(&data, spec.recipe.loss)?,
        ..BuildOptions::new(spec.recipe.batch_size)
    };
    let model = Model::build(&spec, &build)?;
    let device = device::open(context)?;
    inference::check_memory(&device, &spec, &build, &model)?;
    let mut executor = device.executor(Arc::clone(&model.program))?;
    inference::load(&model, executor.as_mut(), file, None)?;
    let source = BatchSource::new(&spec, &model, 0, source::workers(args.workers), OnBadFile::Skip);
    let assessment = assess(&model, executor.as_mut(), &data, &source, spec.recipe.loss, stop);
    context.out.warn_of(source.bad());
    Ok(Answers::Found(Box::new(Evaluated::of_validation(assessment?, data, spec.input))))
}

/// The flags that name the data of a run.
fn source_args(options: &RunOptions, args: &RunReportArgs) -> SourceArgs {
    let data = &options.data;
    SourceArgs {
        data_path: data.path.clone(),
        dataset: data.kind,
        input_range: data.input_range,
        image_column: data.image_column.clone(),
        label_column: data.label_column.clone(),
        image_root: data.image_root.clone(),
        transpose: data.transpose,
        val_split: data.val_split,
        split: data.split,
        limit_train: data.limit_train,
        limit_val: data.limit_val,
        workers: args.workers,
        ignore_exif: data.ignore_exif,
        on_bad_file: OnBadFile::Skip,
    }
}
