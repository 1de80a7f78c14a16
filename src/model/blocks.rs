//! Blocks of a model file: `[[block]]` names a list of layers with parameters, and a layer with `block = "name"` stands for
//! them, several times with `repeat`. [`super::expansion`] puts the layers in their place.

use super::reader::{SpecText, Table, suggestion};
use super::scope::{Piece, Place, Scope, pieces, texts, whole};
use crate::error::{Result, printable};
use std::collections::HashSet;
use toml::de::{DeTable, DeValue};

/// Keys of a layer that uses a block; other keys are parameters of the block.
const USE_KEYS: [&str; 8] = ["name", "block", "repeat", "count_from", "input", "first", "each", "if"];

/// Names that a parameter cannot have: `op` would make a layer of a use, `i` is the number of the repetition.
const RESERVED: [&str; 4] = ["op", "inputs", "i", ""];

/// Keys of a template in which parameters are parts of a text.
const NAMES: [&str; 3] = ["name", "input", "inputs"];

/// Most blocks of a file, and most parameters of a block.
const MOST_BLOCKS: usize = 1000;
const MOST_PARAMETERS: usize = 64;

/// Most repetitions of one use.
const MOST_REPEATS: usize = 1000;

/// A template of `[[block]]`.
pub(super) struct Block<'t> {
    pub name: String,
    /// Parameters that every use gives.
    required: Vec<String>,
    /// The parameters with a default, and their defaults.
    defaults: Scope<'t>,
    parameters: Vec<String>,
    /// Each layer's table with the line that it begins on.
    pub layers: Vec<(&'t DeTable<'t>, usize)>,
}

