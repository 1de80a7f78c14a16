//! What PyTorch's exporters and the ONNX zoo's files write, beyond one node for one layer.

use super::*;
use striate::Spec;
use striate::interchange::onnx::{Export, encode};
use striate::tensor::Tensor;

/// The outputs that must be the same however a graph is written.
fn answers(model: &ModelProto, x: &[f32]) -> Vec<f64> {
    answer(import(model).unwrap(), x).into_iter().map(f64::from).collect()
}

fn flatten(from: &str) -> NodeProto {
    node("Flatten", &[from], "y", vec![])
}

fn conv(from: &str, weights: &str, to: &str, attributes: Vec<AttributeProto>) -> NodeProto {
    node("Conv", &[from, weights], to, attributes)
}

/// One initializer for two layers, as exporters keep equal tensors once: each layer gets its own copy.
#[test]
fn weights_that_are_stored_once_are_copied() {
    let x = numbers(2 * 12, 1);
    let weights = numbers(9, 2);
    let nodes = |second: &str| {
        vec![
            conv("x", "w", "a", vec![]),
            node("Relu", &["a"], "b", vec![]),
            conv("b", second, "c", vec![]),
            flatten("c"),
        ]
    };
    let shared = file(&[3, 2, 2], nodes("w"), vec![floats("w", &[3, 3, 1, 1], &weights)]);
    let apart = file(
        &[3, 2, 2],
        nodes("v"),
        vec![floats("w", &[3, 3, 1, 1], &weights), floats("v", &[3, 3, 1, 1], &weights)],
    );
    let imported = import(&shared).unwrap();
    assert_eq!(imported.tensors.len(), 2);
    assert_eq!(imported.tensors[0].1, imported.tensors[1].1);
    let note = imported.notes.iter().find(|note| note.contains("weights w are shared by several layers"));
    assert!(
        note.is_some_and(|note| note.contains("training makes the copies differ")),
        "{:?}",
        imported.notes
    );
    assert_answers(&shared, &x, &answers(&apart, &x));
    assert!(import(&apart).unwrap().notes.is_empty());
    // Linear layers too, one of them through a transposed view of it.
    let nodes = vec![
        node("MatMul", &["x", "w"], "a", vec![]),
        node("Transpose", &["w"], "t", vec![ints("perm", &[1, 0])]),
        node("MatMul", &["a", "t"], "y", vec![]),
    ];
    let linear = file(&[3], nodes, vec![floats("w", &[3, 3], &weights)]);
    let row = [1.0, -0.5, 0.25];
    let w = |i: usize, o: usize| f64::from(weights[3 * i + o]);
    let once: Vec<f64> = (0..3).map(|o| (0..3).map(|i| row[i] * w(i, o)).sum()).collect();
    let twice: Vec<f64> = (0..3).map(|o| (0..3).map(|i| once[i] * w(o, i)).sum()).collect();
    assert_answers(&linear, &row.map(|value| value as f32), &twice);
}

/// The zoo's MNIST: the matrix of its last layer is stored as `[16, 4, 4, 10]` and reshaped by a node.
#[test]
fn constants_may_be_reshaped_before_a_product() {
    let (x, weights) = (numbers(2 * 8, 3), numbers(24, 4));
    let product = |row: &[f32]| -> Vec<f64> {
        (0..3).map(|o| (0..8).map(|i| f64::from(row[i]) * f64::from(weights[3 * i + o])).sum()).collect()
    };
    let expected: Vec<f64> = x.chunks(8).flat_map(product).collect();
    let with = |reshape: NodeProto, dims: &[i64], more: Vec<TensorProto>| {
        let nodes = vec![
            node("Reshape", &["x", "flat"], "f", vec![]),
            reshape,
            node("MatMul", &["f", "matrix"], "y", vec![]),
        ];
        file(&[2, 2, 2], nodes, [vec![floats("w", dims, &weights), whole("flat", &[-1, 8])], more].concat())
    };
    for target in [&[8, 3][..], &[8, -1], &[-1, 3]] {
        let reshape = node("Reshape", &["w", "target"], "matrix", vec![]);
        assert_answers(&with(reshape, &[2, 2, 2, 3], vec![whole("target", target)]), &x, &expected);
    }
    let reshape = node("Reshape", &["w", "target"], "matrix", vec![]);
    assert_answers(&with(reshape, &[8, 3, 1, 1], vec![whole("target", &[0, 0])]), &x, &expected);
    let flat = node("Flatten", &["w"], "matrix", vec![int("axis", 3)]);
    assert_answers(&with(flat, &[2, 2, 2, 3], vec![]), &x, &expected);
    let squeeze = node("Squeeze", &["w", "axes"], "matrix", vec![]);
    assert_answers(&with(squeeze, &[1, 8, 1, 3], vec![whole("axes", &[0, 2])]), &x, &expected);
    for target in [&[8, 4][..], &[-1, -1], &[9, -1]] {
        let reshape = node("Reshape", &["w", "target"], "matrix", vec![]);
        let message = refusal(&with(reshape, &[2, 2, 2, 3], vec![whole("target", target)]));
        assert!(message.contains("Reshape"), "{target:?}: {message}");
    }
    // A bias that a node gives the extents of channels.
    let nodes = vec![
        conv("x", "w", "a", vec![]),
        node("Unsqueeze", &["b", "axes"], "wide", vec![]),
        node("Add", &["a", "wide"], "c", vec![]),
        flatten("c"),
    ];
    let constants = vec![
        floats("w", &[2, 1, 1, 1], &[1.0, 2.0]),
        floats("b", &[2], &[0.5, -1.0]),
        whole("axes", &[1, 2]),
    ];
    assert_answers(&file(&[1, 1, 2], nodes, constants), &[1.0, 2.0], &[1.5, 2.5, 1.0, 3.0]);
}

