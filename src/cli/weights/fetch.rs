//! `striate weights fetch`: downloads the weights of a built-in network as others publish them, and converts them to a
//! safetensors file that names its network and its preprocessing.

use super::sources::{FOLDER, PublishedWeights, SOURCES};
use crate::atomic;
use crate::cli::Context;
use crate::cli::download::{download, is_right};
use crate::cli::names;
use crate::cli::output::Output;
use crate::error::{Error, Result, printable_path};
use crate::inference::{self, quoted};
use crate::interchange::{self, safetensors};
use crate::model::{BuildOptions, Model, Spec};
use crate::tensor::Shape;
use clap::Args;
use serde_json::json;
use std::fs;
use std::path::{Path, PathBuf};

#[derive(Args, Debug)]
#[command(after_help = "Examples:\n  striate weights fetch resnet18\n  \
                        striate weights fetch resnet18 -o resnet18.pth\n\n\
                        Needs the program curl. The environment sets proxies (https_proxy). Without a network, see `striate import`.")]
pub(super) struct FetchArgs {
    /// Download the weights of this network
    #[arg(value_name = "NAME", value_parser = SOURCES.map(|source| source.name))]
    name: String,
    /// Write FILE: .safetensors, with the network and its preprocessing, or .pth, the file as it is published [default:
    /// NAME.safetensors]
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Replace an existing file
    #[arg(long)]
    force: bool,
    /// Download from another address of the folder with the file (https, http or file)
    #[arg(long, value_name = "URL")]
    from: Option<String>,
}

pub(super) fn run(args: &FetchArgs, context: &Context) -> Result<u8> {
    let source = SOURCES
        .iter()
        .find(|source| source.name == args.name)
        .ok_or_else(|| Error::Usage(format!("weights fetch: no address of {} is known", args.name)))?;
    let output = args.output.clone().unwrap_or_else(|| format!("{}.safetensors", source.name).into());
    let is_kept = keeps_form(&output)?;
    if output.exists() && !args.force {
        let path = printable_path(&output);
        return Err(Error::Usage(format!(
            "{path} already exists; --force replaces it, --output chooses another name"
        )));
    }
    context.out.note(&format!("{}: {}", source.name, source.about));
    let sha256 = fetch(source, &output, is_kept, args.from.as_deref(), &context.out)?;
    let path = output.to_string_lossy();
    if context.out.is_json() {
        context.out.json(&json!({
            "event": "weights-fetch",
            "name": source.name,
            "path": path,
            "weights_sha256": sha256,
        }))?;
        return Ok(0);
    }
    context.out.line(&format!("the weights of {} are in {}", source.name, printable_path(&output)))?;
    let network = if is_kept { format!("-m {} ", source.name) } else { String::new() };
    let weights = format!("{network}--weights {}", quoted(&path));
    context.out.line(&format!("next: striate predict {weights} IMAGE"))?;
    context.out.line(&format!("      striate train {weights} --data-path DATA"))?;
    Ok(0)
}

/// Whether the file is to stay as it is published, by the extension of `output`.
fn keeps_form(output: &Path) -> Result<bool> {
    let extension = output.extension().and_then(|extension| extension.to_str()).unwrap_or_default();
    match extension.to_ascii_lowercase().as_str() {
        "safetensors" => Ok(false),
        "pth" | "pt" => Ok(true),
        _ => {
            let found = printable_path(output);
            Err(Error::Usage(format!(
                "--output: expected a name that ends in .safetensors or .pth, found {found}"
            )))
        }
    }
}

/// Downloads `source` to `output`, converted unless `is_kept`, and returns the SHA-256 of the weights. A file of its published name
/// beside `output` is used if it is the right one, and left where it is.
fn fetch(
    source: &PublishedWeights,
    output: &Path,
    is_kept: bool,
    from: Option<&str>,
    out: &Output,
) -> Result<String> {
    let published = output.with_file_name(source.file.name);
    let is_here = published.is_file() && is_right(&published, &source.file)?;
    if is_here {
        out.note(&format!("{} is here already", printable_path(&published)));
    }
    if is_here && !is_kept {
        return convert(source, &published, output, false);
    }
    let part = output.with_file_name(format!("{}.download", source.file.name));
    if is_here {
        fs::copy(&published, &part).map_err(|error| Error::io(&part, error))?;
    } else {
        download(&source.file, &part, &[FOLDER], from, out)?;
    }
    let converted = convert(source, &part, output, is_kept);
    if part.exists() {
        fs::remove_file(&part).map_err(|error| Error::io(&part, error))?;
    }
    converted
}

