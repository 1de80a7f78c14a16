//! The report of a run: learning curves, what the network gets wrong, and how the run was made, as files in its folder and as one
//! HTML page. It is made of the logs, the weights and the answers to the validation samples, as far as there are any; what is
//! missing is said in the report.

mod comparison;
mod curves;
mod details;
mod overview;

use super::folder::weights_name;
use super::options::RunOptions;
use super::record::RunRecord;
use crate::atomic;
use crate::data::Provenance;
use crate::error::{Error, Result, printable_path};
use crate::inference::{self, Lineage, PastRun};
use crate::interchange::{self, File};
use crate::model::{LayerOp, Spec};
use crate::report::{Evaluated, Page, Tiles, TilesLayout, filters};
use crate::train::Weights;
use std::fs;
use std::path::{Path, PathBuf};

/// The largest page in bytes; with fewer images it becomes smaller.
const LARGEST: usize = 2_000_000;
/// Mistakes that a page shows of each run: so many, or fewer if it becomes too large.
const SHOWN: [usize; 5] = [24, 12, 6, 3, 0];
/// Most filters that are drawn.
const FILTERS: usize = 256;

/// What is known of a run.
#[derive(Clone, Debug)]
pub struct RunReport {
    record: RunRecord,
    /// The file of the weights that are reported on, and what is in it.
    weights: Option<(PathBuf, WeightsFacts)>,
    evaluated: Option<Evaluated>,
    /// The command that repeats the run; empty if it is not known.
    command: String,
    /// What the report does without, one line each.
    missing: Vec<String>,
}

#[derive(Clone, Debug, Default)]
struct WeightsFacts {
    /// The epoch that they are of, counted from 0.
    epoch: Option<usize>,
    provenance: Option<Provenance>,
    /// The first convolution's filters as a PNG file, and which layer it is.
    filters: Option<(Vec<u8>, String)>,
}

impl RunReport {
    /// What the folder of a run holds.
    ///
    /// # Errors
    /// [`Error::Data`] or [`Error::Io`] if `folder` has neither of a run's logs.
    pub fn of_folder(folder: &Path) -> Result<RunReport> {
        let record = RunRecord::read(folder)?;
        let (weights, evaluated, command, mut missing) = (None, None, String::new(), Vec::new());
        if record.unreadable > 0 {
            missing.push(format!("{} lines of the run's logs cannot be read", record.unreadable));
        }
        Ok(RunReport { record, weights, evaluated, command, missing })
    }

    /// The options of the run, if its folder keeps them.
    pub fn options(&self) -> Option<&RunOptions> {
        self.record.options.as_ref()
    }

    /// Keys that the program keeps in `args.toml`.
    pub fn program_options(&self) -> toml::Table {
        let program = self.record.args.get("program").and_then(toml::Value::as_table);
        program.cloned().unwrap_or_default()
    }

    /// Sets the command that repeats the run.
    pub fn with_command(mut self, command: String) -> RunReport {
        self.command = command;
        self
    }

    /// Adds what the run's network answers.
    pub fn with_answers(mut self, evaluated: Evaluated) -> RunReport {
        self.evaluated = Some(evaluated);
        self
    }

    /// Adds a line on what the report has to do without.
    pub fn without(mut self, what: impl Into<String>) -> RunReport {
        self.missing.push(what.into());
        self
    }

    /// Adds what the run's weights say. Returns them for an evaluation, the best ones if there are any.
    pub fn with_weights(mut self) -> (RunReport, Option<File>) {
        let paths = [Weights::Best, Weights::Last].map(|which| self.record.folder.join(weights_name(which)));
        let Some(path) = paths.iter().find(|path| path.is_file()).cloned() else {
            let what = format!(
                "{}: no such file: no confusion matrix, mistakes, calibration or filters",
                printable_path(&paths[0])
            );
            return (self.without(what), None);
        };
        match interchange::read(&path).and_then(|file| Ok((WeightsFacts::of(&file)?, file))) {
            Ok((facts, file)) => {
                self.weights = Some((path, facts));
                (self, Some(file))
            }
            Err(error) => (self.without(format!("weights: {error}")), None),
        }
    }

