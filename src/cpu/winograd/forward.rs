//! Convolution by minimal filtering, forward. The gradient of the input is the same computation with other weights.
//!
//! A few planes at a time: first every input channel is transformed, in blocks of channels; then each block of output
//! channels is multiplied, one product for each of the N x N values of a tile, and transformed back. The transformed
//! inputs stay in the shared cache, a block's products in a core's own.

use super::Weights;
use super::mosaic::Mosaic;
use super::packed::{COLUMNS, Product, ROWS};
use super::transforms::Winograd;
use crate::cpu::conv2d::Correlation;
use crate::cpu::parallel::{reserve, with_scratch};
use crate::cpu::vector;
use crate::cpu::vector::{LANES, Work, lanes, put};
use pulp::Simd;
use rayon::prelude::*;

/// Input channels that are transformed by one task.
const BLOCK: usize = 16;
/// Elements of the products of one task: 1 MiB.
const PRODUCTS: usize = 1 << 18;
/// Elements that long strides are odd multiples of, so that they do not meet in one set of a cache.
const LINE: usize = 16;

/// `len` rounded up to an odd number of cache lines.
pub fn spread_out(len: usize) -> usize {
    (len.div_ceil(LINE) | 1) * LINE
}

/// y = conv(x, w) (+ b) (then max(0, .)) with tiles of M x M outputs.
pub fn forward<const N: usize, const M: usize, const R: usize>(
    c: &Correlation,
    x: &[f32],
    w: Weights,
    b: Option<&[f32]>,
    workspace: &mut Vec<f32>,
    y: &mut [f32],
) {
    let mosaic = Mosaic::new(&c.windows, c.batch, M);
    let values = N * N;
    let panels = c.c_out.div_ceil(ROWS);
    let blocks = c.c_in.div_ceil(BLOCK);
    let columns = (mosaic.planes * mosaic.plane_tiles()).div_ceil(COLUMNS);
    let panel = values * c.c_in * ROWS;
    // Elements from one value of a block of transformed inputs to the next.
    let value = spread_out(columns * BLOCK * COLUMNS);
    let block = values * value;
    let memory = reserve(workspace, c.groups * (panels * panel + blocks * block));
    let (u, v) = memory.split_at_mut(c.groups * panels * panel);
    u.par_chunks_mut(panel).enumerate().for_each(|(i, u)| {
        let (group, first) = (i / panels, i % panels * ROWS);
        let kernels = ROWS.min(c.c_out - first);
        let size = c.c_out * c.c_in * R * R;
        let w = Weights { w: &w.w[group * size..(group + 1) * size], turned: w.turned };
        vector::run(Filters::<N, M, R> { w, c_out: c.c_out, c_in: c.c_in, first, kernels, u });
    });
    let channels = c.groups * c.c_out;
    let product = spread_out(columns * COLUMNS + LANES);
    let rows = (PRODUCTS / (values * product)).max(1).next_multiple_of(ROWS).min(panels * ROWS);
    let per_group = c.c_out.div_ceil(rows);
    let picture = c.windows.outputs();
    for (wave, y) in y.chunks_mut(mosaic.pictures() * channels * picture).enumerate() {
        let first = wave * mosaic.pictures();
        v.par_chunks_mut(block).enumerate().for_each(|(i, v)| {
            let (group, begin) = (i / blocks, i % blocks * BLOCK);
            let inputs = group * c.c_in + begin..group * c.c_in + c.c_in.min(begin + BLOCK);
            for (offset, channel) in inputs.enumerate() {
                let picture = |n: usize| {
                    let start = ((first + n) * c.groups * c.c_in + channel) * c.windows.inputs();
                    (first + n < c.batch).then(|| &x[start..start + c.windows.inputs()])
                };
                with_scratch(inputs_len::<N, M>(&mosaic), |[plane, line]| {
                    let v = &mut v[offset * COLUMNS..];
                    vector::run(Inputs::<_, N, M, R> { c, mosaic: &mosaic, picture, value, v, plane, line });
                });
            }
        });
        let mut tasks: Vec<Vec<&mut [f32]>> = (0..c.groups * per_group).map(|_| Vec::new()).collect();
        for y in y.chunks_exact_mut(channels * picture) {
            let groups = y.chunks_exact_mut(c.c_out * picture);
            for (y, task) in groups.flat_map(|y| y.chunks_mut(rows * picture)).zip(&mut tasks) {
                task.push(y);
            }
        }
        tasks.par_iter_mut().enumerate().for_each(|(i, y)| {
            let (group, begin) = (i / per_group, i % per_group * rows);
            let count = rows.min(c.c_out - begin);
            let tiles = y.len().div_ceil(mosaic.rows * mosaic.columns) * mosaic.plane_tiles();
            with_scratch(
                [rows * values * product + LANES, outputs_len::<M>(&mosaic)],
                |[products, plane]| {
                    for t in 0..values {
                        for q in 0..tiles.div_ceil(COLUMNS) {
                            Product {
                                lhs: &u[(group * panels + begin / ROWS) * panel + t * c.c_in * ROWS..],
                                lhs_pitch: panel,
                                rhs: &v[group * blocks * block + t * value + q * BLOCK * COLUMNS..],
                                rhs_pitch: block,
                                block: BLOCK,
                                depth: c.c_in,
                                rows: count,
                                columns: (tiles - q * COLUMNS).next_multiple_of(LINE).min(COLUMNS),
                                dst: &mut products[t * product + q * COLUMNS..],
                                dst_pitch: values * product,
                                add: false,
                            }
                            .run();
                        }
                    }
                    for k in 0..count {
                        let bias = b.map_or(0.0, |b| b[group * c.c_out + begin + k]);
                        let products = &products[k * values * product..][..values * product + LANES];
                        vector::run(Outputs::<N, M, R> {
                            c,
                            mosaic: &mosaic,
                            products,
                            product,
                            bias,
                            plane,
                            y,
                            k,
                        });
                    }
                },
            );
        });
    }
}

