//! Reads a TOML table key by key. Every error names the file, the line and the expected value; for an unknown key or
//! word also the nearest known one.

use super::scope::{Place, Scope};
use crate::error::{Error, Result};
use std::cell::RefCell;
use std::rc::Rc;
use toml::de::{DeTable, DeValue};

/// The text a table comes from.
#[derive(Clone, Copy)]
pub(super) struct SpecText<'t> {
    /// The name in messages: a path or `<built-in name>`.
    pub origin: &'t str,
    pub text: &'t str,
    /// Positions of the line ends, of [`SpecText::line_ends`].
    pub line_ends: &'t [usize],
}

impl SpecText<'_> {
    /// The byte offsets of the line ends in `text`. Blocks ask for the same lines thousands of times.
    pub fn line_ends(text: &str) -> Vec<usize> {
        text.bytes().enumerate().filter(|(_, byte)| *byte == b'\n').map(|(offset, _)| offset).collect()
    }

    /// Line (from 1) of a byte offset.
    pub fn line(&self, offset: usize) -> usize {
        1 + self.line_ends.partition_point(|&end| end < offset)
    }

    /// An error at a line of this text.
    pub fn error(&self, line: usize, what: impl std::fmt::Display) -> Error {
        Error::Model(format!("{}:{line}: {what}", self.origin))
    }
}

/// "; did you mean `x`?" if one of `known` is a few letters away from `word`, but not all of them.
pub fn suggestion<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> String {
    known
        .into_iter()
        .map(|k| (strsim::damerau_levenshtein(word, k), k))
        .filter(|(distance, k)| *distance <= 2.max(k.len() / 3) && *distance < k.len())
        .min()
        .map(|(_, k)| format!("; did you mean `{k}`?"))
        .unwrap_or_default()
}

/// Keys as other programs call them, and ours.
const OTHER_NAMES: [(&str, &str); 18] = [
    ("learning_rate", "lr"),
    ("filters", "out_channels"),
    ("channels", "out_channels"),
    ("num_filters", "out_channels"),
    ("kernel_size", "kernel"),
    ("strides", "stride"),
    ("pad", "padding"),
    ("units", "out_features"),
    ("features", "out_features"),
    ("rate", "p"),
    ("type", "op"),
    ("kind", "op"),
    ("layers", "layer"),
    ("scheduler", "lr_scheduler"),
    ("batch", "batch_size"),
    ("num_epochs", "epochs"),
    ("decay", "weight_decay"),
    ("input_shape", "input"),
];

/// "; did you mean `x`?" for a key that is none.
fn key_suggestion<'a>(name: &str, known: impl IntoIterator<Item = &'a str> + Clone) -> String {
    let other = OTHER_NAMES
        .iter()
        .find(|(other, ours)| *other == name && known.clone().into_iter().any(|known| known == *ours));
    other.map_or_else(|| suggestion(name, known), |(_, ours)| format!("; did you mean `{ours}`?"))
}

