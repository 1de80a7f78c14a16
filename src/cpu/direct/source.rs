//! The operand whose numbers are taken one by one: x of the forward pass, dy of the gradient of x.
//!
//! Channels in whole blocks are read where they lie, or from a copy with the padding around it. Others, as those of the first
//! layer, are laid out as one row of terms for each pixel.

use super::taps::Taps;
use crate::cpu::layout::{BLOCK, Layout};
use std::ops::Range;

/// Elements of a copy: 256 KiB, well within a core's own cache.
const COPY: usize = 1 << 16;

/// How a source is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    /// Blocks where they lie.
    InPlace,
    /// Blocks in a copy with zeros around them.
    Padded,
    /// Rows of terms, ordered by channel and tap.
    Rows,
}

/// A tensor `[batch, groups * channels, height, width]` as the source of sums over `taps`, cut into strips: some whole
/// images, or some rows of outputs of one.
#[derive(Debug)]
pub struct Source<'a> {
    taps: &'a Taps,
    layout: Layout,
    groups: usize,
    channels: usize,
    size: [usize; 2],
    form: Form,
    /// Images of a strip, and most rows of outputs of each.
    pub images: usize,
    pub rows: usize,
    /// Where each pixel of a strip begins, and each run of terms.
    pub pixels: Vec<usize>,
    pub runs: Vec<usize>,
    /// Runs of a block of channels; all of them where they are rows of terms.
    pub runs_per_block: usize,
    /// First row and column of a copy for a strip that begins at row 0, and its extents.
    corner: [isize; 2],
    extent: [usize; 2],
    /// Elements of a copied image, and of its planes where rows of terms are made from them.
    image: usize,
    planes: usize,
    /// Segments of neighbouring taps in a plane: where they begin, and their first term.
    segments: Vec<(usize, usize)>,
}

impl<'a> Source<'a> {
    /// `size` is the height and width; a strip has at most `most_images` images, and copies of blocks are made of
    /// `copied` channels at a time.
    pub fn new(
        taps: &'a Taps,
        layout: Layout,
        [batch, groups, channels]: [usize; 3],
        size: [usize; 2],
        most_images: usize,
        copied: usize,
    ) -> Self {
        let [h_out, w_out] = taps.outputs;
        let is_blocked = layout == Layout::Blocks && channels.is_multiple_of(BLOCK);
        let seen = [taps.seen(0, h_out), taps.seen(1, w_out)];
        let is_inside = (0..2).all(|axis| seen[axis][0] >= 0 && seen[axis][1] < size[axis] as isize);
        let form = match (is_blocked, is_inside) {
            (true, true) => Form::InPlace,
            (true, false) => Form::Padded,
            (false, _) => Form::Rows,
        };
        let terms = (channels * taps.places.len()).next_multiple_of(BLOCK);
        let width = (seen[1][1] - seen[1][0] + 1) as usize;
        // Elements of the copies that a strip of so many rows needs.
        let lengths = |rows: usize| {
            let [low, high] = taps.seen(0, rows);
            let plane = (high - low + 1) as usize * width;
            match form {
                Form::InPlace => [0, 0],
                Form::Padded => [copied * plane, 0],
                Form::Rows => [rows * w_out * terms, channels * plane + BLOCK],
            }
        };
        let total = |rows: usize| lengths(rows).iter().sum::<usize>();
        let mut rows = h_out;
        while rows > 1 && total(rows) > COPY {
            rows = rows.div_ceil(2);
        }
        // Small images are taken together until there are enough pixels for full tiles.
        let fitting = (COPY / total(h_out).max(1)).max(1);
        let wanted = 512usize.div_ceil(h_out * w_out);
        let images = if rows < h_out { 1 } else { fitting.min(wanted).min(most_images).min(batch).max(1) };
        let [image, planes] = lengths(rows);
        let [low, high] = taps.seen(0, rows);
        let mut source = Source {
            taps,
            layout,
            groups,
            channels,
            size,
            form,
            images,
            rows,
            pixels: Vec::with_capacity(images * rows * w_out),
            runs: Vec::new(),
            runs_per_block: 0,
            corner: [low, seen[1][0]],
            extent: [(high - low + 1) as usize, width],
            image,
            planes,
            segments: Vec::new(),
        };
        source.list_pixels();
        source.list_runs(terms);
        source
    }

