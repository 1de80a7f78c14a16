//! Several runs on one page: results, curves over each other, what differs, and the details of each.

use super::RunReport;
use super::overview::{duration, number, plain};
use crate::error::Result;
use crate::report::{Block, LineChart, Page, Rgb, Section, line_charts};
use std::collections::{BTreeMap, BTreeSet};

/// A page of `runs`, with at most `most` mistakes of each; with `None`, without the details of each.
pub(super) fn page(runs: &[RunReport], most: Option<usize>) -> Result<Page> {
    let names = names(runs);
    let mut sections = vec![results(runs, &names), curves(runs, &names)?, differences(runs, &names)];
    for (run, name) in runs.iter().zip(&names) {
        let mut blocks = Vec::new();
        if !run.missing.is_empty() {
            blocks.push(Block::List(run.missing.clone()));
        }
        let mut parts = Vec::new();
        match most {
            Some(most) => parts.extend(run.details(most)?),
            None => blocks.push(Block::Text("Its details are left out here, as the page would become too large; a report of this run alone has them.".into())),
        }
        parts.extend([run.layers(), run.repetition()]);
        for Section { heading, blocks: inner } in parts {
            blocks.push(Block::Folded { summary: heading, blocks: inner });
        }
        sections.push(Section { heading: name.clone(), blocks });
    }
    let subtitle = format!("Reported by Striate {}", env!("CARGO_PKG_VERSION"));
    Ok(Page { title: format!("{} runs", runs.len()), subtitle, sections })
}

/// A different name for each run: that of its folder, or its whole path.
fn names(runs: &[RunReport]) -> Vec<String> {
    let short: Vec<String> = runs.iter().map(|run| run.record.name()).collect();
    let is_unique = short.iter().collect::<BTreeSet<_>>().len() == short.len();
    match is_unique {
        true => short,
        false => runs.iter().map(|run| run.record.folder.to_string_lossy().into_owned()).collect(),
    }
}

fn results(runs: &[RunReport], names: &[String]) -> Section {
    let head = [
        "run",
        "network",
        "data",
        "best result",
        "best epoch",
        "validation loss",
        "epochs",
        "training time",
        "images/s",
    ];
    let row = |(run, name): (&RunReport, &String)| {
        let best = run.record.best();
        let text = |value: Option<f64>| value.map_or("-".to_string(), number);
        let result = best
            .and_then(|best| run.result(best))
            .map_or("-".into(), |[name, value]| format!("{name} {value}"));
        let speed = run.record.epochs.last().and_then(|epoch| epoch.images_per_second);
        vec![
            name.clone(),
            run.model(),
            run.data_name(),
            result,
            best.map_or("-".into(), |best| best.epoch.saturating_add(1).to_string()),
            text(best.and_then(|best| best.val_loss)),
            run.record.epochs.len().to_string(),
            duration(run.seconds()),
            speed.map_or("-".into(), |speed| format!("{speed:.0}")),
        ]
    };
    let rows = runs.iter().zip(names).map(row).collect();
    let table = Block::Table { head: head.map(String::from).to_vec(), rows };
    Section { heading: "Results".into(), blocks: vec![table] }
}

fn curves(runs: &[RunReport], names: &[String]) -> Result<Section> {
    let [mut losses, mut accuracies, mut errors, mut rates] = [const { Vec::new() }; 4];
    for (number, run) in runs.iter().enumerate() {
        let [loss, result, rate] = run.compared(number);
        losses.extend(loss);
        if run.record.has_hits() { &mut accuracies } else { &mut errors }.extend(result);
        rates.extend(rate);
    }
    let titles = ["Validation loss (pale: training loss)", "Top-1 in %", "RMSE", "Learning rate"];
    let charts: Vec<LineChart> = titles
        .into_iter()
        .zip([losses, accuracies, errors, rates])
        .map(|(title, curves)| LineChart { title: title.into(), x: "epoch".into(), curves })
        .collect();
    let legend = names.iter().enumerate().map(|(number, name)| (Rgb::of_run(number), name.clone())).collect();
    let svg = line_charts(&charts)?;
    let drawn = if svg.is_empty() { Block::Text("No epoch is done yet.".into()) } else { Block::Svg(svg) };
    Ok(Section { heading: "Learning curves".into(), blocks: vec![Block::Legend(legend), drawn] })
}

/// The options that are not the same in all runs.
fn differences(runs: &[RunReport], names: &[String]) -> Section {
    let tables: Vec<BTreeMap<String, String>> = runs.iter().map(options).collect();
    let keys: BTreeSet<&String> = tables.iter().flat_map(BTreeMap::keys).collect();
    let value =
        |table: &BTreeMap<String, String>, key: &String| table.get(key).map_or("-".into(), String::clone);
    let differs = |key: &&String| tables.iter().any(|table| table.get(*key) != tables[0].get(*key));
    let row = |key: &String| {
        std::iter::once(key.clone()).chain(tables.iter().map(|table| value(table, key))).collect()
    };
    let rows: Vec<Vec<String>> = keys.into_iter().filter(differs).map(row).collect();
    let head = std::iter::once("option".to_string()).chain(names.iter().cloned()).collect();
    let block = match rows.is_empty() {
        true => Block::Text("The options of the runs are the same.".into()),
        false => Block::Table { head, rows },
    };
    Section { heading: "What differs".into(), blocks: vec![block] }
}

/// The options of a run with their names: its recipe as it was used, and what else `args.toml` holds.
fn options(run: &RunReport) -> BTreeMap<String, String> {
    let mut all = BTreeMap::new();
    for (key, value) in &run.record.args {
        flatten(key, value, &mut all);
    }
    // The recipe above holds these changes to it; and which files a run leaves where is no option of training.
    all.retain(|key, _| {
        let is_place = ["options.output_dir", "options.name", "options.report"].contains(&key.as_str());
        !is_place && !key.starts_with("options.recipe.")
    });
    let short = |key: String| {
        ["options.", "recipe."].iter().find_map(|start| key.strip_prefix(start)).unwrap_or(&key).to_string()
    };
    all.into_iter().map(|(key, value)| (short(key), value)).collect()
}

fn flatten(name: &str, value: &toml::Value, all: &mut BTreeMap<String, String>) {
    match value {
        toml::Value::Table(table) => {
            table.iter().for_each(|(key, value)| flatten(&format!("{name}.{key}"), value, all));
        }
        value => drop(all.insert(name.to_string(), plain(value))),
    }
}
