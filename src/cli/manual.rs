//! `striate man`: manual pages, from the same definitions as the help.

use super::Context;
use super::flags;
use crate::atomic;
use crate::error::{Error, Result, printable_path};
use clap::{Args, Command};
use clap_mangen::Man;
use std::path::PathBuf;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

#[derive(Args, Debug)]
#[command(after_help = "Examples:\n  striate man | man -l -\n  striate man -o ~/.local/share/man/man1\n\n\
                        The date of the pages is today's, or that of SOURCE_DATE_EPOCH (seconds since 1970).")]
pub(crate) struct ManArgs {
    /// Write a page for each command to DIR
    ///
    /// And one for striate. [default: that of striate, to stdout]
    #[arg(short, long, value_name = "DIR")]
    output: Option<PathBuf>,
}

pub(super) fn run(args: &ManArgs, context: &Context) -> Result<u8> {
    let mut command = flags::command().disable_help_subcommand(true);
    command.build();
    let date = date(today());
    let Some(folder) = &args.output else {
        let page = page(&command, &date)?;
        return context.out.line(page.trim_end()).map(|()| 0);
    };
    atomic::create_folders(folder)?;
    let (mut pages, mut left) = (Vec::new(), vec![&command]);
    while let Some(next) = left.pop() {
        left.extend(next.get_subcommands());
        let text = page(next, &date)?;
        let path = folder.join(format!("{}.1", name(next)));
        pages.push(atomic::stage(&path, |out| out.write_all(text.as_bytes()))?);
    }
    let count = pages.len();
    atomic::commit_all(pages)?;
    context.out.line(&format!("{}: {count} pages", printable_path(folder)))?;
    Ok(0)
}

/// `striate-train` of the verb `train`.
fn name(command: &Command) -> &str {
    command.get_display_name().unwrap_or_else(|| command.get_name())
}

/// The page of `command`, which is built, as roff.
fn page(command: &Command, date: &str) -> Result<String> {
    let mut text = Vec::new();
    let man = Man::new(command.clone()).title(name(command).to_uppercase()).date(date).manual("Striate");
    let man = man.source(concat!("striate ", env!("CARGO_PKG_VERSION")));
    let mut sections = || {
        man.render_title(&mut text)?;
        man.render_name_section(&mut text)?;
        man.render_synopsis_section(&mut text)?;
        man.render_description_section(&mut text)?;
        man.render_options_section(&mut text)?;
        if command.has_subcommands() { man.render_subcommands_section(&mut text) } else { Ok(()) }
    };
    sections().map_err(|error: std::io::Error| Error::Internal(format!("manual: {error}")))?;
    let text = String::from_utf8(text).map_err(|error| Error::Internal(format!("manual: {error}")))?;
    let mut page = tidy(&text);
    if let Some(examples) = command.get_after_long_help().or_else(|| command.get_after_help()) {
        page += ".SH EXAMPLES\n.nf\n";
        examples.to_string().lines().for_each(|line| page += &format!("{}\n", literal(line)));
        page += ".fi\n";
    }
    Ok(page)
}

/// `text` without what readers of roff warn of: spaces at the ends of lines, empty lines, breaks before and after paragraphs.
fn tidy(text: &str) -> String {
    let mut lines: Vec<&str> = Vec::new();
    for line in text.lines().map(str::trim_end) {
        let last = lines.last().copied().unwrap_or(".SH");
        let is_break = |line: &str| matches!(line, ".br" | ".sp");
        let starts_paragraph =
            |line: &str| [".SH", ".TP", ".SS", ".RE"].iter().any(|start| line.starts_with(start));
        match line {
            "" | ".br" if is_break(last) || starts_paragraph(last) => {}
            "" => lines.push(".sp"),
            ".sp" if starts_paragraph(last) => {}
            _ => {
                if is_break(last) && (is_break(line) || starts_paragraph(line)) {
                    lines.pop();
                }
                lines.push(line);
            }
        }
    }
    lines.iter().map(|line| format!("{line}\n")).collect()
}

/// `line` as roff that prints it as it is.
fn literal(line: &str) -> String {
    let escaped = line.trim_end().replace('\\', "\\e").replace('-', "\\-").replace('\'', "\\(aq");
    if escaped.starts_with('.') { format!("\\&{escaped}") } else { escaped }
}

/// Days since 1970 of the pages: of the time at which a distribution builds them again, else today.
fn today() -> u64 {
    let built = std::env::var("SOURCE_DATE_EPOCH").ok().and_then(|seconds| seconds.parse().ok());
    let now = || SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO).as_secs();
    built.unwrap_or_else(now) / 86_400
}

/// The date that is `days` after the first of January 1970, as in 2026-11-30: the Gregorian calendar has 146,097 days in 400 years
/// (Hinnant, "chrono-Compatible Low-Level Date Algorithms", civil_from_days).
fn date(days: u64) -> String {
    // From the first of March of the year 0, so that the leap day is the last of a year.
    let days = days + 719_468;
    let (era, day_of_era) = (days / 146_097, days % 146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month + 2) / 5 + 1;
    let (month, next) = if month < 10 { (month + 3, 0) } else { (month - 9, 1) };
    format!("{:04}-{month:02}-{day:02}", 400 * era + year_of_era + next)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_are_dates() {
        for (days, expected) in [
            (0, "1970-01-01"),
            (59, "1970-03-01"),
            (11_016, "2000-02-29"),
            (20_787, "2026-11-30"),
            (47_540, "2100-02-28"),
        ] {
            assert_eq!(date(days), expected);
        }
    }

    #[test]
    fn literal_lines_are_no_requests() {
        assert_eq!(literal(".TH 'a-b\\'"), "\\&.TH \\(aqa\\-b\\e\\(aq");
    }
}
