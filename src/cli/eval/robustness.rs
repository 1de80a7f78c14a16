//! `striate eval --robustness`: a table of accuracies by corruption and level, on stdout and in files.

use super::super::output::Output;
use super::super::samples::Samples;
use super::report::{add_totals, finite};
use crate::atomic;
use crate::error::Result;
use crate::inference::{Outcome, Totals};
use crate::model::Spec;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};

/// An output file, with the format of its extension.
#[derive(Clone, Debug)]
pub(crate) enum RobustnessTable {
    Csv(PathBuf),
    Json(PathBuf),
}

impl RobustnessTable {
    pub fn path(&self) -> &Path {
        let (RobustnessTable::Csv(path) | RobustnessTable::Json(path)) = self;
        path
    }
}

/// Parses the value of --robustness.
pub(super) fn table(text: &str) -> std::result::Result<RobustnessTable, String> {
    let path = PathBuf::from(text);
    match path.extension().and_then(|extension| extension.to_str()) {
        Some("csv") => Ok(RobustnessTable::Csv(path)),
        Some("json") => Ok(RobustnessTable::Json(path)),
        _ => Err("expected a file name ending in .csv or .json".into()),
    }
}

/// Prints the heading of the table on stdout.
pub(super) fn head(spec: &Spec, part: &Samples, rows: u64, out: &Output) -> Result<()> {
    if out.is_json() {
        return Ok(());
    }
    out.line(&format!("{} on {}{}", spec.name, part.text(), part.readable(rows)))?;
    out.line("corruption  level                    loss  top-1 %  top-5 %")
}

/// Prints one line of the table.
pub(super) fn line(outcome: &Outcome, out: &Output) -> Result<()> {
    if out.is_json() {
        return Ok(());
    }
    let Outcome { corruption, level, totals } = outcome;
    let (loss, acc1, acc5) = (totals.loss(), totals.acc1(), totals.acc5());
    let level = format!("{level} {}", corruption.unit());
    out.line(&format!("{:<10}  {level:<17}  {loss:>10.4}  {acc1:>7.2}  {acc5:>7.2}", corruption.name()))
}

/// Writes the files, and JSON to stdout if requested.
pub(super) fn finish(
    tables: &[RobustnessTable],
    outcomes: &[Outcome],
    spec: &Spec,
    part: &Samples,
    out: &Output,
) -> Result<()> {
    let object = object(outcomes, spec, part);
    for table in tables {
        match table {
            RobustnessTable::Csv(path) => write_csv(path, outcomes)?,
            RobustnessTable::Json(path) => atomic::write(path, |file| writeln!(file, "{object:#}"))?,
        }
    }
    if out.is_json() { out.json(&object) } else { Ok(()) }
}

fn object(outcomes: &[Outcome], spec: &Spec, part: &Samples) -> Value {
    let level = |outcome: &Outcome| {
        let mut row = json!({
            "corruption": outcome.corruption.name(),
            "level": outcome.level,
            "unit": outcome.corruption.unit(),
        });
        add_totals(&mut row, &outcome.totals);
        row
    };
    let mut object = json!({
        "event": "robustness",
        "model": spec.name,
        "data": part.data.name,
        "levels": outcomes.iter().map(level).collect::<Vec<Value>>(),
    });
    part.add_to(&mut object);
    object
}

fn write_csv(path: &Path, outcomes: &[Outcome]) -> Result<()> {
    atomic::write(path, |file| {
        let mut table = csv::Writer::from_writer(file);
        table.write_record([
            "corruption",
            "level",
            "unit",
            "samples",
            "loss",
            "acc1",
            "acc5",
            "error1",
            "error5",
        ])?;
        for Outcome { corruption, level, totals } in outcomes {
            let numbers = [Totals::loss, Totals::acc1, Totals::acc5, Totals::error1, Totals::error5];
            let numbers =
                numbers.map(|number| finite(number(totals)).map_or(String::new(), |n| n.to_string()));
            let row = [corruption.name().to_string(), level.to_string(), corruption.unit().to_string()];
            table.write_record(row.into_iter().chain([totals.rows().to_string()]).chain(numbers))?;
        }
        table.flush()
    })
}
