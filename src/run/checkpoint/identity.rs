//! The identity of a run: recipe, network, data and the options that change the result. Each is a line of
//! text: the name of the option, and its value as model files and flags write it; of the network, its model file layer by
//! layer. Two runs with the same lines on one device do the same.
//!
//! Names and values are those of file formats, so that refactoring changes none. Checkpoints of format 1 have other lines
//! ([`super::version1`]).

use crate::data::{Dataset, Images, Labels, Sampler, Splits};
use crate::error::{Error, Result};
use crate::model::{ClassWeights, Recipe, Spec};
use crate::train::Options;
use crate::view::Rules;
use std::collections::BTreeMap;
use std::fmt::Display;
use xxhash_rust::xxh3::Xxh3;

/// The line of the rules by which images are resized and cropped. Only [`Rules::Covered`] has none.
const GEOMETRY: &str = "geometry";

/// The lines, by name.
pub type Identity = BTreeMap<String, String>;

/// The lines of a run of `spec` on `data` under `options`.
pub fn identity(spec: &Spec, data: &Splits, options: &Options) -> Result<Identity> {
    let mut lines = Identity::new();
    recipe(&spec.recipe, &mut lines);
    // The number of workers, how often is reported and saved, and where the run stops change no weight. Every field is
    // named so that a new one is not forgotten here.
    let Options {
        seed,
        shuffle,
        sampler: _,
        augment,
        dropout,
        overfit_batch,
        freeze,
        loss_scale,
        ema,
        mixup,
        cutmix,
        random_erasing,
        trivial_augment,
        workers: _,
        max_steps: _,
        log_every: _,
        on_bad_file: _,
        checkpoint_every: _,
        checkpoint_hist: _,
    } = options;
    let mut put = |key: &str, value: &dyn Display| {
        lines.insert(key.to_string(), value.to_string());
    };
    put("seed", seed);
    put("shuffle", shuffle);
    put("augment", augment);
    put("dropout", dropout);
    put("overfit-batch", overfit_batch);
    put("freeze", &or_none(freeze));
    put("amp", &or_none(loss_scale));
    // Checkpoints of earlier versions have no such lines.
    for (key, value) in
        [("ema", ema), ("mixup", mixup), ("cutmix", cutmix), ("random-erasing", random_erasing)]
    {
        if let Some(value) = value {
            put(key, value);
        }
    }
    if *trivial_augment {
        put("trivial-augment", trivial_augment);
    }
    if let Some(version) = spec.geometry.rules.version() {
        put(GEOMETRY, &version);
    }
    if spec.geometry.ignore_exif {
        put("ignore-exif", &true);
    }
    for (which, dataset) in [("training", &data.train), ("validation", &data.val)] {
        put(&format!("{which} samples"), &dataset.len());
        put(&format!("{which} shape"), &list(&dataset.shape));
        put(&format!("{which} classes"), &classes(dataset));
        put(&format!("{which} labels"), &labels(dataset));
        put(&format!("{which} images"), &images(dataset));
    }
    network(spec, &mut lines)?;
    imbalance(spec, options, &mut lines);
    Ok(lines)
}

/// Lines that only runs with these options have, so that checkpoints of earlier versions are those of runs without.
pub(super) fn imbalance(spec: &Spec, options: &Options, lines: &mut Identity) {
    if spec.recipe.class_weights != ClassWeights::None {
        lines.insert("class-weights".into(), spec.recipe.class_weights.to_string());
    }
    if options.sampler != Sampler::Shuffle {
        lines.insert("sampler".into(), options.sampler.to_string());
    }
}

fn recipe(recipe: &Recipe, lines: &mut Identity) {
    let mut put = |key: &str, value: &dyn Display| {
        lines.insert(key.to_string(), value.to_string());
    };
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
        class_weights: _,
        clip_grad_norm,
        grad_accum_steps,
        loss,
        patience,
        // The location of the data; the content has a separate line.
        data: _,
    } = recipe;
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
    put("lr-milestones", &list(lr_milestones));
    put("lr-gamma", lr_gamma);
    put("lr-min", lr_min);
    put("lr-power", lr_power);
    put("lr-patience", lr_patience);
    put("lr-cuts", &or_none(lr_cuts));
    put("lr-warmup-epochs", lr_warmup_epochs);
    put("label-smoothing", label_smoothing);
    put("clip-grad-norm", &or_none(clip_grad_norm));
    put("grad-accum-steps", grad_accum_steps);
    put("loss", loss);
    put("patience", &or_none(patience));
}