/// u `[N * N, c_in, ROWS]` = the transformed kernels of output channels `first` on, of one group's weights.
struct Filters<'a, const N: usize, const M: usize, const R: usize> {
    w: Weights<'a>,
    c_out: usize,
    c_in: usize,
    first: usize,
    kernels: usize,
    u: &'a mut [f32],
}

impl<const N: usize, const M: usize, const R: usize> Work for Filters<'_, N, M, R> {
    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        let Filters { w: Weights { w, turned }, c_out, c_in, first, kernels, u } = self;
        // The kernels of one input channel side by side; those that are not there stay 0.
        let mut taps = [[[0.0; ROWS]; R]; R];
        for channel in 0..c_in {
            for (k, output) in (first..first + kernels).enumerate() {
                let start = if turned { channel * c_out + output } else { output * c_in + channel } * R * R;
                for (i, &value) in w[start..start + R * R].iter().enumerate() {
                    let tap = if turned { R * R - 1 - i } else { i };
                    taps[tap / R][tap % R][k] = value;
                }
            }
            for lane in (0..ROWS).step_by(S::F32_LANES) {
                let load = |row: usize, column: usize| lanes(simd, &taps[row][column][lane..]);
                let store = |t: usize, v| put(simd, &mut u[(t * c_in + channel) * ROWS + lane..], v);
                Winograd::<N, M, R>::filter(simd, load, store);
            }
        }
    }
}

/// Writes the transformed tiles of one channel to v, in panels of [`COLUMNS`] tiles.
struct Inputs<'a, F, const N: usize, const M: usize, const R: usize> {
    c: &'a Correlation,
    mosaic: &'a Mosaic,
    /// Picture `n` of those treated together, if there is one.
    picture: F,
    /// From one value of a tile to the next.
    value: usize,
    v: &'a mut [f32],
    plane: &'a mut [f32],
    line: &'a mut [f32],
}

/// Lengths of the scratch memory of [`Inputs`]: `plane` and `line`.
fn inputs_len<const N: usize, const M: usize>(mosaic: &Mosaic) -> [usize; 2] {
    let len = mosaic.tiles[1].next_multiple_of(LANES) + (N - 1) / M;
    [((mosaic.tiles[0] - 1) * M + N) * M * len, len * M]
}