/// Makes the PyTorch file `from` the file `output`: by its name alone if `is_kept`, else as safetensors. The weights have to be
/// those of the network in both cases.
fn convert(source: &PublishedWeights, from: &Path, output: &Path, is_kept: bool) -> Result<String> {
    let spec = Spec::load(source.name)?;
    let model = Model::build(&spec, &BuildOptions { training: false, ..BuildOptions::new(1) })?;
    let file = interchange::read(from)?;
    let classes = names::of(&file, None, model.classes)?;
    let all = model.parameters.iter().chain(&model.state);
    let expected: Vec<(String, Shape)> = all.map(|p| (p.name.clone(), p.shape.clone())).collect();
    let tensors = interchange::match_tensors(file, &model.name, &expected)?;
    let tensors: inference::Named = expected.into_iter().map(|(name, _)| name).zip(tensors).collect();
    if is_kept {
        atomic::rename(from, output)?;
    } else {
        let mut metadata = inference::metadata(&spec, model.classes, &classes);
        metadata.insert("source".into(), source.address());
        safetensors::write(output, &tensors, &metadata)?;
    }
    Ok(inference::sha256(&model, &tensors))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::download::Download;
    use sha2::{Digest, Sha256};

    /// What `torch.save` wrote for the network `neuron` (`tests/fixtures/pth/make.py`).
    const NEURON: &[u8] = include_bytes!("../../../tests/fixtures/pth/neuron.pth");

    /// The source of `content`, of which the first eight digits of the SHA-256 are known.
    fn source(name: &'static str, content: &[u8]) -> PublishedWeights {
        let sha256: String = Sha256::digest(content)[..4].iter().map(|byte| format!("{byte:02x}")).collect();
        let length = content.len() as u64;
        let file =
            Download { name: "net-1.pth", bytes: length - 1024..=length + 1024, sha256: sha256.leak() };
        PublishedWeights { name, about: "", file }
    }

    fn files(folder: &Path) -> Vec<String> {
        let mut names: Vec<_> = fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    /// A place to download from, with `content`, a folder to download to, and the address of the place.
    fn places(content: &[u8]) -> (tempfile::TempDir, tempfile::TempDir, String) {
        let (place, home) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        fs::write(place.path().join("net-1.pth"), content).unwrap();
        let from = format!("file://{}", place.path().display());
        (place, home, from)
    }

    #[test]
    fn weights_are_verified_and_converted_or_kept() {
        let (place, home, from) = places(NEURON);
        let (known, out) = (source("neuron", NEURON), Output::new(false, true));
        let converted = home.path().join("n.safetensors");
        // The beginning of an interrupted download.
        fs::write(home.path().join("net-1.pth.part"), &NEURON[..100]).unwrap();
        let sha256 = fetch(&known, &converted, false, Some(&from), &out).unwrap();
        assert_eq!(files(home.path()), ["n.safetensors"]);
        let file = interchange::read(&converted).unwrap();
        assert_eq!(file.tensors["neuron.weight"].data(), [-1.0, 0.25, 1.0]);
        assert_eq!(file.metadata["arch"], "neuron");
        assert_eq!(file.metadata["source"], "https://download.pytorch.org/models/net-1.pth");
        assert_eq!(inference::spec_of(&file, None).unwrap().name, "neuron");
        let kept = home.path().join("n.pth");
        assert_eq!(fetch(&known, &kept, true, Some(&from), &out).unwrap(), sha256);
        assert_eq!(fs::read(&kept).unwrap(), NEURON);
        assert_eq!(files(home.path()), ["n.pth", "n.safetensors"]);
        // A file of the published name is used without an address, and stays.
        fs::remove_file(place.path().join("net-1.pth")).unwrap();
        fs::rename(&kept, home.path().join("net-1.pth")).unwrap();
        for (name, is_kept) in [("m.safetensors", false), ("m.pth", true), ("net-1.pth", true)] {
            fetch(&known, &home.path().join(name), is_kept, Some(&from), &out).unwrap();
        }
        assert_eq!(files(home.path()), ["m.pth", "m.safetensors", "n.safetensors", "net-1.pth"]);
        assert_eq!(fs::read(home.path().join("net-1.pth")).unwrap(), NEURON);
    }

    #[test]
    fn nothing_is_left_of_what_is_refused() {
        let out = Output::new(false, true);
        let flipped: Vec<u8> = NEURON.iter().map(|byte| byte ^ 1).collect();
        let known = source("neuron", NEURON);
        for wrong in [flipped, NEURON[..50].to_vec(), [NEURON, &[0; 5000]].concat()] {
            let (_place, home, from) = places(&wrong);
            for (name, is_kept) in [("n.safetensors", false), ("n.pth", true)] {
                let error = fetch(&known, &home.path().join(name), is_kept, Some(&from), &out).unwrap_err();
                let text = error.to_string();
                let expected = format!("expected SHA-256 that begins with {}, ", known.file.sha256);
                assert!(error.exit_code() == 4 && text.contains(&expected), "{text}");
                assert!(files(home.path()).is_empty(), "{:?}", files(home.path()));
            }
        }
        // An address that is not there, and the weights of another network.
        let (_place, home, from) = places(NEURON);
        let target = home.path().join("in/n.safetensors");
        let error = fetch(&known, &target, false, Some("file:///no/such/place"), &out).unwrap_err();
        assert!(error.exit_code() == 1 && error.to_string().contains("curl"), "{error}");
        for (name, is_kept) in [("n.safetensors", false), ("n.pth", true)] {
            let other = source("lenet5", NEURON);
            let error = fetch(&other, &home.path().join(name), is_kept, Some(&from), &out).unwrap_err();
            assert!(error.exit_code() == 4 && error.to_string().contains("missing"), "{error}");
        }
        assert!(files(home.path()).is_empty(), "{:?}", files(home.path()));
    }
}
