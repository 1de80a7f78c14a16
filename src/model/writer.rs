//! From a [`Spec`] to the text of a model file: the inverse of the reading in `spec`, `preprocess`, `recipe` and `layers`.

use super::class_weights::ClassWeights;
use super::init::{Fan, Init, WeightInit};
use super::layer::Layer;
use super::layers::LayerOp;
use super::preprocess::Preprocess;
use super::reader::{Padding, Pair};
use super::recipe::Recipe;
use super::spec::Spec;
use crate::view::{Augment, Principal};
use std::fmt;

impl Spec {
    /// The text of a model file that reads as this network, without values that are the default.
    pub fn to_toml(&self) -> String {
        let mut out = Text::default();
        out.put("name", &self.name);
        out.put("input", &self.input);
        out.table("[preprocess]", |t| {
            preprocess(t, &self.preprocess, self.input[0]);
            // Its presence means something, even if it holds only defaults.
            if self.has_preprocess() && t.0.is_empty() {
                t.put("scale", &self.preprocess.scale);
            }
        });
        out.table("[augment]", |t| augment(t, &self.augment));
        out.table("[recipe]", |t| recipe(t, &self.recipe));
        // The initial values of a layer that has none of its own can only come from the table [init].
        let has_own = |op: &LayerOp| op.has_parameters() && op.kind().takes_init();
        let common =
            self.layers.iter().find(|l| !has_own(&l.op)).map_or_else(Init::default, |l| l.init.clone());
        if common != Init::default() {
            out.table("[init]", |t| {
                for (key, value) in init(&common) {
                    t.put(key, &value);
                }
            });
        }
        let mut above = "input";
        for layer in &self.layers {
            out.table("[[layer]]", |t| write_layer(t, layer, above, &common));
            above = &layer.name;
        }
        out.0
    }
}

/// Lines of a model file.
#[derive(Default)]
pub(super) struct Text(String);

impl Text {
    pub fn put(&mut self, key: &str, value: &(impl ToToml + ?Sized)) {
        self.0.push_str(&format!("{key} = {}\n", value.toml()));
    }

    pub fn put_unless<T: ToToml + PartialEq>(&mut self, key: &str, value: &T, default: &T) {
        if value != default {
            self.put(key, value);
        }
    }

    pub fn put_some<T: ToToml>(&mut self, key: &str, value: &Option<T>) {
        if let Some(value) = value {
            self.put(key, value);
        }
    }

    /// A table under `head`, unless it would be empty.
    fn table(&mut self, head: &str, fill: impl FnOnce(&mut Text)) {
        let mut inner = Text::default();
        fill(&mut inner);
        if !inner.0.is_empty() {
            self.0.push_str(&format!("\n{head}\n{}", inner.0));
        }
    }
}

/// A value that can be written as TOML.
pub(super) trait ToToml {
    fn toml(&self) -> String;
}

impl ToToml for bool {
    fn toml(&self) -> String {
        self.to_string()
    }
}

impl ToToml for usize {
    fn toml(&self) -> String {
        self.to_string()
    }
}

impl ToToml for f32 {
    /// The fewest digits that read as the same number.
    fn toml(&self) -> String {
        format!("{self:?}")
    }
}

impl ToToml for f64 {
    /// The fewest digits that read as the same number.
    fn toml(&self) -> String {
        format!("{self:?}")
    }
}

impl ToToml for str {
    fn toml(&self) -> String {
        toml::Value::String(self.to_string()).to_string()
    }
}

impl ToToml for String {
    fn toml(&self) -> String {
        self.as_str().toml()
    }
}

impl<T: ToToml> ToToml for [T] {
    fn toml(&self) -> String {
        let values: Vec<_> = self.iter().map(ToToml::toml).collect();
        format!("[{}]", values.join(", "))
    }
}

impl<T: ToToml> ToToml for Vec<T> {
    fn toml(&self) -> String {
        self.as_slice().toml()
    }
}

