//! Convolution by Winograd's algorithm: a quarter of the multiplications for kernels of 3 x 3, a sixth for
//! 5 x 5, at the price of transforms. All three passes, for steps of 1.
//!
//! * [`transforms`]: the algorithm itself, on vectors of tiles.
//! * [`mosaic`]: how the images of a batch are laid out in tiles.
//! * [`packed`]: the products.
//! * [`tiles`]: between images and transformed tiles.
//! * [`forward`], [`grad_weight`]: the passes.
//!
//! Rounding: at most 2e-6 of the norm of a result for 3 x 3 and 4e-6 for 5 x 5 (a test holds it to that), where a
//! direct sum errs by 2e-7 to 5e-7 and TF32 by 3e-4. Sums are cut into parts of 32 for it; in one chain they would
//! make most of the error.

mod forward;
mod grad_weight;
mod mosaic;
mod packed;
mod tiles;
mod transforms;

use mosaic::Mosaic;

use super::correlation::Correlation;
use super::windows::Windows;

/// Weights of a correlation: those of a convolution, or those that lead from dy to dx.
#[derive(Clone, Copy)]
pub struct Weights<'a> {
    /// `[groups * c_out, c_in, kernel_h, kernel_w]` of the convolution.
    pub w: &'a [f32],
    /// Whether channels are exchanged within their group and taps reversed.
    pub turned: bool,
}

/// Multiplications that transforming a value costs, fitted to the layers of `alexnet-mini`, 48 channels to 64 and more
/// being filtered: the gradient of the weights is 1.4 to 1.8 times as fast this way, the other passes 0.8 to 1.1 times.
/// From 16 channels to 48 all were slower, 0.7 to 1.0 times as fast.
const TRANSFORM: usize = 35;
/// The same for a value of the kernels.
const KERNEL: usize = 30;
/// Share of the direct computation's multiplications that this one may take at most: those of small products are slower.
const SHARE: f64 = 0.95;
/// Largest workspace, in elements: 512 MiB.
const MEMORY: usize = 1 << 27;

/// The side of a tile's values and of its outputs, if Winograd's algorithm exists for the geometry of `c`.
fn tile(c: &Correlation) -> Option<(usize, usize)> {
    let Windows { h_in, w_in, h_out, w_out, kernel, stride, dilation, origin } = c.windows;
    let (n, m) = match kernel {
        [3, 3] => (6, 4),
        [5, 5] => (8, 4),
        _ => return None,
    };
    // The first window begins at the first pixel or in the padding before it; the last one ends likewise.
    let fits = |axis: usize, inputs: usize, outputs: usize| {
        let end = outputs as isize + kernel[axis] as isize - 1 + origin[axis];
        (1 - kernel[axis] as isize..=0).contains(&origin[axis])
            && (inputs as isize..inputs as isize + kernel[axis] as isize).contains(&end)
    };
    let fits = fits(0, h_in, h_out) && fits(1, w_in, w_out);
    (stride == [1, 1] && dilation == [1, 1] && fits).then_some((n, m))
}

/// Whether Winograd's algorithm exists for the geometry of `c`.
#[cfg(test)]
pub fn knows(c: &Correlation) -> bool {
    tile(c).is_some()
}

/// Whether Winograd's algorithm exists for `c`, and faster than the direct computation.
pub fn pays(c: &Correlation) -> bool {
    let Some((n, m)) = tile(c) else { return false };
    let mosaic = Mosaic::new(&c.windows, c.batch, m);
    let tiles = mosaic.planes * mosaic.plane_tiles();
    let products = c.c_in * c.c_out;
    let filtered = n * n * (products * (tiles + KERNEL) + TRANSFORM * tiles * (c.c_in + c.c_out));
    let direct = c.batch * c.windows.outputs() * c.windows.taps() * products;
    // Sums of the weights' gradients, and the transformed inputs and outputs of some 200 tiles or of one plane.
    let together = mosaic.plane_tiles().max(192) + 64;
    let memory = c.groups * n * n * (products + together * (c.c_in + c.c_out));
    memory <= MEMORY && (filtered as f64) < SHARE * direct as f64
}

/// y = conv(x, w) (+ b) (then max(0, .)), for a geometry that is known.
pub fn forward(
    c: &Correlation,
    x: &[f32],
    w: Weights,
    b: Option<&[f32]>,
    workspace: &mut Vec<f32>,
    y: &mut [f32],
) {
    match c.windows.kernel {
        [3, 3] => forward::forward::<6, 4, 3>(c, x, w, b, workspace, y),
        _ => forward::forward::<8, 4, 5>(c, x, w, b, workspace, y),
    }
}

/// dw from x and dy, for a geometry that is known.
pub fn grad_weight(c: &Correlation, x: &[f32], dy: &[f32], workspace: &mut Vec<f32>, dw: &mut [f32]) {
    match c.windows.kernel {
        [3, 3] => grad_weight::grad_weight::<6, 4, 3>(c, x, dy, workspace, dw),
        _ => grad_weight::grad_weight::<8, 4, 5>(c, x, dy, workspace, dw),
    }
}
