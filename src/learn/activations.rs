//! Activation functions and their derivatives, as a network computes them.

use super::lab::Lab;
use super::page::{Page, fixed, plain};
use super::{Lesson, LessonOptions, Picture};
use crate::device::Device;
use crate::error::Result;
use crate::model::Spec;
use crate::ops::Target;
use crate::report::{Curve, LineChart, Rgb, line_charts};
use serde_json::{Map, Value, json};

/// The operators, their names in tables, and their formulas.
const FUNCTIONS: [(&str, &str, &str); 4] = [
    ("sigmoid", "sigmoid", "sigmoid(z) = 1 / (1 + e^-z)       sigmoid' = sigmoid (1 - sigmoid)"),
    ("tanh", "tanh", "tanh(z) = (e^z - e^-z) / (e^z + e^-z)       tanh' = 1 - tanh^2"),
    ("relu", "ReLU", "ReLU(z) = max(0, z)       ReLU' = 1 where z > 0, else 0"),
    ("leaky_relu", "leaky", "leaky(z) = z where z > 0, else 0.01 z       leaky' = 1 or 0.01"),
];

/// From -5 to 5 in steps of 0.1.
const POINTS: usize = 101;
/// Every tenth point has a row in the table.
const PRINTED: usize = 10;

struct Function {
    name: &'static str,
    values: Vec<f64>,
    slopes: Vec<f64>,
}

/// Values and derivatives of `op` at `z`.
fn computed(op: &str, name: &'static str, z: &[f32], device: &Device) -> Result<Function> {
    let text = format!(
        "name = \"{op}\"\ninput = [1, 1, {POINTS}]\n[recipe]\nloss = \"mse\"\nbatch_size = 1\n\
         [[layer]]\nop = \"flatten\"\n[[layer]]\nop = \"{op}\"\n"
    );
    let mut lab = Lab::new(Spec::parse(&text, op)?, device, 1, Target::Values, 0)?;
    let values = lab.step(z, &[0.0; POINTS])?.get("logits")?.to_vec();
    // The gradient of 1/2 (a - y)^2 is (a - y) f'(z): where y is a - 1, it is f'(z).
    let targets: Vec<f32> = values.iter().map(|a| a - 1.0).collect();
    let slopes = lab.step(z, &targets)?.wide("grad.input")?;
    Ok(Function { name, values: values.into_iter().map(f64::from).collect(), slopes })
}

pub(super) fn lesson(options: &LessonOptions, device: &Device) -> Result<Lesson> {
    let texts = options.language.texts();
    let z: Vec<f32> = (0..POINTS).map(|at| (at as f32 - 50.0) / 10.0).collect();
    let functions = FUNCTIONS
        .map(|(op, name, _)| computed(op, name, &z, device))
        .into_iter()
        .collect::<Result<Vec<Function>>>()?;

    let mut page = Page::new();
    page.say(texts.activations_intro, &[]);
    page.lines(&FUNCTIONS.map(|(_, _, formula)| formula.to_string()));
    let names: Vec<String> =
        functions.iter().flat_map(|f| [f.name.to_string(), format!("{}'", f.name)]).collect();
    let head: Vec<&str> = ["z"].into_iter().chain(names.iter().map(String::as_str)).collect();
    let rows: Vec<Vec<String>> = (0..POINTS)
        .step_by(PRINTED)
        .map(|at| {
            let pairs = functions.iter().flat_map(|f| [f.values[at], f.slopes[at]]);
            [plain(z[at].into())].into_iter().chain(pairs.map(|value| fixed(value, 4))).collect()
        })
        .collect();
    page.table(&head, &rows);
    let steepest = |f: &Function| f.slopes.iter().copied().fold(0.0, f64::max);
    let middle = (steepest(&functions[0]), steepest(&functions[1]));
    page.say(
        texts.activations_end,
        &[
            &fixed(middle.0, 2),
            &fixed(functions[0].slopes[POINTS - 1], 4),
            &fixed(middle.1, 2),
            &fixed(functions[1].slopes[POINTS - 1], 4),
            &fixed(functions[2].slopes[POINTS - 1], 0),
            &fixed(functions[2].slopes[0], 0),
            &fixed(functions[3].slopes[0], 2),
        ],
    );

    let curves = |value: &dyn Fn(&Function) -> Vec<f64>| -> Vec<Curve> {
        let curve = |(number, f): (usize, &Function)| Curve {
            label: f.name.into(),
            colour: Rgb::of_run(number),
            is_faint: false,
            points: z.iter().zip(value(f)).map(|(&z, value)| [f64::from(z), value]).collect(),
        };
        functions.iter().enumerate().map(curve).collect()
    };
    // Up to 2, so that the bounded ones can be seen.
    let bounded = |f: &Function| f.values.iter().map(|&v| if v > 2.0 { f64::NAN } else { v }).collect();
    let chart = |title: &str, curves| LineChart { title: title.into(), x: "z".into(), curves };
    let charts = [
        chart(texts.activations_values, curves(&bounded)),
        chart(texts.activations_slopes, curves(&|f| f.slopes.clone())),
    ];
    let picture = Picture { name: "activations.svg".into(), bytes: line_charts(&charts)?.into_bytes() };
    let mut numbers = Map::from_iter([("z".to_string(), json!(z))]);
    for ((op, _, _), f) in FUNCTIONS.iter().zip(&functions) {
        numbers.insert(op.to_string(), json!({ "values": f.values, "derivatives": f.slopes }));
    }
    Ok(Lesson { text: page.finish(), numbers: Value::Object(numbers), pictures: vec![picture] })
}
