//! `striate import`: converts networks and weights of other programs to a model file and weights for evaluation, training
//! and export.

use super::outputs::Outputs;
use super::{Context, names};
use crate::atomic;
use crate::error::{Error, Result, printable_path};
use crate::inference::{self, quoted};
use crate::interchange::{self, File, Format, onnx, safetensors};
use crate::model::{BuildOptions, Model, Spec};
use crate::tensor::Shape;
use clap::Args;
use serde_json::json;
use std::path::{Path, PathBuf};

#[derive(Args, Debug)]
#[command(after_help = "Examples:
  striate import resnet18.onnx -o imported --mean 0.485,0.456,0.406 --std 0.229,0.224,0.225
  striate import resnet18.pth -m resnet18 -o imported
  striate import weights.npz -m alexnet -o imported --classes classes.txt
  striate eval --weights imported/resnet18.safetensors --data-path /data/imagenet")]
pub(crate) struct ImportArgs {
    /// Import this PyTorch (.pth), safetensors, NPZ or ONNX file
    file: PathBuf,
    /// Write <name>.toml and <name>.safetensors to DIR
    ///
    /// DIR is created if needed.
    #[arg(short, long, value_name = "DIR")]
    output: PathBuf,
    /// Replace existing files
    #[arg(long)]
    force: bool,
    /// Use this network
    ///
    /// A built-in network by its name, or a model file. [default: the one in the file]
    #[arg(short, long, value_name = "NAME|FILE")]
    model: Option<String>,
    /// Name the network and both files
    ///
    /// [default: the network's name]
    #[arg(long, value_name = "NAME", value_parser = name)]
    name: Option<String>,
    /// Read the class names from FILE
    ///
    /// One name per line, in the order of the outputs.
    #[arg(long, value_name = "FILE.txt")]
    classes: Option<PathBuf>,
    #[command(flatten)]
    onnx: OnnxArgs,
    #[command(flatten)]
    preprocess: PreprocessArgs,
}

#[derive(Args, Debug)]
#[command(next_help_heading = "ONNX")]
struct OnnxArgs {
    /// Set the input's channels, height, width
    ///
    /// For a file that leaves them open.
    #[arg(long, value_name = "C,H,W", value_parser = input)]
    input: Option<[usize; 3]>,
    /// Read weights from other files, in the folder of the ONNX file or below
    #[arg(long)]
    external_data: bool,
}

#[derive(Args, Debug)]
#[command(next_help_heading = "Preprocessing (default: the network's)")]
struct PreprocessArgs {
    /// Multiply pixels of 0 to 255 by FACTOR first
    #[arg(long, value_name = "FACTOR", allow_negative_numbers = true)]
    scale: Option<f32>,
    /// Subtract this mean from each channel
    ///
    /// After --scale; one value per channel.
    #[arg(long, value_name = "M,M,M", value_delimiter = ',', allow_negative_numbers = true)]
    mean: Option<Vec<f32>>,
    /// Divide each channel by this deviation
    ///
    /// After --mean; one standard deviation per channel.
    #[arg(long, value_name = "S,S,S", value_delimiter = ',', allow_negative_numbers = true)]
    std: Option<Vec<f32>>,
    /// Resize the shorter side of images to PIXELS
    #[arg(long, value_name = "PIXELS")]
    resize: Option<usize>,
}

fn name(text: &str) -> std::result::Result<String, String> {
    if !text.is_empty() && file_name(text) == text {
        Ok(text.to_string())
    } else {
        Err("expected letters, digits, '-', '_' and '.', and no '.' first".into())
    }
}

fn input(text: &str) -> std::result::Result<[usize; 3], String> {
    let numbers: Option<Vec<usize>> = text.split(',').map(|number| number.trim().parse().ok()).collect();
    let sides = numbers.and_then(|numbers| <[usize; 3]>::try_from(numbers).ok());
    sides
        .filter(|sides| sides.iter().all(|side| (1..=1 << 16).contains(side)))
        .ok_or_else(|| "expected channels, height and width, such as 3,224,224".into())
}

