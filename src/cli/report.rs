//! `striate report`: reports on runs (`run_report`), and visualises filters and activations of a network.

use super::outputs::Outputs;
use super::run_report::{self, RunReportArgs};
use super::{Context, device, source};
use crate::atomic;
use crate::data::{Decoder, OnBadFile};
use crate::error::{Error, Result, printable, printable_path};
use crate::inference::{self, BatchSource};
use crate::interchange::{self, File};
use crate::model::{BuildOptions, LayerOp, Model, Spec, suggestion};
use crate::report::{self, RgbImage, TileScale, TileSheet, Tiles, TilesLayout};
use crate::tensor::Tensor;
use clap::{Args, Subcommand, ValueEnum};
use serde_json::json;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The longer side of the image beside its feature maps, in pixels.
const SIDE: usize = 224;

/// Most layer names in a message.
const LISTED: usize = 60;

#[derive(Args, Debug)]
pub(crate) struct ReportArgs {
    #[command(subcommand)]
    command: ReportCommand,
}

#[derive(Subcommand, Debug)]
enum ReportCommand {
    /// Report on training runs: curves, mistakes, calibration, recipe
    ///
    /// One HTML file with everything in it. Several runs are drawn over each other, with a table of what differs.
    #[command(after_help = run_report::EXAMPLES)]
    Run(RunReportArgs),
    /// Draw the kernels of a convolution
    #[command(after_help = "Examples:
  striate report filters --weights runs/alexnet/best.safetensors -o filters.png
  striate report filters --weights alexnet.safetensors -m alexnet --layer features.3 --scale together -o second.png")]
    Filters(FiltersArgs),
    /// Draw the feature maps of a layer for an image
    #[command(after_help = "Example:
  striate report activations --weights runs/alexnet/best.safetensors --image cat.jpg --layer features.1 -o maps.png")]
    Activations(ActivationsArgs),
}

/// The flags of both commands.
#[derive(Args, Debug)]
struct SheetArgs {
    /// Use these weights
    ///
    /// A file (safetensors, PyTorch's .pth, NPZ or ONNX), or the folder of a run, whose best weights are taken.
    #[arg(long, value_name = "FILE")]
    weights: PathBuf,
    /// Use this network
    ///
    /// A built-in network by its name, or a model file. [default: the one the weights were trained with]
    #[arg(short, long, value_name = "NAME|FILE")]
    model: Option<String>,
    /// Write to FILE
    #[arg(short, long, value_name = "FILE.png")]
    output: PathBuf,
    /// Stretch the greys of each tile, or of all
    ///
    /// each: from black to white in the value range of each tile. together: in one range for all tiles. [default: each, except for
    /// tiles of one value]
    #[arg(long, value_enum, value_name = "SCALE")]
    scale: Option<ScaleArg>,
    /// Draw N tiles per row
    ///
    /// [default: 16 if there are many]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    columns: Option<u16>,
    /// Draw each value as N x N pixels
    ///
    /// [default: a sheet about 1000 pixels wide]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    zoom: Option<u16>,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum ScaleArg {
    Each,
    Together,
}

#[derive(Args, Debug)]
struct FiltersArgs {
    #[command(flatten)]
    sheet: SheetArgs,
    /// Draw this convolution [default: the first]
    ///
    /// Or a linear layer that reads the image.
    #[arg(long, value_name = "NAME")]
    layer: Option<String>,
}

#[derive(Args, Debug)]
struct ActivationsArgs {
    #[command(flatten)]
    sheet: SheetArgs,
    /// Compute the feature maps of this image
    #[arg(long, value_name = "FILE")]
    image: PathBuf,
    /// Ignore the image's EXIF orientation
    ///
    /// torchvision ignores it; by default the image is rotated upright.
    #[arg(long)]
    ignore_exif: bool,
    /// Draw this layer
    #[arg(long, value_name = "NAME")]
    layer: String,
}

pub(super) fn run(args: &ReportArgs, context: &Context) -> Result<u8> {
    match &args.command {
        ReportCommand::Run(args) => run_report::run(args, context),
        ReportCommand::Filters(args) => filters(args, context),
        ReportCommand::Activations(args) => activations(args, context),
    }
}

