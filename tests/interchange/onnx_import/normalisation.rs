//! Normalisations: ONNX's own operators, and the chain of nodes that PyTorch writes for `LocalResponseNorm`.

use super::*;

/// Channels and places of a map.
const C: usize = 6;
const HW: usize = 6;
const DIMS: [i64; 3] = [C as i64, 2, 3];
const ALPHA: f32 = 0.5;
const BETA: f32 = 0.75;
const K: f32 = 1.5;

fn rows() -> Vec<f32> {
    numbers(2 * C * HW, 4)
}

/// Across channels; the window of channel c has `before` channels below it and `after` above.
fn response(x: &[f32], [before, after]: [usize; 2]) -> Vec<f64> {
    let [alpha, beta, k] = [ALPHA, BETA, K].map(f64::from);
    let place = |i: usize| {
        let (row, c, p) = (i / (C * HW), i / HW % C, i % HW);
        let window = c.saturating_sub(before)..(c + after + 1).min(C);
        let squares = window.map(|c| f64::from(x[(row * C + c) * HW + p]).powi(2)).sum::<f64>();
        f64::from(x[i]) / (k + alpha * squares / (before + after + 1) as f64).powf(beta)
    };
    (0..x.len()).map(place).collect()
}

#[test]
fn lrn_is_centred() {
    let make = |size| {
        let attributes =
            vec![int("size", size), float("alpha", ALPHA), float("beta", BETA), float("bias", K)];
        file(&DIMS, vec![node("LRN", &["x"], "y", attributes)], vec![])
    };
    assert_answers(&make(3), &rows(), &response(&rows(), [1, 1]));
    assert_answers(&make(5), &rows(), &response(&rows(), [2, 2]));
    assert!(refusal(&make(4)).contains("size 4: expected an odd size"));
}

/// PyTorch's `LocalResponseNorm(size)` as it writes it, with `pads` for the two sides of the channels.
fn chain(size: i64, pads: [i64; 2]) -> ModelProto {
    let average = vec![
        ints("kernel_shape", &[size, 1, 1]),
        ints("strides", &[1, 1, 1]),
        ints("pads", &[0; 6]),
        int("count_include_pad", 1),
        int("ceil_mode", 0),
    ];
    let nodes = vec![
        node("Mul", &["x", "x"], "squares", vec![]),
        node("Reshape", &["squares", "raised_shape"], "raised", vec![int("allowzero", 1)]),
        node("Pad", &["raised", "pads"], "padded", vec![text("mode", "constant")]),
        node("AveragePool", &["padded"], "means", average),
        node("Squeeze", &["means", "axis"], "flat", vec![]),
        node("Mul", &["flat", "alpha"], "scaled", vec![]),
        node("Add", &["scaled", "k"], "shifted", vec![]),
        node("Pow", &["shifted", "beta"], "power", vec![]),
        node("Div", &["x", "power"], "y", vec![]),
    ];
    let initializers = vec![
        whole("raised_shape", &[-1, 1, C as i64, 2, 3]),
        whole("pads", &[0, 0, pads[0], 0, 0, 0, 0, pads[1], 0, 0]),
        whole("axis", &[1]),
        floats("alpha", &[], &[ALPHA]),
        floats("k", &[], &[K]),
        floats("beta", &[], &[BETA]),
    ];
    file(&DIMS, nodes, initializers)
}

fn nodes(model: &mut ModelProto) -> &mut Vec<NodeProto> {
    &mut model.graph.as_mut().unwrap().node
}

#[test]
fn a_response_normalisation_may_be_written_out() {
    for (size, pads) in [(5, [2, 2]), (4, [2, 1]), (1, [0, 0]), (9, [4, 4])] {
        let model = chain(size, pads);
        let sides = pads.map(|pad| pad as usize);
        assert_answers(&model, &rows(), &response(&rows(), sides));
        let op = LayerOp::LocalResponseNorm(layers::LocalResponseNorm {
            size: size as usize,
            alpha: ALPHA,
            beta: BETA,
            k: K,
            within: false,
        });
        assert_eq!(layers(&model), [op, LayerOp::Flatten(layers::Flatten)]);
    }
    // The same in other words.
    let mut model = chain(5, [2, 2]);
    let nodes = nodes(&mut model);
    nodes[0] = node("Pow", &["x", "two"], "squares", vec![]);
    nodes[1] = node("Unsqueeze", &["squares", "axis"], "raised", vec![]);
    nodes[5].input.swap(0, 1);
    nodes[6].input.swap(0, 1);
    model.graph.as_mut().unwrap().initializer.push(floats("two", &[], &[2.0]));
    assert_answers(&model, &rows(), &response(&rows(), [2, 2]));
}

