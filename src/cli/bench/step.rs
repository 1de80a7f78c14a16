//! `striate bench step`: a training step of a network on random data.

use super::super::output::bytes;
use super::super::outputs::Outputs;
use super::super::recipe::MOST_ROWS;
use super::super::{Context, device};
use super::peaks::PeakRates;
use super::profile::Analysis;
use super::timing::{Budget, Timing, measure, median};
use super::{BudgetArgs, DeviceArgs, Header, devices, write_chart};
use crate::device::Device;
use crate::error::Result;
use crate::inference;
use crate::model::{BuildOptions, Model, Spec};
use crate::ops::{Hyper, Scaling};
use crate::program::{Executor, Span};
use crate::random::{Purpose, Stream};
use clap::Args;
use serde_json::{Value, json};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

#[derive(Args, Debug)]
#[command(after_help = "Example:\n  striate bench step -m alexnet -b 128 --device gpu")]
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
    #[command(flatten)]
    device: DeviceArgs,
    #[command(flatten)]
    budget: BudgetArgs,
}

/// The costs of a step on a device.
struct Measured {
    device: String,
    precision: &'static str,
    train: Timing,
    /// The same on a batch that is on the device already.
    resident: Timing,
    forward: Timing,
    gradients: Timing,
    update: Timing,
    host: HostTimes,
    profile: Option<Analysis>,
}

/// Seconds the host works per step before it can start the next.
struct HostTimes {
    /// Handing over the batch and the hyper words.
    upload: f64,
    /// Recording the dispatches; 0 on the CPU.
    encode: f64,
    /// Recording and submitting them where nothing was uploaded.
    run: f64,
    /// Recording and submission together. On a software adapter this includes the device's work.
    total: f64,
}

pub(super) fn run(args: &StepArgs, context: &Context) -> Result<u8> {
    let spec = Spec::load(&args.model)?;
    if let Some(path) = &args.roofline {
        Outputs::new().reads(Some(&args.model)).check_as("--roofline", path, &["svg"])?;
    }
    let batch = args.batch_size.map_or(spec.recipe.batch_size, |n| n as usize);
    let loss_scale = args.amp.then_some(Scaling::INITIAL);
    let build = BuildOptions { loss_scale, ..BuildOptions::new(batch) };
    let model = Model::build(&spec, &build)?;
    let mut devices = devices(context, args.alone, &args.device)?;
    if let Some(chosen) = devices.first_mut().filter(|_| args.amp) {
        *chosen = device::half(chosen, context)?;
    }
    for device in &devices {
        inference::check_memory(device, &spec, &build, &model)?;
    }
    let header = Header::new(&devices, &args.device);
    let mut results = Vec::new();
    for device in &devices {
        context.out.note(&format!("measuring {} on {}", spec.name, device.name()));
        results.push(measure_device(device, &spec, &model, args)?);
    }
    if let (Some(path), Some(Measured { profile: Some(analysis), .. })) = (&args.roofline, results.first()) {
        let title = format!("{}, training step at batch {batch}", spec.name);
        write_chart(path, &analysis.chart(title, header.notes(0)), &context.out)?;
    }
    if context.out.is_json() {
        let steps: Vec<Value> = results.iter().map(|r| to_json(r, &model)).collect();
        context.out.json(&json!({
            "event": "bench-step",
            "header": header.json(),
            "model": spec.name,
            "batch_size": batch,
            "flops_per_step": model.program.flops(Span::Train),
            "memory_bytes": model.program.plan().bytes(),
            "results": steps,
        }))?;
        return Ok(0);
    }
    print(context, &header, &model, &results)?;
    Ok(0)
}

fn measure_device(device: &Device, spec: &Spec, model: &Model, args: &StepArgs) -> Result<Measured> {
    let batch = RandomBatch::new(model);
    let budget = args.budget.budget();
    let mut owned = device.executor(Arc::clone(&model.program))?;
    let executor = owned.as_mut();
    let hyper = hyper_words(spec, model);
    inference::initialise(model, executor, 0)?;
    batch.write(model, executor)?;
    executor.write(model.hyper, hyper.as_words())?;
    // A step is what training does: a new batch and new hyper words, then the program.
    let train = measure(budget, |runs| {
        for _ in 0..runs {
            batch.write(model, executor)?;
            executor.write(model.hyper, hyper.as_words())?;
            executor.run(Span::Train)?;
        }
        executor.wait()
    })?;
    let mut host = host_time(executor, &batch, &hyper, model, budget)?;
    let mut part = |span: Span| {
        measure(budget, |runs| {
            (0..runs).try_for_each(|_| executor.run(span))?;
            executor.wait()
        })
    };
    let resident = part(Span::Train)?;
    let (forward, gradients, update) = (part(Span::Forward)?, part(Span::Gradients)?, part(Span::Update)?);
    let mut profile = match args.profile || args.roofline.is_some() {
        true => Some(profile(device, executor, &resident, budget)?),
        false => None,
    };
    if let Some(profile) = &mut profile {
        profile.host = Some(host.total);
    }
    drop(owned);
    host.encode = encode_time(device, model, budget)?;
    let precision = device.precision();
    Ok(Measured {
        device: device.name(),
        precision,
        train,
        resident,
        forward,
        gradients,
        update,
        host,
        profile,
    })
}

