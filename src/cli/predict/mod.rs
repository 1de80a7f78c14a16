//! `striate predict`: classifies images.

mod explain;
mod printer;

use super::outputs::Outputs;
use super::recipe::MOST_ROWS;
use super::{Context, device, names, source, stop};
use crate::data::{self, OnBadFile, Splits};
use crate::error::{Error, Result};
use crate::inference::{self, Answer, BatchSource};
use crate::interchange;
use crate::model::{BuildOptions, LossKind, Model};
use clap::Args;
use explain::ExplainArg;
use printer::PredictionPrinter;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;

#[derive(Args, Debug)]
#[command(after_help = "Examples:
  striate predict --weights runs/alexnet/best.safetensors photo.jpg
  striate predict --weights alexnet.safetensors -m alexnet --labels classes.txt -k 3 holiday/
  striate predict --weights runs/alexnet/best.safetensors photos/cats/*.jpg --annotate predictions.png
  striate predict --weights runs/alexnet/best.safetensors photos --explain grad-cam -o why.png

Predictions are printed in the order of the images. An unreadable image is reported and skipped;
the exit code is then 4.")]
pub(crate) struct PredictArgs {
    /// Classify these images, and those in folders
    ///
    /// JPEG, PNG, TIFF, BMP, WebP or GIF; of a folder, all images in it and in the folders below.
    #[arg(required = true, value_name = "IMAGE|FOLDER")]
    images: Vec<PathBuf>,
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
    /// Print the N best classes of each image
    #[arg(short = 'k', long, default_value_t = 5, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    top_k: u32,
    /// Read the class names from FILE
    ///
    /// One name per line, in the order of the outputs. [default: the names in the weights]
    #[arg(long, value_name = "FILE")]
    labels: Option<PathBuf>,
    /// Average over ten crops of each image
    ///
    /// Probabilities are averaged over the corners and the centre of the resized image and their mirror images; requires a model
    /// with a resize larger than its input.
    #[arg(long)]
    ten_crop: bool,
    /// Draw the images with their predictions
    ///
    /// The first 32 images, with their top predictions (--topk, at most five) as bars.
    #[arg(long, value_name = "FILE.png")]
    annotate: Option<PathBuf>,
    /// Highlight this class in --annotate
    ///
    /// It is the true one. [default: the image's folder, if it is named like a class]
    #[arg(long, value_name = "NAME", requires = "annotate")]
    truth: Option<String>,
    /// Explain answers: grad-cam or saliency
    ///
    /// Beside each of the first 30 images stands a heat map over it. grad-cam: where the maps of a layer speak for the answer, by their
    /// gradients. saliency: pixels whose change would change the answer's score most.
    #[arg(
        long,
        value_enum,
        value_name = "HOW",
        hide_possible_values = true,
        requires = "output",
        conflicts_with = "ten_crop"
    )]
    explain: Option<ExplainArg>,
    /// Look at this layer (grad-cam) [default: the last convolution]
    #[arg(long, value_name = "NAME", requires = "explain")]
    layer: Option<String>,
    /// Write the sheet of --explain to FILE
    #[arg(short, long, value_name = "FILE.png", requires = "explain")]
    output: Option<PathBuf>,
    /// Use N images per step [default: the recipe's]
    #[arg(short, long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=MOST_ROWS))]
    batch_size: Option<u32>,
    /// Decode images with N threads [default: up to 4]
    #[arg(short = 'j', long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=256))]
    workers: Option<u16>,
    /// Ignore the EXIF orientation of images
    ///
    /// torchvision ignores it; by default images are rotated upright.
    #[arg(long)]
    ignore_exif: bool,
    /// Skip unreadable images, or fail at the first
    #[arg(long, default_value = "skip", value_name = "skip|fail", value_parser = source::on_bad_file)]
    on_bad_file: OnBadFile,
}

pub(super) fn run(args: &PredictArgs, context: &Context) -> Result<u8> {
    let weights = interchange::read(&args.weights)?;
    let mut spec = source::network_of(&weights, args.model.as_deref(), &context.out)?;
    spec.geometry.ignore_exif |= args.ignore_exif;
    let is_softmax = spec.recipe.loss == LossKind::CrossEntropy;
    if args.ten_crop && !is_softmax {
        return Err(Error::Usage(
            "--ten-crop averages probabilities: expected loss cross-entropy, found mse".into(),
        ));
    }
    let outputs = Outputs::new().reads(args.model.as_ref()).reads(Some(&args.weights));
    let outputs = outputs.reads(args.labels.as_ref());
    let mut outputs = args.images.iter().fold(outputs, |outputs, path| outputs.reads(Some(path)));
    for (flag, path) in [("--annotate", &args.annotate), ("--output", &args.output)] {
        path.as_ref().map_or(Ok(()), |path| outputs.check_as(flag, path, &["png"]))?;
    }
    if args.layer.is_some() && args.explain == Some(ExplainArg::Saliency) {
        return Err(Error::Usage(
            "--layer: expected --explain grad-cam, found saliency, which looks at the input".into(),
        ));
    }
    let files = files(&args.images)?;
    let count = files.len();
    let sheet = |explain| explain::Sheet::new(explain, args.layer.as_deref(), (&spec, &weights), &files);
    let sheet = args.explain.map(sheet).transpose()?;
    let data = Arc::new(inference::image_files(&spec, files)?);
    let data = if args.ten_crop { Splits::of(data).ten_crops().val } else { data };
    source::note_old_rules(&spec, &data, &context.out);
    let batch = args.batch_size.map_or(spec.recipe.batch_size, |n| n as usize).min(count);
    let batch = if args.ten_crop { inference::most_rows(batch, data.shape) } else { batch };
    let build = BuildOptions { training: false, pixels: Some(data.shape), ..BuildOptions::new(batch) };
    let model = Model::build(&spec, &build)?;
    let names = names::of(&weights, args.labels.as_deref(), model.classes)?;
    let sheet_names = names.clone();
    let mut printer =
        PredictionPrinter::new(args, names, is_softmax, spec.geometry.ignore_exif, &context.out)?;
    let device = device::open(context)?;
    inference::check_memory(&device, &spec, &build, &model)?;
    let mut executor = device.executor(Arc::clone(&model.program))?;
    inference::load(&model, executor.as_mut(), weights, None)?;
    // A single unreadable image is an error.
    let policy = if count == 1 { OnBadFile::Fail } else { args.on_bad_file };
    let source = BatchSource::new(&spec, &model, 0, source::workers(args.workers), policy);
    let stop = stop::on_signal()?;
    let mut each = |answer: &Answer<'_>| match data.file(answer.sample) {
        // The scores of ten crops are probabilities already.
        Some(file) if is_softmax && !args.ten_crop => {
            printer.add(&file, &inference::probabilities(answer.scores))
        }
        Some(file) => printer.add(&file, answer.scores),
        None => Err(Error::Internal(format!("image {} has no file", answer.sample))),
    };
    let pass = if args.ten_crop { inference::ten_crop } else { inference::evaluate_each };
    let done = pass(&model, executor.as_mut(), &data, &source, &stop, &mut each);
    context.out.warn_of(source.bad());
    done?;
    if stop.load(Ordering::Relaxed) {
        context.out.note("interrupted: only some of the images were classified");
        return Ok(stop::INTERRUPTED);
    }
    let classified = printer.finish(args.annotate.as_deref())?;
    if let (Some(sheet), Some(path)) = (sheet, &args.output) {
        drop(executor);
        sheet.write(path, &sheet_names, is_softmax, context)?;
    }
    match source.bad().named().first() {
        None => Ok(0),
        Some(first) => {
            let what = format!("{} of {count} images cannot be read; the first: {first}", count - classified);
            Err(Error::data(&data.name, what))
        }
    }
}

/// The files in `paths`, with folders replaced by the images in them.
fn files(paths: &[PathBuf]) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for path in paths {
        if path.is_dir() { files.extend(data::images_in_folder(path)?) } else { files.push(path.clone()) }
    }
    Ok(files)
}

/// The file name of `path` without its extension, for display.
fn title(path: &Path) -> String {
    let name = path.file_stem().unwrap_or_default();
    crate::error::printable_path(Path::new(name))
}
