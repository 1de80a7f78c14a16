//! A4: the order in which files are written, forced to the disk and named, and everything that a power cut at any moment
//! could leave: always the old file or the new one.

use super::disk::{Disk, Found};
use super::program::{self, place, succeed, train};
use super::strace::{self, Call};
use std::collections::{BTreeMap, HashMap};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::Path;
use striate::interchange::safetensors;
use striate::run::Checkpoint;

/// Files that grow in place. The checkpoint says how much of them counts.
fn grows(name: &str) -> bool {
    ["log.jsonl", "metrics.csv"].contains(&name)
}

/// Files that are never read.
fn is_unread(name: &str) -> bool {
    name == ".lock" || name.ends_with(".tmp")
}

/// What was found out.
#[derive(Default)]
struct Report {
    states: usize,
    distinct: usize,
    faults: Vec<String>,
    /// Files that got a name when they were complete.
    published: BTreeMap<String, usize>,
}

/// Goes through `calls`, which were made in `root`, and looks at everything that could be left after each of them.
fn explore(root: &Path, calls: &[Call]) -> Report {
    let (mut report, mut disk) = (Report::default(), Disk::new(root));
    let run = root.join(RUN);
    let mut seen: HashMap<u64, Result<usize, String>> = HashMap::new();
    // The step of the newest checkpoint that is sure to be there.
    let (mut promised, mut saved) = (0, 0);
    for (number, call) in calls.iter().enumerate() {
        if !disk.apply(call) {
            continue;
        }
        if call.name == "rename" && call.value().is_some() {
            let name = String::from_utf8_lossy(&call.texts()[1]).into_owned();
            *report.published.entry(name).or_default() += 1;
        }
        let mut least = usize::MAX;
        let what = format!(
            "after call {number}, {} {}",
            call.name,
            call.arguments.chars().take(120).collect::<String>()
        );
        disk.crash(grows, |found, broken| {
            report.states += 1;
            let name = |path: &Path| path.file_name().unwrap().to_string_lossy().into_owned();
            let fault = broken.iter().find(|path| !is_unread(&name(path)) && !grows(&name(path)));
            if let Some(path) = fault {
                report.faults.push(format!("{what}: {} is neither the old nor the new", path.display()));
            }
            let in_run: Found = found
                .iter()
                .filter(|(path, _)| path.starts_with(&run))
                .map(|(p, c)| (p.clone(), c.clone()))
                .collect();
            let mut hasher = DefaultHasher::new();
            in_run.hash(&mut hasher);
            match seen.entry(hasher.finish()).or_insert_with(|| load(&in_run, &run)) {
                Ok(step) => least = least.min(*step),
                Err(fault) => report.faults.push(format!("{what}: {fault}")),
            }
        });
        if least < promised {
            report.faults.push(format!("{what}: step {least}, although {promised} was safe"));
        }
        // What every state has is what later ones must have too.
        promised = promised.max(least);
        // A run that has gone on after a save counts on it.
        saved += usize::from(call.name == "rename" && call.names("checkpoint.safetensors\""));
        if call.name == "write" && call.names("log.jsonl") && promised < saved {
            report.faults.push(format!("{what}: step {promised} is safe after {saved} saves"));
        }
    }
    report.distinct = seen.len();
    report
        .faults
        .extend(disk.out_of_order.iter().map(|name| format!("{name}: named before it was on the disk")));
    for folder in disk.folders() {
        report
            .faults
            .extend(disk.unsure(&folder).iter().map(|name| format!("{name}: its name is not on the disk")));
    }
    report
}

/// The step of the checkpoint that a run would resume from with these files, 0 if there is none, and an error if it could not
/// resume as if nothing had happened.
fn load(files: &Found, run: &Path) -> Result<usize, String> {
    let folder = tempfile::tempdir().unwrap();
    for (path, content) in files.iter().filter(|(path, _)| path.parent() == Some(run)) {
        std::fs::write(folder.path().join(path.file_name().unwrap()), content).unwrap();
    }
    let Ok((_, all)) = Checkpoint::find(folder.path()) else { return Ok(0) };
    let found = Checkpoint::read_first(&all).map_err(|error| error.to_string())?;
    if let Some(warning) = found.warnings.first() {
        return Err(warning.clone());
    }
    // The logs must hold what the checkpoint counts on.
    let notes = safetensors::read(&found.path).unwrap().metadata;
    let state: serde_json::Value = serde_json::from_str(&notes["state"]).unwrap();
    for (name, length) in ["log.jsonl", "metrics.csv"].into_iter().zip(state["journals"].as_array().unwrap())
    {
        let written = std::fs::read(run.join(name)).unwrap();
        let length = length.as_u64().unwrap() as usize;
        let is_there =
            files.get(&run.join(name)).is_some_and(|kept| kept.get(..length) == written.get(..length));
        if !is_there {
            return Err(format!("step {}: the first {length} bytes of {name} are not there", found.step()));
        }
    }
    Ok(found.step())
}

