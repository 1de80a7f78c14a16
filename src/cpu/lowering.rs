//! Lowering of convolutions to products ("im2col"), in tiles that fit a core's cache.
//!
//! The output rows of a batch, image after image, form one long list; a tile is a run of it, and may span images when
//! they are small. The panel of a tile has one row per (channel, tap) and one column per output pixel: the values of
//! x that meet that tap. Then y = w panel, dw = dy panel^T, and w^T dy is the panel of dx.

use super::simd::vectorised;
use super::windows::Windows;
use std::ops::Range;

/// Longest sum in one product, as the kernel of products blocks it; the panel of more rows than this leaves the cache.
pub const DEPTH: usize = 512;

/// Elements that lines of a panel are longer than their content: runs are copied in whole vectors.
const SLACK: usize = 16;

/// Columns of the widest register tile of products (AVX-512), and the columns of one vector.
const REGISTER_TILE: usize = 96;
const VECTOR: usize = 16;

/// A run of output rows; row `r` is row `r % h_out` of image `r / h_out`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RowRange {
    pub first: usize,
    pub rows: usize,
}

/// The part of a tile that lies in one image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Segment {
    pub image: usize,
    /// First output row in the image, and how many.
    pub row: usize,
    pub rows: usize,
    /// Column of the panel where it begins.
    pub column: usize,
}

impl RowRange {
    /// The parts of the tile, image after image.
    pub fn segments(self, windows: &Windows) -> impl Iterator<Item = Segment> {
        let (h, w) = (windows.h_out, windows.w_out);
        let end = self.first + self.rows;
        (self.first / h..end.div_ceil(h)).map(move |image| {
            let begin = self.first.max(image * h);
            Segment {
                image,
                row: begin - image * h,
                rows: end.min((image + 1) * h) - begin,
                column: (begin - self.first) * w,
            }
        })
    }

    /// The only segment, if the tile lies in one image.
    pub fn single(self, windows: &Windows) -> Option<Segment> {
        let mut segments = self.segments(windows);
        segments.next().filter(|_| segments.next().is_none())
    }
}

/// How a batch is cut into tasks and tiles; a function of the geometry only.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tiling {
    /// Images of one task.
    pub images: usize,
    /// Most output rows of a tile.
    pub rows: usize,
    /// Length of a line of a panel.
    pub pitch: usize,
}

impl Tiling {
    /// The tiling with the fewest wasted vector operations, for products of length `depth` and at most `most_images`
    /// images to a task.
    pub fn new(windows: &Windows, depth: usize, most_images: usize) -> Self {
        // A panel of about 512 KiB; fewer columns than four register tiles would not pay.
        let most_columns = (128 * 1024 / depth.clamp(1, DEPTH)).clamp(4 * REGISTER_TILE, 16 * REGISTER_TILE);
        let mut best = (f64::MAX, 1, 1);
        for images in 1..=most_images.max(1) {
            let total = images * windows.h_out;
            let most_rows = (most_columns / windows.w_out).clamp(1, total);
            for rows in most_rows.div_ceil(2)..=most_rows {
                let rest = total % rows;
                let mut cost = total / rows * columns_cost(rows * windows.w_out);
                if rest > 0 {
                    cost += columns_cost(rest * windows.w_out);
                }
                let cost = cost as f64 / images as f64;
                if cost < best.0 {
                    best = (cost, images, rows);
                }
            }
        }
        let (_, images, rows) = best;
        Tiling { images, rows, pitch: (rows * windows.w_out).next_multiple_of(16) + SLACK }
    }

    /// The tiles of `images` images, the first of which is `first`. `apart`: no tile spans two images.
    pub fn tiles(
        self,
        windows: &Windows,
        first: usize,
        images: usize,
        apart: bool,
    ) -> impl Iterator<Item = RowRange> {
        let h = windows.h_out;
        let (units, rows) = if apart { (images, h) } else { (1, images * h) };
        (0..units).flat_map(move |unit| {
            let begin = first * h + unit * rows;
            (0..rows.div_ceil(self.rows)).map(move |i| RowRange {
                first: begin + i * self.rows,
                rows: self.rows.min(rows - i * self.rows),
            })
        })
    }
}

/// Cycles of the product's kernel per row of weights (times a constant) for a panel of `columns` columns: two vector
/// operations a cycle, four rows at once, and no tile takes less than the latency of an addition.
fn columns_cost(columns: usize) -> usize {
    let vectors = (columns % REGISTER_TILE).div_ceil(VECTOR);
    let rest = if vectors == 0 { 0 } else { (2 * vectors).max(4) };
    columns / REGISTER_TILE * 12 + rest + 2
}

