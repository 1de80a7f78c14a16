//! `train --profile`: times a few of the first steps operator by operator, then training continues. Results do not change.

use super::Context;
use super::bench::peaks::PeakRates;
use super::bench::profile::Analysis;
use super::bench::timing::{Budget, median};
use super::bench::{Header, write_chart};
use super::output::Output;
use super::progress::RunPrinter;
use crate::atomic;
use crate::device::Device;
use crate::error::{Result, printable_path};
use crate::model::{Model, Spec};
use crate::program::{BufferId, Executor, Pending, Profile, Span};
use crate::train::{Event, Observer};
use serde_json::{Value, json};
use std::cell::RefCell;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::time::Instant;

/// Runs of a span before the first that is timed.
const WARMUP: usize = 5;
/// Runs of a span that are timed.
const RUNS: usize = 5;

/// The measurements of a span so far.
#[derive(Debug, Default)]
pub(super) struct Taken {
    /// Seconds that each of the first runs kept the host.
    host: Vec<f64>,
    runs: Vec<Profile>,
}

/// Training takes one span for each update, or with accumulated gradients two.
pub(super) type Spans = Rc<RefCell<Vec<(Span, Taken)>>>;

/// Where a profile is written, and the peak rates it is compared with.
pub(super) struct Profiling {
    /// None for stderr.
    file: Option<PathBuf>,
    device: Device,
    header: Header,
    peaks: PeakRates,
    title: String,
    spans: Spans,
    out: Output,
}

impl Profiling {
    /// Measures the peak rates of `device`; `path` is `-` for stderr.
    ///
    /// # Errors
    /// `Error::Device` if the device has no clock.
    pub fn new(
        path: &Path,
        device: &Device,
        spec: &Spec,
        model: &Model,
        context: &Context,
    ) -> Result<Profiling> {
        device.check_clock()?;
        let spans = match spec.recipe.grad_accum_steps {
            1 => vec![Span::Train],
            _ => vec![Span::Gradients, Span::Update],
        };
        Ok(Profiling {
            file: (path.as_os_str() != "-").then(|| path.to_path_buf()),
            device: device.clone(),
            header: Header::plain(std::slice::from_ref(device)),
            peaks: PeakRates::measure(device, Budget::SHORT)?,
            title: format!("{}, training at batch {}", model.name, model.batch),
            spans: Rc::new(RefCell::new(spans.into_iter().map(|span| (span, Taken::default())).collect())),
            out: context.out,
        })
    }

    /// The measurements that executors add to.
    pub fn spans(&self) -> Spans {
        Rc::clone(&self.spans)
    }

    /// `executor`, timed into `spans` if a profile is requested.
    pub fn around(spans: Option<&Spans>, executor: Box<dyn Executor>) -> Box<dyn Executor> {
        match spans {
            Some(spans) => Box::new(Profiled { inner: executor, spans: Rc::clone(spans) }),
            None => executor,
        }
    }

    /// Whether nothing more will be timed.
    fn is_complete(&self) -> bool {
        self.spans.borrow().iter().all(|(_, taken)| taken.runs.len() >= RUNS)
    }

    /// The analyses of all spans that were timed.
    fn analyses(&self) -> Result<Vec<(Span, Analysis)>> {
        let mut analyses = Vec::new();
        for (span, taken) in self.spans.borrow().iter().filter(|(_, taken)| !taken.runs.is_empty()) {
            let (name, peaks) = (self.device.name(), self.peaks.clone());
            let mut analysis = Analysis::new(&taken.runs, name, peaks)?;
            // The first run allocates what later ones reuse.
            let mut host = taken.host.iter().skip(1).copied().collect::<Vec<f64>>();
            let busy = (!host.is_empty()).then(|| median(&mut host));
            match self.device.is_cpu() {
                true => analysis.whole = busy,
                false => analysis.host = busy,
            }
            analyses.push((*span, analysis));
        }
        Ok(analyses)
    }

