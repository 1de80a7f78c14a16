//! The mapping from a stored image (bytes) to a network input: crop, orientation and colour. A [`View`] is plain data. The
//! host draws it with Philox for every sample, and the operator `augment` applies it on the device, so that every executor
//! samples exactly the same positions.
//!
//! Positions are fixed-point numbers: integer arithmetic selects the pixels, so rounding cannot make executors differ.

mod augment;
mod geometry;

pub use augment::{Augment, Crop, Principal};
pub use geometry::{Geometry, Rules};

use bytemuck::{Pod, Zeroable};

/// The table entry of one sample: 32 words of 4 bytes, with the same layout as in `shaders/augment/augment.wgsl`.
///
/// Element (c, oy, ox) of the network input is 0 if `cut` covers (oy, ox), else `gain[c] * v[c] + bias[c]`, where v is
/// the image's colour p at (sy, sx), transformed by `colour` if `recolour` is not 0.
///
/// * Position: sx = `x[0]` ox + `x[1]` oy + `x[2]`, sy = `y[0]` ox + `y[1]` oy + `y[2]`, both in 1/65536 of a pixel. The
///   centre of the first pixel is at 0.
/// * Colour: p is interpolated bilinearly. With column i = floor(sx / 65536), fraction f = sx / 65536 - i, rows likewise,
///   p = (1 - fy) ((1 - fx) `p[i_y][i_x]` + fx `p[i_y][i_x + 1]`) + fy (the same one row below). Columns and rows
///   beyond the border are clamped to it.
/// * `colour`: `v[c]` = clamp(sum over k of `colour[c][k] p[k] + colour[c][3]`, 0, 255). A grey image has
///   `p[0] = p[1] = p[2]`. It is always used if image and input differ in their channels.
#[derive(Clone, Copy, Debug, PartialEq, Pod, Zeroable)]
#[repr(C)]
pub struct View {
    pub x: [i32; 3],
    pub y: [i32; 3],
    /// Top, left, bottom, right of the part of the input that is set to 0; bottom and right are exclusive.
    pub cut: [u32; 4],
    /// One row per channel of the input: factors of red, green and blue (0 to 255), and an offset.
    pub colour: [[f32; 4]; 3],
    pub gain: [f32; 3],
    pub bias: [f32; 3],
    /// Whether `colour` is used.
    pub recolour: u32,
    pub reserved: [u32; 3],
}

/// One pixel in fixed-point units.
pub const PIXEL: f64 = 65536.0;

/// Longest side of a stored image or an input, so that positions fit 32 bits under any rotation or zoom.
pub const MAX_SIDE: usize = 4096;

/// Weights of red, green and blue in luma (ITU-R BT.601, as in PIL and torchvision).
pub const LUMA: [f32; 3] = [0.299, 0.587, 0.114];

/// A part of a stored image, in pixels. (0, 0) is the image's corner, not the centre of its first pixel.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Window {
    pub top: f64,
    pub left: f64,
    pub height: f64,
    pub width: f64,
    /// Rotation of the content, counter-clockwise about the window's centre, in degrees.
    pub angle: f64,
    /// Whether the content is mirrored left to right.
    pub mirror: bool,
}

impl View {
    /// Length of a table entry in 4-byte words.
    pub const WORDS: usize = 32;

    /// The table of a batch as `Executor::write` takes it. Not every word is a meaningful float.
    pub fn as_words(views: &[View]) -> &[f32] {
        bytemuck::cast_slice(views)
    }

    /// A view that sets every element to 0, for rows that only pad a batch.
    pub fn blank() -> View {
        View { cut: [0, 0, u32::MAX, u32::MAX], ..Zeroable::zeroed() }
    }

