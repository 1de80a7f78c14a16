//! Pooling.

use super::{Case, Data};
use crate::ops::{AdaptiveAvgPool2d, Op, Pool2d};

/// A plain geometry to start from: no padding, extents rounded down.
fn pool(
    batch: usize,
    channels: usize,
    [h_in, w_in]: [usize; 2],
    kernel: [usize; 2],
    stride: [usize; 2],
) -> Pool2d {
    Pool2d { batch, channels, h_in, w_in, kernel, stride, pad: [0; 4], ceil: false }
}

fn geometries() -> Vec<(&'static str, Pool2d)> {
    vec![
        ("unit", pool(1, 1, [1, 1], [1, 1], [1, 1])),
        ("disjoint", pool(2, 3, [8, 10], [2, 2], [2, 2])),
        ("overlapping", pool(2, 5, [13, 13], [3, 3], [2, 2])),
        ("overlapping_stride_1", pool(1, 7, [9, 6], [3, 3], [1, 1])),
        ("alexnet", pool(1, 64, [55, 55], [3, 3], [2, 2])),
        ("padded", Pool2d { pad: [1; 4], ..pool(2, 3, [11, 7], [3, 3], [2, 2]) }),
        ("padded_unevenly", Pool2d { pad: [0, 1, 2, 0], ..pool(3, 2, [7, 9], [4, 3], [2, 1]) }),
        ("ceil", Pool2d { ceil: true, ..pool(2, 4, [8, 11], [3, 3], [2, 2]) }),
        ("ceil_padded", Pool2d { ceil: true, pad: [1; 4], ..pool(2, 3, [10, 7], [3, 3], [2, 2]) }),
        // Rounding up would give a third window that starts in the padding; PyTorch drops it.
        ("ceil_dropped_window", Pool2d { ceil: true, pad: [1; 4], ..pool(1, 2, [3, 3], [2, 2], [2, 2]) }),
        ("ceil_uneven", Pool2d { ceil: true, pad: [1, 0, 0, 2], ..pool(2, 2, [9, 13], [3, 4], [4, 3]) }),
        ("kernel_1_stride_2", pool(2, 3, [7, 8], [1, 1], [2, 2])),
        ("rectangular", Pool2d { pad: [0, 2, 0, 2], ..pool(2, 3, [6, 17], [2, 5], [3, 1]) }),
        ("stride_over_kernel", pool(3, 1, [17, 19], [2, 3], [5, 4])),
        ("global", pool(3, 65, [7, 5], [7, 5], [1, 1])),
        ("primes", pool(7, 11, [13, 17], [5, 3], [3, 2])),
    ]
}

pub(super) fn quadruple(what: &str, d: Pool2d) -> [Case; 4] {
    let window = d.kernel[0] * d.kernel[1];
    let overlap = d.kernel[0].div_ceil(d.stride[0]) * d.kernel[1].div_ceil(d.stride[1]);
    [
        Case::new(Op::MaxPool2dForward(d), what, 1),
        Case::new(Op::MaxPool2dBackward(d), what, overlap),
        Case::new(Op::AvgPool2dForward(d), what, window),
        Case::new(Op::AvgPool2dBackward(d), what, overlap),
    ]
}

pub(super) fn pair(what: &str, d: AdaptiveAvgPool2d) -> [Case; 2] {
    let window = (d.h_in.div_ceil(d.h_out) + 1) * (d.w_in.div_ceil(d.w_out) + 1);
    let overlap = (d.h_out.div_ceil(d.h_in) + 1) * (d.w_out.div_ceil(d.w_in) + 1);
    [
        Case::new(Op::AdaptiveAvgPool2dForward(d), what, window),
        Case::new(Op::AdaptiveAvgPool2dBackward(d), what, overlap),
    ]
}

pub(super) fn cases() -> Vec<Case> {
    let mut cases: Vec<Case> = geometries().into_iter().flat_map(|(what, d)| quadruple(what, d)).collect();
    let overlapping = pool(2, 5, [13, 11], [3, 3], [2, 2]);
    let disjoint = Pool2d { ceil: true, ..pool(2, 3, [9, 7], [2, 2], [2, 2]) };
    for (what, d) in [("ties", overlapping), ("ties_disjoint", disjoint)] {
        cases.push(Case::new(Op::MaxPool2dForward(d), what, 1).with_data(Data::Ties));
        cases.push(Case::new(Op::MaxPool2dBackward(d), what, 4).with_data(Data::Ties));
    }
    cases.push(Case::new(Op::MaxPool2dForward(overlapping), "nan", 1).with_data(Data::Nan));
    let adaptive = [
        (1, 1, [1, 1], [1, 1]),
        (2, 5, [6, 6], [6, 6]),
        (2, 5, [13, 7], [6, 6]),
        (3, 4, [7, 5], [1, 1]),
        (1, 65, [9, 11], [4, 3]),
        (2, 3, [3, 4], [7, 6]),
        (1, 2, [1, 5], [3, 2]),
        (2, 33, [12, 12], [6, 4]),
    ];
    for (batch, channels, [h_in, w_in], [h_out, w_out]) in adaptive {
        let what = format!("{batch}x{channels}x{h_in}x{w_in}_to_{h_out}x{w_out}");
        cases.extend(pair(&what, AdaptiveAvgPool2d { batch, channels, h_in, w_in, h_out, w_out }));
    }
    cases
}
