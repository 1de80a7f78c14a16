//! Convolution by Winograd's algorithm, forward. The gradient of the input is the same computation with other weights.
//!
//! The kernels are transformed first. Then each task takes a few planes of images and goes through their rows of tiles in
//! waves: it transforms all input channels of a wave, multiplies them by some blocks of output channels, one product for each
//! of the N x N values of a tile, and transforms those back.

use super::Weights;
use super::mosaic::Mosaic;
use super::plane::{Content, Planes, Transform, Transformed, planes_of};
use super::transforms::Winograd;
use crate::cpu::block_product::{BlockProduct, Finish, block_at, most_blocks};
use crate::cpu::correlation::{Correlation, TASKS};
use crate::cpu::direct::tiles;
use crate::cpu::layout::BLOCK;
use crate::cpu::memory::Memory;
use crate::cpu::parallel::with_scratch;
use crate::cpu::product::Onto;
use crate::cpu::vector::{lanes, put, widest};
use pulp::{Simd, WithSimd};
use rayon::prelude::*;
use std::ops::Range;

/// Elements of the transformed inputs of a wave: 1 MiB, and the fewest and most tiles that this may mean.
const INPUTS: usize = 1 << 18;
const WAVE: Range<usize> = 48..144;

/// Runs of terms that are summed in registers: fewer for kernels of 5 x 5, whose transforms err more, and fewest for their
/// gradients, since those are summed over all pixels further down, where most of them cancel and the errors do not.
const fn part(taps: usize, turned: bool) -> usize {
    match (taps > 3, turned) {
        (false, _) => 8,
        (true, false) => 4,
        (true, true) => 2,
    }
}

/// `len` rounded up to an odd number of blocks, so that what lies so far apart does not meet in one set of a cache.
pub fn spread_out(len: usize) -> usize {
    (len.div_ceil(BLOCK) | 1) * BLOCK
}

/// How a correlation is cut into tasks, waves and tiles of output channels. None of it changes a result.
struct Partition {
    mosaic: Mosaic,
    /// Planes of a task.
    planes: usize,
    /// Blocks of output channels of a task: those of all groups, or some of one image's.
    blocks: usize,
    /// Most blocks of output channels of a tile.
    most: usize,
    /// Rows of tiles of a wave: of some planes, or at most so many of one.
    rows: usize,
    /// Elements from the products of one tile to those of the next.
    product: usize,
}

impl Partition {
    fn new(c: &Correlation, m: usize, values: usize) -> Partition {
        let mosaic = Mosaic::new(&c.windows, c.batch, m);
        let all = c.groups * c.c_out / BLOCK;
        // A small batch is cut by output channels too; each cut transforms the inputs again.
        let cuts = if mosaic.per_plane() == 1 { TASKS / mosaic.planes.max(1) } else { 1 };
        let most = (c.c_out / BLOCK / cuts.max(1)).clamp(1, most_blocks());
        let tiles: Vec<_> = tiles(c.c_out / BLOCK, most).collect();
        let is_cut =
            cuts > 1 && c.groups == 1 && tiles.len() > 1 && tiles.iter().all(|tile| tile.len() == most);
        let blocks = if is_cut { most * tiles.len().div_ceil(cuts) } else { all };
        let tasks = 4 * rayon::current_num_threads();
        let planes = if is_cut { 1 } else { (mosaic.planes / tasks).max(1) };
        let across = mosaic.tiles[1];
        let wanted = (INPUTS / (values * c.c_in)).clamp(WAVE.start, WAVE.end);
        // Whole planes, or an even part of one: the places between images are then the same from one wave to the next.
        let rows = if mosaic.plane_tiles() <= WAVE.end {
            mosaic.tiles[0] * (wanted / mosaic.plane_tiles().max(1)).clamp(1, planes)
        } else {
            mosaic.tiles[0].div_ceil((mosaic.tiles[0] * across).div_ceil(wanted))
        };
        let product = spread_out(most * BLOCK);
        Partition { mosaic, planes, blocks, most, rows, product }
    }

