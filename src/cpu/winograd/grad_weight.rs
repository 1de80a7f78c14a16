//! The gradient of the weights by Winograd's algorithm.
//!
//! y = A^T [(G w G^T) . (B^T x B)] A, so dw = G^T [sum over tiles of (A dy A^T) . (B^T x B)] G: for each of the N x N
//! values of a tile one product over the tiles of the batch, a few planes at a time, which is added to the sum so far.
//! Vectors run along channels here.

use super::forward::spread_out;
use super::mosaic::Mosaic;
use super::packed::{COLUMNS, PanelProduct, ROWS};
use super::transforms::Winograd;
use crate::cpu::correlation::Correlation;
use crate::cpu::parallel::{reserve, with_scratch};
use crate::cpu::vector::{self, Work, lanes, put};
use pulp::Simd;
use rayon::prelude::*;

/// Output channels whose gradients one task sums.
const KERNELS: usize = 32;
/// Tiles that are treated together, at least: what one reading of the sums serves.
const TILES: usize = 192;

/// dw from x and dy, both in planes of tiles of M x M outputs; `c` is the forward computation.
pub fn grad_weight<const N: usize, const M: usize, const R: usize>(
    c: &Correlation,
    x: &[f32],
    dy: &[f32],
    workspace: &mut Vec<f32>,
    dw: &mut [f32],
) {
    let mosaic = Mosaic::new(&c.windows, c.batch, M);
    let values = N * N;
    let together = TILES.div_ceil(mosaic.plane_tiles().max(1)).min(mosaic.planes);
    let tiles = together * mosaic.plane_tiles();
    let images = together * mosaic.per_plane();
    // Panels of x are `[N * N, tiles, COLUMNS]`, those of dy `[N * N, tiles, ROWS]`, by group and channels.
    let (columns, rows) = (c.c_in.div_ceil(COLUMNS), c.c_out.div_ceil(ROWS));
    let (x_value, dy_value) = (spread_out(tiles * COLUMNS), spread_out(tiles * ROWS));
    let (x_panel, dy_panel) = (values * x_value, values * dy_value);
    // Sums are `[N * N, KERNELS, c_in]`, by group and output channels.
    let tasks = c.c_out.div_ceil(KERNELS);
    let pitch = spread_out(c.c_in);
    let sum = values * KERNELS * pitch;
    let lengths = [columns * x_panel, rows * dy_panel, tasks * sum].map(|len| len * c.groups);
    let memory = reserve(workspace, lengths.iter().sum());
    let (v, rest) = memory.split_at_mut(lengths[0]);
    let (d, sums) = rest.split_at_mut(lengths[1]);
    let (inputs, outputs) = (c.windows.inputs(), c.windows.outputs());
    for first in (0..c.batch).step_by(images) {
        let planes = together.min((c.batch - first).div_ceil(mosaic.per_plane()));
        let transform_x = || {
            v.par_chunks_mut(x_panel).enumerate().for_each(|(i, v)| {
                let (group, begin) = (i / columns, i % columns * COLUMNS);
                for offset in (0..COLUMNS.min(c.c_in - begin)).step_by(ROWS) {
                    let channel = group * c.c_in + begin + offset;
                    let count = ROWS.min((group + 1) * c.c_in - channel);
                    let image = |n: usize| {
                        let start = ((first + n) * c.groups * c.c_in + channel) * inputs;
                        (first + n < c.batch).then(|| &x[start..start + count * inputs])
                    };
                    let v = &mut v[offset..];
                    let origin = c.windows.origin.map(|o| -o as usize);
                    let size = [c.windows.h_in, c.windows.w_in];
                    let source = ImagePlanes { mosaic: &mosaic, planes, image, origin, size };
                    with_scratch([source.plane_len(N - M)], |[plane]| {
                        vector::run(TransformX::<_, N, M, R> { source, plane, value: x_value, v });
                    });
                }
            });
        };
        let transform_dy = || {
            d.par_chunks_mut(dy_panel).enumerate().for_each(|(i, d)| {
                let (group, begin) = (i / rows, i % rows * ROWS);
                let channel = group * c.c_out + begin;
                let count = ROWS.min(c.c_out - begin);
                let image = |n: usize| {
                    let start = ((first + n) * c.groups * c.c_out + channel) * outputs;
                    (first + n < c.batch).then(|| &dy[start..start + count * outputs])
                };
                let size = [c.windows.h_out, c.windows.w_out];
                let source = ImagePlanes { mosaic: &mosaic, planes, image, origin: [0, 0], size };
                with_scratch([source.plane_len(0)], |[plane]| {
                    vector::run(TransformDy::<_, N, M, R> { source, plane, value: dy_value, d });
                });
            });
        };
        rayon::join(transform_x, transform_dy);
        sums.par_chunks_mut(sum).enumerate().for_each(|(i, sums)| {
            let (group, begin) = (i / tasks, i % tasks * KERNELS);
            let count = KERNELS.min(c.c_out - begin);
            for (t, sums) in sums.chunks_exact_mut(KERNELS * pitch).enumerate() {
                for q in 0..columns {
                    PanelProduct {
                        lhs: &d[(group * rows + begin / ROWS) * dy_panel + t * dy_value..],
                        lhs_pitch: dy_panel,
                        rhs: &v[(group * columns + q) * x_panel + t * x_value..],
                        depth: planes * mosaic.plane_tiles(),
                        rows: count,
                        columns: (c.c_in - q * COLUMNS).next_multiple_of(16).min(COLUMNS),
                        dst: &mut sums[q * COLUMNS..],
                        dst_pitch: pitch,
                        add: first > 0,
                    }
                    .run();
                }
            }
        });
    }
    dw.par_chunks_mut(c.c_out * c.c_in * R * R).zip(sums.par_chunks(tasks * sum)).for_each(|(dw, sums)| {
        dw.par_chunks_mut(KERNELS * c.c_in * R * R).zip(sums.par_chunks(sum)).for_each(|(dw, sums)| {
            vector::run(Kernels::<N, M, R> { c_in: c.c_in, sums, pitch, dw });
        });
    });
}

