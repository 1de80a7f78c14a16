//! Weights by name: out of an executor, into a file's tensors, back into an executor, and their fingerprint.

use crate::error::{Error, Result, printable, printable_path};
use crate::interchange::{self, File};
use crate::model::{BuildOptions, Model, Parameter, Spec};
use crate::program::{BufferId, Executor, Role};
use crate::tensor::{Shape, Tensor};
use crate::view::{Geometry, Rules};
use std::collections::BTreeMap;

/// Metadata of weights that are a moving average of those of training: its decay.
pub(crate) const EMA_DECAY: &str = "ema_decay";

/// Named tensors.
pub type Named = Vec<(String, Tensor)>;

/// All parameters, then the running statistics, in the model's order.
pub fn collect(model: &Model, executor: &mut dyn Executor) -> Result<Named> {
    let all: Vec<&Parameter> = model.parameters.iter().chain(&model.state).collect();
    let mut tensors = Vec::with_capacity(all.len());
    for parameter in all {
        let values = executor.read(parameter.buffer)?;
        tensors.push((parameter.name.clone(), Tensor::new(parameter.shape.clone(), values)?));
    }
    Ok(tensors)
}

/// As [`collect`], with the moving average of each tensor that has one in its place: the weights that a run evaluates and
/// saves.
pub fn collect_averaged(model: &Model, executor: &mut dyn Executor) -> Result<Named> {
    let all = model.parameters.iter().chain(&model.state);
    all.map(|parameter| {
        let values = executor.read(parameter.average.unwrap_or(parameter.buffer))?;
        Ok((parameter.name.clone(), Tensor::new(parameter.shape.clone(), values)?))
    })
    .collect()
}

/// SHA-256 over all parameters in name order as little-endian f32, in hexadecimal. Running statistics and whatever else
/// `tensors` holds take no part.
pub fn sha256(model: &Model, tensors: &[(String, Tensor)]) -> String {
    let is_parameter = |name: &str| model.parameters.iter().any(|p| p.name == name);
    let parameters: Vec<(String, &[f32])> = tensors
        .iter()
        .filter(|(name, _)| is_parameter(name))
        .map(|(name, tensor)| (name.clone(), tensor.data()))
        .collect();
    interchange::weights_sha256(&parameters)
}

/// Writes the values that `seed` gives to parameters, running statistics and the optimiser's state.
pub fn initialise(model: &Model, executor: &mut dyn Executor, seed: u64) -> Result<()> {
    for (buffer, values) in model.initial(seed)? {
        executor.write(buffer, &values)?;
    }
    Ok(())
}

/// Writes the tensors of `file` into the parameters and running statistics of their names.
///
/// Tensors of the layer `replaced` (fine-tuning with other classes) are passed over: its parameters keep their
/// values. All others must be there, with the right shapes, and no more than they.
pub fn load(
    model: &Model,
    executor: &mut dyn Executor,
    mut file: File,
    replaced: Option<&str>,
) -> Result<()> {
    let is_fresh = |name: &str| replaced.is_some_and(|layer| belongs(name, layer));
    file.unwrap_names(model.parameters.iter().map(|p| p.name.as_str()));
    file.tensors.retain(|name, _| !is_fresh(name));
    let wanted: Vec<&Parameter> =
        model.parameters.iter().chain(&model.state).filter(|p| !is_fresh(&p.name)).collect();
    let expected: Vec<(String, Shape)> = wanted.iter().map(|p| (p.name.clone(), p.shape.clone())).collect();
    let own = file.metadata.get("model").and_then(|text| Spec::parse(text, "weights").ok());
    let own = own.map(|spec| spec.name).filter(|name| *name != model.name);
    let tensors =
        interchange::match_tensors(file, &model.name, &expected).map_err(|error| match (error, own) {
            (Error::Data { path, message }, Some(own)) => {
                Error::Data { path, message: format!("weights of {own}, not of {}: {message}", model.name) }
            }
            (error, _) => error,
        })?;
    for (parameter, tensor) in wanted.iter().zip(&tensors) {
        executor.write(parameter.buffer, tensor.data())?;
        if let Some(average) = parameter.average {
            executor.write(average, tensor.data())?;
        }
    }
    Ok(())
}