    /// Writes `curves.svg`, `confusion.svg`, `mistakes.png` and `report.html` into the run's folder, and removes those of them
    /// for which there is nothing to show.
    pub fn write(&self) -> Result<PathBuf> {
        let has_mistakes = |answers: &&Evaluated| answers.has_images() && answers.assessment.wrong() > 0;
        let mistakes = match self.evaluated.as_ref().filter(has_mistakes) {
            Some(evaluated) => evaluated.mistakes_sheet()?.png()?,
            None => Vec::new(),
        };
        let page = page(std::slice::from_ref(self))?.into_bytes();
        let files = [
            ("curves.svg", self.curves()?.into_bytes()),
            ("confusion.svg", self.confusion_chart()?.into_bytes()),
            ("mistakes.png", mistakes),
            (PAGE, page),
        ];
        for (name, bytes) in files {
            let path = self.record.folder.join(name);
            if !bytes.is_empty() {
                atomic::write(&path, |out| out.write_all(&bytes))?;
            } else if path.is_file() {
                fs::remove_file(&path).map_err(|e| Error::io(&path, e))?;
            }
        }
        Ok(self.record.folder.join(PAGE))
    }
}

/// The page in a run's folder.
const PAGE: &str = "report.html";

/// The report of one run, or of several side by side, as an HTML file of at most 2 MB.
pub fn page(runs: &[RunReport]) -> Result<String> {
    let mut html = String::new();
    for most in SHOWN {
        let page = match runs {
            [run] => run.page(most)?,
            runs => comparison::page(runs, Some(most))?,
        };
        html = page.html();
        if html.len() <= LARGEST {
            return Ok(html);
        }
    }
    if runs.len() > 1 {
        html = comparison::page(runs, None)?.html();
    }
    Ok(html)
}

impl RunReport {
    /// The page of this run alone, with at most `most` mistakes.
    fn page(&self, most: usize) -> Result<Page> {
        let mut sections = vec![self.overview()];
        sections.extend(self.curves_section()?);
        sections.extend(self.details(most)?);
        sections.push(self.layers());
        sections.push(self.repetition());
        let subtitle = self.subtitle();
        Ok(Page { title: self.record.name(), subtitle, sections })
    }
}

impl WeightsFacts {
    fn of(file: &File) -> Result<WeightsFacts> {
        let provenance = Lineage::of(file)?.runs().first().and_then(|run| match run {
            PastRun::Known(provenance) => Some((**provenance).clone()),
            PastRun::Named { .. } => None,
        });
        let epoch = file.metadata.get("epoch").and_then(|epoch| epoch.parse().ok());
        let spec = inference::spec_of(file, None)?;
        // The rest of the report does without the picture.
        let filters = drawn_filters(file, &spec).unwrap_or_default();
        Ok(WeightsFacts { epoch, provenance, filters })
    }
}

/// The filters of the first convolution as a PNG file, with a line on what they are; none without a convolution.
fn drawn_filters(file: &File, spec: &Spec) -> Result<Option<(Vec<u8>, String)>> {
    let Some(layer) = spec.layers.iter().find(|layer| matches!(layer.op, LayerOp::Conv2d(_))) else {
        return Ok(None);
    };
    let Some(weight) = file.tensors.get(&format!("{}.weight", layer.name)) else { return Ok(None) };
    let mut tiles: Tiles = filters(weight)?;
    let all = tiles.len();
    let size: usize = tiles.shape.iter().product();
    tiles.values.truncate(FILTERS * size);
    let [channels, height, width] = tiles.shape;
    // A sheet half as wide as a page.
    let columns = if all >= 32 { 16 } else { 8 }.min(all);
    let zoom = (520 / columns / width.max(1)).saturating_sub(1).clamp(1, 12);
    let layout = TilesLayout { columns: Some(columns), zoom: Some(zoom), ..TilesLayout::default() };
    let png = tiles.draw(&layout, None)?.canvas.png()?;
    let shown = if all > FILTERS { format!("the first {FILTERS} of {all}") } else { format!("{all}") };
    let colours = if channels == 3 { "in colour" } else { "one tile for each input channel" };
    let what = format!(
        "{}: {shown} filters of {height} x {width}, {colours}. Each tile is stretched from its least (black) to its greatest value (white).",
        layer.name
    );
    Ok(Some((png, what)))
}
