//! Small graphs that ask for much: constants that nodes compute, formulas that double with every node, long chains, and nodes
//! in a circle.

use super::{Field, Value, bytes, encode, outcome};
use std::time::{Duration, Instant};

fn message(number: u64, fields: Vec<Field>) -> Field {
    Field { number, value: Value::Message(fields) }
}

fn varint(number: u64, value: i64) -> Field {
    Field { number, value: Value::Varint(value as u64) }
}

/// An attribute that is a list of whole numbers, or one.
fn ints(name: &str, values: &[i64]) -> Field {
    let mut fields = vec![bytes(1, name.into()), varint(20, 7)];
    fields.extend(values.iter().map(|&value| varint(8, value)));
    message(5, fields)
}

fn int(name: &str, value: i64) -> Field {
    message(5, vec![bytes(1, name.into()), varint(20, 2), varint(3, value)])
}

fn node(op: &str, inputs: &[&str], outputs: &[&str], attributes: &[Field]) -> Field {
    let mut fields: Vec<Field> = inputs.iter().map(|input| bytes(1, (*input).into())).collect();
    fields.extend(outputs.iter().map(|output| bytes(2, (*output).into())));
    fields.push(bytes(4, op.into()));
    fields.extend_from_slice(attributes);
    message(1, fields)
}

/// An initializer of whole numbers (kind 7) or of floats (kind 1).
fn tensor(name: &str, kind: i64, dims: &[i64], values: &[u8]) -> Field {
    let mut fields: Vec<Field> = dims.iter().map(|&extent| varint(1, extent)).collect();
    fields.extend([varint(2, kind), bytes(8, name.into()), bytes(9, values.to_vec())]);
    message(5, fields)
}

fn list(name: &str, values: &[i64]) -> Field {
    let content: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
    tensor(name, 7, &[values.len() as i64], &content)
}

fn numbers(name: &str, dims: &[i64], values: &[f32]) -> Field {
    let content: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
    tensor(name, 1, dims, &content)
}

/// A value of the graph: an input (11) or an output (12).
fn info(number: u64, name: &str, dims: &[i64]) -> Field {
    let dims = dims.iter().map(|&extent| message(1, vec![varint(1, extent)])).collect();
    let kind = message(1, vec![varint(1, 1), message(2, dims)]);
    message(number, vec![bytes(1, name.into()), message(2, vec![kind])])
}

/// A file of these nodes and initializers that turn `input`, [2, 4, 4, 4], to `output`.
fn file(opset: i64, mut graph: Vec<Field>) -> Vec<u8> {
    graph.extend([info(11, "input", &[2, 4, 4, 4]), info(12, "output", &[2, 3])]);
    let set = message(8, vec![varint(2, opset)]);
    encode(&[varint(1, 8), set, message(7, graph)])
}

/// `op` applied to its own output `count` times, `again` naming the inputs after the first for the name of the value before.
fn chain(op: &str, count: usize, inputs: impl Fn(&str) -> Vec<String>) -> Vec<Field> {
    let name = |number| if number == 0 { "input".to_string() } else { format!("v{number}") };
    let mut nodes: Vec<Field> = (0..count)
        .map(|number| {
            let inputs = inputs(&name(number));
            let inputs: Vec<&str> = inputs.iter().map(String::as_str).collect();
            node(op, &inputs, &[&name(number + 1)], &[])
        })
        .collect();
    nodes.push(node("Flatten", &[&name(count)], &["output"], &[]));
    nodes
}

/// The message about a file that has to be refused within some seconds.
#[track_caller]
fn refused(what: &str, graph: Vec<Field>) -> String {
    let begun = Instant::now();
    let message = outcome(file(13, graph), what).unwrap_err();
    assert!(begun.elapsed() < Duration::from_secs(20), "{what}: {:?}", begun.elapsed());
    message
}

#[test]
fn computed_constants_are_counted_before_they_are_made() {
    let add = |shift: &str| {
        vec![node("Add", &["input", shift], &["sum"], &[]), node("Flatten", &["sum"], &["output"], &[])]
    };
    for (what, extents) in [
        ("2^40 values", vec![1 << 20, 1 << 20]),
        ("2^63 values", vec![i64::MAX]),
        ("2^80 values", vec![1 << 40, 1 << 40]),
        ("a negative extent", vec![-1, 4]),
        ("many axes", vec![1; 65]),
    ] {
        let mut graph =
            vec![list("extents", &extents), node("ConstantOfShape", &["extents"], &["shift"], &[])];
        graph.extend(add("shift"));
        refused(what, graph);
        let mut graph = vec![
            list("extents", &extents),
            numbers("one", &[1], &[1.0]),
            node("Expand", &["one", "extents"], &["shift"], &[]),
        ];
        graph.extend(add("shift"));
        refused(what, graph);
    }
    // Two long vectors span a large matrix, and nothing a matrix of no rows.
    for (what, rows, columns) in [
        ("a matrix of 2^40 values", vec![1 << 20, 1], vec![1, 1 << 20]),
        ("no values", vec![0, 1 << 40, 1 << 20], vec![0, 1 << 40, 1 << 20]),
    ] {
        for op in ["Add", "Mul", "Pow", "Sum", "Concat"] {
            let attributes = if op == "Concat" { vec![int("axis", 0)] } else { vec![] };
            let mut graph = vec![
                list("rows", &rows),
                list("columns", &columns),
                node("ConstantOfShape", &["rows"], &["a"], &[]),
                node("ConstantOfShape", &["columns"], &["b"], &[]),
                node(op, &["a", "b"], &["c"], &attributes),
                node("Transpose", &["c"], &["shift"], &[]),
            ];
            graph.extend(add("shift"));
            refused(what, graph);
        }
    }
}

