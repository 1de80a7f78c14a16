//! The data of a run, and the classes of the weights that it starts from, matched with those of the data.

use super::checkpoint::Checkpoint;
use super::environment::Environment;
use super::options::RunOptions;
use crate::data::{self, Dataset, Division, Labels, Request, Splits};
use crate::error::{Error, Result, printable_path};
use crate::inference::{
    self, ClassMatch, Lineage, assumed_division, check_old_numbers, describe_division, note_unnamed, overlap,
    remember, resumed_division,
};
use crate::interchange::File;
use crate::model::Spec;
use std::collections::BTreeSet;
use std::sync::Arc;

/// Most names of classes that a message lists.
const LISTED: usize = 8;

/// The inputs that determine the data of a run and the number of outputs of its network.
pub(super) struct Opening<'a> {
    pub options: &'a RunOptions,
    /// Whether the last layer was replaced by a new one.
    pub is_replaced: bool,
    /// The checkpoint of a run that is resumed.
    pub checkpoint: Option<&'a Checkpoint>,
    pub environment: &'a dyn Environment,
}

impl Opening<'_> {
    /// Opens the data. Where it names its classes, the network gets as many outputs; where weights have names for their
    /// outputs, the rows of their last layer are put into the order of the data's classes.
    ///
    /// A usage error if there is a class that the weights have no output for.
    pub fn open(&self, spec: &mut Spec, mut weights: Option<&mut File>) -> Result<Splits> {
        self.follow_file(spec, weights.as_deref())?;
        let outputs = inference::outputs(spec)?;
        // A single output is no class: it tells two apart.
        let follows = !self.is_replaced && outputs > 1;
        let data = self.open_splits(spec, follows, weights.as_deref())?;
        let (name, classes) = (&data.train.name, data.train.classes);
        if let Some(file) = weights.as_mut().filter(|_| follows)
            && self.match_classes(spec, &data, file)?
        {
            return Ok(data);
        }
        // Fewer classes whose names are only numbers may be any part of what the network tells apart.
        if !follows || classes == outputs || (classes < outputs && !data.train.names_classes()) {
            return Ok(data);
        }
        if self.options.weights.is_some() {
            let option = self.environment.option("num-classes");
            return Err(Error::Usage(format!(
                "num-classes: {} has {outputs} outputs, {name} has {classes} classes; {option} {classes} replaces the last layer",
                spec.name
            )));
        }
        let layer = spec.replace_outputs(classes)?;
        let line = format!("{}: {layer} gets {classes} outputs, one per class of {name}", spec.name);
        self.environment.note(&line);
        Ok(data)
    }

    /// Gives the network as many outputs as the weights have; this overrides its model file.
    fn follow_file(&self, spec: &mut Spec, weights: Option<&File>) -> Result<()> {
        let noted = || match weights?.metadata.get("num_classes") {
            Some(text) => text.parse().ok(),
            None => inference::outputs_in(weights?, spec),
        };
        let own = self.checkpoint.filter(|_| self.options.weights.is_some()).and_then(Checkpoint::outputs);
        match own.or_else(noted).filter(|&n: &usize| n > 0 && !self.is_replaced) {
            Some(found) if found != inference::outputs(spec)? => spec.replace_outputs(found).map(|_| ()),
            _ => Ok(()),
        }
    }

    /// Puts the rows of the last layer into the order of the classes of `data`. Returns whether this changed anything.
    fn match_classes(&self, spec: &mut Spec, data: &Splits, file: &mut File) -> Result<bool> {
        let known = inference::class_names(file);
        let (name, names) = (&data.train.name, &data.train.class_names);
        match inference::match_classes(&known, &data.train) {
            ClassMatch::Same => Ok(false),
            ClassMatch::Unnamed => {
                note_unnamed(&known, &data.train, self.environment);
                Ok(false)
            }
            ClassMatch::Outputs(outputs) => {
                inference::select_outputs(file, spec, known.len(), &outputs)?;
                let layer = spec.replace_outputs(outputs.len())?;
                let (found, all) = (outputs.len(), known.len());
                self.environment.note(&format!(
                    "{}: {layer} keeps its rows for the {found} classes of {name}, matched by name with the {all} of the weights",
                    spec.name
                ));
                Ok(true)
            }
            ClassMatch::Missing(class) => {
                let listed = known[..known.len().min(LISTED)].join(", ");
                let more = if known.len() > LISTED { ", ..." } else { "" };
                Err(Error::Usage(format!(
                    "num-classes: {} has no output for class \"{}\" of {name} (it has {} classes: {listed}{more}); {} {} replaces the last layer",
                    printable_path(&file.path),
                    names[class],
                    known.len(),
                    self.environment.option("num-classes"),
                    names.len(),
                )))
            }
        }
    }

    /// Opens the data of a run that begins with the weights in `file`, or is resumed. Validation samples stay what they were
    /// for the weights, so that none was trained on.
    fn open_splits(&self, spec: &Spec, follow_classes: bool, file: Option<&File>) -> Result<Splits> {
        let Opening { options, checkpoint, environment, .. } = *self;
        let (source, seed) = (&options.data, options.train.seed);
        environment.provide_data(source.place(spec), source.kind)?;
        let mut request = Request { for_training: true, ..source.request(spec, seed, follow_classes)? };
        let lineage = match (checkpoint, file) {
            (Some(checkpoint), _) => checkpoint.lineage().clone(),
            (None, file) => file.map(Lineage::of).transpose()?.unwrap_or_default(),
        };
        remember(&mut request, &lineage, environment);
        let (own, before) = match checkpoint {
            Some(_) => (lineage.runs().first(), lineage.earlier()),
            None => (None, lineage.clone()),
        };
        let (mut trained_on, mut lines) = (None, Vec::new());
        let opened = data::open_with(&request, &mut |pool| {
            trained_on = before.trained_on(pool);
            let usual = request.division(pool.has_validation());
            if checkpoint.is_some() {
                return Ok(resumed_division(own, usual, source.divides(), pool));
            }
            if before.on(pool.data()).is_none() {
                source.expect_named(&before, pool.data(), environment)?;
                lines.extend(before.runs().first().map(|newest| {
                    let (then, now) = (newest.name(), &pool.data().name);
                    format!("note: the weights were trained on {then}; whether on samples of {now} too is not known")
                }));
            }
            match before.on(pool.data()).filter(|_| !source.divides()) {
                Some(run) => {
                    let division = run.division(pool);
                    if division != Division::Validation {
                        let (data, how) = (&pool.data().name, describe_division(&division));
                        lines.push(match assumed_division(run) {
                            Some(line) => format!("{line}: {how}"),
                            None => format!("note: {data} is divided as the weights' run divided it: {how}"),
                        });
                    }
                    Ok(division)
                }
                None => Ok(usual),
            }
        });
        let (mut splits, diagnostics) = match checkpoint {
            None => opened.map_err(|error| source.unnamed(&before, error, environment))?,
            Some(_) => opened?,
        };
        environment.data(&splits.train.name, &diagnostics)?;
        if let Some(file) = file.filter(|_| checkpoint.is_none()) {
            check_old_numbers(file, &lineage, &splits, environment)?;
        }
        lines.iter().for_each(|line| environment.note(line));
        if let Some(origin) = splits.origin.as_mut().map(Arc::make_mut) {
            source.note_unused(&origin.provenance.division, environment);
            let [_, val] = &origin.numbers;
            let seen = trained_on.map_or(0, |trained| overlap(&trained, val));
            if seen > 0 && origin.provenance.division != Division::All {
                let all = val.len();
                let line =
                    format!("warning: the weights' run was trained on {seen} of {all} validation samples");
                environment.note(&line);
            }
            origin.before = before.kept();
        }
        if let (Some(_), Some([found, all])) = (source.limit_train, classes_left(&splits.train))
            && found < all
        {
            let (count, option) = (splits.train.len(), environment.option("limit-train"));
            environment.note(&format!("note: {option}: the {count} samples are of {found} of {all} classes"));
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
