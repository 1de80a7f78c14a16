//! The forms in which files say the same thing: shapes, constants, nodes that change nothing, weights elsewhere.

use super::schema::StringStringEntryProto;
use super::*;

const DIMS: [i64; 3] = [3, 4, 5];

/// Two rows of `DIMS`, and the same as f64.
fn rows() -> (Vec<f32>, Vec<f64>) {
    let x = numbers(2 * 60, 3);
    let wide = x.iter().map(|&value| value.into()).collect();
    (x, wide)
}

#[test]
fn every_way_to_flatten() {
    let (x, expected) = rows();
    for axis in [None, Some(1), Some(-3)] {
        let attributes = axis.map(|axis| int("axis", axis)).into_iter().collect();
        let model = file(&DIMS, vec![node("Flatten", &["x"], "y", attributes)], vec![]);
        assert_answers(&model, &x, &expected);
        assert_eq!(layers(&model), [LayerOp::Flatten(layers::Flatten)]);
    }
    for target in [&[0, 60][..], &[0, -1], &[-1, 60], &[0, 3, -1], &[0, 0, 0, 0], &[-1, 3, 4, 5], &[0, 0, 20]]
    {
        let nodes = vec![node("Reshape", &["x", "shape"], "r", vec![]), node("Flatten", &["r"], "y", vec![])];
        let model = file(&DIMS, nodes, vec![whole("shape", target)]);
        if target.len() == 3 {
            // [N, 3, 20] is nothing that a layer here has.
            assert!(refusal(&model).contains("expected [N, K]"), "{target:?}: {}", refusal(&model));
        } else {
            assert_answers(&model, &x, &expected);
        }
    }
    for target in [&[60, -1][..], &[-1, 30], &[2, 60], &[0, -1, -1], &[0, 0, 0, 0, 0], &[0, -2], &[]] {
        let model =
            file(&DIMS, vec![node("Reshape", &["x", "shape"], "y", vec![])], vec![whole("shape", target)]);
        assert!(refusal(&model).contains("not supported: Reshape (node \"node of y\"): "), "{target:?}");
    }
    for axis in [0, 2, 3, -1] {
        let model = file(&DIMS, vec![node("Flatten", &["x"], "y", vec![int("axis", axis)])], vec![]);
        assert!(refusal(&model).contains("expected axis 1"), "{axis}");
    }
}

/// Extents that the graph reads from the value itself, as PyTorch's exporters write them before a Reshape.
#[test]
fn extents_may_be_computed() {
    let (x, expected) = rows();
    let nodes = vec![
        node("Shape", &["x"], "shape", vec![]),
        node("Gather", &["shape", "zero"], "n", vec![int("axis", 0)]),
        node("Unsqueeze", &["n", "axes"], "n1", vec![]),
        node("Constant", &[], "rest", vec![ints("value_ints", &[-1])]),
        node("Concat", &["n1", "rest"], "target", vec![int("axis", 0)]),
        node("Reshape", &["x", "target"], "y", vec![]),
    ];
    let zero = TensorProto { dims: vec![], ..whole("zero", &[0]) };
    let model = file(&DIMS, nodes, vec![zero, whole("axes", &[0])]);
    assert_answers(&model, &x, &expected);
    let nodes = vec![
        node("Shape", &["x"], "shape", vec![int("start", 0), int("end", 1)]),
        node("Concat", &["shape", "rest"], "target", vec![int("axis", 0)]),
        node("Reshape", &["x", "target"], "y", vec![]),
    ];
    assert_answers(&file(&DIMS, nodes, vec![whole("rest", &[60])]), &x, &expected);
}

#[test]
fn channels_are_joined_and_sums_are_residual() {
    let (x, wide) = rows();
    let relu = |value: &f64| value.max(0.0);
    for axis in [1, -3] {
        let nodes = vec![
            node("Relu", &["x"], "r", vec![]),
            node("Concat", &["r", "x", "x"], "y", vec![int("axis", axis)]),
        ];
        let expected = wide.chunks(60).flat_map(|row| {
            let bent: Vec<f64> = row.iter().map(relu).collect();
            [&bent[..], row, row].concat()
        });
        assert_answers(&file(&DIMS, nodes, vec![]), &x, &expected.collect::<Vec<_>>());
    }
    let nodes =
        vec![node("Relu", &["x"], "r", vec![]), node("Concat", &["r", "x"], "y", vec![int("axis", 2)])];
    assert!(refusal(&file(&DIMS, nodes, vec![])).contains("expected axis 1 (channels), found 2"));
    let nodes = vec![
        node("Relu", &["x"], "r", vec![]),
        node("Add", &["x", "r"], "once", vec![]),
        node("Add", &["once", "x"], "y", vec![]),
    ];
    let expected: Vec<f64> = wide.iter().map(|v| 2.0 * v + relu(v)).collect();
    assert_answers(&file(&DIMS, nodes, vec![]), &x, &expected);
    let nodes = vec![node("Relu", &["x"], "r", vec![]), node("Sum", &["x", "r", "x"], "y", vec![])];
    assert_answers(&file(&DIMS, nodes, vec![]), &x, &expected);
    let nodes = vec![node("GlobalMaxPool", &["x"], "m", vec![]), node("Add", &["x", "m"], "y", vec![])];
    refusal(&file(&DIMS, nodes, vec![]));
}

