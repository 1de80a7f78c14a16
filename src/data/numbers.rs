//! The numbers of a table or of `f32` tensors as images, once it is known what they are.

use super::dataset::Images;
use super::diagnostics::Diagnostics;
use super::range::InputRange;
use super::request::Request;
use crate::error::{Error, Result};
use std::path::Path;

/// The numbers of one file.
pub(super) struct Numbers<'a> {
    pub path: &'a Path,
    /// `[samples, width]`.
    pub values: Vec<f32>,
    pub width: usize,
    /// Where number `index` of `values` stands in the file, for errors.
    pub place: Box<dyn Fn(usize) -> String + 'a>,
}

/// Smallest and largest number, and whether all are whole.
#[derive(Clone, Copy)]
struct Facts {
    low: f32,
    high: f32,
    whole: bool,
}

impl Facts {
    fn of<'a>(values: impl Iterator<Item = &'a f32>) -> Facts {
        let start = Facts { low: f32::INFINITY, high: f32::NEG_INFINITY, whole: true };
        values.fold(start, |Facts { low, high, whole }, &value| Facts {
            low: low.min(value),
            high: high.max(value),
            whole: whole && value.fract() == 0.0,
        })
    }

    fn are_bytes(&self) -> bool {
        self.whole && self.low >= 0.0 && self.high <= 255.0
    }
}

/// The images of all `parts` of a data set, as `request`, the file itself (`noted`) or their numbers say what they are.
///
/// Errors: numbers outside of what was declared, two declarations that differ, and numbers for a model with `[preprocess]`
/// whose range is not given.
pub(super) fn settle(
    parts: Vec<Numbers>,
    noted: Option<InputRange>,
    is_table: bool,
    request: &Request,
    diagnostics: &mut Diagnostics,
) -> Result<Vec<Images>> {
    let ready = |parts: Vec<Numbers>| Ok(parts.into_iter().map(|part| Images::F32(part.values)).collect());
    let Some(first) = parts.first() else { return Ok(Vec::new()) };
    let facts = Facts::of(parts.iter().flat_map(|part| &part.values));
    if let (Some(given), Some(noted)) = (request.input_range, noted)
        && given != noted
    {
        let what = format!("its metadata say input_range {noted}, found --input-range {given}");
        return Err(Error::data(first.path, what));
    }
    let known = request.input_range.or(noted);
    let presumed = request.presumed_range.filter(|_| known.is_none());
    if let Some(range) = presumed {
        diagnostics.add(format!(
            "{}: the numbers are taken for --input-range {range}, as in the weights' run",
            name(first.path)
        ));
    }
    let range = match (known.or(presumed), request.model) {
        (Some(range), _) => range,
        // Looked at for its own sake, or not of this model's size, which is another error.
        (None, None) => return ready(parts),
        (None, Some(wanted)) if wanted.input.iter().product::<usize>() != first.width => return ready(parts),
        (None, Some(wanted)) if !request.has_preprocess => {
            let is_image = wanted.input[1] * wanted.input[2] > 1;
            if is_image && facts.are_bytes() && facts.high > 1.0 {
                diagnostics.warn(format!(
                    "{}: whole numbers {} to {} are used as they are, since the model has no [preprocess]; where images are \
                     pixels it divides them by 255, and --input-range 0..255 does so here",
                    name(first.path),
                    facts.low,
                    facts.high
                ));
            }
            return ready(parts);
        }
        // 0 and 1 alone may as well be pixels divided by 255.
        (None, Some(_)) if is_table && facts.are_bytes() && facts.high > 1.0 => {
            diagnostics.add(format!(
                "{}: whole numbers {} to {} are taken for pixels (--input-range 0..255)",
                name(first.path),
                facts.low,
                facts.high
            ));
            InputRange::Pixels
        }
        (None, Some(_)) => {
            return Err(Error::data(
                first.path,
                format!(
                    "the model has a [preprocess] for pixels, found numbers {} to {}: say what they are with --input-range \
                     0..255 (pixels), 0..1 (pixels divided by 255) or ready (preprocessed already)",
                    facts.low, facts.high
                ),
            ));
        }
    };
    if range == InputRange::Pixels && facts.high <= 1.0 {
        diagnostics.warn(format!(
            "{}: --input-range 0..255, but no value is above {}; for pixels divided by 255 it is 0..1",
            name(first.path),
            facts.high
        ));
    }
    parts.into_iter().map(|part| convert(part, range)).collect()
}

/// A file's name for a note.
fn name(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

fn convert(part: Numbers, range: InputRange) -> Result<Images> {
    let Numbers { path, mut values, place, .. } = part;
    let high = match range {
        InputRange::Ready => return Ok(Images::F32(values)),
        InputRange::Pixels => 255.0,
        InputRange::Unit => 1.0,
    };
    if let Some(at) = values.iter().position(|value| !(0.0..=high).contains(value)) {
        let what =
            format!("{}: expected a number of the input range {range}, found {}", place(at), values[at]);
        return Err(Error::data(path, what));
    }
    if range == InputRange::Unit {
        values.iter_mut().for_each(|value| *value *= 255.0);
    }
    // Bytes where they can be: a quarter of the memory, and the program that images from any other file get.
    Ok(match Facts::of(values.iter()).whole {
        true => Images::U8(values.iter().map(|&value| value as u8).collect()),
        false => Images::Levels(values),
    })
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_pixel_divided_by_255_comes_back() {
        for pixel in 0..=255u16 {
            let value = f32::from(pixel) / 255.0;
            assert_eq!(value * 255.0, f32::from(pixel), "{pixel}");
        }
    }
}
