//! The classes of data matched with the outputs of weights, by name, and what to say about it.

use super::output::Output;
use crate::data::{Dataset, Labels, Splits};
use crate::error::Result;
use crate::inference::{self, ClassMatch};
use crate::interchange::File;

/// `splits` with its classes numbered as the outputs of the weights in `file` are. An error if there is one that they do
/// not know.
pub(crate) fn with_classes_of(file: &File, splits: Splits, out: &Output) -> Result<Splits> {
    let known = inference::class_names(file);
    match inference::match_classes(&known, &splits.val) {
        ClassMatch::Missing(_) => Err(inference::other_classes(&file.path, &known, &splits.val)),
        ClassMatch::Outputs(outputs) => {
            let (found, all, name) = (outputs.len(), known.len(), &splits.val.name);
            out.note(&format!(
                "note: the {found} classes of {name} are matched by name with the {all} of the weights"
            ));
            Ok(inference::relabel(&splits, &known, &outputs))
        }
        ClassMatch::Unnamed => {
            note_unnamed(&known, &splits.val, out);
            Ok(splits)
        }
        ClassMatch::Same => Ok(splits),
    }
}

/// Says that outputs and classes were matched by their numbers, where only one of the two has names.
pub(crate) fn note_unnamed(known: &[String], data: &Dataset, out: &Output) {
    let is_numbered = known.iter().enumerate().all(|(k, name)| *name == k.to_string());
    if !matches!(data.labels, Labels::Classes(_)) || (is_numbered && !data.names_classes()) {
        return;
    }
    let name = &data.name;
    out.note(&match is_numbered {
        true => format!("note: {name} names its classes, the weights do not: output k is taken for class k"),
        false => {
            format!("note: the weights name their classes, {name} does not: output k is taken for class k")
        }
    });
}
