//! What is done to pictures, as nodes: from u8 `[batch, height, width, channels]` to what the first layer reads, and from logits to probabilities.

use super::super::schema::data_type;
use super::graph::{Builder, NodeBuilder};
use crate::model::Preprocess;

const CAST: &str = "preprocess.cast";
const TRANSPOSE: &str = "preprocess.transpose";
const SCALE: &str = "preprocess.scale";
const OFFSET: &str = "preprocess.offset";
const MUL: &str = "preprocess.mul";
const ADD: &str = "preprocess.add";

/// The names of its values and constants.
pub(super) const NAMES: [&str; 6] = [CAST, TRANSPOSE, SCALE, OFFSET, MUL, ADD];

/// Adds (pixel * scale - mean) / std as one product and one sum per channel; returns the value that has it.
pub(super) fn add(builder: &mut Builder, preprocess: &Preprocess) -> String {
    let channels = preprocess.mean.len();
    let each = |value: fn(f64, f64, f64) -> f64| -> Vec<f32> {
        let pairs = preprocess.mean.iter().zip(&preprocess.std);
        let scale = f64::from(preprocess.scale);
        pairs.map(|(&mean, &std)| value(scale, f64::from(mean), f64::from(std)) as f32).collect()
    };
    builder.initializer(SCALE, &[channels, 1, 1], &each(|scale, _, std| scale / std));
    builder.initializer(OFFSET, &[channels, 1, 1], &each(|_, mean, std| -mean / std));
    let cast = NodeBuilder::new("Cast", CAST, &["input"], CAST);
    builder.add(cast.int("to", i64::from(data_type::FLOAT)));
    builder.add(NodeBuilder::new("Transpose", TRANSPOSE, &[CAST], TRANSPOSE).ints("perm", &[0, 3, 1, 2]));
    builder.add(NodeBuilder::new("Mul", MUL, &[TRANSPOSE, SCALE], MUL));
    builder.add(NodeBuilder::new("Add", ADD, &[MUL, OFFSET], ADD));
    ADD.into()
}

/// Adds the softmax that the loss contains.
pub(super) fn softmax(builder: &mut Builder) {
    let node = NodeBuilder::new("Softmax", "probabilities", &["logits"], "probabilities");
    builder.add(node.int("axis", 1));
}