fn filters(args: &FiltersArgs, context: &Context) -> Result<u8> {
    let SheetArgs { weights, model, output, .. } = &args.sheet;
    Outputs::new().reads(model.as_ref()).reads(Some(weights)).check_as("--output", output, &["png"])?;
    let mut file = interchange::read(weights)?;
    source::note_reading(&file, &context.out);
    unwrap_names(&mut file, model.as_deref());
    let layer = match &args.layer {
        Some(layer) => layer.clone(),
        None => first_convolution(&file, model.as_deref())?,
    };
    let drawn = match linear_kernels(&file, model.as_deref(), &layer)? {
        Some(kernels) => Some(kernels),
        None => file.tensors.get(&format!("{layer}.weight")).cloned(),
    };
    let convolutions: Vec<&str> = convolutions(&file).collect();
    let Some(weight) = drawn.filter(|weight| weight.shape().dims().len() == 4) else {
        return Err(unknown_layer(&layer, "a convolution", &convolutions));
    };
    let tiles = report::filters(&weight)?;
    // A tile of one value has no range.
    let scale = if tiles.shape == [1; 3] { TileScale::Together } else { TileScale::Each };
    let mut layout = args.sheet.layout(scale, None);
    if tiles.shape[0] == 1 {
        layout.group = weight.shape().dims().get(1).copied();
    }
    finish("filters", &layer, &tiles.draw(&layout, None)?, output, context)
}

/// Strips prefixes of wrappers from the names in `file`, unless the network uses them itself.
fn unwrap_names(file: &mut File, model: Option<&str>) {
    // Without a network there are no such names.
    let layers = inference::spec_of(file, model).map(|spec| spec.layers).unwrap_or_default();
    let names: Vec<String> = layers.iter().map(|layer| format!("{}.weight", layer.name)).collect();
    file.unwrap_names(names.iter().map(String::as_str));
}

/// The name of the network's first convolution; for weights without a network, the first in name order.
fn first_convolution(file: &File, model: Option<&str>) -> Result<String> {
    let none = || {
        let spec = inference::spec_of(file, model).ok();
        let linear = spec.as_ref().and_then(|spec| Some((over_image(spec).next()?, spec.input)));
        let instead = linear.map_or_else(String::new, |(layer, [_, height, width])| {
            format!("; --layer {layer} draws a linear layer, which reads images of {height}x{width}")
        });
        Error::data(
            &file.path,
            format!("expected weights of a convolution (4 dimensions), found none{instead}"),
        )
    };
    if model.is_none() && !file.metadata.contains_key("model") {
        return convolutions(file).next().map(String::from).ok_or_else(none);
    }
    let spec = inference::spec_of(file, model)?;
    let first = spec.layers.iter().find(|layer| matches!(layer.op, LayerOp::Conv2d(_)));
    first.map(|layer| layer.name.clone()).ok_or_else(none)
}

/// Linear layers that read the network's input, at most flattened or with values dropped.
fn over_image(spec: &Spec) -> impl Iterator<Item = &str> {
    let reads_image = |name: &str| {
        let mut name = name;
        while let Some(layer) = spec.layers.iter().find(|layer| layer.name == name) {
            match (&layer.op, &layer.inputs[..]) {
                (LayerOp::Flatten(_) | LayerOp::Dropout(_), [only]) => name = only,
                _ => return false,
            }
        }
        true
    };
    let linear = spec.layers.iter().filter(|layer| matches!(layer.op, LayerOp::Linear(_)));
    let over = linear.filter(move |layer| layer.inputs.first().is_some_and(|input| reads_image(input)));
    over.map(|layer| layer.name.as_str())
}

/// The weights of `layer` as kernels over the whole image, if it is a linear layer that reads the image.
fn linear_kernels(file: &File, model: Option<&str>, layer: &str) -> Result<Option<Tensor>> {
    let Ok(spec) = inference::spec_of(file, model) else { return Ok(None) };
    let weight =
        file.tensors.get(&format!("{layer}.weight")).filter(|_| over_image(&spec).any(|name| name == layer));
    let Some(weight) = weight else { return Ok(None) };
    let [channels, height, width] = spec.input;
    match weight.shape().dims() {
        &[outputs, inputs] if inputs == channels * height * width => {
            Tensor::new([outputs, channels, height, width], weight.data().to_vec()).map(Some)
        }
        _ => Ok(None),
    }
}

/// Layers whose weights have four dimensions.
fn convolutions(file: &File) -> impl Iterator<Item = &str> {
    let four = file.tensors.iter().filter(|(_, tensor)| tensor.shape().dims().len() == 4);
    four.filter_map(|(name, _)| name.strip_suffix(".weight"))
}

fn unknown_layer(layer: &str, what: &str, known: &[&str]) -> Error {
    let mut near = suggestion(layer, known.iter().copied());
    if known.is_empty() {
        near = "; there are none".into();
    } else if near.is_empty() {
        let names = known[..known.len().min(LISTED)].join(", ");
        let more = known.len().saturating_sub(LISTED);
        near = format!(
            "; there are {names}{}",
            if more > 0 { format!(" and {more} more") } else { String::new() }
        );
    }
    Error::Usage(
        printable(&format!("--layer: expected the name of {what}, found {layer}{near}")).into_owned(),
    )
}

