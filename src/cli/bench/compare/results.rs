//! What `bench step`, `ops` and `data` print with `--json`, read back (`docs/measuring.md` has the names).

use crate::error::{Error, Result};
use crate::json;
use serde_json::Value;
use std::io::Read;
use std::path::Path;

/// Results larger than this many bytes are no results.
const MOST_BYTES: u64 = 1 << 26;

/// The results in one file, or of one run of a program.
pub(super) struct Results {
    /// The file or program, for messages.
    pub name: String,
    pub benchmarks: Vec<Benchmark>,
}

/// One kind of benchmark, from one run or several.
pub(super) struct Benchmark {
    /// `step`, `ops` or `data`.
    pub kind: &'static str,
    /// What has to be the same on both sides, with its name.
    pub conditions: Vec<(&'static str, Value)>,
    /// Version and commit, and the drivers.
    pub build: String,
    pub drivers: Value,
    pub entries: Vec<Entry>,
}

/// One thing that was measured.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Entry {
    pub device: String,
    pub name: String,
    /// Milliseconds, of each run of the benchmark by itself.
    pub runs: Vec<Vec<f64>>,
    /// The control's milliseconds, multiply-adds and copy, that belong to it.
    pub control: [Vec<f64>; 2],
    /// Of its operands, if it is an operator.
    pub shapes: Value,
    /// The part of the step that it is, if it is an entry of a profile.
    pub share: Option<f64>,
}

impl Entry {
    /// All measurements of all runs.
    pub fn samples(&self) -> Vec<f64> {
        self.runs.concat()
    }
}

impl Results {
    /// Reads a file.
    ///
    /// # Errors
    /// `Error::Io`, or `Error::Data` with file, line and field if it is something else.
    pub fn read(path: &Path) -> Result<Results> {
        let file = std::fs::File::open(path).map_err(|error| Error::io(path, error))?;
        let mut text = Vec::new();
        file.take(MOST_BYTES + 1).read_to_end(&mut text).map_err(|error| Error::io(path, error))?;
        Results::parse(&path.to_string_lossy(), &text)
    }

    /// Reads what a program printed, or what is in a file.
    pub fn parse(name: &str, text: &[u8]) -> Result<Results> {
        let wrong = |what: String| Error::data(name, what);
        if text.len() as u64 > MOST_BYTES {
            return Err(wrong(format!("expected results of at most {MOST_BYTES} bytes, found more")));
        }
        let mut results = Results { name: name.to_string(), benchmarks: Vec::new() };
        // Rows belong to the benchmark above them.
        let mut open: Option<Benchmark> = None;
        for (number, line) in (1..).zip(text.split(|&byte| byte == b'\n')) {
            if line.trim_ascii().is_empty() {
                continue;
            }
            let at = |what: String| wrong(format!("line {number}: {what}"));
            json::check_keys(line)
                .map_err(|error| at(format!("expected JSON of striate bench, found {error}")))?;
            let event: Value = serde_json::from_slice(line)
                .map_err(|error| at(format!("expected JSON of striate bench, found {error}")))?;
            let kind = event["event"].as_str().unwrap_or("");
            let started = match kind {
                "bench-step" => Some(step(&event)),
                "bench-ops" => Some(head("ops", &event)),
                "bench-data" => Some(data(&event)),
                "op" => {
                    let Some(open) = open.as_mut().filter(|open| open.kind == "ops") else {
                        return Err(at("expected the event bench-ops before op, found none".into()));
                    };
                    open.entries.push(op(&event).map_err(at)?);
                    None
                }
                "kinds" => None,
                other => {
                    let known =
                        "expected the event bench-step, bench-ops or bench-data of striate bench --json";
                    return Err(at(format!("{known}, found {other:?}")));
                }
            };
            if let Some(started) = started
                && let Some(done) = open.replace(started.map_err(at)?)
            {
                results.add(done).map_err(wrong)?;
            }
        }
        if let Some(done) = open {
            results.add(done).map_err(wrong)?;
        }
        match results.benchmarks.iter().any(|benchmark| !benchmark.entries.is_empty()) {
            true => Ok(results),
            false => {
                Err(wrong("expected results of striate bench step, ops or data --json, found none".into()))
            }
        }
    }

