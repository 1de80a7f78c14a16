//! Central differences in f64: the gradients of the oracle are the derivatives of its forward operators. Since the
//! executors are compared with the oracle (`tests/verify/operators.rs`), theirs are, too.

use std::collections::BTreeSet;
use striate::ops::{Access, BiasGrad, Conv2d, Hyper, LayerNorm, Linear, Op, OperandKind, Target};
use striate::random::{Purpose, Stream};
use striate::verify::cases::{Case, Data, cases};
use striate::verify::oracle;

/// Values of the outputs of `op`; `inputs` are the read operands without `hyper`.
fn apply(op: &Op, hyper: &Hyper, inputs: &[&[f64]]) -> Vec<Vec<f64>> {
    let mut inputs = inputs.iter();
    let mut first_output = 0;
    let mut operands: Vec<Vec<f64>> = Vec::new();
    for operand in op.operands() {
        let len = operand.shape.len();
        operands.push(match (operand.access, operand.kind) {
            (Access::Read, OperandKind::Hyper) => vec![f64::NAN; len],
            (Access::Read, _) => inputs.next().expect("too few inputs").to_vec(),
            (Access::Write, _) => vec![f64::NAN; len],
            (Access::Update | Access::Part, _) => vec![0.0; len],
        });
        first_output += usize::from(operand.access == Access::Read);
    }
    assert!(inputs.next().is_none(), "too many inputs for {}", op.name());
    oracle::run(op, hyper, &mut operands);
    operands.split_off(first_output)
}

/// One output of `op`.
fn output(op: &Op, hyper: &Hyper, inputs: &[&[f64]], which: usize) -> Vec<f64> {
    apply(op, hyper, inputs).swap_remove(which)
}

type Forward = Box<dyn Fn(&[Vec<f64>]) -> Vec<f64>>;
type Backward = Box<dyn Fn(&[Vec<f64>], &[f64]) -> Vec<Vec<f64>>>;

/// A function of its first inputs, and what should be its gradients with respect to them.
struct Differentiable {
    inputs: Vec<Vec<f64>>,
    forward: Forward,
    backward: Backward,
}