#[test]
fn a_leaky_relu_has_the_default_slope_of_onnx_or_its_own() {
    let (x, wide) = rows();
    for (attributes, slope) in [(vec![], 0.01f32), (vec![float("alpha", -0.5)], -0.5)] {
        let model = file(&DIMS, vec![node("LeakyRelu", &["x"], "y", attributes)], vec![]);
        let expected: Vec<f64> =
            wide.iter().map(|&v| if v > 0.0 { v } else { f64::from(slope) * v }).collect();
        assert_answers(&model, &x, &expected);
        let leaky = layers::LeakyRelu { negative_slope: slope };
        assert_eq!(layers(&model), [LayerOp::LeakyRelu(leaky), LayerOp::Flatten(layers::Flatten)]);
    }
}

#[test]
fn what_changes_nothing_is_passed_over() {
    let (x, wide) = rows();
    let nodes = vec![
        node("Identity", &["x"], "i", vec![]),
        node("Tanh", &["i"], "t", vec![]),
        node("Dropout", &["t", "ratio"], "d", vec![]),
        node("Identity", &["d"], "j", vec![]),
        node("Sigmoid", &["j"], "y", vec![]),
    ];
    let model = file(&DIMS, nodes, vec![floats("ratio", &[], &[0.25])]);
    let expected: Vec<f64> = wide.iter().map(|v| 1.0 / (1.0 + (-v.tanh()).exp())).collect();
    assert_answers(&model, &x, &expected);
    let expected = [
        LayerOp::Tanh(layers::Tanh),
        LayerOp::Dropout(layers::Dropout { p: 0.25 }),
        LayerOp::Sigmoid(layers::Sigmoid),
        LayerOp::Flatten(layers::Flatten),
    ];
    assert_eq!(layers(&model), expected);
    // A dropout of nothing is no layer.
    let nodes = vec![node("Dropout", &["x", "ratio"], "d", vec![]), node("Relu", &["d"], "y", vec![])];
    let model = file(&DIMS, nodes, vec![floats("ratio", &[], &[0.0])]);
    assert_eq!(layers(&model), [LayerOp::Relu(layers::Relu), LayerOp::Flatten(layers::Flatten)]);
    // Before operator set 12 the ratio is an attribute.
    let mut model = file(&DIMS, vec![node("Dropout", &["x"], "y", vec![float("ratio", 0.5)])], vec![]);
    model.opset_import[0].version = 11;
    assert_eq!(
        layers(&model),
        [LayerOp::Dropout(layers::Dropout { p: 0.5 }), LayerOp::Flatten(layers::Flatten)]
    );
}

/// y = W x with `W = [[1, 2], [3, 4]]` over two features, its weights named `w`.
fn matrix(weights: Vec<TensorProto>, before: Vec<NodeProto>) -> ModelProto {
    let nodes = [before, vec![node("Gemm", &["x", "w"], "y", vec![int("transB", 1)])]].concat();
    file(&[2], nodes, weights)
}

const W: [f32; 4] = [1.0, 2.0, 3.0, 4.0];
const X: [f32; 4] = [1.0, 10.0, -1.0, 0.5];
const Y: [f64; 4] = [21.0, 43.0, 0.0, -1.0];

#[test]
fn weights_may_be_inputs_or_nodes() {
    assert_answers(&matrix(vec![floats("w", &[2, 2], &W)], vec![]), &X, &Y);
    // Before IR version 4, inputs name the initializers too, in any order.
    let mut old = matrix(vec![floats("w", &[2, 2], &W)], vec![]);
    old.ir_version = 3;
    old.graph.as_mut().unwrap().input.insert(0, info("w", &[2, 2]));
    assert_answers(&old, &X, &Y);
    // Without the initializer there are two inputs.
    old.graph.as_mut().unwrap().initializer.clear();
    assert!(refusal(&old).contains("expected one input that is used, found 2 (w, x)"));
    let held = AttributeProto {
        name: "value".into(),
        t: Some(floats("", &[2, 2], &W)),
        r#type: AttributeType::Tensor.into(),
        ..AttributeProto::default()
    };
    assert_answers(&matrix(vec![], vec![node("Constant", &[], "w", vec![held])]), &X, &Y);
    let copied = node("Identity", &["kept"], "w", vec![]);
    assert_answers(&matrix(vec![floats("kept", &[2, 2], &W)], vec![copied]), &X, &Y);
}

