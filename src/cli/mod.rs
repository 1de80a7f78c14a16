//! The command line: one file per verb, shared parts (`device`, `output`, `memory`), and the mapping from errors to exit
//! codes. Results go to stdout, everything else to stderr.

mod bar;
mod bench;
mod completions;
mod dataset;
mod device;
mod devices;
mod eval;
mod export;
mod guard;
mod import;
mod names;
mod output;
mod outputs;
mod predict;
mod profiled;
mod progress;
mod recipe;
mod regularization;
mod report;
mod resume;
mod samples;
mod selftest;
mod shader;
mod source;
mod stop;
mod summary;
mod trace;
mod train;
mod train_args;
mod train_environment;

use crate::cpu;
use crate::device::DeviceSelector;
use crate::error::{Error, printable};
use crate::gpu::{self, Tuning};
use anyhow::Context as _;
use clap::builder::{PossibleValuesParser, TypedValueParser};
use clap::parser::ValueSource;
use clap::{ArgMatches, Args, CommandFactory, FromArgMatches, Parser, Subcommand};
pub use guard::guarded;
use output::Output;
use std::ffi::OsString;
use std::path::Path;

/// The flags that every verb accepts.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Global options")]
pub(crate) struct Common {
    /// Compute on DEVICE: auto, cpu, gpu, an adapter's number or a part of its name (see `striate devices`)
    #[arg(long, global = true, default_value = "auto", value_name = "DEVICE")]
    device: DeviceSelector,
    /// Tune GPU kernels by timing them: off, on (once per hardware GPU, cached) or force (again, on any adapter). Tuning
    /// never changes results
    #[arg(long, global = true, default_value = "on", value_name = "WHEN", value_parser = tuning())]
    tune: Tuning,
    /// Print results as JSON on stdout
    #[arg(long, global = true)]
    json: bool,
    /// Print more diagnostics on stderr; repeat the flag for even more
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    verbose: u8,
    /// Print only results, warnings and errors
    #[arg(short, long, global = true, conflicts_with = "verbose")]
    quiet: bool,
    /// Compute with N threads on the CPU [default: all, or RAYON_NUM_THREADS]
    #[arg(long, global = true, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    threads: Option<u16>,
    /// Use direct instead of Winograd convolution on the CPU: slower, with smaller rounding errors
    #[arg(long, global = true)]
    no_winograd: bool,
}

/// The flags of [`Common`] that a run keeps, so that it is resumed with them.
const KEPT: [&str; 4] = ["device", "tune", "threads", "no_winograd"];

