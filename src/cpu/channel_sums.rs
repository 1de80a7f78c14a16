//! Long sums over the pixels of blocks of channels, with the error of `sum` and in a fixed order.

use super::layout::BLOCK;
use super::parallel::units_per_task;
use super::pixel::{Pixel, Vectors};
use pulp::Simd;
use rayon::prelude::*;
use std::ops::Range;

/// Terms that one `f32` takes up before it goes into the double.
const TERMS: usize = 32;

/// `K` sums of each channel, taken up piece by piece. Neighbouring pixels go into `P` lanes by turns, so that
/// additions need not wait for each other.
pub struct ChannelSums<const K: usize, const P: usize> {
    lanes: [[Pixel; P]; K],
    /// Pixels in the lanes.
    pixels: usize,
    totals: [[f64; BLOCK]; K],
}

impl<const K: usize, const P: usize> ChannelSums<K, P> {
    #[inline(always)]
    pub fn new() -> Self {
        ChannelSums { lanes: [[[0.0; BLOCK]; P]; K], pixels: 0, totals: [[0.0; BLOCK]; K] }
    }

    /// Adds f(a[i], b[i]) for every pixel i.
    #[inline(always)]
    pub fn add2<S: Simd, const L: usize>(
        &mut self,
        v: Vectors<S, L>,
        a: &[Pixel],
        b: &[Pixel],
        f: impl Fn([S::f32s; L], [S::f32s; L]) -> [[S::f32s; L]; K],
    ) {
        for (a, b) in a.chunks(TERMS * P).zip(b.chunks(TERMS * P)) {
            if self.pixels + a.len() > TERMS * P {
                self.flush();
            }
            let (a_lines, a_rest) = a.as_chunks::<P>();
            let (b_lines, b_rest) = b.as_chunks::<P>();
            let mut lanes = [[v.splat(0.0); P]; K];
            for (to, from) in lanes.as_flattened_mut().iter_mut().zip(self.lanes.as_flattened()) {
                *to = v.load(from);
            }
            for (a, b) in a_lines.iter().zip(b_lines) {
                for p in 0..P {
                    let terms = f(v.load(&a[p]), v.load(&b[p]));
                    for k in 0..K {
                        lanes[k][p] = v.add(lanes[k][p], terms[k]);
                    }
                }
            }
            for (to, from) in self.lanes.as_flattened_mut().iter_mut().zip(lanes.as_flattened()) {
                v.store(*from, to);
            }
            // Goes on with the lane after that of the last rest: all lanes have equally many terms.
            for (i, (a, b)) in a_rest.iter().zip(b_rest).enumerate() {
                let terms = f(v.load(a), v.load(b));
                for (lanes, term) in self.lanes.iter_mut().zip(terms) {
                    let lane = &mut lanes[(self.pixels + i) % P];
                    v.store(v.add(v.load(lane), term), lane);
                }
            }
            self.pixels += a.len();
        }
    }

    /// Adds f(x[i]) for every pixel i.
    #[inline(always)]
    pub fn add1<S: Simd, const L: usize>(
        &mut self,
        v: Vectors<S, L>,
        x: &[Pixel],
        f: impl Fn([S::f32s; L]) -> [[S::f32s; L]; K],
    ) {
        self.add2(v, x, x, |x, _| f(x));
    }

    #[inline(always)]
    fn flush(&mut self) {
        for (total, lanes) in self.totals.iter_mut().zip(&self.lanes) {
            for lane in lanes {
                for c in 0..BLOCK {
                    total[c] += f64::from(lane[c]);
                }
            }
        }
        self.lanes = [[[0.0; BLOCK]; P]; K];
        self.pixels = 0;
    }

    #[inline(always)]
    pub fn totals(mut self) -> [[f64; BLOCK]; K] {
        self.flush();
        self.totals
    }
}

/// How sums over images `[n, blocks, pixels, BLOCK]` are split into tasks. There would be too few with one for each
/// block of channels, so images and large planes are split as well, by sizes that depend on the shape only.
pub struct Parts {
    images: usize,
    blocks: usize,
    pixels: usize,
    /// Images and pixels of a part.
    group: usize,
    span: usize,
}

/// Some images and pixels of a block of channels.
pub struct Part {
    /// Planes from one image to the next, and pixels of a plane.
    blocks: usize,
    plane: usize,
    pub block: usize,
    images: Range<usize>,
    pixels: Range<usize>,
}

impl Parts {
    pub fn new(images: usize, channels: usize, pixels: usize) -> Self {
        let (group, span) = (units_per_task(pixels * BLOCK), units_per_task(BLOCK).min(pixels));
        Parts { images, blocks: channels / BLOCK, pixels, group, span }
    }

    /// Parts of the planes of a group of images.
    fn spans(&self) -> usize {
        self.pixels.div_ceil(self.span)
    }

    /// `f` of every part.
    pub fn map<T: Send>(&self, f: impl Fn(&Part) -> T + Sync) -> Vec<T> {
        let spans = self.spans();
        let count = self.images.div_ceil(self.group) * self.blocks * spans;
        let part = |i: usize| {
            let (first, pixel) = (i / spans / self.blocks * self.group, i % spans * self.span);
            f(&Part {
                blocks: self.blocks,
                plane: self.pixels,
                block: i / spans % self.blocks,
                images: first..(first + self.group).min(self.images),
                pixels: pixel..(pixel + self.span).min(self.pixels),
            })
        };
        (0..count).into_par_iter().map(part).collect()
    }

    /// Those results of [`Parts::map`] that belong to one block of channels.
    pub fn of_block<'a, T>(&self, results: &'a [T], block: usize) -> impl Iterator<Item = &'a T> {
        results.chunks_exact(self.spans()).skip(block).step_by(self.blocks).flatten()
    }
}

impl Part {
    /// The pixels of this part in `x`, image by image.
    #[inline(always)]
    pub fn lines<'a>(&self, x: &'a [Pixel]) -> impl Iterator<Item = &'a [Pixel]> {
        let (first, len) = (self.block * self.plane + self.pixels.start, self.pixels.len());
        let image = self.blocks * self.plane;
        self.images.clone().map(move |i| &x[i * image + first..][..len])
    }

    /// The first position of each line of [`Part::lines`] among those of all images, `[n, pixels]`.
    pub fn positions(&self) -> impl Iterator<Item = usize> {
        let (first, plane) = (self.pixels.start, self.plane);
        self.images.clone().map(move |i| i * plane + first)
    }

    /// Pixels of this part.
    pub fn count(&self) -> usize {
        self.images.len() * self.pixels.len()
    }
}
