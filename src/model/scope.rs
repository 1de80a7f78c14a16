//! Parameters of a block while its layers are read: `"{width}"` in a template stands for the value of `width`.

use crate::error::Result;
use std::collections::BTreeMap;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// A value in a model file, with its position.
pub(super) type Place<'t> = &'t Spanned<DeValue<'t>>;

/// The values of a block's parameters in one of its uses.
#[derive(Clone, Debug, Default)]
pub(super) struct Scope<'t>(BTreeMap<&'t str, Place<'t>>);

impl<'t> Scope<'t> {
    pub fn set(&mut self, parameter: &'t str, value: Place<'t>) {
        self.0.insert(parameter, value);
    }

    pub fn has(&self, parameter: &str) -> bool {
        self.0.contains_key(parameter)
    }

    /// The value that `value` stands for: that of a parameter, if it is the text `"{parameter}"`, or itself.
    pub fn resolve(&self, value: Place<'t>) -> Place<'t> {
        let parameter = value.get_ref().as_str().and_then(whole);
        parameter.and_then(|name| self.0.get(name).copied()).unwrap_or(value)
    }

    /// `text` with each `{parameter}` replaced by its number or text; `number` is the value of `{i}`.
    pub fn fill(
        &self,
        text: &str,
        number: Option<usize>,
        longest: usize,
    ) -> std::result::Result<String, String> {
        let mut filled = String::new();
        for piece in pieces(text) {
            match piece {
                Piece::Text(text) => filled.push_str(text),
                Piece::Parameter("i") if number.is_some() => filled.extend(number.map(|n| n.to_string())),
                Piece::Parameter(name) => match self.0.get(name).map(|value| value.get_ref()) {
                    Some(DeValue::String(text)) => filled.push_str(text),
                    Some(DeValue::Integer(number)) => filled.push_str(number.as_str()),
                    Some(_) => {
                        return Err(format!("{{{name}}}: expected a text or a whole number in a name"));
                    }
                    None => return Err(format!("{{{name}}}: no such parameter")),
                },
            }
            if filled.len() > longest {
                return Err(format!("expected a name of at most {longest} bytes, found more"));
            }
        }
        Ok(filled)
    }
}

/// The parameter that `text` consists of: `width` of `"{width}"`.
pub(super) fn whole(text: &str) -> Option<&str> {
    let inner = text.strip_prefix('{')?.strip_suffix('}')?;
    (!inner.contains(['{', '}'])).then_some(inner)
}

/// A part of a text with parameters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Piece<'p> {
    Text(&'p str),
    Parameter(&'p str),
}

/// The texts and the parameters of `text`, in order. A brace without its partner is text.
pub(super) fn pieces(text: &str) -> Vec<Piece<'_>> {
    let (mut rest, mut found) = (text, Vec::new());
    while let Some((before, after)) = rest.split_once('{') {
        let Some((name, behind)) = after.split_once('}') else { break };
        if !before.is_empty() {
            found.push(Piece::Text(before));
        }
        found.push(Piece::Parameter(name));
        rest = behind;
    }
    if !rest.is_empty() {
        found.push(Piece::Text(rest));
    }
    found
}

/// Calls `visit` with every text in `table`, the key of the table it stands under, and whether it is an element of a list.
pub(super) fn texts<'t>(
    table: &'t DeTable<'t>,
    visit: &mut impl FnMut(&'t str, &'t str, bool, Place<'t>) -> Result<()>,
) -> Result<()> {
    for (key, value) in table {
        in_value(key.get_ref(), value, false, visit)?;
    }
    Ok(())
}

fn in_value<'t>(
    key: &'t str,
    value: Place<'t>,
    in_list: bool,
    visit: &mut impl FnMut(&'t str, &'t str, bool, Place<'t>) -> Result<()>,
) -> Result<()> {
    match value.get_ref() {
        DeValue::String(text) => visit(key, text, in_list, value),
        DeValue::Array(list) => list.iter().try_for_each(|value| in_value(key, value, true, visit)),
        DeValue::Table(table) => table.iter().try_for_each(|(_, value)| in_value("", value, in_list, visit)),
        _ => Ok(()),
    }
}

/// Bytes of the text of `table` with the values of `scope` in it, about as its own `[[layer]]` would have.
pub(super) fn length<'t>(table: &'t DeTable<'t>, scope: Option<&Scope<'t>>) -> usize {
    let value = |own: Place<'t>| {
        let value = scope.map_or(own, |scope| scope.resolve(own));
        match value.get_ref() {
            // What stands in a parameter's value is no parameter of the block; it might be this one.
            DeValue::Table(table) => length(table, scope.filter(|_| std::ptr::eq(own, value))),
            _ => value.span().len(),
        }
    };
    table.iter().map(|(key, own)| key.get_ref().len() + 4 + value(own)).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn braces_without_a_partner_are_text() {
        use Piece::{Parameter, Text};
        assert_eq!(pieces("a{b}c{d}"), [Text("a"), Parameter("b"), Text("c"), Parameter("d")]);
        assert_eq!(pieces("a{b"), [Text("a{b")]);
        assert_eq!(pieces("a}b{}"), [Text("a}b"), Parameter("")]);
        assert_eq!([whole("{a}"), whole("{a}{b}"), whole("a{b}"), whole("{")], [Some("a"), None, None, None]);
    }
}
