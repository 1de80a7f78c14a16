//! Convolution and the gradient of a bias.

use super::OperatorCheck;
use super::pointwise::relu;
use crate::ops::{BiasGrad, Conv2d, Op};
use crate::verify::cases::{Case, Data};
use crate::verify::error_scale::root_of_squares;

pub fn forward(d: &Conv2d) -> OperatorCheck<'_> {
    OperatorCheck::new(
        Some(d.depth()),
        |_, inputs, outputs| forward_reference(d, inputs, outputs),
        root_of_squares,
    )
}

pub fn grad_input(d: &Conv2d) -> OperatorCheck<'_> {
    let reduction = d.c_out_group() * d.kernel[0] * d.kernel[1];
    OperatorCheck::new(
        Some(reduction),
        |_, inputs, outputs| grad_input_reference(d, inputs, outputs),
        root_of_squares,
    )
}

pub fn grad_weight(d: &Conv2d) -> OperatorCheck<'_> {
    let reduction = d.batch * d.h_out() * d.w_out();
    OperatorCheck::new(
        Some(reduction),
        |_, inputs, outputs| grad_weight_reference(d, inputs, outputs),
        root_of_squares,
    )
}

pub fn bias_grad(d: &BiasGrad) -> OperatorCheck<'_> {
    let reduction = d.batch * d.inner;
    OperatorCheck::new(
        Some(reduction),
        |_, inputs, outputs| bias_grad_reference(d, inputs, outputs),
        root_of_squares,
    )
}

/// Calls `tap(i, j, k)` for every product in y[i] = sum of x[j] w[k]; taps in the padding are left out.
fn taps(d: &Conv2d, mut tap: impl FnMut(usize, usize, usize)) {
    let (c_in, c_out) = (d.c_in_group(), d.c_out_group());
    let [kernel_h, kernel_w] = d.kernel;
    for n in 0..d.batch {
        for c in 0..d.c_out {
            for h in 0..d.h_out() {
                for w in 0..d.w_out() {
                    let y = ((n * d.c_out + c) * d.h_out() + h) * d.w_out() + w;
                    for ci in 0..c_in {
                        let channel = c / c_out * c_in + ci;
                        for kh in 0..kernel_h {
                            for kw in 0..kernel_w {
                                let row = h * d.stride[0] + kh * d.dilation[0];
                                let column = w * d.stride[1] + kw * d.dilation[1];
                                if row < d.pad[0]
                                    || row >= d.pad[0] + d.h_in
                                    || column < d.pad[1]
                                    || column >= d.pad[1] + d.w_in
                                {
                                    continue;
                                }
                                let (row, column) = (row - d.pad[0], column - d.pad[1]);
                                let x = ((n * d.c_in + channel) * d.h_in + row) * d.w_in + column;
                                tap(y, x, ((c * c_in + ci) * kernel_h + kh) * kernel_w + kw);
                            }
                        }
                    }
                }
            }
        }
    }
}

fn forward_reference(d: &Conv2d, inputs: &[Vec<f64>], outputs: &mut [Vec<f64>]) {
    let (x, w, y) = (&inputs[0], &inputs[1], &mut outputs[0]);
    let inner = d.h_out() * d.w_out();
    for (i, y) in y.iter_mut().enumerate() {
        *y = if d.bias { inputs[2][i / inner % d.c_out] } else { 0.0 };
    }
    taps(d, |i, j, k| y[i] += x[j] * w[k]);
    if d.relu {
        y.iter_mut().for_each(|y| *y = relu(*y));
    }
}

fn grad_input_reference(d: &Conv2d, inputs: &[Vec<f64>], outputs: &mut [Vec<f64>]) {
    let (dy, w, dx) = (&inputs[0], &inputs[1], &mut outputs[0]);
    dx.fill(0.0);
    taps(d, |i, j, k| dx[j] += dy[i] * w[k]);
}

fn grad_weight_reference(d: &Conv2d, inputs: &[Vec<f64>], outputs: &mut [Vec<f64>]) {
    let (x, dy, dw) = (&inputs[0], &inputs[1], &mut outputs[0]);
    dw.fill(0.0);
    taps(d, |i, j, k| dw[k] += x[j] * dy[i]);
}