#[test]
fn what_only_looks_like_one_is_refused() {
    for (size, pads) in [(4, [1, 2]), (5, [1, 3]), (5, [2, 1])] {
        let message = refusal(&chain(size, pads));
        assert!(message.contains(&format!("expected windows of {size}")), "{message}");
    }
    let broken = |change: &dyn Fn(&mut Vec<NodeProto>)| {
        let mut model = chain(5, [2, 2]);
        change(nodes(&mut model));
        refusal(&model)
    };
    let next = "expected the next step of a local response normalisation";
    // No division; a division of something else, or the other way around.
    assert!(broken(&|nodes| nodes[8].op_type = "Mul".into()).contains(next));
    assert!(broken(&|nodes| nodes[8].input.swap(0, 1)).contains(next));
    let message = broken(&|nodes| {
        nodes.insert(0, node("Relu", &["x"], "r", vec![]));
        nodes[9].input[0] = "r".into();
    });
    assert!(message.contains(next), "{message}");
    // A step is missing: no factor, no sum.
    assert!(broken(&|nodes| nodes[6].input[0] = "flat".into()).contains(next));
    assert!(broken(&|nodes| nodes[7].input[0] = "scaled".into()).contains(next));
    // Windows that step, or padding that does not count where the pool itself has it.
    assert!(broken(&|nodes| nodes[3].attribute[1] = ints("strides", &[2, 1, 1])).contains("padding counts"));
    let uncounted = |nodes: &mut Vec<NodeProto>| {
        nodes[3].input[0] = "raised".into();
        nodes[3].attribute[2] = ints("pads", &[2, 0, 0, 2, 0, 0]);
        nodes[3].attribute[3] = int("count_include_pad", 0);
    };
    assert!(broken(&uncounted).contains("padding counts"));
    assert!(broken(&|nodes| nodes[2].attribute[0] = text("mode", "reflect")).contains("padding of zeros"));
    let axis = |nodes: &mut Vec<NodeProto>| nodes[4].input[1] = "raised_shape".into();
    assert!(broken(&axis).contains(next));
    // The answer cannot be one of the steps.
    assert!(
        broken(&|nodes| nodes[8] = node("Identity", &["power"], "y", vec![])).contains("does not depend")
    );
}

#[test]
fn batch_norm_uses_its_statistics() {
    let x = rows();
    let [scale, shift, mean] = [5, 6, 7].map(|seed| numbers(C, seed));
    let variance: Vec<f32> = numbers(C, 8).iter().map(|v| v.abs() + 0.25).collect();
    let tensors = [("s", &scale), ("b", &shift), ("m", &mean), ("v", &variance)];
    let tensors: Vec<_> = tensors.iter().map(|(name, values)| floats(name, &[C as i64], values)).collect();
    let norm = node("BatchNormalization", &["x", "s", "b", "m", "v"], "y", vec![float("epsilon", 0.125)]);
    let model = file(&DIMS, vec![norm.clone()], tensors.clone());
    let expected: Vec<f64> = (0..x.len())
        .map(|i| {
            let [s, b, m, v] = [&scale, &shift, &mean, &variance].map(|values| f64::from(values[i / HW % C]));
            (f64::from(x[i]) - m) / (v + 0.125).sqrt() * s + b
        })
        .collect();
    assert_answers(&model, &x, &expected);
    let mut short = tensors;
    short[3] = floats("v", &[2], &[1.0, 1.0]);
    assert!(refusal(&file(&DIMS, vec![norm], short)).contains("tensor v: expected [6], found [2]"));
}

#[test]
fn batch_norm_of_features_has_one_place() {
    let x = numbers(3 * 4, 1);
    let [scale, shift, mean] = [5, 6, 7].map(|seed| numbers(4, seed));
    let tensors = [("s", &scale), ("b", &shift), ("m", &mean), ("v", &vec![0.25, 1.0, 4.0, 2.25])];
    let tensors = tensors.map(|(name, values)| floats(name, &[4], values)).into();
    let norm = node("BatchNormalization", &["x", "s", "b", "m", "v"], "y", vec![float("epsilon", 1e-12)]);
    let deviation = [0.5, 1.0, 2.0, 1.5];
    let expected: Vec<f64> = (0..12)
        .map(|i| {
            let [value, s, b, m] = [x[i], scale[i % 4], shift[i % 4], mean[i % 4]].map(f64::from);
            (value - m) / deviation[i % 4] * s + b
        })
        .collect();
    assert_answers(&file(&[4], vec![norm], tensors), &x, &expected);
}
