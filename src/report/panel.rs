//! Images with their top five predictions as bars, after figure 4 of the AlexNet paper.

use super::canvas::{Canvas, Colour, Font, RgbImage};
use crate::error::Result;

/// Panels per row.
const COLUMNS: usize = 4;

/// Side of the square that an image fits into, and width of a panel.
const SIDE: usize = 224;
/// Pixels around a panel, on each side.
const MARGIN: usize = 14;
/// Height of the caption, height of a bar, and distance between the tops of two bars.
const LINE: usize = 28;
const BAR: usize = 24;
const STEP: usize = 28;
/// Bars per panel.
const BARS: usize = 5;
/// Font size.
const LETTERS: f32 = 15.0;

const BACKGROUND: Colour = [255; 3];
const INK: Colour = [24, 24, 24];
const TRACK: Colour = [238, 240, 243];
const PREDICTION: Colour = [141, 186, 232];
const TRUTH: Colour = [239, 133, 117];

/// One image with the predictions of a network.
#[derive(Clone, Debug)]
pub struct Panel {
    pub image: RgbImage,
    /// The caption under the image.
    pub name: String,
    /// Class names with probabilities, the best first; at most five are shown.
    pub predictions: Vec<(String, f64)>,
    /// The text at the end of each bar, if it is not the probability in percent.
    pub values: Option<Vec<String>>,
    /// The true class if it is known; its bar has another colour.
    pub truth: Option<String>,
}

/// Draws `panels` in rows of four.
pub fn panel_sheet(panels: &[Panel]) -> Result<Canvas> {
    let columns = panels.len().clamp(1, COLUMNS);
    let bars = panels.iter().map(|panel| panel.predictions.len().min(BARS)).max().unwrap_or(0);
    let (across, down) = (SIDE + 2 * MARGIN, SIDE + LINE + bars * STEP + 2 * MARGIN);
    let rows = panels.len().div_ceil(columns);
    let mut canvas = Canvas::new(columns * across, rows * down, BACKGROUND)?;
    let (font, bold) = (Font::sans()?, Font::bold()?);
    for (number, panel) in panels.iter().enumerate() {
        let corner = [number % columns * across + MARGIN, number / columns * down + MARGIN];
        draw(&mut canvas, panel, corner, &font, &bold);
    }
    Ok(canvas)
}

fn draw(canvas: &mut Canvas, panel: &Panel, [x, y]: [usize; 2], font: &Font, bold: &Font) {
    let image = panel.image.within(SIDE);
    canvas.draw([x + (SIDE - image.width) / 2, y + SIDE - image.height], &image);
    let under = (y + SIDE) as f32 + 5.0;
    canvas.centred(bold, &panel.name, [x as f32, under], SIDE as f32, LETTERS, INK);
    for (row, (name, share)) in panel.predictions.iter().take(BARS).enumerate() {
        let top = y + SIDE + LINE + row * STEP;
        let colour = if panel.truth.as_ref() == Some(name) { TRUTH } else { PREDICTION };
        // A NaN share gets an empty bar.
        let length = (share.clamp(0.0, 1.0) * SIDE as f64).round() as usize;
        canvas.fill([x, top], [SIDE, BAR], TRACK);
        canvas.fill([x, top], [length, BAR], colour);
        let value = panel.values.as_ref().and_then(|values| values.get(row).cloned());
        let value = value.unwrap_or_else(|| percent(*share));
        let (baseline, behind) = (top as f32 + 4.0, font.width(&value, LETTERS));
        let room = SIDE as f32 - behind - 20.0;
        canvas.text(font, &font.fitted(name, LETTERS, room), [x as f32 + 6.0, baseline], LETTERS, INK);
        let right = (x + SIDE) as f32 - behind - 6.0;
        canvas.text(font, &value, [right, baseline], LETTERS, INK);
    }
}

fn percent(share: f64) -> String {
    if share.is_nan() { "-".into() } else { format!("{:.1} %", share * 100.0) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn panel(truth: Option<&str>) -> Panel {
        Panel {
            image: RgbImage { width: 2, height: 1, pixels: vec![9; 6] },
            name: "an image with a name that is too long for its caption".into(),
            predictions: vec![("cat".into(), 0.75), ("dog".into(), 0.25), ("emu".into(), f64::NAN)],
            values: None,
            truth: truth.map(String::from),
        }
    }

    #[test]
    fn bars_are_as_long_as_their_shares_and_the_true_class_has_another_colour() {
        let canvas = panel_sheet(&[panel(Some("dog"))]).unwrap();
        assert_eq!((canvas.width(), canvas.height()), (252, 224 + 28 + 3 * 28 + 28));
        // The last row of each bar is below its letters.
        let bar = |row: usize, share: f64| {
            let x = MARGIN + (share * SIDE as f64) as usize;
            canvas.pixel(x, MARGIN + SIDE + LINE + row * STEP + BAR - 1)
        };
        assert_eq!([bar(0, 0.7), bar(0, 0.8)], [Some(PREDICTION), Some(TRACK)]);
        assert_eq!([bar(1, 0.2), bar(1, 0.3)], [Some(TRUTH), Some(TRACK)]);
        assert_eq!(bar(2, 0.0), Some(TRACK));
    }

    #[test]
    fn nothing_is_drawn_outside_of_a_panel() {
        let canvas = panel_sheet(&[panel(None), panel(None)]).unwrap();
        for y in 0..canvas.height() {
            for x in (0..MARGIN).chain(238..266).chain(canvas.width() - MARGIN..canvas.width()) {
                assert_eq!(canvas.pixel(x, y), Some(BACKGROUND), "{x} {y}");
            }
        }
    }

    #[test]
    fn a_row_has_four_panels() {
        let panels = vec![panel(None); 5];
        let canvas = panel_sheet(&panels).unwrap();
        assert_eq!((canvas.width(), canvas.height()), (4 * 252, 2 * 364));
    }
}
