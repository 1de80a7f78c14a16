//! `striate dataset stats`: reads every image and prints the statistics that a model file needs.

use super::info::print_classes;
use super::progress::ScanProgress;
use super::{PassArgs, SelectionArgs};
use crate::cli::Context;
use crate::cli::source::add_notes;
use crate::data::{Copies, Statistics, Survey, survey};
use crate::error::Result;
use clap::Args;
use serde_json::{Value, json};

#[derive(Args, Debug)]
#[command(
    after_help = "Examples:\n  striate dataset stats\n  striate dataset stats photos --size 224 --json"
)]
pub(super) struct StatsArgs {
    #[command(flatten)]
    data: SelectionArgs,
    #[command(flatten)]
    pass: PassArgs,
}

pub(super) fn run(args: &StatsArgs, context: &Context) -> Result<u8> {
    let (splits, notes) = args.data.open(context)?;
    let mut pass = ScanProgress::new(context.out, args.pass.on_bad_file)?;
    let result = survey(&splits, args.pass.workers(), &mut pass);
    let found = match pass.end(result) {
        Ok(found) => found,
        Err(ended) => return ended,
    };
    let train = &splits.train;
    if context.out.is_json() {
        let mut object = to_json(&train.name, &train.class_names, &found, &pass.bad.named());
        add_notes(&mut object, &notes);
        context.out.json(&object)?;
        return Ok(0);
    }
    let [train_count, val_count] = found.counts();
    let [c, h, w] = train.shape;
    context.out.line(&format!(
        "# {}: {train_count} training and {val_count} validation images of {c}x{h}x{w}",
        train.name
    ))?;
    for line in lines(&found.statistics) {
        context.out.line(&line)?;
    }
    context.out.line("")?;
    print_classes(context, &train.class_names, &found.classes)?;
    context.out.line("")?;
    context.out.line(&format!("unreadable: {}", found.unreadable))?;
    print_copies(context, "duplicates in the training part", &found.repeated)?;
    print_copies(context, "in both parts", &found.leaked)?;
    Ok(0)
}

/// The table `[preprocess]` for a model file.
fn lines(statistics: &Statistics) -> Vec<String> {
    let list = |values: &[f64]| {
        let values: Vec<_> = values.iter().map(|value| format!("{value:.6}")).collect();
        format!("[{}]", values.join(", "))
    };
    let mut lines = vec![
        "[preprocess]".to_string(),
        format!("scale = {}                # pixels to 0..1", 1.0 / 255.0),
        format!("mean = {}", list(&statistics.mean)),
        format!("std = {}", list(&statistics.std)),
    ];
    if let Some(pca) = &statistics.pca {
        let rows = pca.vectors.map(|row| list(&row));
        lines.push(format!("pca_eigenvalues = {}", list(&pca.values)));
        lines.push(format!("pca_eigenvectors = [{}]", rows.join(", ")));
    }
    lines
}

fn print_copies(context: &Context, what: &str, copies: &Copies) -> Result<()> {
    let differ = match copies.of_another_class {
        0 => String::new(),
        count => format!(", {count} of them with different classes"),
    };
    context.out.line(&format!("{what}: {}{differ}", copies.count))?;
    for pair in &copies.pairs {
        context.out.line(&format!("  {} = {}", pair.image, pair.equals))?;
    }
    if copies.count > copies.pairs.len() {
        context.out.line(&format!("  and {} more", copies.count - copies.pairs.len()))?;
    }
    Ok(())
}

fn to_json(name: &str, class_names: &[String], found: &Survey, bad: &[String]) -> Value {
    let [train, val] = found.counts();
    let classes: Vec<_> = found
        .classes
        .iter()
        .zip(class_names)
        .map(|([train, val], name)| json!({"name": name, "train": train, "val": val}))
        .collect();
    let copies = |copies: &Copies| {
        let pairs: Vec<_> = copies.pairs.iter().map(|pair| [&pair.image, &pair.equals]).collect();
        json!({"count": copies.count, "of_another_class": copies.of_another_class, "first": pairs})
    };
    json!({
        "event": "dataset-stats",
        "name": name,
        "train": train,
        "val": val,
        "mean": found.statistics.mean,
        "std": found.statistics.std,
        "pca_eigenvalues": found.statistics.pca.map(|pca| pca.values),
        "pca_eigenvectors": found.statistics.pca.map(|pca| pca.vectors),
        "classes": classes,
        "unreadable": found.unreadable,
        "unreadable_first": bad,
        "repeated_in_train": copies(&found.repeated),
        "val_in_train": copies(&found.leaked),
    })
}
