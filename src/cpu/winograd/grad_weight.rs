//! The gradient of the weights by Winograd's algorithm.
//!
//! y = A^T [(G w G^T) . (B^T x B)] A, so dw = G^T [sum over tiles of (A dy A^T) . (B^T x B)] G: for each of the N x N
//! values of a tile one product over the tiles of the batch, a few planes at a time, which is added to the sum so far.

use super::mosaic::Mosaic;
use super::over_pixels::spread_out;
use super::plane::{Content, Planes, Transform, Transformed};
use super::transforms::Winograd;
use crate::cpu::block_outer::{BlockOuter, most_blocks};
use crate::cpu::correlation::Correlation;
use crate::cpu::direct::{tile_of, tiles};
use crate::cpu::layout::BLOCK;
use crate::cpu::memory::Memory;
use crate::cpu::parallel::with_scratch;
use crate::cpu::product::Onto;
use crate::cpu::simd::vectorised;
use crate::cpu::vector::{lanes, put, widest};
use pulp::{Simd, WithSimd};
use rayon::prelude::*;
use std::ops::Range;

/// Tiles that are treated together, at least: what one reading of the sums serves.
const TILES: usize = 192;
/// Tiles that are summed in registers.
const PART: usize = 64;

/// dw from x and dy, both in planes of tiles of M x M outputs; `c` is the forward computation.
pub fn grad_weight<const N: usize, const M: usize, const R: usize>(
    c: &Correlation,
    x: &[f32],
    dy: &[f32],
    workspace: &mut Memory,
    dw: &mut [f32],
) {
    let mosaic = Mosaic::new(&c.windows, c.batch, M);
    let together = TILES.div_ceil(mosaic.plane_tiles().max(1)).min(mosaic.planes);
    let count = together * mosaic.plane_tiles();
    let images = together * mosaic.per_plane();
    // Transformed tiles are `[groups * blocks, N * N, tiles, BLOCK]`.
    let value = spread_out(count * BLOCK);
    let block = N * N * value;
    let (inputs, outputs) = (c.groups * c.c_in / BLOCK, c.groups * c.c_out / BLOCK);
    // Sums are `[groups, N * N, tiles, c_in, blocks of the tile, BLOCK]`.
    let lengths = [inputs * block, outputs * block, c.groups * N * N * c.c_in * c.c_out];
    let memory = workspace.reserve(lengths.iter().sum());
    let (v, rest) = memory.split_at_mut(lengths[0]);
    let (z, sums) = rest.split_at_mut(lengths[1]);
    let (x_pixels, y_pixels) = (c.windows.inputs(), c.windows.outputs());
    let x_planes = Planes {
        mosaic: &mosaic,
        data: x,
        image: inputs * x_pixels * BLOCK,
        images: 0,
        origin: c.windows.origin.map(|o| -o as usize),
        size: [c.windows.h_in, c.windows.w_in],
        values: N,
    };
    let y_planes = Planes {
        data: dy,
        image: outputs * y_pixels * BLOCK,
        origin: [0, 0],
        size: [c.windows.h_out, c.windows.w_out],
        values: M,
        ..x_planes
    };
    let pixels: Vec<usize> = (0..count).map(|i| i * BLOCK).collect();
    let runs: Vec<usize> = (0..c.c_in / BLOCK).map(|i| i * block).collect();
    for first in (0..c.batch).step_by(images) {
        let held = images.min(c.batch - first);
        let rows = held.div_ceil(mosaic.per_plane()) * mosaic.tiles[0];
        let transformed = |planes: Planes, pixels: usize, transform: Transform, target: &mut [f32]| {
            target.par_chunks_mut(block).enumerate().for_each(|(i, v)| {
                let data = &planes.data[first * planes.image + i * pixels * BLOCK..];
                let planes = Planes { data, images: held, ..planes };
                with_scratch([planes.len(mosaic.tiles[0])], |[plane]| {
                    widest(Transformed::<N, M, R> {
                        planes,
                        transform,
                        rows: 0..rows,
                        plane,
                        content: &mut Content::default(),
                        tile: BLOCK,
                        value,
                        v,
                    });
                });
            });
        };
        rayon::join(
            || transformed(x_planes, x_pixels, Transform::Input, v),
            || transformed(y_planes, y_pixels, Transform::OutputGrad, z),
        );
        let pixels = &pixels[..rows * mosaic.tiles[1]];
        tile_sums(c, N * N, sums).into_par_iter().for_each(|(group, tile, t, sums)| {
            let outer = |dw: &mut [f32]| {
                BlockOuter {
                    x: &v[group * c.c_in / BLOCK * block + t * value..],
                    pixels,
                    runs: &runs,
                    terms: BLOCK,
                    dy: &z[(group * c.c_out / BLOCK + tile.start) * block + t * value..],
                    places: pixels,
                    block,
                    blocks: tile.len(),
                    dw,
                    onto: Onto::Nothing,
                    part: PART,
                }
                .run();
            };
            if first == 0 {
                return outer(sums);
            }
            // Sums of sums of sums: one chain over all tiles would err more.
            with_scratch([sums.len()], |[some]| {
                outer(some);
                vectorised!(|| sums.iter_mut().zip(&*some).for_each(|(sum, &some)| *sum += some));
            });
        });
    }
    let (sums, size) = (&*sums, c.c_in * R * R);
    dw.par_chunks_mut(BLOCK * size).enumerate().for_each(|(i, dw)| {
        let (group, block) = (i / (c.c_out / BLOCK), i % (c.c_out / BLOCK));
        let tile = tile_of(block, c.c_out / BLOCK, most_blocks());
        let value = c.c_in * c.c_out;
        let start = group * N * N * value + tile.start * c.c_in * BLOCK;
        let sums = &sums[start + (block - tile.start) * BLOCK..];
        widest(Kernels::<N, M, R> { c_in: c.c_in, sums, value, pitch: tile.len() * BLOCK, dw });
    });
}

