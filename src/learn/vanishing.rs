//! Vanishing gradients: how long the gradients of the layers are in networks of 2 to 20 layers, under three activations.

use super::lab::Lab;
use super::page::Page;
use super::{Lesson, LessonOptions, Picture};
use crate::device::Device;
use crate::error::Result;
use crate::model::Spec;
use crate::ops::Target;
use crate::random::{Purpose, Stream};
use crate::report::{Curve, LineChart, Rgb, line_charts_in_powers};
use serde_json::{Map, Value, json};

/// The activations, their names, and the initial weights that are usual with them.
const ACTIVATIONS: [(&str, &str, &str); 3] =
    [("sigmoid", "sigmoid", "xavier"), ("tanh", "tanh", "xavier"), ("relu", "ReLU", "kaiming")];

const DEPTHS: std::ops::RangeInclusive<usize> = 2..=20;
const WIDTH: usize = 32;
const ROWS: usize = 32;
const CLASSES: usize = 10;

/// The length (Euclidean norm) of the gradient of each layer's weights, from the first layer to the last.
fn norms(activation: &str, init: &str, depth: usize, seed: u64, device: &Device) -> Result<Vec<f64>> {
    let mut text = format!(
        "name = \"deep\"\ninput = [{WIDTH}, 1, 1]\n[recipe]\nbatch_size = {ROWS}\n\
         [init]\nweight = \"{init}\"\nbias = 0.0\n[[layer]]\nop = \"flatten\"\n"
    );
    for layer in 1..=depth {
        let out = if layer == depth { CLASSES } else { WIDTH };
        text += &format!("[[layer]]\nname = \"l{layer}\"\nop = \"linear\"\nout_features = {out}\n");
        if layer < depth {
            text += &format!("[[layer]]\nop = \"{activation}\"\n");
        }
    }
    let mut lab = Lab::new(Spec::parse(&text, "deep")?, device, ROWS, Target::Class, seed)?;
    let mut random = Stream::new(seed, Purpose::Test, 0);
    let input: Vec<f32> = (0..ROWS * WIDTH).map(|_| random.normal()).collect();
    let labels: Vec<f32> = (0..ROWS).map(|_| random.below(CLASSES as u32) as f32).collect();
    let traced = lab.step(&input, &labels)?;
    (1..=depth)
        .map(|layer| {
            let gradient = traced.wide(&format!("grad.l{layer}.weight"))?;
            Ok(gradient.iter().map(|g| g * g).sum::<f64>().sqrt())
        })
        .collect()
}

pub(super) fn lesson(options: &LessonOptions, device: &Device) -> Result<Lesson> {
    let texts = options.language.texts();
    // For each activation, for each depth, the norm of each layer.
    let mut all: Vec<Vec<Vec<f64>>> = Vec::new();
    for (op, _, init) in ACTIVATIONS {
        all.push(DEPTHS.map(|depth| norms(op, init, depth, options.seed, device)).collect::<Result<_>>()?);
    }
    let scientific = |value: f64| format!("{value:.1e}");
    let mut page = Page::new();
    page.say(
        texts.vanishing_intro,
        &[&WIDTH.to_string(), &ROWS.to_string(), &CLASSES.to_string(), &options.seed.to_string()],
    );
    page.lines(&["delta_l = (W_(l+1)^T delta_(l+1)) * f'(z_l)".into()]);
    page.heading(texts.vanishing_depths);
    let names: Vec<String> = ACTIVATIONS
        .iter()
        .flat_map(|(_, name, _)| [format!("{name} {}", texts.first), format!("{name} {}", texts.last)])
        .collect();
    let head: Vec<&str> = [texts.layers].into_iter().chain(names.iter().map(String::as_str)).collect();
    let ends = |norms: &Vec<f64>| [norms.first(), norms.last()].map(|end| end.copied().unwrap_or(0.0));
    let rows: Vec<Vec<String>> = DEPTHS
        .enumerate()
        .map(|(at, depth)| {
            let pairs = all.iter().flat_map(|depths| ends(&depths[at])).map(scientific);
            [depth.to_string()].into_iter().chain(pairs).collect()
        })
        .collect();
    page.table(&head, &rows);

    let deepest: Vec<&Vec<f64>> = all.iter().filter_map(|depths| depths.last()).collect();
    let depth = *DEPTHS.end();
    page.heading(&super::page::filled(texts.vanishing_layers, &[&depth.to_string()]));
    let head: Vec<&str> =
        [texts.layer].into_iter().chain(ACTIVATIONS.iter().map(|(_, name, _)| *name)).collect();
    let row = |layer: usize| {
        let norms = deepest.iter().map(|norms| scientific(norms[layer]));
        [(layer + 1).to_string()].into_iter().chain(norms).collect()
    };
    page.table(&head, &(0..depth).map(row).collect::<Vec<Vec<String>>>());
    let per_layer = |norms: &Vec<f64>| {
        let [first, last] = ends(norms);
        (last / first).powf(1.0 / (norms.len() - 1) as f64)
    };
    let shares: Vec<String> = deepest.iter().map(|norms| format!("{:.2}", per_layer(norms))).collect();
    page.say(texts.vanishing_end, &[&shares[0], &shares[1], &shares[2]]);

    let curve = |number: usize, points: Vec<[f64; 2]>| Curve {
        label: ACTIVATIONS[number].1.into(),
        colour: Rgb::of_run(number),
        is_faint: false,
        points,
    };
    let of_layers = deepest.iter().enumerate().map(|(number, norms)| {
        curve(number, norms.iter().enumerate().map(|(at, &norm)| [at as f64 + 1.0, norm]).collect())
    });
    let of_depths = all.iter().enumerate().map(|(number, depths)| {
        let first = DEPTHS.zip(depths).map(|(depth, norms)| [depth as f64, ends(norms)[0]]);
        curve(number, first.collect())
    });
    let charts = [
        LineChart {
            title: super::page::filled(texts.vanishing_layers, &[&depth.to_string()]),
            x: texts.layer.into(),
            curves: of_layers.collect(),
        },
        LineChart {
            title: texts.vanishing_first.into(),
            x: texts.layers.into(),
            curves: of_depths.collect(),
        },
    ];
    let bytes = line_charts_in_powers(&charts)?.into_bytes();
    let mut numbers = Map::from_iter([("seed".to_string(), json!(options.seed))]);
    for ((op, _, _), depths) in ACTIVATIONS.iter().zip(&all) {
        let by_depth = DEPTHS.zip(depths).map(|(depth, norms)| (depth.to_string(), json!(norms)));
        numbers.insert(op.to_string(), Value::Object(by_depth.collect()));
    }
    let pictures = vec![Picture { name: "vanishing.svg".into(), bytes }];
    Ok(Lesson { text: page.finish(), numbers: Value::Object(numbers), pictures })
}
