//! What became slower and what faster.

use super::super::timing::median;
use super::interval::{self, Ratio};
use super::results::{Benchmark, Entry, Results, differences};
use crate::error::{Error, Result};
use serde_json::{Value, json};

/// From this many runs of a benchmark on, their medians are compared, so that what differs from run to run (where memory
/// lies, what else the machine does) counts too.
const RUNS: usize = 5;
/// Entries of a profile that are a smaller part of the step than this are shown, but never called slower: they are
/// measured one by one, and a few microseconds come and go.
const SHARE: f64 = 0.01;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Slower,
    Faster,
    /// Within the threshold.
    Same,
    /// Beyond the threshold, but the interval does not exclude that nothing changed.
    Uncertain,
    /// Beyond the threshold, but a small part of a step.
    Small,
    TooFew,
    OnlyOld,
    OnlyNew,
    /// An operator with this name, but other operands.
    OtherShapes,
}

impl Verdict {
    pub fn name(self) -> &'static str {
        match self {
            Verdict::Slower => "slower",
            Verdict::Faster => "faster",
            Verdict::Same => "no change",
            Verdict::Uncertain => "uncertain",
            Verdict::Small => "small part",
            Verdict::TooFew => "too few samples",
            Verdict::OnlyOld => "only in OLD",
            Verdict::OnlyNew => "only in NEW",
            Verdict::OtherShapes => "other shapes",
        }
    }
}

/// One line of a comparison.
#[derive(Clone, Debug)]
pub(super) struct Change {
    pub benchmark: &'static str,
    pub device: String,
    pub name: String,
    /// Medians in milliseconds.
    pub old: Option<f64>,
    pub new: Option<f64>,
    pub counts: [usize; 2],
    pub ratio: Option<Ratio>,
    /// How much slower the control was in NEW, by its two kinds of work.
    pub control: [Option<f64>; 2],
    pub verdict: Verdict,
}

impl Change {
    pub fn to_json(&self) -> Value {
        let interval = self.ratio.and_then(|ratio| ratio.interval);
        json!({
            "benchmark": self.benchmark,
            "device": self.device,
            "name": self.name,
            "old_ms": self.old,
            "new_ms": self.new,
            "old_count": self.counts[0],
            "new_count": self.counts[1],
            "ratio": self.ratio.map(|ratio| ratio.ratio),
            "low": interval.map(|[low, _]| low),
            "high": interval.map(|[_, high]| high),
            "control_multiply_adds": self.control[0],
            "control_copy": self.control[1],
            "verdict": self.verdict.name(),
        })
    }
}

/// An error with everything in which both cannot be compared.
pub(super) fn check(old: &Results, new: &Results) -> Result<()> {
    let mut wrong = Vec::new();
    let mut common = false;
    for benchmark in &old.benchmarks {
        let Some(other) = new.find(benchmark.kind) else { continue };
        common = true;
        let differences = differences(benchmark, other);
        wrong.extend(differences.iter().map(|what| format!("bench {}: {what}", benchmark.kind)));
    }
    if !common {
        let kinds = |results: &Results| {
            let kinds = results.benchmarks.iter().map(|benchmark| format!("bench {}", benchmark.kind));
            kinds.collect::<Vec<String>>().join(" and ")
        };
        wrong.push(format!("expected {}, found {}", kinds(old), kinds(new)));
    }
    match wrong.is_empty() {
        true => Ok(()),
        false => {
            Err(Error::data(&new.name, format!("cannot be compared with {}: {}", old.name, wrong.join("; "))))
        }
    }
}

/// Everything on both sides, in the order of `old`. `paired` says that the runs of both sides were made in turn.
pub(super) fn changes(old: &Results, new: &Results, threshold: f64, paired: bool) -> Vec<Change> {
    let mut changes = Vec::new();
    let only = |benchmark: &Benchmark, entry: &Entry, verdict: Verdict| {
        let median = Some(median(&mut entry.samples())).filter(|median| median.is_finite());
        let [old, new] = if verdict == Verdict::OnlyOld { [median, None] } else { [None, median] };
        let (device, name) = (entry.device.clone(), entry.name.clone());
        let (counts, control) = ([0, 0], [None, None]);
        Change { benchmark: benchmark.kind, device, name, old, new, counts, ratio: None, control, verdict }
    };
    for there in &old.benchmarks {
        let other = new.find(there.kind);
        for entry in &there.entries {
            changes.push(match other.and_then(|other| other.find(entry)) {
                Some(found) => change(there.kind, entry, found, threshold, paired),
                None => only(there, entry, Verdict::OnlyOld),
            });
        }
        let added = other.into_iter().flat_map(|other| &other.entries);
        let added = added.filter(|entry| there.find(entry).is_none());
        changes.extend(added.map(|entry| only(there, entry, Verdict::OnlyNew)));
    }
    for added in new.benchmarks.iter().filter(|added| old.find(added.kind).is_none()) {
        changes.extend(added.entries.iter().map(|entry| only(added, entry, Verdict::OnlyNew)));
    }
    changes
}

