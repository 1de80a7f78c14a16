//! One neuron at the traffic light: its answers, and what it learns from wrong weights.

use super::lab::Lab;
use super::page::{Page, fixed, plain};
use super::{Lesson, LessonOptions, Picture};
use crate::device::Device;
use crate::error::{Error, Result};
use crate::model::Spec;
use crate::ops::Target;
use crate::report::{Curve, LineChart, Rgb, line_charts};
use serde_json::{Value, json};

/// The lights (red, yellow, green) as a crossing shows them, then those with red and green together.
const LIGHTS: [[f32; 3]; 8] = [
    [1.0, 0.0, 0.0],
    [1.0, 1.0, 0.0],
    [0.0, 0.0, 1.0],
    [0.0, 1.0, 1.0],
    [0.0, 1.0, 0.0],
    [0.0, 0.0, 0.0],
    [1.0, 0.0, 1.0],
    [1.0, 1.0, 1.0],
];
/// Those that a crossing shows.
const SHOWN: usize = 6;

/// Weights and bias at the start of training: everything the wrong way round.
const START: [f32; 4] = [1.0, 0.0, -1.0, 0.5];
const LR: f32 = 5.0;
/// Steps after which a line is printed.
const PRINTED: [usize; 9] = [0, 1, 2, 5, 10, 20, 50, 100, 200];

struct Answer {
    net: f64,
    a: f64,
    go: bool,
}

pub(super) fn lesson(options: &LessonOptions, device: &Device) -> Result<Lesson> {
    let texts = options.language.texts();
    let spec = Spec::load("neuron")?;
    let mut lab = Lab::new(spec.clone(), device, LIGHTS.len(), Target::Values, 0)?;
    // Go where green is lit and red is not.
    let labels = LIGHTS.map(|[red, _, green]| f32::from(u8::from(green > red)));
    let traced = lab.step(LIGHTS.as_flattened(), &labels)?;
    let w = traced.wide("parameter.neuron.weight")?;
    let bias = traced.wide("parameter.neuron.bias")?;
    let (&[red, yellow, green], &[b]) = (w.as_slice(), bias.as_slice()) else {
        return Err(Error::Internal("the neuron has other inputs".into()));
    };
    let nets = traced.wide("neuron.y")?;
    let outputs = traced.wide("logits")?;
    let answers: Vec<Answer> =
        nets.iter().zip(&outputs).map(|(&net, &a)| Answer { net, a, go: net > 0.0 }).collect();

    let mut page = Page::new();
    page.say(texts.neuron_intro, &[]);
    page.lines(&["net = w1 x1 + w2 x2 + w3 x3 + b".into(), "a = sigmoid(net) = 1 / (1 + e^-net)".into()]);
    page.say(texts.neuron_weights, &[&plain(red), &plain(yellow), &plain(green), &plain(b)]);
    let head = [texts.red, texts.yellow, texts.green, texts.neuron_sum, "net", "a", texts.answer];
    let row = |(lights, answer): (&[f32; 3], &Answer)| {
        let lamp = |at: usize| if lights[at] > 0.0 { "1".to_string() } else { "0".into() };
        let sum = [0, 1, 2].map(|at| format!("{}*{}", plain(w[at]), lamp(at))).join(" + ");
        let sign = if b < 0.0 { "-" } else { "+" };
        vec![
            lamp(0),
            lamp(1),
            lamp(2),
            format!("{sum} {sign} {}", plain(b.abs())),
            plain(answer.net),
            fixed(answer.a, 4),
            (if answer.go { texts.go } else { texts.stop }).to_string(),
        ]
    };
    let rows: Vec<Vec<String>> = LIGHTS.iter().zip(&answers).map(row).collect();
    page.heading(texts.neuron_six);
    page.table(&head, &rows[..SHOWN]);
    page.say(texts.neuron_both, &[]);
    page.table(&head, &rows[SHOWN..]);

    page.heading(texts.neuron_training);
    page.say(
        texts.neuron_start,
        &[
            &plain(START[0].into()),
            &plain(START[1].into()),
            &plain(START[2].into()),
            &plain(START[3].into()),
            &plain(LR.into()),
            &LIGHTS.len().to_string(),
        ],
    );
    page.lines(&["C = 1/2 (a - y)^2        w <- w - lr dC/dw        b <- b - lr dC/db".into()]);
    let history = train(spec, device, &labels)?;
    let printed: Vec<&Step> = history.iter().filter(|step| PRINTED.contains(&step.number)).collect();
    let rows: Vec<Vec<String>> = printed
        .iter()
        .map(|step| {
            let values = step.values.iter().map(|&value| fixed(value, 3));
            let ends = [format!("{}/{}", step.right, LIGHTS.len())];
            [step.number.to_string(), fixed(step.loss, 5)].into_iter().chain(values).chain(ends).collect()
        })
        .collect();
    let head = [texts.step, texts.loss, "w1", "w2", "w3", "b", texts.right];
    page.table(&head, &rows);
    if let Some(last) = history.last() {
        let [red, yellow, green, b] = last.values.map(|value| fixed(value, 2));
        let (right, number) = (format!("{}/{}", last.right, LIGHTS.len()), last.number.to_string());
        page.say(texts.neuron_learnt, &[&number, &right, &green, &red, &yellow, &b]);
    }

    let numbers = json!({
        "weights": w,
        "bias": b,
        "answers": LIGHTS.iter().zip(&answers).map(|(lights, answer)| json!({
            "lights": lights, "net": answer.net, "activation": answer.a, "go": answer.go,
        })).collect::<Vec<Value>>(),
        "training": printed.iter().map(|step| json!({
            "step": step.number, "loss": step.loss, "weights": step.values[..3], "bias": step.values[3],
            "right": step.right,
        })).collect::<Vec<Value>>(),
    });
    let pictures = vec![picture(&history, options)?];
    Ok(Lesson { text: page.finish(), numbers, pictures })
}

