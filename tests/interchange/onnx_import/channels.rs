//! Slices of channels, splits and the channel shuffle.

use super::*;

const DIMS: [i64; 3] = [6, 2, 3];

/// The values of the channels in `order` of rows of `DIMS`.
fn channels(x: &[f32], order: &[usize]) -> Vec<f64> {
    let pick = |row: &[f32]| order.iter().flat_map(|&c| row[6 * c..6 * (c + 1)].to_vec()).collect::<Vec<_>>();
    x.chunks(36).flat_map(pick).map(f64::from).collect()
}

fn slice(lists: [&[i64]; 4]) -> ModelProto {
    let names = ["starts", "ends", "axes", "steps"];
    let tensors = names.iter().zip(lists).map(|(name, list)| whole(name, list)).collect();
    file(&DIMS, vec![node("Slice", &["x", "starts", "ends", "axes", "steps"], "y", vec![])], tensors)
}

#[test]
fn slices_of_channels() {
    let x = numbers(72, 3);
    for (lists, order) in [
        ([&[1][..], &[4], &[1], &[1]], &[1, 2, 3][..]),
        ([&[-2], &[i64::MAX], &[-3], &[1]], &[4, 5]),
        ([&[0, 2], &[100, -1], &[2, 1], &[1, 1]], &[2, 3, 4]),
        // Everything: no layer.
        ([&[0, 0], &[i64::MAX, 6], &[0, 1], &[1, 1]], &[0, 1, 2, 3, 4, 5]),
        ([&[i64::MIN], &[3], &[1], &[1]], &[0, 1, 2]),
    ] {
        assert_answers(&slice(lists), &x, &channels(&x, order));
    }
    // In operator sets before 10 the numbers are attributes, and axes may be left out.
    let attributes = vec![ints("starts", &[0, 1]), ints("ends", &[i64::from(i32::MAX), 3])];
    let mut old = file(&DIMS, vec![node("Slice", &["x"], "y", attributes)], vec![]);
    old.opset_import[0].version = 9;
    assert_answers(&old, &x, &channels(&x, &[1, 2]));
    for lists in [
        [&[0][..], &[6], &[1], &[2]],
        [&[5], &[0], &[1], &[-1]],
        [&[0], &[1], &[2], &[1]],
        [&[0], &[1], &[0], &[1]],
        [&[3], &[3], &[1], &[1]],
        [&[0], &[1], &[4], &[1]],
        [&[0], &[1], &[i64::MIN], &[1]],
        [&[0, 1], &[5, 6], &[1, -3], &[1, 1]],
    ] {
        let message = refusal(&slice(lists));
        assert!(message.contains("expected a run of channels (axis 1)"), "{message}");
    }
    let message = refusal(&slice([&[0], &[1, 2], &[1], &[1]]));
    assert!(message.contains("expected as many starts as ends, axes and steps"), "{message}");
}

fn split(outputs: &[&str], inputs: &[&str], attributes: Vec<AttributeProto>) -> NodeProto {
    let output = outputs.iter().map(|name| (*name).to_string()).collect();
    NodeProto { output, ..node("Split", inputs, "parts", attributes) }
}

#[test]
fn splits_become_slices() {
    let x = numbers(72, 4);
    let join = |names: &[&str]| node("Concat", names, "y", vec![int("axis", 1)]);
    let equal = vec![split(&["a", "b", "c"], &["x"], vec![int("axis", 1)]), join(&["c", "a", "b"])];
    assert_answers(&file(&DIMS, equal.clone(), vec![]), &x, &channels(&x, &[4, 5, 0, 1, 2, 3]));
    let model = import(&file(&DIMS, equal, vec![])).unwrap();
    let names: Vec<&str> = model.spec.layers.iter().map(|layer| layer.name.as_str()).collect();
    assert_eq!(names[..3], ["node of parts", "node of parts_1", "node of parts_2"]);
    // Lengths as an input; an output that nothing reads.
    let given = vec![split(&["a", "", "c"], &["x", "lengths"], vec![int("axis", -3)]), join(&["c", "a"])];
    assert_answers(&file(&DIMS, given, vec![whole("lengths", &[1, 3, 2])]), &x, &channels(&x, &[4, 5, 0]));
    // Operator set 18: the last part may be shorter.
    let attributes = vec![int("axis", 1), int("num_outputs", 4)];
    let uneven = vec![split(&["a", "b", "c", "d"], &["x"], attributes), join(&["d", "a", "c", "b"])];
    let message = refusal(&file(&DIMS, uneven, vec![]));
    assert!(
        message.contains("expected 4 lengths that add up to 6 channels, found [2, 2, 2, 0]"),
        "{message}"
    );
    let attributes = vec![int("axis", 1), ints("split", &[2, 4])];
    let mut old = file(&DIMS, vec![split(&["a", "b"], &["x"], attributes), join(&["b", "a"])], vec![]);
    old.opset_import[0].version = 11;
    assert_answers(&old, &x, &channels(&x, &[2, 3, 4, 5, 0, 1]));
    for (attributes, lengths, expected) in [
        (vec![int("axis", 2)], &[1, 5][..], "expected axis 1 (channels), found 2"),
        (vec![], &[1, 5], "expected axis 1 (channels), found 0"),
        (vec![int("axis", 1)], &[1, 4], "expected 2 lengths that add up to 6 channels, found [1, 4]"),
        (vec![int("axis", 1)], &[-1, 7], "expected lengths of 0 or more, found [-1, 7]"),
        (vec![int("axis", 1)], &[i64::MAX, i64::MAX], "expected 2 lengths that add up to 6 channels"),
        (vec![int("axis", 1), int("num_outputs", 3)], &[3, 3], "expected num_outputs 2"),
    ] {
        let nodes = vec![split(&["a", "b"], &["x", "lengths"], attributes), join(&["b", "a"])];
        let message = refusal(&file(&DIMS, nodes, vec![whole("lengths", lengths)]));
        assert!(message.contains(expected), "{message}");
    }
}

