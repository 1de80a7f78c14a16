//! Activations and products: single nodes with their defaults, limits and shapes.

use super::*;

const DIMS: [i64; 3] = [3, 4, 5];

/// Two rows of `DIMS` from -4 to 4, and the same as f64.
fn rows() -> (Vec<f32>, Vec<f64>) {
    let x: Vec<f32> = numbers(2 * 60, 5).into_iter().map(|value| 4.0 * value).collect();
    let wide = x.iter().map(|&value| value.into()).collect();
    (x, wide)
}

/// A node over x, with constants, is the layer `op` and computes `f`.
#[track_caller]
fn assert_is(node: NodeProto, constants: Vec<TensorProto>, op: impl Into<LayerOp>, f: impl Fn(f64) -> f64) {
    let (x, wide) = rows();
    let model = file(&DIMS, vec![node], constants);
    assert_answers(&model, &x, &wide.into_iter().map(f).collect::<Vec<_>>());
    assert_eq!(layers(&model), [op.into(), LayerOp::Flatten(layers::Flatten)]);
}

/// A number, or a list of them.
fn scalar(name: &str, value: f32) -> TensorProto {
    TensorProto { dims: vec![], ..floats(name, &[1], &[value]) }
}

#[test]
fn clip_has_limits_of_either_kind_or_none() {
    let clip = |inputs: &[&str]| node("Clip", inputs, "y", vec![]);
    let both = || vec![scalar("low", -0.5), floats("high", &[1], &[1.5])];
    let limits = |min, max| layers::Clip { min, max };
    assert_is(clip(&["x", "low", "high"]), both(), limits(-0.5, 1.5), |x| x.clamp(-0.5, 1.5));
    assert_is(clip(&["x", "low"]), both(), limits(-0.5, f32::INFINITY), |x| x.max(-0.5));
    assert_is(clip(&["x", "", "high"]), both(), limits(f32::NEG_INFINITY, 1.5), |x| x.min(1.5));
    let six = vec![scalar("low", 0.0), scalar("high", 6.0)];
    assert_is(clip(&["x", "low", "high"]), six, layers::Relu6, |x| x.clamp(0.0, 6.0));
    let (x, wide) = rows();
    let none = file(&DIMS, vec![clip(&["x"])], vec![]);
    assert_answers(&none, &x, &wide);
    assert_eq!(layers(&none), [LayerOp::Flatten(layers::Flatten)]);
    // Attributes, before operator set 11.
    let mut old =
        file(&DIMS, vec![node("Clip", &["x"], "y", vec![float("min", 0.0), float("max", 6.0)])], vec![]);
    old.opset_import[0].version = 10;
    assert_eq!(layers(&old), [layers::Relu6.into(), LayerOp::Flatten(layers::Flatten)]);
    old.opset_import[0].version = 11;
    assert!(refusal(&old).contains("attribute min is not supported"), "{}", refusal(&old));
    for (low, high) in [(2.0, 1.0), (1.0, 1.0), (f32::NAN, 1.0)] {
        let wrong =
            file(&DIMS, vec![clip(&["x", "low", "high"])], vec![scalar("low", low), scalar("high", high)]);
        let message = refusal(&wrong);
        assert!(low.is_nan() || message.contains("expected min less than max"), "{message}");
    }
    let wide = file(&DIMS, vec![clip(&["x", "low"])], vec![floats("low", &[3], &[0.0; 3])]);
    assert!(refusal(&wide).contains("expected one number"), "{}", refusal(&wide));
}

#[test]
fn activations_have_the_defaults_of_onnx() {
    let plain = |op: &str| node(op, &["x"], "y", vec![]);
    assert_is(plain("HardSwish"), vec![], layers::HardSwish, |x| x * (x / 6.0 + 0.5).clamp(0.0, 1.0));
    let hard = layers::HardSigmoid { alpha: 0.2, beta: 0.5 };
    assert_is(plain("HardSigmoid"), vec![], hard, |x| (0.2 * x + 0.5).clamp(0.0, 1.0));
    let sixth = node("HardSigmoid", &["x"], "y", vec![float("alpha", 0.166_666_67)]);
    assert_is(sixth, vec![], layers::HardSigmoid::PYTORCH, |x| (x / 6.0 + 0.5).clamp(0.0, 1.0));
    assert_is(plain("Elu"), vec![], layers::Elu { alpha: 1.0 }, |x| if x > 0.0 { x } else { x.exp_m1() });
    let steep = node("Elu", &["x"], "y", vec![float("alpha", 2.5)]);
    assert_is(steep, vec![], layers::Elu { alpha: 2.5 }, |x| if x > 0.0 { x } else { 2.5 * x.exp_m1() });
    let tanh = node("Gelu", &["x"], "y", vec![text("approximate", "tanh")]);
    let root = std::f64::consts::FRAC_2_PI.sqrt();
    let gelu = move |x: f64| 0.5 * x * (1.0 + (root * (x + 0.044715 * x * x * x)).tanh());
    assert_is(tanh, vec![], layers::Gelu { tanh: true }, gelu);
    let model = file(&DIMS, vec![plain("Gelu")], vec![]);
    assert_eq!(layers(&model)[0], layers::Gelu { tanh: false }.into());
    let other = file(&DIMS, vec![node("Gelu", &["x"], "y", vec![text("approximate", "erf")])], vec![]);
    assert!(refusal(&other).contains("expected none or tanh, found erf"), "{}", refusal(&other));
}

