//! A training step as a timeline in the Trace Event Format, which Perfetto (<https://ui.perfetto.dev>), chrome://tracing and
//! Speedscope read: "complete" events (`"ph": "X"`) in microseconds, and metadata events that name processes and threads.
//! Source: "Trace Event Format", the Chromium project, 2016.

use super::Header;
use super::profile::Analysis;
use crate::program::ProfileEntry;
use serde_json::{Value, json};

/// What the host did in one step, in seconds, and when the device began.
#[derive(Clone, Debug)]
pub(super) struct HostTrack {
    /// Writing the batch and the hyper words.
    pub upload: f64,
    /// Recording and submitting; on the CPU path, computing.
    pub run: f64,
    /// Waiting for the device.
    pub wait: f64,
    /// When the device could begin, counted from the beginning of the step.
    pub device_start: f64,
}

const HOST: u32 = 1;
const DEVICE: u32 = 2;
const LAYERS: u32 = 1;
const KERNELS: u32 = 2;

/// The trace of a profiled step: the host in one process, the device in another, which has a thread for layers and one for
/// kernels.
pub(super) fn trace_events(title: &str, header: &Header, analysis: &Analysis, host: &HostTrack) -> Value {
    let entries = &analysis.timeline.entries;
    let mut events = vec![
        name("process_name", HOST, 0, "host"),
        name("thread_name", HOST, LAYERS, "step"),
        name("process_name", DEVICE, 0, analysis.device()),
        name("thread_name", DEVICE, LAYERS, "layers"),
        name("thread_name", DEVICE, KERNELS, "kernels"),
        order(HOST),
        order(DEVICE),
    ];
    let is_cpu = analysis.timeline.dispatches == 0;
    let run = if is_cpu { "compute" } else { "record and submit" };
    let mut start = 0.0;
    for (what, seconds) in [("upload", host.upload), (run, host.run), ("wait for the device", host.wait)] {
        if !(is_cpu && what.starts_with("wait")) {
            events.push(complete(what, "host", [HOST, LAYERS], start, seconds, json!({})));
        }
        start += seconds;
    }
    for (layer, seconds) in layers(entries) {
        let [start, time] = [host.device_start + seconds[0], seconds[1] - seconds[0]];
        events.push(complete(layer, "layer", [DEVICE, LAYERS], start, time, json!({})));
    }
    for entry in entries {
        let start = host.device_start + entry.start.as_secs_f64();
        let kernel = match entry.pipelines.as_slice() {
            [] => &entry.workload.kind,
            [first, ..] => first,
        };
        let args = json!({
            "operator": entry.workload.kind,
            "layer": entry.workload.label,
            "kernels": entry.pipelines,
            "flops": entry.workload.flops,
            "bytes": entry.workload.bytes,
        });
        let time = entry.time.as_secs_f64();
        events.push(complete(kernel, &entry.workload.kind, [DEVICE, KERNELS], start, time, args));
    }
    json!({
        "traceEvents": events,
        "displayTimeUnit": "ms",
        "otherData": {
            "title": title,
            "header": header.json(),
            "clock": analysis.timeline.clock.name(),
            "tracks": "the host is shown in an ordinary step, the device in a profiled one, which begins when the host has recorded it",
        },
    })
}

/// Beginning and end in seconds of consecutive entries of one layer.
fn layers(entries: &[ProfileEntry]) -> Vec<(&str, [f64; 2])> {
    let mut layers: Vec<(&str, [f64; 2])> = Vec::new();
    for entry in entries {
        let (label, start) = (entry.workload.label.as_str(), entry.start.as_secs_f64());
        let end = start + entry.time.as_secs_f64();
        match layers.last_mut() {
            Some((last, [_, last_end])) if *last == label => *last_end = end.max(*last_end),
            _ => layers.push((label, [start, end])),
        }
    }
    layers
}

fn complete(
    name: &str,
    category: &str,
    [pid, tid]: [u32; 2],
    start: f64,
    seconds: f64,
    args: Value,
) -> Value {
    let name = if name.is_empty() { category } else { name };
    json!({
        "ph": "X",
        "name": name,
        "cat": category,
        "pid": pid,
        "tid": tid,
        "ts": start * 1e6,
        "dur": seconds * 1e6,
        "args": args,
    })
}

/// The name of a process or thread.
fn name(what: &str, pid: u32, tid: u32, name: &str) -> Value {
    json!({"ph": "M", "name": what, "pid": pid, "tid": tid, "args": {"name": name}})
}

/// Processes are shown in the order of their numbers.
fn order(pid: u32) -> Value {
    json!({"ph": "M", "name": "process_sort_index", "pid": pid, "tid": 0, "args": {"sort_index": pid}})
}