/// The model file without its recipe: the input, a line for each key of a table, and one for each layer.
fn network(spec: &Spec, lines: &mut Identity) -> Result<()> {
    let wrong = |error: &dyn Display| Error::Internal(format!("model file of {}: {error}", spec.name));
    let file: toml::Table = spec.to_toml().parse().map_err(|error: toml::de::Error| wrong(&error))?;
    let json = |value: &toml::Value| serde_json::to_string(value).map_err(|error| wrong(&error));
    lines.insert("input".into(), list(&spec.input));
    for table in ["preprocess", "augment", "init"] {
        for (key, value) in file.get(table).and_then(toml::Value::as_table).into_iter().flatten() {
            lines.insert(format!("{table}.{key}"), json(value)?);
        }
    }
    let layers = file.get("layer").and_then(toml::Value::as_array);
    for (number, (layer, value)) in spec.layers.iter().zip(layers.into_iter().flatten()).enumerate() {
        lines.insert(format!("layer {number:03} {}", layer.name), json(value)?);
    }
    Ok(())
}

fn or_none(value: &Option<impl Display>) -> String {
    value.as_ref().map_or("none".into(), ToString::to_string)
}

fn list(values: &[usize]) -> String {
    format!("[{}]", values.iter().map(ToString::to_string).collect::<Vec<_>>().join(", "))
}

/// The rules by which the run with these `lines`, of any format, resizes and crops its images.
pub fn rules(lines: &Identity) -> Rules {
    if lines.contains_key(GEOMETRY) { Rules::Torchvision } else { Rules::Covered }
}

/// Number of classes and XXH3 (64 bits) of their names, of which there may be a million.
pub(super) fn classes(dataset: &Dataset) -> String {
    let mut hash = Xxh3::new();
    for name in &dataset.class_names {
        hash.update(&(name.len() as u64).to_le_bytes());
        hash.update(name.as_bytes());
    }
    format!("{} {:016x}", dataset.classes, hash.digest())
}

/// XXH3 (64 bits) of the labels.
pub(super) fn labels(dataset: &Dataset) -> String {
    let mut hash = Xxh3::new();
    match &dataset.labels {
        Labels::Classes(classes) => classes.iter().for_each(|class| hash.update(&class.to_le_bytes())),
        Labels::Values { values, .. } => values.iter().for_each(|value| hash.update(&value.to_le_bytes())),
    }
    format!("{:016x}", hash.digest())
}

/// XXH3 (64 bits) of the images; of images that are read one by one, of their order and the names of their files, since
/// reading them all would take as long as an epoch.
pub(super) fn images(dataset: &Dataset) -> String {
    let mut hash = Xxh3::new();
    match &dataset.images {
        Images::U8(values) => hash.update(values),
        Images::F32(values) => hash.update(bytemuck::cast_slice(values)),
        Images::Levels(values) => {
            // The same numbers as network input are other images.
            hash.update(b"levels");
            hash.update(bytemuck::cast_slice(values));
        }
        Images::Stored(stored) => {
            // Images that are only resized are the same images.
            if let Some(from) = stored.store.source() {
                return images(from);
            }
            for shard in stored.store.shards() {
                hash.update(shard.file_name().unwrap_or_default().as_encoded_bytes());
                let length = std::fs::metadata(shard).map_or(0, |file| file.len());
                hash.update(&length.to_le_bytes());
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
    fn the_lines_are_names_and_values_of_model_files_and_flags() {
        let text = include_str!("../../../tests/fixtures/checkpoints/version1/every_layer.toml");
        let spec = Spec::parse(text, "every_layer.toml").unwrap();
        let part = std::sync::Arc::new(Dataset {
            name: "d".into(),
            shape: [3, 16, 16],
            classes: 3,
            class_names: Vec::new(),
            images: Images::U8(Vec::new()),
            labels: Labels::Classes(vec![0; 4]),
        });
        let options = Options { freeze: Some("n1".into()), loss_scale: Some(65536.0), ..Options::default() };
        let lines = identity(&spec, &Splits::of(part), &options).unwrap();
        for (key, line) in [
            ("opt", "adamw"),
            ("lr", "0.01"),
            ("eps", "0.00000001"),
            ("lr-scheduler", "multistep"),
            ("lr-milestones", "[1, 2]"),
            ("lr-cuts", "none"),
            ("clip-grad-norm", "1.5"),
            ("loss", "cross-entropy"),
            ("freeze", "n1"),
            ("amp", "65536"),
            ("input", "[3, 16, 16]"),
            ("geometry", "2"),
            ("preprocess.resize", "20"),
            ("augment.crop", "\"random\""),
            ("training shape", "[3, 16, 16]"),
            ("training samples", "4"),
            ("layer 002 r1", r#"{"name":"r1","op":"relu"}"#),
            ("layer 004 s1", r#"{"inputs":["r1","c2"],"name":"s1","op":"add"}"#),
        ] {
            assert_eq!(lines.get(key).map(String::as_str), Some(line), "{key}");
        }
        assert_eq!(lines.keys().filter(|key| key.starts_with("layer ")).count(), spec.layers.len());
        // Nothing is printed as Rust's types are.
        assert!(!lines.values().any(|line| line.contains("Some(") || line.contains(" { ")), "{lines:?}");
    }
}
