//! The last line of a terminal: one line that changes, a bar. Everything that the program prints goes around it. The cursor
//! waits at its beginning: a terminal that is made narrower breaks the line into several, and what is drawn next erases all of
//! them from there. (Libraries for bars leave the cursor at the end, and half of a broken line behind.)

use std::io::{IsTerminal, Write};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// The line that is shown.
static SHOWN: Mutex<Option<String>> = Mutex::new(None);

/// To the beginning of the line, and erase from there to the end of the screen.
const ERASE: &str = "\r\x1b[J";
/// Columns of a terminal that does not say how wide it is, and of lines in files.
pub(crate) const COLUMNS: usize = 80;

fn shown() -> MutexGuard<'static, Option<String>> {
    SHOWN.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Whether stderr is a terminal on which a line can be erased.
pub(crate) fn is_possible() -> bool {
    std::io::stderr().is_terminal() && !is_dumb()
}

/// Whether the terminal knows no escape sequences.
fn is_dumb() -> bool {
    std::env::var_os("TERM").is_some_and(|term| term == "dumb")
}

/// Whether `stream` takes colours: a terminal, unless `NO_COLOR` is set (<https://no-color.org>).
pub(crate) fn has_colours(stream: &impl IsTerminal) -> bool {
    stream.is_terminal() && !is_dumb() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}

/// Columns of the terminal that stderr is.
pub(crate) fn columns() -> usize {
    let size = terminal_size::terminal_size_of(std::io::stderr());
    size.map_or(COLUMNS, |(terminal_size::Width(columns), _)| usize::from(columns)).max(1)
}

/// Writes on stderr. A closed one must not stop the program.
fn write(text: &str) {
    let mut stderr = std::io::stderr().lock();
    let _ = stderr.write_all(text.as_bytes()).and_then(|()| stderr.flush());
}

fn draw(line: &str) {
    // The last column stays free: some terminals begin a new line as soon as it is written.
    let line: String = line.chars().take(columns().saturating_sub(1)).collect();
    write(&format!("{ERASE}{line}\r"));
}

/// Shows `line`, of plain text, in place of the one before.
pub(crate) fn show(line: String) {
    let mut shown = shown();
    draw(&line);
    *shown = Some(line);
}

/// Ends the bar.
pub(crate) fn clear() {
    if shown().take().is_some() {
        write(ERASE);
    }
}

/// As [`clear`], from a thread that is about to end the process and must not wait.
pub(crate) fn leave() {
    if SHOWN.try_lock().is_ok_and(|mut shown| shown.take().is_some()) {
        write(ERASE);
    }
}

/// Runs `print`, which prints whole lines, above the bar.
pub(crate) fn beside<T>(print: impl FnOnce() -> T) -> T {
    let shown = shown();
    if shown.is_some() {
        write(ERASE);
    }
    let printed = print();
    if let Some(line) = &*shown {
        draw(line);
    }
    printed
}

/// Stderr above the bar, for the log.
#[derive(Debug)]
pub(crate) struct Log;

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        beside(|| std::io::stderr().write(bytes))
    }

    fn flush(&mut self) -> std::io::Result<()> {
        std::io::stderr().flush()
    }
}

/// `parts` side by side in their order, without those of the highest numbers where they would take more than `columns`. Parts
/// of the number 0 always stay.
pub(crate) fn fitted(parts: &[(u8, String)], columns: usize) -> String {
    let width = |most: u8| -> usize {
        parts.iter().filter(|part| part.0 <= most).map(|part| part.1.chars().count() + 2).sum()
    };
    let mut most = parts.iter().map(|part| part.0).max().unwrap_or(0);
    while most > 0 && width(most) > columns + 2 {
        most -= 1;
    }
    let kept = parts.iter().filter(|part| part.0 <= most && !part.1.is_empty());
    kept.map(|part| part.1.as_str()).collect::<Vec<_>>().join("  ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_matters_least_goes_first() {
        let parts = [(0, "epoch 1/2".to_string()), (2, "12 img/s".into()), (1, "loss 0.5".into())];
        assert_eq!(fitted(&parts, 80), "epoch 1/2  12 img/s  loss 0.5");
        assert_eq!(fitted(&parts, 29), "epoch 1/2  12 img/s  loss 0.5");
        assert_eq!(fitted(&parts, 28), "epoch 1/2  loss 0.5");
        assert_eq!(fitted(&parts, 5), "epoch 1/2");
    }
}