/// The forward operator of `case` together with its gradients, if it has any. The inputs are those of the case
/// (without `hyper` and outputs).
fn differentiable(case: &Case) -> Option<Differentiable> {
    let hyper = case.hyper;
    let mut inputs: Vec<Vec<f64>> = Vec::new();
    for (operand, values) in case.op.operands().iter().zip(case.inputs(2)) {
        if operand.access == Access::Read && operand.kind != OperandKind::Hyper {
            inputs.push(values.into_iter().map(f64::from).collect());
        }
    }
    let simple = |forward: Op, backward: Op, which_is_needed: fn(&[f64], &[f64]) -> Vec<f64>| {
        let evaluate = forward.clone();
        let f: Forward = Box::new(move |x| output(&evaluate, &hyper, &[&x[0]], 0));
        let b: Backward = Box::new(move |x, dy| {
            let y = output(&forward, &hyper, &[&x[0]], 0);
            vec![output(&backward, &hyper, &[&which_is_needed(&x[0], &y), dy], 0)]
        });
        (f, b)
    };
    let linear_map = |forward: Op, backward: Op| {
        let f: Forward = Box::new(move |x| output(&forward, &hyper, &[&x[0]], 0));
        let b: Backward = Box::new(move |_, dy| vec![output(&backward, &hyper, &[dy], 0)]);
        (f, b)
    };
    let y_of = |_: &[f64], y: &[f64]| y.to_vec();
    let x_of = |x: &[f64], _: &[f64]| x.to_vec();
    let (forward, backward): (Forward, Backward) = match case.op.clone() {
        Op::Conv2dForward(d) => convolution(Conv2d { relu: false, ..d }, hyper),
        Op::LinearForward(d) => fully_connected(Linear { relu: false, ..d }, hyper),
        Op::ReluForward(d) => simple(Op::ReluForward(d), Op::ReluBackward(d), y_of),
        Op::LeakyReluForward(d) => simple(Op::LeakyReluForward(d), Op::LeakyReluBackward(d), x_of),
        Op::SigmoidForward(d) => simple(Op::SigmoidForward(d), Op::SigmoidBackward(d), y_of),
        Op::TanhForward(d) => simple(Op::TanhForward(d), Op::TanhBackward(d), y_of),
        Op::SiluForward(d) => simple(Op::SiluForward(d), Op::SiluBackward(d), x_of),
        Op::HardSwishForward(d) => simple(Op::HardSwishForward(d), Op::HardSwishBackward(d), x_of),
        Op::HardSigmoidForward(d) => simple(Op::HardSigmoidForward(d), Op::HardSigmoidBackward(d), y_of),
        Op::ClipForward(d) => simple(Op::ClipForward(d), Op::ClipBackward(d), y_of),
        Op::GeluForward(d) => simple(Op::GeluForward(d), Op::GeluBackward(d), x_of),
        Op::EluForward(d) => simple(Op::EluForward(d), Op::EluBackward(d), x_of),
        Op::PreluForward(d) => (
            Box::new(move |x| output(&Op::PreluForward(d), &hyper, &[&x[0], &x[1]], 0)),
            Box::new(move |x, dy| {
                let dx = output(&Op::PreluGradInput(d), &hyper, &[&x[0], &x[1], dy], 0);
                vec![dx, output(&Op::PreluGradWeight(d), &hyper, &[&x[0], dy], 0)]
            }),
        ),
        Op::Mul(d) => (
            Box::new(move |x| output(&Op::Mul(d), &hyper, &[&x[0], &x[1]], 0)),
            Box::new(move |x, dy| [1, 0].map(|i| output(&Op::Mul(d), &hyper, &[dy, &x[i]], 0)).to_vec()),
        ),
        Op::MulGate(d) => (
            Box::new(move |x| output(&Op::MulGate(d), &hyper, &[&x[0], &x[1]], 0)),
            Box::new(move |x, dy| {
                let dx = output(&Op::MulGate(d), &hyper, &[dy, &x[1]], 0);
                vec![dx, output(&Op::MulGradGate(d), &hyper, &[&x[0], dy], 0)]
            }),
        ),
        Op::SoftmaxForward(d) => simple(Op::SoftmaxForward(d), Op::SoftmaxBackward(d), y_of),
        Op::Dropout(d) => linear_map(Op::Dropout(d), Op::Dropout(d)),
        Op::ConcatForward(d) => linear_map(Op::ConcatForward(d), Op::ConcatBackward(d)),
        Op::StructuredDropout(d) => linear_map(Op::StructuredDropout(d), Op::StructuredDropout(d)),
        Op::PadForward(d) => linear_map(Op::PadForward(d), Op::PadBackward(d)),
        Op::UpsampleForward(d) => linear_map(Op::UpsampleForward(d), Op::UpsampleBackward(d)),
        Op::Scale(d) => (
            Box::new(move |x| output(&Op::Scale(d), &hyper, &[&x[0], &x[1]], 0)),
            Box::new(move |x, dy| {
                vec![
                    output(&Op::Scale(d), &hyper, &[dy, &x[1]], 0),
                    output(&Op::ScaleGradWeight(d), &hyper, &[&x[0], dy], 0),
                ]
            }),
        ),
        // The long ones would take seconds, and have the same formula.
        Op::LayerNormForward(d) if d.channels < 1000 => layer_norm(d, hyper),
        Op::SliceForward(d) => linear_map(Op::SliceForward(d), Op::SliceBackward(d)),
        Op::ChannelShuffle(d) => linear_map(Op::ChannelShuffle(d), Op::ChannelShuffle(d.inverse())),
        Op::AvgPool2dForward(d) => linear_map(Op::AvgPool2dForward(d), Op::AvgPool2dBackward(d)),
        Op::AdaptiveAvgPool2dForward(d) => {
            linear_map(Op::AdaptiveAvgPool2dForward(d), Op::AdaptiveAvgPool2dBackward(d))
        }
        Op::MaxPool2dForward(d) => (
            Box::new(move |x| output(&Op::MaxPool2dForward(d), &hyper, &[&x[0]], 0)),
            Box::new(move |x, dy| {
                let index = output(&Op::MaxPool2dForward(d), &hyper, &[&x[0]], 1);
                apply(&Op::MaxPool2dBackward(d), &hyper, &[&index, dy])
            }),
        ),
        Op::LocalResponseNormForward(d) => (
            Box::new(move |x| output(&Op::LocalResponseNormForward(d), &hyper, &[&x[0]], 0)),
            Box::new(move |x, dy| {
                let scale = output(&Op::LocalResponseNormForward(d), &hyper, &[&x[0]], 1);
                apply(&Op::LocalResponseNormBackward(d), &hyper, &[&x[0], &scale, dy])
            }),
        ),
        Op::LocalResponseNormWithinForward(d) => (
            Box::new(move |x| output(&Op::LocalResponseNormWithinForward(d), &hyper, &[&x[0]], 0)),
            Box::new(move |x, dy| {
                let scale = output(&Op::LocalResponseNormWithinForward(d), &hyper, &[&x[0]], 1);
                apply(&Op::LocalResponseNormWithinBackward(d), &hyper, &[&x[0], &scale, dy])
            }),
        ),
        Op::BatchNorm2dForward(d) => {
            let d = striate::ops::BatchNorm2d { relu: false, ..d };
            // The statistics are functions of x; rows that only pad have no part in anything.
            let real = hyper.rows as usize * d.channels * d.inner;
            inputs.truncate(3);
            (
                Box::new(move |x| {
                    let stats = apply(&Op::BatchNorm2dStats(d), &hyper, &[&x[0]]);
                    let all = [&x[0][..], &x[1], &x[2], &stats[0], &stats[1]];
                    let mut y = output(&Op::BatchNorm2dForward(d), &hyper, &all, 0);
                    y[real..].fill(0.0);
                    y
                }),
                Box::new(move |x, dy| {
                    let stats = apply(&Op::BatchNorm2dStats(d), &hyper, &[&x[0]]);
                    let all = [&x[0][..], &x[1], &stats[0], &stats[1], dy];
                    let mut gradients = apply(&Op::BatchNorm2dGradParameters(d), &hyper, &all);
                    let all = [&x[0][..], &gradients[2], dy];
                    gradients[2] = output(&Op::BatchNorm2dGradInput(d), &hyper, &all, 0);
                    gradients.rotate_right(1);
                    gradients
                }),
            )
        }
        Op::CrossEntropy(d) | Op::HalfSquaredError(d) if d.grad => {
            let (evaluate, derive) = (case.op.clone(), case.op.clone());
            let weights = if d.weighted { vec![inputs.pop()?] } else { Vec::new() };
            let labels = inputs.pop()?;
            if d.target == Target::Class {
                assert!(labels.iter().all(|&label| label < d.classes as f64));
            }
            let fixed: Vec<Vec<f64>> = std::iter::once(labels).chain(weights).collect();
            let for_gradient = fixed.clone();
            let with = move |x: &[f64], fixed: &[Vec<f64>], op: &Op, which| {
                let all: Vec<&[f64]> = std::iter::once(x).chain(fixed.iter().map(Vec::as_slice)).collect();
                output(op, &hyper, &all, which)
            };
            (
                // A loss is one number: its derivative is dx, so the "upstream gradient" is left out.
                Box::new(move |x| {
                    let losses = with(&x[0], &fixed, &evaluate, 0);
                    vec![losses.iter().sum::<f64>() * f64::from(hyper.loss_scale)]
                }),
                Box::new(move |x, dy| {
                    let mut dx = with(&x[0], &for_gradient, &derive, 2);
                    dx.iter_mut().for_each(|dx| *dx *= dy[0]);
                    vec![dx]
                }),
            )
        }
        _ => return None,
    };
    Some(Differentiable { inputs, forward, backward })
}

