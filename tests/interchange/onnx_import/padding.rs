//! Pad before convolutions and pools, and arithmetic on the input.

use super::*;
use striate::model::Preprocess;

const DIMS: [i64; 3] = [2, 5, 4];

fn pad(value: Option<&str>, attributes: Vec<AttributeProto>) -> NodeProto {
    let inputs: Vec<&str> = ["x", "pads"].into_iter().chain(value).collect();
    node("Pad", &inputs, "p", attributes)
}

/// `[0, 0, top, left, 0, 0, bottom, right]`
fn sides([top, left, bottom, right]: [i64; 4]) -> TensorProto {
    whole("pads", &[0, 0, top, left, 0, 0, bottom, right])
}

fn flat(node: NodeProto) -> Vec<NodeProto> {
    let from = node.output[0].clone();
    vec![node, super::node("Flatten", &[&from], "y", vec![])]
}

#[test]
fn zeros_before_a_convolution_are_its_padding() {
    let (x, weights) = (numbers(2 * 40, 1), numbers(3 * 2 * 9, 2));
    let constants =
        |own: [i64; 4]| vec![floats("w", &[3, 2, 3, 3], &weights), sides(own), floats("zero", &[], &[0.0])];
    let conv = |from: &str, pads: [i64; 4]| {
        node("Conv", &[from, "w"], "c", vec![ints("pads", &pads), ints("strides", &[2, 1])])
    };
    let expected =
        answer(import(&file(&DIMS, flat(conv("x", [1, 2, 3, 1])), constants([0; 4]))).unwrap(), &x);
    let expected: Vec<f64> = expected.into_iter().map(f64::from).collect();
    for (outer, own) in [([1, 2, 3, 1], [0; 4]), ([1, 0, 1, 1], [0, 2, 2, 0]), ([0, 1, 0, 0], [1, 1, 3, 1])] {
        for value in [None, Some("zero")] {
            let nodes = [vec![pad(value, vec![])], flat(conv("p", own))].concat();
            let model = file(&DIMS, nodes, constants(outer));
            assert_answers(&model, &x, &expected);
            let LayerOp::Conv2d(layers::Conv2d { padding, .. }) = layers(&model)[0] else {
                panic!("no convolution")
            };
            assert_eq!(padding, [1, 2, 3, 1]);
        }
    }
    // Axes that are named, since operator set 18; nothing at all; and as attributes, before 11.
    let nodes =
        [vec![node("Pad", &["x", "two", "", "axes"], "p", vec![])], flat(conv("p", [1, 0, 3, 0]))].concat();
    let named = [constants([0; 4]), vec![whole("two", &[2, 1]), whole("axes", &[-1])]].concat();
    assert_answers(&file(&DIMS, nodes, named), &x, &expected);
    let nodes = [vec![pad(None, vec![])], flat(conv("p", [1, 2, 3, 1]))].concat();
    assert_answers(&file(&DIMS, nodes, constants([0; 4])), &x, &expected);
    let old = node("Pad", &["x"], "p", vec![ints("pads", &[0, 0, 1, 2, 0, 0, 3, 1]), float("value", 0.0)]);
    let mut model = file(&DIMS, [vec![old], flat(conv("p", [0; 4]))].concat(), constants([0; 4]));
    model.opset_import[0].version = 10;
    assert_answers(&model, &x, &expected);
}

#[test]
fn other_padding_is_refused() {
    let weights = || floats("w", &[3, 2, 3, 3], &numbers(54, 2));
    let conv = || node("Conv", &["p", "w"], "c", vec![]);
    let refused = |pad: NodeProto, next: NodeProto, more: Vec<TensorProto>, part: &str| {
        let message =
            refusal(&file(&DIMS, [vec![pad], flat(next)].concat(), [vec![weights()], more].concat()));
        assert!(message.contains(part), "{message}");
    };
    let value = |value: f32| vec![sides([1; 4]), floats("v", &[], &[value])];
    refused(pad(Some("v"), vec![]), conv(), value(0.5), "reads padding of 0.5: expected 0");
    for mode in ["reflect", "edge", "wrap"] {
        refused(
            pad(None, vec![text("mode", mode)]),
            conv(),
            vec![sides([1; 4])],
            "another number, found mode",
        );
    }
    refused(pad(None, vec![]), conv(), vec![sides([-1, 0, 0, 0])], "expected a padding of 0 to 65536");
    refused(
        pad(None, vec![]),
        conv(),
        vec![whole("pads", &[0, 1, 0, 0, 0, 0, 0, 0])],
        "height and width alone",
    );
    refused(
        pad(None, vec![]),
        conv(),
        vec![whole("pads", &[1, 1, 1, 1])],
        "expected a padding of 0 to 65536",
    );
    refused(pad(Some("v"), vec![]), node("Relu", &["p"], "c", vec![]), value(0.5), "only directly before");
    let pool = |op: &str, more: Vec<AttributeProto>| {
        node(op, &["p"], "c", [vec![ints("kernel_shape", &[3, 3])], more].concat())
    };
    let high = value(0.5);
    refused(pad(Some("v"), vec![]), pool("MaxPool", vec![]), high, "reads padding of 0.5: expected -inf");
    let low = value(f32::MIN);
    refused(pad(Some("v"), vec![]), pool("AveragePool", vec![]), low, "expected 0");
    let uncounted = vec![ints("pads", &[1, 0, 0, 0])];
    refused(
        pad(None, vec![]),
        pool("AveragePool", uncounted),
        vec![sides([0, 1, 0, 1])],
        "count_include_pad = 0",
    );
}