/// Writes what [`collect`] gave into another model of the same parameters.
pub(crate) fn restore(
    model: &Model,
    executor: &mut dyn Executor,
    tensors: &[(String, Tensor)],
) -> Result<()> {
    for (parameter, (_, tensor)) in model.parameters.iter().chain(&model.state).zip(tensors) {
        executor.write(parameter.buffer, tensor.data())?;
    }
    Ok(())
}

/// Writes `values` into the buffers of their names, parameters, statistics and optimiser state alike. What has another shape
/// or no buffer is passed over. Moving averages that are not among them begin with the weights.
pub(crate) fn restore_named(
    model: &Model,
    executor: &mut dyn Executor,
    values: &[(String, Tensor)],
) -> Result<()> {
    for (number, buffer) in model.program.buffers().iter().enumerate() {
        let found =
            values.iter().find(|(name, tensor)| *name == buffer.name && *tensor.shape() == buffer.shape);
        if let Some((_, tensor)) = found {
            executor.write(BufferId(number as u32), tensor.data())?;
        }
    }
    // An average that was not kept begins with the weight.
    for (parameter, average) in model.averages() {
        let name = &model.program.buffer(average).name;
        if !values.iter().any(|(other, _)| other == name) {
            let values = executor.read(parameter.buffer)?;
            executor.write(average, &values)?;
        }
    }
    Ok(())
}

/// Every tensor that outlives a step, by the name of its buffer: parameters, statistics and optimiser state.
pub(crate) fn collect_state(model: &Model, executor: &mut dyn Executor) -> Result<Named> {
    let mut tensors = Named::new();
    for (number, buffer) in model.program.buffers().iter().enumerate() {
        if matches!(buffer.role, Role::Parameter | Role::State | Role::Optimizer | Role::Average) {
            let values = executor.read(BufferId(number as u32))?;
            tensors.push((buffer.name.clone(), Tensor::new(buffer.shape.clone(), values)?));
        }
    }
    Ok(tensors)
}

/// Whether the parameter `name` is one of `layer`'s own.
fn belongs(name: &str, layer: &str) -> bool {
    name.strip_prefix(layer).is_some_and(|rest| rest.starts_with('.'))
}

/// Outputs of the network's last layer.
pub fn outputs(spec: &Spec) -> Result<usize> {
    let smallest = BuildOptions { training: false, ..BuildOptions::new(1) };
    Ok(Model::build(spec, &smallest)?.classes)
}

/// The network that a weights file belongs to: `model` (a name or path) if given, else the one that the file carries.
/// It gets as many outputs as the file says or, if it does not say, as its weights have, and the label smoothing of its training.
pub fn spec_of(file: &File, model: Option<&str>) -> Result<Spec> {
    let note = |key: &str| file.metadata.get(key);
    let mut spec = match (model, note("model")) {
        (Some(model), _) => Spec::load(model)?,
        (None, Some(text)) => Spec::parse(text, &format!("{} (its model)", file.path.display()))?,
        (None, None) => {
            let what = "does not name its network; set the option model";
            return Err(Error::Usage(format!("{}: {what}", file.path.display())));
        }
    };
    spec.geometry = geometry(file)?;
    let number = |key: &str| note(key).and_then(|text| text.parse::<usize>().ok());
    if let Some(classes) = number("num_classes").filter(|&n| n > 0).or_else(|| outputs_in(file, &spec))
        && classes != outputs(&spec)?
    {
        spec.replace_outputs(classes)?;
    }
    if let Some(smoothing) = note("label_smoothing").and_then(|text| text.parse().ok()) {
        spec.recipe.label_smoothing = smoothing;
    }
    Ok(spec)
}

/// Outputs of the network `spec` according to the last layer's weight in `file`: files of other programs do not say how many
/// classes they are for, and it may be other ones than the model file's.
pub fn outputs_in(file: &File, spec: &Spec) -> Option<usize> {
    let last = spec.clone().replace_outputs(1).ok()?;
    let shape = file.tensor(&format!("{last}.weight"))?.shape();
    shape.dims().first().copied().filter(|&outputs| outputs > 0)
}

/// The geometry of the images that the weights of `file` were trained on. Earlier versions of Striate had a single rule;
/// weights of other programs follow torchvision.
pub fn geometry(file: &File) -> Result<Geometry> {
    let note = |key: &str| file.metadata.get(key).map(String::as_str);
    let rules = match (note("geometry"), note("engine")) {
        (None, Some("striate")) => Rules::Covered,
        (None, _) => Rules::Torchvision,
        (version, _) if version == Rules::Torchvision.version() => Rules::Torchvision,
        (Some(version), _) => {
            let what = format!("geometry: expected version 2, found {version:?}");
            return Err(Error::data(&file.path, printable(&what).into_owned()));
        }
    };
    Ok(Geometry { rules, ignore_exif: note("ignore_exif") == Some("true") })
}

