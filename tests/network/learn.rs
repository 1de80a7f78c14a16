//! The numbers of the learner's chapters beside independent ones in f64.

use serde_json::Value;
use striate::Device;
use striate::learn::{Chapter, Language, Lesson, LessonOptions, lesson};

fn learnt(chapter: Chapter) -> Lesson {
    lesson(chapter, &LessonOptions::new(), &Device::cpu()).unwrap()
}

fn numbers(value: &Value) -> Vec<f64> {
    match value {
        Value::Array(values) => values.iter().flat_map(numbers).collect(),
        number => vec![number.as_f64().unwrap()],
    }
}

fn sigmoid(z: f64) -> f64 {
    1.0 / (1.0 + (-z).exp())
}

#[track_caller]
fn close(found: f64, expected: f64, tolerance: f64) {
    assert!((found - expected).abs() <= tolerance, "{found}, expected {expected}");
}

#[test]
fn the_neuron_lets_green_go_and_learns_it_from_wrong_weights() {
    let lesson = learnt(Chapter::Neuron);
    let answers = lesson.numbers["answers"].as_array().unwrap();
    assert_eq!(answers.len(), 8);
    for answer in answers {
        let [red, _, green] = numbers(&answer["lights"])[..] else { panic!() };
        let net = -red + green - 0.5;
        close(answer["net"].as_f64().unwrap(), net, 1e-6);
        close(answer["activation"].as_f64().unwrap(), sigmoid(net), 1e-6);
        assert_eq!(answer["go"], net > 0.0);
    }
    // The same gradient descent in f64.
    let mut w = [1.0, 0.0, -1.0, 0.5];
    let training = lesson.numbers["training"].as_array().unwrap();
    let mut printed = training.iter();
    let mut next = printed.next();
    for step in 0..=200 {
        let (mut gradient, mut loss, mut right) = ([0.0; 4], 0.0, 0);
        for answer in answers {
            let lights = numbers(&answer["lights"]);
            let x = [lights[0], lights[1], lights[2], 1.0];
            let y = if answer["go"] == true { 1.0 } else { 0.0 };
            let a = sigmoid(x.iter().zip(&w).map(|(x, w)| x * w).sum());
            loss += 0.5 * (a - y) * (a - y) / 8.0;
            right += usize::from((a > 0.5) == (y > 0.5));
            for (gradient, x) in gradient.iter_mut().zip(x) {
                *gradient += (a - y) * a * (1.0 - a) * x / 8.0;
            }
        }
        if let Some(own) = next.filter(|own| own["step"] == step) {
            close(own["loss"].as_f64().unwrap(), loss, 1e-5);
            let found = [numbers(&own["weights"]), numbers(&own["bias"])].concat();
            found.iter().zip(&w).for_each(|(found, w)| close(*found, *w, 1e-3));
            assert_eq!(own["right"], right);
            next = printed.next();
        }
        w.iter_mut().zip(gradient).for_each(|(w, gradient)| *w -= 5.0 * gradient);
    }
    assert!(next.is_none());
    let (first, last) = (&training[0]["right"], &training[training.len() - 1]["right"]);
    assert!(*last == 8 && first.as_u64().unwrap() < 4, "{first} {last}");
    assert!(lesson.text.contains("1*0 - 0.5  -1.5") && lesson.text.contains("stop"), "{}", lesson.text);
}

/// The cost of the chapter's network, for parameters in the order W1, b1, W2, b2.
fn cost(p: &[f64], x: &[f64], y: &[f64]) -> f64 {
    let layer = |w: &[f64], b: &[f64], x: &[f64]| -> Vec<f64> {
        let row = |(w, b): (&[f64], &f64)| sigmoid(w.iter().zip(x).map(|(w, x)| w * x).sum::<f64>() + b);
        w.chunks(x.len()).zip(b).map(row).collect()
    };
    let hidden = layer(&p[..6], &p[6..9], x);
    let out = layer(&p[9..15], &p[15..], &hidden);
    out.iter().zip(y).map(|(a, y)| 0.5 * (a - y) * (a - y)).sum()
}

