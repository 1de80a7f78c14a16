//! The flags of checkpoints, the command that resumes a run, and the options of a run that is resumed.

use super::flags::{self, OUTPUT};
use super::train_args::TrainArgs;
use crate::error::{Error, Result, printable, printable_path};
use crate::inference::quoted;
use crate::run::{Checkpoint, Resume, RunFolder, RunOptions, latest, program_options};
use clap::parser::ValueSource;
use clap::{Arg, ArgMatches, Args, FromArgMatches};
use serde::Deserialize;
use std::ffi::OsString;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

#[derive(Args, Debug)]
#[command(next_help_heading = OUTPUT)]
pub(crate) struct ResumeArgs {
    /// Resume a run, or from a checkpoint
    ///
    /// The run continues as if it had not been stopped. The run's own flags apply; you may change how long it continues (--epochs,
    /// --patience, --max-steps) and what changes no weight. auto: the newest folder (NAME, NAME-2, NAME-3, ...) with a
    /// checkpoint, or a new run if there is none; without flags that describe a run, the newest of all runs
    #[arg(long, value_name = "auto|DIR|FILE", conflicts_with = "preview")]
    resume: Option<PathBuf>,
    /// Resume even if recipe, network, data or options differ. Parameters must have the same names and shapes; optimiser
    /// state that does not fit is reset
    #[arg(long, requires = "resume")]
    pub resume_force: bool,
    /// Also save a checkpoint every STEPS steps, not only after every epoch
    #[arg(long, value_name = "STEPS", value_parser = clap::value_parser!(u32).range(1..))]
    pub checkpoint_every: Option<u32>,
    /// Keep the last N checkpoints: checkpoint.safetensors, checkpoint-1.safetensors (the one before), ...
    #[arg(long, default_value_t = 2, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub checkpoint_hist: u32,
}

impl ResumeArgs {
    /// Where the run starts.
    pub fn resume(&self) -> Resume {
        match &self.resume {
            None => Resume::No,
            Some(path) if path.as_os_str() == "auto" => Resume::Latest,
            Some(path) => Resume::From(path.clone()),
        }
    }
}

/// In `args.toml` of earlier versions: the words that the run was started with, or last resumed with.
const COMMAND: &str = "command";

/// Flags that say how long a run continues, which may change when it is resumed.
const LENGTH: [&str; 4] = ["epochs", "patience", "lr_cuts", "lr_milestones"];

/// Flags that say how a run is carried out, which may change too. The flags that verbs share are of this kind.
const CONDUCT: [&str; 9] = [
    "max_steps",
    "checkpoint_every",
    "checkpoint_hist",
    "log_every",
    "workers",
    "profile",
    "no_report",
    "on_device_lost",
    "on_bad_file",
];

/// Flags that say which run is resumed.
const PLACE: [&str; 4] = ["resume", "resume_force", "output_dir", "name"];

/// Words that control output, which a resumed run takes from its own command line, and those that write a file: a folder
/// may come from another person.
const NOT_KEPT: [&str; 6] = ["--quiet", "--verbose", "--json", "--profile", "--resume-force", "--preview"];

/// `word` as it is kept, if it is. Short flags may stand together: -qvj4.
fn kept(word: &str) -> Option<String> {
    let with_values = ["--resume=", "--profile=", "--preview="];
    if let Some(flags) = word.strip_prefix('-').filter(|flags| !flags.starts_with('-')) {
        let rest = flags.trim_start_matches(['q', 'v']);
        return (!rest.is_empty()).then(|| format!("-{rest}"));
    }
    (!NOT_KEPT.contains(&word) && !with_values.iter().any(|start| word.starts_with(start)))
        .then(|| word.to_string())
}

/// The command that resumes the run in `folder`.
pub(super) fn command(folder: &Path) -> String {
    // A word that begins with a dash would be taken for a flag.
    let start = if folder.as_os_str().as_encoded_bytes().starts_with(b"-") { "./" } else { "" };
    format!("striate train --resume {start}{}", quoted(&folder.to_string_lossy()))
}