fn bias_grad_reference(d: &BiasGrad, inputs: &[Vec<f64>], outputs: &mut [Vec<f64>]) {
    outputs[0].fill(0.0);
    for (i, dy) in inputs[0].iter().enumerate() {
        outputs[0][i / d.inner % d.channels] += dy;
    }
}

/// A plain geometry to start from: stride 1, no padding, one group, with a bias.
fn conv(batch: usize, c_in: usize, [h_in, w_in]: [usize; 2], c_out: usize, kernel: [usize; 2]) -> Conv2d {
    Conv2d {
        batch,
        c_in,
        h_in,
        w_in,
        c_out,
        kernel,
        stride: [1, 1],
        pad: [0; 4],
        dilation: [1, 1],
        groups: 1,
        bias: true,
        relu: false,
    }
}

fn geometries() -> Vec<(&'static str, Conv2d)> {
    vec![
        ("unit", Conv2d { bias: false, ..conv(1, 1, [1, 1], 1, [1, 1]) }),
        (
            "stride_4_kernel_11",
            Conv2d { stride: [4, 4], pad: [2; 4], relu: true, ..conv(2, 3, [35, 39], 13, [11, 11]) },
        ),
        (
            "stride_4_kernel_11_no_padding",
            Conv2d { stride: [4, 4], bias: false, ..conv(1, 3, [31, 27], 17, [11, 11]) },
        ),
        ("kernel_5_padding_2", Conv2d { pad: [2; 4], relu: true, ..conv(2, 5, [27, 27], 7, [5, 5]) }),
        ("kernel_3_padding_1", Conv2d { pad: [1; 4], relu: true, ..conv(1, 48, [13, 13], 64, [3, 3]) }),
        ("kernel_3_odd", Conv2d { pad: [1; 4], bias: false, ..conv(3, 7, [11, 9], 10, [3, 3]) }),
        ("kernel_3_even", Conv2d { pad: [1; 4], ..conv(2, 8, [12, 16], 9, [3, 3]) }),
        ("kernel_3_valid", conv(2, 6, [10, 7], 11, [3, 3])),
        ("kernel_3_single_output", Conv2d { relu: true, ..conv(5, 9, [3, 3], 6, [3, 3]) }),
        ("kernel_3_uneven_padding", Conv2d { pad: [0, 2, 1, 0], ..conv(2, 4, [9, 8], 5, [3, 3]) }),
        ("primes", Conv2d { pad: [1, 2, 1, 2], ..conv(3, 7, [11, 13], 5, [3, 5]) }),
        ("stride_over_kernel", Conv2d { stride: [3, 5], ..conv(2, 3, [17, 19], 4, [2, 2]) }),
        (
            "dilation",
            Conv2d { dilation: [2, 3], stride: [2, 1], pad: [2, 3, 2, 3], ..conv(2, 4, [15, 17], 6, [3, 3]) },
        ),
        ("uneven_padding", Conv2d { pad: [0, 3, 2, 1], ..conv(1, 3, [9, 10], 5, [4, 3]) }),
        ("padding_beyond_kernel", Conv2d { pad: [3; 4], ..conv(1, 2, [5, 4], 3, [2, 2]) }),
        ("groups_2", Conv2d { groups: 2, pad: [1; 4], relu: true, ..conv(2, 6, [9, 7], 10, [3, 3]) }),
        ("depthwise", Conv2d { groups: 9, pad: [1; 4], stride: [2, 2], ..conv(2, 9, [11, 8], 18, [3, 3]) }),
        (
            "groups_3_everything",
            Conv2d {
                groups: 3,
                stride: [2, 3],
                dilation: [2, 1],
                pad: [1, 0, 2, 3],
                bias: false,
                relu: true,
                ..conv(3, 15, [14, 11], 21, [3, 4])
            },
        ),
        ("pointwise", Conv2d { relu: true, ..conv(3, 17, [7, 9], 31, [1, 1]) }),
        ("pointwise_stride_2", Conv2d { stride: [2, 2], bias: false, ..conv(2, 16, [9, 9], 8, [1, 1]) }),
        ("row_kernel", Conv2d { stride: [1, 3], ..conv(2, 5, [1, 101], 3, [1, 7]) }),
        ("column_kernel", Conv2d { pad: [3, 0, 3, 0], ..conv(2, 3, [23, 2], 4, [7, 1]) }),
        ("whole_input", conv(4, 3, [5, 7], 19, [5, 7])),
        ("tile_15", conv(1, 15, [3, 5], 15, [1, 1])),
        // Whole blocks of 16 channels, which the CPU path computes on vectors of channels.
        ("blocks", Conv2d { pad: [1; 4], stride: [2, 1], relu: true, ..conv(3, 32, [9, 7], 48, [3, 3]) }),
        ("blocks_valid", Conv2d { dilation: [2, 3], bias: false, ..conv(2, 16, [11, 13], 80, [2, 3]) }),
        ("blocks_groups_2", Conv2d { groups: 2, pad: [2, 0, 1, 3], ..conv(2, 32, [8, 9], 64, [5, 3]) }),
        ("blocks_shared_by_groups", Conv2d { groups: 4, pad: [1; 4], ..conv(2, 32, [7, 6], 48, [3, 3]) }),
        ("blocks_pointwise", Conv2d { relu: true, ..conv(2, 48, [7, 9], 32, [1, 1]) }),
        ("blocks_to_ragged", Conv2d { pad: [1; 4], ..conv(2, 32, [6, 5], 21, [3, 3]) }),
        ("blocks_of_few_results", Conv2d { pad: [1; 4], ..conv(2, 16, [6, 5], 3, [3, 3]) }),
        ("ragged_to_blocks", Conv2d { pad: [2; 4], relu: true, ..conv(2, 5, [9, 10], 32, [5, 5]) }),
        (
            "blocks_depthwise",
            Conv2d {
                groups: 32,
                pad: [1, 2, 1, 2],
                stride: [2, 1],
                relu: true,
                ..conv(2, 32, [9, 11], 32, [3, 5])
            },
        ),
        ("blocks_6x6", Conv2d { pad: [1; 4], relu: true, ..conv(16, 64, [6, 6], 64, [3, 3]) }),
        // Large enough for the CPU's Winograd convolution, with several images to a plane.
        ("filtered_3", Conv2d { pad: [1; 4], relu: true, ..conv(8, 96, [13, 13], 128, [3, 3]) }),
        ("tile_17", Conv2d { relu: true, ..conv(1, 17, [1, 17], 17, [1, 1]) }),
        ("tile_31", conv(1, 31, [1, 31], 31, [1, 1])),
        ("tile_33", Conv2d { relu: true, ..conv(3, 33, [1, 11], 33, [1, 1]) }),
        ("tile_63", Conv2d { pad: [1; 4], ..conv(1, 7, [9, 7], 63, [3, 3]) }),
        ("tile_64", conv(1, 64, [8, 8], 64, [1, 1])),
        ("tile_65", conv(1, 65, [5, 13], 65, [1, 1])),
        ("tile_129", conv(1, 129, [3, 43], 129, [1, 1])),
        ("deep", Conv2d { pad: [1; 4], ..conv(1, 1117, [3, 3], 5, [3, 3]) }),
        ("many_positions", Conv2d { pad: [1; 4], ..conv(5, 2, [47, 43], 3, [3, 3]) }),
    ]
}