impl Common {
    /// An error if `kept`, the flags that the run in `folder` keeps, are not what [`Common::completed`] writes.
    fn check_kept(folder: &Path, kept: &toml::Table) -> Result<(), Error> {
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
    /// [`Common::check_kept`] has passed. Beside them, what the run keeps now.
    fn completed(mut self, kept: toml::Table, matches: &ArgMatches) -> (Common, toml::Table) {
        let mut all = kept;
        let verb = matches.subcommand().map_or(matches, |(_, verb)| verb);
        for id in KEPT {
            if verb.value_source(id) == Some(ValueSource::CommandLine) {
                let raw = verb.get_raw(id).and_then(|mut values| values.next_back()?.to_str());
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

#[derive(Parser, Debug)]
#[command(
    name = "striate",
    version,
    about = "Train convolutional networks on the GPU of any vendor",
    disable_help_subcommand = true,
    args_override_self = true
)]
struct Cli {
    #[command(flatten)]
    common: Common,
    #[command(subcommand)]
    verb: Option<Verb>,
}

#[derive(Subcommand, Debug)]
enum Verb {
    /// Train a network
    Train(Box<train_args::TrainArgs>),
    /// Measure loss and accuracy of weights on a validation set
    #[command(visible_alias = "test")]
    Eval(eval::EvalArgs),
    /// Classify images
    Predict(predict::PredictArgs),
    /// Visualise the filters and activations of a network
    Report(report::ReportArgs),
    /// Export a trained network for other programs, and verify the file
    Export(export::ExportArgs),
    /// Import a network or weights from other programs
    Import(import::ImportArgs),
    /// Show layers, parameters, multiply-adds and memory of a network
    Summary(summary::SummaryArgs),
    /// List the devices of this machine
    Devices(devices::DevicesArgs),
    /// Check every kernel of a device against an f64 reference
    Selftest(selftest::SelftestArgs),
    /// Benchmark training steps, operators or the data pipeline
    Bench(bench::BenchArgs),
    /// Print the WGSL modules that a GPU compiles
    Shader(shader::ShaderArgs),
    /// Dump one training step with all intermediate values to a safetensors file
    Trace(trace::TraceArgs),
    /// Inspect, pack and download data sets
    Dataset(dataset::DatasetArgs),
    /// Generate shell completions
    Completions(completions::CompletionsArgs),
}

/// The global settings that a verb receives beside its own arguments.
pub(crate) struct Context {
    pub device: DeviceSelector,
    /// How GPU kernels are tuned, if a GPU is used.
    pub tuning: Tuning,
    /// Options of the CPU path, if it is used.
    pub cpu: cpu::CpuOptions,
    pub out: Output,
    /// The flags of [`Common`] that a run records, by name; for a run resumed without flags, including those it was started
    /// with.
    pub program: toml::Table,
}

const FIRST_STEPS: &str = "\
striate trains convolutional networks. First steps:

  striate train                 train a small network on Fashion-MNIST
  striate devices               list the devices of this machine
  striate selftest              check the kernels of the device
  striate summary -m alexnet    show the layers of a network

striate --help lists all commands, striate <command> --help explains one.";

/// Runs the command line `arguments` (program name first) and returns the exit code. [`verdict`] maps an error to its exit
/// code and message.
///
/// Usage errors and `--help` end the process in clap, with exit code 2 and 0.
pub fn run(arguments: impl IntoIterator<Item = OsString>) -> anyhow::Result<u8> {
    let typed = resume::completed::<Cli>(arguments.into_iter().collect())?;
    let matches = Cli::command().get_matches_from(&typed);
    let cli =
        Cli::from_arg_matches(&matches).unwrap_or_else(|error| error.format(&mut Cli::command()).exit());
    let mut resumed = match &cli.verb {
        Some(Verb::Train(args)) => resume::resumed(&matches, args)?,
        _ => None,
    };
    let program = resumed.as_mut().map(|resumed| std::mem::take(&mut resumed.program)).unwrap_or_default();
    let (common, program) = cli.common.completed(program, &matches);
    let Common { device, tune, json, verbose, quiet, threads, no_winograd } = common;
    start_log(verbose);
    hush_caught_panics();
    if let Some(threads) = threads {
        rayon::ThreadPoolBuilder::new()
            .num_threads(threads.into())
            .build_global()
            .with_context(|| format!("--threads {threads}"))?;
    }
    let cpu = cpu::CpuOptions { winograd: !no_winograd };
    let context = Context { device, tuning: tune, cpu, out: Output::new(json, quiet), program };
    let code = match &cli.verb {
        None => context.out.line(FIRST_STEPS).map(|()| 0),
        Some(Verb::Train(args)) => train::run(args, resumed, &context),
        Some(Verb::Eval(args)) => eval::run(args, &context),
        Some(Verb::Predict(args)) => predict::run(args, &context),
        Some(Verb::Report(args)) => report::run(args, &context),
        Some(Verb::Export(args)) => export::run(args, &context),
        Some(Verb::Import(args)) => import::run(args, &context),
        Some(Verb::Summary(args)) => summary::run(args, &context),
        Some(Verb::Devices(args)) => devices::run(args, &context),
        Some(Verb::Selftest(args)) => selftest::run(args, &context),
        Some(Verb::Bench(args)) => bench::run(args, &context),
        Some(Verb::Shader(args)) => shader::run(args, &context),
        Some(Verb::Trace(args)) => trace::run(args, &context),
        Some(Verb::Dataset(args)) => dataset::run(args, &context),
        Some(Verb::Completions(args)) => completions::run::<Cli>(args, &context),
    };
    Ok(code.map_err(|error| with_dashes(error, &matches))?)
}

/// `error` about the value of a flag that was typed, which the library knows as an option, under the flag's own name.
fn with_dashes(error: Error, matches: &ArgMatches) -> Error {
    let Error::Usage(text) = error else { return error };
    let typed = |name: &str| {
        let command = Cli::command();
        let (verb, verb_matches) = matches.subcommand()?;
        let mut flags = command.find_subcommand(verb)?.get_arguments();
        let flag = flags.find(|flag| flag.get_long() == Some(name))?;
        let source = verb_matches.value_source(flag.get_id().as_str())?;
        (source == ValueSource::CommandLine).then_some(())
    };
    let is_flag = text.split_once(": ").is_some_and(|(name, _)| typed(name).is_some());
    Error::Usage(if is_flag { format!("--{text}") } else { text })
}

/// Parses the value of `--tune`.
fn tuning() -> impl TypedValueParser<Value = Tuning> {
    PossibleValuesParser::new(Tuning::NAMES).try_map(|word| word.parse::<Tuning>())
}

/// Starts logging. By default only our own warnings are shown, since those of dependencies rarely concern the user.
/// `RUST_LOG` overrides this.
fn start_log(verbose: u8) {
    let filter = match verbose {
        0 => "off,striate=warn",
        1 => "warn,striate=info",
        2 => "info,striate=debug",
        _ => "debug",
    };
    let environment = env_logger::Env::default().default_filter_or(filter);
    // A second initialisation (in tests) keeps the first. A pipe has no colours unless they are asked for.
    let style = match bar::has_colours(&std::io::stderr()) {
        true => env_logger::WriteStyle::Always,
        false => env_logger::WriteStyle::Never,
    };
    let mut log = env_logger::Builder::from_env(environment);
    let log = log.format_timestamp(None).target(env_logger::Target::Pipe(Box::new(bar::Log)));
    let _ = log.write_style(style).try_init();
}

/// Suppresses the report of panics that are caught and returned as errors (a library that loses its device).
fn hush_caught_panics() {
    static ONCE: std::sync::Once = std::sync::Once::new();
    ONCE.call_once(|| {
        let usual = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            if !gpu::is_caught() {
                usual(panic);
            }
        }));
    });
}