/// The folder of the run that `train --resume` names; `None` if there is none yet, or if the flags are wrong in another way
/// that is reported when the run is opened.
fn folder(train: &ArgMatches, args: &TrainArgs) -> Option<PathBuf> {
    match args.resume.resume() {
        Resume::From(path) => Checkpoint::find(&path).ok().map(|(folder, _)| folder),
        Resume::Latest => {
            let options = args.options().ok()?;
            let is_free = |id: &str| LENGTH.contains(&id) || CONDUCT.contains(&id) || PLACE.contains(&id);
            let mut scratch = options.clone();
            let mut typed = train.ids().map(|id| id.as_str()).filter(|id| is_typed(train, id));
            match typed
                .any(|id| id == "name" || !is_free(id) && TrainArgs::lay_over(&mut scratch, &options, id))
            {
                true => latest(&options).ok()?,
                false => RunFolder::newest(options.output_dir.as_deref().unwrap_or(Path::new("runs"))),
            }
        }
        _ => None,
    }
}

fn is_typed(matches: &ArgMatches, id: &str) -> bool {
    matches.value_source(id) == Some(ValueSource::CommandLine)
}

/// A run that is resumed with the options in its `args.toml`.
#[derive(Debug)]
pub(super) struct Resumed {
    /// Its own options, under the flags that were typed.
    pub options: RunOptions,
    /// The options of the program that it was started with.
    pub program: toml::Table,
    pub folder: Resume,
    /// The flags that were typed and that change what it may change, with a space before each.
    pub free_flags: String,
}

/// The run that `train --resume` resumes, with its own options and those of the flags that were typed; `None` for a new run,
/// and for one that keeps no options.
pub(super) fn resumed(matches: &ArgMatches, args: &TrainArgs) -> Result<Option<Resumed>> {
    let Some(("train", train)) = matches.subcommand() else { return Ok(None) };
    let Some(folder) = folder(train, args) else { return Ok(None) };
    let Some(mut options) = RunOptions::of_folder(&folder)? else { return Ok(None) };
    let typed = args.options()?;
    let max_steps = options.train.max_steps.take();
    let (mut is_described, mut changed) = (false, Vec::new());
    for id in train.ids().map(|id| id.as_str()).filter(|id| is_typed(train, id)) {
        let before = options.clone();
        let is_option = TrainArgs::lay_over(&mut options, &typed, id);
        if options != before && matches!(args.resume.resume(), Resume::From(_)) {
            check_place(id, &typed, &folder)?;
        }
        is_described |= is_option && !CONDUCT.contains(&id) && !PLACE.contains(&id);
        if !is_option || options != before {
            changed.push(id);
        }
    }
    // The limit of an earlier command holds until another is given: more epochs, or the whole command without a limit.
    if !is_described && !is_typed(train, "max_steps") {
        options.train.max_steps = max_steps;
    }
    let program = program_options(&folder)?;
    flags::Shared::check_kept(&folder, &program)?;
    let resume = match args.resume.resume() {
        Resume::Latest => Resume::From(folder),
        resume => resume,
    };
    Ok(Some(Resumed { options, program, folder: resume, free_flags: free_flags(train, &changed) }))
}

/// An error if the flag `id` says that the run in `folder` is written to another one.
fn check_place(id: &str, typed: &RunOptions, folder: &Path) -> Result<()> {
    let (is_here, given) = match (id, &typed.name, &typed.output_dir) {
        ("name", Some(name), _) => (folder.file_name() == Some(name.as_ref()), name.clone()),
        ("output_dir", _, Some(parent)) => {
            let parents = [Some(parent.as_path()), folder.parent()];
            let [given, own] = parents.map(|path| std::fs::canonicalize(path?).ok());
            (given.is_some() && given == own, parent.display().to_string())
        }
        _ => return Ok(()),
    };
    if is_here {
        return Ok(());
    }
    Err(Error::Usage(format!(
        "--{} {}: expected none beside --resume {}, which is written to its own folder; copy that folder to continue it in \
         another",
        id.replace('_', "-"),
        printable(&given),
        printable_path(folder)
    )))
}

/// Those of the `changed` flags in `train` that a resumed run may change, with a space before each.
fn free_flags(train: &ArgMatches, changed: &[&str]) -> String {
    let mut flags = String::new();
    for id in LENGTH.iter().chain(&CONDUCT).filter(|id| changed.contains(id)) {
        let values = train.get_raw(id).into_iter().flatten().map(|value| value.to_string_lossy());
        let values = values.collect::<Vec<_>>().join(",");
        // A value that is optional needs the sign.
        let sign = if ["profile", "no_report"].contains(id) { '=' } else { ' ' };
        flags.push_str(&format!(" --{}{sign}{}", id.replace('_', "-"), quoted(&values)));
    }
    flags
}

