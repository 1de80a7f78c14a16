//! Convolution by Winograd's algorithm, in blocks of channels: less than half to a sixth of the multiplications, at the price of
//! transforms. All three passes, for strides of 1.
//!
//! * [`transforms`]: the algorithm itself, on vectors of channels.
//! * [`mosaic`]: how the images of a batch are laid out in tiles.
//! * [`plane`]: images in planes, as tiles read them.
//! * [`over_pixels`]: y, and dx; [`grad_weight`]: dw.
//!
//! Rounding: at most 2e-6 of the norm of a result for 3 x 3 and 4e-6 for 5 x 5 (a test holds it to that), where a
//! direct sum errs by 2e-7 to 5e-7 and TF32 by 3e-4.

mod grad_weight;
mod mosaic;
mod over_pixels;
mod plane;
mod transforms;

use super::correlation::Correlation;
use super::layout::{BLOCK, Layout, Layouts};
use super::memory::Memory;
use super::options::CpuOptions;
use super::windows::Windows;
use crate::ops::Conv2d;
use mosaic::Mosaic;

/// Weights of a correlation: those of a convolution, or those that lead from dy to dx.
#[derive(Clone, Copy)]
struct Weights<'a> {
    /// `[groups * c_out, c_in, kernel_h, kernel_w]` of the convolution.
    w: &'a [f32],
    /// Whether channels are exchanged within their group and taps reversed.
    turned: bool,
}

/// A pass of a convolution.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pass {
    Forward,
    GradInput,
    GradWeight,
}

/// F(outputs of a tile along one side, taps of the kernel).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tile {
    F2x3,
    F3x3,
    F4x3,
    F2x5,
    F4x5,
}

impl Tile {
    const ALL: [Tile; 5] = [Tile::F2x3, Tile::F3x3, Tile::F4x3, Tile::F2x5, Tile::F4x5];

    /// As papers write it.
    pub fn name(self) -> String {
        let [outputs, taps] = self.sides();
        format!("F({outputs}, {taps})")
    }

    /// Outputs along one side, and taps.
    fn sides(self) -> [usize; 2] {
        match self {
            Tile::F2x3 => [2, 3],
            Tile::F3x3 => [3, 3],
            Tile::F4x3 => [4, 3],
            Tile::F2x5 => [2, 5],
            Tile::F4x5 => [4, 5],
        }
    }
}

/// Calls `$function::<N, M, R>` for a tile.
macro_rules! for_tile {
    ($tile:expr, $($function:ident)::+ ($($argument:expr),* $(,)?)) => {
        match $tile {
            Tile::F2x3 => $($function)::+::<4, 2, 3>($($argument),*),
            Tile::F3x3 => $($function)::+::<5, 3, 3>($($argument),*),
            Tile::F4x3 => $($function)::+::<6, 4, 3>($($argument),*),
            Tile::F2x5 => $($function)::+::<6, 2, 5>($($argument),*),
            Tile::F4x5 => $($function)::+::<8, 4, 5>($($argument),*),
        }
    };
}

/// Vector operations of a transform for each of a tile's N values and vector of channels.
const TRANSFORM: usize = 9;
/// The same for the kernels, for each pair of channels, in multiplications.
const KERNEL: usize = 12;
/// Share of the direct computation's operations that this one may take at most.
const SHARE: f64 = 0.9;
/// Largest workspace, in elements: 512 MiB.
const MEMORY: usize = 1 << 27;

/// Whether the algorithm exists for the geometry of `c` with this tile.
pub fn knows(c: &Correlation, tile: Tile) -> bool {
    let Windows { h_in, w_in, h_out, w_out, kernel, stride, dilation, origin } = c.windows;
    let [_, taps] = tile.sides();
    // The first window begins at the first pixel or in the padding before it; the last one ends likewise.
    let fits = |axis: usize, inputs: usize, outputs: usize| {
        let end = outputs as isize + kernel[axis] as isize - 1 + origin[axis];
        (1 - kernel[axis] as isize..=0).contains(&origin[axis])
            && (inputs as isize..inputs as isize + kernel[axis] as isize).contains(&end)
    };
    kernel == [taps, taps]
        && stride == [1, 1]
        && dilation == [1, 1]
        && fits(0, h_in, h_out)
        && fits(1, w_in, w_out)
        && c.c_in.is_multiple_of(BLOCK)
        && c.c_out.is_multiple_of(BLOCK)
}

/// Operations on vectors of channels, or `None` if too much memory were needed.
fn cost(c: &Correlation, tile: Tile, pass: Pass) -> Option<usize> {
    let [m, taps] = tile.sides();
    let n = m + taps - 1;
    let mosaic = Mosaic::new(&c.windows, c.batch, m);
    let tiles = mosaic.planes * mosaic.plane_tiles();
    let products = c.c_in * c.c_out;
    let together = mosaic.plane_tiles().max(192) + 64;
    let memory = c.groups * n * n * (products + together * (c.c_in + c.c_out));
    // The sums of the weights' gradients are read and written for every 200 tiles or so.
    let sums = if pass == Pass::GradWeight { tiles.div_ceil(192) } else { 1 };
    let cost = n * n * (products * (tiles + KERNEL + sums) + TRANSFORM * tiles * (c.c_in + c.c_out));
    (memory <= MEMORY).then_some(c.groups * cost)
}

/// The tile with which the algorithm is fastest for `pass` of `d`, if it is faster than the direct computation.
pub fn best(d: &Conv2d, layouts: Layouts, options: CpuOptions, pass: Pass) -> Option<Tile> {
    if !options.winograd || layouts != (Layouts { x: Layout::Blocks, y: Layout::Blocks }) {
        return None;
    }
    let c = if pass == Pass::GradInput { Correlation::turned(d) } else { Correlation::new(d) };
    let tiles = Tile::ALL.into_iter().filter(|&tile| knows(&c, tile));
    let costs = tiles.filter_map(|tile| Some((cost(&c, tile, pass)?, tile)));
    let (cost, tile) = costs.min_by_key(|&(cost, _)| cost)?;
    let direct = c.groups * c.batch * c.windows.outputs() * c.windows.taps() * c.c_in * c.c_out;
    ((cost as f64) < SHARE * direct as f64).then_some(tile)
}

/// y = conv(x, w) (+ b) (then max(0, .)), for a geometry that is known.
pub fn forward(
    d: &Conv2d,
    tile: Tile,
    x: &[f32],
    w: &[f32],
    b: Option<&[f32]>,
    workspace: &mut Memory,
    y: &mut [f32],
) {
    let c = Correlation::new(d);
    let w = Weights { w, turned: false };
    for_tile!(tile, over_pixels::over_pixels(&c, x, w, b, workspace, y));
}

/// dx from dy and w, for a geometry that is known.
pub fn grad_input(d: &Conv2d, tile: Tile, dy: &[f32], w: &[f32], workspace: &mut Memory, dx: &mut [f32]) {
    let c = Correlation::turned(d);
    let w = Weights { w, turned: true };
    for_tile!(tile, over_pixels::over_pixels(&c, dy, w, None, workspace, dx));
}

/// dw from x and dy, for a geometry that is known.
pub fn grad_weight(d: &Conv2d, tile: Tile, x: &[f32], dy: &[f32], workspace: &mut Memory, dw: &mut [f32]) {
    let c = Correlation::new(d);
    for_tile!(tile, grad_weight::grad_weight(&c, x, dy, workspace, dw));
}
