//! Preprocessing as nodes: from images, u8 `[batch, height, width, channels]`, to the first layer's input, and from logits
//! to probabilities.

use super::super::schema::data_type;
use super::graph::{GraphBuilder, NodeBuilder};
use crate::model::Preprocess;

/// Adds (pixel * scale - mean) / std as one product and one sum per channel, and returns the name of the result.
pub(super) fn add(builder: &mut GraphBuilder, preprocess: &Preprocess) -> String {
    let channels = preprocess.mean.len();
    let each = |value: fn(f64, f64, f64) -> f64| -> Vec<f32> {
        let pairs = preprocess.mean.iter().zip(&preprocess.std);
        let scale = f64::from(preprocess.scale);
        pairs.map(|(&mean, &std)| value(scale, f64::from(mean), f64::from(std)) as f32).collect()
    };
    let shape = [channels, 1, 1];
    let scale = builder.constant("preprocess.scale", &shape, &each(|scale, _, std| scale / std));
    let offset = builder.constant("preprocess.offset", &shape, &each(|_, mean, std| -mean / std));
    let cast = builder.helper_with("preprocess", "cast", "Cast", &["input"], |node| {
        node.int("to", i64::from(data_type::FLOAT))
    });
    let planes = builder.helper_with("preprocess", "transpose", "Transpose", &[&cast], |node| {
        node.ints("perm", &[0, 3, 1, 2])
    });
    let product = builder.helper("preprocess", "mul", "Mul", &[&planes, &scale]);
    builder.helper("preprocess", "add", "Add", &[&product, &offset])
}

/// Adds the softmax that training computes inside the loss.
pub(super) fn softmax(builder: &mut GraphBuilder) {
    let name = builder.fresh("softmax");
    let node = NodeBuilder::new("Softmax", &name, &["logits"], "probabilities");
    builder.add(node.int("axis", 1));
}
