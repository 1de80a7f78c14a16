//! The samples that a verb uses, and remarks on them: by default those that the run of the weights held out, if it was on the
//! same data.

use super::output::Output;
use super::source::{SourceArgs, reported};
use crate::data::{self, Dataset, Division, Pool};
use crate::error::{Error, Result};
use crate::inference::{
    Lineage, PastRun, assumed_division, check_old_numbers, describe_division, overlap, remember,
    with_classes_of,
};
use crate::interchange::File;
use crate::model::Spec;
use clap::ValueEnum;
use serde_json::{Value, json};
use std::sync::Arc;

/// A part of a data set, as `--part` names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Part {
    /// The samples that validate
    Val,
    /// The samples that are trained on
    Train,
    /// All samples, training and validation
    All,
}

/// The samples to evaluate, and their origin.
#[derive(Clone, Debug)]
pub(crate) struct Samples {
    pub data: Arc<Dataset>,
    /// Number of each sample: within its part where the data has its own validation part, else within all.
    pub numbers: Vec<u32>,
    /// How many of them the weights were trained on, where that is known.
    pub trained_on: Option<usize>,
    division: Division,
    is_train: bool,
    /// Samples of the part before it was limited.
    whole: usize,
    /// The data of the newest run that the weights come from, and whether one of the runs was on this data.
    trained: Option<(String, bool)>,
}

impl SourceArgs {
    /// Opens the samples of `part` (by default the validation part) for the weights in `file`. Remarks for the user go to
    /// `out`.
    pub fn open_part(
        &self,
        spec: &Spec,
        file: Option<&File>,
        part: Option<Part>,
        seed: Option<u64>,
        out: &Output,
    ) -> Result<Samples> {
        self.provide_for(spec, file, out)?;
        let lineage = file.map(Lineage::of).transpose()?.unwrap_or_default();
        let noted = file.and_then(|file| file.metadata.get("seed")?.parse().ok());
        let source = self.options();
        let mut request = source.request(spec, seed.or(noted).unwrap_or(0), false)?;
        remember(&mut request, &lineage, out);
        let (mut trained, mut trained_on, mut lines, mut whole, mut own) = (None, None, Vec::new(), 0, 0);
        let opened = data::open_with(&request, &mut |pool| {
            let run = lineage.on(pool.data());
            if run.is_none() {
                source.expect_named(&lineage, pool.data(), out)?;
            }
            let base = run.map(|run| run.division(pool));
            let division = match (part, self.split, &base) {
                (Some(Part::All), _, _) => Division::All,
                (_, Some([train, val]), _) => Division::Counts { train, val },
                (_, None, Some(counts @ Division::Counts { .. })) if !source.divides() => counts.clone(),
                _ if pool.has_validation() => Division::Validation,
                _ => self.held_out(base.as_ref(), request.seed, seed, part, pool)?,
            };
            lines.extend(about(&lineage, run, &division, pool));
            trained = lineage.runs().first().map(|newest| (newest.name().to_string(), run.is_some()));
            trained_on = lineage.trained_on(pool);
            own = pool.training_len() as u32;
            let [first, second] = pool.divide(&division, [None, None])?;
            whole = if part == Some(Part::Train) { first.len() } else { second.len() };
            Ok(division)
        });
        let opened = opened.map_err(|error| source.unnamed(&lineage, error, out))?;
        let splits = reported(opened, out)?;
        if let Some(file) = file {
            check_old_numbers(file, &lineage, &splits, out)?;
        }
        let origin = splits.origin.clone().ok_or_else(|| Error::Internal("data without an origin".into()))?;
        let division = origin.provenance.division.clone();
        source.note_unused(&division, out);
        let is_train = part == Some(Part::Train) && division != Division::All;
        let [first, second] = &origin.numbers;
        let all: &[u32] = if is_train { first } else { second };
        let trained_on = trained_on.map(|trained: Vec<u32>| overlap(&trained, all));
        let start = if division == Division::Validation && !is_train { own } else { 0 };
        let splits = match file {
            Some(file) => with_classes_of(file, splits, out)?,
            None => splits,
        };
        let data = Arc::clone(if is_train { &splits.train } else { &splits.val });
        if let Some(n) = trained_on.filter(|&n| n > 0 && part != Some(Part::Train)) {
            lines.push(format!("warning: {n} of {} evaluated samples were trained on", data.len()));
        }
        lines.iter().for_each(|line| out.note(line));
        let numbers = all.iter().map(|number| number - start).collect();
        Ok(Samples { data, numbers, trained_on, division, is_train, whole, trained })
    }

