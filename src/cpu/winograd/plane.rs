//! Images of one block of channels side by side in a plane, and the tiles of it transformed.

use super::mosaic::Mosaic;
use super::transforms::Winograd;
use crate::cpu::layout::BLOCK;
use crate::cpu::vector::{lanes, put};
use pulp::{Simd, WithSimd};
use std::ops::Range;

/// Rows of tiles, counted through all planes, as far as they lie in one plane: the plane and its rows of tiles.
pub fn planes_of(mosaic: &Mosaic, rows: Range<usize>) -> impl Iterator<Item = (usize, Range<usize>)> {
    let down = mosaic.tiles[0];
    (rows.start / down..rows.end.div_ceil(down)).map(move |p| {
        let begin = rows.start.max(p * down) - p * down;
        (p, begin..rows.end.min((p + 1) * down) - p * down)
    })
}

/// Images of one block of channels as the tiles of a mosaic read them.
#[derive(Clone, Copy)]
pub struct Planes<'a> {
    pub mosaic: &'a Mosaic,
    /// Image 0 of plane 0, `[height, width, BLOCK]`, and so on every `image` elements.
    pub data: &'a [f32],
    pub image: usize,
    pub images: usize,
    /// Where images begin in their places, and their size.
    pub origin: [usize; 2],
    pub size: [usize; 2],
    /// Values along the side of a tile.
    pub values: usize,
}

impl Planes<'_> {
    /// Columns of a plane.
    fn columns(&self) -> usize {
        self.mosaic.tiles[1] * self.mosaic.m + self.values - self.mosaic.m
    }

    /// Elements of `rows` rows of tiles.
    pub fn len(&self, rows: usize) -> usize {
        (rows * self.mosaic.m + self.values - self.mosaic.m) * self.columns() * BLOCK
    }

    /// Fills `plane` with what rows of tiles `rows` of plane `p` read, and zeros where there is no pixel.
    fn fill(&self, p: usize, rows: Range<usize>, plane: &mut [f32], content: &mut Content) {
        let columns = self.columns();
        let (begin, end) =
            (rows.start * self.mosaic.m, rows.end * self.mosaic.m + self.values - self.mosaic.m);
        let [height, width] = self.size;
        let held = self.images.saturating_sub(p * self.mosaic.per_plane()).min(self.mosaic.per_plane());
        let covered = Content(Some((rows, held)));
        if *content != covered {
            self.clear(begin..end, held, plane);
            *content = covered;
        }
        for (i, top, left) in self.mosaic.places() {
            let n = p * self.mosaic.per_plane() + i;
            if n >= self.images {
                break;
            }
            let (top, left) = (top + self.origin[0], left + self.origin[1]);
            let count = width.min(columns.saturating_sub(left)) * BLOCK;
            let image = &self.data[n * self.image..][..height * width * BLOCK];
            for row in top.max(begin)..(top + height).min(end) {
                let target = ((row - begin) * columns + left) * BLOCK;
                let source = (row - top) * width * BLOCK;
                plane[target..target + count].copy_from_slice(&image[source..source + count]);
            }
        }
    }

    /// Sets to zero what no pixel of a plane's `held` images covers, in its rows of pixels `rows`.
    fn clear(&self, rows: Range<usize>, held: usize, plane: &mut [f32]) {
        let columns = self.columns();
        let ([top, left], [height, width]) = (self.origin, self.size);
        for (row, pixels) in rows.zip(plane.chunks_exact_mut(columns * BLOCK)) {
            let place =
                row.checked_sub(top).map(|row| (row / self.mosaic.pitch[0], row % self.mosaic.pitch[0]));
            let images = match place {
                Some((place, row)) if row < height => {
                    held.saturating_sub(place * self.mosaic.columns).min(self.mosaic.columns)
                }
                _ => 0,
            };
            let mut covered = 0;
            for i in 0..images {
                let begin = (left + i * self.mosaic.pitch[1]).min(columns);
                pixels[covered * BLOCK..begin * BLOCK].fill(0.0);
                covered = (begin + width).min(columns);
            }
            pixels[covered * BLOCK..].fill(0.0);
        }
    }
}

/// Which rows of tiles of a plane the scratch memory holds, of how many images; so the places between them are zeros already.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Content(Option<(Range<usize>, usize)>);

/// Which transform a tile goes through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transform {
    /// B^T x B.
    Input,
    /// A dy A^T.
    OutputGrad,
}

/// v, every `tile` elements a tile, every `value` elements a value of it, from the tiles of `rows` of tiles.
pub struct Transformed<'a, const N: usize, const M: usize, const R: usize> {
    pub planes: Planes<'a>,
    pub transform: Transform,
    /// Rows of tiles, counted through all planes.
    pub rows: Range<usize>,
    pub plane: &'a mut [f32],
    pub content: &'a mut Content,
    pub tile: usize,
    pub value: usize,
    pub v: &'a mut [f32],
}

impl<const N: usize, const M: usize, const R: usize> WithSimd for Transformed<'_, N, M, R> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Transformed { planes, transform, rows, plane, content, tile: step, value, v } = self;
        let (columns, across) = (planes.columns(), planes.mosaic.tiles[1]);
        let mut tile = 0;
        for (p, rows) in planes_of(planes.mosaic, rows) {
            planes.fill(p, rows.clone(), plane, content);
            for row in 0..rows.len() {
                for column in 0..across {
                    for lane in (0..BLOCK).step_by(S::F32_LANES) {
                        let corner = &plane[(row * M * columns + column * M) * BLOCK + lane..];
                        let target = &mut v[tile * step + lane..];
                        let load = |y: usize, x: usize| lanes(simd, &corner[(y * columns + x) * BLOCK..]);
                        let store = |t: usize, x: S::f32s| put(simd, &mut target[t * value..], x);
                        match transform {
                            Transform::Input => Winograd::<N, M, R>::input(simd, load, store),
                            Transform::OutputGrad => Winograd::<N, M, R>::output_grad(simd, load, store),
                        }
                    }
                    tile += 1;
                }
            }
        }
    }
}
