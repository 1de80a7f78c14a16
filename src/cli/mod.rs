//! The command line: one file per verb, shared parts (`flags`, `usage`, `device`, `output`), and the mapping from errors to exit
//! codes. Results go to stdout, everything else to stderr.

mod bar;
mod bench;
mod candidates;
mod completions;
mod dataset;
mod device;
mod devices;
mod download;
mod eval;
mod export;
mod flags;
mod guard;
mod import;
mod learn;
mod manual;
mod models;
mod names;
mod offered;
mod output;
mod outputs;
mod predict;
mod profiled;
mod progress;
mod recipe;
mod regularization;
mod report;
mod resume;
mod run_data;
mod run_report;
mod samples;
mod selftest;
mod shader;
mod source;
mod stop;
mod summary;
mod trace;
mod train;
mod train_args;
mod train_command;
mod train_environment;
mod usage;
mod weights;

use crate::cpu;
use crate::device::DeviceSelector;
use crate::error::{Error, printable, printable_path};
use crate::gpu::{self, Tuning};
use anyhow::Context as _;
use clap::{FromArgMatches, Parser, Subcommand};
use flags::Shared;
pub use guard::guarded;
use output::Output;
use std::ffi::OsString;

#[derive(Parser, Debug)]
#[command(
    name = "striate",
    version,
    about = "Train convolutional networks on the GPU of any vendor",
    disable_version_flag = true,
    args_override_self = true
)]
struct Cli {
    #[command(subcommand)]
    verb: Option<Verb>,
}

#[derive(Subcommand, Debug)]
enum Verb {
    /// Train a network
    Train(Box<train_args::TrainArgs>),
    /// Measure loss and accuracy on a validation set
    #[command(visible_alias = "test")]
    Eval(eval::EvalArgs),
    /// Classify images
    Predict(predict::PredictArgs),
    /// Report on training runs, and visualise filters and activations
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
    /// Dump one training step to a file
    ///
    /// Inputs, outputs of layers, gradients and updated parameters, for instance to compare them with PyTorch.
    Trace(trace::TraceArgs),
    /// Inspect, pack and download data sets
    Dataset(dataset::DatasetArgs),
    /// Explain neural networks with computed numbers
    Learn(learn::LearnArgs),
    /// List the built-in networks
    Models(models::ModelsArgs),
    /// Download pretrained weights of the built-in networks
    Weights(weights::WeightsArgs),
    /// Generate shell completions
    Completions(completions::CompletionsArgs),
    /// Write manual pages
    Man(manual::ManArgs),
}

/// The global settings that a verb receives beside its own arguments.
pub(crate) struct Context {
    pub device: DeviceSelector,
    /// How GPU kernels are tuned, if a GPU is used.
    pub tuning: Tuning,
    /// Options of the CPU path, if it is used.
    pub cpu: cpu::CpuOptions,
    pub out: Output,
    /// The flags of the device that a run records, by name; for a run resumed without flags, including those it was started
    /// with.
    pub program: toml::Table,
}

const FIRST_STEPS: &str = "\
striate trains convolutional networks. First steps:

  striate train                 train a small network on Fashion-MNIST
  striate devices               list the devices of this machine
  striate selftest              check the kernels of the device
  striate models                list the built-in networks

striate --help lists all commands, striate help COMMAND explains one.";

/// Runs the command line `arguments` (program name first) and returns the exit code. [`verdict`] maps an error to its exit
/// code and message.
///
/// `--help` and `--version` end the process in clap, with exit code 0.
pub fn run(arguments: impl IntoIterator<Item = OsString>) -> anyhow::Result<u8> {
    let typed: Vec<OsString> = arguments.into_iter().collect();
    if completions::answered(&typed)? {
        return Ok(0);
    }
    let typed = resume::completed(typed)?;
    let matches = flags::command().try_get_matches_from(&typed);
    let matches = matches.map_err(|error| usage::explained(error, &typed))?;
    let cli = Cli::from_arg_matches(&matches).map_err(|error| usage::explained(error, &typed))?;
    let shared = Shared::of(&matches)?;
    let mut resumed = match &cli.verb {
        Some(Verb::Train(args)) => resume::resumed(&matches, args)?,
        _ => None,
    };
    let program = resumed.as_mut().map(|resumed| std::mem::take(&mut resumed.program)).unwrap_or_default();
    let (shared, program) = shared.completed(program, &matches);
    let Shared { device, tune, json, verbose, quiet, threads, no_winograd } = shared;
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
    if let Some(path) = flags::taken_weights(&matches) {
        context.out.note(&format!("weights: {}", printable_path(path)));
    }
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
        Some(Verb::Weights(args)) => weights::run(args, &context),
        Some(Verb::Learn(args)) => learn::run(args, &context),
        Some(Verb::Models(args)) => models::run(args, &context),
        Some(Verb::Completions(args)) => completions::run(args, &context),
        Some(Verb::Man(args)) => manual::run(args, &context),
    };
    Ok(code.map_err(|error| usage::with_flag(error, &typed))?)
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
        Some(error) => (error.exit_code(), line(format!("{error}{}", usage::hint(error)))),
        None => (1, line(printable(&format!("{error:#}")).into_owned())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_is_one_plain_line() {
        let missing = Error::io("a.toml", std::io::ErrorKind::NotFound.into());
        assert_eq!(verdict(&missing.into()), (4, Some("error: a.toml: no such file or folder".into())));
        let directory = Error::io("d", std::io::ErrorKind::IsADirectory.into());
        assert_eq!(verdict(&directory.into()).0, 4);
        let hostile = Error::Model("layer \u{1b}[31m\n".into());
        assert_eq!(verdict(&hostile.into()), (4, Some(r"error: layer \u{1b}[31m\n".into())));
        let gone = Error::io("stdout", std::io::ErrorKind::BrokenPipe.into());
        assert_eq!(verdict(&gone.into()), (0, None));
    }
}
