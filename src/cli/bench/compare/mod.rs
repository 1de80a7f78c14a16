//! `striate bench compare`: two results of `bench step`, `ops` or `data`, from files or from two programs that take turns. A
//! change counts if it is larger than the threshold and if its interval excludes that nothing changed.

mod interval;
mod paired;
mod results;
mod verdict;

use super::super::Context;
use super::progress::Progress;
use super::table::{shortened, wrapped};
use crate::error::{Error, Result, printable_path};
use clap::Args;
use interval::CONFIDENCE;
use results::Results;
use serde_json::{Value, json};
use std::path::PathBuf;
use verdict::{Change, Verdict, changes, check};

#[derive(Args, Debug)]
#[command(
    after_help = "Examples:\n  striate bench step -m alexnet -b 32 --json > new.json\n  striate bench compare old.json new.json\n  \
                  striate bench compare --run ./striate-old ./striate-new -- ops -b 32 --only conv2d\n\n\
                  Exit codes: 0 nothing became slower, 1 something did, 2 and 4 the results cannot be compared."
)]
pub(super) struct CompareArgs {
    /// Read the results to compare with from this file (with --run: use this program)
    #[arg(value_name = "OLD")]
    old: PathBuf,
    /// Read the results to judge from this file (with --run: use this program)
    #[arg(value_name = "NEW")]
    new: PathBuf,
    /// Call a change slower or faster from this many per cent on
    #[arg(long, value_name = "PERCENT", default_value_t = 10.0)]
    threshold: f64,
    /// Run the programs OLD and NEW in turn with the arguments after --, so that other work of the machine slows both alike
    #[arg(long)]
    run: bool,
    /// With --run: run each program this many times
    #[arg(long, value_name = "N", default_value_t = 10, requires = "run", value_parser = clap::value_parser!(u32).range(8..=500))]
    rounds: u32,
    /// With --run: the benchmark and its flags [default: step --samples 5 --seconds 2]
    #[arg(last = true, requires = "run", value_name = "ARGUMENTS")]
    arguments: Vec<String>,
}

pub(super) fn run(args: &CompareArgs, context: &Context) -> Result<u8> {
    if !(args.threshold.is_finite() && args.threshold >= 0.0) {
        let found = args.threshold;
        return Err(Error::Usage(format!("--threshold: expected 0 or more per cent, found {found}")));
    }
    let [old, new] = match args.run {
        true => {
            let arguments = paired::arguments(&args.arguments)?;
            let progress = Progress::new(context.out, 2 * args.rounds as usize);
            context.out.note(&format!("running striate {} {} times each", arguments.join(" "), args.rounds));
            paired::run(&args.old, &args.new, &arguments, args.rounds as usize, &progress)?
        }
        false => [Results::read(&args.old)?, Results::read(&args.new)?],
    };
    check(&old, &new)?;
    let changes = changes(&old, &new, args.threshold / 100.0, args.run);
    if !changes.iter().any(|change| ![Verdict::OnlyOld, Verdict::OnlyNew].contains(&change.verdict)) {
        let (old, new) = (printable_path(&args.old), printable_path(&args.new));
        return Err(Error::data(
            &args.new,
            format!("expected measurements that {old} has too, found none in {new}"),
        ));
    }
    let slower = changes.iter().filter(|change| change.verdict == Verdict::Slower).count();
    match context.out.is_json() {
        true => context.out.json(&to_json(args, &old, &new, &changes, slower))?,
        false => lines(args, &old, &new, &changes).iter().try_for_each(|line| context.out.line(line))?,
    }
    Ok(u8::from(slower > 0))
}

/// The builds of both sides.
fn builds(results: &Results) -> String {
    let mut builds: Vec<&str> = results.benchmarks.iter().map(|benchmark| benchmark.build.as_str()).collect();
    builds.dedup();
    builds.join(" and ")
}