fn activations(args: &ActivationsArgs, context: &Context) -> Result<u8> {
    let SheetArgs { weights, model, output, .. } = &args.sheet;
    let mut outputs = Outputs::new().reads(model.as_ref()).reads(Some(weights)).reads(Some(&args.image));
    outputs.check_as("--output", output, &["png"])?;
    let file = interchange::read(weights)?;
    let mut spec = source::network_of(&file, model.as_deref(), &context.out)?;
    spec.geometry.ignore_exif |= args.ignore_exif;
    let ignore_exif = spec.geometry.ignore_exif;
    let known: Vec<&str> = spec.layers.iter().map(|layer| layer.name.as_str()).collect();
    let Some(number) = known.iter().position(|name| *name == args.layer) else {
        return Err(unknown_layer(&args.layer, "a layer", &known));
    };
    let maps = maps(&spec, file, &args.image, number, context)?;
    let [channels, height, width] = maps.shape;
    let flat = [channels, height, width] == [1; 3];
    let what = match flat {
        true => format!("{} values", maps.len()),
        false => format!("{} maps of {height} x {width}", maps.len()),
    };
    let [least, most] = report::range(&maps.values);
    let op = spec.layers[number].op.name();
    let caption = format!("{} ({op}): {what}, {} to {}", args.layer, short(least), short(most));
    let layout = args.sheet.layout(if flat { TileScale::Together } else { TileScale::Each }, Some(caption));
    let ([width, height], pixels) =
        Decoder::new().ignoring_exif(ignore_exif).read_within(&args.image, SIDE)?;
    let sheet = maps.draw(&layout, Some(&RgbImage { width, height, pixels }))?;
    finish("activations", &args.layer, &sheet, output, context)
}

/// Computes the output of layer `number` of `spec` with the weights of `file` for `image`, as tiles.
fn maps(spec: &Spec, file: File, image: &Path, number: usize, context: &Context) -> Result<Tiles> {
    let data = Arc::new(inference::image_files(spec, vec![image.to_path_buf()])?);
    let build = BuildOptions {
        training: false,
        fuse: false,
        keep: true,
        pixels: Some(data.shape),
        ..BuildOptions::new(1)
    };
    let model = Model::build(spec, &build)?;
    let device = device::open(context)?;
    inference::check_memory(&device, spec, &build, &model)?;
    let mut executor = device.executor(Arc::clone(&model.program))?;
    inference::load(&model, executor.as_mut(), file, None)?;
    let source = BatchSource::new(spec, &model, 0, 1, OnBadFile::Fail);
    let batch = source.first(&data)?;
    let y = inference::activations(&model, executor.as_mut(), &batch, number)?;
    let shape = match y.shape().dims() {
        &[_, _, height, width] => [1, height, width],
        _ => [1, 1, 1],
    };
    Ok(Tiles { shape, values: y.data().to_vec() })
}

impl SheetArgs {
    fn layout(&self, scale: TileScale, caption: Option<String>) -> TilesLayout {
        TilesLayout {
            scale: match self.scale {
                None => scale,
                Some(ScaleArg::Each) => TileScale::Each,
                Some(ScaleArg::Together) => TileScale::Together,
            },
            columns: self.columns.map(usize::from),
            group: None,
            zoom: self.zoom.map(usize::from),
            caption,
        }
    }
}

/// Writes the sheet and prints a summary.
fn finish(kind: &str, layer: &str, sheet: &TileSheet, output: &Path, context: &Context) -> Result<u8> {
    let bytes = sheet.canvas.png()?;
    atomic::write(output, |out| out.write_all(&bytes))?;
    let (width, height) = (sheet.canvas.width(), sheet.canvas.height());
    let [least, most] = sheet.range;
    if sheet.not_finite > 0 {
        context
            .out
            .note(&format!("{} of the values shown are not finite; they are drawn grey", sheet.not_finite));
    }
    if sheet.shown < sheet.tiles {
        context.out.note(&format!("only the first {} of {} tiles are shown", sheet.shown, sheet.tiles));
    }
    if context.out.is_json() {
        context.out.json(&json!({
            "event": "report",
            "report": kind,
            "layer": layer,
            "file": output.to_string_lossy(),
            "shown": sheet.shown,
            "tiles": sheet.tiles,
            "width": width,
            "height": height,
            "min": f64::from(least),
            "max": f64::from(most),
            "not_finite": sheet.not_finite,
        }))?;
    } else {
        context.out.line(&format!(
            "{}: {kind} of {}, {} tiles, {} to {}, {width} x {height} pixels",
            printable_path(output),
            printable(layer),
            sheet.shown,
            short(least),
            short(most),
        ))?;
    }
    Ok(0)
}

/// Formats `value` with few digits.
fn short(value: f32) -> String {
    match value.abs() {
        0.0 | 1e-3..1e5 => format!("{value:.4}"),
        _ => format!("{value:.3e}"),
    }
}
