//! Whether the padding of subsampled colour shows in the last column and row of what zune-jpeg 0.5.15 decodes.
//!
//! Of a subsampled component, blocks that reach over the edge of the picture are padded; with what, is the encoder's choice
//! (T.81, A.2.4), and decoders have to ignore it. zune-jpeg interpolates with it: a quarter of the colour of the last
//! column and row is the padding's. Most encoders repeat the last sample, and then it is that sample but for the losses of
//! compression. What the last sample was can be told from the two columns before it.

use super::structure::Structure;

/// How far a chroma value may be from what it would be without padding. Compressed photographs reach 5, and rounding 2.
const LEAK: f32 = 8.0;

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

    /// Whether padding shows in `pixels`, `[height, width, 3]`, which were YCbCr.
    pub fn shows_padding(&self, pixels: &[u8]) -> bool {
        let along = |axis: usize| {
            // Steps between the lines and along them.
            let steps = [3, 3 * self.width];
            let [sides, other] =
                [[self.width, self.height], [self.height, self.width]].map(|sides| sides[axis]);
            let line = |back: usize, at: usize| {
                chroma(&pixels[(sides - back) * steps[axis] + at * steps[1 - axis]..])
            };
            (0..other).any(|at| {
                let earlier = line(if sides > 2 { 3 } else { 2 }, at);
                // Where a colour is at its limit, nothing can be told.
                let (Some(last), Some(before), Some(earlier)) = (line(1, at), line(2, at), earlier) else {
                    return false;
                };
                (0..2).any(|c| (last[c] - (3.0 * before[c] - earlier[c]) / 2.0).abs() > LEAK)
            })
        };
        (0..2).any(|axis| self.pads(axis) && along(axis))
    }
}

/// Cb and Cr of a pixel, less 128 (T.871, 7), unless it was cut off.
fn chroma(pixel: &[u8]) -> Option<[f32; 2]> {
    if pixel[..3].iter().any(|value| matches!(value, 0 | 255)) {
        return None;
    }
    let [r, g, b] = [pixel[0], pixel[1], pixel[2]].map(f32::from);
    Some([-0.168_736 * r - 0.331_264 * g + 0.5 * b, 0.5 * r - 0.418_688 * g - 0.081_312 * b])
}