    /// The waves of `rows` rows of tiles.
    fn waves(&self, rows: usize) -> impl Iterator<Item = Range<usize>> {
        let unit = self.mosaic.tiles[0].max(self.rows);
        (0..rows).step_by(unit).flat_map(move |first| {
            let end = rows.min(first + unit);
            (first..end).step_by(self.rows).map(move |row| row..end.min(row + self.rows))
        })
    }
}

/// y = conv(x, w) (+ b) (then max(0, .)) with tiles of M x M outputs.
pub fn over_pixels<const N: usize, const M: usize, const R: usize>(
    c: &Correlation,
    x: &[f32],
    w: Weights,
    b: Option<&[f32]>,
    workspace: &mut Memory,
    y: &mut [f32],
) {
    let cut = Partition::new(c, M, N * N);
    let u = workspace.reserve(c.groups * N * N * c.c_in * c.c_out);
    filters(c, N * N, cut.most, u).into_par_iter().for_each(|(group, tile, block, u)| {
        let size = c.c_out * c.c_in * R * R;
        let w = Weights { w: &w.w[group * size..(group + 1) * size], turned: w.turned };
        widest(Filters::<N, M, R> { w, c_out: c.c_out, c_in: c.c_in, tile, block, u });
    });
    let u = &*u;
    let all = c.groups * c.c_out / BLOCK;
    let block = c.windows.outputs() * BLOCK;
    let images = cut.planes * cut.mosaic.per_plane();
    let per_image = all.div_ceil(cut.blocks);
    let task = |first: usize, block: usize, y: &mut [f32]| {
        ForwardTask { c, cut: &cut, x, u, b, part: part(R, w.turned), first, block }.run::<N, M, R>(y);
    };
    if per_image == 1 {
        y.par_chunks_mut(images * all * block).enumerate().for_each(|(i, y)| task(i * images, 0, y));
    } else {
        y.par_chunks_mut(all * block).enumerate().for_each(|(n, y)| {
            y.par_chunks_mut(cut.blocks * block).enumerate().for_each(|(i, y)| task(n, i * cut.blocks, y));
        });
    }
}

/// Some images and some blocks of output channels of them.
struct ForwardTask<'a> {
    c: &'a Correlation,
    cut: &'a Partition,
    x: &'a [f32],
    /// Transformed kernels `[groups, tiles, N * N, c_in, blocks of the tile, BLOCK]`.
    u: &'a [f32],
    b: Option<&'a [f32]>,
    part: usize,
    /// The first image and the first block of output channels.
    first: usize,
    block: usize,
}

