//! Backpropagation by hand, layer by layer in f64, beside the gradients that training computes.

use super::lab::Lab;
use super::page::{Page, fixed, plain};
use super::{Lesson, LessonOptions};
use crate::device::Device;
use crate::error::Result;
use crate::model::Spec;
use crate::ops::Target;
use serde_json::json;

const NETWORK: &str = r#"
name = "backprop"
input = [2, 1, 1]
[recipe]
loss = "mse"
optimizer = "sgd"
momentum = 0.0
lr = 0.5
batch_size = 1
[[layer]]
op = "flatten"
[[layer]]
name = "layer1"
op = "linear"
out_features = 3
[[layer]]
name = "a1"
op = "sigmoid"
[[layer]]
name = "layer2"
op = "linear"
out_features = 2
[[layer]]
name = "a2"
op = "sigmoid"
"#;

const X: [f32; 2] = [1.0, 0.5];
const Y: [f32; 2] = [1.0, 0.0];
/// Row j of a matrix holds the weights into neuron j.
const W1: [f32; 6] = [0.2, -0.4, 0.6, 0.1, -0.5, 0.3];
const B1: [f32; 3] = [0.1, -0.2, 0.3];
const W2: [f32; 6] = [0.5, -0.3, 0.8, -0.6, 0.4, 0.2];
const B2: [f32; 2] = [-0.1, 0.2];

fn sigmoid(z: f64) -> f64 {
    1.0 / (1.0 + (-z).exp())
}

/// a (1 - a), the derivative of the sigmoid where its value is a.
fn slope(a: f64) -> f64 {
    a * (1.0 - a)
}

/// `w` times `x`, where `w` is `[rows, x.len()]`.
fn product(w: &[f64], x: &[f64]) -> Vec<f64> {
    w.chunks(x.len()).map(|row| row.iter().zip(x).map(|(w, x)| w * x).sum()).collect()
}

/// The transpose of `w`, `[d.len(), columns]`, times `d`.
fn transposed_product(w: &[f64], d: &[f64]) -> Vec<f64> {
    let columns = w.len() / d.len();
    (0..columns)
        .map(|column| d.iter().enumerate().map(|(row, d)| w[row * columns + column] * d).sum())
        .collect()
}

fn outer(d: &[f64], a: &[f64]) -> Vec<f64> {
    d.iter().flat_map(|d| a.iter().map(move |a| d * a)).collect()
}

fn added(x: &[f64], y: &[f64]) -> Vec<f64> {
    x.iter().zip(y).map(|(x, y)| x + y).collect()
}

/// Everything that a step computes, in f64.
struct ByHand {
    z: [Vec<f64>; 2],
    a: [Vec<f64>; 2],
    cost: f64,
    delta: [Vec<f64>; 2],
    /// W2^T delta2.
    back: Vec<f64>,
    dw: [Vec<f64>; 2],
}

fn by_hand(x: &[f64], y: &[f64], w: [&[f64]; 2], b: [&[f64]; 2]) -> ByHand {
    let activate = |z: &[f64]| z.iter().map(|&z| sigmoid(z)).collect::<Vec<f64>>();
    let z1 = added(&product(w[0], x), b[0]);
    let a1 = activate(&z1);
    let z2 = added(&product(w[1], &a1), b[1]);
    let a2 = activate(&z2);
    let cost = a2.iter().zip(y).map(|(a, y)| 0.5 * (a - y) * (a - y)).sum();
    let delta2: Vec<f64> = a2.iter().zip(y).map(|(&a, y)| (a - y) * slope(a)).collect();
    let back = transposed_product(w[1], &delta2);
    let delta1: Vec<f64> = back.iter().zip(&a1).map(|(back, &a)| back * slope(a)).collect();
    let dw = [outer(&delta1, x), outer(&delta2, &a1)];
    ByHand { z: [z1, z2], a: [a1, a2], cost, delta: [delta1, delta2], back, dw }
}

