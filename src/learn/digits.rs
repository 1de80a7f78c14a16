//! The digit network 784-15-10, trained for a few epochs, and its hidden neurons as images.

use super::page::{Page, fixed};
use super::{Lesson, LessonOptions, Picture};
use crate::data::{self, Splits};
use crate::device::Device;
use crate::error::{Error, Result};
use crate::model::Spec;
use crate::network::{Network, NetworkOptions};
use crate::report::{TileScale, Tiles, TilesLayout};
use crate::train::{Event, Options};
use serde_json::{Value, json};

/// So that a lesson takes seconds.
const TRAIN: usize = 10_000;
const VAL: usize = 2_000;
const EPOCHS: usize = 5;
/// Side of an image, and hidden neurons.
const SIDE: usize = 28;

/// One epoch of training.
#[derive(Clone, Debug)]
struct Epoch {
    loss: f64,
    val_loss: f64,
    top1: f64,
}

/// The trained network and what it was trained on.
pub(super) struct Digits {
    pub network: Network,
    pub splits: Splits,
    epochs: Vec<Epoch>,
}

/// Trains the digit network on the data that `options` name.
pub(super) fn trained(options: &LessonOptions, device: &Device) -> Result<Digits> {
    let mut spec = Spec::load("mlp-784-15-10")?;
    spec.recipe.epochs = EPOCHS;
    let path = options.data.clone().or_else(|| spec.recipe.data.clone());
    let train = Options::default().with_seed(options.seed);
    let mut network = Network::new(spec, device, &NetworkOptions::default().with_train(train))?;
    let request = network.request(path.as_deref().unwrap_or("fashion-mnist"));
    let request = request.with_seed(options.seed).with_limit_train(Some(TRAIN)).with_limit_val(Some(VAL));
    let splits = data::open(&request)?;
    if splits.val.is_empty() {
        let what = format!("data set {}: expected samples to validate on, found none", splits.val.name);
        return Err(Error::Usage(what));
    }
    let mut epochs = Vec::new();
    let mut observer = |event: &Event| {
        if let Event::Epoch(epoch) = event {
            epochs.push(Epoch { loss: epoch.train_loss, val_loss: epoch.val_loss, top1: epoch.acc1 });
        }
        Ok(())
    };
    network.training(&splits).run(&mut observer)?;
    Ok(Digits { network, splits, epochs })
}

pub(super) fn lesson(options: &LessonOptions, device: &Device) -> Result<Lesson> {
    let texts = options.language.texts();
    let Digits { mut network, splits, epochs } = trained(options, device)?;
    let mut page = Page::new();
    let count = |n: usize| n.to_string();
    page.say(
        texts.digits_intro,
        &[&count(network.parameter_count()), &count(splits.train.len()), &splits.train.name],
    );
    page.lines(&[
        "a1 = sigmoid(W1 x + b1)        x: 784, a1: 15".into(),
        "a2 = sigmoid(W2 a1 + b2)       a2: 10".into(),
    ]);
    page.heading(texts.digits_training);
    let row = |(number, epoch): (usize, &Epoch)| {
        vec![
            count(number + 1),
            fixed(epoch.loss, 4),
            fixed(epoch.val_loss, 4),
            format!("{} %", fixed(epoch.top1, 2)),
        ]
    };
    let rows: Vec<Vec<String>> = epochs.iter().enumerate().map(row).collect();
    page.table(&[texts.epoch, texts.loss, texts.val_loss, texts.digits_top1], &rows);
    page.say(texts.digits_scores, &[&count(splits.val.len())]);

    let images = network.inputs(&splits.val, 1)?;
    let label = match &splits.val.labels {
        data::Labels::Classes(labels) => labels.first().map(|&label| label as usize),
        data::Labels::Values { .. } => None,
    };
    let outputs = network.logits(&images)?;
    let names = network.class_names().to_vec();
    let truth = label.and_then(|label| splits.val.class_names.get(label)).cloned().unwrap_or_default();
    page.heading(texts.digits_example);
    page.say(texts.digits_truth, &[&truth]);
    let best = outputs.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let rows: Vec<Vec<String>> = outputs
        .iter()
        .zip(&names)
        .map(|(&output, name)| {
            let bar = "#".repeat((output.clamp(0.0, 1.0) * 40.0).round() as usize);
            let mark = if output == best { "<-" } else { "" };
            vec![name.clone(), fixed(output.into(), 4), mark.into(), bar]
        })
        .collect();
    page.table(&[texts.class, "a2", "", ""], &rows);
    page.say(texts.digits_end, &[]);

    let weights = network.weights()?;
    let missing = || Error::Internal("no hidden weights".into());
    let (_, hidden) = weights.iter().find(|(name, _)| name == "hidden.weight").ok_or_else(missing)?;
    let numbers = json!({
        "data": splits.train.name,
        "train_samples": splits.train.len(),
        "val_samples": splits.val.len(),
        "epochs": epochs.iter().map(|epoch| json!({
            "loss": epoch.loss, "val_loss": epoch.val_loss, "acc1": epoch.top1,
        })).collect::<Vec<Value>>(),
        "example": { "truth": truth, "outputs": outputs.iter().map(|&o| f64::from(o)).collect::<Vec<_>>() },
    });
    let pictures = vec![hidden_neurons(hidden.data())?];
    Ok(Lesson { text: page.finish(), numbers, pictures })
}

/// The weights of each hidden neuron as an image; grey is 0, and the largest of each neuron is black or white.
fn hidden_neurons(weights: &[f32]) -> Result<Picture> {
    let mut values = Vec::with_capacity(weights.len());
    for neuron in weights.chunks(SIDE * SIDE) {
        let largest = neuron.iter().fold(0f32, |most, w| most.max(w.abs())).max(f32::MIN_POSITIVE);
        values.extend(neuron.iter().map(|w| w / largest));
    }
    let tiles = Tiles { shape: [1, SIDE, SIDE], values };
    let layout =
        TilesLayout { scale: TileScale::Together, columns: Some(5), zoom: Some(5), ..TilesLayout::default() };
    Ok(Picture { name: "digits.png".into(), bytes: tiles.draw(&layout, None)?.canvas.png()? })
}