/// Images of [`ROWS`] channels or fewer, laid out in planes.
struct ImagePlanes<'a, F> {
    mosaic: &'a Mosaic,
    planes: usize,
    /// Image `n` of those treated together, if there is one.
    image: F,
    /// Where the images begin in their places.
    origin: [usize; 2],
    size: [usize; 2],
}

impl<'a, F: Fn(usize) -> Option<&'a [f32]>> ImagePlanes<'_, F> {
    /// Rows and columns of a plane whose tiles overlap by `overlap`.
    fn plane_size(&self, overlap: usize) -> [usize; 2] {
        self.mosaic.tiles.map(|tiles| tiles * self.mosaic.m + overlap)
    }

    fn plane_len(&self, overlap: usize) -> usize {
        let [rows, columns] = self.plane_size(overlap);
        rows * columns * ROWS
    }

    /// Fills `plane` `[rows, columns, ROWS]`, and zeros where there is no pixel or channel.
    #[inline(always)]
    fn fill(&self, p: usize, overlap: usize, plane: &mut [f32]) {
        let [rows, columns] = self.plane_size(overlap);
        let [height, width] = self.size;
        plane.fill(0.0);
        let per_plane = self.mosaic.per_plane();
        for (i, top, left) in self.mosaic.places() {
            let Some(image) = (self.image)(p * per_plane + i) else { continue };
            let (top, left) = (top + self.origin[0], left + self.origin[1]);
            for row in 0..height.min(rows.saturating_sub(top)) {
                let count = width.min(columns.saturating_sub(left));
                let line = &mut plane[((top + row) * columns + left) * ROWS..][..count * ROWS];
                let (line, _) = line.as_chunks_mut::<ROWS>();
                for (channel, image) in image.chunks_exact(height * width).enumerate() {
                    for (lanes, &value) in line.iter_mut().zip(&image[row * width..]) {
                        lanes[channel] = value;
                    }
                }
            }
        }
    }
}

