//! What the steps of a program took, against what the device could do: totals by operator, then every step, largest first;
//! as a table, as JSON, and as a chart.

use super::peaks::PeakRates;
use super::table::{shortened, wrapped};
use super::timing::Timing;
use crate::error::Result;
use crate::program::{Clock, Profile, ProfileEntry};
use crate::report::{Roofline, RooflinePoint};
use serde_json::{Value, json};

/// A profile held against the peak rates of its device.
pub(crate) struct Analysis {
    device: String,
    pub peaks: PeakRates,
    clock: Clock,
    dispatches: usize,
    /// Steps of the program in all lines.
    steps: usize,
    lines: Vec<Line>,
    /// The run whose sum is the middle one, as it happened.
    pub timeline: Profile,
    /// Seconds of the whole without clocks inside, and of the host's part of it, where they were measured.
    pub whole: Option<f64>,
    pub host: Option<f64>,
}

/// One thing that was timed.
#[derive(Clone, Debug)]
pub(super) struct Line {
    /// Operator.
    pub kind: String,
    /// Layer or parameter.
    pub label: String,
    pub seconds: f64,
    pub flops: u64,
    pub bytes: u64,
    /// The seconds that the peak rates allow.
    pub bound: f64,
    /// Labels of its GPU pipelines, or of its kernel on the CPU path.
    pub pipelines: Vec<String>,
    /// All its measurements; of a sum of lines, none.
    pub times: Option<Timing>,
}

impl Line {
    fn gflops(&self) -> f64 {
        rate(self.flops, self.seconds)
    }

    fn gigabytes(&self) -> f64 {
        rate(self.bytes, self.seconds)
    }

    /// Operator and layer, by which it is known in every result.
    fn name(&self) -> String {
        format!("{} {}", self.kind, self.label).trim_end().to_string()
    }

    fn point(&self) -> RooflinePoint {
        let Line { kind, label, seconds, flops, bytes, .. } = self.clone();
        RooflinePoint { label, kind, flops, bytes, seconds: seconds.max(1e-9) }
    }
}

/// Thousands of millions in a second; 0 for what took no time that the clock can see.
fn rate(count: u64, seconds: f64) -> f64 {
    if seconds > 0.0 { count as f64 / seconds / 1e9 } else { 0.0 }
}

/// Lines of the same operator added up, the longest first.
pub(super) fn totals(lines: &[Line]) -> Vec<(usize, Line)> {
    let mut totals: Vec<(usize, Line)> = Vec::new();
    for line in lines {
        match totals.iter_mut().find(|(_, total)| total.kind == line.kind) {
            Some((count, total)) => {
                *count += 1;
                total.seconds += line.seconds;
                total.flops += line.flops;
                total.bytes += line.bytes;
                total.bound += line.bound;
            }
            None => totals.push((1, Line { label: String::new(), times: None, ..line.clone() })),
        }
    }
    totals.sort_by(|a, b| b.1.seconds.total_cmp(&a.1.seconds));
    totals
}

/// Totals by operator as a table.
pub(super) fn totals_table(lines: &[Line]) -> Vec<String> {
    let all: f64 = lines.iter().map(|line| line.seconds).sum();
    let mut table = vec![format!(
        "{:<42} {:>5} {:>10} {:>7} {:>9} {:>8} {:>10} {:>6}",
        "operator", "times", "ms", "share", "GFLOP/s", "GB/s", "peak ms", "peak"
    )];
    for (count, total) in totals(lines) {
        table.push(format!("{:<42} {count:>5} {}", shortened(&total.kind, 42), numbers(&total, all)));
    }
    table
}

/// Time, share, rates and peak rate of a line, as columns.
fn numbers(line: &Line, all: f64) -> String {
    format!(
        "{:>10.3} {:>5.1} % {:>9.1} {:>8.1} {:>10.3} {:>4.0} %",
        line.seconds * 1e3,
        100.0 * line.seconds / all.max(f64::MIN_POSITIVE),
        line.gflops(),
        line.gigabytes(),
        line.bound * 1e3,
        100.0 * line.bound / line.seconds.max(f64::MIN_POSITIVE)
    )
}

