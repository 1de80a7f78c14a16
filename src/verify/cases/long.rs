//! Long sums and windows: for every operator whose outputs are reduced from an extent that grows with the data, one of 65,536
//! and one of 70,001 terms, all other extents small. Mesa's llvmpipe leaves loops after 65,535 rounds without a word
//! (`src/gpu/kernels/rounds.rs`), and one chain of so many `f32` additions loses digits on any device.

use super::{Case, Data, conv2d, default_hyper, linear, norm, pool2d};
use crate::ops::{
    AdaptiveAvgPool2d, BatchNorm2d, BiasGrad, Conv2d, GradClip, GradNorm, GradUnscale, Hyper, Linear, Loss,
    Metrics, Op, Pool2d, Scaling, Softmax, Target,
};

/// The lengths that every reduction is tried with.
pub const LENGTHS: [usize; 2] = [65_536, 70_001];

/// How many elements of its operands the longest reduction of `op` goes over; `None` where that does not grow with the data.
///
/// `tests/gpu/loops` demands cases beyond 65,536 for whatever is not `None` here.
pub fn reduced(op: &Op) -> Option<usize> {
    match op {
        Op::Conv2dForward(d) => Some(d.depth()),
        Op::Conv2dGradInput(d) => Some(d.c_out_group() * d.kernel[0] * d.kernel[1]),
        Op::Conv2dGradWeight(d) => Some(d.batch * d.h_out() * d.w_out()),
        Op::BiasGrad(d) => Some(d.batch * d.inner),
        Op::LinearForward(d) => Some(d.inputs),
        Op::LinearGradInput(d) => Some(d.outputs),
        Op::LinearGradWeight(d) => Some(d.batch),
        Op::MaxPool2dForward(d) | Op::AvgPool2dForward(d) => {
            Some(d.kernel[0].min(d.h_in) * d.kernel[1].min(d.w_in))
        }
        Op::MaxPool2dBackward(d) | Op::AvgPool2dBackward(d) => {
            let covering = |axis: usize, outputs: usize| d.kernel[axis].div_ceil(d.stride[axis]).min(outputs);
            Some(covering(0, d.h_out()) * covering(1, d.w_out()))
        }
        Op::AdaptiveAvgPool2dForward(d) => Some(d.h_in.div_ceil(d.h_out) * d.w_in.div_ceil(d.w_out)),
        Op::AdaptiveAvgPool2dBackward(d) => Some(d.h_out.div_ceil(d.h_in) * d.w_out.div_ceil(d.w_in)),
        Op::LocalResponseNormForward(d) | Op::LocalResponseNormBackward(d) => Some(d.size.min(d.channels)),
        Op::LocalResponseNormWithinForward(d) | Op::LocalResponseNormWithinBackward(d) => {
            Some(d.size.min(d.h) * d.size.min(d.w))
        }
        Op::BatchNorm2dStats(d) | Op::BatchNorm2dGradParameters(d) => Some(d.batch * d.inner),
        Op::SoftmaxForward(d) | Op::SoftmaxBackward(d) => Some(d.channels),
        Op::CrossEntropy(d) | Op::HalfSquaredError(d) => Some(d.classes),
        Op::Metrics(d) => Some(d.batch),
        Op::GradNorm(d) => Some(d.len),
        Op::GradClip(d) => Some(d.count),
        Op::GradUnscale(d) => Some(d.count),
        // A handful of channels.
        Op::Augment(_)
        // Element by element.
        | Op::ReluForward(_)
        | Op::ReluBackward(_)
        | Op::SigmoidForward(_)
        | Op::SigmoidBackward(_)
        | Op::TanhForward(_)
        | Op::TanhBackward(_)
        | Op::Add(_)
        | Op::BatchNorm2dForward(_)
        | Op::BatchNorm2dGradInput(_)
        | Op::Dropout(_)
        | Op::ConcatForward(_)
        | Op::ConcatBackward(_)
        | Op::GradAccumulate(_)
        | Op::GradScale(_)
        | Op::Sgd(_)
        | Op::Adam(_)
        | Op::AdamW(_)
        | Op::RmsProp(_) => None,
    }
}

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
        relu: true,
    }
}