#[test]
fn prelu_has_one_slope_or_one_for_each_channel() {
    let prelu = || node("PRelu", &["x", "w"], "y", vec![]);
    let sloped = |x: f64, w: f64| if x > 0.0 { x } else { w * x };
    let one = layers::Prelu { num_parameters: 1 };
    assert_is(prelu(), vec![floats("w", &[1], &[0.5])], one.clone(), |x| sloped(x, 0.5));
    assert_is(prelu(), vec![floats("w", &[1, 1, 1], &[-0.5])], one, |x| sloped(x, -0.5));
    let model = file(&DIMS, vec![prelu()], vec![floats("w", &[3, 1, 1], &[0.5, -1.0, 0.0])]);
    let (x, wide) = rows();
    let slope = |i: usize| [0.5, -1.0, 0.0][i / 20 % 3];
    let expected: Vec<f64> = wide.iter().enumerate().map(|(i, &x)| sloped(x, slope(i))).collect();
    assert_answers(&model, &x, &expected);
    assert_eq!(layers(&model)[0], layers::Prelu { num_parameters: 3 }.into());
    for dims in [&[3][..], &[5], &[1, 4, 1], &[3, 4, 5], &[4, 1, 1]] {
        let count = dims.iter().product::<i64>() as usize;
        let wrong = file(&DIMS, vec![prelu()], vec![floats("w", dims, &vec![0.1; count])]);
        assert!(refusal(&wrong).contains("one for each of 3 channels"), "{dims:?}: {}", refusal(&wrong));
    }
}

#[test]
fn products_are_gates_or_activations() {
    let (x, wide) = rows();
    let mul = |a: &str, b: &str| node("Mul", &[a, b], "y", vec![]);
    let sigmoid = |x: f64| 1.0 / (1.0 + (-x).exp());
    // A gate in either place; its own mean is one factor for each channel.
    for (a, b) in [("x", "g"), ("g", "x")] {
        let nodes = vec![
            node("GlobalAveragePool", &["x"], "m", vec![]),
            node("Sigmoid", &["m"], "g", vec![]),
            mul(a, b),
        ];
        let expected: Vec<f64> = wide
            .chunks(20)
            .flat_map(|plane| {
                let gate = sigmoid(plane.iter().sum::<f64>() / 20.0);
                plane.iter().map(move |x| gate * x)
            })
            .collect();
        assert_answers(&file(&DIMS, nodes, vec![]), &x, &expected);
    }
    // x times a sigmoid of x is one layer; times that of another value it is a product.
    let hard = vec![float("alpha", 1.0 / 6.0)];
    let pairs: [(&str, Vec<AttributeProto>, LayerOp); 2] =
        [("Sigmoid", vec![], layers::Silu.into()), ("HardSigmoid", hard, layers::HardSwish.into())];
    for (gate, attributes, op) in pairs {
        for (a, b) in [("x", "s"), ("s", "x")] {
            let model = file(&DIMS, vec![node(gate, &["x"], "s", attributes.clone()), mul(a, b)], vec![]);
            assert_eq!(layers(&model), [op.clone(), LayerOp::Flatten(layers::Flatten)]);
        }
    }
    let model = file(&DIMS, vec![node("Sigmoid", &["x"], "s", vec![]), mul("x", "s")], vec![]);
    assert_answers(&model, &x, &wide.iter().map(|x| x * sigmoid(*x)).collect::<Vec<_>>());
    let nodes = vec![node("Tanh", &["x"], "t", vec![]), node("Sigmoid", &["t"], "s", vec![]), mul("x", "s")];
    let model = file(&DIMS, nodes, vec![]);
    assert_answers(&model, &x, &wide.iter().map(|x| x * sigmoid(x.tanh())).collect::<Vec<_>>());
    // [N, 3] would be broadcast along the width, and a column along the channels.
    let flat = vec![
        node("GlobalAveragePool", &["x"], "m", vec![]),
        node("Flatten", &["m"], "f", vec![]),
        mul("x", "f"),
    ];
    let message = refusal(&file(&DIMS, flat, vec![]));
    assert!(message.contains("a product of [N, 3, 4, 5] and [N, 3]"), "{message}");
    let column = vec![node("MaxPool", &["x"], "m", vec![ints("kernel_shape", &[1, 5])]), mul("x", "m")];
    let message = refusal(&file(&DIMS, column, vec![]));
    assert!(message.contains("expected one shape, or one factor for each channel"), "{message}");
}