/// The sums of each group, tile of output channels and value, each `[c_in, blocks of the tile, BLOCK]`.
fn tile_sums<'a>(
    c: &Correlation,
    values: usize,
    mut sums: &'a mut [f32],
) -> Vec<(usize, Range<usize>, usize, &'a mut [f32])> {
    let mut parts = Vec::new();
    for group in 0..c.groups {
        for t in 0..values {
            for tile in tiles(c.c_out / BLOCK, most_blocks()) {
                let (part, rest) = sums.split_at_mut(c.c_in * tile.len() * BLOCK);
                parts.push((group, tile, t, part));
                sums = rest;
            }
        }
    }
    parts
}

/// dw `[BLOCK, c_in, R, R]` from its sums.
struct Kernels<'a, const N: usize, const M: usize, const R: usize> {
    c_in: usize,
    sums: &'a [f32],
    value: usize,
    pitch: usize,
    dw: &'a mut [f32],
}

impl<const N: usize, const M: usize, const R: usize> WithSimd for Kernels<'_, N, M, R> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Kernels { c_in, sums, value, pitch, dw } = self;
        let size = c_in * R * R;
        for channel in 0..c_in {
            let mut taps = [[[0.0; BLOCK]; R]; R];
            for lane in (0..BLOCK).step_by(S::F32_LANES) {
                let sums = &sums[channel * pitch + lane..];
                Winograd::<N, M, R>::filter_grad(
                    simd,
                    |t| lanes(simd, &sums[t * value..]),
                    |row, column, x| put(simd, &mut taps[row][column][lane..], x),
                );
            }
            for (lane, dw) in dw.chunks_exact_mut(size).enumerate() {
                for (value, taps) in dw[channel * R * R..][..R * R].iter_mut().zip(taps.as_flattened()) {
                    *value = taps[lane];
                }
            }
        }
    }
}