impl<T: ToToml, const N: usize> ToToml for [T; N] {
    fn toml(&self) -> String {
        self.as_slice().toml()
    }
}

impl ToToml for Pair {
    fn toml(&self) -> String {
        let Pair([h, w]) = self;
        if h == w { h.toml() } else { self.0.toml() }
    }
}

impl ToToml for Padding {
    fn toml(&self) -> String {
        let Padding([top, left, bottom, right]) = *self;
        if [top, left] == [bottom, right] { Pair([top, left]).toml() } else { self.0.toml() }
    }
}

impl ToToml for ClassWeights {
    fn toml(&self) -> String {
        let ClassWeights::Named(weights) = self else { return self.to_string().toml() };
        let entries: Vec<_> =
            weights.iter().map(|(name, weight)| format!("{} = {}", name.toml(), weight.toml())).collect();
        format!("{{ {} }}", entries.join(", "))
    }
}

/// A value that has been written already.
struct Written(String);

impl ToToml for Written {
    fn toml(&self) -> String {
        self.0.clone()
    }
}

/// `{ key = value, ... }`
fn inline<'k>(entries: impl IntoIterator<Item = (&'k str, Written)>) -> Written {
    let entries: Vec<_> = entries.into_iter().map(|(key, value)| format!("{key} = {}", value.0)).collect();
    Written(format!("{{ {} }}", entries.join(", ")))
}

