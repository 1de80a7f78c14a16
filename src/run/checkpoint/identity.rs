//! What makes a run the run that it is: recipe, network, data and the options that change the result, each as a line of
//! text under its name. Two runs with the same lines, on one device, do the same.

use crate::data::{Dataset, Images, Labels, Splits};
use crate::model::{self, Recipe, Spec};
use crate::train::Options;
use crate::view::{Principal, Rules};
use std::collections::BTreeMap;
use std::fmt::Debug;
use xxhash_rust::xxh3::Xxh3;

/// The line of the rules of its pictures.
const GEOMETRY: &str = "geometry";

/// The lines, by name.
pub type Identity = BTreeMap<String, String>;

/// Of a run of `spec` on `data` under `options`.
pub fn identity(spec: &Spec, data: &Splits, options: &Options) -> Identity {
    let mut lines = Identity::new();
    let mut put = |key: &str, value: &dyn Debug| {
        lines.insert(key.to_string(), format!("{value:?}"));
    };
    // Taken apart so that a new field is not forgotten here.
    let Recipe {
        epochs,
        batch_size,
        optimizer,
        lr,
        momentum,
        nesterov,
        beta2,
        eps,
        weight_decay,
        lr_scheduler,
        lr_step_size,
        lr_milestones,
        lr_gamma,
        lr_min,
        lr_power,
        lr_patience,
        lr_cuts,
        lr_warmup_epochs,
        label_smoothing,
        clip_grad_norm,
        grad_accum_steps,
        loss,
        patience,
        // Where the data lies; what it is follows below.
        data: _,
    } = &spec.recipe;
    put("epochs", epochs);
    put("batch-size", batch_size);
    put("opt", optimizer);
    put("lr", lr);
    put("momentum", momentum);
    put("nesterov", nesterov);
    put("beta2", beta2);
    put("eps", eps);
    put("weight-decay", weight_decay);
    put("lr-scheduler", lr_scheduler);
    put("lr-step-size", lr_step_size);
    put("lr-milestones", lr_milestones);
    put("lr-gamma", lr_gamma);
    put("lr-min", lr_min);
    put("lr-power", lr_power);
    put("lr-patience", lr_patience);
    put("lr-cuts", lr_cuts);
    put("lr-warmup-epochs", lr_warmup_epochs);
    put("label-smoothing", label_smoothing);
    put("clip-grad-norm", clip_grad_norm);
    put("grad-accum-steps", grad_accum_steps);
    put("loss", loss);
    put("patience", patience);
    // How many workers there are, how often is reported and saved, and where the run stops changes no weight.
    let Options {
        seed,
        shuffle,
        augment,
        dropout,
        overfit_batch,
        freeze,
        loss_scale,
        workers: _,
        max_steps: _,
        log_every: _,
        on_bad_file: _,
        checkpoint_every: _,
        checkpoint_hist: _,
    } = options;
    put("seed", seed);
    put("shuffle", shuffle);
    put("augment", augment);
    put("dropout", dropout);
    put("overfit-batch", overfit_batch);
    put("freeze", freeze);
    // Checkpoints from before there was one go on being what they are.
    if let Some(scale) = loss_scale {
        put("amp", scale);
    }
    put("input", &spec.input);
    put("preprocess", &then(&spec.preprocess));
    // Checkpoints from before these were there go on being what they are.
    if spec.preprocess.square {
        put("square", &true);
    }
    if let Some(version) = spec.geometry.rules.version() {
        put(GEOMETRY, &version);
    }
    if spec.geometry.ignore_exif {
        put("ignore-exif", &true);
    }
    put("changes of pictures", &spec.augment);
    for (number, layer) in spec.layers.iter().enumerate() {
        let text = (&layer.op, &layer.inputs, &layer.init, layer.lr_mult, layer.decay_mult);
        put(&format!("layer {number:03} {}", layer.name), &text);
    }
    for (which, dataset) in [("training", &data.train), ("validation", &data.val)] {
        put(&format!("{which} samples"), &dataset.len());
        put(&format!("{which} shape"), &dataset.shape);
        put(&format!("{which} classes"), &classes(dataset));
        put(&format!("{which} labels"), &labels(dataset));
        put(&format!("{which} images"), &images(dataset));
    }
    lines
}

