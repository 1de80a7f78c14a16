//! `striate bench step`: a training step of a network on random data.

use super::super::outputs::Outputs;
use super::super::recipe::MOST_ROWS;
use super::super::{Context, device};
use super::control::{Control, ControlTimes};
use super::peaks::PeakRates;
use super::profile::Analysis;
use super::progress::Progress;
use super::timing::{BURST, Budget, Timing, measure};
use super::trace_events::{HostTrack, trace_events};
use super::{BudgetArgs, DeviceArgs, Header, devices, step_report, write_chart, write_trace};
use crate::device::Device;
use crate::error::{Error, Result};
use crate::inference;
use crate::model::{BuildOptions, Model, Spec};
use crate::ops::{Hyper, Scaling};
use crate::program::{Executor, Span};
use crate::random::{Purpose, Stream};
use clap::Args;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

#[derive(Args, Debug)]
#[command(
    after_help = "Examples:\n  striate bench step -m alexnet -b 128 --device gpu\n  striate bench step -m alexnet -b 128 --trace step.json"
)]
pub(super) struct StepArgs {
    /// Train a built-in network or a model file
    #[arg(short, long, default_value = "alexnet", value_name = "NAME|FILE")]
    model: String,
    /// Set the number of samples per step [default: the recipe's]
    #[arg(short, long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=MOST_ROWS))]
    batch_size: Option<u32>,
    /// Use half precision, as `train --amp`; the CPU path stays strict fp32
    #[arg(long)]
    amp: bool,
    /// Measure only the chosen device, without the CPU path for comparison
    #[arg(long)]
    alone: bool,
    /// Also time every operator of a step, against the peak rates measured on this device
    #[arg(long)]
    profile: bool,
    /// Also write a roofline chart of every operator on the chosen device, as SVG
    #[arg(long, value_name = "FILE.svg")]
    roofline: Option<PathBuf>,
    /// Also write the timeline of a step on the chosen device, for Perfetto or chrome://tracing
    #[arg(long, value_name = "FILE.json")]
    trace: Option<PathBuf>,
    #[command(flatten)]
    device: DeviceArgs,
    #[command(flatten)]
    budget: BudgetArgs,
}

/// The costs of a step on a device.
pub(super) struct Measured {
    pub device: String,
    pub precision: &'static str,
    /// What training does: a new batch and new hyper words, then the program.
    pub train: Timing,
    /// The same on a batch that is on the device already.
    pub resident: Timing,
    pub forward: Timing,
    pub gradients: Timing,
    pub update: Timing,
    /// Measured in turn with those above.
    pub control: ControlTimes,
    pub host: HostTimes,
    pub profile: Option<Analysis>,
    /// What the host did in one step, if a trace is requested.
    track: Option<HostTrack>,
}

/// Seconds the host works per step before it can start the next.
pub(super) struct HostTimes {
    /// Handing over the batch and the hyper words.
    pub upload: Timing,
    /// Recording the dispatches; none on the CPU.
    pub encode: Option<Timing>,
    /// Recording and submitting them where nothing was uploaded.
    pub run: Timing,
    /// Recording and submission together. On a software adapter this includes the device's work.
    pub total: Timing,
}

pub(super) fn run(args: &StepArgs, context: &Context) -> Result<u8> {
    let spec = Spec::load(&args.model)?;
    let mut outputs = Outputs::new().reads(Some(&args.model));
    let files = [("--roofline", &args.roofline, "svg"), ("--trace", &args.trace, "json")];
    for (flag, path, format) in
        files.iter().filter_map(|(flag, path, format)| Some((flag, path.as_ref()?, format)))
    {
        outputs.check_as(flag, path, &[format])?;
    }
    let batch = args.batch_size.map_or(spec.recipe.batch_size, |n| n as usize);
    let loss_scale = args.amp.then_some(Scaling::INITIAL);
    let build = BuildOptions { loss_scale, ..BuildOptions::for_recipe(&spec.recipe, batch) };
    let model = Model::build(&spec, &build)?;
    let mut devices = devices(context, args.alone, &args.device)?;
    if let Some(chosen) = devices.first_mut().filter(|_| args.amp) {
        *chosen = device::half(chosen, context)?;
    }
    for device in &devices {
        inference::check_memory(device, &spec, &build, &model)?;
    }
    let header = Header::new(&devices, &args.device);
    let progress = Progress::new(context.out, devices.len());
    let mut results = Vec::new();
    for device in &devices {
        let what = format!("measuring {} on {}", spec.name, device.name());
        progress.begin(&what, true);
        results.push(measure_device(device, &spec, &model, args, &|round, all| {
            progress.round(&what, round, all);
        })?);
    }
    drop(progress);
    if let Some(Measured { profile: Some(analysis), track, .. }) = results.first() {
        let title = format!("{}, training step at batch {batch}", spec.name);
        if let (Some(path), Some(track)) = (&args.trace, track) {
            write_trace(path, &trace_events(&title, &header, analysis, track), &context.out)?;
        }
        if let Some(path) = &args.roofline {
            write_chart(path, &analysis.chart(title, header.notes(0)), &context.out)?;
        }
    }
    match context.out.is_json() {
        true => context.out.json(&step_report::to_json(&header, &model, &results))?,
        false => step_report::print(&header, &model, &results, |line| context.out.line(line))?,
    }
    Ok(0)
}

