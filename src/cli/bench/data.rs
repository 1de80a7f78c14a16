//! Benchmarks of the data pipeline: decoding an image file, reading an image from a packed file, the operator `augment`
//! on the CPU path, and the loader as training uses it; on one thread and on several.

use super::control::{Control, ControlTimes};
use super::progress::Progress;
use super::table::wrapped;
use super::timing::{Budget, Timing, measure};
use super::{BudgetArgs, Header};
use crate::cli::Context;
use crate::cli::recipe::MOST_ROWS;
use crate::cpu;
use crate::data::{
    self, Augmenter, BadFiles, Batch, Dataset, Images, InputTransform, Kind, Loader, LoaderOptions,
    ModelShape, OnBadFile, Request, Sampler, ScanObserver, Splits, Workers,
};
use crate::device::Device;
use crate::error::{Error, Result};
use crate::inference::{self, BatchSource};
use crate::model::{BuildOptions, Model, Spec};
use crate::ops::{Augment, Op};
use crate::program::{BufferId, Executor, Program, ProgramBuilder, Role, Span, Step, write_words};
use crate::view::MAX_SIDE;
use clap::Args;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::sync::Arc;

#[derive(Args, Debug)]
#[command(
    after_help = "Examples:\n  striate bench data\n  striate bench data --data-path photos -m alexnet -j 8\n\n\
                  Without --data-path, the images are synthetic. All files are read from the system's page cache."
)]
pub(super) struct DataArgs {
    /// Read a folder, a file or a built-in data set
    #[arg(long, alias = "data", value_name = "DATA")]
    data_path: Option<String>,
    /// Use images of this size
    ///
    /// Image files are resized to it, synthetic images made in it. [default: the size that the model's recipe asks for]
    #[arg(long = "picture", value_name = "CxHxW", value_parser = image_shape)]
    image_shape: Option<ImageShape>,
    /// Ignore the EXIF orientation of image files, as torchvision does
    #[arg(long)]
    ignore_exif: bool,
    /// Use this network's input and augmentation
    #[arg(short, long, default_value = "alexnet", value_name = "NAME|FILE")]
    model: String,
    /// Set the number of samples per batch
    #[arg(short, long, default_value_t = 64, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=MOST_ROWS))]
    batch_size: u32,
    /// Set the number of images to process
    #[arg(long, default_value_t = 256, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    images: u32,
    /// Load with N threads in the second column
    ///
    /// [default: all]
    #[arg(short = 'j', long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=256))]
    workers: Option<u16>,
    #[command(flatten)]
    budget: BudgetArgs,
}

#[derive(Clone, Copy, Debug)]
struct ImageShape([usize; 3]);

fn image_shape(text: &str) -> Result<ImageShape, String> {
    let sides: Option<Vec<usize>> = text.split('x').map(|side| side.parse().ok()).collect();
    match sides.as_deref() {
        Some(&[c @ (1 | 3), h, w]) if [h, w].iter().all(|side| (1..=MAX_SIDE).contains(side)) => {
            Ok(ImageShape([c, h, w]))
        }
        _ => Err(format!(
            "expected channels (1 or 3), height and width (1 to {MAX_SIDE} each), such as 3x256x256"
        )),
    }
}

/// Images per second of one stage of the data pipeline.
struct StageRate {
    what: &'static str,
    /// On one thread.
    one: Timing,
    /// On the requested number of threads.
    all: Timing,
    /// Images of a run.
    images: usize,
    /// Measured before and after.
    control: ControlTimes,
}