/// Why lines took less time than the peak rates allow, in a sentence for each reason; nothing where none did.
pub(super) fn explanations(lines: &[Line], peaks: &PeakRates) -> Vec<String> {
    let above: Vec<&Line> =
        lines.iter().filter(|line| line.seconds > 0.0 && line.bound > line.seconds).collect();
    let is_arithmetic = |line: &&&Line| line.flops as f64 / peaks.flops() >= line.bound;
    let is_convolution = |line: &&&Line| line.kind.contains("conv2d");
    let (arithmetic, memory): (Vec<&Line>, Vec<&Line>) = above.iter().partition(is_arithmetic);
    let (winograd, other): (Vec<&Line>, Vec<&Line>) = arithmetic.iter().partition(is_convolution);
    let sentence = |lines: Vec<&Line>, why: &str| {
        let mut names: Vec<String> = lines.iter().take(3).map(|line| line.name()).collect();
        names.extend((lines.len() > 3).then(|| format!("{} more", lines.len() - 3)));
        (!lines.is_empty()).then(|| format!("above 100 %: {}: {why}", names.join(", ")))
    };
    let sentences = [
        sentence(
            winograd,
            "Winograd convolution needs fewer operations than the direct ones that are counted",
        ),
        sentence(memory, "caches are faster than the memory whose peak a copy measures"),
        sentence(other, "the peak was measured at another time, when the device was slower"),
    ];
    sentences.into_iter().flatten().flat_map(|sentence| wrapped(&sentence)).collect()
}

impl Analysis {
    /// The median of `runs` of one span.
    pub fn new(runs: &[Profile], device: String, peaks: PeakRates) -> Result<Analysis> {
        let profile = Profile::median(runs)?;
        let line = |entry: &ProfileEntry| {
            let workload = entry.workload.clone();
            Line {
                seconds: entry.time.as_secs_f64(),
                bound: peaks.bound(workload.flops, workload.bytes),
                kind: workload.kind,
                label: workload.label,
                pipelines: entry.pipelines.clone(),
                times: None,
                flops: workload.flops,
                bytes: workload.bytes,
            }
        };
        let mut lines: Vec<Line> = profile.entries.iter().map(line).collect();
        for (number, line) in lines.iter_mut().enumerate() {
            let times = runs.iter().filter_map(|run| run.entries.get(number));
            line.times = Some(Timing::new(times.map(|entry| entry.time.as_secs_f64()).collect(), 1));
        }
        lines.sort_by(|a, b| b.seconds.total_cmp(&a.seconds));
        let steps = profile.entries.iter().map(|entry| entry.steps).sum();
        let (clock, dispatches) = (profile.clock, profile.dispatches);
        let mut by_sum: Vec<&Profile> = runs.iter().collect();
        by_sum.sort_by_key(|run| run.sum());
        let timeline = by_sum[by_sum.len() / 2].clone();
        Ok(Analysis { device, peaks, clock, dispatches, steps, lines, timeline, whole: None, host: None })
    }

    /// The device's name.
    pub fn device(&self) -> &str {
        &self.device
    }

    fn sum(&self) -> f64 {
        self.lines.iter().map(|line| line.seconds).sum()
    }

    fn bound(&self) -> f64 {
        self.lines.iter().map(|line| line.bound).sum()
    }

    /// For people; the precision class is that of the device's products.
    pub fn table(&self, precision: &str) -> Vec<String> {
        let (sum, bound) = (self.sum(), self.bound());
        let mut table = self.peaks.lines(&self.device);
        table.extend(wrapped(&format!(
            "{}: {} steps in {} pieces, timed by {}; {precision}",
            self.device,
            self.steps,
            self.lines.len(),
            self.clock.name()
        )));
        table.push(
            "GFLOP/s count a convolution's direct operations, also where Winograd convolution needs fewer"
                .into(),
        );
        table.extend(totals_table(&self.lines));
        table.push(String::new());
        table.push(format!(
            "{:<58} {:>10} {:>7} {:>9} {:>8} {:>10} {:>6}",
            "operator and layer", "ms", "share", "GFLOP/s", "GB/s", "peak ms", "peak"
        ));
        for line in &self.lines {
            // With its variant, where it is one kernel.
            let kernel = match line.pipelines.as_slice() {
                [pipeline] if pipeline.starts_with(&line.kind) => pipeline,
                _ => &line.kind,
            };
            let name = shortened(&format!("{kernel} {}", line.label), 58);
            table.push(format!("{name:<58} {}", numbers(line, sum)));
        }
        table.push(format!(
            "all together {:.3} ms; the peak rates allow {:.3} ms ({:.0} %)",
            sum * 1e3,
            bound * 1e3,
            100.0 * bound / sum.max(f64::MIN_POSITIVE)
        ));
        if let Some(whole) = self.whole {
            table.push(format!(
                "the whole, without clocks inside: {:.3} ms, {:+.3} ms beside the sum",
                whole * 1e3,
                (whole - sum) * 1e3
            ));
        }
        if self.dispatches > 0 {
            table.push(format!(
                "{} dispatches; as many empty ones take {:.3} ms behind barriers, {:.3} ms without",
                self.dispatches,
                self.peaks.dispatch * self.dispatches as f64 * 1e3,
                self.peaks.dispatch_apart * self.dispatches as f64 * 1e3
            ));
        }
        table.extend(self.host_line().iter().flat_map(|line| wrapped(line)));
        table.extend(explanations(&self.lines, &self.peaks));
        table
    }