fn convolutions() -> Vec<Case> {
    let mut cases = Vec::new();
    // All three passes: channels in, channels out, positions.
    let wide = conv(1, 16_384, [2, 2], 2, [2, 2]);
    let prime = Conv2d { bias: false, relu: false, ..conv(2, 70_001, [1, 1], 3, [1, 1]) };
    for (what, d) in [("65536_channels", wide), ("70001_channels", prime)] {
        let [forward, _, _] = conv2d::triple(what, d);
        let [_, grad_input, _] = conv2d::triple(what, Conv2d { c_in: d.c_out, c_out: d.c_in, ..d });
        cases.extend([forward, grad_input]);
    }
    let window = Conv2d { pad: [1, 0, 0, 2], ..conv(1, 1, [300, 301], 2, [300, 300]) };
    let groups = Conv2d { groups: 2, stride: [2, 2], ..conv(1, 2, [2, 2], 80_002, [2, 2]) };
    let [forward, _, _] = conv2d::triple("window_300x300", window);
    let [_, grad_input, _] = conv2d::triple("phases_and_groups", groups);
    cases.extend([forward, grad_input]);
    let positions = [
        ("256x256", conv(1, 2, [257, 257], 3, [2, 2])),
        ("images", conv(7, 1, [100, 101], 2, [1, 1])),
        // A piece is at least a row, so several dispatches go on with one sum.
        ("70001_in_a_row", conv(1, 1, [1, 70_003], 2, [1, 3])),
    ];
    for (what, d) in positions {
        let [_, _, grad_weight] = conv2d::triple(what, d);
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

fn linears() -> Vec<Case> {
    let mut cases = Vec::new();
    for (n, len) in LENGTHS.into_iter().enumerate() {
        let what = format!("{len}_terms");
        let d = |batch, inputs, outputs| Linear { batch, inputs, outputs, bias: n == 0, relu: n == 1 };
        let [forward, _, _] = linear::triple(&what, d(3, len, 2));
        let [_, grad_input, _] = linear::triple(&what, d(2, 3, len));
        let [_, _, grad_weight] = linear::triple(&what, d(len, 3, 2));
        cases.extend([forward, grad_input, grad_weight]);
    }
    cases
}

fn pool([h_in, w_in]: [usize; 2], kernel: [usize; 2], stride: [usize; 2]) -> Pool2d {
    Pool2d { batch: 1, channels: 2, h_in, w_in, kernel, stride, pad: [0; 4], ceil: false }
}

fn pools() -> Vec<Case> {
    let mut cases = Vec::new();
    let windows = [
        ("window_256x256", pool([257, 258], [256, 256], [1, 2])),
        ("window_70001", pool([1, 70_003], [1, 70_001], [1, 1])),
        // Cut by the picture and by its padding.
        (
            "window_300x300",
            Pool2d { pad: [7, 100, 50, 0], ceil: true, ..pool([300, 301], [300, 300], [40, 60]) },
        ),
        // More than one dispatch takes.
        ("window_600x600", Pool2d { channels: 1, ..pool([600, 601], [600, 600], [1, 1]) }),
    ];
    for (what, d) in windows {
        // Few windows cover an element, so only forward is long.
        let [max, _, average, _] = pool2d::quadruple(what, d);
        cases.extend([max, average]);
    }
    let tall = pool([70_001, 1], [70_001, 1], [1, 1]);
    cases.push(Case::new(Op::MaxPool2dForward(tall), "long_ties", 1).with_data(Data::Ties));
    cases.push(Case::new(Op::MaxPool2dForward(tall), "long_nan", 1).with_data(Data::Nan));
    // So many windows that a workgroup gathers them. That many elements have them all, so it is but 12,501.
    let covered =
        Pool2d { channels: 1, pad: [0, 12_500, 0, 12_500], ..pool([1, 12_500], [1, 25_000], [1, 1]) };
    let [_, max, _, average] = pool2d::quadruple("covered_by_12501", covered);
    cases.extend([max, average]);
    let adaptive = [
        (1, 3, [256, 256], [1, 1]),
        (2, 1, [300, 300], [1, 1]),
        (1, 2, [1, 140_002], [1, 2]),
        (1, 2, [1, 1], [256, 256]),
        (1, 2, [1, 2], [1, 140_002]),
        (1, 1, [601, 599], [1, 1]),
    ];
    for (batch, channels, [h_in, w_in], [h_out, w_out]) in adaptive {
        let what = format!("{batch}x{channels}x{h_in}x{w_in}_to_{h_out}x{w_out}");
        cases.extend(pool2d::pair(&what, AdaptiveAvgPool2d { batch, channels, h_in, w_in, h_out, w_out }));
    }
    cases
}

fn normalisations() -> Vec<Case> {
    // batch, channels, inner, rows
    let sizes = [(4, 2, 16_384, 4), (1, 2, 70_001, 1), (70_001, 1, 1, 70_001), (300, 2, 300, 299)];
    let mut cases = Vec::new();
    for (batch, channels, inner, rows) in sizes {
        let d = BatchNorm2d { batch, channels, inner, eps: 1e-5, momentum: 0.1, relu: false };
        let [stats, _, grad_parameters, _] =
            norm::quadruple(&format!("{batch}x{channels}x{inner}_rows_{rows}"), d, rows);
        cases.extend([stats, grad_parameters]);
    }
    cases
}

fn rows(rows: usize) -> Hyper {
    Hyper { rows: rows as u32, loss_scale: 1.0 / rows as f32, ..default_hyper() }
}

fn losses() -> Vec<Case> {
    let mut cases = Vec::new();
    for len in LENGTHS {
        for (batch, inner) in [(2, 1), (1, 3)] {
            let d = Softmax { batch, channels: len, inner };
            let what = format!("{batch}x{len}x{inner}");
            cases.push(Case::new(Op::SoftmaxForward(d), &what, len));
            cases.push(Case::new(Op::SoftmaxBackward(d), &what, len));
        }
        let d = Loss { batch: 3, classes: len, target: Target::Class, smoothing: 0.1, grad: true };
        let what = format!("3x{len}_rows_2");
        cases.push(Case::new(Op::CrossEntropy(d), &what, len).with_hyper(rows(2)));
        let plain = Loss { smoothing: 0.0, ..d };
        cases.push(Case::new(Op::HalfSquaredError(plain), &what, len).with_hyper(rows(2)));
        let values = Loss { target: Target::Values, ..plain };
        let what = format!("3x{len}_rows_2_values");
        cases.push(Case::new(Op::HalfSquaredError(values), &what, len).with_hyper(rows(2)));
        let case = Case::new(Op::Metrics(Metrics { batch: len, slots: 2 }), &format!("{len}"), len);
        cases.push(case.with_hyper(Hyper { slot: 1, ..rows(len - 3) }));
    }
    cases
}

fn gradients() -> Vec<Case> {
    let mut cases = Vec::new();
    for count in LENGTHS {
        let norm = GradNorm { len: count, index: 1, count: 3 };
        cases.push(Case::new(Op::GradNorm(norm), &format!("{count}_long"), count));
        let hyper = Hyper { max_norm: 0.01, ..default_hyper() };
        let what = format!("{count}_norms");
        cases.push(Case::new(Op::GradClip(GradClip { count }), &what, count).with_hyper(hyper));
        let unscale = GradUnscale { count, clip: true, interval: Scaling::INTERVAL };
        cases.push(Case::new(Op::GradUnscale(unscale), &what, count).with_hyper(hyper));
    }
    cases
}

pub(super) fn cases() -> Vec<Case> {
    [convolutions(), linears(), pools(), normalisations(), losses(), gradients()].concat()
}
