//! Operators that a file writes as several nodes, and values in the layout of TensorFlow's files.

use super::*;

fn wide(values: &[f32]) -> Vec<f64> {
    values.iter().map(|&value| f64::from(value)).collect()
}

fn flatten(from: &str) -> NodeProto {
    node("Flatten", &[from], "y", vec![])
}

fn number(name: &str, value: f32) -> TensorProto {
    floats(name, &[], &[value])
}

#[test]
fn formulas_become_activations() {
    let x = numbers(12, 1).into_iter().map(|value| 6.0 * value).collect::<Vec<f32>>();
    let constants =
        || vec![number("zero", 0.0), number("one", 1.0), number("three", 3.0), number("six", 6.0)];
    // x * clip(x + 3, 0, 6) / 6.
    let nodes = vec![
        node("Add", &["x", "three"], "a", vec![]),
        node("Clip", &["a", "zero", "six"], "b", vec![]),
        node("Mul", &["x", "b"], "c", vec![]),
        node("Div", &["c", "six"], "d", vec![]),
        flatten("d"),
    ];
    let model = file(&[3, 2, 2], nodes, constants());
    assert_eq!(layers(&model)[0], layers::HardSwish.into());
    let expected: Vec<f64> = wide(&x).iter().map(|x| x * (x + 3.0).clamp(0.0, 6.0) / 6.0).collect();
    assert_answers(&model, &x, &expected);
    // x / (1 + exp(-x)), with the values on both sides of a division.
    let nodes = vec![
        node("Neg", &["x"], "a", vec![]),
        node("Exp", &["a"], "b", vec![]),
        node("Add", &["one", "b"], "c", vec![]),
        node("Div", &["x", "c"], "d", vec![]),
        flatten("d"),
    ];
    let model = file(&[3, 2, 2], nodes, constants());
    assert_eq!(layers(&model)[0], layers::Silu.into());
    // x / 2 * (1 + erf(x / sqrt 2)), as PyTorch writes it.
    let constants =
        || vec![number("half", 0.5), number("one", 1.0), number("root", std::f32::consts::SQRT_2)];
    let nodes = vec![
        node("Div", &["x", "root"], "a", vec![]),
        node("Erf", &["a"], "b", vec![]),
        node("Add", &["b", "one"], "c", vec![]),
        node("Mul", &["x", "c"], "d", vec![]),
        node("Mul", &["d", "half"], "e", vec![]),
        flatten("e"),
    ];
    assert_eq!(layers(&file(&[3, 2, 2], nodes, constants()))[0], layers::Gelu { tanh: false }.into());
    // Its approximation by tanh.
    let constants = || {
        let rest = [("half", 0.5), ("one", 1.0), ("three", 3.0), ("small", 0.044715), ("root", 0.797_884_6)];
        rest.map(|(name, value)| number(name, value)).to_vec()
    };
    let nodes = vec![
        node("Pow", &["x", "three"], "a", vec![]),
        node("Mul", &["a", "small"], "b", vec![]),
        node("Add", &["x", "b"], "c", vec![]),
        node("Mul", &["c", "root"], "d", vec![]),
        node("Tanh", &["d"], "e", vec![]),
        node("Add", &["e", "one"], "f", vec![]),
        node("Mul", &["x", "half"], "g", vec![]),
        node("Mul", &["g", "f"], "h", vec![]),
        flatten("h"),
    ];
    let model = file(&[3, 2, 2], nodes, constants());
    assert_eq!(layers(&model)[0], layers::Gelu { tanh: true }.into());
    let cdf = |x: f64| 0.5 * (1.0 + (0.797_884_6 * (x + 0.044715 * x.powi(3))).tanh());
    let expected: Vec<f64> = wide(&x).iter().map(|&x| x * cdf(x)).collect();
    assert_answers(&model, &x, &expected);
    // A formula that is no operator is refused, and names its node.
    let nodes = vec![node("Exp", &["x"], "a", vec![]), node("Relu", &["a"], "b", vec![]), flatten("b")];
    let message = refusal(&file(&[3, 2, 2], nodes, vec![]));
    assert!(message.contains("no operator of Striate") && message.contains("Flatten"), "{message}");
}

