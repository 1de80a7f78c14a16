//! Gemm, MatMul and what is added to them.

use super::*;

/// Rows, features and outputs.
const ROWS: usize = 2;
const IN: usize = 5;
const OUT: usize = 3;

/// alpha x W + beta b, with `w` `[IN, OUT]`.
fn product(x: &[f32], w: &[f32], b: &[f32], [alpha, beta]: [f64; 2]) -> Vec<f64> {
    let mut y = Vec::new();
    for row in 0..ROWS {
        for o in 0..OUT {
            let terms = (0..IN).map(|i| f64::from(x[row * IN + i]) * f64::from(w[i * OUT + o]));
            y.push(alpha * terms.sum::<f64>() + beta * f64::from(b[o]));
        }
    }
    y
}

/// `[rows, columns]` to `[columns, rows]`.
fn turned(matrix: &[f32], columns: usize) -> Vec<f32> {
    let rows = matrix.len() / columns;
    (0..matrix.len()).map(|i| matrix[i % rows * columns + i / rows]).collect()
}

#[test]
fn gemm_with_its_transposes_and_factors() {
    let (x, w, b) = (numbers(ROWS * IN, 1), numbers(IN * OUT, 2), numbers(OUT, 3));
    let (dims, turned_dims) = ([IN as i64, OUT as i64], [OUT as i64, IN as i64]);
    for turn in [false, true] {
        for [alpha, beta] in [[1.0, 1.0], [0.5, -2.0], [-3.0, 0.0]] {
            let weights =
                if turn { floats("w", &turned_dims, &turned(&w, OUT)) } else { floats("w", &dims, &w) };
            let attributes = vec![
                int("transB", turn.into()),
                float("alpha", alpha),
                float("beta", beta),
                int("transA", 0),
            ];
            let [alpha, beta] = [alpha, beta].map(f64::from);
            for bias in [&[OUT as i64][..], &[1, OUT as i64]] {
                let model = file(
                    &[IN as i64],
                    vec![node("Gemm", &["x", "w", "b"], "y", attributes.clone())],
                    vec![weights.clone(), floats("b", bias, &b)],
                );
                assert_answers(&model, &x, &product(&x, &w, &b, [alpha, beta]));
            }
            let single = file(
                &[IN as i64],
                vec![node("Gemm", &["x", "w", "b"], "y", attributes.clone())],
                vec![weights.clone(), floats("b", &[], &[0.75])],
            );
            assert_answers(&single, &x, &product(&x, &w, &[0.75; OUT], [alpha, beta]));
            let without = file(&[IN as i64], vec![node("Gemm", &["x", "w"], "y", attributes)], vec![weights]);
            assert_answers(&without, &x, &product(&x, &w, &[0.0; OUT], [alpha, beta]));
        }
    }
    let turned_input = node("Gemm", &["x", "w"], "y", vec![int("transA", 1)]);
    let model = file(&[IN as i64], vec![turned_input], vec![floats("w", &dims, &w)]);
    assert!(refusal(&model).contains("not supported: Gemm (node \"node of y\"): transA = 1"));
    // A bias for each row of the batch; weights that do not fit.
    let plain = node("Gemm", &["x", "w", "b"], "y", vec![]);
    let rows = floats("b", &[2, OUT as i64], &numbers(6, 4));
    let model = file(&[IN as i64], vec![plain.clone()], vec![floats("w", &dims, &w), rows]);
    assert!(refusal(&model).contains("one for each of 3 channels, found [2, 3]"), "{}", refusal(&model));
    let model = file(&[IN as i64], vec![plain], vec![floats("w", &turned_dims, &w), floats("b", &[3], &b)]);
    assert!(refusal(&model).contains("weights [3, 5] do not fit 5 inputs"));
}

#[test]
fn a_product_and_a_sum_are_one_layer() {
    let (x, w, b) = (numbers(ROWS * IN, 1), numbers(IN * OUT, 2), numbers(OUT, 3));
    let weights = floats("w", &[IN as i64, OUT as i64], &w);
    for op_type in ["Add", "Sum"] {
        for inputs in [["p", "b"], ["b", "p"]] {
            for dims in [&[OUT as i64][..], &[1, OUT as i64]] {
                let nodes =
                    vec![node("MatMul", &["x", "w"], "p", vec![]), node(op_type, &inputs, "y", vec![])];
                let model = file(&[IN as i64], nodes, vec![weights.clone(), floats("b", dims, &b)]);
                assert_answers(&model, &x, &product(&x, &w, &b, [1.0, 1.0]));
                assert!(matches!(
                    layers(&model)[..],
                    [
                        _,
                        LayerOp::Linear(layers::Linear {
                            out_features: OUT,
                            bias: true,
                            per_position: false
                        })
                    ]
                ));
            }
        }
    }
    // The product is read by another node, too: the sum is no bias of it.
    let nodes = vec![
        node("MatMul", &["x", "w"], "p", vec![]),
        node("Add", &["p", "b"], "s", vec![]),
        node("Add", &["p", "s"], "y", vec![]),
    ];
    let model = file(&[IN as i64], nodes, vec![weights, floats("b", &[3], &b)]);
    assert!(refusal(&model).contains("adds a constant to a value that is not a layer's own output"));
}

#[test]
fn weights_may_be_turned_by_a_node() {
    let (x, w) = (numbers(ROWS * IN, 1), numbers(IN * OUT, 2));
    let weights = floats("w", &[OUT as i64, IN as i64], &turned(&w, OUT));
    for perm in [vec![], vec![ints("perm", &[1, 0])]] {
        let nodes = vec![node("Transpose", &["w"], "t", perm), node("MatMul", &["x", "t"], "y", vec![])];
        let model = file(&[IN as i64], nodes, vec![weights.clone()]);
        assert_answers(&model, &x, &product(&x, &w, &[0.0; OUT], [1.0, 1.0]));
    }
}

#[test]
fn a_constant_added_to_a_convolution_is_its_bias() {
    let (x, w, b) = (numbers(2 * 2 * 3 * 3, 1), numbers(3 * 2, 2), numbers(3, 3));
    let nodes = vec![node("Conv", &["x", "w"], "c", vec![]), node("Add", &["c", "b"], "y", vec![])];
    let initializers = vec![floats("w", &[3, 2, 1, 1], &w), floats("b", &[3, 1, 1], &b)];
    let model = file(&[2, 3, 3], nodes, initializers);
    let mut expected = Vec::new();
    for row in 0..2 {
        for (o, bias) in b.iter().enumerate() {
            expected.extend((0..9).map(|i| {
                let pixel = |c: usize| f64::from(x[(row * 2 + c) * 9 + i]);
                pixel(0) * f64::from(w[o * 2]) + pixel(1) * f64::from(w[o * 2 + 1]) + f64::from(*bias)
            }));
        }
    }
    assert_answers(&model, &x, &expected);
}
