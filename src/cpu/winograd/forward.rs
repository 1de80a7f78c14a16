//! Convolution by Winograd's algorithm, forward. The gradient of the input is the same computation with other weights.
//!
//! The kernels are transformed first. Then each task takes a few planes of images and goes through their tiles in
//! waves that are small enough for a core's own cache: it transforms all input channels of a wave, multiplies them by
//! blocks of output channels, one product for each of the N x N values of a tile, and transforms each block back.

use crate::cpu::memory::Memory;
use super::Weights;
use super::mosaic::Mosaic;
use super::packed::{COLUMNS, PanelProduct, ROWS};
use super::tiles::{Inputs, Outputs, inputs_len, outputs_len};
use super::transforms::Winograd;
use crate::cpu::correlation::{Correlation, TASKS};
use crate::cpu::parallel::with_scratch;
use crate::cpu::vector;
use crate::cpu::vector::{LANES, Work, lanes, put};
use pulp::Simd;
use rayon::prelude::*;
use std::ops::Range;

/// Elements of the transformed inputs of a wave: 2.5 MiB, and the fewest and most tiles that this may mean.
const INPUTS: usize = 5 << 17;
const WAVE: Range<usize> = 48..144;
/// Elements of the products of a block of output channels: 1 MiB.
const PRODUCTS: usize = 1 << 18;
/// Elements that long strides are odd multiples of, so that they do not meet in one set of a cache; also the columns
/// that products come in.
const LINE: usize = 16;

/// `len` rounded up to an odd number of cache lines.
pub fn spread_out(len: usize) -> usize {
    (len.div_ceil(LINE) | 1) * LINE
}

/// How a correlation is cut into tasks, waves and blocks. None of it changes a result.
struct Partition {
    /// Planes of a task.
    planes: usize,
    /// Output channels of a task, if those of one image are cut; else all.
    channels: usize,
    /// Most tiles of a wave.
    wave: usize,
    /// Elements from one of the N x N values to the next in the transformed inputs.
    value: usize,
    /// The same in the products.
    product: usize,
    /// Output channels of a block.
    rows: usize,
}

impl Partition {
    fn new(c: &Correlation, mosaic: &Mosaic, values: usize) -> Partition {
        let threads = rayon::current_num_threads();
        // The time of the task that ends last, in vectors of tiles: one more to a task for reading the kernels, and a
        // quarter of a task for one that began late.
        let time = |planes: &usize| {
            let rounds = mosaic.planes.div_ceil(*planes).div_ceil(threads);
            (4 * rounds + 1) * ((planes * mosaic.plane_tiles()).div_ceil(LINE) + 1)
        };
        let planes = (1..=8.min(mosaic.planes)).min_by_key(time).unwrap_or(1);
        // A small batch is cut by output channels too; each cut transforms the inputs again.
        let cuts = if mosaic.per_plane() == 1 { TASKS / mosaic.planes.max(1) } else { 1 };
        let channels = c.c_out.div_ceil(cuts.max(1)).next_multiple_of(ROWS);
        let cut = channels < c.c_out && c.c_out.is_multiple_of(channels);
        let channels = if cut { channels } else { c.groups * c.c_out };
        let planes = if cut { 1 } else { planes };
        let vectors = (planes * mosaic.plane_tiles()).div_ceil(LINE);
        let most = (INPUTS / (values * c.c_in)).clamp(WAVE.start, WAVE.end) / LINE;
        let wave = vectors.div_ceil(vectors.div_ceil(most).max(1)) * LINE;
        let value = spread_out(wave.next_multiple_of(COLUMNS) * c.c_in);
        let product = spread_out(wave + LANES);
        let most = c.c_out.min(channels).next_multiple_of(ROWS);
        let rows = (PRODUCTS / (values * product)).max(1).next_multiple_of(ROWS).min(most);
        Partition { planes, channels, wave, value, product, rows }
    }
}

/// y = conv(x, w) (+ b) (then max(0, .)) with tiles of M x M outputs.
pub fn forward<const N: usize, const M: usize, const R: usize>(
    c: &Correlation,
    x: &[f32],
    w: Weights,
    b: Option<&[f32]>,
    workspace: &mut Memory,
    y: &mut [f32],
) {
    let mosaic = Mosaic::new(&c.windows, c.batch, M);
    let values = N * N;
    let plan = Partition::new(c, &mosaic, values);
    let panels = c.c_out.div_ceil(ROWS);
    let panel = values * c.c_in * ROWS;
    let u = workspace.reserve(c.groups * panels * panel);
    u.par_chunks_mut(panel).enumerate().for_each(|(i, u)| {
        let (group, first) = (i / panels, i % panels * ROWS);
        let kernels = ROWS.min(c.c_out - first);
        let size = c.c_out * c.c_in * R * R;
        let w = Weights { w: &w.w[group * size..(group + 1) * size], turned: w.turned };
        vector::run(Filters::<N, M, R> { w, c_out: c.c_out, c_in: c.c_in, first, kernels, u });
    });
    let u = &*u;
    let channels = c.groups * c.c_out;
    let per_image = channels / plan.channels;
    let images = plan.planes * mosaic.per_plane();
    y.par_chunks_mut(images * plan.channels * c.windows.outputs()).enumerate().for_each(|(i, y)| {
        let task = ForwardTask {
            c,
            mosaic: &mosaic,
            plan: &plan,
            x,
            u,
            b,
            first: i / per_image * images,
            channel: i % per_image * plan.channels,
        };
        task.run::<N, M, R>(y);
    });
}