fn to_json(args: &CompareArgs, old: &Results, new: &Results, changes: &[Change], slower: usize) -> Value {
    let side = |results: &Results| {
        let drivers: Vec<&Value> = results.benchmarks.iter().map(|benchmark| &benchmark.drivers).collect();
        json!({"name": results.name, "build": builds(results), "drivers": drivers})
    };
    json!({
        "event": "bench-compare",
        "old": side(old),
        "new": side(new),
        "paired": args.run,
        "threshold_percent": args.threshold,
        "confidence": CONFIDENCE,
        "slower": slower,
        "changes": changes.iter().map(Change::to_json).collect::<Vec<Value>>(),
    })
}

fn lines(args: &CompareArgs, old: &Results, new: &Results, changes: &[Change]) -> Vec<String> {
    let mut lines = Vec::new();
    for (side, results) in [("OLD", old), ("NEW", new)] {
        let name = printable_path(results.name.as_ref());
        lines.extend(wrapped(&format!("{side}: {name}, {}", builds(results))));
    }
    for benchmark in &old.benchmarks {
        let other = new.find(benchmark.kind).filter(|other| other.drivers != benchmark.drivers);
        if let Some(other) = other.filter(|other| !other.drivers.is_null() && !benchmark.drivers.is_null()) {
            lines.extend(wrapped(&format!("driver: {} in OLD, {} in NEW", benchmark.drivers, other.drivers)));
        }
    }
    lines.extend(control(changes).iter().flat_map(|line| wrapped(line)));
    let devices = changes.iter().any(|change| change.device != changes[0].device);
    lines.push(format!(
        "{:<48} {:>10} {:>10} {:>7} {:>15}  verdict at {} %",
        "ms",
        "OLD",
        "NEW",
        "ratio",
        format!("{:.0} % interval", CONFIDENCE * 100.0),
        args.threshold
    ));
    for change in changes {
        let name = if devices { format!("{} {}", change.name, change.device) } else { change.name.clone() };
        let ms = |ms: Option<f64>| ms.map_or("-".into(), |ms| format!("{ms:.4}"));
        let ratio = change.ratio.map_or("-".into(), |ratio| format!("{:.3}", ratio.ratio));
        let interval = change.ratio.and_then(|ratio| ratio.interval);
        let interval = interval.map_or("-".into(), |[low, high]| format!("{low:.3} to {high:.3}"));
        lines.push(format!(
            "{:<48} {:>10} {:>10} {ratio:>7} {interval:>15}  {}",
            shortened(&name, 48),
            ms(change.old),
            ms(change.new),
            change.verdict.name()
        ));
    }
    lines.extend(wrapped(&summary(args, changes)));
    lines
}

/// How much the machine itself differed.
fn control(changes: &[Change]) -> Option<String> {
    let range = |kind: usize| {
        let drifts = changes.iter().filter_map(|change| change.control[kind]);
        let per_cent = |drift: f64| 100.0 * (drift - 1.0);
        let (low, high) = drifts.fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), drift| {
            (low.min(per_cent(drift)), high.max(per_cent(drift)))
        });
        (low <= high).then(|| match format!("{low:+.1}") == format!("{high:+.1}") {
            true => format!("{low:+.1} %"),
            false => format!("{low:+.1} to {high:+.1} %"),
        })
    };
    let (multiply_adds, copy) = (range(0)?, range(1)?);
    Some(format!(
        "control, which no build changes: multiply-adds took {multiply_adds}, a copy {copy} more in NEW; intervals allow for that"
    ))
}

/// The last line.
fn summary(args: &CompareArgs, changes: &[Change]) -> String {
    let count = |verdict: Verdict| changes.iter().filter(|change| change.verdict == verdict).count();
    let mut parts = Vec::new();
    for verdict in [
        Verdict::Slower,
        Verdict::Faster,
        Verdict::Same,
        Verdict::Uncertain,
        Verdict::Small,
        Verdict::TooFew,
        Verdict::OnlyOld,
        Verdict::OnlyNew,
        Verdict::OtherShapes,
    ] {
        let count = count(verdict);
        parts.extend((count > 0).then(|| format!("{count} {}", verdict.name())));
    }
    let mut text = parts.join(", ");
    if count(Verdict::TooFew) > 0 {
        text += "; at least 5 samples of each are needed (--samples, --seconds)";
    }
    if count(Verdict::Uncertain) > 0 && !args.run {
        text += "; --run compares two programs in turn, which tells smaller changes apart";
    }
    text
}
