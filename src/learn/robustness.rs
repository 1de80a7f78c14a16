//! What turning, zooming and relighting its images does to a network's answers.

use super::page::{Page, fixed, plain};
use super::{Lesson, LessonOptions, Picture, digits};
use crate::data::{self, Dataset, Labels, OnBadFile, Splits, ViewFn};
use crate::device::Device;
use crate::error::{Error, Result};
use crate::inference::{self, BatchSource, Corruption, Named, Outcome};
use crate::interchange::{self, File};
use crate::model::{BuildOptions, Model, Spec};
use crate::program::Executor;
use crate::report::{Curve, LineChart, Panel, Rgb, RgbImage, line_charts, panel_sheet};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

/// Images of the table, so that a lesson takes seconds.
const VAL: usize = 1000;
/// Rows computed at a time.
const ROWS: usize = 50;

/// What the picture shows: an image as it is, then with each of these.
const SHOWN: [(Corruption, f64); 7] = [
    (Corruption::Rotation, 0.0),
    (Corruption::Rotation, 15.0),
    (Corruption::Rotation, 45.0),
    (Corruption::Scale, 0.5),
    (Corruption::Scale, 1.5),
    (Corruption::Brightness, 0.25),
    (Corruption::Brightness, 2.0),
];

/// A network that can be evaluated, and its samples.
struct Subject {
    spec: Spec,
    tensors: Named,
    samples: Arc<Dataset>,
    classes: Vec<String>,
}

/// The network of the weights that `options` name, or the digit network trained shortly.
fn subject(options: &LessonOptions, device: &Device) -> Result<Subject> {
    let Some(path) = &options.weights else {
        let digits::Digits { mut network, splits, .. } = digits::trained(options, device)?;
        let (spec, tensors) = (network.spec().clone(), network.weights()?);
        let classes = network.class_names().to_vec();
        return Ok(Subject { spec, tensors, samples: splits.with_surroundings().val, classes });
    };
    let file = interchange::read(path)?;
    let spec = inference::spec_of(&file, None)?;
    let data = options.data.clone().or_else(|| spec.recipe.data.clone());
    let request = data::Request::new(spec.input, inference::outputs(&spec)?)
        .with_path(data)
        .with_image_shape(inference::image_shape(&spec))
        .with_model(Some(inference::wanted(&spec, false)?))
        .with_has_preprocess(spec.has_preprocess())
        .with_seed(options.seed)
        .with_limit_val(Some(VAL));
    let splits = data::open(&request)?;
    let classes = inference::class_names(&file);
    let splits = match inference::match_classes(&classes, &splits.val) {
        inference::ClassMatch::Same | inference::ClassMatch::Unnamed => splits,
        inference::ClassMatch::Outputs(outputs) => inference::relabel(&splits, &classes, &outputs),
        inference::ClassMatch::Missing(_) => {
            return Err(inference::other_classes(path, &classes, &splits.val));
        }
    };
    let classes = if classes.is_empty() { splits.val.class_names.clone() } else { classes };
    let tensors = file.tensors.into_iter().collect();
    Ok(Subject { spec, tensors, samples: splits.with_surroundings().val, classes })
}

