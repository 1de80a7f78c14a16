//! Remarks for the user on the way to a result. The library prints nothing.

use crate::data::Diagnostics;
use crate::error::Result;

/// Receives remarks, one line each, and knows the user's name of each option.
pub trait Messages {
    /// A remark that is not a result. Lines that begin with `warning: ` report something that may not be intended.
    fn note(&self, _line: &str) {}

    /// The name of the option `name` in messages (in kebab case): by default as a field of an options type.
    fn option(&self, name: &str) -> String {
        name.replace('-', "_")
    }

    /// The message that the override of the recipe's key `key` has no effect; `what` says what was expected and found.
    fn no_effect(&self, key: &str, what: &str) -> String {
        format!("{key}: {what}")
    }

    /// The diagnostics of opening the data set `name`.
    fn data(&self, _name: &str, diagnostics: &Diagnostics) -> Result<()> {
        for line in &diagnostics.lines {
            let prefix = if line.starts_with("warning: ") { "" } else { "data: " };
            self.note(&format!("{prefix}{line}"));
        }
        Ok(())
    }
}

/// Ignores every remark.
impl Messages for () {}

/// `text` so that a shell takes it as one word.
pub(crate) fn quoted(text: &str) -> String {
    let plain = |c: char| c.is_alphanumeric() || "/._-+=:@%,".contains(c);
    if !text.is_empty() && text.chars().all(plain) {
        text.to_string()
    } else {
        format!("'{}'", text.replace('\'', r"'\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::quoted;

    #[test]
    fn a_command_to_type_survives_a_shell() {
        assert_eq!(quoted("runs/x-2/best.safetensors"), "runs/x-2/best.safetensors");
        assert_eq!(quoted("my data"), "'my data'");
        assert_eq!(quoted("it's"), r"'it'\''s'");
    }
}