/// Median seconds from the first write of a step to the return of `run`, with nothing else under way.
fn host_time(
    executor: &mut dyn Executor,
    batch: &RandomBatch,
    hyper: &Hyper,
    model: &Model,
    budget: Budget,
) -> Result<HostTimes> {
    let (mut uploads, mut times) = (Vec::new(), Vec::new());
    for _ in 0..budget.samples.min(7) {
        executor.wait()?;
        let began = Instant::now();
        batch.write(model, executor)?;
        executor.write(model.hyper, hyper.as_words())?;
        uploads.push(began.elapsed().as_secs_f64());
        executor.run(Span::Train)?;
        times.push(began.elapsed().as_secs_f64());
    }
    let mut runs = Vec::new();
    for _ in 0..budget.samples.min(7) {
        executor.wait()?;
        let began = Instant::now();
        executor.run(Span::Train)?;
        runs.push(began.elapsed().as_secs_f64());
    }
    executor.wait()?;
    Ok(HostTimes {
        upload: median(&mut uploads),
        encode: 0.0,
        run: median(&mut runs),
        total: median(&mut times),
    })
}

/// Median seconds to record a step, with nothing else under way; 0 where nothing is recorded.
fn encode_time(device: &Device, model: &Model, budget: Budget) -> Result<f64> {
    let Some(executor) = device.recorder(Arc::clone(&model.program))? else { return Ok(0.0) };
    let mut encode = |runs: usize| (0..runs).try_for_each(|_| executor.encode(Span::Train));
    Ok(measure(budget, &mut encode)?.median)
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

    fn write(&self, model: &Model, executor: &mut dyn Executor) -> Result<()> {
        executor.write(model.input, &self.images)?;
        executor.write(model.labels, &self.labels)
    }
}

fn to_json(r: &Measured, model: &Model) -> Value {
    let profile = r.profile.as_ref();
    json!({
        "device": r.device,
        "precision": r.precision,
        "ms_per_step": r.train.median * 1e3,
        "ms_fastest": r.train.fastest * 1e3,
        "samples": r.train.samples,
        "images_per_second": model.batch as f64 / r.train.median,
        "gflops": model.program.flops(Span::Train) as f64 / r.train.median / 1e9,
        "resident_ms": r.resident.median * 1e3,
        "resident_images_per_second": model.batch as f64 / r.resident.median,
        "forward_ms": r.forward.median * 1e3,
        "gradients_ms": r.gradients.median * 1e3,
        "update_ms": r.update.median * 1e3,
        "host_ms": r.host.total * 1e3,
        "upload_ms": r.host.upload * 1e3,
        "encode_ms": r.host.encode * 1e3,
        "run_ms": r.host.run * 1e3,
        "roofs": profile.map(|p| p.peaks.to_json(&r.device)),
        "profile_summary": profile.map(Analysis::summary_json),
        "kinds": profile.map(Analysis::kinds_json),
        "profile": profile.map(Analysis::steps_json),
    })
}

fn print(context: &Context, header: &Header, model: &Model, results: &[Measured]) -> Result<()> {
    for line in header.lines() {
        context.out.line(&line)?;
    }
    let flops = model.program.flops(Span::Train) as f64;
    context.out.line(&format!(
        "{} at batch {}: {:.3} GFLOP per training step, {} of device memory",
        model.name,
        model.batch,
        flops / 1e9,
        bytes(model.program.plan().bytes())
    ))?;
    context
        .out
        .line("medians in ms; resident is a step whose batch is on the device already, forward is evaluation, gradients are forward and backward of training")?;
    context.out.line(&format!(
        "{:<34} {:>9} {:>9} {:>9} {:>9} {:>9} {:>9} {:>9} {:>9} {:>8} {:>8} {:>8} {:>8}",
        "device",
        "step",
        "fastest",
        "img/s",
        "GFLOP/s",
        "resident",
        "forward",
        "gradients",
        "update",
        "host",
        "upload",
        "encode",
        "run"
    ))?;
    for r in results {
        context.out.line(&format!(
            "{:<34} {:>9.3} {:>9.3} {:>9.1} {:>9.1} {:>9.3} {:>9.3} {:>9.3} {:>9.3} {:>8.3} {:>8.3} {:>8.3} {:>8.3}",
            r.device.chars().take(34).collect::<String>(),
            r.train.median * 1e3,
            r.train.fastest * 1e3,
            model.batch as f64 / r.train.median,
            flops / r.train.median / 1e9,
            r.resident.median * 1e3,
            r.forward.median * 1e3,
            r.gradients.median * 1e3,
            r.update.median * 1e3,
            r.host.total * 1e3,
            r.host.upload * 1e3,
            r.host.encode * 1e3,
            r.host.run * 1e3
        ))?;
    }
    if let [first, second] = results {
        let precision = match (first.precision, second.precision) {
            (a, b) if a == b => format!("{a} on both"),
            (a, b) => format!("{a}, against {b}"),
        };
        context.out.line(&format!(
            "{} is {:.2} times as fast as {} ({precision})",
            first.device,
            second.train.median / first.train.median,
            second.device
        ))?;
    }
    for (r, profile) in results.iter().filter_map(|r| r.profile.as_ref().map(|profile| (r, profile))) {
        context.out.line("")?;
        profile.table(r.precision).iter().try_for_each(|line| context.out.line(line))?;
    }
    Ok(())
}
