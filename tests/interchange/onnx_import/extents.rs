//! What graphs compute with extents, and branches whose condition follows from them.

use super::*;

/// A value of whole numbers in a separate node: `Constant`.
fn held(values: &[i64], output: &str) -> NodeProto {
    node("Constant", &[], output, vec![ints("value_ints", values)])
}

/// A file that flattens its input `[N, 3, 4, 5]` to the extents `target`, which `nodes` make.
fn flattened(nodes: Vec<NodeProto>) -> ModelProto {
    let nodes = [nodes, vec![node("Reshape", &["x", "target"], "y", vec![])]].concat();
    file(&[3, 4, 5], nodes, vec![])
}

/// `[2^40, 0]` has no values, but a list of its rows would take all memory.
#[test]
fn extents_without_values_are_bounded_too() {
    for huge in [1 << 33, 1 << 40, 1 << 62] {
        let nodes = vec![
            held(&[0], "zero"),
            held(&[i64::MAX], "end"),
            node("Slice", &["zero", "zero", "zero"], "none", vec![]),
            held(&[huge, 0], "shape"),
            node("Reshape", &["none", "shape"], "rows", vec![]),
            node("Slice", &["rows", "zero", "end"], "target", vec![]),
        ];
        assert!(refusal(&flattened(nodes)).contains("expected at most 64 numbers"));
    }
}

#[test]
fn numbers_are_computed_as_the_standard_says() {
    let axis = || vec![int("axis", 0)];
    let good = [
        // [[1, 60], [7, 9]]; turned [[1, 7], [60, 9]]; its rows reversed [[60, 9], [1, 7]]; of these the first.
        vec![
            held(&[1, 60, 7, 9], "list"),
            held(&[2, -1], "matrix shape"),
            node("Reshape", &["list", "matrix shape"], "matrix", vec![]),
            node("Transpose", &["matrix"], "turned", vec![ints("perm", &[1, 0])]),
            held(&[-1], "last"),
            held(&[i64::MIN + 1], "before all"),
            held(&[0], "zero"),
            node("Slice", &["turned", "last", "before all", "zero", "last"], "reversed", vec![]),
            node("Reshape", &["reversed", "last"], "flat", vec![]),
            node("Gather", &["flat", "zero"], "sixty", axis()),
            node("Concat", &["last", "sixty"], "target", axis()),
        ],
        vec![
            node("Shape", &["x"], "shape", vec![]),
            held(&[0, -1, 1, 2], "places"),
            node("Gather", &["shape", "places"], "picked", axis()),
            held(&[1], "one"),
            held(&[4], "four"),
            node("Slice", &["picked", "one", "four"], "factors", vec![]),
            held(&[0], "zero"),
            node("Gather", &["factors", "zero"], "five", axis()),
            node("Gather", &["factors", "one"], "three", axis()),
            node("Mul", &["five", "three"], "fifteen", vec![]),
            node("Mul", &["fifteen", "four"], "sixty", vec![]),
            node("Sub", &["sixty", "one"], "less", vec![]),
            node("Add", &["less", "one"], "again", vec![]),
            node("Slice", &["picked", "zero", "one"], "rows", vec![]),
            node("Concat", &["rows", "again"], "target", axis()),
        ],
        vec![
            held(&[60], "sixty"),
            held(&[1], "one"),
            node("Expand", &["sixty", "one"], "expanded", vec![]),
            node("Squeeze", &["expanded"], "single", vec![]),
            held(&[0], "zero"),
            node("Unsqueeze", &["single", "zero"], "list", vec![]),
            node("Cast", &["list"], "cast", vec![int("to", 7)]),
            node("Expand", &["zero", "one"], "batch", vec![]),
            node("Concat", &["batch", "cast"], "target", axis()),
        ],
    ];
    let x = numbers(120, 3);
    let expected: Vec<f64> = x.iter().map(|&value| value.into()).collect();
    for nodes in good {
        assert_answers(&flattened(nodes), &x, &expected);
    }
}

#[test]
fn what_has_no_answer_or_no_end_is_refused() {
    let bad = [
        vec![held(&[1 << 40], "many"), node("Expand", &["many", "many"], "target", vec![])],
        vec![held(&[i64::MAX], "large"), node("Mul", &["large", "large"], "target", vec![])],
        vec![held(&[i64::MIN], "small"), node("Sub", &["small", "small"], "target", vec![])],
        vec![held(&[2, 60], "list"), held(&[2], "far"), node("Gather", &["list", "far"], "target", vec![])],
        vec![
            held(&[2, 60], "list"),
            held(&[3, -1], "three"),
            node("Reshape", &["list", "three"], "target", vec![]),
        ],
        vec![
            held(&[2, 60], "list"),
            held(&[0, -1], "none"),
            node("Reshape", &["list", "none"], "target", vec![]),
        ],
        vec![held(&[2, 60], "list"), node("Transpose", &["list"], "target", vec![])],
        vec![node("Concat", &[], "target", vec![])],
        vec![held(&[1, 2], "list"), node("Slice", &["list", "list", "list"], "target", vec![])],
    ];
    for nodes in bad {
        assert!(refusal(&flattened(nodes)).contains("not supported"));
    }
    // Every list doubles the one before.
    let mut nodes = vec![held(&[1], "list 0")];
    for i in 0..40 {
        let (from, to) = (format!("list {i}"), format!("list {}", i + 1));
        nodes.push(node("Concat", &[&from, &from], &to, vec![int("axis", 0)]));
    }
    nodes.push(node("Identity", &["list 40"], "target", vec![]));
    assert!(refusal(&flattened(nodes)).contains("expected at most 64 numbers"));
}

