//! The geometry that the passes of a convolution share.

use super::windows::Windows;
use crate::ops::Conv2d;

/// Fewest tasks that a batch is cut into, if it is large enough.
pub const TASKS: usize = 16;

/// The windows of a convolution.
pub fn windows(d: &Conv2d) -> Windows {
    Windows {
        h_in: d.h_in,
        w_in: d.w_in,
        h_out: d.h_out(),
        w_out: d.w_out(),
        kernel: d.kernel,
        stride: d.stride,
        dilation: d.dilation,
        origin: [-(d.pad[0] as isize), -(d.pad[1] as isize)],
    }
}

/// A cross-correlation of `batch` images; the channels are those of one group.
#[derive(Clone, Copy, Debug)]
pub struct Correlation {
    pub windows: Windows,
    pub batch: usize,
    pub groups: usize,
    pub c_in: usize,
    pub c_out: usize,
    pub relu: bool,
}

impl Correlation {
    /// The forward pass of a convolution.
    pub fn new(d: &Conv2d) -> Self {
        Correlation {
            windows: windows(d),
            batch: d.batch,
            groups: d.groups,
            c_in: d.c_in_group(),
            c_out: d.c_out_group(),
            relu: d.relu,
        }
    }

    /// What leads from dy to dx where steps are 1, with the channels of w exchanged and its taps reversed.
    pub fn turned(d: &Conv2d) -> Self {
        let origin = |axis: usize| d.pad[axis] as isize - ((d.kernel[axis] - 1) * d.dilation[axis]) as isize;
        let windows = Windows {
            h_in: d.h_out(),
            w_in: d.w_out(),
            h_out: d.h_in,
            w_out: d.w_in,
            kernel: d.kernel,
            stride: [1, 1],
            dilation: d.dilation,
            origin: [origin(0), origin(1)],
        };
        Correlation {
            windows,
            batch: d.batch,
            groups: d.groups,
            c_in: d.c_out_group(),
            c_out: d.c_in_group(),
            relu: false,
        }
    }
}