#[test]
fn deltas_by_hand_are_the_slopes_of_the_cost_and_the_gradients_of_training() {
    let found = learnt(Chapter::Backprop).numbers;
    let (x, y) = (numbers(&found["input"]), numbers(&found["target"]));
    let p = [0.2, -0.4, 0.6, 0.1, -0.5, 0.3, 0.1, -0.2, 0.3, 0.5, -0.3, 0.8, -0.6, 0.4, 0.2, -0.1, 0.2f64];
    close(found["cost"].as_f64().unwrap(), cost(&p, &x, &y), 1e-7);
    let slope = |at: usize| {
        let shifted = |by: f64| {
            let mut p = p;
            p[at] += by;
            cost(&p, &x, &y)
        };
        (shifted(1e-5) - shifted(-1e-5)) / 2e-5
    };
    for (kind, tolerance) in [("gradients_by_hand", 1e-8), ("gradients", 1e-7)] {
        let all: Vec<f64> = ["layer1", "layer2"]
            .iter()
            .flat_map(|layer| [numbers(&found[kind][layer]["weight"]), numbers(&found[kind][layer]["bias"])])
            .flatten()
            .collect();
        assert_eq!(all.len(), p.len());
        all.iter().enumerate().for_each(|(at, found)| close(*found, slope(at), tolerance));
    }
    assert!(found["largest_difference"].as_f64().unwrap() < 1e-6);
}

#[test]
fn activations_and_their_derivatives_are_those_of_the_formulas() {
    let found = learnt(Chapter::Activations).numbers;
    let z = numbers(&found["z"]);
    let leaky = |z: f64| if z > 0.0 { [z, 1.0] } else { [0.01 * z, 0.01] };
    type Function<'a> = (&'a str, &'a dyn Fn(f64) -> [f64; 2]);
    let functions: [Function<'_>; 4] = [
        ("sigmoid", &|z| [sigmoid(z), sigmoid(z) * sigmoid(-z)]),
        ("tanh", &|z| [z.tanh(), 1.0 / z.cosh().powi(2)]),
        ("relu", &|z| [z.max(0.0), if z > 0.0 { 1.0 } else { 0.0 }]),
        ("leaky_relu", &leaky),
    ];
    for (name, function) in functions {
        let (values, slopes) = (numbers(&found[name]["values"]), numbers(&found[name]["derivatives"]));
        assert!(values.len() == z.len() && slopes.len() == z.len() && z.len() > 100);
        for (at, &z) in z.iter().enumerate() {
            let [value, slope] = function(z);
            close(values[at], value, 1e-6);
            close(slopes[at], slope, 1e-6);
        }
    }
}

#[test]
fn gradients_vanish_under_the_sigmoid_and_not_under_relu() {
    let found = learnt(Chapter::Vanishing).numbers;
    for depth in 2..=20 {
        for name in ["sigmoid", "tanh", "relu"] {
            assert_eq!(numbers(&found[name][depth.to_string()]).len(), depth);
        }
        let share = |name: &str| {
            let norms = numbers(&found[name][depth.to_string()]);
            norms[0] / norms[depth - 1]
        };
        // A sigmoid is at most a quarter steep, and Xavier's weights keep lengths at best.
        assert!(share("sigmoid") < 0.6f64.powi(depth as i32 - 1), "{depth}: {}", share("sigmoid"));
        assert!(share("relu") > 0.05 && share("tanh") > 0.05, "{depth}");
    }
}

#[test]
fn the_convolution_is_that_of_two_loops() {
    let lesson = learnt(Chapter::Convolution);
    let [x, w, y] = ["input", "kernel", "output"].map(|name| numbers(&lesson.numbers[name]));
    for i in 0..3 {
        for j in 0..3 {
            let sum: f64 = (0..9).map(|k| w[k] * x[(i + k / 3) * 5 + j + k % 3]).sum();
            assert_eq!(y[i * 3 + j], sum);
        }
    }
    assert_eq!(y, [4.0, 3.0, 4.0, 2.0, 4.0, 3.0, 2.0, 3.0, 4.0]);
    assert!(lesson.pictures[0].bytes.starts_with(b"\x89PNG"));
}

#[test]
fn alexnet_has_the_parameters_of_the_paper_and_both_languages_the_same_numbers() {
    let english = learnt(Chapter::Alexnet);
    let mut options = LessonOptions::new();
    options.language = Language::Chinese;
    let chinese = lesson(Chapter::Alexnet, &options, &Device::cpu()).unwrap();
    assert_eq!(english.numbers, chinese.numbers);
    assert_eq!(english.numbers["parameters"], 60_965_224);
    // conv1: 55 x 55 places, 96 filters of 3 x 11 x 11.
    assert_eq!(english.numbers["layers"][0]["macs"], 55 * 55 * 96 * 363);
    assert_eq!(english.numbers["towers"], serde_json::json!(["conv2", "conv4", "conv5"]));
    for text in ["60,965,224", "96 x 3 x 11 x 11"] {
        assert!(english.text.contains(text) && chinese.text.contains(text), "{text}");
    }
    options.image = Some("cat.png".into());
    let error = lesson(Chapter::Alexnet, &options, &Device::cpu()).unwrap_err();
    assert_eq!(
        (error.exit_code(), error.to_string().as_str()),
        (2, "image: expected weights with it, found none")
    );
}
