//! Which pixels of the input an output is summed from.

use crate::ops::Conv2d;

/// The taps of a kernel for a grid of outputs: output (i, j) is the sum over taps of the input at `places[tap]` plus
/// (i, j) times `step`, and lies at `first` plus (i, j) times `spread`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Taps {
    /// Row and column for output (0, 0); outside of the input is padding.
    pub places: Vec<[isize; 2]>,
    /// The place of each tap in the kernel, row by row.
    pub kernel: Vec<usize>,
    pub step: [usize; 2],
    /// Rows and columns of outputs.
    pub outputs: [usize; 2],
    pub first: [usize; 2],
    pub spread: [usize; 2],
}

impl Taps {
    /// Those that lead from x to y.
    pub fn forward(d: &Conv2d) -> Taps {
        let place = |axis: usize, k: usize| (k * d.dilation[axis]) as isize - d.pad[axis] as isize;
        let taps = 0..d.kernel[0] * d.kernel[1];
        Taps {
            places: taps.clone().map(|k| [place(0, k / d.kernel[1]), place(1, k % d.kernel[1])]).collect(),
            kernel: taps.collect(),
            step: d.stride,
            outputs: [d.h_out(), d.w_out()],
            first: [0, 0],
            spread: [1, 1],
        }
    }

    /// Those that lead from dy to dx: for each phase of the stride the taps that meet its pixels. Some may have none.
    pub fn backward(d: &Conv2d) -> Vec<Taps> {
        let inputs = [d.h_in, d.w_in];
        let mut phases = Vec::new();
        for row in 0..d.stride[0].min(d.h_in) {
            for column in 0..d.stride[1].min(d.w_in) {
                let first = [row, column];
                let outputs = [0, 1].map(|axis| (inputs[axis] - first[axis]).div_ceil(d.stride[axis]));
                let mut phase = Taps {
                    places: Vec::new(),
                    kernel: Vec::new(),
                    step: [1, 1],
                    outputs,
                    first,
                    spread: d.stride,
                };
                for k in 0..d.kernel[0] * d.kernel[1] {
                    // Input i meets output (i + pad - k dilation) / stride, if that is whole.
                    let tap = [k / d.kernel[1], k % d.kernel[1]];
                    let meets = [0, 1].map(|axis| {
                        let at =
                            (first[axis] + d.pad[axis]) as isize - (tap[axis] * d.dilation[axis]) as isize;
                        let stride = d.stride[axis] as isize;
                        (at.rem_euclid(stride) == 0).then(|| at.div_euclid(stride))
                    });
                    if let [Some(row), Some(column)] = meets {
                        phase.places.push([row, column]);
                        phase.kernel.push(k);
                    }
                }
                phases.push(phase);
            }
        }
        phases
    }

    /// Where output (row, column) lies among pixels in rows of `width`.
    pub fn place(&self, row: usize, column: usize, width: usize) -> usize {
        let ([top, left], [down, across]) = (self.first, self.spread);
        (top + row * down) * width + left + column * across
    }

    /// The first and the last row (axis 0) or column (axis 1) that `count` outputs from the first on see; the first alone
    /// without taps.
    pub fn seen(&self, axis: usize, count: usize) -> [isize; 2] {
        let places = || self.places.iter().map(|place| place[axis]);
        let (low, high) = (places().min().unwrap_or(0), places().max().unwrap_or(0));
        [low, high + ((count - 1) * self.step[axis]) as isize]
    }
}