    /// Adds a benchmark, as a further run of one that is there.
    fn add(&mut self, added: Benchmark) -> Result<(), String> {
        let Some(there) = self.benchmarks.iter_mut().find(|there| there.kind == added.kind) else {
            self.benchmarks.push(added);
            return Ok(());
        };
        if let Some(difference) = differences(there, &added).first() {
            return Err(format!("two runs of bench {} differ in {difference}", added.kind));
        }
        if there.build != added.build {
            return Err(format!("two runs are of different builds: {} and {}", there.build, added.build));
        }
        there.merge(added);
        Ok(())
    }

    /// Adds the results of a further run of the same program. It is one build, whatever it says: a program that was built
    /// without `STRIATE_COMMIT` names the commit that is checked out when it runs.
    pub fn merge(&mut self, later: Results) -> Result<()> {
        let name = self.name.clone();
        for mut benchmark in later.benchmarks {
            if let Some(there) = self.find(benchmark.kind) {
                benchmark.build = there.build.clone();
            }
            self.add(benchmark).map_err(|what| Error::data(&name, what))?;
        }
        Ok(())
    }

    pub fn find(&self, kind: &str) -> Option<&Benchmark> {
        self.benchmarks.iter().find(|benchmark| benchmark.kind == kind)
    }
}

impl Benchmark {
    /// The entry that measures the same.
    pub fn find(&self, entry: &Entry) -> Option<&Entry> {
        self.entries.iter().find(|found| found.device == entry.device && found.name == entry.name)
    }

    /// Adds a later run. In a run that lacks an entry the entry has no samples, so that runs of one number belong together.
    fn merge(&mut self, added: Benchmark) {
        let runs = |entries: &[Entry]| entries.iter().map(|entry| entry.runs.len()).max().unwrap_or(0);
        let (before, after) = (runs(&self.entries), runs(&added.entries));
        for mut entry in added.entries {
            let there = self.entries.iter_mut();
            match there.into_iter().find(|there| there.device == entry.device && there.name == entry.name) {
                Some(there) => {
                    there.runs.extend(entry.runs);
                    for (control, more) in there.control.iter_mut().zip(entry.control) {
                        control.extend(more);
                    }
                }
                None => {
                    entry.runs.splice(0..0, vec![Vec::new(); before]);
                    self.entries.push(entry);
                }
            }
        }
        for entry in &mut self.entries {
            entry.runs.resize(entry.runs.len().max(before + after), Vec::new());
        }
    }
}

/// The conditions that are not the same, each as `name: expected OLD, found NEW`; what only one side states is not compared.
pub(super) fn differences(old: &Benchmark, new: &Benchmark) -> Vec<String> {
    let mut differences = Vec::new();
    for (name, expected) in old.conditions.iter().filter(|(_, value)| !value.is_null()) {
        let found = new.conditions.iter().find(|(other, value)| other == name && !value.is_null());
        if let Some((_, found)) = found.filter(|(_, found)| found != expected) {
            differences.push(format!("{name}: expected {expected}, found {found}"));
        }
    }
    differences
}

/// What a benchmark says of itself, without entries.
fn head(kind: &'static str, event: &Value) -> Result<Benchmark, String> {
    let header = &event["header"];
    if !header.is_object() {
        return Err("header: expected an object, found none".into());
    }
    let text = |key: &str| header[key].as_str().unwrap_or("unknown");
    let first = |list: &Value| list.get(0).cloned().unwrap_or(Value::Null);
    let mut conditions = vec![
        ("device", first(&header["keys"])),
        ("precision", header["precision"].clone()),
        ("processor", header["processor"].clone()),
        ("settings", header["settings"].clone()),
    ];
    let names =
        ["model", "batch_size", "shapes", "flops_per_step", "data", "picture", "input", "images", "threads"];
    conditions.extend(names.map(|name| (name, event[name].clone())));
    Ok(Benchmark {
        kind,
        conditions,
        build: format!("striate {}, commit {}", text("version"), text("commit")),
        drivers: header["drivers"].clone(),
        entries: Vec::new(),
    })
}