impl ForwardTask<'_> {
    /// Computes y `[images, blocks, h_out, w_out, BLOCK]`.
    fn run<const N: usize, const M: usize, const R: usize>(&self, y: &mut [f32]) {
        let ForwardTask { c, cut, .. } = *self;
        let mosaic = &cut.mosaic;
        let held = cut.blocks.min(y.len() / (c.windows.outputs() * BLOCK));
        let images = y.len() / (held * c.windows.outputs() * BLOCK);
        let rows = images.div_ceil(mosaic.per_plane()) * mosaic.tiles[0];
        let (inputs, outputs) = (c.c_in / BLOCK, c.c_out / BLOCK);
        let origin = c.windows.origin.map(|o| -o as usize);
        let size = [c.windows.h_in, c.windows.w_in];
        let image = c.groups * c.c_in * c.windows.inputs();
        let planes = Planes { mosaic, data: self.x, image, images, origin, size, values: N };
        let count = cut.rows * mosaic.tiles[1];
        let (block, product) = (spread_out(count * BLOCK), spread_out(count * cut.product));
        let value = inputs * block;
        let lengths = [N * N * value, N * N * product, planes.len(cut.rows.min(mosaic.tiles[0]))];
        let pixels: Vec<usize> = (0..count).map(|i| i * BLOCK).collect();
        let places: Vec<usize> = (0..count).map(|i| i * cut.product).collect();
        let runs: Vec<usize> = (0..inputs).map(|i| i * block).collect();
        let output_places = OutputPlaces::new(c, mosaic, held);
        with_scratch(lengths, |[v, products, plane]| {
            let mut content = Content::default();
            for group in self.block / outputs..(self.block + held).div_ceil(outputs) {
                let begin = self.block.max(group * outputs) - group * outputs;
                let end = (self.block + held).min((group + 1) * outputs) - group * outputs;
                for wave in cut.waves(rows) {
                    for i in 0..inputs {
                        let channel = group * c.c_in + i * BLOCK;
                        let data = &self.x[self.first * image + channel * c.windows.inputs()..];
                        widest(Transformed::<N, M, R> {
                            planes: Planes { data, ..planes },
                            transform: Transform::Input,
                            rows: wave.clone(),
                            plane: &mut *plane,
                            content: &mut content,
                            tile: BLOCK,
                            value,
                            v: &mut v[i * block..],
                        });
                    }
                    let count = wave.len() * mosaic.tiles[1];
                    for tile in tiles(outputs, cut.most).filter(|tile| (begin..end).contains(&tile.start)) {
                        let u = &self.u[N * N * c.c_in * (group * outputs + tile.start) * BLOCK..];
                        for t in 0..N * N {
                            BlockProduct {
                                x: &v[t * value..],
                                pixels: &pixels[..count],
                                runs: &runs,
                                terms: BLOCK,
                                w: &u[t * c.c_in * tile.len() * BLOCK..][..c.c_in * tile.len() * BLOCK],
                                blocks: tile.len(),
                                y: &mut products[t * product..],
                                places: &places[..count],
                                block: BLOCK,
                                onto: Onto::Nothing,
                                part: self.part,
                                finish: Finish::default(),
                            }
                            .run();
                        }
                        for i in 0..tile.len() {
                            let block = group * outputs + tile.start + i;
                            widest(Outputs::<N, M, R> {
                                mosaic,
                                places: &output_places,
                                images,
                                rows: wave.clone(),
                                products: &products[i * BLOCK..],
                                tile: cut.product,
                                value: product,
                                bias: self.b.map_or([0.0; BLOCK], |b| *block_at(b, block * BLOCK)),
                                relu: c.relu,
                                y: &mut y[(block - self.block) * c.windows.outputs() * BLOCK..],
                            });
                        }
                    }
                }
            }
        });
    }
}

/// Where the rows and columns of a plane of outputs lie in y, and the image they belong to; `None` between images.
struct OutputPlaces {
    rows: Vec<Option<(usize, usize)>>,
    columns: Vec<Option<(usize, usize)>>,
    /// Elements of a plane's images.
    plane: usize,
}

impl OutputPlaces {
    /// For images of `held` blocks of channels.
    fn new(c: &Correlation, mosaic: &Mosaic, held: usize) -> Self {
        let (h_out, w_out) = (c.windows.h_out, c.windows.w_out);
        let image = held * h_out * w_out * BLOCK;
        let row = |row: usize| {
            let (place, row) = (row / mosaic.pitch[0], row % mosaic.pitch[0]);
            let number = place * mosaic.columns;
            (place < mosaic.rows && row < h_out).then_some((number, number * image + row * w_out * BLOCK))
        };
        let column = |column: usize| {
            let (place, column) = (column / mosaic.pitch[1], column % mosaic.pitch[1]);
            (place < mosaic.columns && column < w_out).then_some((place, place * image + column * BLOCK))
        };
        OutputPlaces {
            rows: (0..mosaic.tiles[0] * mosaic.m).map(row).collect(),
            columns: (0..mosaic.tiles[1] * mosaic.m).map(column).collect(),
            plane: mosaic.per_plane() * image,
        }
    }
}

/// Writes one block of channels of y where the tiles of `rows` cover it, from its products.
struct Outputs<'a, const N: usize, const M: usize, const R: usize> {
    mosaic: &'a Mosaic,
    places: &'a OutputPlaces,
    images: usize,
    /// Rows of tiles, counted through all planes.
    rows: Range<usize>,
    /// Every `tile` elements a tile, every `value` elements a value of it.
    products: &'a [f32],
    tile: usize,
    value: usize,
    bias: [f32; BLOCK],
    relu: bool,
    y: &'a mut [f32],
}

