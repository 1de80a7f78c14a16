//! The answers to pictures as they come: printed, and the first of them kept for a sheet of panels.

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

/// Panels of a sheet.
const PANELS: usize = 32;
/// Bars of a panel.
const BARS: usize = 5;
/// The longest side of a photograph in a panel, in pixels.
const SIDE: usize = 224;
/// The longest name that a column of text makes room for.
const WIDEST: usize = 40;

/// Prints answers, and collects panels if a sheet is wanted.
pub(super) struct Answers<'a> {
    args: &'a PredictArgs,
    names: Vec<String>,
    /// Whether scores are probabilities.
    is_softmax: bool,
    out: &'a Output,
    width: usize,
    panels: Vec<Panel>,
    decoder: Decoder,
    answered: usize,
}

impl<'a> Answers<'a> {
    /// An error if the right answer that was given is no name.
    pub fn new(
        args: &'a PredictArgs,
        names: Vec<String>,
        is_softmax: bool,
        ignore_exif: bool,
        out: &'a Output,
    ) -> Result<Answers<'a>> {
        if let Some(truth) = args.truth.as_ref().filter(|truth| !names.contains(truth)) {
            let near = suggestion(truth, names.iter().map(String::as_str));
            let what = format!("--truth: expected the name of a class, found {truth}{near}");
            return Err(Error::Usage(what));
        }
        let width = names.iter().map(|name| name.chars().count()).max().unwrap_or(0).min(WIDEST);
        let (panels, decoder) = (Vec::new(), Decoder::new().ignoring_exif(ignore_exif));
        Ok(Answers { args, names, is_softmax, out, width, panels, decoder, answered: 0 })
    }

    /// The answer to `file`: one score per class.
    pub fn add(&mut self, file: &Path, scores: &[f64]) -> Result<()> {
        self.answered += 1;
        let best = inference::best(scores, self.args.top_k as usize);
        if self.out.is_json() { self.json(file, &best) } else { self.text(file, &best) }?;
        if self.args.annotate.is_some() && self.panels.len() < PANELS {
            let panel = self.panel(file, scores)?;
            self.panels.push(panel);
        }
        Ok(())
    }

    /// Writes the sheet, if one is wanted; how many pictures were answered.
    pub fn finish(self, sheet_path: Option<&Path>) -> Result<usize> {
        let Some(path) = sheet_path else { return Ok(self.answered) };
        let bytes = panel_sheet(&self.panels)?.png()?;
        atomic::write(path, |out| out.write_all(&bytes))?;
        self.out.note(&format!(
            "{}: {} of {} pictures",
            printable_path(path),
            self.panels.len(),
            self.answered
        ));
        Ok(self.answered)
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

    /// The outermost of the folders of `file` whose name is a class: there may be others in those of a class.
    fn class_folder(&self, file: &Path) -> Option<String> {
        let folders = file.parent()?.iter().map(|name| printable_path(Path::new(name)));
        folders.into_iter().find(|name| self.names.contains(name))
    }

    /// A score as people read it: of a width that keeps columns.
    fn value(&self, score: f64) -> String {
        if self.is_softmax { format!("{:>6.2} %", 100.0 * score) } else { format!("{score:>10.4}") }
    }

    fn panel(&mut self, file: &Path, scores: &[f64]) -> Result<Panel> {
        let ([width, height], pixels) = self.decoder.read_within(file, SIDE)?;
        let best = inference::best(scores, BARS);
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