fn step(event: &Value) -> Result<Benchmark, String> {
    let mut benchmark = head("step", event)?;
    for result in list(event, "results")? {
        let device = string(result, "device")?;
        if benchmark.entries.is_empty() {
            benchmark.conditions.push(("device name", device.as_str().into()));
        }
        let control = control(result)?;
        let mut add = |name: &str, samples: Vec<f64>, share: Option<f64>| {
            let (device, control) = (device.clone(), control.clone());
            let (name, runs, shapes) = (name.to_string(), vec![samples], Value::Null);
            benchmark.entries.push(Entry { device, name, runs, control, shapes, share });
        };
        let times = &result["times"];
        for (name, older) in [
            ("step", "ms_per_step"),
            ("resident", "resident_ms"),
            ("forward", "forward_ms"),
            ("gradients", "gradients_ms"),
            ("update", "update_ms"),
        ] {
            add(name, samples(times, name, &result[older])?, None);
        }
        // Where nothing is recorded, the host is the device.
        if times["encode"].is_object() {
            for name in ["encode", "host"] {
                add(name, samples(times, name, &Value::Null)?, None);
            }
        }
        for piece in result["profile"].as_array().into_iter().flatten() {
            let name = string(piece, "step")?;
            add(name.trim_end(), samples(&piece["times"], "run", &piece["ms"])?, piece["share"].as_f64());
        }
    }
    Ok(benchmark)
}

fn op(event: &Value) -> Result<Entry, String> {
    Ok(Entry {
        device: string(event, "device")?,
        name: string(event, "name")?,
        runs: vec![samples(&event["times"], "run", &event["ms"])?],
        control: control(event)?,
        shapes: event["shapes"].clone(),
        share: None,
    })
}

fn data(event: &Value) -> Result<Benchmark, String> {
    let mut benchmark = head("data", event)?;
    let threads = event["threads"].as_u64().unwrap_or(0);
    for result in list(event, "results")? {
        let (what, control) = (string(result, "what")?, control(result)?);
        for (name, key, older) in [
            ("1 thread".to_string(), "one_thread", "images_per_second_per_core"),
            (format!("{threads} threads"), "all_threads", "images_per_second"),
        ] {
            // A time is that of all the images.
            let images = result["images"].as_f64().or(event["images"].as_f64());
            let older = result[older].as_f64().zip(images);
            let older = older.map_or(Value::Null, |(rate, images)| (1e3 * images / rate).into());
            let runs = vec![samples(&result["times"], key, &older)?];
            let (device, name, shapes) = ("cpu".to_string(), format!("{what}, {name}"), Value::Null);
            benchmark.entries.push(Entry {
                device,
                name,
                runs,
                control: control.clone(),
                shapes,
                share: None,
            });
        }
    }
    Ok(benchmark)
}

/// The control of a result; earlier builds measured none.
fn control(result: &Value) -> Result<[Vec<f64>; 2], String> {
    let control = &result["control"];
    let read = |name: &str| samples(control, name, &Value::Null);
    Ok([read("multiply_adds")?, read("copy")?])
}

/// The measurements of `times[name]`; of a build that printed only their median, that one, `older`. None if a time was too
/// short for the clock.
fn samples(times: &Value, name: &str, older: &Value) -> Result<Vec<f64>, String> {
    let samples = match &times[name] {
        Value::Null => older.as_f64().map_or(Vec::new(), |median| vec![median]),
        timing => {
            let values = list(timing, "samples_ms").map_err(|what| format!("{name}: {what}"))?;
            let numbers: Option<Vec<f64>> = values.iter().map(Value::as_f64).collect();
            numbers.ok_or_else(|| format!("{name}: samples_ms: expected numbers, found another value"))?
        }
    };
    if let Some(wrong) = samples.iter().find(|sample| !(sample.is_finite() && **sample >= 0.0)) {
        return Err(format!("{name}: expected times of 0 ms or more, found {wrong}"));
    }
    Ok(if samples.contains(&0.0) { Vec::new() } else { samples })
}

fn list<'a>(value: &'a Value, key: &str) -> Result<&'a Vec<Value>, String> {
    value[key].as_array().ok_or_else(|| format!("{key}: expected a list, found {}", found(&value[key])))
}

fn string(value: &Value, key: &str) -> Result<String, String> {
    let text = value[key].as_str().map(str::to_string);
    text.ok_or_else(|| format!("{key}: expected a string, found {}", found(&value[key])))
}

fn found(value: &Value) -> &'static str {
    match value {
        Value::Null => "none",
        Value::Bool(_) => "a truth value",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}
