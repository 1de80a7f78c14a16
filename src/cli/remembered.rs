//! What weights remember of the table or the tensors that they were trained on: the label's column and what the numbers
//! are. Where no flag says otherwise, it holds for the data that they meet next.

use super::output::Output;
use super::source::quoted;
use crate::data::{self, Kind, Request, Splits};
use crate::error::{Error, Result};
use crate::inference::{self, Lineage, Seen};
use crate::interchange::File;
use crate::run::Checkpoint;
use crate::view::Rules;

/// Fills in what the newest run of `lineage` was told about such data and `request` does not say.
pub(super) fn remember(request: &mut Request, lineage: &Lineage, out: &Output) {
    let Some(Seen::Known(run)) = lineage.runs().first() else { return };
    // Whoever opens the data says what is wrong with its place.
    let Ok(place) = data::find(request.path.as_deref(), request.kind) else { return };
    if let (Kind::Csv, None, Some(column)) = (place.kind, &request.label_column, &run.label_column) {
        out.note(&format!("data: the label is --label-column {}, as in the weights' run", quoted(column)));
        request.label_column = Some(column.clone());
    }
    if [Kind::Csv, Kind::Tensors].contains(&place.kind) && request.input_range.is_none() {
        request.presumed_range = run.input_range;
    }
}

/// A usage error if the weights in `file` are of a version that took the numbers of tables as they are, and those of
/// `splits` were taken for pixels without being told.
pub(super) fn check_old_numbers(file: &File, lineage: &Lineage, splits: &Splits) -> Result<()> {
    let had_numbers = match lineage.runs().first() {
        Some(Seen::Known(run)) => {
            [Kind::Csv, Kind::Tensors].iter().any(|kind| run.data.kind == kind.to_string())
        }
        // They do not say what they were trained on.
        Some(Seen::Named { .. }) | None => true,
    };
    let is_old = inference::geometry(file)?.rules == Rules::Covered;
    if !is_old || !had_numbers || !assumes_pixels(splits) {
        return Ok(());
    }
    Err(Error::Usage(
        "--input-range: weights of Striate 0.1.0 were trained on a table's numbers as they are; pass ready for such weights, \
         0..255 for pixels"
            .into(),
    ))
}

fn assumes_pixels(splits: &Splits) -> bool {
    splits.origin.as_ref().is_some_and(|origin| origin.assumes_pixels(&splits.train))
}

/// The refusal to go on from `checkpoint`; where its images differ, with what they may have been in its version.
pub(super) fn named(error: Error, checkpoint: &Checkpoint, splits: &Splits) -> Error {
    let is_old = checkpoint.rules() == Rules::Covered;
    match error {
        Error::Usage(text) if is_old && text.contains("training images") && assumes_pixels(splits) => {
            Error::Usage(format!(
                "{text}; a run of Striate 0.1.0 took a table's numbers as they are: give its flags and --input-range ready"
            ))
        }
        error => error,
    }
}
