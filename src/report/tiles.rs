//! Sheets of many small images of numbers: kernels of a convolution, feature maps of a layer.

use super::canvas::{Canvas, Colour, Font, RgbImage};
use crate::error::{Error, Result};

/// Pixels between two tiles and around the sheet.
const GAP: usize = 4;

/// Approximate default width of a sheet in pixels.
const WIDTH: usize = 1000;

/// Default limit of a tile's longer side in pixels.
const MOST_SIDE: usize = 224;

/// Font size and line height of the caption.
const LETTERS: f32 = 16.0;
const LINE: usize = 26;

/// Most tiles of a sheet; more would be unreadable.
const MOST_TILES: usize = 1024;

/// Sizes of groups that are kept together in rows.
const GROUP: std::ops::RangeInclusive<usize> = 8..=64;

const BACKGROUND: Colour = [255; 3];
const INK: Colour = [32, 32, 32];

/// The value range that is mapped to black and white.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TileScale {
    /// Minimum and maximum of each tile.
    #[default]
    Each,
    /// Minimum and maximum of all tiles.
    Together,
}

/// The layout of a sheet.
#[derive(Clone, Debug, Default)]
pub struct TilesLayout {
    pub scale: TileScale,
    /// Tiles per row; by default 16 if there are many, as in figure 3 of the AlexNet paper.
    pub columns: Option<usize>,
    /// Number of consecutive tiles that belong together. If `columns` is not set and a group has 8 to 64 tiles, rows hold
    /// whole groups.
    pub group: Option<usize>,
    /// Pixels per value; by default the sheet is about 1000 pixels wide.
    pub zoom: Option<usize>,
    /// A line above the tiles.
    pub caption: Option<String>,
}

/// Small images of one size, as numbers.
#[derive(Clone, Debug, PartialEq)]
pub struct Tiles {
    /// Channels (3: colour, 1: grey), height and width of each tile.
    pub shape: [usize; 3],
    /// `[tiles, channels, height, width]`.
    pub values: Vec<f32>,
}

/// A finished sheet.
#[derive(Clone, Debug)]
pub struct TileSheet {
    pub canvas: Canvas,
    /// Number of tiles shown, and in total.
    pub shown: usize,
    pub tiles: usize,
    /// Minimum and maximum of the finite values shown.
    pub range: [f32; 2],
    /// Number of values shown that are not finite.
    pub not_finite: usize,
}

impl Tiles {
    /// Number of tiles.
    pub fn len(&self) -> usize {
        self.values.len().checked_div(self.shape.iter().product()).unwrap_or(0)
    }

    /// True if there are no tiles.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Draws the tiles, at most 1024 of them, row by row. `beside` is an optional image to the left of them.
    pub fn draw(&self, layout: &TilesLayout, beside: Option<&RgbImage>) -> Result<TileSheet> {
        let [channels, height, width] = self.shape;
        if self.is_empty() || !matches!(channels, 1 | 3) {
            return Err(Error::Usage(format!(
                "tiles: expected tiles with 1 or 3 channels, found {} with {channels}",
                self.len()
            )));
        }
        let shown = self.len().min(MOST_TILES);
        let columns = layout.columns.unwrap_or_else(|| columns(shown, layout.group)).clamp(1, shown);
        let zoom = layout.zoom.unwrap_or_else(|| {
            let (room, wide) = (WIDTH.saturating_sub((columns + 1) * GAP), columns * width);
            ((room + wide / 2) / wide).min(MOST_SIDE / width.max(height)).max(1)
        });
        let too_large = || Error::Usage(format!("zoom {zoom}: tiles of {height} x {width} become too large"));
        let tile_width = width.checked_mul(zoom).ok_or_else(too_large)?;
        let tile_height = height.checked_mul(zoom).ok_or_else(too_large)?;
        let along = |count: usize, side: usize| side.checked_add(GAP)?.checked_mul(count)?.checked_add(GAP);
        let across = along(columns, tile_width).ok_or_else(too_large)?;
        let down = along(shown.div_ceil(columns), tile_height).ok_or_else(too_large)?;
        let left = beside.map_or(0, |image| image.width + 2 * GAP);
        let top = if layout.caption.is_some() { LINE } else { 0 };
        let high = down.max(beside.map_or(0, |image| image.height + 2 * GAP));
        let mut canvas = Canvas::new(left.saturating_add(across), top.saturating_add(high), BACKGROUND)?;
        if let Some(caption) = &layout.caption {
            let font = Font::sans()?;
            let text = font.fitted(caption, LETTERS, canvas.width().saturating_sub(2 * GAP) as f32);
            canvas.text(&font, &text, [GAP as f32, 5.0], LETTERS, INK);
        }
        if let Some(image) = beside {
            canvas.draw([GAP, top + GAP], image);
        }
        let size = channels * height * width;
        let values = &self.values[..shown * size];
        let range = range(values);
        for (number, tile) in values.chunks_exact(size).enumerate() {
            let own = match layout.scale {
                TileScale::Each => self::range(tile),
                TileScale::Together => range,
            };
            let (row, column) = (number / columns, number % columns);
            let at = [left + GAP + column * (tile_width + GAP), top + GAP + row * (tile_height + GAP)];
            canvas.draw(at, &painted(tile, self.shape, own).scaled(tile_width, tile_height));
        }
        let not_finite = values.iter().filter(|value| !value.is_finite()).count();
        Ok(TileSheet { canvas, shown, tiles: self.len(), range, not_finite })
    }
}

