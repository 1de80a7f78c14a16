//! AlexNet of the paper: its layers, its two towers, its 96 filters, and its answers to an image.

use super::page::{Page, fixed};
use super::{Lesson, LessonOptions, Picture};
use crate::device::Device;
use crate::error::{Error, Result, printable, printable_path};
use crate::inference;
use crate::interchange::{self, File};
use crate::model::{BuildOptions, LayerOp, Model, Spec, Summary};
use crate::network::{Network, NetworkOptions, Prediction};
use crate::report::{TilesLayout, filters};
use crate::tensor::Tensor;
use serde_json::{Value, json};

/// The network of the chapter, and of weights that do not name theirs.
const NETWORK: &str = "alexnet-2012";

/// A number in groups of three digits.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// The network of `file`, or AlexNet of the paper.
fn network_of(file: Option<&File>) -> Result<Spec> {
    match file {
        Some(file) if !file.metadata.contains_key("model") => inference::spec_of(file, Some(NETWORK)),
        Some(file) => inference::spec_of(file, None),
        None => Spec::load(NETWORK),
    }
}

/// The weights of the first convolution of `spec`: those of `file`, or the initial ones of `seed`.
fn first_kernels(spec: &Spec, file: Option<&File>, seed: u64) -> Result<Tensor> {
    let first = spec.layers.iter().enumerate().find_map(|(at, layer)| match &layer.op {
        LayerOp::Conv2d(conv) => Some((at, conv)),
        _ => None,
    });
    let Some((at, conv)) = first else {
        return Err(Error::Usage(format!(
            "{}: expected a network with a convolution, found none",
            spec.name
        )));
    };
    let name = format!("{}.weight", spec.layers[at].name);
    if let Some(file) = file {
        let mut file = file.clone();
        file.unwrap_names([name.as_str()].into_iter());
        let fits = |weight: &&Tensor| {
            matches!(weight.shape().dims(), &[outputs, _, height, width]
                if outputs == conv.out_channels && [height, width] == conv.kernel)
        };
        let what = || format!("expected weights of {}, found no {name} of its shape", spec.name);
        let found = file.tensors.get(&name).filter(fits).cloned();
        return found.ok_or_else(|| Error::data(&file.path, what()));
    }
    // A network as small as possible, as the whole would draw 60 million numbers.
    let mut small = spec.clone();
    let flatten = small.layers.iter().find(|layer| matches!(layer.op, LayerOp::Flatten(_))).cloned();
    small.layers.truncate(at + 1);
    let missing = || Error::Internal(format!("{}: no {name}", spec.name));
    let mut flatten = flatten.ok_or_else(missing)?;
    flatten.inputs = vec![small.layers[at].name.clone()];
    small.layers.push(flatten);
    let model = Model::build(&small, &BuildOptions { training: false, ..BuildOptions::new(1) })?;
    let parameter = model.parameters.iter().find(|parameter| parameter.name == name).ok_or_else(missing)?;
    let values = model.initial(seed)?.into_iter().find(|(buffer, _)| *buffer == parameter.buffer);
    let (_, values) = values.ok_or_else(missing)?;
    Tensor::new(parameter.shape.clone(), values)
}

/// The best five classes for the image that `options` name, if any.
fn answers(
    options: &LessonOptions,
    spec: &Spec,
    file: Option<File>,
    device: &Device,
) -> Result<Vec<Prediction>> {
    let Some(image) = &options.image else { return Ok(Vec::new()) };
    let Some(file) = file else {
        return Err(Error::Usage("image: expected weights with it, found none".into()));
    };
    let mut network = Network::new(spec.clone(), device, &NetworkOptions::inference(1))?;
    network.load_weights(file, None)?;
    let answers = network.predict_files(&[image], 5)?;
    Ok(answers.into_iter().next().unwrap_or_default())
}

