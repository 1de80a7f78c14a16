//! An RGB canvas for filled areas, images, and antialiased text in DejaVu Sans.

use crate::error::{Error, Result};
use ab_glyph::{Font as _, FontRef, PxScale, ScaleFont as _, point};
use image::codecs::png::PngEncoder;
use image::{ExtendedColorType, ImageEncoder};

/// Red, green, blue.
pub type Colour = [u8; 3];

/// Most pixels of a canvas, which keeps its memory below 200 MB.
const MOST_PIXELS: usize = 64_000_000;

/// An RGB image of 8 bits per channel, `[height, width, 3]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RgbImage {
    pub width: usize,
    pub height: usize,
    pub pixels: Vec<u8>,
}

impl RgbImage {
    /// Resizes the image. Each pixel is the mean over the area that it covers, so that enlarging repeats pixels and
    /// reducing skips none.
    pub fn scaled(&self, width: usize, height: usize) -> RgbImage {
        let (from_columns, from_rows) = (spans(self.width, width), spans(self.height, height));
        let mut pixels = Vec::with_capacity(width * height * 3);
        for rows in &from_rows {
            for columns in &from_columns {
                let (mut sum, mut area) = ([0.0f32; 3], 0.0f32);
                for &(y, high) in rows {
                    for &(x, wide) in columns {
                        let at = (y * self.width + x) * 3;
                        for (sum, &value) in sum.iter_mut().zip(&self.pixels[at..at + 3]) {
                            *sum += f32::from(value) * high * wide;
                        }
                        area += high * wide;
                    }
                }
                pixels.extend(sum.map(|sum| (sum / area + 0.5) as u8));
            }
        }
        RgbImage { width, height, pixels }
    }

    /// Encodes the image as a PNG file.
    pub fn png(&self) -> Result<Vec<u8>> {
        let RgbImage { width, height, pixels } = self;
        let mut bytes = Vec::new();
        PngEncoder::new(&mut bytes)
            .write_image(pixels, *width as u32, *height as u32, ExtendedColorType::Rgb8)
            .map_err(|error| Error::Internal(format!("PNG: {error}")))?;
        Ok(bytes)
    }

    /// The middle `width` x `height` pixels, or as many as there are.
    pub fn middle(&self, width: usize, height: usize) -> RgbImage {
        let (width, height) = (width.min(self.width), height.min(self.height));
        let (left, top) = ((self.width - width) / 2, (self.height - height) / 2);
        let row = |y: usize| {
            let at = ((top + y) * self.width + left) * 3;
            self.pixels[at..at + 3 * width].iter().copied()
        };
        RgbImage { width, height, pixels: (0..height).flat_map(row).collect() }
    }

    /// Resizes the image to the largest size within `side` x `side` pixels, with its aspect ratio.
    pub fn within(&self, side: usize) -> RgbImage {
        let longest = self.width.max(self.height).max(1);
        let length = |own: usize| (own * side).div_ceil(longest).clamp(1, side.max(1));
        self.scaled(length(self.width), length(self.height))
    }
}

/// For each of `to` pixels, the source pixels (of `from`) that it covers, with the covered length of each.
fn spans(from: usize, to: usize) -> Vec<Vec<(usize, f32)>> {
    // In integers: a source pixel has length `to`, a target pixel length `from`.
    let span = |pixel: usize| {
        let (start, end) = (pixel * from, (pixel + 1) * from);
        let covered = |i: usize| (end.min((i + 1) * to) - start.max(i * to)) as f32;
        (start / to..end.div_ceil(to)).map(|i| (i, covered(i))).collect()
    };
    (0..to).map(span).collect()
}

