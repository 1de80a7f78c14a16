//! The model file: TOML with a network, its preprocessing, augmentation and recipe. Built-in ones are compiled in.

use super::blocks::Block;
use super::expansion::Expansion;
use super::init::Init;
use super::layer::Layer;
use super::preprocess::{Preprocess, read_augment};
use super::reader::{SpecText, Table, suggestion};
use super::recipe::Recipe;
use crate::error::{Error, Result};
use crate::view::{Augment, Geometry};
use std::io::Read;
use std::path::Path;
use toml::de::DeTable;

/// The content of a model file: a network and its recipe.
#[derive(Clone, Debug, PartialEq)]
pub struct Spec {
    pub name: String,
    /// Channels, height, width.
    pub input: [usize; 3],
    pub preprocess: Preprocess,
    /// How images are resized and cropped. It is not part of the file: it depends on the version that trained the weights.
    pub geometry: Geometry,
    pub augment: Augment,
    pub recipe: Recipe,
    /// In order; a layer reads only layers above it.
    pub layers: Vec<Layer>,
    /// The source: a path, or `<name>` for a built-in network.
    pub origin: String,
    /// The text of the file. Weights files contain it, so that they can be used alone.
    pub source: String,
}

/// Longest model file that is read, in bytes: tens of thousands of layers.
pub(super) const LONGEST: u64 = 4 << 20;

macro_rules! builtin {
    ($($name:literal),* $(,)?) => {
        &[$(($name, include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/models/", $name, ".toml")))),*]
    };
}

/// The model files of `models/`.
const BUILTIN: &[(&str, &str)] = builtin![
    "alexnet-mini",
    "alexnet",
    "alexnet-2012",
    "alexnet-2012-asrun",
    "alexnet-64",
    "bvlc-alexnet",
    "caffenet",
    "lenet5",
    "mlp-784-15-10",
    "neuron",
    "convnext_tiny",
    "densenet121",
    "efficientnet_b0",
    "googlenet",
    "mnasnet1_0",
    "mobilenet_v2",
    "mobilenet_v3_small",
    "regnet_y_400mf",
    "resnet18",
    "resnet34",
    "resnet50",
    "resnext50_32x4d",
    "shufflenet_v2_x1_0",
    "squeezenet1_1",
    "vgg11",
    "vgg16",
    "vgg16_bn",
];

impl Spec {
    /// Names of the built-in networks.
    pub fn builtin_names() -> Vec<&'static str> {
        BUILTIN.iter().map(|(name, _)| *name).collect()
    }

    /// A built-in network by name, or a model file by path (anything with a separator or ending in `.toml`).
    pub fn load(name_or_path: &str) -> Result<Self> {
        if let Some((name, text)) = BUILTIN.iter().find(|(name, _)| *name == name_or_path) {
            return Self::parse(text, &format!("<{name}>"));
        }
        let path = Path::new(name_or_path);
        if path.components().count() < 2 && path.extension().is_none_or(|e| e != "toml") && !path.is_file() {
            let names = Self::builtin_names();
            let near = suggestion(name_or_path, names.iter().copied());
            return Err(Error::Usage(format!(
                "no model {name_or_path}: expected a .toml file or one of {}{near}",
                names.join(", ")
            )));
        }
        let wrong = |e| Error::io(path, e);
        if path.is_dir() {
            return Err(Error::data(path, "expected a model file (.toml), found a folder"));
        }
        let (mut bytes, file) = (Vec::new(), std::fs::File::open(path).map_err(wrong)?);
        file.take(LONGEST + 1).read_to_end(&mut bytes).map_err(wrong)?;
        let Ok(text) = String::from_utf8(bytes) else {
            return Err(Error::data(path, "expected a model file (TOML), found a file of another kind"));
        };
        if text.len() as u64 > LONGEST {
            return Err(Error::data(
                path,
                format!("expected a model file of at most {LONGEST} bytes, found more"),
            ));
        }
        Self::parse(&text, name_or_path)
    }

    /// A line on the network: the first sentence of the comment that the model file begins with, up to a colon; empty without one.
    pub fn about(&self) -> String {
        let comment = self.source.lines().map_while(|line| line.strip_prefix('#'));
        let text = comment.map(str::trim).collect::<Vec<_>>().join(" ");
        let mut depth = 0;
        let ends = |(place, c): &(usize, char)| {
            match c {
                '(' => depth += 1,
                ')' => depth -= 1,
                _ => {}
            }
            let is_last = text[place + c.len_utf8()..].chars().next().is_none_or(char::is_whitespace);
            depth == 0 && matches!(c, '.' | ':' | ';') && is_last
        };
        let end = text.char_indices().find(ends).map_or(text.len(), |(place, _)| place);
        text[..end].to_string()
    }

    /// Whether the model file has a table `[preprocess]`, so that the network's input is made from pixels. Without one,
    /// numbers are used as they are.
    pub fn has_preprocess(&self) -> bool {
        let is_said =
            || self.source.parse::<toml::Table>().is_ok_and(|table| table.contains_key("preprocess"));
        self.preprocess != Preprocess::plain(self.input[0]) || is_said()
    }

    /// Reads a model file's text; `origin` is its name in messages.
    pub fn parse(text: &str, origin: &str) -> Result<Self> {
        let line_ends = SpecText::line_ends(text);
        let source = SpecText { origin, text, line_ends: &line_ends };
        let document = DeTable::parse(text).map_err(|e| {
            let line = source.line(e.span().map_or(0, |s| s.start));
            source.error(line, e.message().replace('\n', ", "))
        })?;
        let t = Table::new(source, document.get_ref(), "model file", 1);
        let name: String = t.need("name")?;
        let input: Vec<usize> = t.need("input")?;
        let input: [usize; 3] = input
            .try_into()
            .ok()
            .filter(|i: &[usize; 3]| !i.contains(&0) && i.iter().all(|&n| n <= 1 << 16))
            .ok_or_else(|| t.error("input", "expected [channels, height, width], each 1 to 65536"))?;
        let preprocess = Preprocess::read(t.table("preprocess", "[preprocess]")?, input)?;
        let augment = read_augment(t.table("augment", "[augment]")?, &preprocess, input)?;
        let recipe = Recipe::read(t.table("recipe", "[recipe]")?)?;
        let init = match t.table("init", "[init]")? {
            Some(table) => Init::read(&table, &Init::default())?,
            None => Init::default(),
        };
        let blocks = Block::read_all(&t)?;
        let layers = Expansion::layers(&t, &blocks, &init)?;
        t.finish()?;
        if layers.is_empty() {
            return Err(source.error(1, "expected at least one [[layer]]"));
        }
        Ok(Spec {
            name,
            input,
            preprocess,
            geometry: Geometry::default(),
            augment,
            recipe,
            layers,
            origin: origin.to_string(),
            source: text.to_string(),
        })
    }
}
