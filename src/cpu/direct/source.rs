//! The operand whose numbers are taken one by one: x of the forward pass, dy of the gradient of x.
//!
//! It is read where it lies, or from a copy with the padding around it.

use super::taps::Taps;
use crate::cpu::layout::{BLOCK, Layout};
use std::ops::Range;

/// Elements of a copy: 256 KiB, well within a core's own cache.
const COPY: usize = 1 << 16;

/// A tensor `[batch, groups * channels, height, width]` as the source of sums over `taps`, cut into strips: some whole
/// images, or some rows of outputs of one.
#[derive(Debug)]
pub struct Source<'a> {
    taps: &'a Taps,
    groups: usize,
    channels: usize,
    size: [usize; 2],
    /// Neighbouring channels of a pixel: [`BLOCK`], or 1 in a plain tensor.
    pub terms: usize,
    /// Whether no tap leaves the images.
    is_inside: bool,
    /// Images of a strip, and most rows of outputs of each.
    pub images: usize,
    pub rows: usize,
    /// Where each pixel of a strip begins, and each run of terms.
    pub pixels: Vec<usize>,
    pub runs: Vec<usize>,
    /// First row and column of a copy for a strip that begins at row 0, and its extents.
    corner: [isize; 2],
    extent: [usize; 2],
    /// Elements of an image of a copy.
    image: usize,
}

impl<'a> Source<'a> {
    /// `size` is the height and width; a strip has at most `most_images` images, and copies are made of `copied` channels at
    /// a time.
    pub fn new(
        taps: &'a Taps,
        layout: Layout,
        [batch, groups, channels]: [usize; 3],
        size: [usize; 2],
        most_images: usize,
        copied: usize,
    ) -> Self {
        let [h_out, w_out] = taps.outputs;
        let seen = [taps.seen(0, h_out), taps.seen(1, w_out)];
        let is_inside = (0..2).all(|axis| seen[axis][0] >= 0 && seen[axis][1] < size[axis] as isize);
        let width = (seen[1][1] - seen[1][0] + 1) as usize;
        let height = |rows: usize| {
            let [low, high] = taps.seen(0, rows);
            (high - low + 1) as usize
        };
        let copy = |rows: usize| if is_inside { 0 } else { copied * height(rows) * width };
        let mut rows = h_out;
        while rows > 1 && copy(rows) > COPY {
            rows = rows.div_ceil(2);
        }
        // Small images are taken together until there are enough pixels for full tiles.
        let fitting = (COPY / copy(h_out).max(1)).max(1);
        let wanted = 512usize.div_ceil(h_out * w_out);
        let images = if rows < h_out { 1 } else { fitting.min(wanted).min(most_images).min(batch).max(1) };
        let terms = if layout == Layout::Blocks { BLOCK } else { 1 };
        let (corner, extent) = if is_inside {
            ([0, 0], size)
        } else {
            ([taps.seen(0, rows)[0], seen[1][0]], [height(rows), width])
        };
        let image = if is_inside { groups * channels * size[0] * size[1] } else { copy(rows) };
        let [down, across] = taps.step;
        let pixels = (0..images * rows * w_out).map(|i| {
            let (n, row, column) = (i / (rows * w_out), i / w_out % rows, i % w_out);
            n * image + (row * down * extent[1] + column * across) * terms
        });
        let runs = (0..channels / terms).flat_map(|block| {
            taps.places.iter().map(move |place| {
                let [row, column] = [0, 1].map(|axis| (place[axis] - corner[axis]) as usize);
                ((block * extent[0] + row) * extent[1] + column) * terms
            })
        });
        let (pixels, runs) = (pixels.collect(), runs.collect());
        Source {
            taps,
            groups,
            channels,
            size,
            terms,
            is_inside,
            images,
            rows,
            pixels,
            runs,
            corner,
            extent,
            image,
        }
    }

    /// Length of the scratch memory of a strip.
    pub fn scratch(&self) -> usize {
        // With a block to spare for those who copy whole blocks.
        if self.is_inside { 0 } else { self.images * self.image + BLOCK }
    }

    /// What `pixels` and `runs` count from, for rows `rows` of outputs of `images` images from `first` on, of `channels` of
    /// group `group`, whole blocks; `runs` are then those of so many channels from the first on.
    #[allow(clippy::too_many_arguments, reason = "the operands of one loop nest")]
    pub fn strip<'s>(
        &self,
        data: &'s [f32],
        first: usize,
        images: usize,
        rows: Range<usize>,
        group: usize,
        channels: Range<usize>,
        copy: &'s mut [f32],
    ) -> &'s [f32] {
        let pixels = self.size[0] * self.size[1];
        let image = self.groups * self.channels * pixels;
        let down = rows.start * self.taps.step[0];
        let start = first * image + (group * self.channels + channels.start) * pixels;
        if self.is_inside {
            return &data[start + down * self.size[1] * self.terms..];
        }
        let [low, high] = self.taps.seen(0, rows.len());
        let extent = [(high - low + 1) as usize, self.extent[1]];
        let corner = [self.corner[0] + down as isize, self.corner[1]];
        let plane = self.extent[0] * self.extent[1] * self.terms;
        for n in 0..images {
            let data = &data[start + n * image..][..channels.len() * pixels];
            let blocks = data.chunks_exact(pixels * self.terms);
            for (block, target) in blocks.zip(copy[n * self.image..].chunks_exact_mut(plane)) {
                pad(block, self.terms, self.size, corner, extent, target);
            }
        }
        copy
    }
}

/// target `[extent, unit]` = the part of `data` `[size, unit]` from `corner` on, with zeros outside of it.
fn pad(
    data: &[f32],
    unit: usize,
    size: [usize; 2],
    corner: [isize; 2],
    extent: [usize; 2],
    target: &mut [f32],
) {
    // First row and column in the copy and in the image, and how many are in both.
    let to = [0, 1].map(|axis| (-corner[axis]).clamp(0, extent[axis] as isize) as usize);
    let from = [0, 1].map(|axis| corner[axis].clamp(0, size[axis] as isize) as usize);
    let count = [0, 1].map(|axis| (size[axis] - from[axis]).min(extent[axis] - to[axis]));
    target.fill(0.0);
    for row in 0..count[0] {
        let target = &mut target[((to[0] + row) * extent[1] + to[1]) * unit..][..count[1] * unit];
        target.copy_from_slice(&data[((from[0] + row) * size[1] + from[1]) * unit..][..count[1] * unit]);
    }
}
