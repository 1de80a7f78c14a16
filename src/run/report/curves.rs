//! Learning curves: loss, top-1 or RMSE, and the learning rate, over epochs.

use super::RunReport;
use crate::error::Result;
use crate::report::{Block, Curve, LineChart, Rgb, Section, line_charts};
use crate::run::record::EpochRecord;

impl RunReport {
    /// The points of an epoch's number; epochs count from 1.
    fn epochs(&self, value: impl Fn(&EpochRecord) -> Option<f64>) -> Vec<[f64; 2]> {
        let point = |epoch: &EpochRecord| Some([epoch.epoch as f64 + 1.0, value(epoch)?]);
        self.record.epochs.iter().filter_map(point).collect()
    }

    /// The points of a number of steps, over epochs.
    fn steps(&self, value: impl Fn([f64; 3]) -> f64) -> Vec<[f64; 2]> {
        let per_epoch = self.record.start.as_ref().and_then(|start| start.steps_per_epoch).filter(|&n| n > 0);
        let Some(per_epoch) = per_epoch else { return Vec::new() };
        self.record.steps.curve(value).into_iter().map(|[step, y]| [step / per_epoch as f64, y]).collect()
    }

    /// The learning rate over steps, or over epochs where the log has no steps.
    fn rates(&self) -> Vec<[f64; 2]> {
        let rates = self.steps(|[.., lr]| lr);
        if rates.is_empty() { self.epochs(|e| e.lr) } else { rates }
    }

    /// Top-1 of the epochs that were validated.
    fn accuracies(&self) -> Vec<[f64; 2]> {
        self.epochs(|e| e.acc1.filter(|_| e.val_loss.is_some()))
    }

    /// `curves.svg`: an SVG file, empty as long as no epoch and no step is done.
    pub(super) fn curves(&self) -> Result<String> {
        let curve =
            |label: &str, colour, is_faint, points| Curve { label: label.into(), colour, is_faint, points };
        let three = |label: &str, steps, train, val| {
            let curves = vec![
                curve("", Rgb::TRAINING, true, steps),
                curve("training", Rgb::TRAINING, false, train),
                curve("validation", Rgb::VALIDATION, false, val),
            ];
            // Only what is there has a name in the legend.
            let curves = curves.into_iter().filter(|curve| !curve.points.is_empty()).collect();
            LineChart { title: label.into(), x: "epoch".into(), curves }
        };
        let (steps, train) = (self.steps(|[loss, ..]| loss), self.epochs(|e| e.train_loss));
        let mut charts = vec![three("Loss", steps, train, self.epochs(|e| e.val_loss))];
        if self.record.has_hits() {
            let (steps, train) = (self.steps(|[_, acc1, _]| acc1), self.epochs(|e| e.train_acc1));
            charts.push(three("Top-1 in %", steps, train, self.accuracies()));
        }
        let errors = self.epochs(|e| e.rmse);
        if !errors.is_empty() {
            charts.push(three("RMSE", Vec::new(), Vec::new(), errors));
        }
        let points = self.rates();
        let rates = Curve { label: String::new(), colour: Rgb::VALIDATION, is_faint: false, points };
        charts.push(LineChart { title: "Learning rate".into(), x: "epoch".into(), curves: vec![rates] });
        line_charts(&charts)
    }

    /// The section of a page; none as long as there is nothing to draw.
    pub(super) fn curves_section(&self) -> Result<Option<Section>> {
        let svg = self.curves()?;
        let has_steps = !self.steps(|[loss, ..]| loss).is_empty();
        let what = match has_steps {
            true => {
                "Points are epochs, the pale line shows the training steps between them. Training is measured while weights change, with augmentation and dropout."
            }
            false => {
                "Points are epochs. Training is measured while weights change, with augmentation and dropout."
            }
        };
        let blocks = vec![Block::Svg(svg.clone()), Block::Text(what.into())];
        Ok((!svg.is_empty()).then(|| Section { heading: "Learning curves".into(), blocks }))
    }

    /// The curves that a comparison shows of run `number`: training loss, validation loss, result, learning rate.
    pub(super) fn compared(&self, number: usize) -> [Vec<Curve>; 3] {
        let curve =
            |is_faint, points| Curve { label: String::new(), colour: Rgb::of_run(number), is_faint, points };
        let result = match self.record.has_hits() {
            true => self.accuracies(),
            false => self.epochs(|e| e.rmse),
        };
        let (train, val) = (self.epochs(|e| e.train_loss), self.epochs(|e| e.val_loss));
        [
            vec![curve(true, train), curve(false, val)],
            vec![curve(false, result)],
            vec![curve(false, self.rates())],
        ]
    }
}