fn change(kind: &'static str, old: &Entry, new: &Entry, threshold: f64, paired: bool) -> Change {
    let medians = |entry: &Entry| -> Vec<f64> {
        entry.runs.iter().filter(|run| !run.is_empty()).map(|run| median(&mut run.clone())).collect()
    };
    // A run without a partner is no pair.
    let partners = || old.runs.iter().zip(&new.runs).filter(|(old, new)| !old.is_empty() && !new.is_empty());
    let (old_runs, new_runs) = match paired {
        true => partners().map(|(old, new)| (median(&mut old.clone()), median(&mut new.clone()))).unzip(),
        false => (medians(old), medians(new)),
    };
    let [old_samples, new_samples] = match paired || old_runs.len().min(new_runs.len()) >= RUNS {
        true => [old_runs, new_runs],
        false => [old.samples(), new.samples()],
    };
    let mut drifts = [None, None];
    let ratio = match paired {
        true => {
            let quotients = old_samples.iter().zip(&new_samples).map(|(old, new)| new / old);
            interval::of_pairs(&quotients.collect::<Vec<f64>>())
        }
        false => {
            for (drift, (old, new)) in drifts.iter_mut().zip(old.control.iter().zip(&new.control)) {
                *drift = interval::of_samples(old, new);
            }
            interval::of_samples(&old_samples, &new_samples).map(|ratio| widened(ratio, &drifts))
        }
    };
    // What was a small part may have become a large one.
    let larger = old.share.into_iter().chain(new.share).reduce(f64::max);
    let verdict = if old.shapes != new.shapes && !old.shapes.is_null() && !new.shapes.is_null() {
        Verdict::OtherShapes
    } else {
        judge(ratio, threshold, larger)
    };
    let middle = |samples: &[f64]| Some(median(&mut samples.to_vec())).filter(|median| median.is_finite());
    Change {
        benchmark: kind,
        device: old.device.clone(),
        name: old.name.clone(),
        old: middle(&old_samples),
        new: middle(&new_samples),
        counts: [old_samples.len(), new_samples.len()],
        ratio: ratio.filter(|_| verdict != Verdict::OtherShapes),
        control: drifts.map(|drift| drift.map(|drift| drift.ratio)),
        verdict,
    }
}

/// The interval, made so wide that it also holds the ratio that is left if the machine itself was as much slower or faster as
/// each kind of work of the control does not exclude: on a busy machine the control has a wide interval too.
fn widened(ratio: Ratio, drifts: &[Option<Ratio>]) -> Ratio {
    let drifts = drifts.iter().flatten().map(|drift| drift.interval.unwrap_or([drift.ratio; 2]));
    let interval = ratio.interval.map(|[low, high]| {
        drifts.fold([low, high], |[least, most], [drift_low, drift_high]| {
            [least.min(low / drift_high), most.max(high / drift_low)]
        })
    });
    Ratio { interval, ..ratio }
}