#[test]
fn a_number_of_the_graph_is_a_factor_that_is_not_trained() {
    let x = numbers(2 * 8, 2);
    let nodes =
        vec![node("Relu", &["x"], "a", vec![]), node("Mul", &["a", "half"], "b", vec![]), flatten("b")];
    let model = file(&[2, 2, 2], nodes, vec![number("half", 0.5)]);
    let expected: Vec<f64> = wide(&x).iter().map(|x| 0.5 * x.max(0.0)).collect();
    assert_answers(&model, &x, &expected);
    let spec = import(&model).unwrap().spec;
    assert_eq!((spec.layers[1].lr_mult, spec.layers[1].decay_mult), ([0.0; 2], [0.0; 2]));
}

#[test]
fn factors_and_offsets_of_channels_become_part_of_a_batch_norm() {
    let x = numbers(2 * 8, 3);
    let statistics = [("s", [1.5f32, 0.5]), ("t", [0.25, -1.0]), ("m", [0.5, 0.0]), ("v", [1.0, 4.0])];
    let mut constants: Vec<_> = statistics.iter().map(|(name, values)| floats(name, &[2], values)).collect();
    constants.extend([
        floats("f", &[2], &[2.0, -1.0]),
        floats("o", &[2], &[0.5, 3.0]),
        whole("axes", &[1, 2]),
    ]);
    let nodes = vec![
        node("BatchNormalization", &["x", "s", "t", "m", "v"], "a", vec![float("epsilon", 0.0)]),
        node("Unsqueeze", &["f", "axes"], "f3", vec![]),
        node("Mul", &["a", "f3"], "b", vec![]),
        node("Unsqueeze", &["o", "axes"], "o3", vec![]),
        node("Add", &["b", "o3"], "c", vec![]),
        flatten("c"),
    ];
    let [s, t, m, v] = statistics.map(|(_, values)| values.map(f64::from));
    let expected: Vec<f64> = wide(&x)
        .iter()
        .enumerate()
        .map(|(i, x)| {
            let c = i / 4 % 2;
            ((x - m[c]) / v[c].sqrt() * s[c] + t[c]) * [2.0, -1.0][c] + [0.5, 3.0][c]
        })
        .collect();
    let mut model = file(&[2, 2, 2], nodes, constants);
    if let Some(attribute) = model.graph.as_mut().map(|graph| &mut graph.node[0].attribute[0]) {
        attribute.f = 1e-12;
    }
    assert_answers(&model, &x, &expected);
    assert_eq!(layers(&model).len(), 2);
}

