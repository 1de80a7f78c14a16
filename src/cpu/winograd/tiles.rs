//! Between images and transformed tiles, for one channel at a time: the way there, and the way back with bias and ReLU.

use super::mosaic::Mosaic;
use super::packed::COLUMNS;
use super::transforms::Winograd;
use crate::cpu::correlation::Correlation;
use crate::cpu::vector::{LANES, Work, lanes, put};
use pulp::Simd;
use std::ops::Range;

/// Writes the transformed tiles of one channel to v, in panels of [`COLUMNS`] tiles.
pub struct Inputs<'a, F, const N: usize, const M: usize, const R: usize> {
    pub c: &'a Correlation,
    pub mosaic: &'a Mosaic,
    /// Image `n` of the task, if there is one.
    pub image: F,
    pub tiles: Range<usize>,
    /// From one value of a tile to the next.
    pub value: usize,
    /// From one panel to the next.
    pub panel: usize,
    pub v: &'a mut [f32],
    /// Rows of a plane, each as M phases of `len` elements.
    pub plane: &'a mut [f32],
    pub len: usize,
}

/// Length of a phase of a row of a plane, and of all rows, for [`Inputs`].
pub fn inputs_len<const N: usize, const M: usize>(mosaic: &Mosaic) -> [usize; 2] {
    // A vector may begin at any tile.
    let len = mosaic.tiles[1] + LANES + (N - 1) / M;
    [len, ((mosaic.tiles[0] - 1) * M + N) * M * len]
}

impl<'a, F: Fn(usize) -> Option<&'a [f32]>, const N: usize, const M: usize, const R: usize>
    Inputs<'_, F, N, M, R>
{
    /// Fills `rows` of plane `p`, each split by phase, and zeros where there is no pixel.
    #[inline(always)]
    fn fill(&mut self, p: usize, rows: Range<usize>) {
        let Inputs { c, mosaic, len, .. } = *self;
        let (h_in, w_in) = (c.windows.h_in, c.windows.w_in);
        // Pixels before an image; negative padding is not taken (`pays`).
        let pad = c.windows.origin.map(|o| -o as usize);
        for row in rows {
            let phases = &mut self.plane[row * M * len..][..M * len];
            phases.fill(0.0);
            // The row of images of the plane that has a row here, if one has.
            let Some(inner) = row.checked_sub(pad[0]) else { continue };
            let (place, y) = (inner / mosaic.pitch[0], inner % mosaic.pitch[0]);
            if place >= mosaic.rows || y >= h_in {
                continue;
            }
            for across in 0..mosaic.columns {
                let n = p * mosaic.per_plane() + place * mosaic.columns + across;
                let Some(image) = (self.image)(n) else { break };
                let source = &image[y * w_in..][..w_in];
                // Pixel by pixel: a loop for each phase would take longer to begin than to run.
                let columns = across * mosaic.pitch[1] + pad[1]..M * len;
                for (column, &value) in columns.zip(source) {
                    phases[column % M * len + column / M] = value;
                }
            }
        }
    }
}

impl<'a, F: Fn(usize) -> Option<&'a [f32]>, const N: usize, const M: usize, const R: usize> Work
    for Inputs<'_, F, N, M, R>
{
    #[inline(always)]
    fn run<S: Simd>(mut self, simd: S) {
        let len = self.len;
        // Rows of the plane that are filled.
        let mut filled = (usize::MAX, 0);
        let mut index = 0;
        for (p, ty, columns) in self.mosaic.rows_of(self.tiles.clone()) {
            let rows = ty * M..ty * M + N;
            let begin = if filled.0 == p { filled.1.max(rows.start) } else { rows.start };
            self.fill(p, begin..rows.end);
            filled = (p, rows.end);
            let Inputs { value, panel, .. } = self;
            for tx in columns.clone().step_by(S::F32_LANES) {
                let corner = &self.plane[ty * M * M * len + tx..];
                let load = |row: usize, column: usize| {
                    lanes(simd, &corner[(row * M + column % M) * len + column / M..])
                };
                let index = index + tx - columns.start;
                let (start, offset) = (index / COLUMNS * panel, index % COLUMNS);
                if offset + S::F32_LANES <= COLUMNS {
                    // What is too much is overwritten by the next row of tiles, or lies behind the last.
                    let target = &mut self.v[start + offset..];
                    Winograd::<N, M, R>::input(simd, load, |t, x| put(simd, &mut target[t * value..], x));
                } else {
                    let valid = S::F32_LANES.min(columns.end - tx);
                    let here = valid.min(COLUMNS - offset);
                    let mut line = [0.0; LANES];
                    let v = &mut *self.v;
                    Winograd::<N, M, R>::input(simd, load, |t, x| {
                        put(simd, &mut line, x);
                        v[t * value + start + offset..][..here].copy_from_slice(&line[..here]);
                        if here < valid {
                            v[t * value + start + panel..][..valid - here]
                                .copy_from_slice(&line[here..valid]);
                        }
                    });
                }
            }
            index += columns.len();
        }
    }
}

