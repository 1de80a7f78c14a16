//! The command line: one file per verb, what they share (`device`, `output`, `memory`), and the way from an error to an
//! exit code. Results go to stdout, everything else to stderr.

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

/// What every verb understands.
#[derive(Args, Clone, Debug)]
pub(crate) struct Common {
    /// auto, cpu, gpu, an adapter's number, or a part of its name (see `striate devices`)
    #[arg(long, global = true, default_value = "auto", value_name = "DEVICE")]
    device: DeviceSelector,
    /// Time each matrix product of a GPU to find its fastest tile: off, on (a hardware GPU, once; kept for later runs), or
    /// force (again, on any adapter). Changes no result
    #[arg(long, global = true, default_value = "on", value_name = "WHEN", value_parser = tuning())]
    tune: Tuning,
    /// Results as JSON on stdout
    #[arg(long, global = true)]
    json: bool,
    /// More of what goes on, on stderr; twice for still more
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    verbose: u8,
    /// Results and errors only
    #[arg(short, long, global = true, conflicts_with = "verbose")]
    quiet: bool,
    /// Threads of the CPU path [default: all, or RAYON_NUM_THREADS]
    #[arg(long, global = true, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    threads: Option<u16>,
    /// On the CPU path, convolve directly, without Winograd's minimal filtering: slower, and rounded more finely
    #[arg(long, global = true)]
    no_winograd: bool,
}

/// The flags of [`Common`] that a run keeps, so that it is resumed with them.
const KEPT: [&str; 4] = ["device", "tune", "threads", "no_winograd"];

impl Common {
    /// The flags that were typed, and for others those that a resumed run `kept`. Beside them, what the run keeps now.
    fn completed(mut self, kept: toml::Table, matches: &ArgMatches) -> Result<(Common, toml::Table), Error> {
        let mut all = kept;
        let verb = matches.subcommand().map_or(matches, |(_, verb)| verb);
        for id in KEPT {
            if verb.value_source(id) == Some(ValueSource::CommandLine) {
                let raw = verb.get_raw(id).and_then(|mut values| values.next_back()?.to_str());
                all.insert(id.into(), raw.unwrap_or("true").into());
            }
        }
        let text = |id: &str| all.get(id).and_then(toml::Value::as_str);
        let wrong = |id: &str| Error::Usage(format!("args.toml: program.{id}: expected the value of a flag"));
        if let Some(device) = text("device") {
            let Ok(device) = device.parse();
            self.device = device;
        }
        if let Some(tune) = text("tune") {
            self.tune = tune.parse().map_err(|_| wrong("tune"))?;
        }
        if let Some(threads) = text("threads") {
            let threads = threads.parse().ok().filter(|threads| (1..=1024).contains(threads));
            self.threads = Some(threads.ok_or_else(|| wrong("threads"))?);
        }
        self.no_winograd |= text("no_winograd").is_some();
        Ok((self, all))
    }
}

#[derive(Parser, Debug)]
#[command(
    name = "striate",
    version,
    about = "Trains convolutional networks on the GPU of any vendor",
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
    Train(train_args::TrainArgs),
    /// Loss and accuracy of weights on a validation set
    #[command(visible_alias = "test")]
    Eval(eval::EvalArgs),
    /// What a network takes pictures for
    Predict(predict::PredictArgs),
    /// Pictures of what is inside a network
    Report(report::ReportArgs),
    /// Write a trained network for other programs, and prove that it is the same
    Export(export::ExportArgs),
    /// Take over a network or weights from other programs
    Import(import::ImportArgs),
    /// Layers, parameters, multiply-adds and memory of a network
    Summary(summary::SummaryArgs),
    /// What this machine can compute on
    Devices(devices::DevicesArgs),
    /// Check every kernel of a device against an f64 reference
    Selftest(selftest::SelftestArgs),
    /// Measure training steps, single operators, or the way of the data
    Bench(bench::BenchArgs),
    /// Print the WGSL modules that a GPU compiles
    Shader(shader::ShaderArgs),
    /// One training step with everything it computes, as a safetensors file
    Trace(trace::TraceArgs),
    /// Look at data sets, pack them, download them
    Dataset(dataset::DatasetArgs),
    /// Completions for a shell
    Completions(completions::CompletionsArgs),
}

/// What a verb gets beside its own arguments.
pub(crate) struct Context {
    pub device: DeviceSelector,
    /// Whether products of a GPU are timed, should one be taken.
    pub tuning: Tuning,
    /// How the CPU path computes, should it be taken.
    pub cpu: cpu::CpuOptions,
    pub out: Output,
    /// What was typed of [`Common`] that a run keeps, by name; for a run that is resumed without flags, what it was started
    /// with too.
    pub program: toml::Table,
}

const FIRST_STEPS: &str = "\
striate trains convolutional networks. To begin:

  striate train                 train the small network on the data that ships with it
  striate devices               what this machine can compute on
  striate selftest              check that its kernels are right
  striate summary -m alexnet    what a network is made of

striate --help lists everything, striate <verb> --help explains one.";

/// Runs the command line `arguments` (program name first) and returns the exit code. [`verdict`] says what to make of
/// an error.
///
/// Usage errors and `--help` end the process in clap, with exit code 2 and 0.
pub fn run(arguments: impl IntoIterator<Item = OsString>) -> anyhow::Result<u8> {
    let typed = resume::completed::<Cli>(arguments.into_iter().collect())?;
    let matches = Cli::command().get_matches_from(&typed);
    let cli =
        Cli::from_arg_matches(&matches).unwrap_or_else(|error| error.format(&mut Cli::command()).exit());
    let stored = match &cli.verb {
        Some(Verb::Train(args)) => resume::stored::<Cli>(&matches, args)?,
        _ => None,
    };
    let (stored, program) = stored.map_or((None, toml::Table::new()), |(run, program)| (Some(run), program));
    let (common, program) = cli.common.completed(program, &matches)?;
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
        Some(Verb::Train(args)) => train::run(args, stored, &context),
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
    Ok(code?)
}

/// The words of `--tune`.
fn tuning() -> impl TypedValueParser<Value = Tuning> {
    PossibleValuesParser::new(Tuning::NAMES).try_map(|word| word.parse::<Tuning>())
}

/// Libraries below us warn about things that are none of the user's business, so by default only our own
/// warnings are shown. `RUST_LOG` has the last word.
fn start_log(verbose: u8) {
    let filter = match verbose {
        0 => "off,striate=warn",
        1 => "warn,striate=info",
        2 => "info,striate=debug",
        _ => "debug",
    };
    let environment = env_logger::Env::default().default_filter_or(filter);
    // A second initialisation (in tests) keeps the first.
    let _ = env_logger::Builder::from_env(environment).format_timestamp(None).try_init();
}

/// A panic that becomes an error (of a library that finds its device gone) is told as that error, not as a panic.
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

/// The exit code of `error`, and the line to print for it: none for a reader that has gone away. What does not come
/// from the library is a run-time failure, exit code 1.
pub fn verdict(error: &anyhow::Error) -> (u8, Option<String>) {
    // A name in a user's file may hold anything; a terminal is to see one line of plain text.
    let line = |text: String| Some(format!("error: {}", printable(&text)));
    match error.downcast_ref::<Error>() {
        Some(Error::Io { source, .. }) if source.kind() == std::io::ErrorKind::BrokenPipe => (0, None),
        // Its text is complete: the source is part of it.
        Some(error) => (error.exit_code(), line(error.to_string())),
        None => (1, line(format!("{error:#}"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_is_one_plain_line_that_says_everything_once() {
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