/// Pools over padding that a Pad has put there: minus infinity for maxima, zeros for averages (which count), and zeros for maxima of what is never below 0.
#[test]
fn padding_before_pools_is_theirs() {
    let x = numbers(2 * 40, 3);
    let attributes = || vec![ints("kernel_shape", &[3, 2]), ints("strides", &[1, 2])];
    let windows = |v: &dyn Fn(usize, usize, usize, usize) -> f64, average: bool| -> Vec<f64> {
        let mut made = Vec::new();
        for (row, channel) in (0..2).flat_map(|row| (0..2).map(move |channel| (row, channel))) {
            // Padding [1, 1, 0, 1]: 4 rows, 3 columns.
            for (i, j) in (0..4).flat_map(|i| (0..3).map(move |j| (i, j))) {
                let places = (0..3).flat_map(|a| (0..2).map(move |b| (i + a, 2 * j + b)));
                let inside = places.filter(|(a, b)| (1..6).contains(a) && (1..5).contains(b));
                let values = inside.map(|(a, b)| v(row, channel, a - 1, b - 1));
                made.push(if average { values.sum::<f64>() / 6.0 } else { values.fold(f64::MIN, f64::max) });
            }
        }
        made
    };
    let at =
        |row: usize, channel: usize, i: usize, j: usize| f64::from(x[row * 40 + channel * 20 + i * 4 + j]);
    let constants = |value: f32| vec![sides([1, 1, 0, 1]), floats("v", &[], &[value])];
    let pool = |op: &str| flat(node(op, &["p"], "c", attributes()));
    for value in [f32::NEG_INFINITY, f32::MIN] {
        let model = file(&DIMS, [vec![pad(Some("v"), vec![])], pool("MaxPool")].concat(), constants(value));
        assert_answers(&model, &x, &windows(&at, false));
    }
    let model = file(&DIMS, [vec![pad(Some("v"), vec![])], pool("AveragePool")].concat(), constants(0.0));
    assert_answers(&model, &x, &windows(&at, true));
    let padded = node("Pad", &["r", "pads"], "p", vec![]);
    let nodes = [vec![node("Relu", &["x"], "r", vec![]), padded], pool("MaxPool")].concat();
    let bent = |row, channel, i, j| at(row, channel, i, j).max(0.0);
    assert_answers(&file(&DIMS, nodes, constants(0.0)), &x, &windows(&bent, false));
}

