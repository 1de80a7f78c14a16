//! Heat maps over images: what in an image speaks for an answer.

use super::canvas::{Canvas, Colour, Font, RgbImage};
use crate::error::Result;

/// Pairs of images in a row, side of an image, and pixels around a pair.
const COLUMNS: usize = 3;
const SIDE: usize = 176;
const MARGIN: usize = 14;
/// Between the two images of a pair.
const GAP: usize = 6;
const HEAD: usize = 40;
const LINE: usize = 24;
const LETTERS: f32 = 14.0;

const BACKGROUND: Colour = [255; 3];
const FRAME: Colour = [209, 213, 219];
const INK: Colour = [31, 41, 55];
const SOFT: Colour = [75, 85, 99];
/// The colours of values from 0 to the greatest (five of matplotlib's `inferno`).
const RAMP: [[f32; 3]; 5] =
    [[0.0, 0.0, 4.0], [87.0, 16.0, 110.0], [188.0, 55.0, 84.0], [249.0, 142.0, 9.0], [252.0, 255.0, 164.0]];

/// An image, and how much each part of it speaks for the answer.
#[derive(Clone, Debug, PartialEq)]
pub struct HeatPanel {
    pub image: RgbImage,
    /// Height and width of the map, which covers the whole image.
    pub size: [usize; 2],
    /// Values of 0 or more, row by row.
    pub map: Vec<f32>,
    pub answer: String,
    /// Its probability or score, as text.
    pub value: String,
}

/// Draws `panels` in rows of three below the line `heading`: each image, beside it the image under its map, each map in its own
/// range from 0 to its greatest value.
pub fn heat_sheet(heading: &str, panels: &[HeatPanel]) -> Result<Canvas> {
    let columns = panels.len().clamp(1, COLUMNS);
    let (across, down) = (2 * SIDE + GAP + 2 * MARGIN, SIDE + LINE + 2 * MARGIN);
    let rows = panels.len().div_ceil(columns);
    let mut canvas = Canvas::new(columns * across, HEAD + rows * down, BACKGROUND)?;
    let (font, bold) = (Font::sans()?, Font::bold()?);
    let room = (columns * across - 2 * MARGIN) as f32;
    canvas.text(&bold, &bold.fitted(heading, LETTERS, room), [MARGIN as f32, 14.0], LETTERS, INK);
    for (number, panel) in panels.iter().enumerate() {
        let (x, y) = (number % columns * across + MARGIN, HEAD + number / columns * down + MARGIN / 2);
        let image = panel.image.within(SIDE);
        for (left, image) in [(x, image.clone()), (x + SIDE + GAP, panel.heated(&image))] {
            let corner = [left + (SIDE - image.width) / 2, y + SIDE - image.height];
            canvas.fill([corner[0] - 1, corner[1] - 1], [image.width + 2, image.height + 2], FRAME);
            canvas.draw(corner, &image);
        }
        let (left, under) = (x as f32, (y + SIDE) as f32 + 5.0);
        let room = (2 * SIDE + GAP) as f32 - font.width(&panel.value, LETTERS) - 8.0;
        canvas.text(&bold, &bold.fitted(&panel.answer, LETTERS, room), [left, under], LETTERS, INK);
        let right = (x + 2 * SIDE + GAP) as f32 - font.width(&panel.value, LETTERS);
        canvas.text(&font, &panel.value, [right, under], LETTERS, SOFT);
    }
    Ok(canvas)
}

impl HeatPanel {
    /// `image`, darkened, under the colours of the map.
    fn heated(&self, image: &RgbImage) -> RgbImage {
        let most = self.map.iter().copied().filter(|value| value.is_finite()).fold(0.0, f32::max);
        let mut heated = image.clone();
        for y in 0..image.height {
            for x in 0..image.width {
                let value =
                    self.at([(y as f32 + 0.5) / image.height as f32, (x as f32 + 0.5) / image.width as f32]);
                // A map of zeros, or with values that are no numbers, says nothing.
                let share =
                    if most > 0.0 && value.is_finite() { (value / most).clamp(0.0, 1.0) } else { 0.0 };
                let colour = ramp(share);
                let at = (y * image.width + x) * 3;
                // The picture shows through as grey, so that its colours are not taken for those of the map.
                let grey = image.pixels[at..at + 3].iter().map(|&part| f32::from(part)).sum::<f32>() / 3.0;
                for (pixel, colour) in heated.pixels[at..at + 3].iter_mut().zip(colour) {
                    *pixel = (0.4 * grey + 0.6 * colour + 0.5) as u8;
                }
            }
        }
        heated
    }

    /// The value at a place, 0 to 1 down and right, between the centres of the map's values.
    fn at(&self, place: [f32; 2]) -> f32 {
        let axis = |share: f32, count: usize| {
            let at = (share * count as f32 - 0.5).clamp(0.0, count.saturating_sub(1) as f32);
            let low = at as usize;
            (low, (low + 1).min(count.saturating_sub(1)), at - low as f32)
        };
        let [height, width] = self.size;
        let ((top, bottom, down), (left, right, along)) = (axis(place[0], height), axis(place[1], width));
        let value = |y: usize, x: usize| self.map.get(y * width + x).copied().unwrap_or(0.0);
        let row = |y: usize| value(y, left) * (1.0 - along) + value(y, right) * along;
        row(top) * (1.0 - down) + row(bottom) * down
    }
}

/// The colour of a value from 0 to 1.
fn ramp(share: f32) -> [f32; 3] {
    let at = share * (RAMP.len() - 1) as f32;
    let low = (at as usize).min(RAMP.len() - 2);
    let part = at - low as f32;
    std::array::from_fn(|c| RAMP[low][c] * (1.0 - part) + RAMP[low + 1][c] * part)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_map_is_drawn_where_its_values_are() {
        let image = RgbImage { width: 2, height: 2, pixels: vec![100; 12] };
        let panel =
            HeatPanel { image, size: [1, 2], map: vec![0.0, 5.0], answer: "cat".into(), value: "9 %".into() };
        assert_eq!((panel.at([0.5, 0.0]), panel.at([0.5, 0.5]), panel.at([0.1, 1.0])), (0.0, 2.5, 5.0));
        let canvas = heat_sheet("maps", std::slice::from_ref(&panel)).unwrap();
        let y = HEAD + MARGIN / 2 + SIDE / 2;
        let right = MARGIN + SIDE + GAP;
        // The image on the left; on the right its grey with the first and the last colour.
        assert_eq!(canvas.pixel(MARGIN + 5, y), Some([100; 3]));
        assert_eq!(canvas.pixel(right + 1, y), Some([40, 40, 42]));
        assert_eq!(canvas.pixel(right + SIDE - 2, y), Some([191, 193, 138]));
        let empty = HeatPanel { map: vec![f32::NAN, 0.0], ..panel };
        assert!(heat_sheet("maps", &[empty]).is_ok());
    }
}
