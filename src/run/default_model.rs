//! The network of a run that names none: one that its data fits.

use super::environment::Environment;
use super::options::RunOptions;
use crate::data::{self, Content, Look};
use crate::error::{Error, Result};
use crate::inference::DEFAULT_MODEL;
use crate::model::Spec;

/// The network for images that are larger than those of [`DEFAULT_MODEL`], or in colour.
const FOR_PHOTOS: &str = "alexnet-64";
/// Sides of the images of [`DEFAULT_MODEL`].
const SIDE: usize = 28;

/// `options` of a new run; where they name data but neither a network nor weights, with the network that fits the data, unless
/// that is [`DEFAULT_MODEL`].
///
/// # Errors
/// Those of opening the data, and [`Error::Usage`] for data that no network fits without being asked.
pub(super) fn with_model(mut options: RunOptions, environment: &dyn Environment) -> Result<RunOptions> {
    if options.model.is_some() || options.weights.is_some() || !options.data.is_named() {
        return Ok(options);
    }
    let spec = Spec::load(DEFAULT_MODEL)?;
    // Generated data has the size that the network takes.
    if data::find(options.data.place(&spec), options.data.kind)
        .is_ok_and(|place| place.kind == data::Kind::Synthetic)
    {
        return Ok(options);
    }
    environment.provide_data(options.data.path.as_deref(), options.data.kind)?;
    let request = options.data.request(&spec, options.train.seed, true)?;
    let Look { name, content } = data::look(&request)?;
    let option = environment.option("model");
    let (height, width, is_colour) = match content {
        Content::Images { height, width, is_colour } => (height, width, is_colour),
        Content::Numbers(count) => {
            return Err(Error::Usage(format!(
                "model: the samples of {name} are {count} numbers each, not images: expected a network for them ({option} FILE.toml), found none"
            )));
        }
        Content::Values => {
            return Err(Error::Usage(format!(
                "model: the labels of {name} are values, not classes: expected a network with the loss mse ({option} FILE.toml), found none"
            )));
        }
    };
    if height > SIDE || width > SIDE || is_colour {
        let photos = Spec::load(FOR_PHOTOS)?;
        let colour = if is_colour { "in colour" } else { "in grey" };
        let [_, high, wide] = photos.input;
        environment.note(&format!(
            "model: {FOR_PHOTOS} ({wide} x {high} in colour), as {name} has images up to {width} x {height} {colour}; {option} NAME trains another"
        ));
        options.model = Some(FOR_PHOTOS.into());
    }
    Ok(options)
}
