//! What a shell completes as the value of a flag: built-in networks, data sets and devices, and beside them the files that the flag
//! takes. A value that is not among them is accepted too.

use super::dataset::public_names;
use crate::data::{self, Kind};
use crate::model::Spec;
use clap::Arg;
use clap_complete::engine::{ArgValueCompleter, CompletionCandidate, PathCompleter, ValueCompleter};
use std::ffi::OsStr;
use std::path::Path;

/// Extensions of files of weights.
const WEIGHTS: [&str; 5] = ["safetensors", "pth", "pt", "npz", "onnx"];

/// `arg` with what completes its value, if it is one of those that several verbs have.
pub(super) fn add(arg: Arg) -> Arg {
    match arg.get_id().as_str() {
        "model" => arg.add(ArgValueCompleter::new(models)),
        "weights" => arg.add(ArgValueCompleter::new(weights)),
        "data_path" | "data" => arg.add(ArgValueCompleter::new(data_sets)),
        "dataset" => arg.add(ArgValueCompleter::new(kinds)),
        "device" => arg.add(ArgValueCompleter::new(devices)),
        "resume" => arg.add(ArgValueCompleter::new(resumable)),
        "class_weights" => arg.add(ArgValueCompleter::new(class_weights)),
        _ => arg,
    }
}

/// Those of `words` that begin with what was typed.
fn matching<'w>(words: impl IntoIterator<Item = &'w str>, typed: &OsStr) -> Vec<CompletionCandidate> {
    let typed = typed.to_string_lossy();
    words.into_iter().filter(|word| word.starts_with(&*typed)).map(CompletionCandidate::new).collect()
}

fn has_extension(path: &Path, known: &[&str]) -> bool {
    path.extension().is_some_and(|extension| known.iter().any(|known| extension.eq_ignore_ascii_case(known)))
}

/// Whether `path` is named as files of weights are.
pub(super) fn is_weights(path: &Path) -> bool {
    has_extension(path, &WEIGHTS)
}

fn models(typed: &OsStr) -> Vec<CompletionCandidate> {
    let files = PathCompleter::file().filter(|path| has_extension(path, &["toml"]));
    matching(Spec::builtin_names(), typed).into_iter().chain(files.complete(typed)).collect()
}

fn weights(typed: &OsStr) -> Vec<CompletionCandidate> {
    PathCompleter::any().filter(|path| path.is_dir() || is_weights(path)).complete(typed)
}

/// The data sets that are on this machine, or can be fetched without being asked for, and paths.
fn data_sets(typed: &OsStr) -> Vec<CompletionCandidate> {
    let here = public_names().filter(|name| data::built_in(name).is_some());
    let mut names: Vec<&str> = here.chain(["fashion-mnist", "traffic-light", "synthetic"]).collect();
    names.sort_unstable();
    names.dedup();
    matching(names, typed).into_iter().chain(PathCompleter::any().complete(typed)).collect()
}

fn kinds(typed: &OsStr) -> Vec<CompletionCandidate> {
    matching(Kind::NAMES.map(|(_, name)| name), typed)
}

/// Without the adapters, which it would take long to ask for.
fn devices(typed: &OsStr) -> Vec<CompletionCandidate> {
    matching(["auto", "cpu", "gpu"], typed)
}

fn resumable(typed: &OsStr) -> Vec<CompletionCandidate> {
    let paths = PathCompleter::any().filter(|path| path.is_dir() || has_extension(path, &["safetensors"]));
    matching(["auto"], typed).into_iter().chain(paths.complete(typed)).collect()
}

fn class_weights(typed: &OsStr) -> Vec<CompletionCandidate> {
    matching(["none", "balanced"], typed).into_iter().chain(PathCompleter::file().complete(typed)).collect()
}