pub(super) fn lesson(options: &LessonOptions, device: &Device) -> Result<Lesson> {
    let texts = options.language.texts();
    let Subject { spec, tensors, samples, classes } = subject(options, device)?;
    if samples.is_empty() {
        let what = format!("data set {}: expected samples to validate on, found none", samples.name);
        return Err(Error::Usage(what));
    }
    let pixels = Splits::of(Arc::clone(&samples)).pixels(spec.input);
    let build = BuildOptions {
        training: false,
        keep: true,
        pixels,
        target: inference::target(&samples, spec.recipe.loss)?,
        ..BuildOptions::new(ROWS.min(samples.len()))
    };
    let model = Model::build(&spec, &build)?;
    inference::check_memory(device, &spec, &build, &model)?;
    let mut executor = device.executor(Arc::clone(&model.program))?;
    let tensors: BTreeMap<_, _> = tensors.into_iter().collect();
    let path = options.weights.clone().unwrap_or_else(|| "weights".into());
    let file = File { path, tensors, metadata: BTreeMap::new(), notes: Vec::new() };
    inference::load(&model, executor.as_mut(), file, None)?;
    let source = BatchSource::new(&spec, &model, options.seed, 1, OnBadFile::Skip);
    let stop = AtomicBool::new(false);
    let outcomes = inference::robustness(
        &model,
        executor.as_mut(),
        &samples,
        &source,
        options.seed,
        &stop,
        &mut |_| Ok(()),
    )?;

    let mut page = Page::new();
    let rows = outcomes.first().map_or(0, |outcome| outcome.totals.rows());
    page.say(texts.robustness_intro, &[&spec.name, &rows.to_string(), &samples.name]);
    let names = [
        texts.rotation,
        texts.scale,
        texts.brightness,
        texts.contrast,
        texts.blur,
        texts.noise,
        texts.occlusion,
    ];
    let mut charts = Vec::new();
    for (corruption, name) in Corruption::ALL.into_iter().zip(names) {
        let own: Vec<&Outcome> = outcomes.iter().filter(|o| o.corruption == corruption).collect();
        let line = |first: &str, value: &dyn Fn(&Outcome) -> String| -> Vec<String> {
            [first.to_string()].into_iter().chain(own.iter().map(|outcome| value(outcome))).collect()
        };
        page.heading(name);
        let head = line(texts.level, &|outcome| plain(outcome.level));
        let head: Vec<&str> = head.iter().map(String::as_str).collect();
        page.table(&head, &[line("top-1 %", &|outcome| fixed(outcome.totals.acc1(), 1))]);
        let points = own.iter().map(|outcome| [outcome.level, outcome.totals.acc1()]).collect();
        let curve = Curve { label: String::new(), colour: Rgb::VALIDATION, is_faint: false, points };
        charts.push(LineChart {
            title: format!("{name}: top-1 %"),
            x: texts.level.into(),
            curves: vec![curve],
        });
    }
    page.say(texts.robustness_end, &[]);
    let sheet = shown(&spec, &model, executor.as_mut(), &samples, &source, &classes)?;
    let numbers = json!({
        "network": spec.name,
        "data": samples.name,
        "samples": rows,
        "levels": outcomes.iter().map(|outcome| json!({
            "corruption": outcome.corruption.name(), "level": outcome.level, "acc1": outcome.totals.acc1(),
        })).collect::<Vec<Value>>(),
    });
    let pictures = vec![
        Picture { name: "robustness.svg".into(), bytes: line_charts(&charts)?.into_bytes() },
        Picture { name: "robustness.png".into(), bytes: sheet },
    ];
    Ok(Lesson { text: page.finish(), numbers, pictures })
}

/// The first sample under each of [`SHOWN`], with the answers beneath, as a PNG file.
fn shown(
    spec: &Spec,
    model: &Model,
    executor: &mut dyn Executor,
    samples: &Arc<Dataset>,
    source: &BatchSource,
    classes: &[String],
) -> Result<Vec<u8>> {
    let augmenter = source.augmenter(samples)?;
    let truth = match &samples.labels {
        Labels::Classes(labels) => labels.first().and_then(|&label| classes.get(label as usize)).cloned(),
        Labels::Values { .. } => None,
    };
    let mut panels = Vec::new();
    for (corruption, level) in SHOWN {
        let own = augmenter.clone();
        let view_fn =
            ViewFn::new(move |sample, image: &mut [u8]| corruption.apply(level, &own, 0, sample, image));
        let batch = source.clone().with_view_fn(view_fn).first(samples)?;
        let last = model.layers.len().saturating_sub(1);
        let outputs = inference::activations(model, executor, &batch, last)?;
        let row: Vec<f64> = outputs.data()[..model.classes].iter().map(|&o| f64::from(o)).collect();
        let scores = match spec.recipe.loss {
            crate::model::LossKind::CrossEntropy => inference::probabilities(&row),
            crate::model::LossKind::Mse => row,
        };
        let name = |class: usize| classes.get(class).cloned().unwrap_or_else(|| class.to_string());
        let input = executor.read(model.input)?;
        panels.push(Panel {
            image: image(spec, &input),
            name: match level == corruption.neutral() {
                true => "original".into(),
                false => format!("{} {} {}", corruption.name(), plain(level), corruption.unit()),
            },
            predictions: inference::best(&scores, 3)
                .into_iter()
                .map(|(class, score)| (name(class), score))
                .collect(),
            values: None,
            truth: truth.clone(),
        });
    }
    panel_sheet(&panels)?.png()
}

/// The first row of network input as the pixels that it was made of.
fn image(spec: &Spec, input: &[f32]) -> RgbImage {
    let [channels, height, width] = spec.input;
    let plane = height * width;
    let planes = inference::colours(spec, &input[..channels * plane]);
    let pixel = |at: usize| [0, 1, 2].map(|c| planes[c % channels * plane + at]);
    RgbImage { width, height, pixels: (0..plane).flat_map(pixel).collect() }
}