/// Makes `name` a valid file name on any system.
fn file_name(name: &str) -> String {
    let plain = |c: char| if c.is_alphanumeric() || "-_.".contains(c) { c } else { '-' };
    let name: String = name.trim_start_matches('.').chars().take(100).map(plain).collect();
    if name.is_empty() { "network".into() } else { name }
}

pub(super) fn run(args: &ImportArgs, context: &Context) -> Result<u8> {
    let (file, spec, notes) = read(args)?;
    let spec = adapted(spec, args)?;
    let model = Model::build(&spec, &BuildOptions { training: false, ..BuildOptions::new(1) })?;
    let parameters: usize = model.parameters.iter().map(|parameter| parameter.shape.len()).sum();
    let classes = args.classes.as_deref().map(|path| read_classes(path, model.classes)).transpose()?;

    let classes = match classes {
        Some(classes) => classes,
        None => names::of(&file, None, model.classes)?,
    };
    let mut metadata = file.metadata.clone();
    metadata.extend(inference::metadata(&spec, model.classes, &classes));
    let all = || model.parameters.iter().chain(&model.state);
    let expected: Vec<(String, Shape)> = all().map(|p| (p.name.clone(), p.shape.clone())).collect();
    let tensors = interchange::match_tensors(file, &model.name, &expected)?;
    let tensors: inference::Named = expected.into_iter().map(|(name, _)| name).zip(tensors).collect();
    let sha256 = inference::sha256(&model, &tensors);

    let stem = file_name(&spec.name);
    let model_path = args.output.join(format!("{stem}.toml"));
    let weights_path = args.output.join(format!("{stem}.safetensors"));
    check_outputs(args, &[&model_path, &weights_path])?;
    atomic::create_folders(&args.output)?;
    let weights = safetensors::stage(&weights_path, &tensors, &metadata)?;
    let model_file = atomic::stage(&model_path, |out| out.write_all(spec.source.as_bytes()))?;
    atomic::commit_all([weights, model_file])?;

    for note in &notes {
        context.out.note(&format!("note: {note}"));
    }
    if context.out.is_json() {
        context.out.json(&json!({
            "name": spec.name,
            "input": spec.input,
            "layers": spec.layers.len(),
            "parameters": parameters,
            "classes": model.classes,
            "weights_sha256": sha256,
            "notes": notes,
            "model": model_path,
            "weights": weights_path,
        }))?;
        return Ok(0);
    }
    let layers = spec.layers.len();
    let weights = quoted(&weights_path.display().to_string());
    context.out.line(&format!(
        "{}: {layers} layers, {parameters} parameters, {} outputs\nmodel    {}\nweights  {}\n\nnext: striate eval --weights {weights} --data-path DATA\n      striate train --weights {weights} --data-path DATA",
        spec.name,
        model.classes,
        printable_path(&model_path),
        printable_path(&weights_path),
    ))?;
    Ok(0)
}

/// Reads the weights and their network, with notes for the user.
fn read(args: &ImportArgs) -> Result<(File, Spec, Vec<String>)> {
    let path = &args.file;
    if interchange::format(path)? == Format::Onnx {
        let options = onnx::ImportOptions { external_data: args.onnx.external_data, input: args.onnx.input };
        let imported = onnx::read(path, &options)?;
        let spec = match &args.model {
            Some(model) => Spec::load(model)?,
            None => imported.spec.clone(),
        };
        let mut notes = imported.notes.clone();
        let file = imported.into_file(path);
        notes.extend(args.model.as_ref().and_then(|_| inference::other_input(&file, &spec)));
        return Ok((file, spec, notes));
    }
    for (flag, given) in
        [("--input", args.onnx.input.is_some()), ("--external-data", args.onnx.external_data)]
    {
        if given {
            let found = printable_path(path);
            return Err(Error::Usage(format!("{flag}: expected an ONNX file, found {found}")));
        }
    }
    let file = interchange::read(path)?;
    let spec = inference::spec_of(&file, args.model.as_deref())?;
    let mut notes = file.notes.clone();
    notes.extend(args.model.as_ref().and_then(|_| inference::other_input(&file, &spec)));
    Ok((file, spec, notes))
}

