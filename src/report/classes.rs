//! Charts of a classification: the confusion matrix as a heat map, bars of the classes, and the reliability diagram.

use super::chart::{Area, Drawn, fill, letters, line, svg, write};
use super::palette::{self, Rgb};
use super::text::shortened;
use crate::error::Result;
use plotters::style::text_anchor::{HPos, VPos};
use plotters::style::{FontTransform, TextStyle};
use std::collections::BTreeMap;

/// Most characters of a name.
const LETTERS: usize = 22;
/// Most classes that a heat map shows, and how many of more are chosen.
const MOST: usize = 100;
const CHOSEN: usize = 40;
/// Most classes with numbers in the cells.
const NUMBERED: usize = 20;
/// Most bars.
const BARS: usize = 30;

/// Counts of right and answered classes.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ConfusionMatrix {
    /// One name per class.
    pub names: Vec<String>,
    /// How often class `.0` was answered with class `.1`; pairs that occur.
    pub counts: BTreeMap<(usize, usize), u64>,
}

/// The answers for one class.
#[derive(Clone, Debug, PartialEq)]
pub struct ClassScore {
    pub name: String,
    pub samples: u64,
    /// In percent; NaN without samples, and where the class was never answered.
    pub recall: f64,
    pub precision: f64,
}

/// Answers of about the same confidence.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ReliabilityBin {
    pub count: u64,
    /// Means, 0 to 1.
    pub confidence: f64,
    pub accuracy: f64,
}

impl ConfusionMatrix {
    /// The classes that are shown, in their order: all, or those with the most mistakes.
    fn shown(&self) -> Vec<usize> {
        let all = self.names.len();
        if all <= MOST {
            return (0..all).collect();
        }
        let mut mistakes = vec![0u64; all];
        for (&(truth, answer), count) in self.counts.iter().filter(|((truth, answer), _)| truth != answer) {
            for class in [truth, answer] {
                mistakes[class] += count;
            }
        }
        let mut order: Vec<usize> = (0..all).collect();
        order.sort_by_key(|&class| std::cmp::Reverse(mistakes[class]));
        order.truncate(CHOSEN);
        order.sort_unstable();
        order
    }

    /// A heat map as an SVG file: one row per true class, one column per answer, the share of the row's samples as colour. Of
    /// more than 100 classes it shows the 40 with the most mistakes.
    pub fn svg(&self) -> Result<String> {
        let shown = self.shown();
        let count = shown.len().max(1) as i32;
        let cell = (640 / count).clamp(9, 42);
        let size = (cell - 1).clamp(8, 13) as u32;
        let names: Vec<String> =
            shown.iter().map(|&class| shortened(&self.names[class], LETTERS).0).collect();
        let room = label_room(&names, size);
        let (left, top) = (room + 34, 66);
        let side = cell * count;
        let width = (left + side + 24).max(440);
        svg((width as u32, (top + side + room + 40) as u32), |area| {
            let title = match shown.len() == self.names.len() {
                true => "Confusion matrix".to_string(),
                false => format!(
                    "Confusion matrix: the {} of {} classes with the most mistakes",
                    shown.len(),
                    self.names.len()
                ),
            };
            write(area, &title, (14, 12), &letters(16, palette::INK, HPos::Left, VPos::Top))?;
            let what = "row: true class; column: answer; colour: share of the row";
            write(area, what, (14, 36), &letters(13, palette::SOFT, HPos::Left, VPos::Top))?;
            self.cells(area, &shown, (left, top), cell)?;
            let across = letters(size, palette::INK, HPos::Right, VPos::Center);
            let upright =
                TextStyle { font: across.font.transform(FontTransform::Rotate270), ..across.clone() };
            for (place, name) in names.iter().enumerate() {
                let middle = place as i32 * cell + cell / 2;
                write(area, name, (left - 7, top + middle), &across)?;
                write(area, name, (left + middle, top + side + 7), &upright)?;
            }
            let soft = letters(13, palette::SOFT, HPos::Center, VPos::Bottom);
            write(area, "answer", (left + side / 2, top + side + room + 32), &soft)?;
            let soft = letters(13, palette::SOFT, HPos::Center, VPos::Top);
            let turned = TextStyle { font: soft.font.transform(FontTransform::Rotate270), ..soft.clone() };
            write(area, "true class", (8, top + side / 2), &turned)
        })
    }

