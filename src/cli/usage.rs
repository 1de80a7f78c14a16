//! Errors of the command line in one line each, with what was probably meant.

use super::flags;
use crate::data;
use crate::error::{Error, printable, printable_path};
use crate::model::Spec;
use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{Arg, Command};
use std::error::Error as _;
use std::ffi::OsString;
use std::path::Path;

/// Names that other programs give to a flag, and ours.
const FLAGS: [(&[&str], &str); 22] = [
    (&["learning-rate", "learning_rate", "base-lr", "eta"], "lr"),
    (&["optimizer", "optimiser", "optim"], "opt"),
    (&["batch", "bs", "train-batch", "mini-batch"], "batch-size"),
    (&["num-epochs", "n-epochs", "max-epochs"], "epochs"),
    (&["gpu", "gpus", "cuda", "use-cuda"], "device"),
    (&["num-workers", "loader-threads"], "workers"),
    (&["arch", "network", "net", "architecture", "config"], "model"),
    (&["pretrained", "checkpoint", "load", "ckpt", "model-path", "weight"], "weights"),
    (&["dir", "folder", "path", "input", "images", "train-dir", "dataset-path", "root"], "data-path"),
    (&["out", "outdir", "save-dir", "logdir", "project"], "output-dir"),
    (&["output-file", "save"], "output"),
    (&["validation-split", "val-size", "test-split", "val-fraction"], "val-split"),
    (&["scheduler", "schedule", "lr-schedule", "sched"], "lr-scheduler"),
    (&["warmup", "warmup-epochs"], "lr-warmup-epochs"),
    (&["early-stopping", "early-stop"], "patience"),
    (&["decay", "l2"], "weight-decay"),
    (&["fp16", "half", "mixed-precision", "bf16"], "amp"),
    (&["steps", "max-iter", "iterations"], "max-steps"),
    (&["save-every", "save-steps", "checkpoint-interval"], "checkpoint-every"),
    (&["log-interval", "print-freq", "log-steps"], "log-every"),
    (&["restart", "continue", "resume-from"], "resume"),
    (&["top", "topk", "k"], "top-k"),
];

/// Names that other programs give to a command, and ours.
const COMMANDS: [(&[&str], &str); 14] = [
    (&["fit", "finetune", "fine-tune", "learn"], "train"),
    (&["evaluate", "val", "validate", "accuracy"], "eval"),
    (&["infer", "inference", "classify", "detect"], "predict"),
    (&["convert", "onnx", "save"], "export"),
    (&["load"], "import"),
    (&["visualize", "visualise", "plot", "draw"], "report"),
    (&["info", "describe", "show"], "summary"),
    (&["list", "list-models", "networks", "zoo"], "models"),
    (&["gpus", "gpu", "device", "list-devices", "adapters"], "devices"),
    (&["benchmark", "profile", "time"], "bench"),
    (&["data", "datasets"], "dataset"),
    (&["download", "fetch"], "dataset fetch"),
    (&["resume", "continue"], "train --resume auto"),
    (&["version"], "--version"),
];

/// What to type instead of flags that are commands here.
const INSTEAD: [(&str, &str); 5] = [
    ("list-models", "striate models"),
    ("models", "striate models"),
    ("list-devices", "striate devices"),
    ("list-datasets", "striate dataset fetch --help"),
    ("download", "striate dataset fetch"),
];

