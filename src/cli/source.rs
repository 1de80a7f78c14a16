//! The flags that say where data comes from, shared by every verb that reads some.

use super::output::Output;
use super::outputs::Outputs;
use crate::data::{self, Dataset, Kind, OnBadFile, Request, Splits};
use crate::error::{Error, Result};
use crate::interchange::{self, File};
use crate::model::Spec;
use crate::train;
use crate::view::Rules;
use clap::Args;
use std::path::Path;
use std::str::FromStr;

#[derive(Args, Debug)]
#[command(next_help_heading = "Data")]
pub(crate) struct SourceArgs {
    /// A folder, a file, or the name of a built-in set [default: the recipe's, else the set that ships]
    #[arg(long, value_name = "NAME|DIR|FILE")]
    pub data_path: Option<String>,
    /// auto, image-folder, idx, cifar10, cifar100, packed, tensors, csv or synthetic
    #[arg(long, default_value = "auto", value_name = "KIND", value_parser = kind)]
    pub dataset: Kind,
    /// Keep this share of the training samples for validation, where there is no validation set
    #[arg(long, value_name = "SHARE", allow_negative_numbers = true)]
    pub val_split: Option<f32>,
    /// Train on the first TRAIN samples and validate on the VAL next, of training and validation files together
    #[arg(long, value_name = "TRAIN/VAL", value_parser = counts, conflicts_with = "val_split")]
    pub split: Option<[usize; 2]>,
    /// Use only N training samples: the first, or spread evenly where pictures are read from files
    #[arg(long, value_name = "N")]
    pub limit_train: Option<usize>,
    /// Use only N validation samples, in the same way
    #[arg(long, value_name = "N")]
    pub limit_val: Option<usize>,
    /// Threads that prepare batches [default: up to 4]
    #[arg(short = 'j', long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=256))]
    pub workers: Option<u16>,
    /// Leave pictures as they are stored, as torchvision does; otherwise the orientation in their EXIF metadata turns them
    /// upright
    #[arg(long)]
    pub ignore_exif: bool,
    /// skip leaves samples that cannot be read out and names them once; fail ends with the first
    #[arg(long, default_value = "skip", value_name = "skip|fail", value_parser = on_bad_file)]
    pub on_bad_file: OnBadFile,
}

pub(crate) fn on_bad_file(text: &str) -> std::result::Result<OnBadFile, String> {
    OnBadFile::from_str(text).map_err(|e| e.to_string())
}

fn counts(text: &str) -> std::result::Result<[usize; 2], String> {
    let number = |text: &str| text.trim().parse::<usize>().ok().filter(|&n| n > 0);
    text.split_once('/')
        .and_then(|(train, val)| Some([number(train)?, number(val)?]))
        .ok_or_else(|| "expected two numbers of samples, such as 30000/30000".into())
}

pub(crate) fn kind(text: &str) -> std::result::Result<Kind, String> {
    Kind::from_str(text).map_err(|e| e.to_string())
}

impl SourceArgs {
    /// Opens the data that `spec` is to see.
    pub fn open(&self, spec: &Spec, seed: u64) -> Result<Splits> {
        self.open_for(spec, seed, false)
    }

    /// As [`SourceArgs::open`]; with `follow_classes` there may be more named classes than the network has outputs.
    pub fn open_for(&self, spec: &Spec, seed: u64, follow_classes: bool) -> Result<Splits> {
        data::open(&Request {
            path: self.place(spec).map(String::from),
            kind: self.dataset,
            val_split: self.val_split,
            counts: self.split,
            limit_train: self.limit_train,
            limit_val: self.limit_val,
            seed,
            picture: train::picture(spec),
            ignore_exif: self.ignore_exif || spec.geometry.ignore_exif,
            wanted: Some(train::wanted(spec, follow_classes)?),
        })
    }

    fn place<'a>(&'a self, spec: &'a Spec) -> Option<&'a str> {
        self.data_path.as_deref().or(spec.recipe.data.as_deref())
    }

    /// What a verb reads that is given a network, weights and the data for them.
    pub fn read_by(&self, model: Option<&str>, weights: Option<&Path>, spec: &Spec) -> Outputs {
        Outputs::new().reads(model).reads(weights).reads_data(self.place(spec), self.dataset)
    }

    /// Loader threads.
    pub fn workers(&self) -> usize {
        workers(self.workers)
    }

    /// The flags that lead another verb to the same data, with a space before each.
    pub fn flags(&self) -> String {
        let mut flags = String::new();
        if let Some(path) = &self.data_path {
            flags.push_str(&format!(" --data-path {}", quoted(path)));
        }
        if self.dataset != Kind::Auto {
            flags.push_str(&format!(" --dataset {}", self.dataset));
        }
        if let Some(share) = self.val_split {
            flags.push_str(&format!(" --val-split {share}"));
        }
        if let Some([train, val]) = self.split {
            flags.push_str(&format!(" --split {train}/{val}"));
        }
        if self.ignore_exif {
            flags.push_str(" --ignore-exif");
        }
        if let Some(count) = self.limit_val {
            flags.push_str(&format!(" --limit-val {count}"));
        }
        flags
    }
}

/// The weights that a verb is given, and the network `model` (a name or a model file), else the one that the weights carry.
pub(crate) fn network(weights: Option<&Path>, model: Option<&str>) -> Result<(Option<File>, Spec)> {
    let file = weights.map(interchange::read).transpose()?;
    let spec = match (&file, model) {
        (Some(file), model) => train::spec_of(file, model)?,
        (None, Some(name)) => Spec::load(name)?,
        (None, None) => return Err(Error::Usage("expected --weights or --model, found neither".into())),
    };
    Ok((file, spec))
}

/// A note where pictures of any size are looked at by rules that no longer hold.
pub(crate) fn note_old_rules(spec: &Spec, data: &Dataset, out: &Output) {
    if spec.geometry.rules == Rules::Covered && data.has_sizes() {
        out.note("the weights are from before geometry 2: pictures are resized and cut as they were then");
    }
}

/// Loader threads, where `flag` asks for so many.
pub(crate) fn workers(flag: Option<u16>) -> usize {
    flag.map_or_else(|| std::thread::available_parallelism().map_or(1, |n| n.get().min(4)), usize::from)
}

/// `text` so that a shell takes it as one word.
pub(crate) fn quoted(text: &str) -> String {
    let plain = |c: char| c.is_alphanumeric() || "/._-+=:@%,".contains(c);
    if !text.is_empty() && text.chars().all(plain) {
        text.to_string()
    } else {
        format!("'{}'", text.replace('\'', r"'\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::quoted;

    #[test]
    fn a_command_to_type_survives_a_shell() {
        assert_eq!(quoted("runs/x-2/best.safetensors"), "runs/x-2/best.safetensors");
        assert_eq!(quoted("my data"), "'my data'");
        assert_eq!(quoted("it's"), r"'it'\''s'");
    }
}