/// The longest sum of each of the three operators.
pub fn triple(what: &str, d: Conv2d) -> [Case; 3] {
    let positions = d.batch * d.h_out() * d.w_out();
    let above = d.c_out_group() * d.kernel[0] * d.kernel[1];
    [
        Case::new(Op::Conv2dForward(d), what, d.depth() + 1),
        Case::new(Op::Conv2dGradInput(d), what, above),
        Case::new(Op::Conv2dGradWeight(d), what, positions),
    ]
}

pub fn cases() -> Vec<Case> {
    let mut cases: Vec<Case> = geometries().into_iter().flat_map(|(what, d)| triple(what, d)).collect();
    // Enough sums for a GPU's larger tiles, with few products each.
    let wide = conv(1, 3, [151, 149], 131, [1, 1]);
    let narrow = Conv2d { relu: true, ..conv(2, 3, [127, 109], 61, [1, 1]) };
    for (what, d) in [("many_sums", wide), ("many_sums_in_few_channels", narrow)] {
        let [forward, _, _] = triple(what, d);
        let [_, grad_input, _] = triple(what, Conv2d { c_in: d.c_out, c_out: d.c_in, ..d });
        cases.extend([forward, grad_input]);
    }
    let wide = Conv2d { pad: [1; 4], ..conv(1, 163, [2, 3], 1733, [3, 3]) };
    let [_, _, grad_weight] = triple("many_sums", wide);
    cases.push(grad_weight);
    let nan = Conv2d { pad: [1; 4], relu: true, ..conv(2, 5, [6, 7], 4, [3, 3]) };
    cases.push(Case::new(Op::Conv2dForward(nan), "nan_image", nan.depth()).with_data(Data::Nan));
    let sums = [
        (1, 1, 1),
        (3, 5, 7),
        (128, 10, 1),
        (2, 96, 169),
        (257, 1, 1),
        (1, 65, 64),
        (5, 3, 2021),
        (1009, 33, 1),
    ];
    for (batch, channels, inner) in sums {
        let what = format!("{batch}x{channels}x{inner}");
        cases.push(Case::new(Op::BiasGrad(BiasGrad { batch, channels, inner }), &what, batch * inner));
    }
    cases.extend(long_cases());
    cases
}