/// The error that is reported for `error` of the command line `typed` (program name first). Help and version end the process here.
pub(super) fn explained(error: clap::Error, typed: &[OsString]) -> Error {
    use ErrorKind as K;
    if matches!(
        error.kind(),
        K::DisplayHelp | K::DisplayVersion | K::DisplayHelpOnMissingArgumentOrSubcommand
    ) {
        error.exit();
    }
    let mut root = flags::command();
    root.build();
    let verb = verb(&root, typed);
    let name = verb.get_bin_name().unwrap_or("striate").to_string();
    let text = |kind| text_of(&error, kind);
    let argument = text(ContextKind::InvalidArg);
    let value = text(ContextKind::InvalidValue);
    let flag = argument.split([' ', '=']).next().unwrap_or_default().to_string();
    Error::Usage(match error.kind() {
        K::UnknownArgument if argument.starts_with('-') => unknown_flag(verb, &name, &flag),
        K::UnknownArgument => unexpected_word(verb, &name, &argument),
        K::InvalidSubcommand => unknown_command(verb, &name, &text(ContextKind::InvalidSubcommand)),
        K::InvalidValue if value.is_empty() => {
            format!("{flag}: expected {}, found no value", expected_value(verb, &argument))
        }
        K::InvalidValue => {
            let known = values(&error, ContextKind::ValidValue);
            let near = meant(&value, known.iter().map(String::as_str));
            format!("{flag}: expected one of {}, found {value}{near}", known.join(", "))
        }
        K::MissingSubcommand => {
            let known: Vec<&str> = verb.get_subcommands().map(Command::get_name).collect();
            format!("{name}: expected a command ({}), found none", known.join(", "))
        }
        K::ValueValidation => invalid_value(&error, &flag, &value),
        K::MissingRequiredArgument => {
            let missing = values(&error, ContextKind::InvalidArg);
            let or_model =
                missing.len() == 1 && has_flag(verb, "model") && missing[0].starts_with("--weights");
            let more = if or_model && name != "striate predict" { " or --model" } else { "" };
            let bare = missing.iter().any(|what| what.starts_with("--weights")).then(|| bare_weights(typed));
            let near = bare.flatten().map(|word| format!("; did you mean --weights {word}?"));
            format!(
                "{name}: expected {}{more}, found none{}",
                missing.join(" and "),
                near.unwrap_or_default()
            )
        }
        K::ArgumentConflict => {
            let others = values(&error, ContextKind::PriorArg);
            let others = if others.is_empty() { "other flags".into() } else { others.join(", ") };
            format!("{flag}: cannot be used together with {others}")
        }
        _ => {
            let whole = error.to_string();
            whole.lines().next().unwrap_or_default().trim_start_matches("error: ").to_string()
        }
    })
}

/// The word of `typed` that is a file of weights or the folder of a run.
fn bare_weights(typed: &[OsString]) -> Option<String> {
    let endings = ["safetensors", "pth", "pt", "npz", "onnx"];
    let is_weights = |path: &Path| {
        let extension = path.extension().unwrap_or_default();
        path.join("best.safetensors").is_file()
            || endings.iter().any(|ending| extension.eq_ignore_ascii_case(ending)) && path.is_file()
    };
    typed.iter().skip(1).map(Path::new).find(|path| is_weights(path)).map(printable_path)
}

/// `error` of the verb in `typed`: an option of the library as the flag that sets it.
pub(super) fn with_flag(error: Error, typed: &[OsString]) -> Error {
    let Error::Usage(text) = error else { return error };
    let root = flags::command();
    // "lr: expected ..." or "val-split 3: expected ...".
    let mut words = text.split(": ").next().unwrap_or_default().split(' ');
    let (word, is_short) = (words.next(), words.count() <= 1);
    let is_flag = is_short && verb(&root, typed).get_arguments().any(|arg| arg.get_long() == word);
    Error::Usage(if is_flag { format!("--{text}") } else { text })
}

/// Most runs that are named.
const SHOWN_RUNS: usize = 8;