    fn cells(&self, area: &Area<'_>, shown: &[usize], (left, top): (i32, i32), cell: i32) -> Drawn {
        let mut samples = vec![0u64; self.names.len()];
        self.counts.iter().for_each(|((truth, _), count)| samples[*truth] += count);
        let side = cell * shown.len() as i32;
        fill(area, (left, top), (left + side, top + side), Rgb([246, 248, 250]))?;
        for (row, &truth) in shown.iter().enumerate() {
            for (column, &answer) in shown.iter().enumerate() {
                let count = self.counts.get(&(truth, answer)).copied().unwrap_or(0);
                if count == 0 {
                    continue;
                }
                let share = count as f64 / samples[truth] as f64;
                let colour = if truth == answer { palette::FIRST } else { palette::SECOND };
                // Single mistakes are to be seen too.
                let depth = 0.12 + 0.88 * share.sqrt();
                let (x, y) = (left + column as i32 * cell, top + row as i32 * cell);
                fill(area, (x, y), (x + cell - 1, y + cell - 1), colour.tint(depth))?;
                if shown.len() <= NUMBERED {
                    let ink = if depth > 0.55 { palette::WHITE } else { palette::INK };
                    let digits = count.to_string();
                    let size = if digits.len() > 4 { 10 } else { 12 };
                    let middle = (x + cell / 2, y + cell / 2);
                    write(area, &digits, middle, &letters(size, ink, HPos::Center, VPos::Center))?;
                }
            }
        }
        Ok(())
    }

    /// The most frequent mistakes, at most `most`: true class, answer, how often, and of how many samples of the class.
    pub fn mistakes(&self, most: usize) -> Vec<[String; 4]> {
        let mut samples = vec![0u64; self.names.len()];
        self.counts.iter().for_each(|((truth, _), count)| samples[*truth] += count);
        let mut pairs: Vec<_> = self.counts.iter().filter(|((truth, answer), _)| truth != answer).collect();
        pairs.sort_by_key(|(_, count)| std::cmp::Reverse(**count));
        let row = |(&(truth, answer), count): (&(usize, usize), &u64)| {
            let names = [&self.names[truth], &self.names[answer]].map(String::clone);
            let [truth_name, answer_name] = names;
            [truth_name, answer_name, count.to_string(), samples[truth].to_string()]
        };
        pairs.into_iter().take(most).map(row).collect()
    }
}

/// Pixels that the longest of `names` takes, `size` pixels high.
fn label_room(names: &[String], size: u32) -> i32 {
    let longest = names.iter().map(|name| name.chars().map(width).sum::<f64>()).fold(0.0, f64::max);
    (longest * f64::from(size)).ceil() as i32 + 12
}

/// The width of a sans-serif letter as a share of its size: ideographs and the like are square.
fn width(letter: char) -> f64 {
    if letter as u32 >= 0x1100 { 1.0 } else { 0.56 }
}