/// The exit code of `error` and the line to print for it; no line if the reader of stdout has closed the pipe. Errors that
/// are not from the library are run-time failures, exit code 1.
pub fn verdict(error: &anyhow::Error) -> (u8, Option<String>) {
    // Names from files may contain anything, but the terminal must receive plain text: the library's errors see to it.
    let line = |text: String| Some(format!("error: {text}"));
    match error.downcast_ref::<Error>() {
        Some(Error::Io { source, .. }) if source.kind() == std::io::ErrorKind::BrokenPipe => (0, None),
        // The text is complete and includes the source.
        Some(error) => (error.exit_code(), line(error.to_string())),
        None => (1, line(printable(&format!("{error:#}")).into_owned())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_is_one_plain_line() {
        let missing = Error::io("a.toml", std::io::ErrorKind::NotFound.into());
        assert_eq!(verdict(&missing.into()), (4, Some("error: a.toml: entity not found".into())));
        let directory = Error::io("d", std::io::ErrorKind::IsADirectory.into());
        assert_eq!(verdict(&directory.into()).0, 4);
        let hostile = Error::Model("layer \u{1b}[31m\n".into());
        assert_eq!(verdict(&hostile.into()), (4, Some(r"error: layer \u{1b}[31m\n".into())));
        let gone = Error::io("stdout", std::io::ErrorKind::BrokenPipe.into());
        assert_eq!(verdict(&gone.into()), (0, None));
    }
}
