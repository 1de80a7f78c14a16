//! `striate dataset`: what a data set holds (`info`), what its pixels are like (`stats`), one file of it (`pack`), and
//! sets with a public address (`fetch`).

mod archive;
mod fetch;
mod info;
mod pack;
mod provide;
mod sources;
mod stats;
mod watch;

use super::Context;
use super::source::tell;
use crate::data::{self, Diagnostics, InputRange, Kind, OnBadFile, Request, Splits};
use crate::error::Result;
use crate::view::MAX_SIDE;
use clap::{Args, Subcommand};
pub(super) use provide::provide;

#[derive(Args, Debug)]
#[command(after_help = "Examples:\n  striate dataset info fashion-mnist\n  striate dataset stats photos\n  \
                  striate dataset pack photos -o photos.safetensors --size 256\n  striate dataset fetch cifar10")]
pub(crate) struct DatasetArgs {
    #[command(subcommand)]
    what: What,
}

#[derive(Subcommand, Debug)]
enum What {
    /// Format, sizes and classes
    Info(info::InfoArgs),
    /// Mean, deviation and principal colours of the pixels; pictures that are there twice or cannot be read
    Stats(stats::StatsArgs),
    /// Write a data set of pictures to one file
    Pack(pack::PackArgs),
    /// Download a data set with a public address
    Fetch(fetch::FetchArgs),
}

pub(super) fn run(args: &DatasetArgs, context: &Context) -> Result<u8> {
    match &args.what {
        What::Info(args) => info::run(args, context),
        What::Stats(args) => stats::run(args, context),
        What::Pack(args) => pack::run(args, context),
        What::Fetch(args) => fetch::run(args, context),
    }
}

/// What picture files are brought to where nothing is said: colours, and squares of this side.
const CHANNELS: u32 = 3;
const SIZE: u32 = 256;

/// Which data set.
#[derive(Args, Debug)]
struct DataArgs {
    /// A folder, a file, or the name of a built-in set [default: the set that ships]
    #[arg(value_name = "NAME|DIR|FILE")]
    data: Option<String>,
    /// auto, image-folder, idx, cifar10, cifar100, packed, tensors, csv or synthetic
    #[arg(long, default_value = "auto", value_name = "KIND", value_parser = super::source::kind)]
    dataset: Kind,
    /// What the numbers of a table or of f32 tensors are: 0..255 (pixels), 0..1 (pixels divided by 255) or ready (network
    /// input). The first two make pixels of them
    #[arg(long, value_name = "0..255|0..1|ready", value_parser = super::source::input_range)]
    input_range: Option<InputRange>,
    /// Take the labels of a table from this column: its name in the header, or its number from 1 [default: the column called
    /// label, class, target, y or the like, else the last]
    #[arg(long, value_name = "NAME|NUMBER")]
    label_column: Option<String>,
    /// Keep this share of the training samples for validation, where there is no validation set
    #[arg(long, value_name = "SHARE")]
    val_split: Option<f32>,
    /// Seed of the choice that --val-split makes
    #[arg(long, default_value_t = 0, value_name = "N")]
    seed: u64,
    /// Length that the shorter side of pictures is resized to; pack keeps them whole, stats looks at the middle square
    /// [default: 256 for picture files, else as they are]
    #[arg(long, value_name = "PIXELS", value_parser = clap::value_parser!(u32).range(1..=MAX_SIDE as i64))]
    size: Option<u32>,
    /// Leave picture files as they are stored, as torchvision does; otherwise the orientation in their EXIF metadata turns
    /// them upright
    #[arg(long)]
    ignore_exif: bool,
    /// Channels that pictures are brought to: 3 (RGB) or 1 (grey) [default: 3 for picture files, else as they are]
    #[arg(long, value_name = "N", value_parser = channels)]
    channels: Option<u32>,
}

/// How all pictures of a data set are read.
#[derive(Args, Debug)]
struct PassArgs {
    /// What becomes of pictures that cannot be read
    #[arg(long, default_value = "skip", value_name = "skip|fail", value_parser = super::source::on_bad_file)]
    on_bad_file: OnBadFile,
    /// Threads that read pictures [default: all]
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

impl DataArgs {
    /// Opens the data, its pictures as squares of the size that was asked for, and tells what was found out about it.
    fn open(&self, context: &Context) -> Result<(Splits, Diagnostics)> {
        let (splits, notes) = self.read(context)?;
        let number = |given: Option<u32>| given.map(|n| n as usize);
        Ok((splits.resized(number(self.channels), number(self.size))?, notes))
    }

    /// As [`DataArgs::open`], but the pictures are whole.
    fn open_whole(&self, context: &Context) -> Result<(Splits, Diagnostics)> {
        let (splits, notes) = self.read(context)?;
        let number = |given: Option<u32>| given.map(|n| n as usize);
        Ok((splits.whole(number(self.channels), number(self.size))?, notes))
    }

    fn read(&self, context: &Context) -> Result<(Splits, Diagnostics)> {
        let (splits, notes) = data::open_with_diagnostics(&self.request())?;
        tell(&notes, &context.out);
        Ok((splits, notes))
    }

    /// The data for its own sake: no model, and nothing held back unless it is asked for.
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
            label_column: self.label_column.clone(),
            for_training: false,
        }
    }
}

impl PassArgs {
    fn workers(&self) -> usize {
        self.workers.map_or(0, usize::from)
    }
}