/// Bars of the classes with the lowest recall first, at most 30, as an SVG file.
pub fn class_bars(classes: &[ClassScore]) -> Result<String> {
    let mut order: Vec<&ClassScore> = classes.iter().filter(|class| class.samples > 0).collect();
    order.sort_by(|a, b| a.recall.total_cmp(&b.recall));
    let all = order.len();
    order.truncate(BARS);
    let names: Vec<String> = order.iter().map(|class| shortened(&class.name, LETTERS).0).collect();
    let (room, step, top) = (label_room(&names, 13) + 14, 22, 66);
    let length = 240;
    let size = ((room + length + 130).max(470), top + step * order.len() as i32 + 16);
    svg((size.0 as u32, size.1 as u32), |area| {
        let title = match all > order.len() {
            true => format!("Classes: the {} of {all} with the lowest recall", order.len()),
            false => "Classes, the lowest recall first".to_string(),
        };
        write(area, &title, (14, 12), &letters(16, palette::INK, HPos::Left, VPos::Top))?;
        let what = "bar: recall (found of the class); line: precision (right of the answers)";
        write(area, what, (14, 36), &letters(13, palette::SOFT, HPos::Left, VPos::Top))?;
        for (row, (class, name)) in order.iter().zip(&names).enumerate() {
            let y = top + step * row as i32;
            let at =
                |percent: f64| room + (f64::from(length) * percent.clamp(0.0, 100.0) / 100.0).round() as i32;
            fill(area, (room, y), (room + length, y + 15), Rgb([238, 241, 244]))?;
            fill(area, (room, y), (at(class.recall), y + 15), palette::FIRST.tint(0.75))?;
            if class.precision.is_finite() {
                line(area, (at(class.precision), y - 2), (at(class.precision), y + 17), palette::SECOND, 2)?;
            }
            write(area, name, (room - 8, y + 8), &letters(13, palette::INK, HPos::Right, VPos::Center))?;
            let value = format!("{:.1} % of {}", class.recall, class.samples);
            write(
                area,
                &value,
                (room + length + 10, y + 8),
                &letters(13, palette::SOFT, HPos::Left, VPos::Center),
            )?;
        }
        Ok(())
    })
}