/// v: B^T x B of every tile, `value` elements apart, tiles [`COLUMNS`] elements apart.
struct TransformX<'a, F, const N: usize, const M: usize, const R: usize> {
    source: ImagePlanes<'a, F>,
    plane: &'a mut [f32],
    value: usize,
    v: &'a mut [f32],
}

impl<'a, F: Fn(usize) -> Option<&'a [f32]>, const N: usize, const M: usize, const R: usize> Work
    for TransformX<'_, F, N, M, R>
{
    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        let TransformX { source, plane, value, v } = self;
        let [_, columns] = source.plane_size(N - M);
        let [down, across] = source.mosaic.tiles;
        for p in 0..source.planes {
            source.fill(p, N - M, plane);
            for ty in 0..down {
                for tx in 0..across {
                    let tile = (p * down + ty) * across + tx;
                    for first in (0..ROWS).step_by(S::F32_LANES) {
                        let corner = &plane[(ty * columns + tx) * M * ROWS + first..];
                        let target = &mut v[tile * COLUMNS + first..];
                        Winograd::<N, M, R>::input(
                            simd,
                            |row, column| lanes(simd, &corner[(row * columns + column) * ROWS..]),
                            |t, x| put(simd, &mut target[t * value..], x),
                        );
                    }
                }
            }
        }
    }
}

/// d: A dy A^T of every tile, `value` elements apart, tiles [`ROWS`] elements apart.
struct TransformDy<'a, F, const N: usize, const M: usize, const R: usize> {
    source: ImagePlanes<'a, F>,
    plane: &'a mut [f32],
    value: usize,
    d: &'a mut [f32],
}

impl<'a, F: Fn(usize) -> Option<&'a [f32]>, const N: usize, const M: usize, const R: usize> Work
    for TransformDy<'_, F, N, M, R>
{
    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        let TransformDy { source, plane, value, d } = self;
        let [_, columns] = source.plane_size(0);
        let [down, across] = source.mosaic.tiles;
        for p in 0..source.planes {
            source.fill(p, 0, plane);
            for ty in 0..down {
                for tx in 0..across {
                    let tile = (p * down + ty) * across + tx;
                    for first in (0..ROWS).step_by(S::F32_LANES) {
                        let corner = &plane[(ty * columns + tx) * M * ROWS + first..];
                        let target = &mut d[tile * ROWS + first..];
                        Winograd::<N, M, R>::output_grad(
                            simd,
                            |row, column| lanes(simd, &corner[(row * columns + column) * ROWS..]),
                            |t, x| put(simd, &mut target[t * value..], x),
                        );
                    }
                }
            }
        }
    }
}

/// dw `[up to KERNELS, c_in, R, R]` from its sums.
struct Kernels<'a, const N: usize, const M: usize, const R: usize> {
    c_in: usize,
    sums: &'a [f32],
    pitch: usize,
    dw: &'a mut [f32],
}

impl<const N: usize, const M: usize, const R: usize> Work for Kernels<'_, N, M, R> {
    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        let Kernels { c_in, sums, pitch, dw } = self;
        let mut taps = [[0.0; vector::LANES]; 64];
        for (k, dw) in dw.chunks_exact_mut(c_in * R * R).enumerate() {
            for channel in (0..c_in).step_by(S::F32_LANES) {
                let sums = &sums[k * pitch + channel..];
                Winograd::<N, M, R>::filter_grad(
                    simd,
                    |t| lanes(simd, &sums[t * KERNELS * pitch..]),
                    |row, column, x| put(simd, &mut taps[row * R + column], x),
                );
                let kernels = dw[channel * R * R..].chunks_exact_mut(R * R).take(S::F32_LANES);
                for (lane, kernel) in kernels.enumerate() {
                    for (value, tap) in kernel.iter_mut().zip(&taps) {
                        *value = tap[lane];
                    }
                }
            }
        }
    }
}
