//! Where the tiles of Winograd's convolutions lie: the images of a batch side by side.
//!
//! Tiles rarely fit an image evenly: 13 rows take four tiles of 4. So images are laid out in planes, `rows` times
//! `columns` of them, near enough to share their padding, and the tiles cover the plane: those at a seam serve two
//! images. Planes are cut into tiles of M x M outputs; of an output plane the pixels between images are dropped.

use crate::cpu::windows::Windows;

/// Most images along one side of a plane.
const MOST: usize = 4;
/// Fewest planes that a batch of several images is laid out in, if it is large enough: each can be a task.
const PLANES: usize = 8;

/// How a batch is laid out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mosaic {
    pub batch: usize,
    /// Outputs of a tile, along one side.
    pub m: usize,
    /// Images of a plane.
    pub rows: usize,
    pub columns: usize,
    /// Pixels from one image of a plane to the next.
    pub pitch: [usize; 2],
    /// Tiles of a plane.
    pub tiles: [usize; 2],
    /// Planes of the batch.
    pub planes: usize,
}

impl Mosaic {
    /// The layout with the fewest tiles, for steps of 1 and tiles of `m` x `m` outputs.
    pub fn new(windows: &Windows, batch: usize, m: usize) -> Self {
        // An image's windows see its neighbour's padding, never its pixels.
        let pitch = |axis: usize, inputs: usize, outputs: usize| {
            let seen = outputs + windows.kernel[axis] - 1;
            let origin = windows.origin[axis];
            (seen as isize + origin).max(inputs as isize - origin).max(outputs as isize) as usize
        };
        let pitch = [pitch(0, windows.h_in, windows.h_out), pitch(1, windows.w_in, windows.w_out)];
        let mut best: Option<(usize, Mosaic)> = None;
        for rows in 1..=MOST {
            for columns in rows..=MOST {
                let planes = batch.div_ceil(rows * columns);
                if rows * columns > 1 && planes < PLANES {
                    continue;
                }
                let tiles = [
                    ((rows - 1) * pitch[0] + windows.h_out).div_ceil(m),
                    ((columns - 1) * pitch[1] + windows.w_out).div_ceil(m),
                ];
                let total = planes * tiles[0] * tiles[1];
                // The smallest planes of those with the fewest tiles.
                if best.is_none_or(|(least, _)| total < least) {
                    best = Some((total, Mosaic { batch, m, rows, columns, pitch, tiles, planes }));
                }
            }
        }
        best.map_or(
            Mosaic { batch, m, rows: 1, columns: 1, pitch, tiles: [0, 0], planes: batch },
            |(_, best)| best,
        )
    }

    /// Images of a plane.
    pub fn per_plane(&self) -> usize {
        self.rows * self.columns
    }

    /// Tiles of one plane.
    pub fn plane_tiles(&self) -> usize {
        self.tiles[0] * self.tiles[1]
    }

    /// Places of the images of a plane: index in the plane, first row and first column.
    pub fn places(&self) -> impl Iterator<Item = (usize, usize, usize)> {
        let (columns, pitch) = (self.columns, self.pitch);
        (0..self.per_plane()).map(move |i| (i, i / columns * pitch[0], i % columns * pitch[1]))
    }
}