/// A value that a key can have.
pub(super) trait FromToml: Sized {
    /// The description after "expected".
    const EXPECTED: &'static str;
    /// The value, or `None` if it is something else.
    fn from_toml(value: &DeValue<'_>) -> Option<Self>;
}

impl FromToml for bool {
    const EXPECTED: &'static str = "true or false";
    fn from_toml(value: &DeValue<'_>) -> Option<Self> {
        value.as_bool()
    }
}

impl FromToml for usize {
    const EXPECTED: &'static str = "a whole number from 0 to 4294967295";
    fn from_toml(value: &DeValue<'_>) -> Option<Self> {
        let integer = value.as_integer()?;
        let digits = integer.as_str().trim_start_matches('+').replace('_', "");
        u32::from_str_radix(&digits, integer.radix()).ok().map(|n| n as usize)
    }
}

/// The digits of a number, if the value is one.
fn digits(value: &DeValue<'_>) -> Option<String> {
    let text = match value {
        DeValue::Float(f) => f.as_str(),
        DeValue::Integer(i) if i.radix() == 10 => i.as_str(),
        _ => return None,
    };
    Some(text.replace('_', ""))
}

impl FromToml for f32 {
    const EXPECTED: &'static str = "a number";
    fn from_toml(value: &DeValue<'_>) -> Option<Self> {
        digits(value)?.parse().ok().filter(|f: &f32| f.is_finite())
    }
}

impl FromToml for f64 {
    const EXPECTED: &'static str = "a number";
    fn from_toml(value: &DeValue<'_>) -> Option<Self> {
        digits(value)?.parse().ok().filter(|f: &f64| f.is_finite())
    }
}

impl FromToml for String {
    const EXPECTED: &'static str = "a text in quotes";
    fn from_toml(value: &DeValue<'_>) -> Option<Self> {
        value.as_str().map(str::to_string)
    }
}

impl<T: FromToml> FromToml for Vec<T> {
    const EXPECTED: &'static str = "a list";
    fn from_toml(value: &DeValue<'_>) -> Option<Self> {
        value.as_array()?.iter().map(|v| T::from_toml(v.get_ref())).collect()
    }
}

/// One number for both axes, or `[h, w]`.
#[derive(PartialEq)]
pub(super) struct Pair(pub [usize; 2]);

impl FromToml for Pair {
    const EXPECTED: &'static str = "a whole number or [h, w]";
    fn from_toml(value: &DeValue<'_>) -> Option<Self> {
        if let Some(n) = usize::from_toml(value) {
            return Some(Pair([n, n]));
        }
        Vec::from_toml(value)?.try_into().ok().map(Pair)
    }
}

/// Padding: one number, `[h, w]` or `[top, left, bottom, right]`.
#[derive(PartialEq)]
pub(super) struct Padding(pub [usize; 4]);

impl FromToml for Padding {
    const EXPECTED: &'static str = "a whole number, [h, w] or [top, left, bottom, right]";
    fn from_toml(value: &DeValue<'_>) -> Option<Self> {
        if let Some(Pair([h, w])) = Pair::from_toml(value) {
            return Some(Padding([h, w, h, w]));
        }
        Vec::from_toml(value)?.try_into().ok().map(Padding)
    }
}

/// A number, or a name, or a list of numbers (initial values).
pub(super) enum Literal {
    Number(f32),
    Name(String),
    List(Vec<f32>),
}

impl FromToml for Literal {
    const EXPECTED: &'static str = "a name, a number or a list of numbers";
    fn from_toml(value: &DeValue<'_>) -> Option<Self> {
        f32::from_toml(value)
            .map(Literal::Number)
            .or_else(|| String::from_toml(value).map(Literal::Name))
            .or_else(|| Vec::from_toml(value).map(Literal::List))
    }
}

/// A table that is being read key by key; [`Table::finish`] rejects the keys that were not read.
pub(super) struct Table<'t> {
    pub source: SpecText<'t>,
    table: &'t DeTable<'t>,
    /// The name in messages: `[recipe]`, `layer conv1`.
    what: String,
    /// Line the table starts on.
    pub line: usize,
    /// Parameters of the block that the table is a part of.
    scope: Option<Rc<Scope<'t>>>,
    asked: RefCell<Vec<&'static str>>,
}

impl<'t> Table<'t> {
    pub fn new(source: SpecText<'t>, table: &'t DeTable<'t>, what: impl Into<String>, line: usize) -> Self {
        Table { source, table, what: what.into(), line, scope: None, asked: RefCell::default() }
    }

    /// The same table as a part of a block with these parameters.
    pub fn within(self, scope: Option<Rc<Scope<'t>>>) -> Self {
        Table { scope, ..self }
    }

    fn raw(&self, key: &'static str) -> Option<Place<'t>> {
        self.asked.borrow_mut().push(key);
        self.value(key)
    }

    /// The value of `key`, or of the parameter that it names.
    fn value(&self, key: &str) -> Option<Place<'t>> {
        self.table.get(key).map(|value| self.resolve(value))
    }

