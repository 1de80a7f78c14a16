//! What a training run begins with: the data, and the classes of the weights that it starts from, matched with those of the
//! data.

use super::output::Output;
use super::source::SourceArgs;
use crate::data::Splits;
use crate::error::{Error, Result, printable_path};
use crate::inference::{self, ClassMatch};
use crate::interchange::File;
use crate::model::Spec;
use crate::run::Checkpoint;

/// Most names of classes that a message lists.
const LISTED: usize = 8;

/// What decides how a run begins.
pub(super) struct Beginning<'a> {
    pub source: &'a SourceArgs,
    pub seed: u64,
    /// Whether the last layer was replaced by a new one (`--num-classes`).
    pub is_replaced: bool,
    pub has_weights: bool,
    /// Where a run is resumed.
    pub checkpoint: Option<&'a Checkpoint>,
    pub out: &'a Output,
}

impl Beginning<'_> {
    /// Opens the data. Where it names its classes, the network gets as many outputs; where weights have names for their
    /// outputs, the rows of their last layer are put into the order of the data's classes.
    ///
    /// A usage error if there is a class that the weights have no output for.
    pub fn open(&self, spec: &mut Spec, mut weights: Option<&mut File>) -> Result<Splits> {
        self.follow_file(spec, weights.as_deref())?;
        let outputs = inference::outputs(spec)?;
        // One output is no class: it tells two apart.
        let follows = !self.is_replaced && outputs > 1;
        let file = weights.as_deref();
        let data = self.source.open_to_train(spec, self.seed, follows, file, self.checkpoint, self.out)?;
        let (name, classes) = (&data.train.name, data.train.classes);
        if let Some(file) = weights.as_mut().filter(|_| follows)
            && self.match_classes(spec, &data, file)?
        {
            return Ok(data);
        }
        // Fewer classes whose names are but numbers may be any part of what the network tells apart.
        if !follows || classes == outputs || (classes < outputs && !data.train.names_classes()) {
            return Ok(data);
        }
        if self.has_weights {
            return Err(Error::Usage(format!(
                "num-classes: {} has {outputs} outputs, {name} has {classes} classes; --num-classes {classes} replaces the last layer",
                spec.name
            )));
        }
        let layer = spec.replace_outputs(classes)?;
        self.out.note(&format!("{}: {layer} gets {classes} outputs, one per class of {name}", spec.name));
        Ok(data)
    }

    /// Gives the network as many outputs as the weights have, whatever its model file says.
    fn follow_file(&self, spec: &mut Spec, weights: Option<&File>) -> Result<()> {
        let noted = || weights?.metadata.get("num_classes")?.parse().ok();
        let own = self.checkpoint.filter(|_| self.has_weights).and_then(Checkpoint::outputs);
        match own.or_else(noted).filter(|&n: &usize| n > 0 && !self.is_replaced) {
            Some(found) if found != inference::outputs(spec)? => spec.replace_outputs(found).map(|_| ()),
            _ => Ok(()),
        }
    }

    /// Puts the rows of the last layer into the order of the classes of `data`; whether there was something to do.
    fn match_classes(&self, spec: &mut Spec, data: &Splits, file: &mut File) -> Result<bool> {
        let known = inference::class_names(file);
        let (name, names) = (&data.train.name, &data.train.class_names);
        match inference::match_classes(&known, &data.train) {
            ClassMatch::Same => Ok(false),
            ClassMatch::Unnamed => {
                super::matching::note_unnamed(&known, &data.train, self.out);
                Ok(false)
            }
            ClassMatch::Outputs(outputs) => {
                inference::select_outputs(file, spec, known.len(), &outputs)?;
                let layer = spec.replace_outputs(outputs.len())?;
                let (found, all) = (outputs.len(), known.len());
                self.out.note(&format!(
                    "{}: {layer} keeps its rows for the {found} classes of {name}, matched by name with the {all} of the weights",
                    spec.name
                ));
                Ok(true)
            }
            ClassMatch::Missing(class) => {
                let listed = known[..known.len().min(LISTED)].join(", ");
                let more = if known.len() > LISTED { ", ..." } else { "" };
                Err(Error::Usage(format!(
                    "num-classes: {} has no output for class \"{}\" of {name} (it has {} classes: {listed}{more}); --num-classes {} replaces the last layer",
                    printable_path(&file.path),
                    names[class],
                    known.len(),
                    names.len(),
                )))
            }
        }
    }
}