    fn write(&self, progress: &RunPrinter) -> Result<()> {
        let analyses = self.analyses()?;
        let Some(((_, first), path)) = analyses.first().zip(Some(self.file.as_deref())) else {
            progress.note(&format!("nothing was profiled: the run ended before its step {}", WARMUP + 1));
            return Ok(());
        };
        let text = match path.map(|path| (path, path.extension().and_then(|end| end.to_str()))) {
            None => {
                self.table(&analyses).iter().for_each(|line| progress.note(line));
                return Ok(());
            }
            Some((path, Some("svg"))) => {
                let chart = first.chart(self.title.clone(), self.header.notes(0));
                return write_chart(path, &chart, &self.out);
            }
            Some((_, Some("json"))) => format!("{}\n", self.json(&analyses)),
            Some(_) => self.table(&analyses).join("\n") + "\n",
        };
        let Some(path) = path else { return Ok(()) };
        atomic::write(path, |out| out.write_all(text.as_bytes()))?;
        progress.note(&format!("profile: {}", printable_path(path)));
        Ok(())
    }

    fn table(&self, analyses: &[(Span, Analysis)]) -> Vec<String> {
        let mut lines = self.header.lines();
        for (span, analysis) in analyses {
            lines.push(format!("{}, {}", self.title, name(*span)));
            lines.extend(analysis.table(self.device.precision()));
        }
        lines
    }

    fn json(&self, analyses: &[(Span, Analysis)]) -> Value {
        let span = |(span, analysis): &(Span, Analysis)| {
            json!({
                "span": name(*span),
                "summary": analysis.summary_json(),
                "kinds": analysis.kinds_json(),
                "profile": analysis.steps_json(),
            })
        };
        json!({
            "event": "train-profile",
            "header": self.header.json(),
            "title": self.title,
            "roofs": self.peaks.to_json(&self.device.name()),
            "spans": analyses.iter().map(span).collect::<Vec<Value>>(),
        })
    }
}

fn name(span: Span) -> &'static str {
    match span {
        Span::Forward => "forward",
        Span::Gradients => "gradients",
        Span::Update => "update",
        Span::Train => "gradients and update",
    }
}

/// Times some runs of each span of training; passes everything on.
struct Profiled {
    inner: Box<dyn Executor>,
    spans: Spans,
}

impl Executor for Profiled {
    fn write(&mut self, buffer: BufferId, data: &[f32]) -> Result<()> {
        self.inner.write(buffer, data)
    }

    fn start_read(&mut self, buffer: BufferId) -> Result<Pending> {
        self.inner.start_read(buffer)
    }

    fn finish_read(&mut self, pending: Pending) -> Result<Vec<f32>> {
        self.inner.finish_read(pending)
    }

    fn run(&mut self, span: Span) -> Result<()> {
        let mut spans = self.spans.borrow_mut();
        let Some((_, taken)) = spans.iter_mut().find(|(timed, _)| *timed == span) else {
            return self.inner.run(span);
        };
        if taken.runs.len() >= RUNS {
            return self.inner.run(span);
        }
        if taken.host.len() < WARMUP {
            let began = Instant::now();
            self.inner.run(span)?;
            taken.host.push(began.elapsed().as_secs_f64());
        } else {
            taken.runs.push(self.inner.profile(span)?);
        }
        Ok(())
    }

    fn profile(&mut self, span: Span) -> Result<Profile> {
        self.inner.profile(span)
    }

    fn wait(&mut self) -> Result<()> {
        self.inner.wait()
    }
}

/// Prints the progress of a run, and its profile as soon as there is one.
pub(super) struct ProfiledPrinter {
    progress: RunPrinter,
    profiling: Rc<RefCell<Option<Profiling>>>,
}

impl ProfiledPrinter {
    pub fn new(progress: RunPrinter, profiling: Rc<RefCell<Option<Profiling>>>) -> ProfiledPrinter {
        ProfiledPrinter { progress, profiling }
    }

    /// Prints the profile if it has not been printed yet. An error if something could not be printed.
    pub fn finish(&mut self) -> Result<()> {
        self.print_profile()?;
        self.progress.finish()
    }

    fn print_profile(&mut self) -> Result<()> {
        let profiling = self.profiling.borrow_mut().take();
        profiling.map_or(Ok(()), |profiling| profiling.write(&self.progress))
    }
}

impl Observer for ProfiledPrinter {
    fn event(&mut self, event: &Event) -> Result<()> {
        self.progress.event(event)?;
        let is_complete = self.profiling.borrow().as_ref().is_some_and(Profiling::is_complete);
        match is_complete {
            true => self.print_profile(),
            false => Ok(()),
        }
    }
}
