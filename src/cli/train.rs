//! `striate train`: flags to options, and what is printed.

use super::Context;
use super::profiled::Told;
use super::progress::RunPrinter;
use super::source::flags_of;
use super::train_args::TrainArgs;
use super::train_environment::TrainEnvironment;
use crate::atomic;
use crate::error::{Result, printable_path};
use crate::inference::quoted;
use crate::run::{Run, RunOptions};
use crate::train::Ending;
use serde_json::json;
use std::path::Path;

pub(super) fn run(args: &TrainArgs, stored: Option<RunOptions>, context: &Context) -> Result<u8> {
    let options = stored.unwrap_or_else(|| args.options());
    let flags = flags_of(&options.data);
    let environment = TrainEnvironment::new(args, context);
    let (resume, force) = (args.resume.resume(), args.resume.resume_force);
    let run = Run::open(options, &resume, force, &environment)?;
    if let Some(path) = &args.run.preview {
        return preview(path, &run, context);
    }
    let eval = move |weights: &str| format!("striate eval --weights {}{flags}", quoted(weights));
    let mut progress = Told::new(RunPrinter::new(context.out, eval), environment.profiling());
    let done = run.train(&mut progress)?;
    let said = progress.finish();
    // The sender of a signal is to know that it was heard, whatever has become of stdout.
    if done.ending == Ending::Interrupted {
        return Ok(environment.signals().code());
    }
    said.map(|()| 0)
}

fn preview(path: &Path, run: &Run<'_>, context: &Context) -> Result<u8> {
    let (sheet, left_out) = run.preview()?;
    left_out.iter().for_each(|line| context.out.note(&format!("warning: {line}")));
    let mut png = Vec::new();
    sheet.write(&mut png)?;
    atomic::write(path, |out| out.write_all(&png))?;
    let pictures = sheet.images();
    if context.out.is_json() {
        let output = path.display().to_string();
        context.out.json(&json!({"event": "preview", "output": output, "pictures": pictures}))?;
    } else {
        context.out.line(&format!("{}: {pictures} pictures", printable_path(path)))?;
    }
    Ok(0)
}