impl<'a, F: Fn(usize) -> Option<&'a [f32]>, const N: usize, const M: usize, const R: usize> Work
    for Inputs<'_, F, N, M, R>
{
    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        let Inputs { c, mosaic, picture, value, v, plane, line } = self;
        let [down, across] = mosaic.tiles;
        let len = line.len() / M;
        let per_plane = mosaic.rows * mosaic.columns;
        for p in 0..mosaic.planes {
            if picture(p * per_plane).is_none() {
                break;
            }
            for (row, phases) in plane.chunks_exact_mut(M * len).enumerate() {
                line.fill(0.0);
                for (i, top, left) in mosaic.places() {
                    // The row of the picture that lies here.
                    let y = row as isize - top as isize + c.windows.origin[0];
                    let start = left as isize - c.windows.origin[1];
                    if y < 0 || y >= c.windows.h_in as isize {
                        continue;
                    }
                    if let Some(picture) = picture(p * per_plane + i) {
                        let source = &picture[y as usize * c.windows.w_in..][..c.windows.w_in];
                        // Negative padding is not taken (`pays`), so `start` is not negative.
                        let start = start as usize;
                        let room = line.len().saturating_sub(start).min(source.len());
                        line[start..start + room].copy_from_slice(&source[..room]);
                    }
                }
                let (chunks, _) = line.as_chunks::<M>();
                for phase in 0..M {
                    for (target, chunk) in phases[phase * len..][..len].iter_mut().zip(chunks) {
                        *target = chunk[phase];
                    }
                }
            }
            for ty in 0..down {
                for tx in (0..across).step_by(S::F32_LANES) {
                    let corner = &plane[ty * M * M * len + tx..];
                    let load = |row: usize, column: usize| {
                        lanes(simd, &corner[(row * M + column % M) * len + column / M..])
                    };
                    let index = p * mosaic.plane_tiles() + ty * across + tx;
                    let (start, offset) = (index / COLUMNS * BLOCK * COLUMNS, index % COLUMNS);
                    if offset + S::F32_LANES <= COLUMNS {
                        // What is too much is overwritten by the next row of tiles, or lies behind the last.
                        let target = &mut v[start + offset..];
                        Winograd::<N, M, R>::input(simd, load, |t, x| put(simd, &mut target[t * value..], x));
                    } else {
                        let valid = S::F32_LANES.min(across - tx);
                        let here = valid.min(COLUMNS - offset);
                        let mut line = [0.0; LANES];
                        Winograd::<N, M, R>::input(simd, load, |t, x| {
                            put(simd, &mut line, x);
                            v[t * value + start + offset..][..here].copy_from_slice(&line[..here]);
                            if here < valid {
                                let next = t * value + start + BLOCK * COLUMNS;
                                v[next..][..valid - here].copy_from_slice(&line[here..valid]);
                            }
                        });
                    }
                }
            }
        }
    }
}

/// Length of the scratch memory of [`Outputs`].
fn outputs_len<const M: usize>(mosaic: &Mosaic) -> usize {
    let len = mosaic.tiles[1].next_multiple_of(LANES);
    M * M * len + mosaic.tiles[0] * M * len * M
}

/// Writes channel `k` of the pictures `y` from its products.
struct Outputs<'a, 'b, const N: usize, const M: usize, const R: usize> {
    c: &'a Correlation,
    mosaic: &'a Mosaic,
    products: &'a [f32],
    product: usize,
    bias: f32,
    plane: &'a mut [f32],
    y: &'a mut [&'b mut [f32]],
    k: usize,
}

impl<const N: usize, const M: usize, const R: usize> Work for Outputs<'_, '_, N, M, R> {
    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        let Outputs { c, mosaic, products, product, bias, plane, y, k } = self;
        let [down, across] = mosaic.tiles;
        let len = across.next_multiple_of(LANES);
        let (phases, lines) = plane.split_at_mut(M * M * len);
        let per_plane = mosaic.rows * mosaic.columns;
        for (p, y) in y.chunks_mut(per_plane).enumerate() {
            for (ty, lines) in lines.chunks_exact_mut(M * M * len).enumerate().take(down) {
                for tx in (0..across).step_by(S::F32_LANES) {
                    let products = &products[p * mosaic.plane_tiles() + ty * across + tx..];
                    let phases = &mut phases[tx..];
                    Winograd::<N, M, R>::output(
                        simd,
                        |t| lanes(simd, &products[t * product..]),
                        |row, column, x| put(simd, &mut phases[(row * M + column) * len..], x),
                    );
                }
                for (row, line) in lines.chunks_exact_mut(M * len).enumerate() {
                    let (chunks, _) = line.as_chunks_mut::<M>();
                    for column in 0..M {
                        let phase = &phases[(row * M + column) * len..][..len];
                        for (chunk, &value) in chunks.iter_mut().zip(phase) {
                            chunk[column] = value;
                        }
                    }
                }
            }
            let (h_out, w_out) = (c.windows.h_out, c.windows.w_out);
            for ((_, top, left), y) in mosaic.places().zip(y) {
                let y = &mut y[k * h_out * w_out..][..h_out * w_out];
                for (row, y) in y.chunks_exact_mut(w_out).enumerate() {
                    let line = &lines[(top + row) * M * len + left..][..w_out];
                    for (y, &value) in y.iter_mut().zip(line) {
                        let value = value + bias;
                        // Not f32::max, which would turn a NaN into 0.
                        *y = if c.relu && value < 0.0 { 0.0 } else { value };
                    }
                }
            }
        }
    }
}
