//! Output: results go to stdout, notes to stderr. If the reader closes the pipe, the program ends quietly.

use super::bar;
use super::source::{add_notes, print_diagnostics};
use crate::data::{BadFiles, Diagnostics};
use crate::error::{Error, Result, printable};
use crate::inference::Messages;
use serde_json::json;
use std::borrow::Cow;
use std::io::Write;

/// The two output streams, configured by the flags.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Output {
    json: bool,
    quiet: bool,
}

impl Output {
    pub fn new(json: bool, quiet: bool) -> Self {
        Output { json, quiet }
    }

    /// True if results are printed as JSON.
    pub fn is_json(&self) -> bool {
        self.json
    }

    /// True if only results, warnings and errors are printed.
    pub fn is_quiet(&self) -> bool {
        self.quiet
    }

    /// True if stderr is a terminal that may show progress bars.
    pub fn is_interactive(&self) -> bool {
        !self.json && !self.quiet && bar::is_possible()
    }

    /// Prints a result on stdout.
    pub fn line(&self, text: &str) -> Result<()> {
        write_line(&lines(text))
    }

    /// As [`Output::line`]; `mark`, which ends `text`, is coloured on a terminal.
    pub fn marked_line(&self, text: &str, mark: &str) -> Result<()> {
        let (text, mark) = (lines(text.strip_suffix(mark).unwrap_or(text)), lines(mark));
        match !mark.is_empty() && bar::has_colours(&std::io::stdout()) {
            true => write_line(&format!("{text}{GREEN}{mark}{PLAIN}")),
            false => write_line(&format!("{text}{mark}")),
        }
    }

    /// Prints a result as one line of JSON.
    pub fn json(&self, value: &serde_json::Value) -> Result<()> {
        self.line(&escaped(&value.to_string()))
    }

    /// Warns about unreadable samples.
    pub fn warn_of(&self, bad: &BadFiles) {
        for line in bad.news().into_iter().chain(bad.others()) {
            self.note(&format!("warning: {line}"));
        }
    }

    /// Prints a note on stderr. With --quiet only warnings are printed.
    pub fn note(&self, text: &str) {
        let warning = text.strip_prefix(WARNING);
        if self.quiet && warning.is_none() {
            return;
        }
        let mut stderr = std::io::stderr();
        let text = match warning.filter(|_| bar::has_colours(&stderr)) {
            Some(rest) => format!("{YELLOW}{}{PLAIN} {}", WARNING.trim_end(), lines(rest)),
            None => lines(text),
        };
        // A closed stderr must not stop the program.
        let _ = bar::beside(|| writeln!(stderr, "{text}"));
    }
}

impl Messages for Output {
    fn note(&self, line: &str) {
        Output::note(self, line);
    }

    fn option(&self, name: &str) -> String {
        format!("--{name}")
    }

    fn data(&self, name: &str, diagnostics: &Diagnostics) -> Result<()> {
        print_diagnostics(diagnostics, self);
        if self.is_json() && !diagnostics.lines.is_empty() {
            let mut event = json!({"event": "data", "name": name});
            add_notes(&mut event, diagnostics);
            self.json(&event)?;
        }
        Ok(())
    }
}

/// How a note begins that reports something that may not be intended.
const WARNING: &str = "warning: ";
/// Colours, and the end of them.
const YELLOW: &str = "\x1b[33m";
const GREEN: &str = "\x1b[32m";
const PLAIN: &str = "\x1b[0m";

/// Writes a line on stdout.
fn write_line(text: &str) -> Result<()> {
    bar::beside(|| {
        let mut stdout = std::io::stdout().lock();
        writeln!(stdout, "{text}").and_then(|()| stdout.flush()).map_err(|e| Error::io("stdout", e))
    })
}

/// Makes `text` safe for a terminal, line by line, since names in it come from files.
fn lines(text: &str) -> String {
    text.split('\n').map(printable).collect::<Vec<_>>().join("\n")
}

/// Escapes in the strings of a JSON text all characters that `printable` escapes, in JSON's notation.
fn escaped(json: &str) -> String {
    let escape = |mut text: String, c: char| {
        let mut bytes = [0; 4];
        match printable(c.encode_utf8(&mut bytes)) {
            Cow::Borrowed(_) => text.push(c),
            // All of them are in the Basic Multilingual Plane.
            Cow::Owned(_) => text.push_str(&format!("\\u{:04x}", u32::from(c))),
        }
        text
    };
    json.chars().fold(String::with_capacity(json.len()), escape)
}

/// Formats a number of bytes.
pub(crate) fn bytes(count: u64) -> String {
    let (unit, scale) = if count >= 1 << 30 { ("GiB", 1u64 << 30) } else { ("MiB", 1 << 20) };
    format!("{:.1} {unit}", count as f64 / scale as f64)
}

/// Formats a duration in seconds.
pub(crate) fn seconds(value: f64) -> String {
    let whole = value.round() as u64;
    match whole {
        0..60 => format!("{value:.1} s"),
        60..3600 => format!("{} min {:02} s", whole / 60, whole % 60),
        _ => format!("{} h {:02} min", whole / 3600, whole % 3600 / 60),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_characters_are_escaped() {
        assert_eq!(lines("a  \u{1b}[31m\nb\r\u{202e}"), "a  \\u{1b}[31m\nb\\r\\u{202e}");
        let value = serde_json::json!({ "\u{9b}": "\u{1b}\u{202e}\u{e4}\n" });
        let text = escaped(&value.to_string());
        assert_eq!(text, "{\"\\u009b\":\"\\u001b\\u202e\u{e4}\\n\"}");
        assert_eq!(serde_json::from_str::<serde_json::Value>(&text).unwrap(), value);
    }

    #[test]
    fn sizes_and_times_have_units() {
        assert_eq!(bytes(150_994_944), "144.0 MiB");
        assert_eq!(bytes(3 << 30), "3.0 GiB");
        assert_eq!(seconds(12.34), "12.3 s");
        assert_eq!(seconds(75.0), "1 min 15 s");
        assert_eq!(seconds(7_380.0), "2 h 03 min");
    }
}
