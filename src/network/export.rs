//! Verified export: the file is read again and run beside the network before it gets its name.

use super::{Network, NetworkOptions};
use crate::atomic;
use crate::error::{Error, Result, printable_path};
use crate::inference::Named;
use crate::interchange::{self, File, Format, npz, onnx, safetensors};
use crate::model::{Preprocess, Spec};
use crate::random::{Purpose, Stream};
use crate::tensor::Tensor;
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// Largest accepted difference of two logits, relative to the largest logit.
const TOLERANCE: f32 = 1e-4;

/// The images on which the exported file is compared with the network.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum ExportCheck {
    /// This many images of uniform noise.
    Noise(usize),
    /// Network input, `[rows, channels, height, width]`, and what to call it.
    Images { values: Vec<f32>, name: String },
}

/// How a network is exported.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct ExportOptions {
    pub format: Format,
    /// ONNX: whether the graph takes images, u8 `[batch, height, width, channels]`, and gives probabilities.
    pub with_preprocess: bool,
    pub check: ExportCheck,
}

impl ExportOptions {
    /// Exports without preprocessing, checked on 16 images of noise.
    pub fn new(format: Format) -> Self {
        ExportOptions { format, with_preprocess: false, check: ExportCheck::Noise(16) }
    }

    /// Sets whether an ONNX graph takes images and gives probabilities.
    pub fn with_preprocess(mut self, with_preprocess: bool) -> Self {
        self.with_preprocess = with_preprocess;
        self
    }

    /// Sets the images on which the exported file is compared with the network.
    pub fn with_check(mut self, check: ExportCheck) -> Self {
        self.check = check;
        self
    }
}

/// How well the exported file agrees with the network.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct ExportReport {
    /// Images compared, their description, and the device that ran both networks.
    pub samples: usize,
    pub data: String,
    pub device: String,
    /// Largest difference of two logits, and the largest logit.
    pub max_difference: f32,
    pub largest_logit: f32,
    /// Length of the file.
    pub bytes: u64,
}

impl Network {
    /// Writes the network to `path` and verifies the file: it is read again like any other, its network is run beside this
    /// one, and their logits are compared; the result is recorded in the file's metadata (`export_check_max_difference`,
    /// `export_check_samples`, `export_check_data`, `export_check_device`), which is then read once more: its tensors must
    /// be these, bit for bit.
    ///
    /// A file whose logits differ (by more than 1e-4 of the largest logit) is [`Error::Verification`]; then, as on any error,
    /// the previous content of `path` is untouched.
    pub fn export(&mut self, path: impl AsRef<Path>, options: &ExportOptions) -> Result<ExportReport> {
        let path = path.as_ref();
        if options.with_preprocess && options.format != Format::Onnx {
            let what = "expected the format onnx for preprocessing in the file, found another";
            return Err(Error::Usage(what.into()));
        }
        if options.format == Format::PyTorch {
            let what = "expected the format safetensors, npz or onnx, found PyTorch's, which is not written";
            return Err(Error::Usage(what.into()));
        }
        let tensors = self.weights()?;
        let mut metadata = self.metadata();
        metadata.retain(|key, _| !key.starts_with("export_check"));
        let draft = Draft::beside(path, options.format)?;
        draft.named(path, draft.write(&self.spec, &tensors, &metadata, options))?;

        let (images, data) = match &options.check {
            ExportCheck::Noise(count) => (noise(&self.spec, *count), "noise".to_string()),
            ExportCheck::Images { values, name } => (values.clone(), name.clone()),
        };
        let samples = self.rows(&images)?;
        let expected = self.logits(&images)?;
        let found = {
            let batch = NetworkOptions::inference(samples.min(self.model.batch));
            let mut copy = draft.named(path, Network::load(&draft.path, &self.device, &batch))?;
            check_preprocess(path, &self.spec.preprocess, &copy.spec.preprocess)?;
            draft.named(path, copy.logits(&images))?
        };
        let (max_difference, largest_logit) = compare(path, &expected, &found)?;
        let device = self.device.long_name();
        metadata.insert("export_check_max_difference".into(), format!("{max_difference:e}"));
        metadata.insert("export_check_samples".into(), samples.to_string());
        metadata.insert("export_check_data".into(), data.clone());
        metadata.insert("export_check_device".into(), device.clone());

        draft.named(path, draft.write(&self.spec, &tensors, &metadata, options))?;
        check_content(path, draft.named(path, interchange::read(&draft.path))?, &tensors, &metadata)?;
        let bytes = fs::metadata(&draft.path).map_err(|e| Error::io(path, e))?.len();
        atomic::rename(&draft.path, path)?;
        Ok(ExportReport { samples, data, device, max_difference, largest_logit, bytes })
    }
}

/// A file that is not verified yet; it is removed on drop unless it was renamed.
#[derive(Debug)]
struct Draft {
    path: PathBuf,
}

impl Draft {
    /// A name in the folder of `target`, so that it can be renamed, with the extension by which its format is known.
    fn beside(target: &Path, format: Format) -> Result<Draft> {
        let none = || Error::data(target, "expected the name of a file, found a folder");
        let name = target.file_name().ok_or_else(none)?.to_string_lossy();
        let extension = Format::ALL.iter().find(|(_, known)| *known == format).map_or("", |(name, _)| name);
        let path = target.with_file_name(format!(".{name}.{}.{extension}", std::process::id()));
        Ok(Draft { path })
    }