/// Default number of tiles per row.
fn columns(tiles: usize, group: Option<usize>) -> usize {
    let many = match tiles {
        0..=8 => tiles,
        9..48 => 8,
        48..=256 => 16,
        _ => 32,
    };
    match group.filter(|group| GROUP.contains(group)) {
        Some(group) => (many / group).max(1) * group,
        None => many,
    }
}

/// Minimum and maximum of the finite values; two zeros if there are none.
pub fn range(values: &[f32]) -> [f32; 2] {
    let finite = values.iter().copied().filter(|value| value.is_finite());
    finite
        .fold(None, |range: Option<[f32; 2]>, value| {
            let [least, most] = range.unwrap_or([value; 2]);
            Some([least.min(value), most.max(value)])
        })
        .unwrap_or_default()
}

/// Maps `[channels, height, width]` values to colours, `least` to 0 and `most` to 255. Non-finite values, and all values if
/// the range is empty, become mid-grey.
fn painted(values: &[f32], [channels, height, width]: [usize; 3], [least, most]: [f32; 2]) -> RgbImage {
    let plane = height * width;
    let byte = |value: f32| {
        // In f64, where the difference of two f32 cannot overflow.
        let share = (f64::from(value) - f64::from(least)) / (f64::from(most) - f64::from(least));
        if share.is_finite() { (share * 255.0).round().clamp(0.0, 255.0) as u8 } else { 128 }
    };
    let colour = |at: usize| [0, 1, 2].map(|c| byte(values[(c % channels) * plane + at]));
    RgbImage { width, height, pixels: (0..plane).flat_map(colour).collect() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_tile_is_scaled_alone_or_all_together() {
        let tiles = Tiles { shape: [1, 1, 2], values: vec![0.0, 1.0, 2.0, 4.0] };
        let layout = TilesLayout { zoom: Some(3), ..TilesLayout::default() };
        let each = tiles.draw(&layout, None).unwrap();
        assert_eq!((each.canvas.width(), each.canvas.height()), (2 * 6 + 3 * GAP, 3 + 2 * GAP));
        let row = |sheet: &TileSheet| {
            let at = [GAP, GAP + 3, 2 * GAP + 6, 2 * GAP + 9];
            at.map(|x| sheet.canvas.pixel(x, GAP + 1).unwrap()[0])
        };
        assert_eq!(row(&each), [0, 255, 0, 255]);
        let together = tiles.draw(&TilesLayout { scale: TileScale::Together, ..layout }, None).unwrap();
        assert_eq!(row(&together), [0, 64, 128, 255]);
        assert_eq!(together.range, [0.0, 4.0]);
    }

    #[test]
    fn non_finite_and_constant_values_are_grey() {
        let tiles = Tiles { shape: [1, 1, 2], values: vec![3.0, 3.0, f32::NAN, f32::INFINITY] };
        let layout = TilesLayout { zoom: Some(1), ..TilesLayout::default() };
        let sheet = tiles.draw(&layout, None).unwrap();
        assert_eq!(sheet.canvas.pixel(GAP, GAP), Some([128; 3]));
        assert_eq!(sheet.canvas.pixel(2 * GAP + 2, GAP), Some([128; 3]));
        assert_eq!((sheet.range, sheet.not_finite), ([3.0, 3.0], 2));
    }

    #[test]
    fn ninety_six_kernels_are_six_rows_of_sixteen_about_a_thousand_pixels_wide() {
        let tiles = Tiles { shape: [3, 11, 11], values: vec![0.5; 96 * 363] };
        let sheet = tiles.draw(&TilesLayout::default(), None).unwrap();
        let (tile, canvas) = (55, &sheet.canvas);
        assert_eq!((canvas.width(), canvas.height()), (16 * (tile + GAP) + GAP, 6 * (tile + GAP) + GAP));
    }

    #[test]
    fn extreme_sizes_are_errors() {
        let tiles = Tiles { shape: [1, 2, 2], values: vec![0.0; 4 * 3000] };
        for zoom in [usize::MAX, 1 << 40, 100_000] {
            let layout =
                TilesLayout { zoom: Some(zoom), columns: Some(usize::MAX), ..TilesLayout::default() };
            assert_eq!(tiles.draw(&layout, None).unwrap_err().exit_code(), 2, "{zoom}");
        }
        let sheet = tiles.draw(&TilesLayout::default(), None).unwrap();
        assert_eq!((sheet.shown, sheet.tiles), (1024, 3000));
    }
}
