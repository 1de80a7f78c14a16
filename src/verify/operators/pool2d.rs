//! Pooling over windows: maximum and average.

use super::OperatorCheck;
use crate::ops::{Op, Pool2d};
use crate::verify::cases::{Case, Data, outputs, scatter, special};
use crate::verify::error_scale::{exact, root_of_squares};

/// Elements of the input in the largest window.
fn window(d: &Pool2d) -> usize {
    d.kernel[0].min(d.h_in) * d.kernel[1].min(d.w_in)
}

/// The most windows that cover one element.
fn covering(d: &Pool2d) -> usize {
    let along = |axis: usize, outputs: usize| d.kernel[axis].div_ceil(d.stride[axis]).min(outputs);
    along(0, d.h_out()) * along(1, d.w_out())
}

pub fn max_forward(d: &Pool2d) -> OperatorCheck<'_> {
    OperatorCheck::new(Some(window(d)), |_, inputs, outputs| max_forward_reference(d, inputs, outputs), exact)
}

pub fn max_backward(d: &Pool2d) -> OperatorCheck<'_> {
    let reference = |_: &_, inputs: &[Vec<f64>], outputs: &mut [Vec<f64>]| {
        max_backward_reference(d, inputs, outputs);
    };
    OperatorCheck::new(Some(covering(d)), reference, root_of_squares).prepared(|case, operands| {
        let x = special(case, (0..operands[2].len()).map(scatter).collect());
        operands[0] = outputs(case, Op::MaxPool2dForward(*d), &[&x]).swap_remove(1);
    })
}

pub fn avg_forward(d: &Pool2d) -> OperatorCheck<'_> {
    let reference = |_: &_, inputs: &[Vec<f64>], outputs: &mut [Vec<f64>]| {
        avg_forward_reference(d, inputs, outputs);
    };
    OperatorCheck::new(Some(window(d)), reference, root_of_squares)
}

pub fn avg_backward(d: &Pool2d) -> OperatorCheck<'_> {
    let reference = |_: &_, inputs: &[Vec<f64>], outputs: &mut [Vec<f64>]| {
        avg_backward_reference(d, inputs, outputs);
    };
    OperatorCheck::new(Some(covering(d)), reference, root_of_squares)
}

/// Calls `tap(i, position, j)` for every window element of every output: x[j] is at `position` (row-major) in the
/// window of y[i]. Positions in the padding and beyond it are left out.
fn taps(d: &Pool2d, mut tap: impl FnMut(usize, usize, usize)) {
    let (h_out, w_out) = (d.h_out(), d.w_out());
    for plane in 0..d.batch * d.channels {
        for h in 0..h_out {
            for w in 0..w_out {
                for kh in 0..d.kernel[0] {
                    for kw in 0..d.kernel[1] {
                        let (row, column) = (h * d.stride[0] + kh, w * d.stride[1] + kw);
                        if row < d.pad[0]
                            || row >= d.pad[0] + d.h_in
                            || column < d.pad[1]
                            || column >= d.pad[1] + d.w_in
                        {
                            continue;
                        }
                        let (row, column) = (row - d.pad[0], column - d.pad[1]);
                        tap(
                            (plane * h_out + h) * w_out + w,
                            kh * d.kernel[1] + kw,
                            (plane * d.h_in + row) * d.w_in + column,
                        );
                    }
                }
            }
        }
    }
}

fn max_forward_reference(d: &Pool2d, inputs: &[Vec<f64>], outputs: &mut [Vec<f64>]) {
    let x = &inputs[0];
    let mut found = vec![false; outputs[0].len()];
    taps(d, |i, place, j| {
        let best = outputs[0][i];
        if !found[i] || x[j] > best || (x[j].is_nan() && !best.is_nan()) {
            found[i] = true;
            outputs[0][i] = x[j];
            outputs[1][i] = place as f64;
        }
    });
}

fn max_backward_reference(d: &Pool2d, inputs: &[Vec<f64>], outputs: &mut [Vec<f64>]) {
    let (index, dy, dx) = (&inputs[0], &inputs[1], &mut outputs[0]);
    dx.fill(0.0);
    taps(d, |i, place, j| {
        if index[i] == place as f64 {
            dx[j] += dy[i];
        }
    });
}

/// How many places of the window of output (h, w) lie in the input, or in its padding if that counts.
fn window_size(d: &Pool2d, h: usize, w: usize) -> f64 {
    let counts = |place: usize, axis: usize, len: usize| {
        let in_input = (d.pad[axis]..d.pad[axis] + len).contains(&place);
        in_input || (d.count_include_pad && place < d.pad[axis] + len + d.pad[axis + 2])
    };
    let rows = (0..d.kernel[0]).filter(|kh| counts(h * d.stride[0] + kh, 0, d.h_in)).count();
    let columns = (0..d.kernel[1]).filter(|kw| counts(w * d.stride[1] + kw, 1, d.w_in)).count();
    (rows * columns) as f64
}

/// The size of the window of each output of a plane.
fn window_sizes(d: &Pool2d) -> Vec<f64> {
    let outputs = (0..d.h_out()).flat_map(|h| (0..d.w_out()).map(move |w| (h, w)));
    outputs.map(|(h, w)| window_size(d, h, w)).collect()
}

fn avg_forward_reference(d: &Pool2d, inputs: &[Vec<f64>], outputs: &mut [Vec<f64>]) {
    let (x, y, sizes) = (&inputs[0], &mut outputs[0], window_sizes(d));
    y.fill(0.0);
    taps(d, |i, _, j| y[i] += x[j] / sizes[i % sizes.len()]);
}

