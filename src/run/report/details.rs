//! The sections of a page that need the run's weights and data: classes, mistakes, calibration, filters.

use super::RunReport;
use crate::error::Result;
use crate::inference::{CalibrationBin, Confusion};
use crate::report::{
    Block, ClassScore, ConfusionMatrix, Evaluated, ReliabilityBin, Section, class_bars, reliability,
};

/// Rows of the table of confused classes.
const PAIRS: usize = 12;

impl Evaluated {
    fn confusion(&self) -> &Confusion {
        self.assessment.confusion()
    }

    fn matrix(&self) -> ConfusionMatrix {
        let names = (0..self.confusion().classes()).map(|class| self.name(class)).collect();
        ConfusionMatrix { names, counts: self.confusion().counts().collect() }
    }

    fn scores(&self) -> Vec<ClassScore> {
        let confusion = self.confusion();
        let score = |class| ClassScore {
            name: self.name(class),
            samples: confusion.samples(class),
            recall: confusion.recall(class),
            precision: confusion.precision(class),
        };
        (0..confusion.classes()).map(score).collect()
    }

    fn classes_section(&self) -> Result<Section> {
        let matrix = self.matrix();
        let pairs = matrix.mistakes(PAIRS).into_iter().map(Vec::from).collect::<Vec<_>>();
        let charts = vec![vec![Block::Svg(matrix.svg()?)], vec![Block::Svg(class_bars(&self.scores())?)]];
        let mut blocks = vec![Block::Row(charts)];
        if !pairs.is_empty() {
            let head = ["true class", "answer", "times", "samples of the class"].map(String::from).to_vec();
            blocks.push(Block::Heading("Most frequent mistakes".into()));
            blocks.push(Block::Table { head, rows: pairs });
        }
        Ok(Section { heading: "Classes".into(), blocks })
    }

    fn mistakes_section(&self, most: usize) -> Result<Option<Section>> {
        if most == 0 || !self.has_images() {
            return Ok(None);
        }
        let mut blocks = vec![Block::Text(format!("{}.", self.heading(most)))];
        if self.assessment.wrong() > 0 {
            blocks.push(Block::Mistakes(self.thumbnails(most)?));
            blocks.push(Block::Text("Images are shown as the network sees them.".into()));
        }
        Ok(Some(Section { heading: "Most confident mistakes".into(), blocks }))
    }

    fn calibration_section(&self) -> Result<Option<Section>> {
        let (Some(bins), Some(error)) = (self.assessment.calibration(), self.assessment.calibration_error())
        else {
            return Ok(None);
        };
        let bin = |bin: &CalibrationBin| {
            let count = bin.count.max(1) as f64;
            ReliabilityBin {
                count: bin.count,
                confidence: bin.confidence / count,
                accuracy: bin.hits as f64 / count,
            }
        };
        let svg = reliability(&bins.iter().map(bin).collect::<Vec<_>>(), error)?;
        let all: u64 = bins.iter().map(|bin| bin.count).sum();
        let sums = bins
            .iter()
            .fold((0, 0.0), |(hits, confidence), bin| (hits + bin.hits, confidence + bin.confidence));
        let [accuracy, confidence] = [sums.0 as f64, sums.1].map(|sum| 100.0 * sum / all as f64);
        let verdict = match confidence - accuracy {
            more if more > 1.0 => {
                "The network is overconfident: its answers are right less often than their probabilities say."
            }
            less if less < -1.0 => {
                "The network is underconfident: its answers are right more often than their probabilities say."
            }
            _ => "On average, answers are right about as often as their probabilities say.",
        };
        let text = vec![
            Block::Text(format!("Mean confidence {confidence:.2} %, accuracy {accuracy:.2} %, expected calibration error {:.2} % over 15 intervals of confidence.", 100.0 * error)),
            Block::Text(verdict.into()),
            Block::Text("Bars: accuracy of the answers in an interval. Orange lines: their mean confidence. Below: how many answers there are.".into()),
        ];
        let blocks = vec![Block::Row(vec![vec![Block::Svg(svg)], text])];
        Ok(Some(Section { heading: "Calibration".into(), blocks }))
    }
}

impl RunReport {
    /// `confusion.svg`; empty without answers.
    pub(super) fn confusion_chart(&self) -> Result<String> {
        self.evaluated.as_ref().map_or(Ok(String::new()), |evaluated| evaluated.matrix().svg())
    }

    /// What weights and answers say, with at most `most` mistakes.
    pub(super) fn details(&self, most: usize) -> Result<Vec<Section>> {
        let mut sections = Vec::new();
        if let Some(evaluated) = &self.evaluated {
            sections.push(evaluated.classes_section()?);
            sections.extend(evaluated.mistakes_section(most)?);
            sections.extend(evaluated.calibration_section()?);
        }
        if let Some((png, what)) = self.weights.as_ref().and_then(|(_, facts)| facts.filters.clone()) {
            let blocks = vec![Block::Text(what.clone()), Block::Png { bytes: png, what }];
            sections.push(Section { heading: "Filters of the first convolution".into(), blocks });
        }
        Ok(sections)
    }
}