/// By which rules the run that left `lines` resizes and cuts its pictures.
pub fn rules(lines: &Identity) -> Rules {
    if lines.contains_key(GEOMETRY) { Rules::Torchvision } else { Rules::Covered }
}

/// `preprocess` as the line of that name has had it from the beginning.
fn then(preprocess: &model::Preprocess) -> impl Debug + use<> {
    #[derive(Debug)]
    #[expect(dead_code, reason = "only its text is wanted")]
    struct Preprocess {
        resize: Option<usize>,
        crop: Option<usize>,
        scale: f32,
        mean: Vec<f32>,
        std: Vec<f32>,
        principal: Principal,
    }
    let model::Preprocess { resize, crop, square: _, scale, mean, std, principal } = preprocess.clone();
    Preprocess { resize, crop, scale, mean, std, principal }
}

/// How many lines of a difference are shown.
const SHOWN: usize = 5;

/// What differs, as one line of text; `None` if nothing does.
pub fn differences(then: &Identity, now: &Identity) -> Option<String> {
    let names = then.keys().chain(now.keys().filter(|name| !then.contains_key(*name)));
    let all: Vec<String> = names
        .filter(|name| then.get(*name) != now.get(*name))
        .map(|name| format!("{name}: {} then, {} now", short(then.get(name)), short(now.get(name))))
        .collect();
    let shown = all[..all.len().min(SHOWN)].join("; ");
    match all.len() {
        0 => None,
        n if n > SHOWN => Some(format!("{shown}; and {} more", n - SHOWN)),
        _ => Some(shown),
    }
}

/// A value that a line has room for.
fn short(value: Option<&String>) -> String {
    const MOST: usize = 120;
    let Some(value) = value else { return "none".into() };
    let mut text: String = value.chars().take(MOST).collect();
    if text.len() < value.len() {
        text.push_str("...");
    }
    text
}

/// Number of classes and XXH3 (64 bits) of their names, of which there may be a million.
fn classes(dataset: &Dataset) -> String {
    let mut hash = Xxh3::new();
    for name in &dataset.class_names {
        hash.update(&(name.len() as u64).to_le_bytes());
        hash.update(name.as_bytes());
    }
    format!("{} {:016x}", dataset.classes, hash.digest())
}

/// XXH3 (64 bits) of the labels.
fn labels(dataset: &Dataset) -> String {
    let mut hash = Xxh3::new();
    match &dataset.labels {
        Labels::Classes(classes) => classes.iter().for_each(|class| hash.update(&class.to_le_bytes())),
        Labels::Values { values, .. } => values.iter().for_each(|value| hash.update(&value.to_le_bytes())),
    }
    format!("{:016x}", hash.digest())
}

/// XXH3 (64 bits) of the pictures; of those that are read one by one, of their order and the names of their files: reading
/// them all would take as long as an epoch.
fn images(dataset: &Dataset) -> String {
    let mut hash = Xxh3::new();
    match &dataset.images {
        Images::U8(values) => hash.update(values),
        Images::F32(values) => hash.update(bytemuck::cast_slice(values)),
        Images::Levels(values) => {
            // The same numbers as network input would be other images.
            hash.update(b"levels");
            hash.update(bytemuck::cast_slice(values));
        }
        Images::Stored(stored) => {
            // Brought to another size, they are still the same.
            if let Some(from) = stored.store.source() {
                return images(from);
            }
            for &index in &stored.indices {
                hash.update(&index.to_le_bytes());
                if let Some(name) = stored.store.file(index as usize).as_ref().and_then(|f| f.file_name()) {
                    hash.update(name.as_encoded_bytes());
                }
            }
        }
    }
    format!("{:016x}", hash.digest())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn differences_are_named_one_by_one_and_not_without_end() {
        let lines =
            |lr: &str| Identity::from([("lr".to_string(), lr.to_string()), ("seed".into(), "1".into())]);
        assert_eq!(differences(&lines("0.1"), &lines("0.1")), None);
        assert_eq!(differences(&lines("0.1"), &lines("0.2")).unwrap(), "lr: 0.1 then, 0.2 now");
        let mut more = lines("0.1");
        more.extend((0..9).map(|n| (format!("x{n}"), "y".repeat(500))));
        let text = differences(&lines("0.1"), &more).unwrap();
        assert!(text.starts_with("x0: none then, y") && text.ends_with("; and 4 more"), "{text}");
        assert!(text.len() < 1000, "{text}");
    }
}
