//! The geometries of a real training step, for `bench ops`.

use super::{Case, Data, default_hyper};
use crate::ops::{
    AdaptiveAvgPool2d, Augment, BiasGrad, Conv2d, Dropout, Hyper, Linear, LocalResponseNorm, Loss, Metrics,
    Op, Pointwise, Pool2d, Target, Update,
};
use crate::verify::operators::{adaptive_avg_pool2d, conv2d, linear, local_response_norm, pool2d};

/// A convolution of torchvision's AlexNet: name, channels in and out, extent in, kernel, stride, padding.
const CONVOLUTIONS: [(&str, usize, usize, usize, usize, usize, usize); 5] = [
    ("conv1", 3, 64, 224, 11, 4, 2),
    ("conv2", 64, 192, 27, 5, 1, 2),
    ("conv3", 192, 384, 13, 3, 1, 1),
    ("conv4", 384, 256, 13, 3, 1, 1),
    ("conv5", 256, 256, 13, 3, 1, 1),
];
/// A fully connected layer: name, inputs, outputs.
const LINEARS: [(&str, usize, usize); 3] = [("fc6", 9216, 4096), ("fc7", 4096, 4096), ("fc8", 4096, 1000)];
/// A 3x3 pool with stride 2: name, channels, extent in.
const POOLS: [(&str, usize, usize); 3] = [("pool1", 64, 55), ("pool2", 192, 27), ("pool5", 256, 13)];
/// Channels and extent of the layers that the network of 2012 normalises and then pools.
const NETWORK_2012: [(&str, usize, usize); 2] = [("2012_norm1", 96, 55), ("2012_norm2", 256, 27)];

fn max_pool(what: &str, batch: usize, channels: usize, extent: usize) -> impl Iterator<Item = Case> {
    let d = Pool2d {
        batch,
        channels,
        h_in: extent,
        w_in: extent,
        kernel: [3, 3],
        stride: [2, 2],
        pad: [0; 4],
        ceil: false,
        count_include_pad: true,
    };
    let is_max = |case: &Case| matches!(case.op, Op::MaxPool2dForward(_) | Op::MaxPool2dBackward(_));
    pool2d::quadruple(what, d).into_iter().filter(is_max)
}

/// Every distinct kernel geometry of one training step of torchvision's AlexNet at `batch` on images of 256 x 256, and
/// the local response normalisation and overlapping pools of the network of 2012.
pub fn alexnet_cases(batch: usize) -> Vec<Case> {
    let images = Augment { batch, c_in: 3, h_in: 256, w_in: 256, c_out: 3, h_out: 224, w_out: 224 };
    let mut cases = vec![
        Case::new(Op::Augment(images), "crops", 4).with_data(Data::Crops),
        Case::new(Op::Augment(images), "all_views", 4),
    ];
    for (what, c_in, c_out, extent, kernel, stride, pad) in CONVOLUTIONS {
        let d = Conv2d {
            batch,
            c_in,
            h_in: extent,
            w_in: extent,
            c_out,
            kernel: [kernel; 2],
            stride: [stride; 2],
            pad: [pad; 4],
            dilation: [1, 1],
            groups: 1,
            bias: true,
            relu: true,
        };
        let inner = d.h_out() * d.w_out();
        // The gradient of the images is not needed.
        let wanted = |case: &Case| what != "conv1" || !matches!(case.op, Op::Conv2dGradInput(_));
        cases.extend(conv2d::triple(what, d).into_iter().filter(wanted));
        cases.push(Case::new(Op::BiasGrad(BiasGrad { batch, channels: c_out, inner }), what, batch * inner));
        let len = batch * c_out * inner;
        cases.push(Case::new(Op::ReluBackward(Pointwise { len }), what, 1));
        cases.push(sgd(what, c_out * d.depth()));
    }
    for (what, channels, extent) in POOLS {
        cases.extend(max_pool(what, batch, channels, extent));
    }
    let d = AdaptiveAvgPool2d { batch, channels: 256, h_in: 6, w_in: 6, h_out: 6, w_out: 6 };
    cases.extend(adaptive_avg_pool2d::pair("avgpool", d));
    for (what, inputs, outputs) in LINEARS {
        let hidden = what != "fc8";
        let d = Linear { batch, inputs, outputs, bias: true, relu: hidden };
        cases.extend(linear::triple(what, d));
        cases.push(Case::new(Op::BiasGrad(BiasGrad { batch, channels: outputs, inner: 1 }), what, batch));
        if hidden {
            let dropout = Dropout { len: batch * inputs, p: 0.5, layer: 0 };
            cases.push(Case::new(Op::Dropout(dropout), what, 1));
        }
        cases.push(sgd(what, inputs * outputs));
    }
    cases.push(Case::new(Op::ReluBackward(Pointwise { len: batch * 4096 }), "fc6_fc7", 1));
    let hyper = Hyper { rows: batch as u32, loss_scale: 1.0 / batch as f32, ..default_hyper() };
    let d = Loss {
        batch,
        classes: 1000,
        target: Target::Class,
        smoothing: 0.0,
        weighted: false,
        grad: true,
        mixed: false,
    };
    cases.push(Case::new(Op::CrossEntropy(d), "fc8", 1000).with_hyper(hyper));
    cases.push(Case::new(Op::Metrics(Metrics { batch, slots: 64 }), "step", batch).with_hyper(hyper));
    for (what, channels, extent) in NETWORK_2012 {
        let inner = extent * extent;
        let d = LocalResponseNorm { batch, channels, inner, size: 5, alpha: 5e-4, beta: 0.75, k: 2.0 };
        cases.extend(local_response_norm::pair(what, d));
        cases.extend(max_pool(what, batch, channels, extent));
    }
    cases
}

fn sgd(what: &str, len: usize) -> Case {
    let d = Update {
        len,
        lr_mult: 1.0,
        decay_mult: 1.0,
        momentum: true,
        nesterov: false,
        clip: false,
        scaled: false,
        number: 3,
        slots: 2,
    };
    Case::new(Op::Sgd(d), what, 2)
}