fn avg_backward_reference(d: &Pool2d, inputs: &[Vec<f64>], outputs: &mut [Vec<f64>]) {
    let (dy, dx, sizes) = (&inputs[0], &mut outputs[0], window_sizes(d));
    dx.fill(0.0);
    taps(d, |i, _, j| dx[j] += dy[i] / sizes[i % sizes.len()]);
}

/// A plain geometry to start from: no padding, extents rounded down.
fn pool(
    batch: usize,
    channels: usize,
    [h_in, w_in]: [usize; 2],
    kernel: [usize; 2],
    stride: [usize; 2],
) -> Pool2d {
    Pool2d { batch, channels, h_in, w_in, kernel, stride, pad: [0; 4], ceil: false, count_include_pad: true }
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
        // Whole blocks of 16 channels, which the CPU path computes on vectors of channels.
        ("blocks", Pool2d { ceil: true, pad: [1, 0, 1, 1], ..pool(3, 32, [9, 12], [3, 3], [2, 2]) }),
        ("blocks_large_windows", pool(2, 16, [11, 9], [5, 4], [1, 3])),
    ]
}

pub fn quadruple(what: &str, d: Pool2d) -> [Case; 4] {
    let window = d.kernel[0] * d.kernel[1];
    let overlap = d.kernel[0].div_ceil(d.stride[0]) * d.kernel[1].div_ceil(d.stride[1]);
    [
        Case::new(Op::MaxPool2dForward(d), what, 1),
        Case::new(Op::MaxPool2dBackward(d), what, overlap),
        Case::new(Op::AvgPool2dForward(d), what, window),
        Case::new(Op::AvgPool2dBackward(d), what, overlap),
    ]
}

pub fn cases() -> Vec<Case> {
    let mut cases: Vec<Case> = geometries().into_iter().flat_map(|(what, d)| quadruple(what, d)).collect();
    cases.extend(image_alone());
    let overlapping = pool(2, 5, [13, 11], [3, 3], [2, 2]);
    let disjoint = Pool2d { ceil: true, ..pool(2, 3, [9, 7], [2, 2], [2, 2]) };
    let blocks = Pool2d { channels: 16, pad: [1; 4], ..overlapping };
    for (what, d) in [("ties", overlapping), ("ties_disjoint", disjoint), ("ties_in_blocks", blocks)] {
        cases.push(Case::new(Op::MaxPool2dForward(d), what, 1).with_data(Data::Ties));
        cases.push(Case::new(Op::MaxPool2dBackward(d), what, 4).with_data(Data::Ties));
    }
    cases.push(Case::new(Op::MaxPool2dForward(overlapping), "nan", 1).with_data(Data::Nan));
    cases.push(Case::new(Op::MaxPool2dForward(blocks), "nan_in_blocks", 1).with_data(Data::Nan));
    cases.extend(long_cases());
    cases
}

/// Averages that do not count the padding.
fn image_alone() -> impl Iterator<Item = Case> {
    let d = Pool2d { pad: [1; 4], count_include_pad: false, ..pool(2, 3, [11, 7], [3, 3], [2, 2]) };
    let geometries = [
        ("image_alone", d),
        ("image_alone_stride_1", Pool2d { stride: [1, 1], ..d }),
        ("image_alone_uneven", Pool2d { pad: [0, 2, 1, 1], kernel: [3, 4], ..d }),
        ("image_alone_ceil", Pool2d { ceil: true, h_in: 10, ..d }),
        ("image_alone_blocks", Pool2d { channels: 32, pad: [1, 0, 0, 1], ..d }),
        (
            "image_alone_long",
            Pool2d {
                pad: [7, 100, 50, 0],
                ceil: true,
                count_include_pad: false,
                ..long([300, 301], [300, 300], [40, 60])
            },
        ),
    ];
    geometries.into_iter().flat_map(|(what, d)| {
        let [_, _, forward, backward] = quadruple(what, d);
        // Few of the long windows cover an element.
        if what.ends_with("long") { vec![forward] } else { vec![forward, backward] }
    })
}

/// Reductions over more than 65,536 elements.
fn long_cases() -> Vec<Case> {
    let mut cases = Vec::new();
    let windows = [
        ("window_256x256", long([257, 258], [256, 256], [1, 2])),
        ("window_70001", long([1, 70_003], [1, 70_001], [1, 1])),
        // Cut by the image and by its padding.
        (
            "window_300x300",
            Pool2d { pad: [7, 100, 50, 0], ceil: true, ..long([300, 301], [300, 300], [40, 60]) },
        ),
        // More than one dispatch takes.
        ("window_600x600", Pool2d { channels: 1, ..long([600, 601], [600, 600], [1, 1]) }),
    ];
    for (what, d) in windows {
        // Few windows cover an element, so only forward is long.
        let [max, _, average, _] = quadruple(what, d);
        cases.extend([max, average]);
    }
    let tall = long([70_001, 1], [70_001, 1], [1, 1]);
    cases.push(Case::new(Op::MaxPool2dForward(tall), "long_ties", 1).with_data(Data::Ties));
    cases.push(Case::new(Op::MaxPool2dForward(tall), "long_nan", 1).with_data(Data::Nan));
    // Enough windows for a workgroup to gather them. Each of as many elements has them all, so there are only 12,501.
    let covered =
        Pool2d { channels: 1, pad: [0, 12_500, 0, 12_500], ..long([1, 12_500], [1, 25_000], [1, 1]) };
    let [_, max, _, average] = quadruple("covered_by_12501", covered);
    cases.extend([max, average]);
    cases
}

/// Two maps to start from: no padding, extents rounded down.
fn long(sides: [usize; 2], kernel: [usize; 2], stride: [usize; 2]) -> Pool2d {
    pool(1, 2, sides, kernel, stride)
}
