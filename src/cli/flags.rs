//! The flags that verbs share: how results are printed, and which device computes. A verb has them only where they act; the help
//! shows them after its own. They may also stand before the verb.

use super::Cli;
use super::candidates;
use super::offered::{COMPUTING, IDLE, MOST_USED, SCRIPTS};
use crate::device::DeviceSelector;
use crate::error::{Error, Result};
use crate::gpu::Tuning;
use clap::builder::{PathBufValueParser, PossibleValuesParser, TypedValueParser};
use clap::parser::ValueSource;
use clap::{Arg, ArgAction, ArgMatches, Args, Command, CommandFactory};
use std::path::{Path, PathBuf};

/// The headings of the flags that verbs share.
pub(crate) const OUTPUT: &str = "Output";
pub(crate) const DEVICE: &str = "Device";

// How results are printed. (A doc comment would become the description of each verb.)
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = OUTPUT)]
struct OutputFlags {
    /// Print results as JSON on stdout
    #[arg(long)]
    json: bool,
    /// Print only results, warnings and errors
    #[arg(short, long, conflicts_with = "verbose")]
    quiet: bool,
    /// Print more on stderr; -vv prints even more
    #[arg(short, long, action = ArgAction::Count)]
    verbose: u8,
}

// Which device computes, and how.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = DEVICE)]
struct DeviceFlags {
    /// Compute on auto, cpu, gpu or an adapter
    ///
    /// auto takes a discrete GPU, then an integrated one, else the CPU. An adapter is named by its number or a part of its name
    /// (see `striate devices`).
    #[arg(long, default_value = "auto", value_name = "DEVICE")]
    device: DeviceSelector,
    /// Compute with N threads on the CPU
    ///
    /// [default: all, or RAYON_NUM_THREADS]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    threads: Option<u16>,
    /// Tune GPU kernels: off, on or force
    ///
    /// The kernels are timed once per hardware GPU, and the choice is kept; force times them again, on any adapter. Tuning never
    /// changes results.
    #[arg(
        long, default_value = "on", value_name = "WHEN", hide_possible_values = true, value_parser = tuning()
    )]
    tune: Tuning,
    /// Use direct instead of Winograd convolution on the CPU
    ///
    /// It is slower, with smaller rounding errors.
    #[arg(long)]
    no_winograd: bool,
}

/// Parses the value of `--tune`.
fn tuning() -> impl TypedValueParser<Value = Tuning> {
    PossibleValuesParser::new(Tuning::NAMES).try_map(|word| word.parse::<Tuning>())
}

/// The flags of [`DeviceFlags`], which a run keeps, so that it is resumed with them.
const DEVICE_IDS: [&str; 4] = ["device", "tune", "threads", "no_winograd"];

/// The flags that verbs share.
pub(crate) const SHARED: [&str; 8] =
    ["json", "quiet", "verbose", "help", "device", "tune", "threads", "no_winograd"];

/// The command line as it is parsed: the verbs, with the flags that they share.
pub(crate) fn command() -> Command {
    finished(Cli::command(), "")
}

