//! The way through the pixels of an image that is stored turned or mirrored, row by row of what is seen.

use image::metadata::Orientation;

/// Where an upright image's pixels lie in one stored otherwise: pixel (y, x) is at `first + y * down + x * right`.
pub(super) struct Walk {
    first: isize,
    down: isize,
    right: isize,
}

impl Walk {
    /// The walk through a stored image of `width` x `height`.
    pub fn new(orientation: Orientation, width: isize, height: isize) -> Walk {
        let (top_right, bottom_left, last) = (width - 1, (height - 1) * width, height * width - 1);
        let (first, down, right) = match orientation {
            Orientation::NoTransforms => (0, width, 1),
            Orientation::FlipHorizontal => (top_right, width, -1),
            Orientation::Rotate180 => (last, -width, -1),
            Orientation::FlipVertical => (bottom_left, -width, 1),
            // The first pixel of what is seen is the last of the first stored column, then it goes up.
            Orientation::Rotate90 => (bottom_left, 1, -width),
            Orientation::Rotate90FlipH => (0, 1, width),
            Orientation::Rotate270 => (top_right, -1, width),
            Orientation::Rotate270FlipH => (last, -1, -width),
        };
        Walk { first, down, right }
    }

    /// One value per pixel, row by row of what is seen.
    pub fn copy<const N: usize>(
        &self,
        pixels: &[u8],
        plane: &mut [u8],
        width: usize,
        value: impl Fn(&[u8; N]) -> u8,
    ) {
        let (pixels, _) = pixels.as_chunks::<N>();
        for (y, row) in plane.chunks_exact_mut(width.max(1)).enumerate() {
            let start = self.first + y as isize * self.down;
            if self.right == 1 {
                let start = start as usize;
                for (out, pixel) in row.iter_mut().zip(&pixels[start..]) {
                    *out = value(pixel);
                }
            } else {
                for (x, out) in row.iter_mut().enumerate() {
                    *out = value(&pixels[(start + x as isize * self.right) as usize]);
                }
            }
        }
    }
}