/// One of two branches, by whether the channels of the input (3) are as many as `channels`.
fn choice(channels: i64, yes: Vec<NodeProto>, no: Vec<NodeProto>) -> ModelProto {
    let branch = |name: &str, node: Vec<NodeProto>| {
        let output = node.last().unwrap().output[0].clone();
        let output = vec![ValueInfoProto { name: output, r#type: None }];
        let graph = GraphProto { node, output, ..GraphProto::default() };
        AttributeProto {
            name: name.into(),
            g: Some(Box::new(graph)),
            r#type: AttributeType::Graph.into(),
            ..AttributeProto::default()
        }
    };
    let nodes = vec![
        node("Shape", &["x"], "shape", vec![]),
        held(&[1], "one"),
        node("Gather", &["shape", "one"], "channels", vec![int("axis", 0)]),
        held(&[channels], "expected"),
        node("Equal", &["channels", "expected"], "condition", vec![]),
        node("If", &["condition"], "chosen", vec![branch("then_branch", yes), branch("else_branch", no)]),
        node("Relu", &["chosen"], "y", vec![]),
    ];
    file(&[3, 2, 2], nodes, vec![])
}

#[test]
fn a_branch_is_taken_where_the_file_decides() {
    let (tanh, same) = (node("Tanh", &["x"], "t", vec![]), node("Identity", &["x"], "s", vec![]));
    let make = |channels| choice(channels, vec![tanh.clone()], vec![same.clone()]);
    assert_eq!(
        layers(&make(3)),
        [LayerOp::Tanh(layers::Tanh), LayerOp::Relu(layers::Relu), LayerOp::Flatten(layers::Flatten)]
    );
    assert_eq!(layers(&make(4)), [LayerOp::Relu(layers::Relu), LayerOp::Flatten(layers::Flatten)]);
    let unknown = || vec![node("Det", &["x"], "e", vec![])];
    assert!(refusal(&choice(3, unknown(), vec![same.clone()])).contains("Det"));
    // The branch that is not taken may hold anything.
    assert_eq!(
        layers(&choice(3, vec![same.clone()], unknown())),
        [LayerOp::Relu(layers::Relu), LayerOp::Flatten(layers::Flatten)]
    );
    // A name of the graph around it.
    let shadow = vec![node("Identity", &["x"], "shape", vec![])];
    assert!(refusal(&choice(3, shadow, vec![same.clone()])).contains("the value shape is produced twice"));
    // Rows of the batch are no condition; branches of branches are not read.
    let mut open = choice(3, vec![tanh.clone()], vec![same.clone()]);
    open.graph.as_mut().unwrap().node[1] = held(&[0], "one");
    assert!(refusal(&open).contains("batch size"));
    let mut nested = choice(3, vec![tanh], vec![same]);
    let inner = nested.graph.as_ref().unwrap().node[5].clone();
    nested.graph.as_mut().unwrap().node[5].attribute[0].g.as_mut().unwrap().node.push(inner);
    assert!(refusal(&nested).contains("expected no branches within a branch"));
    // What a branch reads is read: the sum is no bias of the convolution.
    let mut shared =
        choice(3, vec![node("Identity", &["c"], "i", vec![])], vec![node("Identity", &["x"], "s", vec![])]);
    let graph = shared.graph.as_mut().unwrap();
    graph.initializer =
        vec![floats("w", &[3, 3, 1, 1], &numbers(9, 1)), floats("b", &[3, 1, 1], &numbers(3, 2))];
    graph.node.insert(0, node("Add", &["c", "b"], "biased", vec![]));
    graph.node.insert(0, node("Conv", &["x", "w"], "c", vec![]));
    graph.node.pop();
    graph.node.push(node("Add", &["chosen", "biased"], "y", vec![]));
    let kinds: Vec<_> = layers(&shared)
        .into_iter()
        .map(|op| match op {
            LayerOp::Conv2d(layers::Conv2d { groups, bias, .. }) => (groups, bias),
            _ => (0, false),
        })
        .collect();
    assert_eq!(kinds, [(1, false), (3, true), (0, false), (0, false)]);
}
