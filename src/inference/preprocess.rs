//! The images that a network expects, and the transform from pixels to its input.

use super::weights::outputs;
use crate::data::{Fit, ModelShape, Transform};
use crate::error::Result;
use crate::model::Spec;
use crate::view::{Crop, Rules};

/// How the images of `spec` are fitted to its input.
pub fn fit(spec: &Spec) -> Fit {
    match (spec.geometry.rules, spec.preprocess.square) {
        (Rules::Covered, _) => Fit::Covered,
        (Rules::Torchvision, true) => Fit::Square,
        (Rules::Torchvision, false) => {
            Fit::Input { random_resized: spec.augment.crop == Crop::RandomResized }
        }
    }
}

/// What `spec` wants of its data; with `follow_classes` there may be more named classes than it has outputs.
pub fn wanted(spec: &Spec, follow_classes: bool) -> Result<ModelShape> {
    Ok(ModelShape {
        input: spec.input,
        outputs: outputs(spec)?,
        resize: spec.preprocess.resize,
        fit: fit(spec),
        follow_classes,
    })
}

/// Channels, height and width of the images that `spec` expects: those that views show crops of, and the size in which
/// others are made up.
pub fn image_shape(spec: &Spec) -> [usize; 3] {
    spec.preprocess.resize.map_or(spec.input, |side| [spec.input[0], side, side])
}

/// From pixels to the network's input, as `spec` says.
pub fn transform(spec: &Spec) -> Transform {
    Transform {
        scale: spec.preprocess.scale,
        mean: spec.preprocess.mean.clone(),
        std: spec.preprocess.std.clone(),
        resize: spec.preprocess.resize,
        augment: spec.augment.clone(),
        principal: spec.preprocess.principal,
    }
}

/// Network input back to colours, `[channels, height, width]`: the inverse of (colour * scale - mean) / std.
pub(crate) fn colours(spec: &Spec, input: &[f32]) -> Vec<u8> {
    let plane = spec.input[1] * spec.input[2];
    let preprocess = &spec.preprocess;
    let of = |(at, value): (usize, &f32)| {
        let channel = at / plane;
        let colour = (value * preprocess.std[channel] + preprocess.mean[channel]) / preprocess.scale;
        colour.round().clamp(0.0, 255.0) as u8
    };
    input.iter().enumerate().map(of).collect()
}