fn convolution(d: Conv2d, hyper: Hyper) -> (Forward, Backward) {
    let sums = BiasGrad { batch: d.batch, channels: d.c_out, inner: d.h_out() * d.w_out() };
    (
        Box::new(move |x| {
            let all: Vec<&[f64]> = x.iter().map(Vec::as_slice).collect();
            output(&Op::Conv2dForward(d), &hyper, &all, 0)
        }),
        Box::new(move |x, dy| {
            vec![
                output(&Op::Conv2dGradInput(d), &hyper, &[dy, &x[1]], 0),
                output(&Op::Conv2dGradWeight(d), &hyper, &[&x[0], dy], 0),
                output(&Op::BiasGrad(sums), &hyper, &[dy], 0),
            ]
        }),
    )
}

/// x, w and b; the statistics are functions of x.
fn layer_norm(d: LayerNorm, hyper: Hyper) -> (Forward, Backward) {
    let sums = BiasGrad { batch: d.batch, channels: d.channels, inner: d.inner };
    (
        Box::new(move |x| output(&Op::LayerNormForward(d), &hyper, &[&x[0], &x[1], &x[2]], 0)),
        Box::new(move |x, dy| {
            let all = apply(&Op::LayerNormForward(d), &hyper, &[&x[0], &x[1], &x[2]]);
            let (mean, r) = (&all[1], &all[2]);
            vec![
                output(&Op::LayerNormGradInput(d), &hyper, &[&x[0], &x[1], mean, r, dy], 0),
                output(&Op::LayerNormGradWeight(d), &hyper, &[&x[0], mean, r, dy], 0),
                output(&Op::BiasGrad(sums), &hyper, &[dy], 0),
            ]
        }),
    )
}

fn fully_connected(d: Linear, hyper: Hyper) -> (Forward, Backward) {
    let sums = BiasGrad { batch: d.batch, channels: d.outputs, inner: 1 };
    (
        Box::new(move |x| {
            let all: Vec<&[f64]> = x.iter().map(Vec::as_slice).collect();
            output(&Op::LinearForward(d), &hyper, &all, 0)
        }),
        Box::new(move |x, dy| {
            vec![
                output(&Op::LinearGradInput(d), &hyper, &[dy, &x[1]], 0),
                output(&Op::LinearGradWeight(d), &hyper, &[&x[0], dy], 0),
                output(&Op::BiasGrad(sums), &hyper, &[dy], 0),
            ]
        }),
    )
}