/// What the metadata of `file` say of the network's input that `spec` does otherwise, in one line; `None` if nothing.
pub fn other_input(file: &File, spec: &Spec) -> Option<String> {
    let Spec { input, preprocess, .. } = spec;
    let list = |text: &String| serde_json::from_str::<Vec<f32>>(text).ok();
    let sides: Vec<f32> = input.iter().map(|&side| side as f32).collect();
    let [resize, crop] =
        [preprocess.resize, preprocess.crop].map(|side| side.map_or("none".into(), |n| n.to_string()));
    let number = |text: &String| text.parse::<f32>().ok();
    let is_ours = file.metadata.contains_key("input_size");
    let mut differences = Vec::new();
    let mut compare = |key: &str, is_same: &dyn Fn(&String) -> bool, ours: String| {
        let none = "none".to_string();
        // Our own files leave out what there is none of.
        let found =
            file.metadata.get(key).or((is_ours && ["resize", "crop"].contains(&key)).then_some(&none));
        if let Some(found) = found.filter(|found| !is_same(found)) {
            differences.push(format!("{key} {found}, not {ours}"));
        }
    };
    compare("input_size", &|text| list(text).is_none_or(|found| found == sides), format!("{input:?}"));
    compare(
        "scale",
        &|text| number(text).is_none_or(|found| found == preprocess.scale),
        preprocess.scale.to_string(),
    );
    compare(
        "mean",
        &|text| list(text).is_none_or(|found| found == preprocess.mean),
        format!("{:?}", preprocess.mean),
    );
    compare(
        "std",
        &|text| list(text).is_none_or(|found| found == preprocess.std),
        format!("{:?}", preprocess.std),
    );
    compare("resize", &|text| *text == resize, resize.clone());
    compare("crop", &|text| *text == crop, crop.clone());
    (!differences.is_empty()).then(|| {
        format!(
            "{}: the weights were trained with {}; what the model file {} says is used",
            printable_path(&file.path),
            differences.join("; "),
            spec.name
        )
    })
}

/// What stands in a weights file beside the tensors, as text: enough to use them without the run's folder. `outputs` is how
/// many the network has, which may be other than its model file says, and `class_names` what they are called.
pub fn metadata(spec: &Spec, outputs: usize, class_names: &[String]) -> BTreeMap<String, String> {
    let list = |values: &[f32]| serde_json::json!(values).to_string();
    let mut map = BTreeMap::from([
        ("format".to_string(), "pt".to_string()),
        ("arch".into(), spec.name.clone()),
        ("model".into(), spec.source.clone()),
        ("num_classes".into(), outputs.to_string()),
        ("classes".into(), serde_json::json!(class_names).to_string()),
        ("input_size".into(), serde_json::json!(spec.input).to_string()),
        ("scale".into(), spec.preprocess.scale.to_string()),
        ("mean".into(), list(&spec.preprocess.mean)),
        ("std".into(), list(&spec.preprocess.std)),
        ("label_smoothing".into(), spec.recipe.label_smoothing.to_string()),
        ("engine".into(), "striate".into()),
        ("engine_version".into(), env!("CARGO_PKG_VERSION").into()),
    ]);
    let Geometry { rules, ignore_exif } = spec.geometry;
    for (key, value) in [
        ("resize", spec.preprocess.resize.map(|side| side.to_string())),
        ("crop", spec.preprocess.crop.map(|side| side.to_string())),
        ("square", spec.preprocess.square.then(|| "true".to_string())),
        ("geometry", rules.version().map(String::from)),
        ("ignore_exif", ignore_exif.then(|| "true".to_string())),
    ] {
        if let Some(value) = value {
            map.insert(key.into(), value);
        }
    }
    map
}

#[cfg(test)]
mod tests {
    use super::belongs;

    #[test]
    fn a_parameter_belongs_to_its_layer_and_not_to_one_with_a_longer_name() {
        assert!(belongs("classifier.6.weight", "classifier.6"));
        assert!(!belongs("classifier.61.weight", "classifier.6"));
        assert!(!belongs("classifier.6", "classifier.6"));
    }
}