fn word<T: PartialEq>(known: &[(&'static str, T)], value: &T) -> Option<String> {
    known.iter().find(|(_, v)| v == value).map(|(name, _)| name.to_string())
}

fn preprocess(out: &mut Text, p: &Preprocess, channels: usize) {
    let Preprocess { resize, crop, square, scale, mean, std, principal } = p;
    let Principal { values, vectors } = Principal::default();
    out.put_some("resize", resize);
    out.put_some("crop", crop);
    out.put_unless("square", square, &false);
    out.put_unless("scale", scale, &(1.0 / 255.0));
    out.put_unless("mean", mean, &vec![0.0; channels]);
    out.put_unless("std", std, &vec![1.0; channels]);
    out.put_unless("pca_eigenvalues", &principal.values, &values);
    out.put_unless("pca_eigenvectors", &principal.vectors, &vectors);
}

fn augment(out: &mut Text, a: &Augment) {
    let d = Augment::default();
    let Augment {
        crop,
        scale,
        ratio,
        flip,
        pca,
        brightness,
        contrast,
        saturation,
        rotation,
        cutout,
        random_erasing,
        trivial_augment,
    } = a;
    if *crop != d.crop {
        out.put_some("crop", &word(crate::view::Crop::ALL, crop));
    }
    out.put_unless("scale", scale, &d.scale);
    out.put_unless("ratio", ratio, &d.ratio);
    out.put_unless("flip", flip, &d.flip);
    out.put_unless("pca", pca, &d.pca);
    out.put_unless("brightness", brightness, &d.brightness);
    out.put_unless("contrast", contrast, &d.contrast);
    out.put_unless("saturation", saturation, &d.saturation);
    out.put_unless("rotation", rotation, &d.rotation);
    out.put_unless("cutout", cutout, &d.cutout);
    out.put_unless("random_erasing", random_erasing, &d.random_erasing);
    out.put_unless("trivial_augment", trivial_augment, &d.trivial_augment);
}

fn recipe(out: &mut Text, r: &Recipe) {
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
        class_weights,
        clip_grad_norm,
        grad_accum_steps,
        loss,
        patience,
        data,
    } = r;
    // The defaults of the other keys follow the optimiser.
    let d = Recipe::for_optimizer(*optimizer);
    let name = |value: &dyn fmt::Display| value.to_string();
    out.put_unless("epochs", epochs, &d.epochs);
    out.put_unless("batch_size", batch_size, &d.batch_size);
    out.put_unless("optimizer", &name(optimizer), &name(&Recipe::default().optimizer));
    out.put_unless("lr", lr, &d.lr);
    out.put_unless("momentum", momentum, &d.momentum);
    out.put_unless("nesterov", nesterov, &d.nesterov);
    out.put_unless("beta2", beta2, &d.beta2);
    out.put_unless("eps", eps, &d.eps);
    out.put_unless("weight_decay", weight_decay, &d.weight_decay);
    out.put_unless("lr_scheduler", &name(lr_scheduler), &name(&d.lr_scheduler));
    out.put_unless("lr_step_size", lr_step_size, &d.lr_step_size);
    out.put_unless("lr_milestones", lr_milestones, &d.lr_milestones);
    out.put_unless("lr_gamma", lr_gamma, &d.lr_gamma);
    out.put_unless("lr_min", lr_min, &d.lr_min);
    out.put_unless("lr_power", lr_power, &d.lr_power);
    out.put_unless("lr_patience", lr_patience, &d.lr_patience);
    out.put_some("lr_cuts", lr_cuts);
    out.put_unless("lr_warmup_epochs", lr_warmup_epochs, &d.lr_warmup_epochs);
    out.put_unless("label_smoothing", label_smoothing, &d.label_smoothing);
    out.put_unless("class_weights", class_weights, &d.class_weights);
    out.put_some("clip_grad_norm", clip_grad_norm);
    out.put_unless("grad_accum_steps", grad_accum_steps, &d.grad_accum_steps);
    out.put_unless("loss", &name(loss), &name(&d.loss));
    out.put_some("patience", patience);
    out.put_some("data", data);
}

/// The keys of a table of initial values.
fn init(init: &Init) -> Vec<(&'static str, Written)> {
    let word = |name: &str| Written(name.toml());
    let fan = |name: &str, fan: &Fan| match fan {
        Fan::In => vec![("weight", word(name))],
        Fan::Out => vec![("weight", word(name)), ("mode", word("fan_out"))],
    };
    let mut keys = match &init.weight {
        WeightInit::Default => vec![("weight", word("default"))],
        WeightInit::Normal { std } => vec![("weight", word("normal")), ("std", Written(std.toml()))],
        WeightInit::Uniform { bound } => vec![("weight", word("uniform")), ("bound", Written(bound.toml()))],
        WeightInit::Kaiming { fan: f } => fan("kaiming", f),
        WeightInit::KaimingUniform { fan: f } => fan("kaiming-uniform", f),
        WeightInit::Xavier => vec![("weight", word("xavier"))],
        WeightInit::XavierNormal => vec![("weight", word("xavier-normal"))],
        WeightInit::Constant { value } => vec![("weight", Written(value.toml()))],
        WeightInit::Values(values) => vec![("weight", Written(values.toml()))],
    };
    keys.extend(init.bias.map(|bias| ("bias", Written(bias.toml()))));
    keys
}

fn write_layer(out: &mut Text, layer: &Layer, above: &str, common: &Init) {
    let Layer { name, op, inputs, init: own, lr_mult, decay_mult, line: _ } = layer;
    out.put("name", name);
    out.put("op", op.name());
    match inputs.as_slice() {
        [input] => out.put_unless("input", input, &above.to_string()),
        inputs => out.put("inputs", inputs),
    }
    op.kind().write(out);
    if !op.has_parameters() {
        return;
    }
    let inherited = if op.kind().inherits_init() { common } else { &Init::default() };
    if op.kind().takes_init() && own != inherited {
        out.put("init", &inline(init(own)));
    }
    for (key, [weight, bias]) in [("lr_mult", lr_mult), ("decay_mult", decay_mult)] {
        if weight != bias {
            let both = [("weight", Written(weight.toml())), ("bias", Written(bias.toml()))];
            out.put(key, &inline(both));
        } else {
            out.put_unless(key, weight, &1.0);
        }
    }
}