/// Adds the shared flags to `command`, whose words after the program's name are `path`, and to those in it.
fn finished(command: Command, path: &str) -> Command {
    let help = Arg::new("help").short('h').long("help").action(ArgAction::Help).help_heading(OUTPUT);
    let command = command.disable_help_flag(true);
    if command.has_subcommands() {
        let command = command.mut_subcommands(|verb| {
            let below = format!("{path} {}", verb.get_name());
            finished(verb, below.trim_start())
        });
        let mut command = OutputFlags::augment_args(command).arg(help.help("Print help"));
        if path.is_empty() {
            let version = Arg::new("version").short('V').long("version").action(ArgAction::Version);
            command = command.arg(version.help("Print the version").help_heading(OUTPUT));
        }
        // They belong to the verb, and are accepted before it.
        return DeviceFlags::augment_args(command).mut_args(|arg| {
            let id = arg.get_id().as_str();
            let (is_of_the_device, is_rare) = (DEVICE_IDS.contains(&id), path.is_empty() && id == "verbose");
            arg.hide(is_of_the_device).hide_short_help(is_rare)
        });
    }
    let mut command = command.mut_args(|arg| candidates::add(taking_folders(with_numbers(arg))));
    if !SCRIPTS.contains(&path) {
        command = OutputFlags::augment_args(command);
    }
    command = command.arg(help.help("Print help; --help prints more"));
    if let Some((_, idle)) = COMPUTING.iter().find(|(verb, _)| *verb == path) {
        let flags = DeviceFlags::augment_args(Command::new("device"));
        let acting = flags.get_arguments().filter(|arg| !idle.contains(&arg.get_id().as_str()));
        // After all others, also in the line of usage of the manual.
        let acting = acting.cloned().enumerate().map(|(number, arg)| arg.display_order(900 + number));
        command = command.args(acting.map(|arg| candidates::add(arg.help_heading(DEVICE))));
    }
    if let Some((_, idle, _)) = IDLE.iter().find(|(verb, ..)| *verb == path) {
        command = command.mut_args(|arg| {
            let is_idle = idle.contains(&arg.get_id().as_str());
            if is_idle { arg.hide(true) } else { arg }
        });
    }
    let examples = command.get_after_help().cloned();
    if let Some(examples) = examples {
        command = command.after_long_help(examples);
    }
    if let Some((_, shown)) = MOST_USED.iter().find(|(verb, _)| *verb == path) {
        let always = ["json", "help", "device"];
        command = command.mut_args(|arg| {
            let id = arg.get_id().as_str();
            let is_shown = arg.is_positional() || shown.contains(&id) || always.contains(&id);
            arg.hide_short_help(!is_shown)
        });
        return command.after_help(format!("All flags, with examples: striate {path} --help"));
    }
    command.after_help(format!("Examples: striate {path} --help"))
}

/// The arguments that take weights.
const WEIGHTS: [&str; 2] = ["weights", "file"];

/// `arg`, of which -3 is a value, to be rejected as one, and no flag.
fn with_numbers(arg: Arg) -> Arg {
    let takes_value = !arg.is_positional() && arg.get_action().takes_values();
    arg.allow_negative_numbers(takes_value)
}

/// `arg`; for the folder of a run, one that takes weights takes the best ones in it.
fn taking_folders(arg: Arg) -> Arg {
    match WEIGHTS.contains(&arg.get_id().as_str()) {
        true => arg.value_parser(PathBufValueParser::new().map(weights_in)),
        false => arg,
    }
}

/// The best weights in `path`, if it is the folder of a run, or the only weights in another folder; else `path`.
fn weights_in(path: PathBuf) -> PathBuf {
    if !path.is_dir() {
        return path;
    }
    let best = path.join("best.safetensors");
    if best.is_file() {
        return best;
    }
    let files = std::fs::read_dir(&path).into_iter().flatten().flatten().map(|entry| entry.path());
    // A checkpoint holds the weights of a run's last step, which need not be those that are evaluated.
    let is_checkpoint =
        |file: &Path| file.file_name().is_some_and(|name| name.to_string_lossy().starts_with("checkpoint"));
    let mut weights =
        files.filter(|file| candidates::is_weights(file) && file.is_file() && !is_checkpoint(file));
    match (weights.next(), weights.next()) {
        (Some(only), None) => only,
        _ => path,
    }
}

/// The weights that were taken from a folder that was typed.
pub(crate) fn taken_weights(matches: &ArgMatches) -> Option<&Path> {
    let (levels, _) = levels(matches);
    let leaf = levels.last().copied()?;
    WEIGHTS.iter().find_map(|id| {
        let path: &PathBuf = leaf.try_get_one(id).ok()??;
        let typed = leaf.get_raw(id)?.next_back()?;
        (path.as_os_str() != typed).then_some(path.as_path())
    })
}

/// The values of the flags that verbs share.
#[derive(Clone, Debug)]
pub(crate) struct Shared {
    pub json: bool,
    pub quiet: bool,
    pub verbose: u8,
    pub device: DeviceSelector,
    pub tune: Tuning,
    pub threads: Option<u16>,
    pub no_winograd: bool,
}

/// The matches of the program and of the verbs in it, and the words of the innermost verb.
fn levels(matches: &ArgMatches) -> (Vec<&ArgMatches>, String) {
    let (mut levels, mut path) = (vec![matches], Vec::new());
    while let Some((name, below)) = levels.last().and_then(|level| level.subcommand()) {
        path.push(name);
        levels.push(below);
    }
    (levels, path.join(" "))
}