/// The calls of `arguments`, which must succeed.
fn traced(root: &Path, options: &[&str], arguments: &[String]) -> Vec<Call> {
    let options: Vec<String> = options.iter().map(|option| option.to_string()).collect();
    let (output, calls) = strace::trace(root, &options, arguments);
    assert!(output.status.success(), "{}", program::stderr(&output));
    calls
}

/// Where the run is, in folders that are made for it.
const RUN: &str = "deep/runs/run";

fn tiny() -> Vec<String> {
    let place = ["--output-dir", "deep/runs", "-q"];
    train("tiny", "run", &[&place[..], &["--limit-train", "24", "--checkpoint-hist", "3"]].concat())
}

#[test]
fn whatever_a_power_cut_leaves_is_the_old_or_the_new() {
    if !strace::is_there() {
        return;
    }
    let folder = place();
    let root = folder.path().canonicalize().unwrap();
    let calls = traced(&root, &[], &tiny());
    let report = explore(&root, &calls);
    assert!(
        report.faults.is_empty(),
        "{} faults:\n{}",
        report.faults.len(),
        report.faults[..report.faults.len().min(9)].join("\n")
    );
    for name in ["args.toml", "best.safetensors", "last.safetensors", "checkpoint.safetensors"] {
        assert!(report.published.keys().any(|path| path.ends_with(name)), "{name}");
    }
    let files: usize = report.published.values().sum();
    println!(
        "A4: {} calls, {files} files published in order, {} states ({} distinct): each has the old or the new",
        calls.len(),
        report.states,
        report.distinct
    );
    // Without what forces to the disk, or with it too late, the same look finds faults: it is not blind.
    let without = |name: &str, part: &str| {
        let calls: Vec<Call> =
            calls.iter().filter(|c| c.name != name || !c.arguments.contains(part)).cloned().collect();
        explore(&root, &calls).faults.len()
    };
    let folder_only = format!("{}/{RUN}>", root.display());
    for (name, part) in
        [("fsync", ".tmp"), ("fdatasync", "log"), ("fdatasync", "metrics"), ("fsync", &folder_only)]
    {
        assert!(without(name, part) > 0, "{name} {part}");
    }
}

#[test]
fn a_log_that_could_not_be_forced_to_the_disk_is_written_anew() {
    if !strace::is_there() {
        return;
    }
    let mut states = 0;
    for number in [5, 6] {
        let folder = place();
        let root = folder.path().canonicalize().unwrap();
        let inject = format!("inject=fdatasync:error=EIO:when={number}");
        let calls = traced(&root, &["-e", &inject], &tiny());
        let report = explore(&root, &calls);
        assert!(report.faults.is_empty(), "{}", report.faults[..report.faults.len().min(9)].join("\n"));
        states += report.states;
    }
    println!("A4: 2 failures to force a log to the disk, {states} states: each has the old or the new");
}

#[test]
fn an_exported_network_is_absent_or_complete() {
    if !strace::is_there() {
        return;
    }
    let folder = place();
    let root = folder.path().canonicalize().unwrap();
    succeed(&root, &tiny());
    let mut reported = Vec::new();
    for name in ["out.onnx", "out.npz", "out.safetensors"] {
        let words = ["export", "--weights", "deep/runs/run/last.safetensors", "-o", name];
        let arguments: Vec<String> = words.into_iter().map(String::from).collect();
        // Once with nothing there, once over what is there.
        for _ in 0..2 {
            let calls = traced(&root, &[], &arguments);
            let report = explore(&root, &calls);
            assert!(report.faults.is_empty(), "{}", report.faults.join("\n"));
            assert!(report.published.contains_key(name), "{name}: {:?}", report.published);
            reported.push(report.states);
        }
    }
    println!("A4: 6 exports in order, {} states: each has the file or not", reported.iter().sum::<usize>());
}
