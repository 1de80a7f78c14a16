//! `striate export`: writes a trained network for other programs and verifies the file.

use super::Context;
use super::device;
use super::recipe::MOST_ROWS;
use super::run_data::of_run;
use super::source::{self, SourceArgs};
use crate::device::Device;
use crate::error::{Error, Result, printable_path};
use crate::inference;
use crate::interchange::{File, Format};
use crate::model::{BuildOptions, Model, Spec};
use crate::network::{ExportCheck, ExportOptions, ExportReport, Network, NetworkOptions};
use clap::Args;
use serde_json::json;
use std::path::{Path, PathBuf};

#[derive(Args, Debug)]
#[command(after_help = "Examples:
  striate export --weights runs/alexnet-mini/best.safetensors -o alexnet-mini.onnx
  striate export --weights best.safetensors -o network.onnx --with-preprocess
  striate export --weights best.safetensors -o network.npz --data-path photos -b 64

Before the file is renamed into place it is read back and run beside the network. The largest
difference of the logits is printed and stored in the file. In Python:
  onnxruntime.InferenceSession(\"alexnet-mini.onnx\").run(None, {\"input\": x})
  model.load_state_dict(safetensors.torch.load_file(\"alexnet.safetensors\"))
  numpy.load(\"network.npz\")[\"features.0.weight\"]")]
pub(crate) struct ExportArgs {
    /// Export these weights
    ///
    /// A file, or the folder of a run, whose best weights are taken. [default with --model: the model file's initial values]
    #[arg(long, value_name = "FILE", required_unless_present = "model")]
    weights: Option<PathBuf>,
    /// Use this network
    ///
    /// A built-in network by its name, or a model file. [default: the one the weights were trained with]
    #[arg(short, long, value_name = "NAME|FILE")]
    model: Option<String>,
    /// Write onnx, safetensors or npz
    ///
    /// [default: from the output's extension]
    #[arg(long, value_name = "FORMAT", value_parser = format)]
    format: Option<Format>,
    /// Write to FILE
    #[arg(short, long, value_name = "FILE")]
    output: PathBuf,
    /// Include the preprocessing (ONNX)
    ///
    /// The graph then takes images (u8, batch x height x width x channels) and returns probabilities.
    #[arg(long)]
    with_preprocess: bool,
    /// Verify the file on N samples
    ///
    /// [default: the recipe's batch size, at most 32]
    #[arg(short, long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=MOST_ROWS))]
    batch_size: Option<u32>,
    #[command(flatten)]
    source: SourceArgs,
}

/// Default number of samples to verify on: enough for every path of a network, fast on any device.
const SAMPLES: usize = 32;

fn format(text: &str) -> std::result::Result<Format, String> {
    let known = Format::ALL.iter().find(|(name, _)| *name == text).map(|(_, format)| *format);
    known.ok_or_else(|| format!("expected one of {}", names()))
}

fn names() -> String {
    Format::ALL.map(|(name, _)| name).join(", ")
}

/// Endings of the files that PyTorch writes.
const PYTORCH: [&str; 4] = ["pt", "pth", "bin", "ckpt"];

/// The format according to the extension of `path`.
fn format_of(path: &Path) -> Result<Format> {
    let extension = path.extension().unwrap_or_default().to_string_lossy().to_lowercase();
    format(&extension).map_err(|_| {
        let path = printable_path(path);
        let pytorch = if PYTORCH.contains(&&*extension) { "; PyTorch reads .safetensors" } else { "" };
        let found = if extension.is_empty() { "none".into() } else { format!(".{extension}") };
        Error::Usage(format!(
            "--output {path}: expected a name that ends in .{}, or --format, found {found}{pytorch}",
            Format::ALL.map(|(name, _)| name).join(", .")
        ))
    })
}

pub(super) fn run(args: &ExportArgs, context: &Context) -> Result<u8> {
    let format = args.format.map_or_else(|| format_of(&args.output), Ok)?;
    let name = Format::ALL.iter().find(|(_, known)| *known == format).map_or("", |(name, _)| name);
    if args.with_preprocess && format != Format::Onnx {
        return Err(Error::Usage("--with-preprocess: expected --format onnx, found another".into()));
    }
    let (file, spec) = source::network(args.weights.as_deref(), args.model.as_deref(), &context.out)?;
    let source = of_run(&args.source, args.weights.as_deref(), &context.out);
    let mut outputs = source.read_by(args.model.as_deref(), args.weights.as_deref(), &spec);
    outputs.check_as("--output", &args.output, &[name])?;
    let samples = args.batch_size.map_or(spec.recipe.batch_size.min(SAMPLES), |n| n as usize);
    let device = device::open(context)?;
    let mut network = network(spec, file, samples, &device, context)?;
    let check = match images(args, &source, &network, samples, context)? {
        Some(check) => check,
        None => ExportCheck::Noise(samples),
    };
    let options = ExportOptions { format, with_preprocess: args.with_preprocess, check };
    let proof = network.export(&args.output, &options)?;
    report(&args.output, format, &proof, context)
}

fn network(
    spec: Spec,
    file: Option<File>,
    batch: usize,
    device: &Device,
    context: &Context,
) -> Result<Network> {
    let build = BuildOptions { training: false, ..BuildOptions::new(batch) };
    inference::check_memory(device, &spec, &build, &Model::build(&spec, &build)?)?;
    let mut network = Network::new(spec, device, &NetworkOptions::inference(batch))?;
    match file {
        Some(file) => network.load_weights(file, None)?,
        None => {
            let name = &network.spec().name;
            context.out.note(&format!("no --weights: using the initial values of {name} with seed 0"));
        }
    }
    Ok(network)
}

/// Loads validation samples to verify on; `None` if no data was requested and the default data does not fit.
fn images(
    args: &ExportArgs,
    source: &SourceArgs,
    network: &Network,
    samples: usize,
    context: &Context,
) -> Result<Option<ExportCheck>> {
    let is_requested = args.source.is_requested();
    let load = || -> Result<ExportCheck> {
        // Data that is not there is not worth a download that nobody asked for.
        if is_requested {
            source.provide(network.spec(), &context.out)?;
        }
        let data = source.open_whole(network.spec(), None, 0, &context.out)?;
        let values = network.inputs(&data.val, samples)?;
        Ok(ExportCheck::Images { values, name: data.val.name.clone() })
    };
    match load() {
        Err(_) if !is_requested => {
            context.out.note(&format!(
                "no data fits {}: verifying on {samples} images of noise; name your data with --data-path",
                network.spec().name
            ));
            Ok(None)
        }
        check => check.map(Some),
    }
}

fn report(path: &Path, format: Format, proof: &ExportReport, context: &Context) -> Result<u8> {
    let ExportReport { samples, data, device, max_difference, largest_logit, bytes } = proof;
    if context.out.is_json() {
        let format = Format::ALL.iter().find(|(_, known)| *known == format).map_or("", |(name, _)| name);
        context.out.json(&json!({
            "event": "export",
            "output": path.display().to_string(),
            "format": format,
            "bytes": bytes,
            "max_difference": f64::from(*max_difference),
            "largest_logit": f64::from(*largest_logit),
            "samples": samples,
            "data": data,
            "device": device,
        }))?;
    } else {
        context.out.line(&format!(
            "{}: {bytes} bytes; verified on {samples} samples of {data}: largest difference {}, largest logit {largest_logit}",
            printable_path(path),
            if *max_difference == 0.0 { "0".into() } else { format!("{max_difference:e}") }
        ))?;
    }
    Ok(0)
}