/// The reliability diagram (DeGroot and Fienberg 1983; Guo et al. 2017, figure 1) as an SVG file: accuracy over confidence in
/// equal intervals of confidence, with the share of the answers below. `error` is the expected calibration error, 0 to 1.
pub fn reliability(bins: &[ReliabilityBin], error: f64) -> Result<String> {
    let (left, top, side) = (64, 66, 300);
    let below = 90;
    svg((left as u32 + side as u32 + 30, top as u32 + side as u32 + below as u32 + 54), |area| {
        let title = format!("Calibration: expected error {:.2} %", 100.0 * error);
        write(area, &title, (14, 12), &letters(16, palette::INK, HPos::Left, VPos::Top))?;
        let what = "on the line, confidence is accuracy";
        write(area, what, (14, 36), &letters(13, palette::SOFT, HPos::Left, VPos::Top))?;
        let y = |share: f64| top + side - (f64::from(side) * share.clamp(0.0, 1.0)).round() as i32;
        for tick in 0..=5 {
            let share = f64::from(tick) / 5.0;
            line(area, (left, y(share)), (left + side, y(share)), palette::GRID, 1)?;
            let label = format!("{} %", 20 * tick);
            write(
                area,
                &label,
                (left - 6, y(share)),
                &letters(12, palette::SOFT, HPos::Right, VPos::Center),
            )?;
            let x = left + side * tick / 5;
            let bottom = top + side + below;
            write(area, &label, (x, bottom + 5), &letters(12, palette::SOFT, HPos::Center, VPos::Top))?;
        }
        let all: u64 = bins.iter().map(|bin| bin.count).sum();
        let most = bins.iter().map(|bin| bin.count).max().unwrap_or(0).max(1);
        for (place, bin) in bins.iter().enumerate().filter(|(_, bin)| bin.count > 0) {
            let edge = |place: usize| left + side * place as i32 / bins.len() as i32;
            let (from, to) = (edge(place) + 1, edge(place + 1) - 1);
            fill(area, (from, y(bin.accuracy)), (to, y(0.0)), palette::FIRST.tint(0.75))?;
            // Where the bar ought to end.
            line(area, (from, y(bin.confidence)), (to, y(bin.confidence)), palette::SECOND, 3)?;
            let height = (f64::from(below - 16) * bin.count as f64 / most as f64).ceil() as i32;
            let bottom = top + side + below;
            fill(area, (from, bottom - height), (to, bottom), palette::SOFT.tint(0.5))?;
        }
        line(area, (left, y(0.0)), (left + side, y(1.0)), palette::SOFT, 1)?;
        let share = format!("largest: {:.0} % of {all} answers", 100.0 * most as f64 / all.max(1) as f64);
        write(area, &share, (left + 4, top + side + 6), &letters(12, palette::SOFT, HPos::Left, VPos::Top))?;
        let legend = letters(13, palette::SOFT, HPos::Center, VPos::Bottom);
        write(
            area,
            "confidence (probability of the answer)",
            (left + side / 2, top + side + below + 44),
            &legend,
        )?;
        let style = letters(13, palette::SOFT, HPos::Center, VPos::Top);
        let turned = TextStyle { font: style.font.transform(FontTransform::Rotate270), ..style.clone() };
        write(area, "accuracy", (4, top + side / 2), &turned)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matrix(classes: usize) -> ConfusionMatrix {
        let names = (0..classes).map(|class| format!("<class \"{class}\">")).collect();
        let mut counts: BTreeMap<_, _> = (0..classes).map(|class| ((class, class), 9)).collect();
        counts.insert((0, classes - 1), 1);
        ConfusionMatrix { names, counts }
    }

    #[test]
    fn a_heat_map_has_a_cell_for_each_pair_that_occurs_and_escapes_names() {
        let text = matrix(3).svg().unwrap();
        // The white ground, that of the matrix, and four cells.
        assert_eq!(text.matches("<rect").count(), 2 + 4);
        assert!(text.contains("&lt;class &quot;2&quot;&gt;") && !text.contains("<class"), "{text}");
        assert_eq!(text.matches("\n9\n</text>").count(), 3, "{text}");
    }

    #[test]
    fn of_many_classes_those_with_mistakes_are_shown() {
        let mut large = matrix(1000);
        large.counts.extend([((7, 500), 4), ((500, 7), 3)]);
        let shown = large.shown();
        assert!(
            shown.len() == CHOSEN && [0, 7, 500, 999].iter().all(|class| shown.contains(class)),
            "{shown:?}"
        );
        assert!(large.svg().unwrap().contains("the 40 of 1000 classes"));
        assert_eq!(large.mistakes(1), [["<class \"7\">", "<class \"500\">", "4", "13"].map(String::from)]);
        assert!(matrix(100).svg().unwrap().len() < 400_000);
    }

    #[test]
    fn bars_are_as_long_as_the_recall_and_the_lowest_comes_first() {
        let class = |name: &str, recall: f64, precision: f64| ClassScore {
            name: name.into(),
            samples: 10,
            recall,
            precision,
        };
        let none = ClassScore { samples: 0, ..class("unseen", f64::NAN, f64::NAN) };
        let text = class_bars(&[class("good", 100.0, 50.0), class("poor", 25.0, f64::NAN), none]).unwrap();
        assert!(text.find("poor").unwrap() < text.find("good").unwrap() && !text.contains("unseen"));
        assert!(text.contains("width=\"60\"") && text.contains("width=\"240\""), "{text}");
        assert_eq!(text.matches("<polyline").count() + text.matches("<line").count(), 1, "{text}");
    }

    #[test]
    fn the_reliability_diagram_shows_the_bins_that_have_answers() {
        let bin = |count| ReliabilityBin { count, confidence: 0.5, accuracy: 0.25 };
        let text = reliability(&[bin(0), bin(4), bin(12)], 0.25).unwrap();
        assert!(
            text.contains("expected error 25.00 %") && text.contains("largest: 75 % of 16 answers"),
            "{text}"
        );
        assert_eq!(text.matches("<rect").count(), 1 + 2 * 2, "{text}");
    }
}
