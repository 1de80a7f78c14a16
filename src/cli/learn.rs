//! `striate learn`: the learner's chapters, with numbers computed on this machine, and their pictures.

use super::device;
use super::outputs::Outputs;
use super::{Context, dataset};
use crate::atomic;
use crate::data::Kind;
use crate::error::{Error, Result, printable_path};
use crate::learn::{self, Chapter, Language, LessonOptions};
use crate::model::Spec;
use clap::builder::{PossibleValuesParser, TypedValueParser};
use clap::{Args, ValueEnum};
use serde_json::json;
use std::path::PathBuf;

#[derive(Args, Debug)]
#[command(after_help = "Examples:
  striate learn
  striate learn backprop
  striate learn convolution -o pictures --lang zh
  striate learn alexnet --weights alexnet.safetensors --image cat.jpg -o pictures")]
pub(crate) struct LearnArgs {
    /// Show this chapter; without one, list them
    ///
    /// neuron, backprop, activations, vanishing, digits, convolution, alexnet or robustness.
    #[arg(value_name = "CHAPTER", hide_possible_values = true, value_parser = chapter())]
    chapter: Option<Chapter>,
    /// Write the pictures of the chapter to DIR
    #[arg(short, long, value_name = "DIR")]
    output: Option<PathBuf>,
    /// Print the text in this language: en or zh
    ///
    /// English or Simplified Chinese.
    #[arg(long, value_enum, default_value = "en", value_name = "LANGUAGE", hide_possible_values = true)]
    lang: LanguageArg,
    /// digits, robustness: read this data [default: fashion-mnist]
    ///
    /// A folder, a file or a built-in set. The first 10,000 training samples and 2,000 validation samples are used.
    #[arg(long, alias = "data", value_name = "DATA")]
    data_path: Option<String>,
    /// alexnet, robustness: show these weights
    ///
    /// A file, or the folder of a run, whose best weights are taken. [default: alexnet shows initial values; robustness trains the
    /// network of the chapter digits]
    #[arg(long, value_name = "FILE")]
    weights: Option<PathBuf>,
    /// alexnet: classify this image with the weights
    #[arg(long, value_name = "FILE", requires = "weights")]
    image: Option<PathBuf>,
    /// Random seed [default: 0]
    ///
    /// For initial weights, the order of samples and random inputs.
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum LanguageArg {
    En,
    Zh,
}

/// Parses the name of a chapter.
fn chapter() -> impl TypedValueParser<Value = Chapter> {
    PossibleValuesParser::new(Chapter::ALL.map(Chapter::name)).try_map(|word| word.parse::<Chapter>())
}

pub(super) fn run(args: &LearnArgs, context: &Context) -> Result<u8> {
    let language = match args.lang {
        LanguageArg::En => Language::English,
        LanguageArg::Zh => Language::Chinese,
    };
    let Some(chapter) = args.chapter else {
        args.refuse("the list of chapters", |_| false)?;
        return list(language, context);
    };
    args.refuse(&format!("the chapter {chapter}"), |flag| match flag {
        "--data-path" => chapter.reads_data(),
        "--weights" => chapter.reads_weights(),
        "--image" => chapter.reads_image(),
        "--seed" => chapter.is_random(),
        _ => true,
    })?;
    // The data of other weights is that of their network, which is on this machine.
    if chapter.reads_data() && (args.weights.is_none() || args.data_path.is_some()) {
        let spec = Spec::load("mlp-784-15-10")?;
        let path = args.data_path.as_deref().or(spec.recipe.data.as_deref());
        dataset::provide(path, Kind::Auto, &context.out)?;
    }
    if let Some(folder) = &args.output {
        atomic::create_folders(folder)?;
    }
    let mut options = LessonOptions::new();
    options.language = language;
    options.seed = args.seed.unwrap_or(0);
    options.data = args.data_path.clone();
    options.weights = args.weights.clone();
    options.image = args.image.clone();
    let device = device::open(context)?;
    let lesson = learn::lesson(chapter, &options, &device)?;

    let mut files = Vec::new();
    if let Some(folder) = &args.output {
        let data = args.data_path.as_ref().map(PathBuf::from);
        let mut outputs = Outputs::new()
            .reads(args.weights.as_ref())
            .reads(args.image.as_ref())
            .reads(data.as_ref().filter(|path| path.exists()));
        let mut staged = Vec::new();
        for picture in &lesson.pictures {
            let path = folder.join(&picture.name);
            outputs.check("--output", &path)?;
            staged.push(atomic::stage(&path, |out| out.write_all(&picture.bytes))?);
            files.push(path);
        }
        atomic::commit_all(staged)?;
    }
    if context.out.is_json() {
        context.out.json(&json!({
            "event": "learn",
            "chapter": chapter.name(),
            "title": chapter.title(language),
            "numbers": lesson.numbers,
            "files": files.iter().map(|path| path.to_string_lossy()).collect::<Vec<_>>(),
        }))?;
        return Ok(0);
    }
    context.out.line(&lesson.text)?;
    if !files.is_empty() {
        context.out.line("")?;
    }
    files.iter().try_for_each(|path| context.out.line(&printable_path(path)))?;
    Ok(0)
}

impl LearnArgs {
    /// An error for a flag that is given and that `acts` does not name.
    fn refuse(&self, what: &str, acts: impl Fn(&str) -> bool) -> Result<()> {
        let given = [
            ("--output", self.output.is_some()),
            ("--data-path", self.data_path.is_some()),
            ("--weights", self.weights.is_some()),
            ("--image", self.image.is_some()),
            ("--seed", self.seed.is_some()),
        ];
        match given.into_iter().find(|(flag, given)| *given && !acts(flag)) {
            Some((flag, _)) => Err(Error::Usage(format!("{flag} has no effect: {what} does not use it"))),
            None => Ok(()),
        }
    }
}

/// Prints the chapters.
fn list(language: Language, context: &Context) -> Result<u8> {
    if context.out.is_json() {
        let chapters = Chapter::ALL
            .map(|chapter| json!({ "chapter": chapter.name(), "title": chapter.title(language) }));
        context.out.json(&json!({ "event": "chapters", "chapters": chapters }))?;
        return Ok(0);
    }
    let [head, tail] = language.around_the_list();
    let lines = Chapter::ALL.map(|chapter| format!("  {:<12} {}", chapter.name(), chapter.title(language)));
    context.out.line(&format!("{head}\n\n{}\n\n{tail}", lines.join("\n")))?;
    Ok(0)
}