/// A file as tf2onnx writes it: a channels-last input, a preprocessing layer, a flatten of `[N, H, W, C]`.
#[test]
fn channels_last_files_are_channels_first_networks() {
    let (weights, matrix) = (numbers(2 * 2 * 4, 4), numbers(8 * 3, 5));
    let nodes = vec![
        node("Mul", &["x", "two"], "scaled", vec![]),
        node("Sub", &["scaled", "means"], "centred", vec![]),
        node("Transpose", &["centred"], "first", vec![ints("perm", &[0, 3, 1, 2])]),
        node("Conv", &["first", "w"], "c", vec![]),
        node("Transpose", &["c"], "last", vec![ints("perm", &[0, 2, 3, 1])]),
        node("Add", &["last", "b"], "biased", vec![]),
        node("Relu", &["biased"], "r", vec![]),
        node("Reshape", &["r", "flat"], "f", vec![]),
        node("MatMul", &["f", "matrix"], "y", vec![]),
    ];
    let bias = [0.25f32, -0.5];
    let constants = vec![
        number("two", 2.0),
        floats("means", &[1, 1, 1, 2], &[0.5, 0.25]),
        floats("w", &[2, 2, 2, 2], &weights),
        floats("b", &[2], &bias),
        whole("flat", &[-1, 8]),
        floats("matrix", &[8, 3], &matrix),
    ];
    let model = file(&[3, 3, 2], nodes, constants);
    let imported = import(&model).unwrap();
    assert_eq!(imported.spec.input, [2, 3, 3]);
    let p = &imported.spec.preprocess;
    assert_eq!((p.mean.as_slice(), p.std.as_slice()), (&[0.25f32, 0.125][..], &[0.5f32, 0.5][..]));
    // Behind the preprocessing the network reads `[2, 3, 3]`.
    let x = wide(&numbers(18, 6));
    let at = |c: usize, h: usize, w: usize| x[(c * 3 + h) * 3 + w];
    let map = |o: usize, h: usize, w: usize| -> f64 {
        let mut sum = f64::from(bias[o]);
        for (i, weight) in weights[o * 8..][..8].iter().enumerate() {
            sum += f64::from(*weight) * at(i / 4, h + i / 2 % 2, w + i % 2);
        }
        sum.max(0.0)
    };
    let expected: Vec<f64> = (0..3)
        .map(|k| {
            let term = |i: usize| map(i % 2, i / 4, i / 2 % 2) * f64::from(matrix[i * 3 + k]);
            (0..8).map(term).sum()
        })
        .collect();
    let found = answer(imported, &x.iter().map(|&x| x as f32).collect::<Vec<_>>());
    for (found, expected) in found.iter().zip(&expected) {
        assert!((f64::from(*found) - expected).abs() < 1e-5, "{found} {expected}");
    }
}

/// A squeeze-and-excitation block with linear layers: its gate is `[N, K]`, seen as `[N, K, 1, 1]`.
#[test]
fn a_gate_of_linear_layers_multiplies_channels() {
    let (x, weights) = (numbers(2 * 8, 7), numbers(4, 8));
    let nodes = vec![
        node("ReduceMean", &["x"], "m", vec![ints("axes", &[2, 3]), int("keepdims", 0)]),
        node("MatMul", &["m", "w"], "l", vec![]),
        node("Reshape", &["l", "shape"], "v", vec![]),
        node("Sigmoid", &["v"], "s", vec![]),
        node("Mul", &["s", "x"], "g", vec![]),
        flatten("g"),
    ];
    let model = file(&[2, 2, 2], nodes, vec![floats("w", &[2, 2], &weights), whole("shape", &[-1, 2, 1, 1])]);
    let rows = wide(&x);
    let mut expected = Vec::new();
    for row in rows.chunks(8) {
        let means = [0, 1].map(|c| row[4 * c..][..4].iter().sum::<f64>() / 4.0);
        let gates = [0, 1].map(|o| {
            let sum: f64 = (0..2).map(|i| means[i] * f64::from(weights[2 * i + o])).sum();
            1.0 / (1.0 + (-sum).exp())
        });
        expected.extend(row.iter().enumerate().map(|(i, x)| x * gates[i / 4]));
    }
    assert_answers(&model, &x, &expected);
}

#[test]
fn constants_are_computed_and_filled() {
    let x = numbers(2 * 4, 9);
    let fill = TensorProto { dims: vec![1], ..number("", 0.5) };
    let value = AttributeProto {
        name: "value".into(),
        t: Some(fill),
        r#type: AttributeType::Tensor.into(),
        ..AttributeProto::default()
    };
    let nodes = vec![
        node("ConstantOfShape", &["shape"], "filled", vec![value]),
        node("Mul", &["filled", "column"], "w0", vec![]),
        node("Sqrt", &["w0"], "w1", vec![]),
        node("Transpose", &["w1"], "w", vec![ints("perm", &[2, 3, 0, 1])]),
        node("Conv", &["x", "w"], "c", vec![]),
        flatten("c"),
    ];
    let constants = vec![whole("shape", &[1, 1, 1, 2]), floats("column", &[2, 1], &[2.0, 8.0])];
    // [1, 1, 2, 2] of 1, 1, 2, 2 becomes the weights [2, 2, 1, 1].
    let model = file(&[2, 1, 2], nodes, constants);
    let expected: Vec<f64> = wide(&x)
        .chunks(4)
        .flat_map(|row| (0..4).map(|i| (row[i % 2] + row[2 + i % 2]) * [1.0, 2.0][i / 2]).collect::<Vec<_>>())
        .collect();
    assert_answers(&model, &x, &expected);
}