/// Some images and some output channels of them.
struct ForwardTask<'a> {
    c: &'a Correlation,
    mosaic: &'a Mosaic,
    plan: &'a Partition,
    x: &'a [f32],
    /// Transformed kernels: panels of [`ROWS`] output channels by group, each `[N * N, c_in, ROWS]`.
    u: &'a [f32],
    b: Option<&'a [f32]>,
    /// The first image and the first output channel.
    first: usize,
    channel: usize,
}

impl ForwardTask<'_> {
    /// Computes y `[images, channels, h_out, w_out]`.
    fn run<const N: usize, const M: usize, const R: usize>(&self, y: &mut [f32]) {
        let ForwardTask { c, mosaic, plan, .. } = *self;
        let values = N * N;
        let images = y.len() / (plan.channels * c.windows.outputs());
        let tiles = images.div_ceil(mosaic.per_plane()) * mosaic.plane_tiles();
        let [len, plane] = inputs_len::<N, M>(mosaic);
        let products = plan.rows * values * plan.product + LANES;
        let lengths = [values * plan.value, products, plane, outputs_len::<M>(mosaic)];
        let groups = self.channel / c.c_out..(self.channel + plan.channels).div_ceil(c.c_out);
        with_scratch(lengths, |[v, products, plane, lines]| {
            for group in groups {
                let begin = self.channel.max(group * c.c_out);
                let end = (self.channel + plan.channels).min((group + 1) * c.c_out);
                for start in (0..tiles).step_by(plan.wave) {
                    let wave = start..tiles.min(start + plan.wave);
                    self.inputs::<N, M, R>(group, wave.clone(), images, v, plane, len);
                    for first in (begin..end).step_by(plan.rows) {
                        let block = first..end.min(first + plan.rows);
                        self.multiply(group, wave.len(), block.clone(), values, v, products);
                        for (k, channel) in block.enumerate() {
                            vector::run(Outputs::<N, M, R> {
                                c,
                                mosaic,
                                tiles: wave.clone(),
                                products: &products[k * values * plan.product..]
                                    [..values * plan.product + LANES],
                                product: plan.product,
                                bias: self.b.map_or(0.0, |b| b[channel]),
                                lines,
                                channels: plan.channels,
                                channel: channel - self.channel,
                                y,
                            });
                        }
                    }
                }
            }
        });
    }

    /// v = the transformed inputs of `tiles`: for each value and each [`COLUMNS`] tiles `[c_in, COLUMNS]`.
    fn inputs<const N: usize, const M: usize, const R: usize>(
        &self,
        group: usize,
        tiles: Range<usize>,
        images: usize,
        v: &mut [f32],
        plane: &mut [f32],
        len: usize,
    ) {
        let c = self.c;
        for offset in 0..c.c_in {
            let channel = group * c.c_in + offset;
            let image = |n: usize| {
                let start = ((self.first + n) * c.groups * c.c_in + channel) * c.windows.inputs();
                (n < images).then(|| &self.x[start..start + c.windows.inputs()])
            };
            vector::run(Inputs::<_, N, M, R> {
                c,
                mosaic: self.mosaic,
                image,
                tiles: tiles.clone(),
                value: self.plan.value,
                panel: c.c_in * COLUMNS,
                v: &mut v[offset * COLUMNS..],
                plane,
                len,
            });
        }
    }

    /// products `[channels, N * N, tiles]` of the transformed kernels of `channels` and v.
    fn multiply(
        &self,
        group: usize,
        tiles: usize,
        channels: Range<usize>,
        values: usize,
        v: &[f32],
        products: &mut [f32],
    ) {
        let ForwardTask { c, plan, .. } = *self;
        let panel = values * c.c_in * ROWS;
        let first = group * c.c_out.div_ceil(ROWS) + (channels.start - group * c.c_out) / ROWS;
        for t in 0..values {
            for (q, start) in (0..tiles).step_by(COLUMNS).enumerate() {
                PanelProduct {
                    lhs: &self.u[first * panel + t * c.c_in * ROWS..],
                    lhs_pitch: panel,
                    rhs: &v[t * plan.value + q * c.c_in * COLUMNS..],
                    depth: c.c_in,
                    rows: channels.len(),
                    columns: (tiles - start).next_multiple_of(LINE).min(COLUMNS),
                    dst: &mut products[t * plan.product + start..],
                    dst_pitch: values * plan.product,
                    add: false,
                }
                .run();
            }
        }
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