pub(super) fn run(args: &DataArgs, context: &Context) -> Result<u8> {
    let spec = Spec::load(&args.model)?;
    let threads =
        args.workers.map_or_else(|| std::thread::available_parallelism().map_or(1, |n| n.get()), usize::from);
    let stored = open(args, &spec, Some(inference::wanted(&spec, true)?))?;
    let scratch = Scratch::new()?;
    let packed = pack(args, &spec, &scratch.0.join("pictures"))?;
    let batch = args.batch_size as usize;
    let options = BuildOptions { pixels: Some(packed.shape), ..BuildOptions::new(batch) };
    let model = Model::build(&spec, &options)?;
    let augmenter = BatchSource::new(&spec, &model, 0, 0, OnBadFile::Fail).augmenter(&packed)?;
    let header = Header::plain(&[Device::cpu()]);

    let budget = args.budget.budget();
    let counts = [1, threads];
    let has_shards =
        |images: &Images| matches!(images, Images::Stored(found) if !found.store.shards().is_empty());
    let has_files = stored.file(0).is_some() || (stored.has_sizes() && has_shards(&stored.images));
    let load = |dataset: &Arc<Dataset>, workers: usize| loader(dataset, &augmenter, batch, workers);
    let progress = Progress::new(context.out, if has_files { 5 } else { 3 });
    let mut control = Control::new(&Device::cpu())?;
    let mut rows = Vec::new();
    let mut add =
        |what: &'static str, images: usize, mut one: Box<dyn FnMut(usize) -> Result<Timing> + '_>| {
            progress.begin(&format!("measuring: {what}"), true);
            let before = control.alone(budget)?;
            let (one, all) = (one(counts[0])?, one(counts[1])?);
            let control = before.and(control.alone(budget)?);
            rows.push(StageRate { what, one, all, images, control });
            Ok::<(), Error>(())
        };
    if has_files {
        add("decode files", stored.len(), Box::new(|n| read_all(&stored, n, budget)))?;
    }
    add("read packed", packed.len(), Box::new(|n| read_all(&packed, n, budget)))?;
    let first = load(&packed, 0).next().unwrap_or_else(|| Ok(Batch::default()))?;
    add("augment (CPU path)", batch, Box::new(|n| augment(&augmenter, batch, &first, n, budget)))?;
    if has_files {
        add("loader, files", stored.len(), Box::new(|n| epochs(|| load(&stored, n), budget)))?;
    }
    add("loader, packed", packed.len(), Box::new(|n| epochs(|| load(&packed, n), budget)))?;
    drop(progress);
    print(context, &header, &spec, &packed, [threads, batch], &rows)?;
    Ok(0)
}

/// The images to measure with, prepared for a model or unchanged.
fn open(args: &DataArgs, spec: &Spec, wanted: Option<ModelShape>) -> Result<Arc<Dataset>> {
    let splits = data::open(&Request {
        path: args.data_path.clone(),
        kind: if args.data_path.is_none() { Kind::Synthetic } else { Kind::Auto },
        val_split: Some(0.0),
        counts: None,
        limit_train: Some(args.images as usize),
        limit_val: None,
        seed: 0,
        ignore_exif: args.ignore_exif,
        image_shape: args.image_shape.map_or(inference::image_shape(spec), |shape| shape.0),
        model: wanted,
        has_preprocess: false,
        input_range: None,
        presumed_range: None,
        image_column: None,
        label_column: None,
        image_root: None,
        transpose: None,
        transposed_run: None,
        for_training: false,
    })?;
    Ok(splits.train)
}

/// A folder for the time of the measurement.
struct Scratch(PathBuf);