fn measure_device(
    device: &Device,
    spec: &Spec,
    model: &Model,
    args: &StepArgs,
    progress: &dyn Fn(usize, usize),
) -> Result<Measured> {
    let batch = RandomBatch::new(model);
    let budget = args.budget.budget();
    let mut control = Control::new(device)?;
    let mut owned = device.executor(Arc::clone(&model.program))?;
    let executor = owned.as_mut();
    let hyper = hyper_words(spec, model);
    inference::initialise(model, executor, 0)?;
    batch.write(model, executor, &hyper)?;
    const PARTS: [Span; 5] = [Span::Train, Span::Train, Span::Forward, Span::Gradients, Span::Update];
    let burst = |part: usize, runs: usize| {
        for _ in 0..runs {
            if part == 0 {
                batch.write(model, executor, &hyper)?;
            }
            executor.run(PARTS[part])?;
        }
        executor.wait()
    };
    let done = |round: usize| progress(round, budget.samples);
    let (timings, control) = control.in_turn(budget, &[BURST; PARTS.len()], burst, done)?;
    let Ok([train, resident, forward, gradients, update]) = <[Timing; 5]>::try_from(timings) else {
        return Err(Error::Internal("a part of a step was not measured".into()));
    };
    let mut host = host_times(executor, &batch, &hyper, model, budget)?;
    let is_profiled = args.profile || args.roofline.is_some() || args.trace.is_some();
    let mut profile = is_profiled.then(|| profile(device, executor, &resident, budget)).transpose()?;
    let mut track = match args.trace {
        Some(_) => Some(host_track(executor, &batch, &hyper, model)?),
        None => None,
    };
    drop(owned);
    host.encode = encode_times(device, model, budget)?;
    // On the CPU path the host is the device.
    if let (Some(profile), Some(encode)) = (&mut profile, &host.encode) {
        profile.host = Some(host.total.median);
        if let Some(track) = &mut track {
            track.device_start = track.upload + encode.median.min(track.run);
        }
    }
    let (device, precision) = (device.name(), device.precision());
    Ok(Measured {
        device,
        precision,
        train,
        resident,
        forward,
        gradients,
        update,
        control,
        host,
        profile,
        track,
    })
}

/// Seconds from the first write of a step to the return of `run`, with nothing else under way.
fn host_times(
    executor: &mut dyn Executor,
    batch: &RandomBatch,
    hyper: &Hyper,
    model: &Model,
    budget: Budget,
) -> Result<HostTimes> {
    let (mut uploads, mut totals, mut runs) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..budget.samples.min(7) {
        executor.wait()?;
        let began = Instant::now();
        batch.write(model, executor, hyper)?;
        uploads.push(began.elapsed().as_secs_f64());
        executor.run(Span::Train)?;
        totals.push(began.elapsed().as_secs_f64());
        executor.wait()?;
        let began = Instant::now();
        executor.run(Span::Train)?;
        runs.push(began.elapsed().as_secs_f64());
    }
    executor.wait()?;
    let [upload, run, total] = [uploads, runs, totals].map(|times| Timing::new(times, 1));
    Ok(HostTimes { upload, encode: None, run, total })
}

/// What the host does in one step, with nothing else under way.
fn host_track(
    executor: &mut dyn Executor,
    batch: &RandomBatch,
    hyper: &Hyper,
    model: &Model,
) -> Result<HostTrack> {
    executor.wait()?;
    let began = Instant::now();
    batch.write(model, executor, hyper)?;
    let upload = began.elapsed().as_secs_f64();
    executor.run(Span::Train)?;
    let ran = began.elapsed().as_secs_f64();
    executor.wait()?;
    let wait = began.elapsed().as_secs_f64() - ran;
    Ok(HostTrack { upload, run: ran - upload, wait, device_start: upload })
}

/// Seconds to record a step, with nothing else under way; nothing where nothing is recorded.
fn encode_times(device: &Device, model: &Model, budget: Budget) -> Result<Option<Timing>> {
    let Some(executor) = device.recorder(Arc::clone(&model.program))? else { return Ok(None) };
    measure(budget, |runs| (0..runs).try_for_each(|_| executor.encode(Span::Train))).map(Some)
}

/// Times every step of a training step, several times over.
fn profile(device: &Device, executor: &mut dyn Executor, whole: &Timing, budget: Budget) -> Result<Analysis> {
    let began = Instant::now();
    let mut runs = Vec::new();
    executor.profile(Span::Train)?;
    while runs.len() < budget.samples && (runs.len() < 3 || began.elapsed().as_secs_f64() < budget.seconds) {
        runs.push(executor.profile(Span::Train)?);
    }
    let peaks = PeakRates::measure(device, budget)?;
    let mut analysis = Analysis::new(&runs, device.name(), peaks)?;
    analysis.whole = Some(whole.median);
    Ok(analysis)
}

fn hyper_words(spec: &Spec, model: &Model) -> Hyper {
    Hyper {
        rows: model.batch as u32,
        loss_scale: 1.0 / model.batch as f32,
        // So small that the weights stay what they are however long the measurement takes.
        lr: 1e-12,
        ..inference::hyper(&spec.recipe, 0, 0, 0.0)
    }
}

/// Normally distributed images and uniform classes: no zeros that a device could be quicker with.
struct RandomBatch {
    images: Vec<f32>,
    labels: Vec<f32>,
}

impl RandomBatch {
    fn new(model: &Model) -> Self {
        let mut stream = Stream::new(0, Purpose::Test, 0);
        let images = model.program.buffer(model.input).shape.len();
        let labels = model.program.buffer(model.labels).shape.len();
        RandomBatch {
            images: (0..images).map(|_| stream.normal()).collect(),
            labels: (0..labels).map(|_| stream.below(model.classes as u32) as f32).collect(),
        }
    }

    /// Hands over a batch and its hyper words.
    fn write(&self, model: &Model, executor: &mut dyn Executor, hyper: &Hyper) -> Result<()> {
        executor.write(model.input, &self.images)?;
        executor.write(model.labels, &self.labels)?;
        executor.write(model.hyper, hyper.as_words())
    }
}