fn is_typed(matches: &ArgMatches, id: &str) -> bool {
    matches.try_contains_id(id).is_ok() && matches.value_source(id) == Some(ValueSource::CommandLine)
}

/// Whether the verb has the argument `id`.
fn offers(verb: &str, id: &str) -> bool {
    let root = command();
    let found = verb.split(' ').try_fold(&root, |command, word| command.find_subcommand(word));
    found.is_some_and(|verb| verb.get_arguments().any(|arg| arg.get_id() == id))
}

/// The innermost matches in which `id` was typed.
fn typed<'m>(levels: &[&'m ArgMatches], id: &str) -> Option<&'m ArgMatches> {
    levels.iter().rev().find(|level| is_typed(level, id)).copied()
}

impl Shared {
    /// The flags in `matches`.
    ///
    /// # Errors
    ///
    /// If the verb ignores one that was typed.
    pub fn of(matches: &ArgMatches) -> Result<Shared> {
        let (levels, verb) = levels(matches);
        let leaf = levels.last().copied().unwrap_or(matches);
        for id in SHARED.iter().filter(|id| typed(&levels, id).is_some()) {
            if !verb.is_empty() && !offers(&verb, id) {
                let flag = id.replace('_', "-");
                return Err(Error::Usage(format!("--{flag}: striate {verb} has no such flag")));
            }
        }
        if let Some((_, idle, why)) = IDLE.iter().find(|(name, ..)| *name == verb)
            && let Some(id) = idle.iter().find(|id| is_typed(leaf, id))
        {
            let flag = id.replace('_', "-");
            return Err(Error::Usage(format!("--{flag} has no effect: {why}")));
        }
        let value = |id: &str| typed(&levels, id);
        let (quiet, verbose) = (value("quiet"), value("verbose"));
        if quiet.is_some() && verbose.is_some() {
            return Err(Error::Usage("--quiet: expected no --verbose beside it, found both".into()));
        }
        Ok(Shared {
            json: value("json").is_some(),
            quiet: quiet.is_some(),
            verbose: verbose.map_or(0, |level| level.get_count("verbose")),
            device: value("device").and_then(|level| level.get_one("device").cloned()).unwrap_or_default(),
            tune: value("tune").and_then(|level| level.get_one("tune").copied()).unwrap_or(Tuning::On),
            threads: value("threads").and_then(|level| level.get_one("threads").copied()),
            no_winograd: value("no_winograd").is_some(),
        })
    }

    /// An error if `kept`, the flags that the run in `folder` keeps, are not what [`Shared::completed`] writes.
    pub fn check_kept(folder: &Path, kept: &toml::Table) -> Result<()> {
        for (id, value) in kept {
            let is_right = |text: &str| match id.as_str() {
                "device" => true,
                "tune" => text.parse::<Tuning>().is_ok(),
                "threads" => text.parse().is_ok_and(|threads: u16| (1..=1024).contains(&threads)),
                "no_winograd" => text == "true",
                _ => false,
            };
            if !value.as_str().is_some_and(is_right) {
                let what =
                    format!("program.{id}: expected the value of that flag as a string, found {value}");
                return Err(Error::data(folder.join("args.toml"), what));
            }
        }
        Ok(())
    }

    /// The flags that were typed, and for others those that a resumed run `kept`, which
    /// [`Shared::check_kept`] has passed. Beside them, what the run keeps now.
    pub fn completed(mut self, kept: toml::Table, matches: &ArgMatches) -> (Shared, toml::Table) {
        let mut all = kept;
        let (levels, _) = levels(matches);
        for id in DEVICE_IDS {
            if let Some(level) = typed(&levels, id) {
                let raw = level.get_raw(id).and_then(|mut values| values.next_back()?.to_str());
                all.insert(id.into(), raw.unwrap_or("true").into());
            }
        }
        let text = |id: &str| all.get(id).and_then(toml::Value::as_str);
        if let Some(device) = text("device") {
            let Ok(device) = device.parse();
            self.device = device;
        }
        if let Some(tune) = text("tune").and_then(|tune| tune.parse().ok()) {
            self.tune = tune;
        }
        self.threads = text("threads").and_then(|threads| threads.parse().ok());
        self.no_winograd |= text("no_winograd").is_some();
        (self, all)
    }
}