/// A font that ships with the program.
#[derive(Debug)]
pub struct Font(FontRef<'static>);

impl Font {
    /// DejaVu Sans.
    pub fn sans() -> Result<Font> {
        Font::parse(dejavu::sans::regular())
    }

    /// DejaVu Sans Bold.
    pub fn bold() -> Result<Font> {
        Font::parse(dejavu::sans::bold())
    }

    fn parse(data: &'static [u8]) -> Result<Font> {
        FontRef::try_from_slice(data).map(Font).map_err(|e| Error::Internal(format!("font: {e}")))
    }

    /// Width of `text` in pixels, `size` pixels high.
    pub fn width(&self, text: &str, size: f32) -> f32 {
        let font = self.0.as_scaled(PxScale::from(size));
        text.chars().map(|c| font.h_advance(font.glyph_id(c))).sum()
    }

    /// Shortens `text` with an ellipsis if it is wider than `width` pixels.
    pub fn fitted(&self, text: &str, size: f32, width: f32) -> String {
        if self.width(text, size) <= width {
            return text.to_string();
        }
        // Names may have any length; no line of an image shows more than this.
        const MOST: usize = 1000;
        let mut kept: Vec<char> = text.chars().take(MOST).collect();
        while !kept.is_empty() {
            kept.pop();
            let short: String = kept.iter().collect::<String>().trim_end().to_string() + "…";
            if self.width(&short, size) <= width {
                return short;
            }
        }
        String::new()
    }
}

/// An RGB image to draw on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Canvas {
    image: RgbImage,
}

impl Canvas {
    /// Creates `width` x `height` pixels of one colour. No pixels, or too many, are an error.
    pub fn new(width: usize, height: usize, colour: Colour) -> Result<Canvas> {
        match width.checked_mul(height) {
            Some(count @ 1..=MOST_PIXELS) => {
                let pixels = colour.iter().copied().cycle().take(count * 3).collect();
                Ok(Canvas { image: RgbImage { width, height, pixels } })
            }
            _ => Err(Error::Usage(format!(
                "image: expected 1 to {MOST_PIXELS} pixels, found {width} x {height}; reduce zoom"
            ))),
        }
    }

    pub fn width(&self) -> usize {
        self.image.width
    }

    pub fn height(&self) -> usize {
        self.image.height
    }

    /// The colour at column `x` and row `y`.
    pub fn pixel(&self, x: usize, y: usize) -> Option<Colour> {
        let at = (x < self.width() && y < self.height()).then(|| (y * self.width() + x) * 3)?;
        self.image.pixels.get(at..at + 3)?.try_into().ok()
    }

    /// Fills a rectangle with the top left corner `[x, y]`, clipped to the canvas.
    pub fn fill(&mut self, [x, y]: [usize; 2], [width, height]: [usize; 2], colour: Colour) {
        for row in y..(y + height).min(self.height()) {
            for column in x..(x + width).min(self.width()) {
                self.set(column, row, colour, 1.0);
            }
        }
    }

    /// Draws `image` with its top left corner at `[x, y]`, clipped to the canvas.
    pub fn draw(&mut self, [x, y]: [usize; 2], image: &RgbImage) {
        let rows = image.pixels.chunks_exact(image.width.max(1) * 3);
        for (row, pixels) in rows.enumerate() {
            for (column, colour) in pixels.as_chunks::<3>().0.iter().enumerate() {
                self.set(x + column, y + row, *colour, 1.0);
            }
        }
    }

    /// Writes one line of text, `size` pixels high, with its top left corner at `[x, y]`.
    pub fn text(&mut self, font: &Font, text: &str, [x, y]: [f32; 2], size: f32, colour: Colour) {
        let scale = PxScale::from(size);
        let scaled = font.0.as_scaled(scale);
        let (mut right, baseline) = (x, y + scaled.ascent());
        for c in text.chars() {
            let id = scaled.glyph_id(c);
            let glyph = id.with_scale_and_position(scale, point(right, baseline));
            right += scaled.h_advance(id);
            let Some(outline) = font.0.outline_glyph(glyph) else { continue };
            let corner = outline.px_bounds().min;
            outline.draw(|dx, dy, cover| {
                let (column, row) = (corner.x + dx as f32, corner.y + dy as f32);
                if column >= 0.0 && row >= 0.0 {
                    self.set(column as usize, row as usize, colour, cover);
                }
            });
        }
    }

    /// Writes one line of text, shortened to `width` pixels and centred in them.
    pub fn centred(
        &mut self,
        font: &Font,
        text: &str,
        [x, y]: [f32; 2],
        width: f32,
        size: f32,
        colour: Colour,
    ) {
        let text = font.fitted(text, size, width);
        let indent = (width - font.width(&text, size)) / 2.0;
        self.text(font, &text, [x + indent.max(0.0), y], size, colour);
    }