#[test]
fn notes_are_kept_as_far_as_the_weights_can_hold_them() {
    let note = |key: &str, value: String| StringStringEntryProto { key: key.into(), value };
    let mut model = matrix(vec![floats("w", &[2, 2], &W)], vec![]);
    model.metadata_props =
        vec![note("a", "short".into()), note("b", "\u{1}".repeat(2 << 20)), note("c", "also".into())];
    let imported = import(&model).unwrap();
    assert_eq!(imported.metadata.keys().map(String::as_str).collect::<Vec<_>>(), ["a", "c"]);
    assert!(
        imported.notes.iter().any(|note| note.contains("the metadata entry b is dropped")),
        "{:?}",
        imported.notes
    );
}

#[test]
fn weights_may_lie_beside_the_file_where_that_is_allowed() {
    let folder = tempfile::tempdir().unwrap();
    let bytes: Vec<u8> = [0.0].iter().chain(&W).flat_map(|value: &f32| value.to_le_bytes()).collect();
    std::fs::write(folder.path().join("weights.bin"), bytes).unwrap();
    let entry = |key: &str, value: &str| StringStringEntryProto { key: key.into(), value: value.into() };
    let elsewhere = TensorProto {
        float_data: vec![],
        data_location: 1,
        external_data: vec![entry("location", "weights.bin"), entry("offset", "4"), entry("length", "16")],
        ..floats("w", &[2, 2], &W)
    };
    let bytes = matrix(vec![elsewhere], vec![]).encode_to_vec();
    let read = |external_data| {
        let options = ImportOptions::default().with_external_data(external_data);
        decode(bytes.clone(), &folder.path().join("g.onnx"), &options)
    };
    assert_eq!(answer(read(true).unwrap(), &X), Y.map(|value| value as f32));
    let refused = read(false).unwrap_err().to_string();
    assert!(
        refused.contains("its weights are in weights.bin; ") && refused.contains("the option external-data"),
        "{refused}"
    );
}

#[test]
fn all_that_is_not_understood_is_named_at_once() {
    let selu = |input: &str, output: &str| node("Selu", &[input], output, vec![]);
    let one = file(&DIMS, vec![selu("x", "y")], vec![]);
    assert_eq!(refusal(&one), "g.onnx: unknown operator Selu (node \"node of y\")");
    // Three of one kind, one of another domain, and a node of a known operator; what reads them is not to blame.
    let mut foreign = node("Fused", &["b"], "f", vec![]);
    foreign.domain = "com.example".into();
    let nodes = vec![
        selu("x", "a"),
        node("Relu", &["a"], "r", vec![]),
        selu("r", "b"),
        selu("b", "c"),
        foreign,
        node("Flatten", &["x"], "d", vec![int("axis", 2)]),
        node("Flatten", &["x"], "e", vec![int("axis", 1), int("other", 1)]),
        node("Sum", &["c", "d", "e", "f"], "y", vec![]),
    ];
    let expected = "g.onnx: unknown operators Selu (3 nodes, the first is \"node of a\"), com.example.Fused (node \"node of f\"); \
        2 nodes are not supported: Flatten (node \"node of d\"): expected axis 1 (all but the batch), found 2; \
        Flatten (node \"node of e\"): attribute other is not supported; \
        nodes that depend on these and were not checked: 2";
    assert_eq!(refusal(&file(&DIMS, nodes, vec![])), expected);
    let many = |i: usize| node(&format!("Op{i}"), &["x"], &format!("v{i}"), vec![]);
    let inputs: Vec<String> = (0..30).map(|i| format!("v{i}")).collect();
    let inputs: Vec<&str> = inputs.iter().map(String::as_str).collect();
    let nodes = [(0..30).map(many).collect(), vec![node("Sum", &inputs, "y", vec![])]].concat();
    let message = refusal(&file(&DIMS, nodes, vec![]));
    assert!(
        message.contains("Op19") && !message.contains("Op20") && message.contains("; and 10 more nodes; "),
        "{message}"
    );
}