#[test]
fn softmax_is_over_channels_or_refused() {
    let x = [0.5f32, -1.0, 2.0];
    let sum: f64 = x.iter().map(|&v| f64::from(v).exp()).sum();
    let expected: Vec<f64> = x.iter().map(|&v| f64::from(v).exp() / sum).collect();
    // Not the answer itself, which the loss makes a softmax of.
    let tail = vec![node("Sigmoid", &["s"], "g", vec![]), flatten("g")];
    let bent: Vec<f64> = expected.iter().map(|v| 1.0 / (1.0 + (-v).exp())).collect();
    let model = |dims: &[i64], axis: Option<i64>, opset: i64| {
        let attributes = axis.map(|axis| int("axis", axis)).into_iter().collect();
        let nodes = [vec![node("Softmax", &["x"], "s", attributes)], tail.clone()].concat();
        let mut model = file(dims, nodes, vec![]);
        model.opset_import[0].version = opset;
        model
    };
    for (axis, opset) in [(Some(1), 17), (Some(-3), 13), (Some(1), 11), (None, 11), (Some(1), 7)] {
        assert_answers(&model(&[3, 1, 1], axis, opset), &x, &bent);
    }
    // Each place by itself since operator set 13; all together before.
    let (a, b) = ([0.25f32, 0.5], [0.75f32, -0.5]);
    let each = |a: f32, b: f32| {
        let share = f64::from(a).exp() / (f64::from(a).exp() + f64::from(b).exp());
        1.0 / (1.0 + (-share).exp())
    };
    let expected = [each(a[0], b[0]), each(a[1], b[1]), each(b[0], a[0]), each(b[1], a[1])];
    assert_answers(&model(&[2, 1, 2], Some(1), 13), &[a, b].concat(), &expected);
    for (axis, opset) in [(Some(1), 12), (None, 11), (None, 13), (Some(3), 17), (Some(-1), 17)] {
        let message = refusal(&model(&[2, 1, 2], axis, opset));
        assert!(message.contains("Softmax"), "{axis:?} in {opset}: {message}");
    }
    // One value alone: all ones, which is no layer of classes.
    refusal(&model(&[3, 1, 1], None, 13));
}

/// The loss contains the softmax that ends a network, also where classes are `[N, C, 1, 1]` and are flattened behind it.
#[test]
fn a_final_softmax_is_left_out_before_and_behind_a_flatten() {
    let softmax = || node("Softmax", &["x"], "s", vec![int("axis", 1)]);
    let behind = file(&[3, 1, 1], vec![softmax(), flatten("s")], vec![]);
    let before = file(
        &[3, 1, 1],
        vec![node("Flatten", &["x"], "s", vec![]), node("Softmax", &["s"], "y", vec![])],
        vec![],
    );
    let alone = file(&[3, 1, 1], vec![node("Softmax", &["x"], "y", vec![int("axis", 1)])], vec![]);
    for model in [behind, before, alone] {
        assert_eq!(layers(&model), [LayerOp::Flatten(layers::Flatten)]);
        assert!(import(&model).unwrap().notes.iter().any(|note| note.contains("final Softmax is dropped")));
    }
    // Over each of two places: no softmax over the four outputs.
    let two = file(&[2, 1, 2], vec![softmax(), flatten("s")], vec![]);
    assert_eq!(layers(&two), [LayerOp::Softmax(layers::Softmax), LayerOp::Flatten(layers::Flatten)]);
}