pub(super) fn lesson(options: &LessonOptions, device: &Device) -> Result<Lesson> {
    let texts = options.language.texts();
    let file = options.weights.as_ref().map(interchange::read).transpose()?;
    let spec = network_of(file.as_ref())?;
    let model = Model::build(&spec, &BuildOptions { training: false, ..BuildOptions::new(1) })?;
    let summary = Summary::new(&model);

    let mut page = Page::new();
    page.say(texts.alexnet_intro, &[&spec.name, &grouped(summary.parameters as u64), &grouped(summary.macs)]);
    let shape = |dims: &[usize]| dims.iter().map(usize::to_string).collect::<Vec<_>>().join(" x ");
    let rows: Vec<Vec<String>> = summary
        .layers
        .iter()
        .map(|layer| {
            let (parameters, macs) = (layer.parameters as u64, layer.macs);
            let output = shape(&layer.output.dims()[1..]);
            vec![layer.name.clone(), layer.op.into(), output, grouped(parameters), grouped(macs)]
        })
        .collect();
    page.table(&[texts.layer, texts.operator, texts.output, texts.parameters, texts.multiplications], &rows);
    let split: Vec<(&str, usize)> = spec
        .layers
        .iter()
        .filter_map(|layer| match &layer.op {
            LayerOp::Conv2d(conv) if conv.groups > 1 => Some((layer.name.as_str(), conv.groups)),
            _ => None,
        })
        .collect();
    page.heading(texts.alexnet_towers);
    match split.first() {
        Some((_, groups)) => {
            let names = split.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(", ");
            page.say(texts.alexnet_split, &[&names, &groups.to_string()]);
        }
        None => page.say(texts.alexnet_whole, &[]),
    }
    let dense: usize = summary.layers.iter().filter(|l| l.op == "linear").map(|l| l.parameters).sum();
    let convolutions: u64 = summary.layers.iter().filter(|l| l.op == "conv2d").map(|l| l.macs).sum();
    let share = |part: f64, whole: f64| format!("{} %", fixed(100.0 * part / whole.max(1.0), 1));
    let shares =
        [share(dense as f64, summary.parameters as f64), share(convolutions as f64, summary.macs as f64)];
    page.say(texts.alexnet_shares, &[&shares[0], &shares[1]]);

    page.heading(texts.alexnet_filters);
    let kernels = first_kernels(&spec, file.as_ref(), options.seed)?;
    let size = shape(kernels.shape().dims());
    match &options.weights {
        Some(path) => page.say(texts.alexnet_trained, &[&size, &printable_path(path)]),
        None => page.say(texts.alexnet_initial, &[&size, &options.seed.to_string()]),
    }
    let sheet = filters(&kernels)?.draw(&TilesLayout::default(), None)?;
    let pictures = vec![Picture { name: "alexnet-filters.png".into(), bytes: sheet.canvas.png()? }];
    let best = answers(options, &spec, file, device)?;
    if let Some(image) = &options.image {
        page.heading(texts.alexnet_answers);
        page.say(texts.alexnet_image, &[&printable_path(image)]);
        let row = |answer: &Prediction| {
            vec![printable(&answer.name).into_owned(), format!("{} %", fixed(100.0 * answer.probability, 2))]
        };
        page.table(&[texts.class, texts.probability], &best.iter().map(row).collect::<Vec<_>>());
    }
    let numbers = json!({
        "network": spec.name,
        "parameters": summary.parameters,
        "macs": summary.macs,
        "layers": summary.layers.iter().map(|layer| json!({
            "name": layer.name, "op": layer.op, "output": layer.output.dims()[1..],
            "parameters": layer.parameters, "macs": layer.macs,
        })).collect::<Vec<Value>>(),
        "towers": split.iter().map(|(name, _)| *name).collect::<Vec<_>>(),
        "top5": best.iter().map(|answer| json!({
            "class": answer.name, "probability": answer.probability,
        })).collect::<Vec<Value>>(),
    });
    Ok(Lesson { text: page.finish(), numbers, pictures })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_are_grouped_by_three() {
        assert_eq!([0, 999, 1000, 60_965_224].map(grouped), ["0", "999", "1,000", "60,965,224"]);
    }
}
