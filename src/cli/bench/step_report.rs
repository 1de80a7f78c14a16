//! The results of `striate bench step`, as a table and as JSON.

use super::Header;
use super::profile::Analysis;
use super::step::Measured;
use super::table::wrapped;
use super::timing::Timing;
use crate::error::Result;
use crate::model::{Model, Summary};
use crate::program::Span;
use serde_json::{Value, json};

pub(super) fn to_json(header: &Header, model: &Model, results: &[Measured]) -> Value {
    let summary = Summary::new(model);
    json!({
        "event": "bench-step",
        "header": header.json(),
        "model": model.name,
        "batch_size": model.batch,
        "shapes": {
            "input": model.program.buffer(model.input).shape.dims(),
            "labels": model.program.buffer(model.labels).shape.dims(),
        },
        "flops_per_step": summary.train_flops,
        "memory_bytes": summary.memory,
        "results": results.iter().map(|r| result_json(r, model)).collect::<Vec<Value>>(),
    })
}

fn result_json(r: &Measured, model: &Model) -> Value {
    let profile = r.profile.as_ref();
    let encode = r.host.encode.as_ref();
    json!({
        "device": r.device,
        "precision": r.precision,
        "ms_per_step": r.train.median * 1e3,
        "ms_fastest": r.train.fastest * 1e3,
        "samples": r.train.samples.len(),
        "images_per_second": model.batch as f64 / r.train.median,
        "gflops": model.program.flops(Span::Train) as f64 / r.train.median / 1e9,
        "resident_ms": r.resident.median * 1e3,
        "resident_images_per_second": model.batch as f64 / r.resident.median,
        "forward_ms": r.forward.median * 1e3,
        "gradients_ms": r.gradients.median * 1e3,
        "update_ms": r.update.median * 1e3,
        "host_ms": r.host.total.median * 1e3,
        "upload_ms": r.host.upload.median * 1e3,
        "encode_ms": encode.map_or(0.0, |encode| encode.median * 1e3),
        "run_ms": r.host.run.median * 1e3,
        "times": {
            "step": r.train.to_json(),
            "resident": r.resident.to_json(),
            "forward": r.forward.to_json(),
            "gradients": r.gradients.to_json(),
            "update": r.update.to_json(),
            "host": r.host.total.to_json(),
            "upload": r.host.upload.to_json(),
            "encode": encode.map(Timing::to_json),
            "run": r.host.run.to_json(),
        },
        "control": r.control.to_json(),
        "roofs": profile.map(|p| p.peaks.to_json(&r.device)),
        "profile_summary": profile.map(Analysis::summary_json),
        "kinds": profile.map(Analysis::kinds_json),
        "profile": profile.map(Analysis::steps_json),
    })
}

/// For people, line by line.
pub(super) fn print(
    header: &Header,
    model: &Model,
    results: &[Measured],
    mut line: impl FnMut(&str) -> Result<()>,
) -> Result<()> {
    let summary = Summary::new(model);
    let mut lines = header.lines();
    lines.extend(wrapped(&format!(
        "{} at batch {}: {:.3} GFLOP per training step, {}",
        model.name,
        model.batch,
        summary.train_flops as f64 / 1e9,
        summary.memory_line()
    )));
    for r in results {
        lines.push(String::new());
        lines.extend(table(r, model));
    }
    if let [first, second] = results {
        let precision = match (first.precision, second.precision) {
            (a, b) if a == b => format!("{a} on both"),
            (a, b) => format!("{a}, against {b}"),
        };
        lines.extend(wrapped(&format!(
            "{} is {:.2} times as fast as {} ({precision})",
            first.device,
            second.train.median / first.train.median,
            second.device
        )));
    }
    for (r, profile) in results.iter().filter_map(|r| r.profile.as_ref().map(|profile| (r, profile))) {
        lines.push(String::new());
        lines.extend(profile.table(r.precision));
    }
    lines.iter().try_for_each(|text| line(text))
}

/// The measurements on one device.
fn table(r: &Measured, model: &Model) -> Vec<String> {
    let mut lines = wrapped(&format!(
        "{}: {:.1} img/s, {:.1} GFLOP/s; {}",
        r.device,
        model.batch as f64 / r.train.median,
        model.program.flops(Span::Train) as f64 / r.train.median / 1e9,
        r.precision
    ));
    lines.push(format!(
        "{:<12} {:>11} {:>11} {:>11} {:>11} {:>8}  {}",
        "ms", "median", "quartile 1", "quartile 3", "fastest", "samples", "what it is"
    ));
    let mut row = |name: &str, timing: &Timing, what: &str| {
        let [q1, q3] = timing.quartiles().map(|seconds| seconds * 1e3);
        lines.push(format!(
            "{name:<12} {:>11.3} {q1:>11.3} {q3:>11.3} {:>11.3} {:>8}  {what}",
            timing.median * 1e3,
            timing.fastest * 1e3,
            timing.samples.len()
        ));
    };
    row("step", &r.train, "a new batch, gradients and update");
    row("resident", &r.resident, "a step whose batch is on the device already");
    row("forward", &r.forward, "evaluation");
    row("gradients", &r.gradients, "forward and backward of training");
    row("update", &r.update, "the optimiser");
    row("upload", &r.host.upload, "the host writes a batch, by itself");
    // On the CPU path the host is the device.
    if let Some(encode) = &r.host.encode {
        row("encode", encode, "the host records a step");
        row("run", &r.host.run, "the host records and submits a step");
        row("host", &r.host.total, "the host writes, records and submits a step");
    }
    lines
}