/// For a run of a version that kept the words of its command line: `typed` (program name first). If that is `train --resume
/// ...`, the words that the run was started with come before the typed ones, which win.
pub(super) fn completed(typed: Vec<OsString>) -> Result<Vec<OsString>> {
    // A command line that cannot be parsed is reported where it is parsed for use.
    let Ok(matches) = flags::command().try_get_matches_from(&typed) else { return Ok(typed) };
    let Some(("train", train)) = matches.subcommand() else { return Ok(typed) };
    let Ok(args) = TrainArgs::from_arg_matches(train) else { return Ok(typed) };
    let command = flags::command();
    let Some(folder) = folder(train, &args) else { return Ok(typed) };
    let is_typed = |id: &str| is_typed(train, id);
    // Without them the flags have to be typed again.
    let text = match RunFolder::description(&folder) {
        Err(Error::Io { source, .. }) if source.kind() == ErrorKind::NotFound => return Ok(typed),
        text => text?,
    };
    let bad = |what: String| Error::data(folder.join("args.toml"), what);
    let table: toml::Table = text.parse().map_err(|e: toml::de::Error| bad(e.message().to_string()))?;
    if table.contains_key("options") {
        return Ok(typed);
    }
    let stored = match table.get(COMMAND).map(|value| Vec::<String>::deserialize(value.clone())) {
        None => return Ok(typed),
        Some(Ok(words)) if words.is_empty() => return Ok(typed),
        Some(Ok(words)) => without(words, |flag| {
            let mut known = command.find_subcommand("train")?.get_arguments().chain(command.get_arguments());
            known
                .find(|argument| flag.names(argument))
                .filter(|argument| is_typed(argument.get_id().as_str()))
        }),
        Some(Err(e)) => return Err(bad(format!("{COMMAND}: expected a list of words: {}", e.message()))),
    };
    // The words that were typed now come last, without the verb.
    let program = typed.first().cloned().unwrap_or_else(|| "striate".into());
    let verb = typed.iter().position(|word| word == "train").unwrap_or_default();
    let own = typed.into_iter().enumerate().filter(|(place, _)| *place != 0 && *place != verb);
    let own = own.map(|(_, word)| word);
    let all: Vec<OsString> =
        std::iter::once(program).chain(stored.into_iter().map(OsString::from)).chain(own).collect();
    match flags::command().try_get_matches_from(&all) {
        Ok(matches) if matches.subcommand_name() == Some("train") => Ok(all),
        Ok(_) => Err(bad(format!("{COMMAND}: expected the words of striate train, found others"))),
        Err(e) => {
            let text = e.to_string();
            let first = text.lines().next().unwrap_or_default().trim_start_matches("error: ");
            Err(bad(format!("{COMMAND}: expected the words of striate train, found {first}")))
        }
    }
}

/// A word as a flag, whose value may be in the same word.
enum Flag<'a> {
    Long(&'a str),
    Short(char),
}

impl<'a> Flag<'a> {
    /// The flag and whether its value, if it takes one, is in the next word.
    fn of(word: &'a str) -> Option<(Self, bool)> {
        if let Some(long) = word.strip_prefix("--") {
            let (name, value) =
                long.split_once('=').map_or((long, None), |(name, value)| (name, Some(value)));
            return Some((Self::Long(name), value.is_none()));
        }
        let mut short = word.strip_prefix('-')?.chars();
        Some((Self::Short(short.next()?), short.next().is_none()))
    }

    fn names(&self, argument: &Arg) -> bool {
        match self {
            Self::Long(name) => argument.get_long() == Some(name),
            Self::Short(letter) => argument.get_short() == Some(*letter),
        }
    }
}

/// The `words` to keep, without flags that are given again: they must not pile up over repeated resumes.
fn without<'a>(words: Vec<String>, given_again: impl Fn(&Flag) -> Option<&'a Arg>) -> Vec<String> {
    let mut left = Vec::new();
    let mut words = words.into_iter().filter_map(|word| kept(&word));
    while let Some(word) = words.next() {
        match Flag::of(&word).and_then(|(flag, is_next)| Some((given_again(&flag)?, is_next))) {
            None => left.push(word),
            Some((argument, is_next)) => {
                if is_next && argument.get_action().takes_values() && !argument.is_require_equals_set() {
                    words.next();
                }
            }
        }
    }
    left
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_words_that_are_kept_are_those_that_describe_a_run() {
        let words = "train --name a -vvvv -qj1 --resume-force --resume=x -q".split(' ');
        assert_eq!(words.filter_map(kept).collect::<Vec<_>>(), ["train", "--name", "a", "-j1"]);
        assert_eq!(command(Path::new("runs/a b")), "striate train --resume 'runs/a b'");
    }
}