    fn list_pixels(&mut self) {
        let [_, w_out] = self.taps.outputs;
        let [down, across] = self.taps.step;
        let (image, pitch, unit) = match self.form {
            Form::InPlace => (self.groups * self.channels * self.size[0] * self.size[1], self.size[1], BLOCK),
            Form::Padded => (self.image, self.extent[1], BLOCK),
            Form::Rows => (0, 0, 0),
        };
        for n in 0..self.images {
            for row in 0..self.rows {
                for column in 0..w_out {
                    self.pixels.push(n * image + (row * down * pitch + column * across) * unit);
                }
            }
        }
    }

    fn list_runs(&mut self, terms: usize) {
        if self.form == Form::Rows {
            for (i, pixel) in self.pixels.iter_mut().enumerate() {
                *pixel = i * terms;
            }
            self.runs = (0..terms).step_by(BLOCK).collect();
            self.runs_per_block = self.runs.len();
            self.list_segments();
            return;
        }
        let (corner, extent) = match self.form {
            Form::InPlace => ([0, 0], self.size),
            _ => (self.corner, self.extent),
        };
        for block in 0..self.channels / BLOCK {
            for place in &self.taps.places {
                let row = (place[0] - corner[0]) as usize;
                let column = (place[1] - corner[1]) as usize;
                self.runs.push(((block * extent[0] + row) * extent[1] + column) * BLOCK);
            }
        }
        self.runs_per_block = self.taps.places.len();
    }

    /// Taps that follow each other along a row are copied together.
    fn list_segments(&mut self) {
        let places = &self.taps.places;
        let plane = self.extent[0] * self.extent[1];
        for channel in 0..self.channels {
            let mut length = 0;
            for (k, place) in places.iter().enumerate() {
                let follows = k > 0 && places[k - 1] == [place[0], place[1] - 1] && length < BLOCK;
                length = if follows { length + 1 } else { 1 };
                if !follows {
                    let row = (place[0] - self.corner[0]) as usize;
                    let column = (place[1] - self.corner[1]) as usize;
                    let start = channel * plane + row * self.extent[1] + column;
                    self.segments.push((start, channel * places.len() + k));
                }
            }
        }
    }

    /// Whether channels come in blocks of their own.
    pub fn is_blocked(&self) -> bool {
        self.form != Form::Rows
    }

    /// Lengths of the scratch memory of a strip.
    pub fn scratch(&self) -> [usize; 2] {
        match self.form {
            Form::InPlace => [0, 0],
            Form::Padded => [self.images * self.image, 0],
            Form::Rows => [self.images * self.image + BLOCK, self.planes],
        }
    }

