//! Turns images that lie transposed, as those of EMNIST do: height and width change places.

use super::dataset::{Dataset, Images};
use super::raw::RawSplit;
use crate::error::{Error, Result};

/// Swaps height and width of every image of `part`. Rows of numbers are images of the sides of `input`, a model's, or squares.
///
/// An error for rows that are neither.
pub(super) fn transpose(part: &mut RawSplit, input: Option<[usize; 3]>) -> Result<()> {
    let shape = stored_shape(&part.dataset, input).ok_or_else(|| {
        let found = part.dataset.image_len();
        Error::data(&part.images_path, format!("transpose: expected images, found rows of {found} numbers"))
    })?;
    let [channels, height, width] = shape;
    match &mut part.dataset.images {
        Images::U8(values) => swap(values, shape),
        Images::F32(values) | Images::Levels(values) => swap(values, shape),
        Images::Stored(_) => return Err(Error::Internal("images in files cannot be transposed".into())),
    }
    part.dataset.shape = [channels, width, height];
    Ok(())
}

/// Channels, height and width of the images as they are stored.
fn stored_shape(dataset: &Dataset, input: Option<[usize; 3]>) -> Option<[usize; 3]> {
    let [count, height, width] = dataset.shape;
    if height * width > 1 {
        return Some(dataset.shape);
    }
    let is_image = |[c, h, w]: &[usize; 3]| c * h * w == count && h * w > 1;
    // The sides that the model takes, before they change places.
    let of_model = input.filter(is_image).map(|[channels, height, width]| [channels, width, height]);
    let square = |channels: usize| {
        let side = (count / channels).isqrt();
        Some([channels, side, side]).filter(is_image)
    };
    of_model.or_else(|| square(1)).or_else(|| square(3))
}

/// Transposes every plane of `values`, `[images, channels, height, width]`, in place.
fn swap<T: Copy>(values: &mut [T], [_, height, width]: [usize; 3]) {
    let mut plane = Vec::with_capacity(height * width);
    for values in values.chunks_exact_mut((height * width).max(1)) {
        plane.clear();
        plane.extend_from_slice(values);
        for (at, value) in values.iter_mut().enumerate() {
            // Row `at / height` of what is seen is a column of what is stored.
            *value = plane[at % height * width + at / height];
        }
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn rows_become_columns() {
        let mut values = [1, 2, 3, 4, 5, 6, 10, 20, 30, 40, 50, 60];
        super::swap(&mut values, [1, 2, 3]);
        assert_eq!(values, [1, 4, 2, 5, 3, 6, 10, 40, 20, 50, 30, 60]);
    }
}