impl<'t> Block<'t> {
    /// Reads every `[[block]]`. Whether they are used is not looked at.
    pub fn read_all(t: &Table<'t>) -> Result<Vec<Block<'t>>> {
        let mut blocks: Vec<Block<'t>> = Vec::new();
        let tables = t.tables("block")?;
        if tables.len() > MOST_BLOCKS {
            return Err(t.error("block", format!("expected at most {MOST_BLOCKS}, found {}", tables.len())));
        }
        for mut table in tables {
            let block = Block::read(&mut table)?;
            if blocks.iter().any(|other| other.name == block.name) {
                return Err(table.error("name", format!("two blocks are called {}", block.name)));
            }
            blocks.push(block);
        }
        Ok(blocks)
    }

    fn read(t: &mut Table<'t>) -> Result<Self> {
        let name: String = t.need("name")?;
        if name.is_empty() || name.len() > 200 || printable(&name) != name {
            return Err(t.error("name", "expected a printable name of 1 to 200 bytes"));
        }
        t.rename(format!("block {name}"));
        let required: Vec<String> = t.or("parameters", Vec::new())?;
        let mut defaults = Scope::default();
        let mut parameters = required.clone();
        if let Some(table) = t.table("defaults", format!("block {name}: defaults"))? {
            for (key, value) in table.entries() {
                parameters.push(key.to_string());
                defaults.set(key, value);
            }
        }
        if parameters.len() > MOST_PARAMETERS {
            let what = format!("expected at most {MOST_PARAMETERS} parameters, found {}", parameters.len());
            return Err(t.error("parameters", what));
        }
        let mut seen = HashSet::new();
        for parameter in &parameters {
            let key = if required.contains(parameter) { "parameters" } else { "defaults" };
            if USE_KEYS.iter().chain(&RESERVED).any(|word| word == parameter)
                || parameter.contains(['{', '}'])
            {
                return Err(t.error(key, format!("a parameter cannot be called `{parameter}`")));
            }
            if !seen.insert(parameter) {
                return Err(t.error(key, format!("two parameters are called `{parameter}`")));
            }
        }
        let layers = t.tables("layer")?.iter().map(|layer| (layer.raw_table(), layer.line)).collect();
        t.finish()?;
        let block = Block { name, required, defaults, parameters, layers };
        if block.layers.is_empty() {
            return Err(t.source.error(t.line, format!("block {}: expected at least one layer", block.name)));
        }
        block.check(t.source, t.line)?;
        Ok(block)
    }

    /// An error unless the parameters that the layers name are those of the block.
    fn check(&self, source: SpecText<'t>, line: usize) -> Result<()> {
        let mut used: HashSet<&str> = HashSet::new();
        for (number, (table, _)) in self.layers.iter().enumerate() {
            let repeats = table.get("block").is_some() && table.get("repeat").is_some();
            texts(table, &mut |key, text, in_list, place| {
                let error = |what: String| {
                    let line = source.line(place.span().start);
                    source.error(line, format!("block {}: layer {}: {what}", self.name, number + 1))
                };
                let is_name = NAMES.contains(&key);
                for piece in pieces(text) {
                    let Piece::Parameter(name) = piece else { continue };
                    if is_name && repeats && name == "i" {
                        continue;
                    }
                    if !is_name && (in_list || whole(text).is_none()) {
                        return Err(error(format!(
                            "expected a parameter as a whole value, found \"{text}\""
                        )));
                    }
                    if !self.parameters.iter().any(|parameter| parameter == name) {
                        let near = suggestion(name, self.parameters.iter().map(String::as_str));
                        return Err(error(format!("unknown parameter `{name}`{near}")));
                    }
                    used.insert(name);
                }
                Ok(())
            })?;
        }
        match self.parameters.iter().find(|parameter| !used.contains(parameter.as_str())) {
            Some(idle) => Err(source.error(line, format!("block {}: no layer uses `{idle}`", self.name))),
            None => Ok(()),
        }
    }
}

/// A layer that stands for a block.
pub(super) struct Use<'t> {
    /// Position among the blocks.
    pub block: usize,
    /// The instances, in order: the number of each, if there may be several, and its parameters.
    pub instances: Vec<(Option<usize>, Scope<'t>)>,
}

impl<'t> Use<'t> {
    /// Reads a layer with `block`, which may be one of `blocks`.
    pub fn read(t: &Table<'t>, blocks: &[Block<'t>]) -> Result<Self> {
        let name: String = t.need("block")?;
        let Some(number) = blocks.iter().position(|block| block.name == name) else {
            let near = suggestion(&name, blocks.iter().map(|block| block.name.as_str()));
            return Err(t.error("block", format!("no block `{name}` above it{near}")));
        };
        let block = &blocks[number];
        let repeat: Option<usize> = t.get("repeat")?;
        let from: Option<usize> = t.get("count_from")?;
        let first = t.table("first", "first")?;
        let each = t.table("each", "each")?;
        let count = repeat.unwrap_or(1);
        if !(1..=MOST_REPEATS).contains(&count) {
            return Err(t.error("repeat", format!("expected 1 to {MOST_REPEATS}, found {count}")));
        }
        for key in ["count_from", "first", "each"] {
            if repeat.is_none() && t.has(key) {
                return Err(t.error(key, "expected `repeat` beside it"));
            }
        }
        let known = |key: &str, words: &[&str], line: usize| {
            let parameters = block.parameters.iter().map(String::as_str);
            if parameters.clone().any(|parameter| parameter == key) {
                return Ok(());
            }
            let near = suggestion(key, parameters.chain(words.iter().copied()));
            let what = format!("{}: block {name} has no parameter `{key}`{near}", t.what());
            Err(t.source.error(line, what))
        };
        let mut shared = block.defaults.clone();
        for (key, value) in t.entries() {
            if !USE_KEYS.contains(&key) {
                known(key, &USE_KEYS, t.line_of(key))?;
                shared.set(key, value);
            }
        }
        let mut instances = vec![(None, shared); count];
        for (i, (number, _)) in instances.iter_mut().enumerate() {
            *number = repeat.map(|_| from.unwrap_or(0) + i);
        }
        for (key, value) in first.iter().flat_map(Table::entries) {
            known(key, &[], t.source.line(value.span().start))?;
            instances[0].1.set(key, value);
        }
        for (key, value) in each.iter().flat_map(Table::entries) {
            let line = t.source.line(value.span().start);
            known(key, &[], line)?;
            if first.as_ref().is_some_and(|first| first.has(key)) {
                let what = format!("{}: {key}: expected it in `first` or in `each`, found both", t.what());
                return Err(t.source.error(line, what));
            }
            let values = list(value, count).ok_or_else(|| {
                let what = format!("{}: each: {key}: expected a list of {count} values", t.what());
                t.source.error(line, what)
            })?;
            for ((_, scope), value) in instances.iter_mut().zip(values) {
                scope.set(key, t.resolve(value));
            }
        }
        for (number, scope) in &instances {
            if let Some(missing) = block.required.iter().find(|parameter| !scope.has(parameter)) {
                let which = number.map_or(String::new(), |number| format!(" of repetition {number}"));
                let what = format!("{}: {missing}{which} is missing (a parameter of block {name})", t.what());
                return Err(t.source.error(t.line, what));
            }
        }
        Ok(Use { block: number, instances })
    }
}

/// The values of a list of length `count`.
fn list<'t>(value: Place<'t>, count: usize) -> Option<impl Iterator<Item = Place<'t>>> {
    let DeValue::Array(values) = value.get_ref() else { return None };
    (values.len() == count).then(|| values.iter())
}