#[test]
fn means_may_be_taken_one_axis_after_the_other() {
    let x = numbers(2 * 24, 5);
    let expected: Vec<f64> =
        x.chunks(12).map(|map| map.iter().map(|&v| f64::from(v)).sum::<f64>() / 12.0).collect();
    let mean = |from: &str, to: &str, axis: i64, keeps: i64| {
        node("ReduceMean", &[from], to, vec![ints("axes", &[axis]), int("keepdims", keeps)])
    };
    for (first, second, keeps) in
        [(3, 2, 1), (2, 3, 1), (-1, -2, 1), (-2, -1, 1), (3, 2, 0), (2, 2, 0), (-1, -1, 0), (-2, 2, 0)]
    {
        let nodes = vec![mean("x", "a", first, keeps), mean("a", "b", second, keeps), flatten("b")];
        assert_answers(&file(&[2, 3, 4], nodes, vec![]), &x, &expected);
    }
    // Axes as an input, since operator set 18.
    let step =
        |from: &str, axes: &str, to: &str| node("ReduceMean", &[from, axes], to, vec![int("keepdims", 0)]);
    let nodes = vec![step("x", "last", "a"), step("a", "last", "b"), flatten("b")];
    let mut model = file(&[2, 3, 4], nodes, vec![whole("last", &[-1])]);
    model.opset_import[0].version = 18;
    assert_answers(&model, &x, &expected);
    for (first, second, keeps) in [(3, 3, 1), (2, 2, 1), (3, 1, 0), (1, 2, 1)] {
        let nodes = vec![mean("x", "a", first, keeps), mean("a", "b", second, keeps), flatten("b")];
        refusal(&file(&[2, 3, 4], nodes, vec![]));
    }
    refusal(&file(&[2, 3, 4], vec![mean("x", "a", 3, 1), flatten("a")], vec![]));
    refusal(&file(&[2, 3, 4], vec![mean("x", "a", 3, 1), mean("a", "b", 2, 0), flatten("b")], vec![]));
}

/// What data-parallel training and `torch.compile` put before every name.
#[test]
fn wrappers_are_no_part_of_names() {
    let names = |weights: [&str; 2]| -> Vec<String> {
        let nodes =
            vec![conv("x", weights[0], "a", vec![]), conv("a", weights[1], "b", vec![]), flatten("b")];
        let constants = weights.map(|name| floats(name, &[1, 1, 1, 1], &[2.0]));
        let imported = import(&file(&[1, 2, 2], nodes, constants.into())).unwrap();
        imported.tensors.into_iter().map(|(name, _)| name).collect()
    };
    assert_eq!(names(["module.a.0.weight", "module.a.1.weight"]), ["a.0.weight", "a.1.weight"]);
    assert_eq!(names(["_orig_mod.module.c.weight", "_orig_mod.module.d.weight"]), ["c.weight", "d.weight"]);
    assert_eq!(names(["module.a.weight", "b.weight"]), ["module.a.weight", "b.weight"]);
    // A network of ours may have such names itself, and comes back with them.
    let text = "name = \"n\"\ninput = [1, 2, 2]\n[[layer]]\nname = \"module.a\"\nop = \"conv2d\"\nout_channels = 1\nkernel = 2
        bias = false\n[[layer]]\nname = \"f\"\nop = \"flatten\"\n";
    let spec = Spec::parse(text, "n").unwrap();
    let tensors = [("module.a.weight".to_string(), Tensor::full([1, 1, 2, 2], 2.0))];
    let metadata = BTreeMap::from([("model".to_string(), text.to_string())]);
    let bytes =
        encode(&Export { spec: &spec, tensors: &tensors, metadata: &metadata, with_preprocess: false })
            .unwrap();
    let again = decode(bytes, Path::new("n.onnx"), &ImportOptions::default()).unwrap();
    assert_eq!((again.spec.source, &again.tensors[..]), (text.to_string(), &tensors[..]));
}