    /// Resamples `window` to an input of `[height, width]` with unchanged colours (0 to 255).
    pub fn new(window: &Window, [height, width]: [usize; 2]) -> View {
        let (sin, cos) = window.angle.to_radians().sin_cos();
        let (step_x, step_y) = (window.width / width as f64, window.height / height as f64);
        let mirror = if window.mirror { -1.0 } else { 1.0 };
        // Maps offsets from the input's centre (u, v), in input pixels, to the image: rotation first, then scale. Rows
        // count downwards, so this matrix rotates the content counter-clockwise.
        let matrix = [[cos * mirror * step_x, -sin * step_x], [sin * mirror * step_y, cos * step_y]];
        let centre = [window.left + window.width / 2.0, window.top + window.height / 2.0];
        let first = [0.5 - width as f64 / 2.0, 0.5 - height as f64 / 2.0];
        let row = |i: usize| {
            // Rounded steps start from the centre, so that mirroring is exact and the error at the ends is minimal.
            let [a, b] = matrix[i].map(|step| (step * PIXEL).round());
            let start = (centre[i] - 0.5) * PIXEL + a * first[0] + b * first[1];
            [a, b, (start + 0.5).floor()].map(|value| value as i32)
        };
        View { x: row(0), y: row(1), gain: [1.0; 3], ..Zeroable::zeroed() }
    }

    /// Adds the normalisation (v * scale - mean) / std; `mean` and `std` have one number per channel of the input, at most
    /// 3.
    pub fn normalised(mut self, scale: f32, mean: &[f32], std: &[f32]) -> View {
        for (c, (mean, std)) in mean.iter().zip(std).take(3).enumerate() {
            let (scale, mean, std) = (f64::from(scale), f64::from(*mean), f64::from(*std));
            self.gain[c] = (scale / std) as f32;
            self.bias[c] = (-mean / std) as f32;
        }
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WHOLE: Window = Window { top: 0.0, left: 0.0, height: 8.0, width: 8.0, angle: 0.0, mirror: false };

    fn position(view: &View, oy: i32, ox: i32) -> [f64; 2] {
        [view.y, view.x].map(|[a, b, c]| f64::from(a * ox + b * oy + c) / PIXEL)
    }

    #[test]
    fn the_whole_window_is_the_identity_and_mirroring_reverses_it() {
        let view = View::new(&WHOLE, [8, 8]);
        assert_eq!((position(&view, 0, 0), position(&view, 3, 5)), ([0.0, 0.0], [3.0, 5.0]));
        let mirrored = View::new(&Window { mirror: true, ..WHOLE }, [8, 8]);
        assert_eq!((position(&mirrored, 0, 0), position(&mirrored, 3, 5)), ([0.0, 7.0], [3.0, 2.0]));
    }

    #[test]
    fn a_rotation_by_90_degrees_puts_the_right_edge_on_top() {
        let view = View::new(&Window { angle: 90.0, ..WHOLE }, [8, 8]);
        assert_eq!((position(&view, 0, 0), position(&view, 0, 7)), ([0.0, 7.0], [7.0, 7.0]));
    }

    #[test]
    fn mirroring_is_exact_and_positions_are_off_by_at_most_the_rounding_over_half_the_input() {
        for (side, left, width) in
            [(224, 17.3, 171.9), (227, 0.0, 100.0), (1000, 3.7, 999.0), (61, -8.25, 13.1)]
        {
            let part = Window { left, width, top: -1.5, height: 77.7, ..WHOLE };
            let view = View::new(&part, [side; 2]);
            let mirrored = View::new(&Window { mirror: true, ..part }, [side; 2]);
            for ox in 0..side as i32 {
                let [y, x] = position(&view, 5, ox);
                assert_eq!(position(&mirrored, 5, side as i32 - 1 - ox), [y, x], "{side}: {ox}");
                let exact = left + (f64::from(ox) + 0.5) * width / side as f64 - 0.5;
                assert!((x - exact).abs() * PIXEL <= 0.5 + side as f64 / 4.0, "{side}, {ox}: {x} {exact}");
            }
        }
    }

    #[test]
    fn a_part_is_stretched_over_the_input() {
        let part = Window { top: 2.0, left: 4.0, height: 2.0, width: 4.0, ..WHOLE };
        let view = View::new(&part, [4, 4]);
        assert_eq!((position(&view, 0, 0), position(&view, 3, 3)), ([1.75, 4.0], [3.25, 7.0]));
    }

    #[test]
    fn a_table_entry_has_no_padding() {
        assert_eq!(std::mem::size_of::<View>(), View::WORDS * 4);
        assert_eq!(View::new(&WHOLE, [8, 8]).normalised(0.5, &[1.0], &[2.0]).gain, [0.25, 1.0, 1.0]);
    }
}