/// What the file does to its input becomes `[preprocess]`: x = (pixel * scale - mean) / std.
#[test]
fn arithmetic_on_the_input_is_preprocessing() {
    let preprocess = |steps: &[(&str, [&str; 2])], constants: Vec<TensorProto>| -> Preprocess {
        let last = format!("v{}", steps.len());
        let mut nodes: Vec<NodeProto> = steps
            .iter()
            .enumerate()
            .map(|(i, (op, inputs))| node(op, inputs, &format!("v{}", i + 1), vec![]))
            .collect();
        nodes.extend([node("Relu", &[&last], "r", vec![]), node("Flatten", &["r"], "y", vec![])]);
        let imported = import(&file(&[2, 1, 1], nodes, constants)).unwrap();
        assert!(
            imported.notes.iter().any(|note| note.contains("is imported as [preprocess]")),
            "{:?}",
            imported.notes
        );
        assert_eq!(imported.spec.layers.len(), 2);
        imported.spec.preprocess
    };
    // The value of a pixel of channel c in the file's own arithmetic, by hand below, against ours.
    let assert_is = |found: &Preprocess, range: f64, expected: &dyn Fn(f64, usize) -> f64| {
        for (channel, pixel) in [(0, 0.0), (0, 200.0), (1, 17.0), (1, 255.0)] {
            let (mean, std) = (f64::from(found.mean[channel]), f64::from(found.std[channel]));
            let ours = (pixel * f64::from(found.scale) - mean) / std;
            let theirs = expected(pixel / range, channel);
            assert!((ours - theirs).abs() < 1e-5, "{found:?}: {ours}, expected {theirs}");
        }
    };
    let channels = |name: &str, values: [f32; 2]| floats(name, &[1, 2, 1, 1], &values);
    let mean = [0.5, 0.25];
    let std = [0.25, 0.5];
    let found = preprocess(
        &[("Sub", ["x", "m"]), ("Div", ["v1", "s"])],
        vec![channels("m", mean), channels("s", std)],
    );
    let torch = |g: f64, c: usize| (g - f64::from(mean[c])) / f64::from(std[c]);
    assert_is(&found, 255.0, &torch);
    // A product and a sum, the constant first; one number for all channels.
    let found = preprocess(
        &[("Mul", ["two", "x"]), ("Add", ["one", "v1"])],
        vec![floats("two", &[], &[2.0]), floats("one", &[1], &[-1.0])],
    );
    assert_is(&found, 255.0, &|g, _| 2.0 * g - 1.0);
    // Numbers of that size are for pixels of 0 to 255.
    let bytes = [123.5f32, 116.25];
    let found = preprocess(&[("Sub", ["x", "m"])], vec![channels("m", bytes)]);
    assert_is(&found, 1.0, &|g, c| g - f64::from(bytes[c]));
    let found = preprocess(&[("Div", ["x", "all"])], vec![floats("all", &[], &[255.0])]);
    assert_is(&found, 1.0, &|g, _| g / 255.0);
    let found = preprocess(
        &[("Sub", ["c", "x"]), ("Mul", ["v1", "f"])],
        vec![floats("c", &[], &[255.0]), floats("f", &[], &[1.0 / 255.0])],
    );
    assert_is(&found, 1.0, &|g, _| (255.0 - g) / 255.0);
}

#[test]
fn arithmetic_that_is_no_preprocessing_is_refused() {
    let refused = |nodes: Vec<NodeProto>, constant: TensorProto| {
        let nodes = [nodes, vec![node("Flatten", &["v"], "y", vec![])]].concat();
        refusal(&file(&[2, 1, 2], nodes, vec![constant]))
    };
    let one = |op: &str, inputs: [&str; 2]| vec![node(op, &inputs, "v", vec![])];
    // Divided by the input; by zero; a value for each place.
    refused(one("Div", ["c", "x"]), floats("c", &[], &[2.0]));
    refused(one("Div", ["x", "c"]), floats("c", &[2, 1, 1], &[1.0, 0.0]));
    refused(one("Mul", ["x", "c"]), floats("c", &[], &[0.0]));
    refused(one("Sub", ["x", "c"]), floats("c", &[2, 1, 2], &[1.0, 2.0, 3.0, 4.0]));
    // A formula of the input that is no straight line.
    let squared = vec![node("Sub", &["x", "c"], "a", vec![]), node("Mul", &["a", "x"], "v", vec![])];
    refused(squared, floats("c", &[], &[2.0]));
}

/// Arithmetic behind the input, or on an input that is read elsewhere too, is part of the network.
#[test]
fn arithmetic_behind_the_input_is_a_layer() {
    let x = numbers(8, 21);
    let answers = |nodes: Vec<NodeProto>, f: fn(f64) -> f64| {
        let nodes = [nodes, vec![node("Flatten", &["v"], "y", vec![])]].concat();
        let model = file(&[2, 1, 2], nodes, vec![floats("c", &[], &[2.0])]);
        assert_answers(&model, &x, &x.iter().map(|&x| f(f64::from(x))).collect::<Vec<_>>());
        let p = import(&model).unwrap().spec.preprocess;
        assert_eq!((p.mean, p.std), (vec![0.0; 2], vec![1.0; 2]));
    };
    let twice = vec![node("Sub", &["x", "c"], "a", vec![]), node("Add", &["a", "x"], "v", vec![])];
    answers(twice, |x| 2.0 * x - 2.0);
    // The input by another name is read elsewhere too.
    let other = vec![
        node("Identity", &["x"], "i", vec![]),
        node("Mul", &["i", "c"], "a", vec![]),
        node("Add", &["a", "x"], "v", vec![]),
    ];
    answers(other, |x| 3.0 * x);
    let later = vec![node("Relu", &["x"], "a", vec![]), node("Mul", &["a", "c"], "v", vec![])];
    answers(later, |x| 2.0 * x.max(0.0));
}