/// Length of the scratch memory of [`Outputs`]: a row of tiles by phase, and a row of its pixels.
pub fn outputs_len<const M: usize>(mosaic: &Mosaic) -> usize {
    (M * M + M) * mosaic.tiles[1].next_multiple_of(LANES)
}

/// Writes channel `channel` of y `[images, channels, h_out, w_out]` where `tiles` cover it, from its products.
pub struct Outputs<'a, const N: usize, const M: usize, const R: usize> {
    pub c: &'a Correlation,
    pub mosaic: &'a Mosaic,
    pub tiles: Range<usize>,
    pub products: &'a [f32],
    pub product: usize,
    pub bias: f32,
    pub lines: &'a mut [f32],
    pub channels: usize,
    pub channel: usize,
    pub y: &'a mut [f32],
}

impl<const N: usize, const M: usize, const R: usize> Work for Outputs<'_, N, M, R> {
    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        let Outputs { c, mosaic, tiles, products, product, bias, lines, channels, channel, y } = self;
        let len = mosaic.tiles[1].next_multiple_of(LANES);
        let (phases, line) = lines.split_at_mut(M * M * len);
        let bias = simd.splat_f32s(bias);
        let floor = simd.splat_f32s(if c.relu { 0.0 } else { f32::NEG_INFINITY });
        let (h_out, w_out) = (c.windows.h_out, c.windows.w_out);
        let images = y.len() / (channels * h_out * w_out);
        let mut index = 0;
        for (p, ty, columns) in mosaic.rows_of(tiles) {
            for tx in (0..columns.len()).step_by(S::F32_LANES) {
                let products = &products[index + tx..];
                let phases = &mut phases[tx..];
                Winograd::<N, M, R>::output(
                    simd,
                    |t| lanes(simd, &products[t * product..]),
                    |row, column, x| {
                        let x = simd.add_f32s(x, bias);
                        // Not the maximum, which would turn a NaN into 0.
                        let negative = simd.less_than_f32s(x, floor);
                        let x = simd.select_f32s(negative, floor, x);
                        put(simd, &mut phases[(row * M + column) * len..], x);
                    },
                );
            }
            index += columns.len();
            // The row of images of the plane that has the first row, if one has, and the row in them.
            let (mut place, mut row_out) = (ty * M / mosaic.pitch[0], ty * M % mosaic.pitch[0]);
            for row in 0..M {
                let (here, row_here) = (place, row_out);
                row_out += 1;
                if row_out == mosaic.pitch[0] {
                    (place, row_out) = (place + 1, 0);
                }
                if here >= mosaic.rows || row_here >= h_out {
                    continue;
                }
                let sources: [&[f32]; M] =
                    std::array::from_fn(|column| &phases[(row * M + column) * len..][..columns.len()]);
                let line = &mut line[..columns.len() * M];
                let (chunks, _) = line.as_chunks_mut::<M>();
                for (x, chunk) in chunks.iter_mut().enumerate() {
                    *chunk = std::array::from_fn(|column| sources[column][x]);
                }
                let first = columns.start * M;
                for across in first / mosaic.pitch[1]..mosaic.columns {
                    let left = across * mosaic.pitch[1];
                    let (begin, end) = (left.max(first), (left + w_out).min(first + line.len()));
                    let n = p * mosaic.per_plane() + here * mosaic.columns + across;
                    if begin >= end || n >= images {
                        continue;
                    }
                    let start = ((n * channels + channel) * h_out + row_here) * w_out + begin - left;
                    y[start..start + end - begin].copy_from_slice(&line[begin - first..end - first]);
                }
            }
        }
    }
}