    /// What `pixels` and `runs` count from, for rows `rows` of outputs of `images` images from `first` on, of channel blocks
    /// `blocks` of group `group`; `runs` are then those of so many blocks from the first on.
    #[allow(clippy::too_many_arguments, reason = "the operands of one loop nest")]
    pub fn strip<'s>(
        &self,
        data: &'s [f32],
        first: usize,
        images: usize,
        rows: Range<usize>,
        group: usize,
        blocks: Range<usize>,
        [copy, planes]: [&'s mut [f32]; 2],
    ) -> &'s [f32] {
        let pixels = self.size[0] * self.size[1];
        let image = self.groups * self.channels * pixels;
        let down = rows.start * self.taps.step[0];
        if self.form == Form::InPlace {
            let start = first * image + (group * self.channels + blocks.start * BLOCK) * pixels;
            return &data[start + down * self.size[1] * BLOCK..];
        }
        let [low, high] = self.taps.seen(0, rows.len());
        let extent = [(high - low + 1) as usize, self.extent[1]];
        let corner = [self.corner[0] + down as isize, self.corner[1]];
        for n in 0..images {
            let data = &data[(first + n) * image..][..image];
            if self.form == Form::Padded {
                for (i, block) in blocks.clone().enumerate() {
                    let begin = (group * self.channels + block * BLOCK) * pixels;
                    let plane = self.extent[0] * self.extent[1] * BLOCK;
                    let target = &mut copy[n * self.image + i * plane..][..plane];
                    pad::<BLOCK>(&data[begin..][..pixels * BLOCK], self.size, corner, extent, target);
                }
            } else {
                self.planes(data, group, corner, extent, planes);
                let count = rows.len() * self.taps.outputs[1];
                let terms = self.runs.len() * BLOCK;
                self.terms(planes, count, &mut copy[n * self.image..][..count * terms + BLOCK]);
            }
        }
        copy
    }

    /// planes `[channels, extent]` of one group of an image, with the padding.
    fn planes(&self, data: &[f32], group: usize, corner: [isize; 2], extent: [usize; 2], planes: &mut [f32]) {
        let pixels = self.size[0] * self.size[1];
        let length = self.extent[0] * self.extent[1];
        for (c, target) in planes.chunks_exact_mut(length).take(self.channels).enumerate() {
            let channel = group * self.channels + c;
            match self.layout {
                Layout::Plain => {
                    pad::<1>(&data[channel * pixels..][..pixels], self.size, corner, extent, target);
                }
                Layout::Blocks => {
                    let block = &data[channel / BLOCK * BLOCK * pixels..][..BLOCK * pixels];
                    let (block, _) = block.as_chunks::<BLOCK>();
                    target.fill(0.0);
                    let inside = Inside::new(self.size, corner, extent);
                    for row in 0..inside.count[0] {
                        let source = &block[inside.source(row, self.size[1])..][..inside.count[1]];
                        let line = &mut target[inside.target(row, extent[1])..][..inside.count[1]];
                        for (value, source) in line.iter_mut().zip(source) {
                            *value = source[channel % BLOCK];
                        }
                    }
                }
            }
        }
    }

    /// The rows of terms of `count` pixels. Segments are copied as whole blocks; what is too much is overwritten by the next.
    fn terms(&self, planes: &[f32], count: usize, copy: &mut [f32]) {
        let terms = self.runs.len() * BLOCK;
        let used = self.channels * self.taps.places.len();
        let [_, w_out] = self.taps.outputs;
        let [down, across] = self.taps.step;
        crate::cpu::simd::vectorised!(|| {
            for i in 0..count {
                let pixel = i / w_out * down * self.extent[1] + i % w_out * across;
                let row = &mut copy[i * terms..][..terms + BLOCK];
                for &(start, term) in &self.segments {
                    let source = &planes[start + pixel..][..BLOCK];
                    row[term..term + BLOCK].copy_from_slice(source);
                }
                row[used..terms].fill(0.0);
            }
        });
    }
}

/// The part of a padded copy that lies in the image.
struct Inside {
    /// First row and column in the copy and in the image, and how many.
    copy: [usize; 2],
    image: [usize; 2],
    count: [usize; 2],
}

impl Inside {
    fn new(size: [usize; 2], corner: [isize; 2], extent: [usize; 2]) -> Inside {
        let copy = [0, 1].map(|axis| (-corner[axis]).clamp(0, extent[axis] as isize) as usize);
        let image = [0, 1].map(|axis| corner[axis].clamp(0, size[axis] as isize) as usize);
        let count = [0, 1].map(|axis| (size[axis] - image[axis]).min(extent[axis] - copy[axis]));
        Inside { copy, image, count }
    }

    fn source(&self, row: usize, pitch: usize) -> usize {
        (self.image[0] + row) * pitch + self.image[1]
    }

    fn target(&self, row: usize, pitch: usize) -> usize {
        (self.copy[0] + row) * pitch + self.copy[1]
    }
}

/// target `[extent, UNIT]` = the part of `data` `[size, UNIT]` from `corner` on, with zeros outside of it.
fn pad<const UNIT: usize>(
    data: &[f32],
    size: [usize; 2],
    corner: [isize; 2],
    extent: [usize; 2],
    target: &mut [f32],
) {
    let inside = Inside::new(size, corner, extent);
    target.fill(0.0);
    for row in 0..inside.count[0] {
        let count = inside.count[1] * UNIT;
        target[inside.target(row, extent[1]) * UNIT..][..count]
            .copy_from_slice(&data[inside.source(row, size[1]) * UNIT..][..count]);
    }
}
