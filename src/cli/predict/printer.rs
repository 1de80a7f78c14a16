//! Prints predictions as they arrive, and collects the first of them for an annotated sheet.

use super::super::output::Output;
use super::{PredictArgs, title};
use crate::atomic;
use crate::data::Decoder;
use crate::error::{Error, Result, printable_path};
use crate::inference;
use crate::model::suggestion;
use crate::report::{Panel, RgbImage, panel_sheet};
use serde_json::{Value, json};
use std::path::Path;

/// Most panels of a sheet.
const PANELS: usize = 32;
/// Most bars of a panel.
const BARS: usize = 5;
/// The longer side of an image in a panel, in pixels.
const SIDE: usize = 224;
/// Widest column of names, in characters.
const WIDEST: usize = 40;

/// Prints predictions, and collects panels if a sheet is requested.
pub(super) struct PredictionPrinter<'a> {
    args: &'a PredictArgs,
    names: Vec<String>,
    /// True if scores are probabilities.
    is_softmax: bool,
    out: &'a Output,
    width: usize,
    panels: Vec<Panel>,
    decoder: Decoder,
    /// Number of images so far.
    classified: usize,
}

impl<'a> PredictionPrinter<'a> {
    /// Returns an error if --truth is not a class name.
    pub fn new(
        args: &'a PredictArgs,
        names: Vec<String>,
        is_softmax: bool,
        ignore_exif: bool,
        out: &'a Output,
    ) -> Result<PredictionPrinter<'a>> {
        if let Some(truth) = args.truth.as_ref().filter(|truth| !names.contains(truth)) {
            let near = suggestion(truth, names.iter().map(String::as_str));
            let what = format!("--truth: expected a class name, found {truth}{near}");
            return Err(Error::Usage(what));
        }
        let width = names.iter().map(|name| name.chars().count()).max().unwrap_or(0).min(WIDEST);
        let (panels, decoder) = (Vec::new(), Decoder::new().ignoring_exif(ignore_exif));
        Ok(PredictionPrinter { args, names, is_softmax, out, width, panels, decoder, classified: 0 })
    }

    /// Prints the prediction for `file`, which has one score per class.
    pub fn add(&mut self, file: &Path, scores: &[f64]) -> Result<()> {
        self.classified += 1;
        let best = inference::best(scores, self.args.top_k as usize);
        if self.out.is_json() { self.json(file, &best) } else { self.text(file, &best) }?;
        if self.args.annotate.is_some() && self.panels.len() < PANELS {
            let panel = self.panel(file, scores)?;
            self.panels.push(panel);
        }
        Ok(())
    }

    /// Writes the sheet if one is requested, and returns the number of images.
    pub fn finish(self, sheet_path: Option<&Path>) -> Result<usize> {
        let Some(path) = sheet_path else { return Ok(self.classified) };
        let bytes = panel_sheet(&self.panels)?.png()?;
        atomic::write(path, |out| out.write_all(&bytes))?;
        self.out.note(&format!(
            "{}: {} of {} images",
            printable_path(path),
            self.panels.len(),
            self.classified
        ));
        Ok(self.classified)
    }

    fn json(&self, file: &Path, best: &[(usize, f64)]) -> Result<()> {
        let kind = if self.is_softmax { "probability" } else { "score" };
        let answer = |&(class, score): &(usize, f64)| {
            let mut answer = json!({ "class": class, "name": self.names[class] });
            answer[kind] = score.is_finite().then_some(score).into();
            answer
        };
        let top: Vec<Value> = best.iter().map(answer).collect();
        self.out.json(&json!({ "event": "predict", "file": file.to_string_lossy(), "top": top }))
    }

    fn text(&self, file: &Path, best: &[(usize, f64)]) -> Result<()> {
        self.out.line(&printable_path(file))?;
        for &(class, score) in best {
            let (name, width) = (&self.names[class], self.width);
            self.out.line(&format!("  {name:<width$}  {}", self.value(score)))?;
        }
        Ok(())
    }

    /// The outermost parent folder of `file` with the name of a class; the folders of a class may have subfolders.
    fn class_folder(&self, file: &Path) -> Option<String> {
        let folders = file.parent()?.iter().map(|name| printable_path(Path::new(name)));
        folders.into_iter().find(|name| self.names.contains(name))
    }

    /// Formats a score with a fixed width.
    fn value(&self, score: f64) -> String {
        if self.is_softmax { format!("{:>6.2} %", 100.0 * score) } else { format!("{score:>10.4}") }
    }

    fn panel(&mut self, file: &Path, scores: &[f64]) -> Result<Panel> {
        let ([width, height], pixels) = self.decoder.read_within(file, SIDE)?;
        let best = inference::best(scores, (self.args.top_k as usize).min(BARS));
        let truth = self.args.truth.clone().or_else(|| self.class_folder(file));
        Ok(Panel {
            image: RgbImage { width, height, pixels },
            name: truth.clone().unwrap_or_else(|| title(file)),
            predictions: best.iter().map(|&(class, score)| (self.names[class].clone(), score)).collect(),
            values: (!self.is_softmax)
                .then(|| best.iter().map(|&(_, score)| format!("{score:.3}")).collect()),
            truth,
        })
    }
}