/// How many derivatives of `f` agreed, and how many were skipped because f has a kink there.
fn check(name: &str, mut f: Differentiable) -> (usize, usize) {
    let mut stream = Stream::new(3, Purpose::Test, 0);
    let dy: Vec<f64> = (f.forward)(&f.inputs).iter().map(|_| f64::from(stream.normal())).collect();
    let gradients = (f.backward)(&f.inputs, &dy);
    let project =
        |f: &Differentiable| -> f64 { (f.forward)(&f.inputs).iter().zip(&dy).map(|(y, dy)| y * dy).sum() };
    let step = 1e-4;
    let here = project(&f);
    let (mut agreed, mut skipped) = (0, 0);
    for (number, gradient) in gradients.iter().enumerate().take(f.inputs.len()) {
        let len = f.inputs[number].len();
        assert_eq!(gradient.len(), len, "{name}: gradient of input {number}");
        let root_mean_square = (gradient.iter().map(|g| g * g).sum::<f64>() / len as f64).sqrt();
        for probe in 0..len.min(24) {
            let i = if len <= 24 { probe } else { stream.below(len as u32) as usize };
            let old = f.inputs[number][i];
            f.inputs[number][i] = old + step;
            let above = project(&f);
            f.inputs[number][i] = old - step;
            let below = project(&f);
            f.inputs[number][i] = old;
            let (left, right) = ((here - below) / step, (above - here) / step);
            // A kink changes the slope by the size of a gradient, curvature only by `step` of it.
            if (left - right).abs() > 0.02 * (left.abs() + right.abs() + root_mean_square) {
                skipped += 1;
                continue;
            }
            let central = (above - below) / (2.0 * step);
            // Cancellation in `above - below`, and the third derivative.
            let allowed = 1e-6 * (root_mean_square + gradient[i].abs()) + 1e-11 * here.abs() / step + 1e-9;
            assert!(
                (central - gradient[i]).abs() <= allowed,
                "{name}: input {number}, element {i}: gradient {}, central difference {central}",
                gradient[i]
            );
            agreed += 1;
        }
    }
    (agreed, skipped)
}

#[test]
fn gradients_of_every_operator_are_its_derivatives() {
    let mut kernels = BTreeSet::new();
    let (mut agreed, mut skipped) = (0, 0);
    for case in cases() {
        let smooth = matches!(case.data, Data::Plain | Data::Offset);
        if !smooth || case.op.flops() > 2_000_000 {
            continue;
        }
        if let Some(f) = differentiable(&case) {
            kernels.insert(case.op.name());
            let (a, s) = check(&case.name, f);
            agreed += a;
            skipped += s;
        }
    }
    let expected = [
        "adaptive_avg_pool2d_forward",
        "avg_pool2d_forward",
        "batch_norm2d_forward",
        "channel_shuffle",
        "clip_forward",
        "concat_forward",
        "conv2d_forward",
        "cross_entropy",
        "dropout",
        "elu_forward",
        "gelu_forward",
        "half_squared_error",
        "hard_sigmoid_forward",
        "hard_swish_forward",
        "layer_norm_forward",
        "leaky_relu_forward",
        "linear_forward",
        "local_response_norm_forward",
        "local_response_norm_within_forward",
        "max_pool2d_forward",
        "mul",
        "mul_gate",
        "pad_forward",
        "prelu_forward",
        "relu_forward",
        "scale",
        "sigmoid_forward",
        "silu_forward",
        "slice_forward",
        "softmax_forward",
        "structured_dropout",
        "tanh_forward",
        "upsample_forward",
    ];
    assert!(kernels.iter().copied().eq(expected), "checked only {kernels:?}");
    println!("{agreed} derivatives agree, {skipped} at kinks skipped");
    assert!(skipped * 50 < agreed, "{skipped} of {} derivatives were skipped", agreed + skipped);
}

/// A wrong gradient must be noticed, or the test above means nothing.
#[test]
#[should_panic(expected = "central difference")]
fn a_wrong_gradient_is_noticed() {
    let all = cases();
    let case = all.iter().find(|case| case.name == "conv2d_forward/primes").expect("a case");
    let mut f = differentiable(case).expect("a function with gradients");
    let right = f.backward;
    f.backward = Box::new(move |x, dy| {
        let mut gradients = right(x, dy);
        gradients[2][3] *= 1.001;
        gradients
    });
    check("wrong", f);
}
