//! The learner's text with its numbers: each chapter computes small networks with the same executors as training, and explains
//! what came out, in English or Chinese, with pictures. No number in the text is written by hand.
//!
//! `page` lays out text and tables, `text` has the sentences of both languages, `lab` runs a network of a few layers and names
//! all that it computed. The other files are chapters.

mod activations;
mod alexnet;
mod backprop;
mod convolution;
mod digits;
mod lab;
mod neuron;
mod page;
mod robustness;
mod text;
mod vanishing;

use crate::device::Device;
use crate::error::{Error, Result};
use serde_json::Value;
use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;
use text::Texts;

/// A chapter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Chapter {
    Neuron,
    Backprop,
    Activations,
    Vanishing,
    Digits,
    Convolution,
    Alexnet,
    Robustness,
}

impl Chapter {
    /// All of them, in the order of the text.
    pub const ALL: [Chapter; 8] = [
        Chapter::Neuron,
        Chapter::Backprop,
        Chapter::Activations,
        Chapter::Vanishing,
        Chapter::Digits,
        Chapter::Convolution,
        Chapter::Alexnet,
        Chapter::Robustness,
    ];

    /// Its name on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Chapter::Neuron => "neuron",
            Chapter::Backprop => "backprop",
            Chapter::Activations => "activations",
            Chapter::Vanishing => "vanishing",
            Chapter::Digits => "digits",
            Chapter::Convolution => "convolution",
            Chapter::Alexnet => "alexnet",
            Chapter::Robustness => "robustness",
        }
    }

    /// Its title.
    pub fn title(self, language: Language) -> &'static str {
        let texts = language.texts();
        match self {
            Chapter::Neuron => texts.neuron_title,
            Chapter::Backprop => texts.backprop_title,
            Chapter::Activations => texts.activations_title,
            Chapter::Vanishing => texts.vanishing_title,
            Chapter::Digits => texts.digits_title,
            Chapter::Convolution => texts.convolution_title,
            Chapter::Alexnet => texts.alexnet_title,
            Chapter::Robustness => texts.robustness_title,
        }
    }

    /// Whether it trains or evaluates on a data set.
    pub fn reads_data(self) -> bool {
        matches!(self, Chapter::Digits | Chapter::Robustness)
    }

    /// Whether it can show trained weights.
    pub fn reads_weights(self) -> bool {
        matches!(self, Chapter::Alexnet | Chapter::Robustness)
    }

    /// Whether it can classify an image.
    pub fn reads_image(self) -> bool {
        matches!(self, Chapter::Alexnet)
    }

    /// Whether it draws random numbers.
    pub fn is_random(self) -> bool {
        matches!(self, Chapter::Vanishing | Chapter::Digits | Chapter::Alexnet | Chapter::Robustness)
    }
}

impl fmt::Display for Chapter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Chapter {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let unknown = || Error::Usage(format!("chapter: expected one of {}, found {text}", names()));
        Chapter::ALL.into_iter().find(|chapter| chapter.name() == text).ok_or_else(unknown)
    }
}

/// The names of all chapters.
fn names() -> String {
    Chapter::ALL.map(Chapter::name).join(", ")
}

/// A language of the text.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Language {
    #[default]
    English,
    /// Simplified Chinese.
    Chinese,
}

impl Language {
    /// Its code: `en` or `zh`.
    pub fn code(self) -> &'static str {
        match self {
            Language::English => "en",
            Language::Chinese => "zh",
        }
    }

    fn texts(self) -> &'static Texts {
        match self {
            Language::English => &text::EN,
            Language::Chinese => &text::ZH,
        }
    }

    /// The first lines of the list of chapters, and the last.
    pub fn around_the_list(self) -> [&'static str; 2] {
        [self.texts().list_head, self.texts().list_tail]
    }
}

/// What a chapter is given.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct LessonOptions {
    pub language: Language,
    /// Initial weights, order of samples, random inputs.
    pub seed: u64,
    /// The data set, as `--data-path` names it; by default that of the network's recipe.
    pub data: Option<String>,
    /// A file of trained weights.
    pub weights: Option<PathBuf>,
    /// An image to classify.
    pub image: Option<PathBuf>,
}

impl LessonOptions {
    /// English, seed 0, and nothing given.
    pub fn new() -> Self {
        LessonOptions { language: Language::English, seed: 0, data: None, weights: None, image: None }
    }
}

impl Default for LessonOptions {
    fn default() -> Self {
        LessonOptions::new()
    }
}

/// A picture of a chapter.
#[derive(Clone, Debug)]
pub struct Picture {
    /// Name of its file; it ends in `.svg` or `.png`.
    pub name: String,
    pub bytes: Vec<u8>,
}

/// A chapter, computed.
#[derive(Clone, Debug)]
pub struct Lesson {
    /// For a terminal, at most 80 columns wide.
    pub text: String,
    /// Every number of the text, by name.
    pub numbers: Value,
    pub pictures: Vec<Picture>,
}

/// Computes `chapter` on `device`.
///
/// # Errors
/// Those of the data, the weights and the image that `options` names, and of the device.
pub fn lesson(chapter: Chapter, options: &LessonOptions, device: &Device) -> Result<Lesson> {
    let mut lesson = match chapter {
        Chapter::Neuron => neuron::lesson(options, device),
        Chapter::Backprop => backprop::lesson(options, device),
        Chapter::Activations => activations::lesson(options, device),
        Chapter::Vanishing => vanishing::lesson(options, device),
        Chapter::Digits => digits::lesson(options, device),
        Chapter::Convolution => convolution::lesson(options, device),
        Chapter::Alexnet => alexnet::lesson(options, device),
        Chapter::Robustness => robustness::lesson(options, device),
    }?;
    let title = page::underlined(chapter.title(options.language));
    lesson.text = format!("{title}\n{}", lesson.text.trim_end());
    Ok(lesson)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_as_they_are_written() {
        for chapter in Chapter::ALL {
            assert_eq!(chapter.name().parse::<Chapter>().unwrap(), chapter);
        }
        let error = "neurons".parse::<Chapter>().unwrap_err();
        assert!(error.exit_code() == 2 && error.to_string().contains("neuron, backprop"), "{error}");
    }
}