/// A Reshape to `rows`, a Transpose by `order` and a Reshape to `last`.
fn shuffle(rows: &[i64], order: &[i64], last: &[i64]) -> ModelProto {
    let nodes = vec![
        node("Reshape", &["x", "rows"], "grouped", vec![]),
        node("Transpose", &["grouped"], "turned", vec![ints("perm", order)]),
        node("Reshape", &["turned", "last"], "y", vec![]),
    ];
    file(&DIMS, nodes, vec![whole("rows", rows), whole("last", last)])
}

#[test]
fn a_channel_shuffle_is_recognised() {
    let x = numbers(72, 5);
    for (rows, groups, order) in [
        (&[-1, 2, 3, 2, 3][..], 2, [0, 3, 1, 4, 2, 5]),
        (&[0, 3, -1, 2, 3], 3, [0, 2, 4, 1, 3, 5]),
        (&[-1, 6, 1, 2, 3], 6, [0, 1, 2, 3, 4, 5]),
    ] {
        for last in [&[-1, 6, 2, 3][..], &[0, -1, 2, 3]] {
            let model = shuffle(rows, &[0, 2, 1, 3, 4], last);
            assert_answers(&model, &x, &channels(&x, &order));
            let shuffle = LayerOp::ChannelShuffle(layers::ChannelShuffle { groups });
            assert_eq!(layers(&model), [shuffle, LayerOp::Flatten(layers::Flatten)]);
        }
    }
    // Not transposed, it changes nothing.
    let nodes = vec![
        node("Reshape", &["x", "rows"], "grouped", vec![]),
        node("Reshape", &["grouped", "last"], "z", vec![]),
        node("Relu", &["z"], "y", vec![]),
    ];
    let model = file(&DIMS, nodes, vec![whole("rows", &[-1, 2, 3, 2, 3]), whole("last", &[-1, 6, 2, 3])]);
    assert_eq!(layers(&model), [LayerOp::Relu(layers::Relu), LayerOp::Flatten(layers::Flatten)]);
    for (model, expected) in [
        (
            shuffle(&[-1, 2, 3, 2, 3], &[0, 1, 2, 4, 3], &[-1, 6, 2, 3]),
            "expected perm [0, 2, 1, 3, 4] (a channel shuffle)",
        ),
        (
            shuffle(&[-1, 2, 3, 2, 3], &[0, 2, 1, 3, 4], &[-1, 3, 4, 3]),
            "after a channel shuffle: expected [N, 6, 2, 3]",
        ),
        (shuffle(&[-1, 2, 3, 3, 2], &[0, 2, 1, 3, 4], &[-1, 6, 2, 3]), "expected [N, K]"),
    ] {
        let message = refusal(&model);
        assert!(message.contains(expected), "{message}");
    }
    let nodes = vec![node("Reshape", &["x", "rows"], "g", vec![]), node("Relu", &["g"], "y", vec![])];
    let message = refusal(&file(&DIMS, nodes, vec![whole("rows", &[-1, 2, 3, 2, 3])]));
    assert!(message.contains("only between the two Reshapes of a channel shuffle"), "{message}");
}

#[test]
fn factors_of_channels_keep_their_names() {
    let x = numbers(72, 6);
    let w = numbers(6, 7);
    let expected: Vec<f64> =
        x.iter().enumerate().map(|(i, &v)| (f64::from(v.max(0.0))) * f64::from(w[i / 6 % 6])).collect();
    for (name, dims, layer, parameter) in [
        ("features.1.0.layer_scale", &[6, 1, 1][..], "features.1.0", "features.1.0.layer_scale"),
        ("gamma", &[1, 6, 1, 1], "node of y", "node of y.weight"),
        ("onnx::Mul_7", &[6, 1, 1], "node of y", "node of y.weight"),
        ("block.weight", &[6, 1, 1], "block", "block.weight"),
    ] {
        for inputs in [["r", name], [name, "r"]] {
            let nodes = vec![node("Relu", &["x"], "r", vec![]), node("Mul", &inputs, "y", vec![])];
            let model = file(&DIMS, nodes, vec![floats(name, dims, &w)]);
            assert_answers(&model, &x, &expected);
            let imported = import(&model).unwrap();
            assert_eq!(imported.spec.layers[1].name, layer);
            assert_eq!(imported.tensors[0].0, parameter);
        }
    }
    // Not one for each channel.
    for (dims, count) in [(&[2, 3][..], 6), (&[1, 2, 1], 2), (&[6], 6)] {
        let nodes = vec![node("Relu", &["x"], "r", vec![]), node("Mul", &["r", "w"], "y", vec![])];
        refusal(&file(&DIMS, nodes, vec![floats("w", dims, &w[..count])]));
    }
}