impl<const N: usize, const M: usize, const R: usize> WithSimd for Outputs<'_, N, M, R> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Outputs { mosaic, places, images, rows, products, tile: step, value, bias, relu, y } = self;
        let floor = simd.splat_f32s(if relu { 0.0 } else { f32::NEG_INFINITY });
        let mut tile = 0;
        for (p, rows) in planes_of(mosaic, rows) {
            for row in rows {
                let lines = &places.rows[row * M..][..M];
                for column in 0..mosaic.tiles[1] {
                    let columns = &places.columns[column * M..][..M];
                    for lane in (0..BLOCK).step_by(S::F32_LANES) {
                        let products = &products[tile * step + lane..];
                        let bias = lanes(simd, &bias[lane..]);
                        Winograd::<N, M, R>::output(
                            simd,
                            |t| lanes(simd, &products[t * value..]),
                            |i, j, x| {
                                let (Some((above, line)), Some((left, column))) = (lines[i], columns[j])
                                else {
                                    return;
                                };
                                if p * mosaic.per_plane() + above + left < images {
                                    let x = simd.add_f32s(x, bias);
                                    // Not the maximum, which would turn a NaN into 0.
                                    let negative = simd.less_than_f32s(x, floor);
                                    let x = simd.select_f32s(negative, floor, x);
                                    put(simd, &mut y[p * places.plane + line + column + lane..], x);
                                }
                            },
                        );
                    }
                    tile += 1;
                }
            }
        }
    }
}

/// Group, tile of output channels, block of input channels, and the N x N values of their kernels.
type FilterSlices<'a> = (usize, Range<usize>, usize, Vec<&'a mut [f32]>);

/// The parts of u `[groups, tiles, N * N, c_in, blocks of the tile, BLOCK]` that are computed at once.
fn filters<'a>(c: &Correlation, values: usize, most: usize, mut u: &'a mut [f32]) -> Vec<FilterSlices<'a>> {
    let mut all = Vec::new();
    for group in 0..c.groups {
        for tile in tiles(c.c_out / BLOCK, most) {
            let first = all.len();
            all.extend(
                (0..c.c_in / BLOCK).map(|block| (group, tile.clone(), block, Vec::with_capacity(values))),
            );
            for _ in 0..values {
                for (.., slices) in &mut all[first..] {
                    let (slice, rest) = u.split_at_mut(BLOCK * tile.len() * BLOCK);
                    slices.push(slice);
                    u = rest;
                }
            }
        }
    }
    all
}

/// u, N x N values `[BLOCK, blocks, BLOCK]`, = the transformed kernels of a block of input channels and some blocks of
/// output channels, of one group's weights.
struct Filters<'a, const N: usize, const M: usize, const R: usize> {
    w: Weights<'a>,
    c_out: usize,
    c_in: usize,
    tile: Range<usize>,
    block: usize,
    u: Vec<&'a mut [f32]>,
}

impl<const N: usize, const M: usize, const R: usize> WithSimd for Filters<'_, N, M, R> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Filters { w: Weights { w, turned }, c_out, c_in, tile, block, mut u } = self;
        let pitch = tile.len() * BLOCK;
        for input in 0..BLOCK {
            let channel = block * BLOCK + input;
            for (i, block) in tile.clone().enumerate() {
                let mut taps = [[[0.0; BLOCK]; R]; R];
                for (lane, output) in (block * BLOCK..(block + 1) * BLOCK).enumerate() {
                    let place = if turned { channel * c_out + output } else { output * c_in + channel };
                    for (tap, &value) in w[place * R * R..][..R * R].iter().enumerate() {
                        let tap = if turned { R * R - 1 - tap } else { tap };
                        taps[tap / R][tap % R][lane] = value;
                    }
                }
                for lane in (0..BLOCK).step_by(S::F32_LANES) {
                    Winograd::<N, M, R>::filter(
                        simd,
                        |row, column| lanes(simd, &taps[row][column][lane..]),
                        |t, x| put(simd, &mut u[t][input * pitch + i * BLOCK + lane..], x),
                    );
                }
            }
        }
    }
}