/// Reductions over more than 65,536 elements.
fn long_cases() -> Vec<Case> {
    let mut cases = Vec::new();
    // All three passes: channels in, channels out, positions.
    let wide = long(1, 16_384, [2, 2], 2, [2, 2]);
    let prime = Conv2d { bias: false, relu: false, ..long(2, 70_001, [1, 1], 3, [1, 1]) };
    for (what, d) in [("65536_channels", wide), ("70001_channels", prime)] {
        let [forward, _, _] = triple(what, d);
        let [_, grad_input, _] = triple(what, Conv2d { c_in: d.c_out, c_out: d.c_in, ..d });
        cases.extend([forward, grad_input]);
    }
    let window = Conv2d { pad: [1, 0, 0, 2], ..long(1, 1, [300, 301], 2, [300, 300]) };
    let groups = Conv2d { groups: 2, stride: [2, 2], ..long(1, 2, [2, 2], 80_002, [2, 2]) };
    let [forward, _, _] = triple("window_300x300", window);
    let [_, grad_input, _] = triple("phases_and_groups", groups);
    cases.extend([forward, grad_input]);
    let positions = [
        ("256x256", long(1, 2, [257, 257], 3, [2, 2])),
        ("images", long(7, 1, [100, 101], 2, [1, 1])),
        // A piece is at least a row, so several dispatches continue one sum.
        ("70001_in_a_row", long(1, 1, [1, 70_003], 2, [1, 3])),
    ];
    for (what, d) in positions {
        let [_, _, grad_weight] = triple(what, d);
        cases.push(grad_weight);
    }
    let sums =
        [(65_536, 3, 1), (70_001, 10, 1), (30_000, 2, 3), (1, 2, 70_001), (300, 2, 300), (5, 1, 65_537)];
    for (batch, channels, inner) in sums {
        let what = format!("{batch}x{channels}x{inner}");
        cases.push(Case::new(Op::BiasGrad(BiasGrad { batch, channels, inner }), &what, batch * inner));
    }
    cases
}

/// A geometry with a bias and a ReLU to start from.
fn long(batch: usize, c_in: usize, sides: [usize; 2], c_out: usize, kernel: [usize; 2]) -> Conv2d {
    Conv2d { relu: true, ..conv(batch, c_in, sides, c_out, kernel) }
}
