//! A look at data that no network has been chosen for.

use super::dataset::{Dataset, Images, Labels};
use super::open::open_with;
use super::{Division, Request};
use crate::error::Result;

/// What a look at data shows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Look {
    /// The name of the data.
    pub name: String,
    pub content: Content,
}

/// What samples are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Content {
    /// Images of at most this height and width; in colour or grey.
    Images { height: usize, width: usize, is_colour: bool },
    /// So many numbers, which are no image.
    Numbers(usize),
    /// Images or numbers, whose labels are values instead of classes.
    Values,
}

/// Images that are looked at where they have sizes of their own.
const IMAGES: usize = 8;
/// Numbers of a row that are taken for an image of MNIST's size.
const ROW: usize = 28 * 28;

/// Opens the data that `request` names, without a model, and looks at it.
///
/// # Errors
/// As [`super::open`].
pub fn look(request: &Request) -> Result<Look> {
    let request = Request { model: None, counts: None, val_split: None, ..request.clone() };
    let (splits, _) = open_with(&request, &mut |pool| {
        Ok(if pool.has_validation() { Division::Validation } else { Division::All })
    })?;
    let train = &splits.train;
    Ok(Look { name: train.name.clone(), content: content(train) })
}

fn content(train: &Dataset) -> Content {
    if matches!(train.labels, Labels::Values { .. }) {
        return Content::Values;
    }
    let [channels, height, width] = match &train.images {
        Images::Stored(stored) if stored.store.has_sizes() => {
            // One that cannot be read is reported when it is trained on.
            let step = stored.indices.len().div_ceil(IMAGES).max(1);
            let sizes = stored.indices.iter().step_by(step);
            let sizes = sizes.filter_map(|&index| stored.store.size(index as usize).ok());
            sizes.fold([1, 0, 0], |[a, b, c], [x, y, z]| [a.max(x), b.max(y), c.max(z)])
        }
        _ => train.shape,
    };
    match (channels, height * width) {
        (ROW, 1) => Content::Images { height: 28, width: 28, is_colour: false },
        (_, 1) => Content::Numbers(channels),
        _ => Content::Images { height, width, is_colour: channels > 1 },
    }
}