#[test]
fn a_few_bytes_cannot_fill_memory() {
    let nodes = |shape: &'static str| {
        vec![
            node("ConstantOfShape", &[shape], "w", vec![]),
            node("Conv", &["x", "w"], "c", vec![]),
            flatten("c"),
        ]
    };
    let huge = file(&[1, 1, 1], nodes("s"), vec![whole("s", &[1 << 30, 1, 1, 1])]);
    assert!(refusal(&huge).contains("at most 268435456 values"), "{}", refusal(&huge));
    let overflow = file(&[1, 1, 1], nodes("s"), vec![whole("s", &[1 << 31, 1 << 31, 1 << 31, 1])]);
    assert!(refusal(&overflow).contains("values"));
}

#[test]
fn nodes_out_of_order_are_sorted_and_cycles_are_refused() {
    let x = numbers(2 * 4, 10);
    let nodes = |relu: &'static str| {
        vec![flatten("b"), node("Relu", &["a"], "b", vec![]), node("Sigmoid", &[relu], "a", vec![])]
    };
    let expected: Vec<f64> = wide(&x).iter().map(|x| 1.0 / (1.0 + (-x).exp())).collect();
    assert_answers(&file(&[1, 2, 2], nodes("x"), vec![]), &x, &expected);
    let message = refusal(&file(&[1, 2, 2], nodes("b"), vec![]));
    assert!(message.contains("depends on itself"), "{message}");
}

#[test]
fn averages_may_leave_out_the_padding() {
    let x = numbers(9, 11);
    let attributes =
        vec![ints("kernel_shape", &[3, 3]), ints("pads", &[1, 1, 1, 1]), ints("strides", &[2, 2])];
    let model = file(&[1, 3, 3], vec![node("AveragePool", &["x"], "a", attributes), flatten("a")], vec![]);
    let corner = |h: usize, w: usize| {
        let places = [0, 1].into_iter().flat_map(|i| [0, 1].map(move |j| (h + i) * 3 + w + j));
        places.map(|at| f64::from(x[at])).sum::<f64>() / 4.0
    };
    assert_answers(&model, &x, &[corner(0, 0), corner(0, 1), corner(1, 0), corner(1, 1)]);
}

/// PyTorch's older exporter computes the shape of a channel shuffle, and halves channels by a division.
#[test]
fn shapes_are_divided() {
    let nodes = |divisor: &'static str| {
        vec![
            node("Shape", &["x"], "shape", vec![]),
            node("Gather", &["shape", "one"], "channels", vec![int("axis", 0)]),
            node("Div", &["channels", divisor], "half", vec![]),
            node("Concat", &["open", "two", "half", "one", "two"], "rows", vec![int("axis", 0)]),
            node("Reshape", &["x", "rows"], "a", vec![]),
            node("Transpose", &["a"], "b", vec![ints("perm", &[0, 2, 1, 3, 4])]),
            node("Reshape", &["b", "whole"], "c", vec![]),
            flatten("c"),
        ]
    };
    let lists = || {
        [
            ("open", vec![-1]),
            ("none", vec![0]),
            ("one", vec![1]),
            ("two", vec![2]),
            ("whole", vec![-1, 4, 1, 2]),
        ]
        .map(|(name, values)| whole(name, &values))
        .to_vec()
    };
    let model = file(&[4, 1, 2], nodes("two"), lists());
    assert_eq!(layers(&model)[0], layers::ChannelShuffle { groups: 2 }.into());
    assert!(refusal(&file(&[4, 1, 2], nodes("none"), lists())).contains("division by zero"));
}