fn judge(ratio: Option<Ratio>, threshold: f64, share: Option<f64>) -> Verdict {
    let Some(Ratio { ratio, interval: Some([low, high]) }) = ratio else { return Verdict::TooFew };
    let (slower, faster) = (ratio > 1.0 + threshold, ratio < 1.0 / (1.0 + threshold));
    let is_certain = if slower { low > 1.0 } else { high < 1.0 };
    match slower || faster {
        false => Verdict::Same,
        true if !is_certain => Verdict::Uncertain,
        true if share.is_some_and(|share| share < SHARE) => Verdict::Small,
        true if slower => Verdict::Slower,
        true => Verdict::Faster,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(name: &str, samples: &[f64], control: f64) -> Entry {
        let (control, shapes) = ([vec![control; 8], vec![control; 8]], Value::Null);
        Entry {
            device: "cpu".into(),
            name: name.into(),
            runs: vec![samples.to_vec()],
            control,
            shapes,
            share: None,
        }
    }

    /// Eight samples around 1 ms that differ a little.
    fn around(scale: f64) -> Vec<f64> {
        (0..8).map(|i| scale * (1.0 + 0.005 * f64::from(i % 3))).collect()
    }

    #[test]
    fn a_change_counts_if_it_is_beyond_the_threshold_and_the_machine_does_not_explain_it() {
        let verdict = |new: f64, control: f64, threshold: f64| {
            change(
                "ops",
                &entry("a", &around(1.0), 1.0),
                &entry("a", &around(new), control),
                threshold,
                false,
            )
            .verdict
        };
        assert_eq!(verdict(1.15, 1.0, 0.1), Verdict::Slower);
        assert_eq!(verdict(1.15, 1.0, 0.2), Verdict::Same);
        assert_eq!(verdict(1.15, 1.15, 0.1), Verdict::Uncertain, "the control was slower by as much");
        assert_eq!(verdict(1.15, 0.9, 0.1), Verdict::Slower);
        assert_eq!(verdict(0.85, 1.0, 0.1), Verdict::Faster);
        assert_eq!(verdict(0.85, 0.85, 0.1), Verdict::Uncertain);
        assert_eq!(verdict(1.0, 1.3, 0.1), Verdict::Same);
        // A control that says nothing certain of the machine leaves nothing certain of the operator.
        let mut busy = entry("a", &around(1.15), 1.0);
        busy.control[1] = vec![0.8, 0.9, 1.0, 1.0, 1.2, 1.3, 1.4, 2.0];
        assert_eq!(
            change("ops", &entry("a", &around(1.0), 1.0), &busy, 0.1, false).verdict,
            Verdict::Uncertain
        );
    }

    #[test]
    fn too_few_samples_small_parts_and_other_shapes_are_never_slower() {
        let few = change("ops", &entry("a", &[1.0; 3], 1.0), &entry("a", &[2.0; 3], 1.0), 0.1, false);
        assert_eq!(few.verdict, Verdict::TooFew);
        let none = change("ops", &entry("a", &[], 1.0), &entry("a", &[2.0; 9], 1.0), 0.1, false);
        assert_eq!((none.verdict, none.old), (Verdict::TooFew, None));
        let part = |share| Entry { share: Some(share), ..entry("a", &around(1.0), 1.0) };
        let slow = entry("a", &around(1.5), 1.0);
        assert_eq!(change("step", &part(0.009), &slow, 0.1, false).verdict, Verdict::Small);
        assert_eq!(change("step", &part(0.011), &slow, 0.1, false).verdict, Verdict::Slower);
        let shaped = |n: u32| Entry { shapes: json!({"x": [n]}), ..slow.clone() };
        let other = change("ops", &shaped(1), &shaped(2), 0.1, false);
        assert_eq!((other.verdict, other.ratio), (Verdict::OtherShapes, None));
    }

    /// Runs in turn: what slows a pair of them says nothing, and what is slower in every pair is found.
    #[test]
    fn pairs_are_compared_with_each_other() {
        let load: Vec<f64> = (0..10).map(|i| 1.0 + 0.3 * f64::from(i % 4)).collect();
        let entry = |scale: f64| Entry {
            runs: load.iter().map(|load| around(scale * load)).collect(),
            ..entry("a", &[], 1.0)
        };
        let verdict = |scale: f64| change("step", &entry(1.0), &entry(scale), 0.1, true).verdict;
        assert_eq!(
            (verdict(1.0), verdict(1.15), verdict(1.05)),
            (Verdict::Same, Verdict::Slower, Verdict::Same)
        );
        // Each side lost another run: the rest keep their partners.
        let without = |scale: f64, lost: usize| {
            let mut entry = entry(scale);
            entry.runs[lost].clear();
            entry
        };
        let found = change("step", &without(1.0, 1), &without(1.15, 6), 0.1, true);
        assert_eq!((found.verdict, found.counts), (Verdict::Slower, [8, 8]));
        assert!((found.ratio.unwrap().ratio - 1.15).abs() < 1e-9);
        let short = Entry { runs: vec![around(1.15); 7], ..entry(1.0) };
        assert_eq!(change("step", &entry(1.0), &short, 0.1, true).verdict, Verdict::TooFew);
    }
}