/// Applies the flags to `spec` and updates its text.
fn adapted(mut spec: Spec, args: &ImportArgs) -> Result<Spec> {
    let before = spec.clone();
    let flags = &args.preprocess;
    let channels = spec.input[0];
    for (flag, values, into) in
        [("--mean", &flags.mean, &mut spec.preprocess.mean), ("--std", &flags.std, &mut spec.preprocess.std)]
    {
        let Some(values) = values else { continue };
        if values.len() != channels {
            let found = values.len();
            return Err(Error::Usage(format!(
                "{flag}: expected {channels} values (channels), found {found}"
            )));
        }
        if values.iter().any(|value| !value.is_finite()) || (flag == "--std" && values.contains(&0.0)) {
            return Err(Error::Usage(format!(
                "{flag}: expected finite numbers (other than 0 for --std), found {values:?}"
            )));
        }
        into.clone_from(values);
    }
    if let Some(scale) = flags.scale {
        if !scale.is_normal() {
            return Err(Error::Usage(format!("--scale: expected a number other than 0, found {scale}")));
        }
        spec.preprocess.scale = scale;
    }
    spec.preprocess.resize = flags.resize.or(spec.preprocess.resize);
    if let Some(name) = &args.name {
        spec.name.clone_from(name);
    }
    // Changes from the file's metadata (the number of outputs) are not in the text yet.
    let stale = Spec::parse(&spec.source, &spec.origin)?;
    if spec == before && stale == spec {
        return Ok(spec);
    }
    Spec::parse(&spec.to_toml(), &format!("{} with the flags given", printable_path(&args.file)))
}

/// Reads one name for each of `outputs` outputs.
fn read_classes(path: &Path, outputs: usize) -> Result<Vec<String>> {
    let names = names::read(path)?;
    if names.len() != outputs {
        let found = names.len();
        return Err(Error::data(
            path,
            format!("expected {outputs} lines (outputs of the network), found {found}"),
        ));
    }
    match names.iter().position(String::is_empty) {
        Some(line) => Err(Error::data(path, format!("line {}: expected a class name, found none", line + 1))),
        None => Ok(names),
    }
}

fn check_outputs(args: &ImportArgs, paths: &[&Path]) -> Result<()> {
    if !args.output.exists() {
        return Ok(());
    }
    let read = Outputs::new().reads(Some(&args.file)).reads(args.model.as_ref());
    let mut outputs = read.reads(args.classes.as_ref());
    for path in paths {
        outputs.check("--output", path)?;
        if path.exists() && !args.force {
            let path = printable_path(path);
            return Err(Error::Usage(format!(
                "{path} already exists; --force replaces it, --name chooses another name"
            )));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_network_name_becomes_a_safe_file_name() {
        for (name, file) in [
            ("resnet18", "resnet18"),
            ("../../etc/passwd", "-..-etc-passwd"),
            ("a b\n", "a-b-"),
            ("..", "network"),
        ] {
            assert_eq!(file_name(name), file);
        }
        assert_eq!(name("squeezenet1_1").unwrap(), "squeezenet1_1");
        assert!(name("../x").is_err() && name("").is_err() && name(".x").is_err());
    }

    #[test]
    fn an_input_is_three_numbers() {
        assert_eq!(input("3, 224,160").unwrap(), [3, 224, 160]);
        for wrong in ["", "3,224", "3,224,0", "3,224,224,1", "3,x,4", "1,1,70000"] {
            assert!(input(wrong).is_err(), "{wrong}");
        }
    }
}