    /// The division of data that has no validation part.
    fn held_out(
        &self,
        base: Option<&Division>,
        known: u64,
        seed: Option<u64>,
        part: Option<Part>,
        pool: &Pool<'_>,
    ) -> Result<Division> {
        let (share, drawn, version) = match base {
            Some(&Division::HeldOut { share, seed, version }) => (Some(share), seed, version),
            _ => (None, known, Division::VERSION),
        };
        match self.val_split.or(share) {
            Some(0.0) => Ok(Division::All),
            Some(share) => Ok(Division::HeldOut { share, seed: seed.unwrap_or(drawn), version }),
            None if base.is_none() && part.is_some_and(|part| part != Part::All) => {
                let name = &pool.data().name;
                let what = "has no validation part, and the weights do not record one; --val-split draws one";
                Err(Error::Usage(format!("--part: {name} {what}")))
            }
            None => Ok(base.cloned().unwrap_or(Division::All)),
        }
    }
}

/// Remarks on weights that are evaluated on the data of `pool`.
fn about(lineage: &Lineage, run: Option<&PastRun>, division: &Division, pool: &Pool<'_>) -> Vec<String> {
    let data = pool.data();
    let mut lines = Vec::new();
    match (run, lineage.runs().first()) {
        (Some(run), _) if matches!(division, Division::HeldOut { .. }) => lines.extend(assumed_division(run)),
        (None, Some(newest)) if newest.validated_on(data) => {}
        (None, Some(newest)) if newest.name() == data.name => lines.push(format!(
            "warning: the weights were trained on other samples of the name {}; some of those evaluated may be among them",
            data.name
        )),
        (None, Some(newest)) => lines.push(format!(
            "warning: the weights were trained on {}, and are evaluated on {}",
            newest.name(),
            data.name
        )),
        _ => {}
    }
    lines
}

impl Samples {
    /// Which part of what, after "on".
    pub fn text(&self) -> String {
        let (name, count) = (&self.data.name, self.data.len());
        let of = if count < self.whole {
            format!("{count} of the {}", self.whole)
        } else {
            format!("the {count}")
        };
        match (&self.division, self.is_train) {
            (_, true) => format!("{of} training samples of {name}"),
            (Division::All, _) if count < self.whole => format!("{of} samples of {name}"),
            (Division::All, _) => format!("all {count} samples of {name}"),
            (Division::Validation, _) if count < self.whole => format!("{of} validation samples of {name}"),
            (Division::Validation, _) => format!("the validation set ({count}) of {name}"),
            (division, _) => format!("{of} validation samples ({}) of {name}", describe_division(division)),
        }
    }

    /// How many samples were read, where that is not all of them.
    pub fn readable(&self, rows: u64) -> String {
        if rows as usize == self.data.len() {
            String::new()
        } else {
            format!(", {rows} of which can be read")
        }
    }

    /// Adds the same to a JSON object.
    pub fn add_to(&self, object: &mut Value) {
        let part = match (&self.division, self.is_train) {
            (_, true) => "train",
            (Division::All, _) => "all",
            (Division::Validation, _) => "validation",
            (Division::HeldOut { .. } | Division::Counts { .. }, _) => "held-out",
        };
        object["part"] = part.into();
        let (share, seed) = match self.division {
            Division::HeldOut { share, seed, .. } => {
                (json!(share.to_string().parse::<f64>().ok()), json!(seed))
            }
            _ => (Value::Null, Value::Null),
        };
        object["share"] = share;
        object["seed"] = seed;
        object["trained_on"] = self.trained_on.into();
        object["trained_data"] = self.trained.as_ref().map(|(name, _)| name.clone()).into();
        object["same_data"] = self.trained.as_ref().map(|(_, is_same)| *is_same).into();
    }
}