    /// The value that `value` stands for: that of a parameter of the block, or itself.
    pub fn resolve(&self, value: Place<'t>) -> Place<'t> {
        self.scope.as_ref().map_or(value, |scope| scope.resolve(value))
    }

    /// The keys with their values.
    pub fn entries(&self) -> impl Iterator<Item = (&'t str, Place<'t>)> {
        self.table.iter().map(|(key, value)| (key.get_ref().as_ref(), self.resolve(value)))
    }

    /// The table itself, in which parameters are not replaced.
    pub fn raw_table(&self) -> &'t DeTable<'t> {
        self.table
    }

    /// The name of the table in messages.
    pub fn what(&self) -> &str {
        &self.what
    }

    /// Whether `key` is there.
    pub fn has(&self, key: &str) -> bool {
        self.table.get(key).is_some()
    }

    /// The line of `key`, or of the table if the key is not there.
    pub fn line_of(&self, key: &str) -> usize {
        self.value(key).map_or(self.line, |v| self.source.line(v.span().start))
    }

    /// An error at `key`.
    pub fn error(&self, key: &str, what: impl std::fmt::Display) -> Error {
        self.source.error(self.line_of(key), format!("{}: {key}: {what}", self.what))
    }

    /// The value of `key`, if it is there.
    pub fn get<T: FromToml>(&self, key: &'static str) -> Result<Option<T>> {
        let Some(value) = self.raw(key) else { return Ok(None) };
        T::from_toml(value.get_ref()).map(Some).ok_or_else(|| {
            let found = &self.source.text[value.span()];
            let found: String = found.chars().take(60).collect();
            self.error(key, format!("expected {}, found {found}", T::EXPECTED))
        })
    }

    /// The value of `key`, or `default`.
    pub fn or<T: FromToml>(&self, key: &'static str, default: T) -> Result<T> {
        Ok(self.get(key)?.unwrap_or(default))
    }

    /// The value of a mandatory `key`.
    pub fn need<T: FromToml>(&self, key: &'static str) -> Result<T> {
        self.get(key)?.ok_or_else(|| {
            // A key that was probably meant to be this one: its line is the one to look at.
            let typo = self.table.iter().find_map(|(found, _)| {
                let name: &str = found.get_ref();
                let near = key_suggestion(name, [key]);
                (!near.is_empty() && !self.asked.borrow().contains(&name)).then_some((
                    name,
                    near,
                    found.span().start,
                ))
            });
            if let Some((name, near, start)) = typo {
                let what = format!("{}: unknown key `{name}`{near}", self.what);
                return self.source.error(self.source.line(start), what);
            }
            let what = format!("{}: {key} is missing (expected {})", self.what, T::EXPECTED);
            self.source.error(self.line, what)
        })
    }

    /// A word out of a fixed list, or `default` if the key is not there.
    pub fn word<T: Copy>(&self, key: &'static str, known: &[(&'static str, T)], default: T) -> Result<T> {
        let Some(word) = self.get::<String>(key)? else { return Ok(default) };
        known.iter().find(|(name, _)| *name == word).map(|(_, value)| *value).ok_or_else(|| {
            let names: Vec<_> = known.iter().map(|(name, _)| *name).collect();
            let near = suggestion(&word, names.iter().copied());
            self.error(key, format!("expected one of {}, found \"{word}\"{near}", names.join(", ")))
        })
    }

    /// The table under `key`, if it is there.
    pub fn table(&self, key: &'static str, what: impl Into<String>) -> Result<Option<Table<'t>>> {
        let Some(value) = self.raw(key) else { return Ok(None) };
        let line = self.source.line(value.span().start);
        // A table that is the value of a parameter stands outside of the block, where its parameters are unknown.
        let is_own = self.table.get(key).is_some_and(|own| std::ptr::eq(own, value));
        let scope = self.scope.clone().filter(|_| is_own);
        match value.get_ref().as_table() {
            Some(table) => Ok(Some(Table::new(self.source, table, what, line).within(scope))),
            None => Err(self.error(key, "expected a table")),
        }
    }

    /// The tables of the list `[[key]]`.
    pub fn tables(&self, key: &'static str) -> Result<Vec<Table<'t>>> {
        let Some(value) = self.raw(key) else { return Ok(Vec::new()) };
        let list =
            value.get_ref().as_array().ok_or_else(|| self.error(key, format!("expected [[{key}]]")))?;
        list.iter()
            .enumerate()
            .map(|(i, v)| {
                let line = self.source.line(v.span().start);
                let table = v.get_ref().as_table();
                let table = table.ok_or_else(|| self.error(key, format!("expected [[{key}]]")))?;
                Ok(Table::new(self.source, table, format!("{key} {}", i + 1), line))
            })
            .collect()
    }

    /// Replaces the name of the table in messages.
    pub fn rename(&mut self, what: String) {
        self.what = what;
    }

    /// Rejects the keys that were not read.
    pub fn finish(&self) -> Result<()> {
        let asked = self.asked.borrow();
        for (key, _) in self.table.iter() {
            let name: &str = key.get_ref();
            if !asked.contains(&name) {
                let near = key_suggestion(name, asked.iter().copied());
                let line = self.source.line(key.span().start);
                return Err(self.source.error(line, format!("{}: unknown key `{name}`{near}", self.what)));
            }
        }
        Ok(())
    }
}
