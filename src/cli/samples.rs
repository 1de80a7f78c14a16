//! Which samples a verb uses: those that the run of the weights held out, if it was on the same data, unless flags say
//! otherwise; and what to say about them.

use super::matching::with_classes_of;
use super::output::Output;
use super::remembered::{check_old_numbers, remember};
use super::source::{SourceArgs, told};
use crate::data::{self, Dataset, Division, Fingerprint, Labels, Pool, Request, Splits};
use crate::error::{Error, Result};
use crate::inference::{Lineage, Seen};
use crate::interchange::File;
use crate::model::Spec;
use crate::run::Checkpoint;
use clap::ValueEnum;
use serde_json::{Value, json};
use std::collections::BTreeSet;
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

/// What is to be evaluated, and what is known of it.
#[derive(Clone, Debug)]
pub(crate) struct Samples {
    pub data: Arc<Dataset>,
    /// Number of each sample: within its part where the data has a validation part of its own, else within all.
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
    /// Opens the samples that `part` names (by default those that validate) for the weights in `file`. Lines that the user
    /// should read go to `out`.
    pub fn open_part(
        &self,
        spec: &Spec,
        file: Option<&File>,
        part: Option<Part>,
        seed: Option<u64>,
        out: &Output,
    ) -> Result<Samples> {
        self.provide(spec, out)?;
        let lineage = file.map(Lineage::of).transpose()?.unwrap_or_default();
        let noted = file.and_then(|file| file.metadata.get("seed")?.parse().ok());
        let mut request = self.request(spec, seed.or(noted).unwrap_or(0), false)?;
        remember(&mut request, &lineage, out);
        let (mut trained, mut trained_on, mut lines, mut whole, mut own) = (None, None, Vec::new(), 0, 0);
        let opened = data::open_with(&request, &mut |pool| {
            let run = lineage.on(pool.data());
            if run.is_none() && !self.is_named() {
                self.expect_named(&lineage, pool.data())?;
            }
            let base = run.map(|run| run.division(pool));
            let division = match (part, self.split, &base) {
                (Some(Part::All), _, _) => Division::All,
                (_, Some([train, val]), _) => Division::Counts { train, val },
                (_, None, Some(counts @ Division::Counts { .. })) if !self.divides() => counts.clone(),
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
        let opened = opened.map_err(|error| self.unnamed(&lineage, error))?;
        let splits = told(opened, out)?;
        if let Some(file) = file {
            check_old_numbers(file, &lineage, &splits)?;
        }
        let origin = splits.origin.clone().ok_or_else(|| Error::Internal("data without an origin".into()))?;
        let division = origin.provenance.division.clone();
        self.note_unused(&division, out);
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

    /// The division of data without a validation part of its own.
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

    /// Whether flags say which data is meant.
    fn is_named(&self) -> bool {
        self.data_path.is_some() || self.dataset != data::Kind::Auto
    }

    /// An error if the weights were trained on other data than the one that is taken where none is named.
    fn expect_named(&self, lineage: &Lineage, found: &Fingerprint) -> Result<()> {
        match lineage.runs().first() {
            None => Ok(()),
            Some(run) => Err(Error::Usage(format!(
                "--data-path: the weights were trained on {}, which {} is not; name the data to use",
                run.name(),
                found.name
            ))),
        }
    }

    /// `error` of opening data; where nobody named it, that it has to be named for weights that were trained on other data.
    fn unnamed(&self, lineage: &Lineage, error: Error) -> Error {
        match lineage.runs().first() {
            Some(run) if !self.is_named() && matches!(error, Error::Data { .. }) => Error::Usage(format!(
                "--data-path: the weights were trained on {}; name the data to use (the data taken without it does not fit: {error})",
                run.name()
            )),
            _ => error,
        }
    }

    fn note_unused(&self, division: &Division, out: &Output) {
        if self.val_split.is_some() && *division == Division::Validation {
            out.note("note: --val-split is not used: the data has a validation part of its own");
        }
    }

    /// Opens the data of a training run that begins with the weights in `file`, or is resumed from `checkpoint`. Validation
    /// samples stay what they were for the weights, so that none was trained on.
    pub fn open_to_train(
        &self,
        spec: &Spec,
        seed: u64,
        follow_classes: bool,
        file: Option<&File>,
        checkpoint: Option<&Checkpoint>,
        out: &Output,
    ) -> Result<Splits> {
        self.provide(spec, out)?;
        let mut request = Request { for_training: true, ..self.request(spec, seed, follow_classes)? };
        let lineage = match (checkpoint, file) {
            (Some(checkpoint), _) => checkpoint.lineage().clone(),
            (None, file) => file.map(Lineage::of).transpose()?.unwrap_or_default(),
        };
        remember(&mut request, &lineage, out);
        let (own, before) = match checkpoint {
            Some(_) => (lineage.runs().first(), lineage.earlier()),
            None => (None, lineage.clone()),
        };
        let (mut trained_on, mut lines) = (None, Vec::new());
        let opened = data::open_with(&request, &mut |pool| {
            trained_on = before.trained_on(pool);
            let usual = request.division(pool.has_validation());
            if checkpoint.is_some() {
                return Ok(resumed(own, usual, self.divides(), pool));
            }
            if before.on(pool.data()).is_none() {
                if !self.is_named() {
                    self.expect_named(&before, pool.data())?;
                }
                lines.extend(before.runs().first().map(|newest| {
                    let (then, now) = (newest.name(), &pool.data().name);
                    format!("note: the weights were trained on {then}; whether on samples of {now} too is not known")
                }));
            }
            match before.on(pool.data()).filter(|_| !self.divides()) {
                Some(run) => {
                    let division = run.division(pool);
                    if division != Division::Validation {
                        let (data, how) = (&pool.data().name, describe(&division));
                        lines.push(match presumed(run) {
                            Some(line) => format!("{line}: {how}"),
                            None => format!("note: {data} is divided as the weights' run divided it: {how}"),
                        });
                    }
                    Ok(division)
                }
                None => Ok(usual),
            }
        });
        let opened = match checkpoint {
            None => opened.map_err(|error| self.unnamed(&before, error))?,
            Some(_) => opened?,
        };
        let mut splits = told(opened, out)?;
        if let Some(file) = file.filter(|_| checkpoint.is_none()) {
            check_old_numbers(file, &lineage, &splits)?;
        }
        lines.iter().for_each(|line| out.note(line));
        if let Some(origin) = splits.origin.as_mut().map(Arc::make_mut) {
            self.note_unused(&origin.provenance.division, out);
            let [_, val] = &origin.numbers;
            let seen = trained_on.map_or(0, |trained| overlap(&trained, val));
            if seen > 0 && origin.provenance.division != Division::All {
                let line = format!(
                    "warning: the weights' run was trained on {seen} of {} validation samples",
                    val.len()
                );
                out.note(&line);
            }
            origin.before = before.kept();
        }
        if let (Some(_), Some([found, all])) = (self.limit_train, classes_left(&splits.train))
            && found < all
        {
            let count = splits.train.len();
            out.note(&format!("note: --limit-train: the {count} samples are of {found} of {all} classes"));
        }
        Ok(splits)
    }
}

/// How many classes have samples in `data`, and how many classes there are; none where labels are values.
fn classes_left(data: &Dataset) -> Option<[usize; 2]> {
    let Labels::Classes(labels) = &data.labels else { return None };
    let found: BTreeSet<u32> = labels.iter().copied().collect();
    Some([found.len(), data.classes])
}

/// The division of a run that is resumed: its own, unless flags say how to divide; drawn in the way that it was drawn.
fn resumed(own: Option<&Seen>, usual: Division, is_asked: bool, pool: &Pool<'_>) -> Division {
    let known = match own {
        Some(Seen::Known(provenance)) => Some(provenance),
        _ => None,
    };
    if let Some(provenance) = known.filter(|known| !is_asked && known.data.is_same(pool.data())) {
        return provenance.division.clone();
    }
    let drawn = match known.map(|known| &known.division) {
        Some(&Division::HeldOut { version, .. }) => version,
        Some(_) => Division::VERSION,
        None => 1,
    };
    match usual {
        Division::HeldOut { share, seed, .. } => Division::HeldOut { share, seed, version: drawn },
        usual => usual,
    }
}

/// What there is to say about weights that are evaluated on the data of `pool`.
fn about(lineage: &Lineage, run: Option<&Seen>, division: &Division, pool: &Pool<'_>) -> Vec<String> {
    let data = pool.data();
    let mut lines = Vec::new();
    match (run, lineage.runs().first()) {
        (Some(run), _) if matches!(division, Division::HeldOut { .. }) => lines.extend(presumed(run)),
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

/// What is said where it can only be presumed how a run divided its samples.
fn presumed(run: &Seen) -> Option<String> {
    let Seen::Named { name, .. } = run else { return None };
    Some(format!(
        "note: the weights do not say how {name} was divided; presumed is what their version did without flags"
    ))
}

/// How many of `numbers` are among `trained`, which rise.
fn overlap(trained: &[u32], numbers: &[u32]) -> usize {
    numbers.iter().filter(|number| trained.binary_search(number).is_ok()).count()
}

/// A division in words.
pub(crate) fn describe(division: &Division) -> String {
    match division {
        Division::Validation => "its own validation part".into(),
        Division::HeldOut { share, seed, .. } => format!("{} drawn with seed {seed}", percent(*share)),
        Division::Counts { train, val } => format!("split {train}/{val}"),
        Division::All => "nothing is held out".into(),
    }
}

/// A share as people write it.
fn percent(share: f32) -> String {
    // Through its decimal digits, so that 0.07 is not 7.0000003.
    let share: f64 = share.to_string().parse().unwrap_or(f64::from(share));
    format!("{} %", (share * 1e8).round() / 1e6)
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
            (division, _) => format!("{of} validation samples ({}) of {name}", describe(division)),
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
