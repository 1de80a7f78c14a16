//! `striate predict`: what a network takes pictures for.

mod answers;

use super::outputs::Outputs;
use super::recipe::MOST_ROWS;
use super::{Context, device, names, source, stop};
use crate::data::{self, OnBadFile, Splits};
use crate::error::{Error, Result};
use crate::inference::{self, Answer, BatchSource};
use crate::interchange;
use crate::model::{BuildOptions, LossKind, Model};
use answers::Answers;
use clap::Args;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;

#[derive(Args, Debug)]
#[command(after_help = "Examples:
  striate predict --weights runs/alexnet/best.safetensors photo.jpg
  striate predict --weights alexnet.safetensors -m alexnet --labels classes.txt -k 3 holiday/
  striate predict --weights runs/alexnet/best.safetensors photos/cats/*.jpg --annotate answers.png

Answers come in the order of the pictures. A picture that cannot be read is named, the others are
answered, and the exit code is 4.")]
pub(crate) struct PredictArgs {
    /// Pictures (JPEG or PNG), and folders of pictures
    #[arg(required = true, value_name = "IMAGE|FOLDER")]
    pictures: Vec<PathBuf>,
    /// The trained weights: safetensors, NPZ or ONNX
    #[arg(long, value_name = "FILE")]
    weights: PathBuf,
    /// A built-in network or a model file [default: the one the weights were trained with]
    #[arg(short, long, value_name = "NAME|FILE.toml")]
    model: Option<String>,
    /// Answers to each picture, at most as many as there are classes
    #[arg(short = 'k', long, default_value_t = 5, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    top_k: u32,
    /// Names of the classes, one a line [default: those that the weights carry]
    #[arg(long, value_name = "FILE")]
    labels: Option<PathBuf>,
    /// Answer with the mean probabilities over the four corners and the middle of the resized picture and their mirror
    /// images; needs a model with a resize greater than its input
    #[arg(long)]
    ten_crop: bool,
    /// Draw the first 32 pictures with their best five answers as bars
    #[arg(long, value_name = "FILE.png")]
    annotate: Option<PathBuf>,
    /// With --annotate: the right answer, which is drawn in another colour [default: the folder of a picture that has
    /// the name of a class]
    #[arg(long, value_name = "NAME", requires = "annotate")]
    truth: Option<String>,
    /// Pictures per step [default: the recipe's]
    #[arg(short, long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=MOST_ROWS))]
    batch_size: Option<u32>,
    /// Threads that decode pictures [default: up to 4]
    #[arg(short = 'j', long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=256))]
    workers: Option<u16>,
    /// Leave pictures as they are stored, as torchvision does; otherwise the orientation in their EXIF metadata turns them
    /// upright
    #[arg(long)]
    ignore_exif: bool,
    /// skip names what cannot be read and goes on; fail ends with the first
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
    if let Some(path) = &args.annotate {
        let outputs = Outputs::new().reads(args.model.as_ref()).reads(Some(&args.weights));
        let outputs = outputs.reads(args.labels.as_ref());
        let mut outputs = args.pictures.iter().fold(outputs, |outputs, path| outputs.reads(Some(path)));
        outputs.check("--annotate", path)?;
    }
    let files = files(&args.pictures)?;
    let count = files.len();
    let data = Arc::new(inference::pictures(&spec, files)?);
    let data = if args.ten_crop { Splits::of(data).ten_crops().val } else { data };
    source::note_old_rules(&spec, &data, &context.out);
    let batch = args.batch_size.map_or(spec.recipe.batch_size, |n| n as usize).min(count);
    let batch = if args.ten_crop { inference::most_rows(batch, data.shape) } else { batch };
    let build = BuildOptions { training: false, pixels: Some(data.shape), ..BuildOptions::new(batch) };
    let model = Model::build(&spec, &build)?;
    let names = names::of(&weights, args.labels.as_deref(), model.classes)?;
    let mut answers = Answers::new(args, names, is_softmax, spec.geometry.ignore_exif, &context.out)?;
    let device = device::open(context)?;
    inference::check_memory(&device, &spec, &build, &model)?;
    let mut executor = device.executor(Arc::clone(&model.program))?;
    inference::load(&model, executor.as_mut(), weights, None)?;
    // One picture that cannot be read is the error itself.
    let policy = if count == 1 { OnBadFile::Fail } else { args.on_bad_file };
    let source = BatchSource::new(&spec, &model, 0, source::workers(args.workers), policy);
    let stop = stop::on_signal()?;
    let mut each = |answer: &Answer<'_>| match data.file(answer.sample) {
        // Ten crops give probabilities as they are.
        Some(file) if is_softmax && !args.ten_crop => {
            answers.add(&file, &inference::probabilities(answer.scores))
        }
        Some(file) => answers.add(&file, answer.scores),
        None => Err(Error::Internal(format!("picture {} has no file", answer.sample))),
    };
    let pass = if args.ten_crop { inference::ten_crop } else { inference::evaluate_each };
    let done = pass(&model, executor.as_mut(), &data, &source, &stop, &mut each);
    context.out.warn_of(source.bad());
    done?;
    if stop.load(Ordering::Relaxed) {
        context.out.note("interrupted: only a part was answered");
        return Ok(stop::INTERRUPTED);
    }
    let answered = answers.finish(args.annotate.as_deref())?;
    match source.bad().named().first() {
        None => Ok(0),
        Some(first) => {
            let what = format!("{} of {count} cannot be read; the first: {first}", count - answered);
            Err(Error::data(&data.name, what))
        }
    }
}

/// The files that `paths` name, folders opened.
fn files(paths: &[PathBuf]) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for path in paths {
        if path.is_dir() { files.extend(data::images_in_folder(path)?) } else { files.push(path.clone()) }
    }
    Ok(files)
}

/// The last part of `path`, for people.
fn title(path: &Path) -> String {
    let name = path.file_stem().unwrap_or_default();
    crate::error::printable_path(Path::new(name))
}