/// What may have been meant by a path that does not exist.
pub(super) fn hint(error: &Error) -> String {
    let path = match error {
        Error::Io { path, source }
            if source.kind() == std::io::ErrorKind::NotFound && source.get_ref().is_none() =>
        {
            path
        }
        Error::Data { path, message } if message.starts_with(data::NO_SUCH) => path,
        _ => return String::new(),
    };
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    if Spec::builtin_names().contains(&&*path.to_string_lossy()) {
        return format!("; did you mean -m {name}?");
    }
    let folder = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    let Ok(entries) = std::fs::read_dir(folder) else {
        return format!("; there is no folder {}", printable_path(folder));
    };
    let names: Vec<String> = entries
        .flatten()
        .take(10_000)
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .collect();
    let near = nearest(&name, names.iter().map(String::as_str));
    // Short names are near each other by chance.
    match near.filter(|near| strsim::damerau_levenshtein(&name, near) <= 1.max(name.len() / 5)) {
        Some(near) => format!("; did you mean {}?", printable_path(&path.with_file_name(near))),
        None => {
            let is_run = |name: &&String| folder.join(name).join("args.toml").is_file();
            let mut runs: Vec<String> =
                names.iter().filter(is_run).map(|name| printable(name).into_owned()).collect();
            runs.sort_unstable();
            match runs.len() {
                0 => String::new(),
                1..=SHOWN_RUNS => format!("; the runs in {} are {}", printable_path(folder), runs.join(", ")),
                count => format!("; there are {count} runs in {}", printable_path(folder)),
            }
        }
    }
}

/// The verb whose words `typed` begins with, after flags that stand before it.
fn verb<'c>(root: &'c Command, typed: &[OsString]) -> &'c Command {
    let words = typed.iter().skip(1).map_while(|word| word.to_str());
    words.fold(root, |command, word| command.find_subcommand(word).unwrap_or(command))
}

fn text_of(error: &clap::Error, kind: ContextKind) -> String {
    values(error, kind).into_iter().next().unwrap_or_default()
}

fn values(error: &clap::Error, kind: ContextKind) -> Vec<String> {
    match error.get(kind) {
        Some(ContextValue::String(text)) => vec![text.clone()],
        Some(ContextValue::Strings(texts)) => texts.clone(),
        Some(ContextValue::StyledStr(text)) => vec![text.to_string()],
        _ => Vec::new(),
    }
}

fn has_flag(verb: &Command, long: &str) -> bool {
    visible(verb).any(|arg| names(arg).any(|name| name == long))
}

fn visible(verb: &Command) -> impl Iterator<Item = &Arg> {
    verb.get_arguments().filter(|arg| !arg.is_hide_set())
}

fn names(arg: &Arg) -> impl Iterator<Item = &str> {
    arg.get_long().into_iter().chain(arg.get_all_aliases().unwrap_or_default())
}

/// "; did you mean x?" for the word of `known` that `word` begins or is at most a letter in three away from.
fn meant<'w>(word: &str, known: impl Iterator<Item = &'w str>) -> String {
    nearest(word, known).map(|near| format!("; did you mean {near}?")).unwrap_or_default()
}

fn nearest<'w>(word: &str, known: impl Iterator<Item = &'w str>) -> Option<&'w str> {
    let distance = |name: &str| match word.len() > 2 && name.starts_with(word) {
        true => 0,
        false => strsim::damerau_levenshtein(word, name),
    };
    let near = known.map(|name| (distance(name), name)).filter(|(far, _)| *far <= 1.max(word.len() / 3));
    near.min_by_key(|(far, name)| (*far, name.len())).map(|(_, name)| name)
}

fn unknown_flag(verb: &Command, name: &str, flag: &str) -> String {
    let word = flag.trim_start_matches('-').to_lowercase().replace('_', "-");
    let start = format!("{flag}: {name} has no such flag");
    if let Some((_, instead)) = INSTEAD.iter().find(|(wrong, _)| *wrong == word) {
        return format!("{start}; did you mean `{instead}`?");
    }
    let known = || visible(verb).flat_map(names);
    let ours = FLAGS.iter().find(|(wrong, _)| wrong.contains(&word.as_str())).map(|(_, ours)| *ours);
    if let Some(near) = ours.filter(|ours| has_flag(verb, ours)).or_else(|| nearest(&word, known())) {
        return format!("{start}; did you mean --{near}?");
    }
    format!("{start}; `{name} --help` lists them")
}