pub(super) fn lesson(options: &LessonOptions, device: &Device) -> Result<Lesson> {
    let texts = options.language.texts();
    let mut lab = Lab::new(Spec::parse(NETWORK, "backprop")?, device, 1, Target::Values, 0)?;
    for (name, values) in
        [("layer1.weight", &W1[..]), ("layer1.bias", &B1), ("layer2.weight", &W2), ("layer2.bias", &B2)]
    {
        lab.set(name, values)?;
    }
    let traced = lab.step(&X, &Y)?;
    let wide = |name: &str| traced.wide(name);
    let (x, y) = (wide("input")?, wide("labels")?);
    let (w1, b1) = (wide("parameter.layer1.weight")?, wide("parameter.layer1.bias")?);
    let (w2, b2) = (wide("parameter.layer2.weight")?, wide("parameter.layer2.bias")?);
    let hand = by_hand(&x, &y, [&w1, &w2], [&b1, &b2]);

    let mut page = Page::new();
    page.say(texts.backprop_intro, &[&list(&x), &list(&y)]);
    let name = |l: usize, w: &[f64], b: &[f64], columns: usize| {
        let rows: Vec<String> = w.chunks(columns).map(list).collect();
        format!("W{l} = [{}]   b{l} = {}", rows.join(", "), list(b))
    };
    page.lines(&[name(1, &w1, &b1, 2), name(2, &w2, &b2, 3)]);

    page.heading(texts.backprop_forward);
    page.lines(&["z_l = W_l a_(l-1) + b_l        a_l = sigmoid(z_l)        a_0 = x".into()]);
    let mut lines = Vec::new();
    for l in 0..2 {
        let (w, b) = [(&w1, &b1), (&w2, &b2)][l];
        let from = if l == 0 { &x } else { &hand.a[0] };
        for (j, row) in w.chunks(from.len()).enumerate() {
            let sum: Vec<String> =
                row.iter().zip(from).map(|(w, a)| format!("{}*{}", plain(*w), plain(*a))).collect();
            let z = format!("z{}[{}] = {} + {}", l + 1, j + 1, sum.join(" + "), plain(b[j]));
            lines.push(format!("{z} = {}", plain(hand.z[l][j])).replace("+ -", "- "));
            lines.push(format!("a{}[{}] = sigmoid(z) = {}", l + 1, j + 1, fixed(hand.a[l][j], 6)));
        }
    }
    page.lines(&lines);
    page.lines(&[format!("C = 1/2 sum (a2 - y)^2 = {}", fixed(hand.cost, 6))]);

    page.heading(texts.backprop_output);
    page.lines(&["delta_L = (a_L - y) * sigmoid'(z_L)        sigmoid'(z) = a (1 - a)".into()]);
    let lines: Vec<String> = (0..2)
        .map(|j| {
            let a = hand.a[1][j];
            let (a6, y) = (fixed(a, 6), plain(y[j]));
            let d = fixed(hand.delta[1][j], 6);
            format!("delta2[{}] = ({a6} - {y}) * {a6} * (1 - {a6}) = {d}", j + 1)
        })
        .collect();
    page.lines(&lines);

    page.heading(texts.backprop_hidden);
    page.lines(&["delta_l = (W_(l+1)^T delta_(l+1)) * sigmoid'(z_l)".into()]);
    let mut lines = Vec::new();
    for j in 0..3 {
        let sum: Vec<String> =
            (0..2).map(|k| format!("{}*{}", plain(w2[k * 3 + j]), factor(hand.delta[1][k]))).collect();
        let back = format!("(W2^T delta2)[{}] = {} = {}", j + 1, sum.join(" + "), fixed(hand.back[j], 6));
        lines.push(back.replace("+ -", "- "));
        let a = fixed(hand.a[0][j], 6);
        let (back, d) = (fixed(hand.back[j], 6), fixed(hand.delta[0][j], 6));
        lines.push(format!("delta1[{}] = {back} * {a} * (1 - {a}) = {d}", j + 1));
    }
    page.lines(&lines);

    page.heading(texts.backprop_gradients);
    page.lines(&["dC/db_l = delta_l        dC/dW_l[j,k] = delta_l[j] * a_(l-1)[k]".into()]);
    page.say(texts.backprop_compare, &[]);
    let mut rows = Vec::new();
    let mut largest = 0f64;
    let mut engine_numbers = serde_json::Map::new();
    for l in [1, 0] {
        let columns = [2, 3][l];
        let from = if l == 0 { &x } else { &hand.a[0] };
        let bias = wide(&format!("grad.layer{}.bias", l + 1))?;
        let weight = wide(&format!("grad.layer{}.weight", l + 1))?;
        let mut row = |name: String, formula: String, hand: f64, engine: f64| {
            largest = largest.max((hand - engine).abs());
            let difference = format!("{:.0e}", (hand - engine).abs());
            rows.push(vec![name, formula, fixed(hand, 8), fixed(engine, 8), difference]);
        };
        for (j, &engine) in bias.iter().enumerate() {
            let name = format!("dC/db{}[{}]", l + 1, j + 1);
            row(name, format!("delta{}[{}]", l + 1, j + 1), hand.delta[l][j], engine);
        }
        for (at, &engine) in weight.iter().enumerate() {
            let (j, k) = (at / columns, at % columns);
            let formula = format!("{}*{}", fixed(hand.delta[l][j], 6), plain(from[k]));
            row(format!("dC/dW{}[{},{}]", l + 1, j + 1, k + 1), formula, hand.dw[l][at], engine);
        }
        engine_numbers.insert(format!("layer{}", l + 1), json!({ "bias": bias, "weight": weight }));
    }
    page.table(&["", "=", texts.by_hand, texts.by_engine, texts.difference], &rows);
    page.say(texts.backprop_end, &[&format!("{largest:.1e}")]);
    let numbers = json!({
        "input": x,
        "target": y,
        "cost": hand.cost,
        "z": hand.z,
        "activations": hand.a,
        "deltas": hand.delta,
        "gradients_by_hand": {
            "layer1": { "bias": hand.delta[0], "weight": hand.dw[0] },
            "layer2": { "bias": hand.delta[1], "weight": hand.dw[1] },
        },
        "gradients": engine_numbers,
        "largest_difference": largest,
    });
    Ok(Lesson { text: page.finish(), numbers, pictures: Vec::new() })
}

/// Numbers in brackets.
fn list(values: &[f64]) -> String {
    format!("[{}]", values.iter().map(|&value| plain(value)).collect::<Vec<_>>().join(", "))
}

/// A factor of a product, in brackets if it is negative.
fn factor(value: f64) -> String {
    let text = fixed(value, 6);
    if text.starts_with('-') { format!("({text})") } else { text }
}