impl Scratch {
    fn new() -> Result<Scratch> {
        let path = std::env::temp_dir().join(format!("striate-bench-{}", std::process::id()));
        std::fs::create_dir(&path).map_err(|error| Error::io(&path, error))?;
        Ok(Scratch(path))
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // What cannot be removed from a folder for temporary files is the system's to remove.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

struct NoBadFile;

impl ScanObserver for NoBadFile {
    fn bad(&mut self, error: Error) -> Result<()> {
        Err(error)
    }

    fn done(&mut self, _count: usize, _all: usize) -> Result<()> {
        Ok(())
    }
}

/// The same images from a packed file, their shorter sides resized as training would.
fn pack(args: &DataArgs, spec: &Spec, path: &Path) -> Result<Arc<Dataset>> {
    let stored = open(args, spec, None)?;
    let side = stored.has_sizes().then(|| stored.shape[1].min(stored.shape[2]));
    data::pack(&Splits::of(stored).whole(None, side)?, path, 0, &mut NoBadFile)?;
    let request = Request {
        path: Some(path.to_string_lossy().into_owned()),
        kind: Kind::Packed,
        val_split: Some(0.0),
        counts: None,
        limit_train: None,
        limit_val: None,
        seed: 0,
        ignore_exif: false,
        image_shape: inference::image_shape(spec),
        model: Some(inference::wanted(spec, true)?),
        has_preprocess: false,
        input_range: None,
        presumed_range: None,
        image_column: None,
        label_column: None,
        image_root: None,
        transpose: None,
        transposed_run: None,
        for_training: false,
    };
    Ok(data::open(&request)?.train)
}

/// Every image once, thread t of n taking t, t + n, t + 2n, ...
fn read_all(dataset: &Dataset, threads: usize, budget: Budget) -> Result<Timing> {
    let pass = |first: usize| {
        let mut into = vec![0; dataset.image_len()];
        (first..dataset.len()).step_by(threads).try_for_each(|sample| dataset.read_pixels(sample, &mut into))
    };
    measure(budget, |runs| {
        for _ in 0..runs {
            std::thread::scope(|scope| {
                let others: Vec<_> = (1..threads).map(|first| scope.spawn(move || pass(first))).collect();
                let own = pass(0);
                others.into_iter().try_fold(own?, |(), other| {
                    other.join().unwrap_or_else(|_| Err(Error::Internal("a reading thread stopped".into())))
                })
            })?;
        }
        Ok(())
    })
}

/// The operator on one batch.
fn augment(
    augmenter: &Augmenter,
    rows: usize,
    batch: &Batch,
    threads: usize,
    budget: Budget,
) -> Result<Timing> {
    let ([c_in, h_in, w_in], [c_out, h_out, w_out]) = (augmenter.stored(), augmenter.input());
    let op = Op::Augment(Augment { batch: rows, c_in, h_in, w_in, c_out, h_out, w_out });
    let mut executor = cpu::Executor::new(Arc::new(single(op)?))?;
    write_words(&mut executor, BufferId(0), batch.input.bytes())?;
    write_words(&mut executor, BufferId(1), batch.input.views())?;
    let pool = rayon::ThreadPoolBuilder::new()
        .num_threads(threads)
        .build()
        .map_err(|error| Error::Memory(format!("{threads} threads could not be started: {error}")))?;
    measure(budget, |runs| pool.install(|| (0..runs).try_for_each(|_| executor.run(Span::Forward))))
}

/// A program of one operator.
fn single(op: Op) -> Result<Program> {
    let mut builder = ProgramBuilder::default();
    let mut buffers = Vec::new();
    for operand in op.operands() {
        buffers.push(builder.buffer(operand.name, operand.shape, Role::Output)?);
    }
    builder.forward.push(Step { label: op.name().to_string(), op, buffers });
    builder.finish(true)
}

fn loader(dataset: &Arc<Dataset>, augmenter: &Augmenter, batch: usize, workers: usize) -> Loader {
    let options = LoaderOptions {
        batch,
        workers: Workers::new(workers),
        seed: 0,
        epoch: 0,
        shuffle: true,
        sampler: Sampler::Shuffle,
        augment: true,
        transform: InputTransform::OnDevice(augmenter.clone()),
        bad: BadFiles::new(OnBadFile::Fail),
    };
    Loader::new(Arc::clone(dataset), options)
}

/// Whole epochs, by a consumer that does nothing with the batches.
fn epochs(start: impl Fn() -> Loader, budget: Budget) -> Result<Timing> {
    measure(budget, |runs| {
        for _ in 0..runs {
            let mut loader = start();
            while let Some(batch) = loader.next() {
                loader.recycle(batch?);
            }
        }
        Ok(())
    })
}

fn print(
    context: &Context,
    header: &Header,
    spec: &Spec,
    packed: &Dataset,
    [threads, batch]: [usize; 2],
    rows: &[StageRate],
) -> Result<()> {
    let rate = |row: &StageRate, timing: &Timing| row.images as f64 / timing.median;
    if context.out.is_json() {
        let results: Vec<Value> = rows
            .iter()
            .map(|row| {
                json!({
                    "what": row.what,
                    "images_per_second_per_core": rate(row, &row.one),
                    "images_per_second": rate(row, &row.all),
                    "samples": row.one.samples.len(),
                    "images": row.images,
                    "times": {"one_thread": row.one.to_json(), "all_threads": row.all.to_json()},
                    "control": row.control.to_json(),
                })
            })
            .collect();
        return context.out.json(&json!({
            "event": "bench-data",
            "header": header.json(),
            "data": packed.name,
            "model": spec.name,
            "batch_size": batch,
            "picture": packed.shape,
            "input": spec.input,
            "images": packed.len(),
            "threads": threads,
            "results": results,
        }));
    }
    for line in header.lines() {
        context.out.line(&line)?;
    }
    let size = |[c, h, w]: [usize; 3]| format!("{c}x{h}x{w}");
    let title = format!(
        "{} images of {} ({}), for {} ({}); medians, from the system's cache",
        packed.len(),
        size(packed.shape),
        packed.name,
        spec.name,
        size(spec.input)
    );
    wrapped(&title).iter().try_for_each(|line| context.out.line(line))?;
    let many = format!("{threads} threads");
    context.out.line(&format!("{:<20} {:>16} {many:>16} {:>12}", "img/s", "1 thread", "MB/s a core"))?;
    for row in rows {
        let one = rate(row, &row.one);
        context.out.line(&format!(
            "{:<20} {one:>16.1} {:>16.1} {:>12.0}",
            row.what,
            rate(row, &row.all),
            one * packed.image_len() as f64 / 1e6
        ))?;
    }
    Ok(())
}
