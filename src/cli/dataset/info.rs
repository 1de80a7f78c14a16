//! `striate dataset info`: the content of a data set, without reading its pixels.

use super::SelectionArgs;
use crate::cli::Context;
use crate::cli::output::bytes;
use crate::cli::source::add_notes;
use crate::data::{self, Dataset, Images, Labels};
use crate::error::{Error, Result, printable_path};
use clap::Args;
use serde_json::json;
use std::path::Path;
use std::sync::Arc;

#[derive(Args, Debug)]
#[command(after_help = "Examples:\n  striate dataset info\n  striate dataset info photos --json")]
pub(super) struct InfoArgs {
    #[command(flatten)]
    data: SelectionArgs,
}

pub(super) fn run(args: &InfoArgs, context: &Context) -> Result<u8> {
    let place = data::find(args.data.data.as_deref(), args.data.dataset)?;
    let (splits, notes) = args.data.open(context)?;
    let train = &splits.train;
    let val = (!Arc::ptr_eq(train, &splits.val)).then_some(splits.val.as_ref());
    let counts: Vec<[usize; 2]> = {
        let (train, val) = (class_counts(train), val.map(class_counts).unwrap_or_default());
        (0..splits.train.classes).map(|class| [train[class], val.get(class).copied().unwrap_or(0)]).collect()
    };
    let held = val.map_or(0, Dataset::len);
    let shards = match &train.images {
        Images::Stored(stored) => stored.store.shards(),
        _ => &[],
    };
    // Of a folder, the shards may be a part.
    let size = match shards {
        [] => size_of(&place.path)?,
        _ => shards.iter().map(|shard| size_of(shard)).sum::<Result<Option<u64>>>()?,
    };
    let ignored = match &train.images {
        Images::Stored(stored) => stored.store.ignored(),
        _ => 0,
    };
    let values = match &train.images {
        Images::F32(_) => "numbers",
        Images::Levels(_) => "levels of 0 to 255",
        Images::U8(_) => "pixels",
        Images::Stored(_) if train.has_sizes() => "pixels, once resized; images are read on demand",
        Images::Stored(_) => "pixels, read on demand",
    };
    if context.out.is_json() {
        let classes: Vec<_> = counts
            .iter()
            .zip(&train.class_names)
            .map(|([train, val], name)| json!({"name": name, "train": train, "val": val}))
            .collect();
        let mut object = json!({
            "event": "dataset-info",
            "name": train.name,
            "kind": place.kind.to_string(),
            "path": place.path.to_string_lossy(),
            "bytes": size,
            "shape": train.shape,
            "pixels": train.has_pixels(),
            "train": train.len(),
            "val": held,
            "ignored": ignored,
            "classes": classes,
        });
        add_notes(&mut object, &notes);
        context.out.json(&object)?;
        return Ok(0);
    }
    let [c, h, w] = train.shape;
    let on_disk = size.map_or(String::new(), |size| format!(", {}", bytes(size)));
    context.out.line(&format!("{}: {}, {}{on_disk}", train.name, place.kind, printable_path(&place.path)))?;
    context.out.line(&format!("samples of {c}x{h}x{w} {values}"))?;
    let parts = match held {
        0 => " samples, no validation part (train holds out a tenth of them, see --val-split)".to_string(),
        held => format!(" for training, {held} for validation"),
    };
    context.out.line(&format!("{}{parts}", train.len()))?;
    if ignored > 0 {
        let files = if ignored == 1 { "file" } else { "files" };
        context.out.line(&format!("{ignored} other {files} ignored (not image files by name)"))?;
    }
    if let Labels::Values { width, .. } = &train.labels {
        let values = if *width == 1 { "value" } else { "values" };
        return context.out.line(&format!("labels of {width} {values}")).map(|()| 0);
    }
    print_classes(context, &train.class_names, &counts)?;
    Ok(0)
}

/// Prints a table of classes with their numbers of training and validation samples.
pub(super) fn print_classes(context: &Context, names: &[String], counts: &[[usize; 2]]) -> Result<()> {
    let width = names.iter().map(|name| name.chars().count()).max().unwrap_or(0).clamp(5, 40);
    context.out.line(&format!("{:<width$} {:>9} {:>9}", "class", "train", "val"))?;
    for (name, [train, val]) in names.iter().zip(counts) {
        let name: String = name.chars().take(width).collect();
        context.out.line(&format!("{name:<width$} {train:>9} {val:>9}"))?;
    }
    Ok(())
}

fn class_counts(dataset: &Dataset) -> Vec<usize> {
    let mut counts = vec![0; dataset.classes];
    if let Labels::Classes(labels) = &dataset.labels {
        for &label in labels {
            if let Some(count) = counts.get_mut(label as usize) {
                *count += 1;
            }
        }
    }
    counts
}

/// Bytes of a file, or of all files below a folder (links are not followed); `None` for data without a path.
fn size_of(path: &Path) -> Result<Option<u64>> {
    if path.as_os_str().is_empty() {
        return Ok(None);
    }
    // The path itself may be a link.
    let metadata = path.metadata().map_err(|error| Error::io(path, error))?;
    if !metadata.is_dir() {
        return Ok(Some(metadata.len()));
    }
    let (mut total, mut folders) = (0, vec![path.to_path_buf()]);
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).map_err(|error| Error::io(&folder, error))? {
            let entry = entry.map_err(|error| Error::io(&folder, error))?;
            let metadata = entry.metadata().map_err(|error| Error::io(entry.path(), error))?;
            if metadata.is_dir() {
                folders.push(entry.path());
            } else if metadata.is_file() {
                total += metadata.len();
            }
        }
    }
    Ok(Some(total))
}