/// A word that is no flag, where none is taken: a network, weights or data without their flag.
fn unexpected_word(verb: &Command, name: &str, word: &str) -> String {
    let is_model = Spec::builtin_names().contains(&word) || word.ends_with(".toml");
    let path = Path::new(word);
    let is_weights =
        ["safetensors", "pth", "pt", "onnx"].iter().any(|end| word.ends_with(&format!(".{end}")));
    let is_run = path.join("args.toml").exists();
    let flag = match () {
        () if is_model => Some("model").filter(|flag| has_flag(verb, flag)).map(|_| "-m"),
        () if is_weights || is_run => Some("--weights").filter(|_| has_flag(verb, "weights")),
        () if path.exists() || crate::data::built_in(word).is_some() => {
            Some("--data-path").filter(|_| has_flag(verb, "data-path"))
        }
        () => None,
    };
    let help = || match nearest(word, Spec::builtin_names().into_iter()).filter(|_| has_flag(verb, "model")) {
        Some(near) => format!("; did you mean -m {near}?"),
        None => format!("; `{name} --help` shows what it takes"),
    };
    let near = flag.map_or_else(help, |flag| format!("; did you mean {flag} {word}?"));
    format!("{word}: {name} expects flags, found a word without one{near}")
}

fn unknown_command(verb: &Command, name: &str, word: &str) -> String {
    let start = format!("{word}: {name} has no such command");
    let ours = COMMANDS.iter().find(|(wrong, _)| wrong.contains(&word)).map(|(_, ours)| *ours);
    if let Some(ours) = ours.filter(|_| name == "striate") {
        return format!("{start}; did you mean `striate {ours}`?");
    }
    let known = verb
        .get_subcommands()
        .flat_map(|verb| std::iter::once(verb.get_name()).chain(verb.get_all_aliases()));
    if let Some(near) = nearest(word, known) {
        return format!("{start}; did you mean `{name} {near}`?");
    }
    if name == "striate" && Spec::builtin_names().contains(&word) {
        return format!("{start}; did you mean `striate train -m {word}`?");
    }
    if name == "striate dataset" && (Path::new(word).exists() || crate::data::built_in(word).is_some()) {
        return format!("{start}; did you mean `striate dataset info {word}`?");
    }
    let all: Vec<&str> =
        verb.get_subcommands().filter(|verb| !verb.is_hide_set()).map(Command::get_name).collect();
    format!("{start}; there are {}", all.join(", "))
}

/// What stands for the value in the help of the flag that is displayed as `argument`.
fn expected_value(verb: &Command, argument: &str) -> String {
    let value = argument.split_once(['<', '[']).map(|(_, rest)| rest.trim_end_matches(['>', ']', '.']));
    match value {
        Some(value) if !value.is_empty() => value.to_string(),
        _ => format!("a value (`{} --help`)", verb.get_bin_name().unwrap_or("striate")),
    }
}

fn invalid_value(error: &clap::Error, flag: &str, value: &str) -> String {
    let why = error.source().map(ToString::to_string).unwrap_or_default();
    // Those of Rust's own parsers name no expectation.
    let expected = match why.as_str() {
        "invalid digit found in string" => "expected a whole number",
        "number too large to fit in target type" => "expected a smaller number",
        "invalid float literal" => "expected a number",
        other => other,
    };
    let option = flag.trim_start_matches('-');
    let expected = expected.strip_prefix(&format!("{option}: ")).unwrap_or(expected);
    if expected.contains("found") {
        return format!("{flag}: {expected}");
    }
    match expected.split_once(" is not in ") {
        Some((number, range)) => format!("{flag}: expected {}, found {number}", limits(range)),
        None => format!("{flag}: {expected}, found {value}"),
    }
}

/// "1..=256" in words.
fn limits(range: &str) -> String {
    match range.split_once("..=").or_else(|| range.split_once("..")) {
        Some((least, "")) => format!("{least} or more"),
        Some((least, most)) => format!("{least} to {most}"),
        None => range.to_string(),
    }
}
