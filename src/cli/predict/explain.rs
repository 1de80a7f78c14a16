//! `predict --explain`: a sheet of images with what in them speaks for the answer.

use super::super::{Context, device};
use crate::atomic;
use crate::data::{Dataset, OnBadFile, Splits};
use crate::error::{Error, Result, printable, printable_path};
use crate::inference::{self, BatchSource, Explainer, Explanation};
use crate::interchange::File;
use crate::model::{LayerOp, Spec, suggestion};
use crate::report::{HeatPanel, heat_sheet, sample_image};
use clap::ValueEnum;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Most images of a sheet.
const SHOWN: usize = 30;

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum ExplainArg {
    GradCam,
    Saliency,
}

/// The layer of `spec` that Grad-CAM looks at: the one of the name `name`, else the last convolution.
fn layer_of(spec: &Spec, name: Option<&str>) -> Result<usize> {
    let Some(name) = name else {
        let last = spec.layers.iter().rposition(|layer| matches!(layer.op, LayerOp::Conv2d(_)));
        let what = "--explain grad-cam: expected a network with a convolution, found none; --explain saliency needs none";
        return last.ok_or_else(|| Error::Usage(what.into()));
    };
    let names = || spec.layers.iter().map(|layer| layer.name.as_str());
    names().position(|known| known == name).ok_or_else(|| {
        let near = suggestion(name, names());
        let what = format!("--layer: expected the name of a layer, found {name}{near}");
        Error::Usage(printable(&what).into_owned())
    })
}

/// A sheet whose images and network are known, before anything is computed.
pub(super) struct Sheet {
    explainer: Explainer,
    data: Arc<Dataset>,
    heading: String,
}

impl Sheet {
    /// Of the first of `files`, explained by `explain`.
    pub fn new(
        explain: ExplainArg,
        layer: Option<&str>,
        (spec, weights): (&Spec, &File),
        files: &[PathBuf],
    ) -> Result<Sheet> {
        let (explanation, layer) = match explain {
            ExplainArg::GradCam => (Explanation::GradCam, Some(layer_of(spec, layer)?)),
            ExplainArg::Saliency => (Explanation::Saliency, None),
        };
        let shown = files[..files.len().min(SHOWN)].to_vec();
        let data = Arc::new(inference::image_files(spec, shown)?);
        let pixels = Splits::of(Arc::clone(&data)).pixels(spec.input);
        let explainer = Explainer::new(spec, weights.clone(), explanation, layer, pixels);
        let explainer = explainer.map_err(|error| match error {
            Error::Usage(what) if what.starts_with("layer: ") => Error::Usage(format!("--{what}")),
            other => other,
        })?;
        let heading = match layer.and_then(|layer| spec.layers.get(layer)) {
            Some(layer) => {
                format!("Grad-CAM of {}: where the maps of this layer speak for the answer", layer.name)
            }
            None => "Saliency: pixels whose change would change the answer's score most".into(),
        };
        Ok(Sheet { explainer, data, heading })
    }

    /// Writes the sheet to `path`; `is_softmax` says that the softmax of the outputs are probabilities.
    pub fn write(self, path: &Path, names: &[String], is_softmax: bool, context: &Context) -> Result<()> {
        let Sheet { explainer, data, heading } = self;
        let device = device::open(context)?;
        inference::check_memory(&device, &explainer.spec, &explainer.build, &explainer.model)?;
        let mut executor = device.executor(Arc::clone(&explainer.model.program))?;
        explainer.load(executor.as_mut())?;
        let source = BatchSource::new(&explainer.spec, &explainer.model, 0, 1, OnBadFile::Skip);
        let mut panels = Vec::new();
        explainer.explain(executor.as_mut(), &data, &source, &mut |answer| {
            let Some(image) = sample_image(&data, answer.sample, explainer.spec.input) else { return Ok(()) };
            let value = match is_softmax {
                true => format!("{:.1} %", 100.0 * inference::probabilities(&answer.outputs)[answer.class]),
                false => format!("{:.3}", answer.outputs[answer.class]),
            };
            let name = names.get(answer.class).cloned().unwrap_or_else(|| answer.class.to_string());
            panels.push(HeatPanel { image, size: answer.size, map: answer.map, answer: name, value });
            Ok(())
        })?;
        let png = heat_sheet(&heading, &panels)?.png()?;
        atomic::write(path, |out| out.write_all(&png))?;
        let (path, shown) = (printable_path(path), panels.len());
        context.out.note(&format!("{path}: {shown} of {} images", data.len()));
        Ok(())
    }
}
