//! The rules from before geometry version 2 ([`crate::view::Rules::Covered`]), for weights that were trained by them and runs
//! that continue. Nothing here may change a bit.

use super::fit::{Fitter, ImageInfo, bilinear, wrong};
use crate::view::LUMA;
use fast_image_resize::images::ImageRef;

impl Fitter {
    /// Resized to cover `shape` and cut around the centre in one step, in fractions of a
    /// pixel, and grey from the resized colours.
    pub(super) fn cover(
        &mut self,
        image: &ImageInfo,
        pixels: &[u8],
        [channels, height, width]: [usize; 3],
        into: &mut [u8],
    ) -> Result<(), String> {
        // Turning comes last, when there are fewer pixels to turn.
        let [stored_width, stored_height] = if image.is_turned() { [height, width] } else { [width, height] };
        let pixels = if (image.width, image.height) == (stored_width, stored_height) {
            pixels
        } else {
            let kind = image.kind();
            let options = bilinear().fit_into_destination(Some((0.5, 0.5)));
            let source = ImageRef::new(image.width as u32, image.height as u32, pixels, kind)
                .map_err(|error| wrong(&error))?;
            self.resize_as(&source, (image.channels, kind), [stored_width, stored_height], &options)?;
            &self.resized
        };
        let walk = image.walk([width, height]);
        let planes = into.chunks_exact_mut((height * width).max(1)).enumerate().take(channels);
        match (image.channels, channels) {
            (3, 1) => planes.for_each(|(_, plane)| walk.copy(pixels, plane, width, covered_luma)),
            (3, _) => planes.for_each(|(c, plane)| walk.copy(pixels, plane, width, |rgb: &[u8; 3]| rgb[c])),
            _ => planes.for_each(|(_, plane)| walk.copy(pixels, plane, width, |&[grey]: &[u8; 1]| grey)),
        }
        Ok(())
    }
}

/// Grey as in [`LUMA`], rounded.
fn covered_luma(rgb: &[u8; 3]) -> u8 {
    let sum: f32 = rgb.iter().zip(LUMA).map(|(&value, weight)| f32::from(value) * weight).sum();
    (sum + 0.5) as u8
}