/// y of rows of `DIMS` normalised over the channels.
fn normalised(x: &[f32], eps: f64, w: &[f32], b: &[f32]) -> Vec<f64> {
    let mut y = vec![0.0; x.len()];
    for (n, row) in x.chunks(36).enumerate() {
        for p in 0..6 {
            let at = |c: usize| f64::from(row[c * 6 + p]);
            let mean = (0..6).map(at).sum::<f64>() / 6.0;
            let variance = (0..6).map(|c| (at(c) - mean).powi(2)).sum::<f64>() / 6.0;
            for c in 0..6 {
                let z = (at(c) - mean) / (variance + eps).sqrt();
                y[n * 36 + c * 6 + p] = z * f64::from(w[c]) + f64::from(b[c]);
            }
        }
    }
    y
}

#[test]
fn layer_norms_between_transposes() {
    let (x, w, b) = (numbers(72, 8), numbers(6, 9), numbers(6, 10));
    let make = |norm: NodeProto, back: &[i64]| {
        let nodes = vec![
            node("Transpose", &["x"], "last", vec![ints("perm", &[0, 2, 3, 1])]),
            norm,
            node("Transpose", &["n"], "y", vec![ints("perm", back)]),
        ];
        file(&DIMS, nodes, vec![floats("ln.weight", &[6], &w), floats("ln.bias", &[6], &b)])
    };
    let norm = |inputs: &[&str], attributes| node("LayerNormalization", inputs, "n", attributes);
    let (all, back) = (["last", "ln.weight", "ln.bias"], [0, 3, 1, 2]);
    for (attributes, eps) in
        [(vec![], 1e-5), (vec![int("axis", 3), float("epsilon", 0.5), int("stash_type", 1)], 0.5)]
    {
        let model = make(norm(&all, attributes), &back);
        assert_answers(&model, &x, &normalised(&x, eps, &w, &b));
        assert_eq!(import(&model).unwrap().spec.layers[0].name, "ln");
    }
    assert_answers(&make(norm(&all[..2], vec![]), &back), &x, &normalised(&x, 1e-5, &w, &[0.0; 6]));
    for (model, expected) in [
        (make(norm(&all, vec![int("axis", 1)]), &back), "expected the last axis (channels), found 1"),
        (make(norm(&all, vec![]), &[0, 1, 2, 3]), "perm [0, 1, 2, 3] of [N, H, W, C]: expected [0, 3, 1, 2]"),
        (make(node("LRN", &["last"], "n", vec![]), &back), "LRN of a value in the layout [N, H, W, C]"),
        (make(norm(&["x", "ln.weight"], vec![]), &back), "expected an input [N, K], found [N, 6, 2, 3]"),
    ] {
        let message = refusal(&model);
        assert!(message.contains(expected), "{message}");
    }
}

/// The linear layers of ConvNeXt's blocks, whose parameters keep PyTorch's names and shapes.
#[test]
fn a_product_between_transposes_is_a_linear_layer_at_each_position() {
    let (x, w, b) = (numbers(72, 8), numbers(24, 9), numbers(4, 10));
    let nodes = vec![
        node("Transpose", &["x"], "last", vec![ints("perm", &[0, 2, 3, 1])]),
        node("Transpose", &["l.weight"], "t", vec![ints("perm", &[1, 0])]),
        node("MatMul", &["last", "t"], "p", vec![]),
        node("Add", &["l.bias", "p"], "s", vec![]),
        node("Transpose", &["s"], "y", vec![ints("perm", &[0, 3, 1, 2])]),
    ];
    let model = file(&DIMS, nodes, vec![floats("l.weight", &[4, 6], &w), floats("l.bias", &[4], &b)]);
    let mut expected = vec![];
    for row in x.chunks(36) {
        for out in 0..4 {
            for p in 0..6 {
                let terms = (0..6).map(|c| f64::from(row[c * 6 + p]) * f64::from(w[out * 6 + c]));
                expected.push(terms.sum::<f64>() + f64::from(b[out]));
            }
        }
    }
    assert_answers(&model, &x, &expected);
    let imported = import(&model).unwrap();
    let op = layers::Linear { out_features: 4, bias: true, per_position: true };
    assert_eq!((&imported.spec.layers[0].name[..], &imported.spec.layers[0].op), ("l", &LayerOp::Linear(op)));
    assert_eq!(imported.tensors[0].1.shape().dims(), [4, 6]);
}