    /// How much of the whole the host works. Both are measured apart, so the host's part may come out longer.
    fn host_line(&self) -> Option<String> {
        let host = self.host?;
        let whole = self.whole.unwrap_or(self.sum());
        let measured = "median of single steps, from the first write to the return of the submission";
        Some(match host < whole {
            true => format!("the host is busy for {:.3} of {:.3} ms ({measured})", host * 1e3, whole * 1e3),
            false => format!("the host is busy all the time: {:.3} ms ({measured})", host * 1e3),
        })
    }

    /// Every step, as `profile` of `bench step`.
    pub fn steps_json(&self) -> Value {
        let sum = self.sum();
        self.lines
            .iter()
            .map(|line| {
                let mut object = line_json(line, sum);
                object["step"] = format!("{} {}", line.kind, line.label).into();
                object["times"] = json!({"run": line.times.as_ref().map(Timing::to_json)});
                object["layer"] = line.label.as_str().into();
                object["pipelines"] = line.pipelines.clone().into();
                object
            })
            .collect()
    }

    /// Totals by operator.
    pub fn kinds_json(&self) -> Value {
        totals_json(&self.lines)
    }

    /// What the sum means.
    pub fn summary_json(&self) -> Value {
        let (sum, bound) = (self.sum(), self.bound());
        json!({
            "clock": self.clock.name(),
            "steps": self.steps,
            "pieces": self.lines.len(),
            "dispatches": self.dispatches,
            "sum_ms": sum * 1e3,
            "roof_ms": bound * 1e3,
            "fraction_of_roof": bound / sum.max(f64::MIN_POSITIVE),
            "whole_ms": self.whole.map(|whole| whole * 1e3),
            "whole_minus_sum_ms": self.whole.map(|whole| (whole - sum) * 1e3),
            "empty_dispatches_ms": self.peaks.dispatch * self.dispatches as f64 * 1e3,
            "empty_dispatches_without_barriers_ms": self.peaks.dispatch_apart * self.dispatches as f64 * 1e3,
            "host_ms": self.host.map(|host| host * 1e3),
        })
    }

    /// The chart.
    pub fn chart(&self, title: String, notes: Vec<String>) -> Roofline {
        chart(&self.peaks, &self.lines, title, notes)
    }
}

/// A chart of these lines under these peak rates.
pub(super) fn chart(peaks: &PeakRates, lines: &[Line], title: String, notes: Vec<String>) -> Roofline {
    Roofline { points: lines.iter().map(Line::point).collect(), ..peaks.chart(title, notes) }
}

/// Totals by operator as JSON.
pub(super) fn totals_json(lines: &[Line]) -> Value {
    let sum = lines.iter().map(|line| line.seconds).sum();
    let object = |(count, total): (usize, Line)| {
        let mut object = line_json(&total, sum);
        object["times"] = count.into();
        object
    };
    totals(lines).into_iter().map(object).collect()
}

fn line_json(line: &Line, sum: f64) -> Value {
    json!({
        "kind": line.kind,
        "ms": line.seconds * 1e3,
        "share": line.seconds / sum.max(f64::MIN_POSITIVE),
        "flops": line.flops,
        "bytes": line.bytes,
        "gflops": line.gflops(),
        "gigabytes_per_second": line.gigabytes(),
        "roof_ms": line.bound * 1e3,
        "fraction_of_roof": line.bound / line.seconds.max(f64::MIN_POSITIVE),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn totals_add_up_and_the_longest_comes_first() {
        let line = |kind: &str, seconds: f64| Line {
            kind: kind.into(),
            label: "x".into(),
            seconds,
            flops: 10,
            bytes: 100,
            bound: seconds / 2.0,
            pipelines: Vec::new(),
            times: None,
        };
        let totals = totals(&[line("a", 1.0), line("b", 5.0), line("a", 2.0)]);
        assert_eq!((totals[0].0, totals[0].1.kind.as_str(), totals[0].1.seconds), (1, "b", 5.0));
        assert_eq!((totals[1].0, totals[1].1.kind.as_str(), totals[1].1.seconds), (2, "a", 3.0));
        assert_eq!((totals[1].1.flops, totals[1].1.bytes, totals[1].1.bound), (20, 200, 1.5));
    }
}
