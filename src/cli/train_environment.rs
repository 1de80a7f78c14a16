//! The program around a training run: notes on stderr, names of flags, devices, signals, profiles.

use super::Context;
use super::device;
use super::outputs::Outputs;
use super::profiled::Profiling;
use super::resume;
use super::stop::Signals;
use super::train_args::TrainArgs;
use super::train_command;
use crate::data::{Diagnostics, Kind};
use crate::device::Device;
use crate::error::{Error, Result};
use crate::inference::Messages;
use crate::model::{Model, Spec};
use crate::program::Executor;
use crate::run::{Environment, RunOptions};
use std::cell::RefCell;
use std::path::Path;
use std::rc::Rc;
use std::sync::atomic::AtomicBool;

/// The environment of a run that `striate train` starts.
pub(super) struct TrainEnvironment<'a> {
    args: &'a TrainArgs,
    context: &'a Context,
    /// The flags that were typed and that a resumed run may change, with a space before each.
    free_flags: String,
    signals: Signals,
    profiling: Rc<RefCell<Option<Profiling>>>,
}

impl<'a> TrainEnvironment<'a> {
    /// `free_flags` are those of [`resume::Resumed`].
    pub fn new(args: &'a TrainArgs, free_flags: String, context: &'a Context) -> Self {
        TrainEnvironment { args, context, free_flags, signals: Signals::new(), profiling: Rc::default() }
    }

    /// What signals have asked for.
    pub fn signals(&self) -> &Signals {
        &self.signals
    }

    /// The profile, once the device is open, if one was requested.
    pub fn profiling(&self) -> Rc<RefCell<Option<Profiling>>> {
        Rc::clone(&self.profiling)
    }
}

impl Messages for TrainEnvironment<'_> {
    fn note(&self, line: &str) {
        self.context.out.note(line);
    }

    fn option(&self, name: &str) -> String {
        self.context.out.option(name)
    }

    fn no_effect(&self, key: &str, what: &str) -> String {
        let what = what.replace("optimizer ", "--opt ").replace("lr_", "--lr-");
        let flag = if key == "optimizer" { "opt".to_string() } else { key.replace('_', "-") };
        format!("--{flag}: {what}")
    }

    fn data(&self, name: &str, diagnostics: &Diagnostics) -> Result<()> {
        self.context.out.data(name, diagnostics)
    }
}

impl Environment for TrainEnvironment<'_> {
    fn network_read(&self, spec: &Spec, options: &RunOptions) -> Result<()> {
        let (run, RunOptions { model, weights, data, .. }) = (&self.args.run, options);
        let is_stderr = |path: &&std::path::PathBuf| path.as_os_str() == "-";
        if run.profile.as_ref().filter(is_stderr).is_some() && self.context.out.is_quiet() {
            let what =
                "expected a file (--profile=FILE) with --quiet, which prints nothing on stderr, found none";
            return Err(Error::Usage(format!("--profile: {what}")));
        }
        let profile = run.profile.as_ref().filter(|path| !is_stderr(path));
        let files = [
            ("--preview", run.preview.as_ref(), &["png"][..]),
            ("--profile", profile, &["svg", "json", "txt"]),
        ];
        for (flag, path, formats) in files {
            if let Some(path) = path {
                let outputs = Outputs::new().reads(model.as_ref()).reads(weights.as_ref());
                let outputs = outputs.reads(self.args.recipe.class_weights_file());
                outputs.reads_data(data.place(spec), data.kind).check_as(flag, path, formats)?;
            }
        }
        Ok(())
    }

    fn provide_data(&self, place: Option<&str>, kind: Kind) -> Result<()> {
        super::dataset::provide(place, kind, &self.context.out)
    }

    fn difference(&self, name: &str, then: &str, now: &str) -> String {
        let is_given = |text: &str, given: &str| if text == given { "given" } else { "not given" };
        // Flags without a value.
        let (flag, given) = match name {
            "shuffle" | "augment" | "dropout" => (format!("no-{name}"), "false"),
            "overfit-batch" | "ignore-exif" => (name.to_string(), "true"),
            "amp" if then == "none" => return "--amp: not given in this run, given now".into(),
            "amp" if now == "none" => return "--amp: given in this run, not given now".into(),
            _ => return format!("--{name}: {then} in this run, {now} given"),
        };
        format!("--{flag}: {} in this run, {} now", is_given(then, given), is_given(now, given))
    }

    fn resume_advice(&self, folder: &Path) -> String {
        let command = format!("{}{}", resume::command(folder), self.free_flags);
        format!("to resume the run with its own options: {command} (--resume-force resumes it with these)")
    }

    fn open_device(&self, lost: Option<&Device>) -> Result<Device> {
        lost.map_or_else(|| device::open(self.context), |lost| device::reopen(lost, self.context))
    }

    fn device_opened(&self, device: &Device, spec: &Spec, model: &Model) -> Result<()> {
        if let Some(path) = &self.args.run.profile {
            let profiling = Profiling::new(path, device, spec, model, self.context)?;
            *self.profiling.borrow_mut() = Some(profiling);
        }
        Ok(())
    }

    fn wrap(&self, executor: Box<dyn Executor>) -> Box<dyn Executor> {
        let spans = self.profiling.borrow().as_ref().map(Profiling::spans);
        Profiling::around(spans.as_ref(), executor)
    }

    fn starting(&self) -> Result<()> {
        self.signals.listen()
    }

    fn stop(&self) -> Option<&AtomicBool> {
        Some(&self.signals.stop)
    }

    fn save(&self) -> Option<&AtomicBool> {
        Some(&self.signals.save)
    }

    fn resume_command(&self, folder: &Path) -> String {
        resume::command(folder)
    }

    fn repeat_command(&self, options: &RunOptions) -> String {
        train_command::command_of(options, &self.context.program)
    }

    fn program_options(&self) -> toml::Table {
        self.context.program.clone()
    }
}
