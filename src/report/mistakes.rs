//! A sheet of wrong answers: each image with the answer and its probability, and the true class below.

use super::canvas::{Canvas, Colour, Font, RgbImage};
use crate::error::Result;

/// Images in a row.
const COLUMNS: usize = 6;
/// Side of the square that an image fits into, and pixels around it.
const SIDE: usize = 144;
const MARGIN: usize = 12;
/// Height of the heading, and of the two lines below an image.
const HEAD: usize = 40;
const LINE: usize = 19;
const LETTERS: f32 = 14.0;

const BACKGROUND: Colour = [255; 3];
const FRAME: Colour = [209, 213, 219];
const INK: Colour = [31, 41, 55];
const SOFT: Colour = [75, 85, 99];
const WRONG: Colour = [190, 75, 0];

/// A wrong answer to an image.
#[derive(Clone, Debug, PartialEq)]
pub struct MistakePanel {
    /// `None` where the image cannot be shown.
    pub image: Option<RgbImage>,
    pub answer: String,
    /// Its probability or score, as text.
    pub value: String,
    pub truth: String,
}

/// Draws `panels` in rows of six, below the line `heading`.
pub fn mistake_sheet(heading: &str, panels: &[MistakePanel]) -> Result<Canvas> {
    let columns = panels.len().clamp(1, COLUMNS);
    let (across, down) = (SIDE + 2 * MARGIN, SIDE + 2 * LINE + 2 * MARGIN);
    let rows = panels.len().div_ceil(columns);
    // The heading needs some room.
    let width = (columns * across).max(3 * across);
    let mut canvas = Canvas::new(width, HEAD + rows * down, BACKGROUND)?;
    let (font, bold) = (Font::sans()?, Font::bold()?);
    let text = bold.fitted(heading, LETTERS, (width - 2 * MARGIN) as f32);
    canvas.text(&bold, &text, [MARGIN as f32, 14.0], LETTERS, INK);
    for (number, panel) in panels.iter().enumerate() {
        let (x, y) = (number % columns * across + MARGIN, HEAD + number / columns * down + MARGIN / 2);
        // Tiles that are white at their edges end somewhere too.
        let image = panel.image.as_ref().map(|image| image.within(SIDE));
        let (wide, high) = image.as_ref().map_or((SIDE, SIDE), |image| (image.width, image.height));
        let corner = [x + (SIDE - wide) / 2, y + SIDE - high];
        canvas.fill([corner[0] - 1, corner[1] - 1], [wide + 2, high + 2], FRAME);
        match &image {
            Some(image) => canvas.draw(corner, image),
            None => canvas.fill(corner, [wide, high], BACKGROUND),
        }
        let room = SIDE as f32 - font.width(&panel.value, LETTERS) - 8.0;
        let (left, under) = (x as f32, (y + SIDE) as f32 + 5.0);
        canvas.text(&bold, &bold.fitted(&panel.answer, LETTERS, room), [left, under], LETTERS, WRONG);
        let right = (x + SIDE) as f32 - font.width(&panel.value, LETTERS);
        canvas.text(&font, &panel.value, [right, under], LETTERS, SOFT);
        let truth = font.fitted(&format!("true: {}", panel.truth), LETTERS, SIDE as f32);
        canvas.text(&font, &truth, [left, under + LINE as f32], LETTERS, INK);
    }
    Ok(canvas)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_has_six_images_at_their_places_and_a_missing_one_is_an_empty_frame() {
        let image = RgbImage { width: 1, height: 1, pixels: vec![1, 2, 3] };
        let panel = MistakePanel {
            image: Some(image),
            answer: "a name that is far too long for the room that it has".into(),
            value: "99.9 %".into(),
            truth: "cat".into(),
        };
        let mut panels = vec![panel; 7];
        panels[6].image = None;
        let canvas = mistake_sheet("mistakes", &panels).unwrap();
        let down = SIDE + 2 * LINE + 2 * MARGIN;
        assert_eq!((canvas.width(), canvas.height()), (6 * (SIDE + 2 * MARGIN), HEAD + 2 * down));
        let middle = |row: usize| [MARGIN + SIDE / 2, HEAD + MARGIN / 2 + SIDE / 2 + row * down];
        assert_eq!(canvas.pixel(middle(0)[0], middle(0)[1]), Some([1, 2, 3]));
        assert_eq!(canvas.pixel(middle(1)[0], middle(1)[1]), Some(BACKGROUND));
        assert_eq!(canvas.pixel(MARGIN - 1, middle(1)[1]), Some(FRAME));
        // Nothing runs into the margin between two panels.
        let left = MARGIN + SIDE + 2;
        let between =
            (left..left + 2 * MARGIN - 4).flat_map(|x| (HEAD..canvas.height()).map(move |y| [x, y]));
        assert!(between.into_iter().all(|[x, y]| canvas.pixel(x, y) == Some(BACKGROUND)));
    }
}
