//! The data of a run, for the verbs that are given its weights.

use super::output::Output;
use super::source::{SourceArgs, flags_of};
use crate::error::printable_path;
use crate::run::RunOptions;
use std::path::Path;

/// The flags in `source`, with the data of the run in whose folder `weights` lie, or which they are, where no flag names data.
pub(super) fn of_run(source: &SourceArgs, weights: Option<&Path>, out: &Output) -> SourceArgs {
    let mut source = source.clone();
    let Some(weights) = weights.filter(|_| !source.is_requested()) else { return source };
    let folder = if weights.is_dir() { weights } else { weights.parent().unwrap_or(Path::new("")) };
    let folder = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
    match RunOptions::of_folder(folder) {
        Ok(Some(RunOptions { data, .. })) if data.is_named() => {
            out.note(&format!(
                "data:{} as in {}",
                flags_of(&data),
                printable_path(&folder.join("args.toml"))
            ));
            source.data_path = data.path;
            source.dataset = data.kind;
            source.input_range = source.input_range.or(data.input_range);
            source.image_column = data.image_column;
            source.label_column = data.label_column;
            source.image_root = data.image_root;
            source.transpose = data.transpose;
            source.ignore_exif |= data.ignore_exif;
        }
        Ok(_) => {}
        // The weights are what was asked for; without this file the data has to be named.
        Err(error) => out.note(&format!("warning: {error}")),
    }
    source
}