/// Channels to a product: whole channels, at most [`DEPTH`] panel rows, evenly split.
pub fn channels_per_piece(channels: usize, taps: usize) -> usize {
    let pieces = (channels * taps).div_ceil(DEPTH).clamp(1, channels);
    channels.div_ceil(pieces)
}

/// Length of the scratch memory that [`lower`] needs for its split rows.
pub fn split_len(windows: &Windows, tiling: Tiling) -> usize {
    windows.rows_seen(tiling.rows.min(windows.h_out)) * windows.pitch() + SLACK
}

/// Writes the panel of `tile` for `channels` of x, whose images have `total` channels. `split` is scratch memory of
/// [`split_len`] elements; what lies behind the columns of a panel row is left undefined.
#[allow(clippy::too_many_arguments, reason = "the operands of one loop nest")]
pub fn lower(
    windows: &Windows,
    x: &[f32],
    total: usize,
    channels: Range<usize>,
    tile: RowRange,
    split: &mut [f32],
    panel: &mut [f32],
    pitch: usize,
) {
    vectorised!(|| lower_rows(windows, x, total, channels, tile, split, panel, pitch));
}

#[inline(always)]
#[allow(clippy::too_many_arguments, reason = "the operands of one loop nest")]
fn lower_rows(
    windows: &Windows,
    x: &[f32],
    total: usize,
    channels: Range<usize>,
    tile: RowRange,
    split: &mut [f32],
    panel: &mut [f32],
    pitch: usize,
) {
    let [kernel_h, kernel_w] = windows.kernel;
    let (line, inputs) = (windows.pitch(), windows.inputs());
    for segment in tile.segments(windows) {
        let first = (segment.row * windows.stride[0]) as isize + windows.origin[0];
        let seen = windows.rows_seen(segment.rows);
        for (i, channel) in channels.clone().enumerate() {
            let image = &x[(segment.image * total + channel) * inputs..][..inputs];
            windows.split_rows(image, first, seen, 0.0, split);
            for ky in 0..kernel_h {
                for kx in 0..kernel_w {
                    let source = &split[ky * windows.dilation[0] * line + windows.tap_column(kx)..];
                    let row = (i * kernel_h + ky) * kernel_w + kx;
                    let target = &mut panel[row * pitch..][..pitch][segment.column..];
                    copy_runs(source, line * windows.stride[0], target, windows.w_out, segment.rows);
                }
            }
        }
    }
}

/// Copies `runs` runs of `len` elements from every `step` elements of `source` to one after the other.
#[inline(always)]
fn copy_runs(source: &[f32], step: usize, target: &mut [f32], len: usize, runs: usize) {
    match len.div_ceil(8) {
        _ if step == len => target[..len * runs].copy_from_slice(&source[..len * runs]),
        1 => copy_vectors::<8>(source, step, target, len, runs),
        2 => copy_vectors::<16>(source, step, target, len, runs),
        3 => copy_vectors::<24>(source, step, target, len, runs),
        4 => copy_vectors::<32>(source, step, target, len, runs),
        _ => {
            for (run, target) in target[..len * runs].chunks_exact_mut(len).enumerate() {
                target.copy_from_slice(&source[run * step..][..len]);
            }
        }
    }
}

/// `copy_runs` with `N` elements to a run, the length rounded up to whole vectors: what is too much is overwritten by
/// the next run, or lies in the slack behind the last one.
#[inline(always)]
fn copy_vectors<const N: usize>(source: &[f32], step: usize, target: &mut [f32], len: usize, runs: usize) {
    debug_assert!(source.len() >= (runs - 1) * step + N);
    let mut target = target;
    for run in source.windows(N).step_by(step).take(runs) {
        let (vectors, _) = target.split_at_mut(N);
        vectors.copy_from_slice(run);
        target = &mut target[len..];
    }
}

/// Copies the pixels of `tile` of channels `channels` of a tensor shaped like y (`total` channels) to rows of `panel`.
pub fn gather(
    windows: &Windows,
    y: &[f32],
    total: usize,
    channels: Range<usize>,
    tile: RowRange,
    panel: &mut [f32],
    pitch: usize,
) {
    let (outputs, w_out) = (windows.outputs(), windows.w_out);
    for segment in tile.segments(windows) {
        let len = segment.rows * w_out;
        for (row, channel) in channels.clone().enumerate() {
            let start = (segment.image * total + channel) * outputs + segment.row * w_out;
            panel[row * pitch + segment.column..][..len].copy_from_slice(&y[start..start + len]);
        }
    }
}
