//! `striate dataset`: the content of a data set (`info`), statistics of its pixels (`stats`), packing into one file
//! (`pack`), and download of public data sets (`fetch`).

mod archive;
mod fetch;
mod info;
mod pack;
mod progress;
mod provide;
mod sources;
mod stats;

use super::Context;
use super::source::print_diagnostics;
use crate::data::{self, Diagnostics, InputRange, Kind, OnBadFile, Request, Splits};
use crate::error::Result;
use crate::view::MAX_SIDE;
use clap::{Args, Subcommand};
pub(super) use provide::provide;
pub(super) use sources::public_names;

#[derive(Args, Debug)]
#[command(after_help = "Examples:\n  striate dataset info fashion-mnist\n  striate dataset stats photos\n  \
                  striate dataset pack photos -o photos.safetensors --size 256\n  striate dataset fetch cifar10")]
pub(crate) struct DatasetArgs {
    #[command(subcommand)]
    command: DatasetCommand,
}

#[derive(Subcommand, Debug)]
enum DatasetCommand {
    /// Show format, sizes and classes
    Info(info::InfoArgs),
    /// Compute mean, standard deviation and principal colours; find duplicate and unreadable images
    Stats(stats::StatsArgs),
    /// Pack a data set of images into one file
    Pack(pack::PackArgs),
    /// Download a public data set
    Fetch(fetch::FetchArgs),
}

pub(super) fn run(args: &DatasetArgs, context: &Context) -> Result<u8> {
    match &args.command {
        DatasetCommand::Info(args) => info::run(args, context),
        DatasetCommand::Stats(args) => stats::run(args, context),
        DatasetCommand::Pack(args) => pack::run(args, context),
        DatasetCommand::Fetch(args) => fetch::run(args, context),
    }
}

/// Default channels and side of images from files.
const CHANNELS: u32 = 3;
const SIZE: u32 = 256;

/// The flags that select a data set.
#[derive(Args, Debug)]
struct SelectionArgs {
    /// Read this folder, file or built-in data set
    ///
    /// [default: fashion-mnist]
    #[arg(value_name = "DATA")]
    data: Option<String>,
    /// Read data of this kind
    ///
    /// KIND is auto, image-folder, idx, cifar10, cifar100, stl10, packed, tensors, csv, parquet, npz, tar, list or synthetic.
    #[arg(long, default_value = "auto", value_name = "KIND", value_parser = super::source::kind)]
    dataset: Kind,
    /// Declare what the numbers of images are
    ///
    /// The numbers of a table, of f32 tensors or of floating-point arrays in NPZ files are pixels (0..255), pixels divided by 255
    /// (0..1) or network input (ready).
    #[arg(long, value_name = "0..255|0..1|ready", value_parser = super::source::input_range)]
    input_range: Option<InputRange>,
    /// Take the images from this column
    ///
    /// Where samples are rows: its name, in lists also its number from 1; in tar files the
    /// end of the images' names, such as jpg [default: the column called image, img or the like]
    #[arg(long, value_name = "NAME|NUMBER")]
    image_column: Option<String>,
    /// Take the labels from this column
    ///
    /// Where samples are rows: its name, in CSV files and lists also its number from 1; in
    /// tar files a field of .json [default: the column called label, class, target, y or the like; in a table of numbers
    /// else the last; in tar files .cls]
    #[arg(long, value_name = "NAME|NUMBER")]
    label_column: Option<String>,
    /// Look for the image files of a list in this folder
    ///
    /// [default: that of the list, or a folder in it]
    #[arg(long, value_name = "DIR")]
    image_root: Option<String>,
    /// Swap height and width of each image
    ///
    /// For IDX files, tensors and tables, as EMNIST needs.
    #[arg(long, value_name = "true|false", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    transpose: Option<bool>,
    /// Hold out this share for validation
    ///
    /// It is taken from the training samples if there is no validation set.
    #[arg(long, value_name = "SHARE")]
    val_split: Option<f32>,
    /// Random seed of --val-split
    #[arg(long, default_value_t = 0, value_name = "N")]
    seed: u64,
    /// Resize the shorter side of images
    ///
    /// pack keeps whole images, stats uses the centre square. [default: 256 for image files, else unchanged]
    #[arg(long, value_name = "PIXELS", value_parser = clap::value_parser!(u32).range(1..=MAX_SIDE as i64))]
    size: Option<u32>,
    /// Ignore the EXIF orientation of images
    ///
    /// torchvision ignores it; by default images are rotated upright.
    #[arg(long)]
    ignore_exif: bool,
    /// Convert images to 3 (RGB) or 1 (grey)
    ///
    /// [default: 3 for image files, else unchanged]
    #[arg(long, value_name = "N", value_parser = channels)]
    channels: Option<u32>,
}

/// The flags of commands that read all images.
#[derive(Args, Debug)]
struct PassArgs {
    /// Skip unreadable images, or fail at the first
    #[arg(long, default_value = "skip", value_name = "skip|fail", value_parser = super::source::on_bad_file)]
    on_bad_file: OnBadFile,
    /// Read images with N threads [default: all]
    #[arg(short = 'j', long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=256))]
    workers: Option<u16>,
}

fn channels(text: &str) -> Result<u32, String> {
    match text {
        "1" => Ok(1),
        "3" => Ok(3),
        _ => Err("expected 1 or 3".into()),
    }
}

impl SelectionArgs {
    /// Opens the data with images as squares of the requested size, and prints diagnostics.
    fn open(&self, context: &Context) -> Result<(Splits, Diagnostics)> {
        let (splits, notes) = self.read(context)?;
        let number = |given: Option<u32>| given.map(|n| n as usize);
        Ok((splits.resized(number(self.channels), number(self.size))?, notes))
    }

    /// Like [`SelectionArgs::open`], but with whole images.
    fn open_whole(&self, context: &Context) -> Result<(Splits, Diagnostics)> {
        let (splits, notes) = self.read(context)?;
        let number = |given: Option<u32>| given.map(|n| n as usize);
        Ok((splits.whole(number(self.channels), number(self.size))?, notes))
    }

    fn read(&self, context: &Context) -> Result<(Splits, Diagnostics)> {
        let (splits, notes) = data::open_with_diagnostics(&self.request())?;
        print_diagnostics(&notes, &context.out);
        Ok((splits, notes))
    }

    /// A request for the data alone: without a model, and without held-out samples unless requested.
    fn request(&self) -> Request {
        let size = self.size.unwrap_or(SIZE);
        Request {
            path: self.data.clone(),
            kind: self.dataset,
            val_split: Some(self.val_split.unwrap_or(0.0)),
            counts: None,
            limit_train: None,
            limit_val: None,
            seed: self.seed,
            ignore_exif: self.ignore_exif,
            image_shape: [self.channels.unwrap_or(CHANNELS), size, size].map(|n| n as usize),
            model: None,
            has_preprocess: false,
            input_range: self.input_range,
            presumed_range: None,
            image_column: self.image_column.clone(),
            label_column: self.label_column.clone(),
            image_root: self.image_root.clone(),
            transpose: self.transpose,
            transposed_run: None,
            for_training: false,
        }
    }
}

impl PassArgs {
    fn workers(&self) -> usize {
        self.workers.map_or(0, usize::from)
    }
}
