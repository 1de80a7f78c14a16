//! The fixtures: a model file and what PyTorch made of it; `tests/fixtures/make.py` says what each tensor is.

use std::collections::BTreeMap;
use std::path::Path;
use striate::interchange::safetensors;
use striate::model::{ClassWeights, Spec};
use striate::tensor::Tensor;

/// Files of `tests/fixtures`, without their endings.
pub const NAMES: [&str; 12] = [
    "alexnet_like",
    "residual",
    "fire",
    "sigmoid",
    "leaky_relu",
    "activations",
    "shuffle",
    "layer_norm",
    "weighted",
    "adam",
    "adamw",
    "rmsprop",
];

/// Steps that PyTorch trained.
pub const STEPS: usize = 10;

#[derive(Clone, Debug)]
pub struct Fixture {
    pub spec: Spec,
    pub tensors: BTreeMap<String, Tensor>,
}

impl Fixture {
    pub fn load(name: &str) -> Self {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures");
        let path = |ending: &str| folder.join(format!("{name}.{ending}"));
        let spec = Spec::load(&path("toml").to_string_lossy()).unwrap();
        let tensors = safetensors::read(path("safetensors")).unwrap().tensors;
        Fixture { spec, tensors }
    }

    pub fn get(&self, name: &str) -> &[f32] {
        self.tensors.get(name).unwrap_or_else(|| panic!("{}: no tensor {name}", self.spec.name)).data()
    }

    /// The weights of the classes in the loss; the names of the classes are their numbers.
    pub fn class_weights(&self) -> Option<Vec<f32>> {
        let ClassWeights::Named(weights) = &self.spec.recipe.class_weights else { return None };
        Some((0..weights.len()).map(|class| weights[&class.to_string()]).collect())
    }

    /// Rows of a batch.
    pub fn rows(&self) -> usize {
        self.tensors["labels"].shape().dims()[1]
    }

    /// Row number `row` of the batch of `step`: image and label.
    pub fn row(&self, step: usize, row: usize) -> (&[f32], f32) {
        let (inputs, labels) = (self.get("inputs"), self.get("labels"));
        let number = step * self.rows() + row;
        let len = inputs.len() / labels.len();
        (&inputs[number * len..(number + 1) * len], labels[number])
    }
}
