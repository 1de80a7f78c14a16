//! The colours of charts.

use plotters::style::RGBColor;

/// A colour: red, green, blue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rgb(pub [u8; 3]);

pub(super) const WHITE: Rgb = Rgb([255, 255, 255]);
/// Titles, names, axes and the lines of a grid.
pub(super) const INK: Rgb = Rgb([31, 41, 55]);
pub(super) const SOFT: Rgb = Rgb([75, 85, 99]);
pub(super) const GRID: Rgb = Rgb([223, 227, 232]);
/// Right answers and validation; wrong answers and training. Blue and orange look different to everybody.
pub(super) const FIRST: Rgb = Rgb([0, 114, 178]);
pub(super) const SECOND: Rgb = Rgb([213, 94, 0]);

/// Colours of runs that are compared (Okabe and Ito 2008, with black in place of yellow, which is pale on white).
const RUNS: [Rgb; 8] = [
    FIRST,
    SECOND,
    Rgb([0, 158, 115]),
    Rgb([204, 121, 167]),
    Rgb([230, 159, 0]),
    Rgb([86, 180, 233]),
    Rgb([0, 0, 0]),
    Rgb([138, 111, 209]),
];

impl Rgb {
    /// The colour of validation, and that of training.
    pub const VALIDATION: Rgb = FIRST;
    pub const TRAINING: Rgb = SECOND;

    /// The colour of run `number`; they repeat after eight.
    pub fn of_run(number: usize) -> Rgb {
        RUNS[number % RUNS.len()]
    }

    /// As CSS writes it.
    pub fn css(self) -> String {
        let [red, green, blue] = self.0;
        format!("#{red:02x}{green:02x}{blue:02x}")
    }

    pub(super) fn rgb(self) -> RGBColor {
        let [red, green, blue] = self.0;
        RGBColor(red, green, blue)
    }

    /// The colour on the way from white (0) to this (1).
    pub(super) fn tint(self, share: f64) -> Rgb {
        Rgb(self.0.map(|part| (255.0 - share.clamp(0.0, 1.0) * (255.0 - f64::from(part))).round() as u8))
    }
}