#[test]
fn formulas_do_not_double_with_every_node() {
    let twice = |name: &str| vec![name.to_string(), name.to_string()];
    for op in ["Mul", "Add", "Div", "Max"] {
        let _ = outcome(file(13, chain(op, 200, twice)), op);
        let begun = vec![node("Exp", &["input"], &["e"], &[])];
        let nodes = chain(op, 200, |name| twice(if name == "input" { "e" } else { name }));
        refused(op, [begun, nodes].concat());
    }
    for op in ["Neg", "Abs", "Exp", "Erf", "Sqrt", "Log", "Reciprocal", "Softplus"] {
        let message = refused(op, chain(op, 2000, |name| vec![name.to_string()]));
        assert!(message.contains(op), "{message}");
    }
    // x sigmoid(x), over and over: each is an operator, of which the next one could be a formula.
    let mut graph = Vec::new();
    for number in 0..500 {
        let [x, gate, y] = [format!("v{number}"), format!("g{number}"), format!("v{}", number + 1)];
        let x = if number == 0 { "input" } else { &x };
        graph.push(node("Sigmoid", &[x], &[&gate], &[]));
        graph.push(node("Mul", &[x, &gate], &[&y], &[]));
    }
    graph.push(node("Flatten", &["v500"], &["output"], &[]));
    let begun = Instant::now();
    let read = outcome(file(13, graph), "500 SiLUs").unwrap();
    assert_eq!(read.spec.layers.len(), 501);
    assert!(begun.elapsed() < Duration::from_secs(20), "{:?}", begun.elapsed());
}

#[test]
fn nodes_in_a_circle_and_lists_that_do_not_fit_are_refused() {
    let flat = |name: &str| node("Flatten", &[name], &["output"], &[]);
    let one = |op: &str, attributes: &[Field]| vec![node(op, &["input"], &["a"], attributes), flat("a")];
    let with = |op: &str, second: &str, values: &[i64]| {
        vec![list(second, values), node(op, &["input", second], &["a"], &[]), flat("a")]
    };
    for (what, graph) in [
        ("a circle of one", vec![node("Relu", &["a"], &["a"], &[]), flat("a")]),
        (
            "a circle of two",
            vec![node("Add", &["input", "b"], &["a"], &[]), node("Relu", &["a"], &["b"], &[]), flat("b")],
        ),
        ("a layout that is none", one("Transpose", &[ints("perm", &[0, 2, 2, 1])])),
        ("a layout of five axes", one("Transpose", &[ints("perm", &[0, 1, 2, 3, 4])])),
        ("a negative axis of a layout", one("Transpose", &[ints("perm", &[0, -1, 1, 2])])),
        ("no perm", one("Transpose", &[])),
        ("groups that do not divide", with("Reshape", "s", &[0, 3, -1, 4, 4])),
        ("two lengths that are unknown", with("Reshape", "s", &[0, -1, -1, 4, 4])),
        ("huge groups", with("Reshape", "s", &[0, i64::MAX, 2, 4, 4])),
        ("lengths that add up to more", with("Split", "s", &[i64::MAX, i64::MAX])),
        ("pads of another rank", with("Pad", "s", &[0, 0, 1])),
        ("pads of 2^40", with("Pad", "s", &[0, 0, 1 << 40, 0, 0, 0, 0, 0])),
        ("pads of the channels", with("Pad", "s", &[0, 1, 0, 0, 0, 0, 0, 0])),
        (
            "a slice of an axis that is none",
            vec![
                list("s", &[0]),
                list("e", &[2]),
                list("x", &[i64::MIN]),
                node("Slice", &["input", "s", "e", "x"], &["a"], &[]),
                flat("a"),
            ],
        ),
        (
            "a slice backwards",
            vec![
                list("s", &[i64::MAX]),
                list("e", &[i64::MIN]),
                list("x", &[1]),
                list("t", &[-1]),
                node("Slice", &["input", "s", "e", "x", "t"], &["a"], &[]),
                flat("a"),
            ],
        ),
        (
            "scales that are no numbers",
            vec![
                numbers("scales", &[4], &[1.0, 1.0, f32::NAN, f32::INFINITY]),
                node("Resize", &["input", "", "scales"], &["a"], &[]),
                flat("a"),
            ],
        ),
        (
            "limits in the wrong order",
            vec![
                numbers("low", &[], &[1.0]),
                numbers("high", &[], &[f32::NAN]),
                node("Clip", &["input", "low", "high"], &["a"], &[]),
                flat("a"),
            ],
        ),
        (
            "slopes of other channels",
            vec![
                numbers("slope", &[3, 1, 1], &[0.1; 3]),
                node("PRelu", &["input", "slope"], &["a"], &[]),
                flat("a"),
            ],
        ),
        (
            "a gate of other channels",
            vec![
                numbers("w", &[3, 4, 1, 1], &[0.5; 12]),
                node("GlobalAveragePool", &["input"], &["p"], &[]),
                node("Conv", &["p", "w"], &["g"], &[]),
                node("Mul", &["input", "g"], &["a"], &[]),
                flat("a"),
            ],
        ),
    ] {
        refused(what, graph);
    }
}