/// The neuron before a step of training.
struct Step {
    number: usize,
    /// Mean over the rows.
    loss: f64,
    /// Three weights and the bias.
    values: [f64; 4],
    right: usize,
}

/// Trains for as many steps as are printed; the neuron before each step.
fn train(mut spec: Spec, device: &Device, labels: &[f32]) -> Result<Vec<Step>> {
    spec.recipe.lr = LR;
    let mut lab = Lab::new(spec, device, LIGHTS.len(), Target::Values, 0)?;
    let [weights @ .., bias] = START;
    lab.set("neuron.weight", &weights)?;
    lab.set("neuron.bias", &[bias])?;
    let last = PRINTED.into_iter().max().unwrap_or(0);
    let mut history = Vec::new();
    for number in 0..=last {
        let traced = lab.step(LIGHTS.as_flattened(), labels)?;
        let values =
            [traced.wide("parameter.neuron.weight")?, traced.wide("parameter.neuron.bias")?].concat();
        let &[red, yellow, green, b] = values.as_slice() else {
            return Err(Error::Internal("the neuron has other inputs".into()));
        };
        let answers = traced.get("logits")?.iter().zip(labels);
        let right = answers.filter(|(a, label)| (**a > 0.5) == (**label > 0.5)).count();
        let losses = traced.wide("losses")?;
        let loss = losses.iter().sum::<f64>() / losses.len() as f64;
        history.push(Step { number, loss, values: [red, yellow, green, b], right });
    }
    Ok(history)
}

fn picture(history: &[Step], options: &LessonOptions) -> Result<Picture> {
    let texts = options.language.texts();
    let curve = |label: &str, colour: usize, value: &dyn Fn(&Step) -> f64| Curve {
        label: label.into(),
        colour: Rgb::of_run(colour),
        is_faint: false,
        points: history.iter().map(|step| [step.number as f64, value(step)]).collect(),
    };
    let chart = |title: &str, curves| LineChart { title: title.into(), x: texts.step.into(), curves };
    let charts = [
        chart(texts.loss, vec![curve("", 0, &|step| step.loss)]),
        chart(
            texts.neuron_weights_curve,
            vec![
                curve(texts.red, 1, &|step| step.values[0]),
                curve(texts.yellow, 4, &|step| step.values[1]),
                curve(texts.green, 2, &|step| step.values[2]),
                curve("b", 6, &|step| step.values[3]),
            ],
        ),
    ];
    Ok(Picture { name: "neuron.svg".into(), bytes: line_charts(&charts)?.into_bytes() })
}
