//! Whether the padding of subsampled colour shows in the last column and row of what zune-jpeg 0.5.15 decodes.
//!
//! Of a subsampled component, blocks that reach over the edge of the image are padded; with what, is the encoder's choice
//! (T.81, A.2.4), and decoders have to ignore it. zune-jpeg interpolates with it: a quarter of the colour of the last
//! column and row is the padding's. Most encoders repeat the last sample, and then it is that sample except for the losses of
//! compression. The last sample can be estimated from the two columns before it.

use super::structure::Structure;

/// How far a chroma value may be from what it would be without padding; twice as far in the last corner. Compressed
/// photographs reach 5, and rounding 2.
const LEAK: f32 = 8.0;

/// Up to this side every pixel counts, and decoding twice costs nothing: half as far.
const SMALL: usize = 64;

impl Structure {
    /// Whether padding is next to the last column (0) or row (1), or any, of a component that is upsampled.
    fn pads(&self, axis: usize) -> bool {
        let sides = [self.width, self.height];
        // Of an odd number of pixels, the last lies nearer to the sample before.
        self.components.iter().any(|component| {
            let is_halved = [component.h, component.v][axis] < self.most[axis];
            is_halved && !component.size[axis].is_multiple_of(8) && sides[axis].is_multiple_of(2)
        })
    }

    /// Whether padding can show at all.
    pub fn has_padding(&self) -> bool {
        self.pads(0) || self.pads(1)
    }

    /// Whether padding may show in `pixels`, `[height, width, 3]`, whose chroma `chroma` gives.
    pub fn shows_padding(&self, pixels: &[u8], chroma: fn(&[u8]) -> Chroma) -> bool {
        let leak = if self.width.min(self.height) <= SMALL { LEAK / 2.0 } else { LEAK };
        let along = |axis: usize| {
            // Steps between the lines and along them.
            let steps = [3, 3 * self.width];
            let [sides, other] =
                [[self.width, self.height], [self.height, self.width]].map(|sides| sides[axis]);
            let line = |back: usize, at: usize| {
                chroma(&pixels[(sides - back) * steps[axis] + at * steps[1 - axis]..])
            };
            (0..other).any(|at| {
                let (last, before, earlier) =
                    (line(1, at), line(2, at), line(if sides > 2 { 3 } else { 2 }, at));
                let is_limited = last.is_limited || before.is_limited || earlier.is_limited;
                let most = if is_limited { leak / 2.0 } else { leak };
                let differs = |c: usize| (last.c[c] - (3.0 * before.c[c] - earlier.c[c]) / 2.0).abs() > most;
                differs(0) || differs(1)
            })
        };
        (0..2).any(|axis| self.pads(axis) && along(axis))
    }
}

/// Cb and Cr of a pixel, less 128.
pub struct Chroma {
    c: [f32; 2],
    /// Whether a colour may have been cut off, so that they are not what they were.
    is_limited: bool,
}

/// Of red, green and blue (T.871, 7).
pub fn of_rgb(pixel: &[u8]) -> Chroma {
    let [r, g, b] = [pixel[0], pixel[1], pixel[2]].map(f32::from);
    Chroma {
        c: [-0.168_736 * r - 0.331_264 * g + 0.5 * b, 0.5 * r - 0.418_688 * g - 0.081_312 * b],
        is_limited: pixel[..3].iter().any(|value| matches!(value, 0 | 255)),
    }
}

/// Of Y, Cb and Cr as they are.
pub fn of_samples(pixel: &[u8]) -> Chroma {
    Chroma { c: [f32::from(pixel[1]) - 128.0, f32::from(pixel[2]) - 128.0], is_limited: false }
}