    /// Encodes the canvas as a PNG file.
    pub fn png(&self) -> Result<Vec<u8>> {
        self.image.png()
    }

    /// Blends `colour` into a pixel with the opacity `share` (0 to 1), if the pixel is on the canvas.
    fn set(&mut self, x: usize, y: usize, colour: Colour, share: f32) {
        if x >= self.image.width || y >= self.image.height {
            return;
        }
        let at = (y * self.image.width + x) * 3;
        let share = share.clamp(0.0, 1.0);
        for (old, new) in self.image.pixels[at..at + 3].iter_mut().zip(colour) {
            *old = (f32::from(*old) * (1.0 - share) + f32::from(new) * share + 0.5) as u8;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WHITE: Colour = [255; 3];

    #[test]
    fn the_middle_of_an_image_is_cut_out() {
        let pixels = (0..5 * 4u8).flat_map(|at| [at; 3]).collect();
        let image = RgbImage { width: 5, height: 4, pixels };
        let middle = image.middle(3, 2);
        assert_eq!((middle.width, middle.height), (3, 2));
        assert_eq!(middle.pixels.iter().step_by(3).copied().collect::<Vec<_>>(), [6, 7, 8, 11, 12, 13]);
        assert_eq!(image.middle(9, 9), image);
    }

    #[test]
    fn text_is_drawn_where_its_width_says_and_nowhere_else() {
        let font = Font::sans().unwrap();
        let mut canvas = Canvas::new(200, 40, WHITE).unwrap();
        canvas.text(&font, "leopard", [20.0, 10.0], 16.0, [0; 3]);
        let width = font.width("leopard", 16.0);
        assert!((50.0..80.0).contains(&width), "{width}");
        let dark = (0..40)
            .flat_map(|y| (0..200).map(move |x| [x, y]))
            .filter(|&[x, y]| canvas.pixel(x, y).unwrap()[0] < 128);
        let dark: Vec<[usize; 2]> = dark.collect();
        assert!(dark.len() > 50, "{}", dark.len());
        for [x, y] in dark {
            assert!((20..=20 + width as usize + 1).contains(&x) && (10..27).contains(&y), "{x} {y}");
        }
        // Text that runs off the canvas is cut there.
        canvas.text(&font, "leopard", [180.0, 35.0], 16.0, [0; 3]);
        canvas.text(&font, "leopard", [-30.0, -5.0], 16.0, [0; 3]);
    }

    #[test]
    fn a_long_name_ends_with_an_ellipsis_and_fits() {
        let font = Font::sans().unwrap();
        let name = "Madagascan giant day gecko of the northern forest";
        let short = font.fitted(name, 14.0, 120.0);
        assert!(short.ends_with('…') && name.starts_with(short.trim_end_matches('…')), "{short}");
        assert!(short.chars().count() > 10 && font.width(&short, 14.0) <= 120.0, "{short}");
        assert_eq!(font.fitted("gecko", 14.0, 120.0), "gecko");
        assert_eq!(font.fitted("gecko", 14.0, 1.0), "");
    }

    #[test]
    fn resizing_repeats_or_averages_pixels() {
        let image = RgbImage { width: 2, height: 1, pixels: vec![0, 10, 20, 100, 110, 120] };
        let large = image.scaled(4, 2);
        assert_eq!(large.pixels[..12], [0, 10, 20, 0, 10, 20, 100, 110, 120, 100, 110, 120]);
        assert_eq!(large.pixels[..12], large.pixels[12..]);
        assert_eq!(image.scaled(1, 1).pixels, [50, 60, 70]);
        let wide = image.within(100);
        assert_eq!((wide.width, wide.height), (100, 50));
    }

    #[test]
    fn an_empty_or_huge_canvas_is_an_error() {
        assert!(Canvas::new(0, 5, WHITE).is_err() && Canvas::new(usize::MAX, 2, WHITE).is_err());
        assert_eq!(Canvas::new(100_000, 100_000, WHITE).unwrap_err().exit_code(), 2);
    }
}