    fn write(
        &self,
        spec: &Spec,
        tensors: &Named,
        metadata: &BTreeMap<String, String>,
        options: &ExportOptions,
    ) -> Result<()> {
        match options.format {
            Format::Safetensors => safetensors::write(&self.path, tensors, metadata),
            Format::Npz => npz::write(&self.path, tensors, metadata),
            Format::PyTorch => Err(Error::Internal("PyTorch's format is not written".into())),
            Format::Onnx => {
                let with_preprocess = options.with_preprocess;
                let bytes = onnx::encode(&onnx::Export { spec, tensors, metadata, with_preprocess })?;
                atomic::write(&self.path, |out| out.write_all(&bytes))
            }
        }
    }

    /// `result`, whose error names `target` in place of this file; wrong content is [`Error::Verification`].
    fn named<T>(&self, target: &Path, result: Result<T>) -> Result<T> {
        result.map_err(|error| match error {
            Error::Data { path, message } if path == self.path => {
                let target = printable_path(target);
                Error::Verification(format!("{target}: what was written cannot be read again: {message}"))
            }
            Error::Io { path, source } if path == self.path => Error::io(target, source),
            other => other,
        })
    }
}

impl Drop for Draft {
    fn drop(&mut self) {
        // After the rename there is none; nothing more can be done where it cannot be removed.
        let _ = fs::remove_file(&self.path);
    }
}

/// `count` images of uniform noise, as network input.
fn noise(spec: &Spec, count: usize) -> Vec<f32> {
    let [channels, height, width] = spec.input;
    let Preprocess { scale, mean, std, .. } = &spec.preprocess;
    let mut random = Stream::new(0, Purpose::Test, 0);
    let mut images = Vec::with_capacity(count * channels * height * width);
    for channel in (0..channels).cycle().take(count * channels) {
        let pixel = |random: &mut Stream| (random.below(256) as f32 * scale - mean[channel]) / std[channel];
        images.extend((0..height * width).map(|_| pixel(&mut random)));
    }
    images
}

/// The largest difference and the largest logit; an error if the first is too large for the second.
fn compare(path: &Path, expected: &[f32], found: &[f32]) -> Result<(f32, f32)> {
    let wrong = |what: String| Error::Verification(format!("{}: {what}", printable_path(path)));
    if expected.len() != found.len() {
        return Err(wrong(format!("expected {} logits, found {}", expected.len(), found.len())));
    }
    let (mut difference, mut largest) = (0f32, 0f32);
    for (a, b) in expected.iter().zip(found) {
        if !(a.is_finite() && b.is_finite()) {
            return Err(wrong(format!("expected logits that are numbers, found {a} and in the file {b}")));
        }
        difference = difference.max((a - b).abs());
        largest = largest.max(a.abs());
    }
    if difference > TOLERANCE * largest {
        return Err(wrong(format!(
            "expected the logits of the network within {TOLERANCE:e} of their largest, {largest}, found a difference of {difference:e}"
        )));
    }
    Ok((difference, largest))
}

/// An error unless both make the same network input of pixels, up to rounding.
fn check_preprocess(path: &Path, expected: &Preprocess, found: &Preprocess) -> Result<()> {
    let inputs = |p: &Preprocess| -> Vec<f32> {
        let of = |(mean, std): (&f32, &f32)| [(-mean) / std, (255.0 * p.scale - mean) / std];
        p.mean.iter().zip(&p.std).flat_map(of).collect()
    };
    compare(path, &inputs(expected), &inputs(found)).map(|_| ()).map_err(|_| {
        let path = printable_path(path);
        Error::Verification(format!("{path}: expected the network's preprocessing, found another"))
    })
}

/// An error unless the file holds `tensors`, bit for bit, and `metadata`.
fn check_content(
    path: &Path,
    mut file: File,
    tensors: &Named,
    metadata: &BTreeMap<String, String>,
) -> Result<()> {
    let wrong = |what: String| Err(Error::Verification(format!("{}: {what}", printable_path(path))));
    let bits = |tensor: &Tensor| tensor.data().iter().map(|value| value.to_bits()).collect::<Vec<_>>();
    for (name, tensor) in tensors {
        match file.tensors.remove(name) {
            Some(read) if read.shape() == tensor.shape() && bits(&read) == bits(tensor) => {}
            Some(_) => return wrong(format!("expected {name} bit for bit, found other values")),
            None => return wrong(format!("expected a tensor {name}, found none")),
        }
    }
    if let Some(name) = file.tensors.keys().next() {
        return wrong(format!("expected no tensor {name}, found one"));
    }
    // The network of an ONNX file is its graph's.
    let differs =
        |(key, value): &(&String, &String)| *key != "model" && file.metadata.get(*key) != Some(value);
    match metadata.iter().find(differs) {
        None => Ok(()),
        Some((key, _)) => wrong(format!("expected the metadata {key}, found none or another value")),
    }
}
