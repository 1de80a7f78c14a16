//! `striate train`: flags to options, and what is printed.

use super::Context;
use super::profiled::ProfiledPrinter;
use super::progress::{RunEnds, RunPrinter};
use super::resume::Resumed;
use super::source::flags_of;
use super::train_args::TrainArgs;
use super::train_environment::TrainEnvironment;
use crate::atomic;
use crate::error::{Result, printable_path};
use crate::inference::quoted;
use crate::run::Run;
use crate::train::Ending;
use serde_json::json;
use std::path::Path;

pub(super) fn run(args: &TrainArgs, resumed: Option<Resumed>, context: &Context) -> Result<u8> {
    let (options, resume, free_flags) = match resumed {
        Some(Resumed { options, folder, free_flags, .. }) => (options, folder, free_flags),
        None => (args.options()?, args.resume.resume(), String::new()),
    };
    let (flags, max_steps) = (flags_of(&options.data), options.train.max_steps);
    let environment = TrainEnvironment::new(args, free_flags, context);
    let run = Run::open(options, &resume, args.resume.resume_force, &environment)?;
    if let Some(path) = &args.run.preview {
        return preview(path, &run, context);
    }
    let eval = move |weights: &str| format!("striate eval --weights {}{flags}", quoted(weights));
    let recipe = &run.spec().recipe;
    let ends = RunEnds {
        resumed_step: run.resumed_step(),
        max_steps,
        patience: recipe.patience,
        lr_cuts: recipe.lr_cuts,
    };
    let printer = RunPrinter::new(context.out, ends, eval);
    let mut progress = ProfiledPrinter::new(printer, environment.profiling());
    let done = run.train(&mut progress)?;
    let printed = progress.finish();
    // The exit code confirms a signal to its sender even if stdout has failed.
    if done.ending == Ending::Interrupted {
        return Ok(environment.signals().code());
    }
    printed.map(|()| 0)
}

fn preview(path: &Path, run: &Run<'_>, context: &Context) -> Result<u8> {
    let (sheet, left_out) = run.preview()?;
    left_out.iter().for_each(|line| context.out.note(&format!("warning: {line}")));
    let mut png = Vec::new();
    sheet.write(&mut png)?;
    atomic::write(path, |out| out.write_all(&png))?;
    let images = sheet.images();
    if context.out.is_json() {
        let output = path.display().to_string();
        context.out.json(&json!({"event": "preview", "output": output, "pictures": images}))?;
    } else {
        context.out.line(&format!("{}: {images} images", printable_path(path)))?;
    }
    Ok(0)
}
