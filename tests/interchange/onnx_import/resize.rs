//! Resize and Upsample as repetition, and Pad as a layer of its own.

use super::*;

const DIMS: [i64; 3] = [2, 2, 3];

/// Every element of rows of `DIMS` repeated.
fn repeated(x: &[f32], [rows, columns]: [usize; 2]) -> Vec<f64> {
    let mut y = Vec::new();
    for plane in x.chunks(6) {
        for row in 0..2 * rows {
            y.extend((0..3 * columns).map(|column| f64::from(plane[row / rows * 3 + column / columns])));
        }
    }
    y
}

fn words(coordinates: &'static str, rounding: &'static str) -> Vec<AttributeProto> {
    vec![
        text("mode", "nearest"),
        text("coordinate_transformation_mode", coordinates),
        text("nearest_mode", rounding),
    ]
}

#[test]
fn resizes_by_whole_factors_repeat() {
    let x = numbers(24, 3);
    let scaled = |attributes, scales: &[f32]| {
        let nodes = vec![node("Resize", &["x", "", "scales"], "y", attributes)];
        file(&DIMS, nodes, vec![floats("scales", &[scales.len() as i64], scales)])
    };
    for (coordinates, rounding) in [
        ("asymmetric", "floor"),
        ("half_pixel", "round_prefer_floor"),
        ("half_pixel", "round_prefer_ceil"),
        ("pytorch_half_pixel", "round_prefer_floor"),
    ] {
        for factors in [[2, 2], [1, 3], [5, 4]] {
            let scales = [1.0, 1.0, factors[0] as f32, factors[1] as f32];
            assert_answers(&scaled(words(coordinates, rounding), &scales), &x, &repeated(&x, factors));
        }
    }
    // Sizes instead of scales; the defaults of the attributes.
    let nodes = vec![node("Resize", &["x", "", "", "sizes"], "y", vec![])];
    assert_answers(&file(&DIMS, nodes, vec![whole("sizes", &[1, 2, 6, 6])]), &x, &repeated(&x, [3, 2]));
    // Operator sets 10 (Resize) and 9 (Upsample), with scales as an input, and 7 with scales as an attribute.
    for (name, opset) in [("Resize", 10), ("Upsample", 9)] {
        let nodes = vec![node(name, &["x", "scales"], "y", vec![text("mode", "nearest")])];
        let mut old = file(&DIMS, nodes, vec![floats("scales", &[4], &[1.0, 1.0, 2.0, 2.0])]);
        old.opset_import[0].version = opset;
        assert_answers(&old, &x, &repeated(&x, [2, 2]));
    }
    let scales = AttributeProto {
        name: "scales".into(),
        floats: vec![1.0, 1.0, 3.0, 1.0],
        r#type: AttributeType::Floats.into(),
        ..AttributeProto::default()
    };
    let mut old = file(&DIMS, vec![node("Upsample", &["x"], "y", vec![scales])], vec![]);
    old.opset_import[0].version = 7;
    assert_answers(&old, &x, &repeated(&x, [3, 1]));
    for (model, expected) in [
        (scaled(words("asymmetric", "ceil"), &[1.0, 1.0, 2.0, 2.0]), "found asymmetric with ceil"),
        (scaled(words("align_corners", "floor"), &[1.0, 1.0, 2.0, 2.0]), "found align_corners"),
        (scaled(words("asymmetric", "floor"), &[1.0, 1.0, 1.5, 2.0]), "expected whole scales of 1 to 64"),
        (scaled(words("asymmetric", "floor"), &[1.0, 1.0, 0.0, 2.0]), "expected whole scales of 1 to 64"),
        (scaled(words("asymmetric", "floor"), &[1.0, 1.0, 65.0, 2.0]), "expected whole scales of 1 to 64"),
        (
            scaled(words("asymmetric", "floor"), &[1.0, 1.0, f32::NAN, 2.0]),
            "expected whole scales of 1 to 64",
        ),
        (
            scaled(words("asymmetric", "floor"), &[1.0, 2.0, 2.0, 2.0]),
            "expected scales [1, 1, rows, columns]",
        ),
        (scaled(words("asymmetric", "floor"), &[2.0, 2.0]), "expected scales [1, 1, rows, columns]"),
        (scaled(vec![text("mode", "linear")], &[1.0, 1.0, 2.0, 2.0]), "expected mode nearest, found linear"),
    ] {
        let message = refusal(&model);
        assert!(message.contains(expected), "{message}");
    }
    let nodes = vec![node("Resize", &["x", "", "", "sizes"], "y", vec![])];
    for (sizes, expected) in
        [(&[1, 2, 5, 6][..], "whole scales"), (&[1, 4, 4, 6], "do not fit"), (&[4, 6], "expected sizes")]
    {
        let message = refusal(&file(&DIMS, nodes.clone(), vec![whole("sizes", sizes)]));
        assert!(message.contains(expected), "{message}");
    }
}

#[test]
fn a_padding_that_no_convolution_reads_is_a_layer() {
    let x = numbers(24, 4);
    let pads = || whole("pads", &[0, 0, 1, 0, 0, 0, 0, 2]);
    let nodes = vec![node("Pad", &["x", "pads"], "p", vec![]), node("Tanh", &["p"], "y", vec![])];
    let mut expected = Vec::new();
    for plane in x.chunks(6) {
        expected.extend([0.0; 5]);
        for row in plane.chunks(3) {
            expected.extend(row.iter().map(|&v| f64::from(v).tanh()));
            expected.extend([0.0; 2]);
        }
    }
    let model = file(&DIMS, nodes, vec![pads()]);
    assert_answers(&model, &x, &expected);
    assert_eq!(layers(&model)[0], LayerOp::Pad(layers::Pad { padding: [1, 0, 0, 2] }));
    // Zeros that a maximum would take: of an input of any sign, the padding is a layer.
    let pool = node("MaxPool", &["p"], "y", vec![ints("kernel_shape", &[2, 2])]);
    let nodes = vec![node("Pad", &["x", "pads"], "p", vec![]), pool];
    assert!(matches!(
        layers(&file(&DIMS, nodes, vec![pads()]))[..],
        [LayerOp::Pad(_), LayerOp::MaxPool2d(_), _]
    ));
    // A convolution pads with zeros itself.
    let conv = node("Conv", &["p", "w"], "y", vec![]);
    let nodes = vec![node("Pad", &["x", "pads"], "p", vec![]), conv];
    let model = file(&DIMS, nodes, vec![pads(), floats("w", &[1, 2, 1, 1], &[1.0, 2.0])]);
    assert!(matches!(layers(&model)[..], [LayerOp::Conv2d(layers::Conv2d { padding: [1, 0, 0, 2], .. }), _]));
}
