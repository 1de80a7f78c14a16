//! A page of text for a terminal: paragraphs, formulas and tables whose columns line up where letters are two columns wide.

use unicode_width::UnicodeWidthStr;

/// A page under construction.
#[derive(Debug, Default)]
pub(super) struct Page {
    text: String,
}

impl Page {
    pub fn new() -> Self {
        Page::default()
    }

    /// Adds a paragraph: `template` with `{0}`, `{1}`, ... replaced by `values`.
    pub fn say(&mut self, template: &str, values: &[&str]) {
        self.text += &format!("\n{}\n", filled(template, values));
    }

    /// Adds a heading.
    pub fn heading(&mut self, text: &str) {
        self.text += &format!("\n## {text}\n");
    }

    /// Adds indented lines as they are, formulas for instance, after an empty line.
    pub fn lines(&mut self, lines: &[String]) {
        self.text.push('\n');
        for line in lines {
            self.text += &format!("    {line}").trim_end().replace('\t', " ");
            self.text.push('\n');
        }
    }

    /// Adds a table: numbers and what looks like them to the right, other cells to the left.
    pub fn table(&mut self, head: &[&str], rows: &[Vec<String>]) {
        let columns = head.len();
        let cell = |row: &Vec<String>, column: usize| row.get(column).cloned().unwrap_or_default();
        let width = |column: usize| {
            let cells = rows.iter().map(|row| cell(row, column).width());
            cells.chain([head[column].width()]).max().unwrap_or(0)
        };
        let widths: Vec<usize> = (0..columns).map(width).collect();
        let is_number = |column: usize| rows.iter().all(|row| looks_like_a_number(&cell(row, column)));
        let right: Vec<bool> = (0..columns).map(is_number).collect();
        let line = |cells: Vec<String>| {
            let padded = cells.iter().enumerate().map(|(column, text)| {
                let room = " ".repeat(widths[column] - text.width());
                if right[column] { format!("{room}{text}") } else { format!("{text}{room}") }
            });
            format!("  {}", padded.collect::<Vec<_>>().join("  ")).trim_end().to_string()
        };
        let rule: Vec<String> = widths.iter().map(|&width| "-".repeat(width)).collect();
        let head = head.iter().map(|text| text.to_string()).collect();
        let body = rows.iter().map(|row| line((0..columns).map(|column| cell(row, column)).collect()));
        let lines: Vec<String> = [line(head), line(rule)].into_iter().chain(body).collect();
        self.text += &format!("\n{}\n", lines.join("\n"));
    }

    pub fn finish(self) -> String {
        self.text
    }
}

fn looks_like_a_number(text: &str) -> bool {
    text.is_empty() || text.starts_with(|c: char| c.is_ascii_digit() || matches!(c, '-' | '+'))
}

/// `template` with `{0}`, `{1}`, ... replaced by `values`.
pub(super) fn filled(template: &str, values: &[&str]) -> String {
    let mut parts = template.split('{');
    let mut text = parts.next().unwrap_or("").to_string();
    for part in parts {
        match part.split_once('}').map(|(number, rest)| (number.parse::<usize>(), rest)) {
            Some((Ok(number), rest)) => {
                text += values.get(number).copied().unwrap_or("");
                text += rest;
            }
            _ => {
                text.push('{');
                text += part;
            }
        }
    }
    text
}

/// A title with a line of its width under it.
pub(super) fn underlined(title: &str) -> String {
    format!("{title}\n{}", "=".repeat(title.width()))
}

/// A number with `digits` decimals, without a sign where it is rounded to 0.
pub(super) fn fixed(value: f64, digits: usize) -> String {
    let text = format!("{value:.digits$}");
    let is_zero = text.trim_start_matches('-').chars().all(|c| matches!(c, '0' | '.'));
    if is_zero { text.trim_start_matches('-').to_string() } else { text }
}

/// A number as people write it: at most six decimals, no zeros at the end.
pub(super) fn plain(value: f64) -> String {
    let text = fixed(value, 6);
    text.trim_end_matches('0').trim_end_matches('.').to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_line_up_where_letters_are_wide() {
        let mut page = Page::new();
        let rows =
            [vec!["红".to_string(), "-1.5".into(), "停".into()], vec!["go".into(), "2".into(), "x".into()]];
        page.table(&["light", "净输入", "a"], &rows);
        let expected = "\n  light  净输入  a\n  -----  ------  --\n  红       -1.5  停\n  go          2  x\n";
        assert_eq!(page.finish(), expected);
    }

    #[test]
    fn templates_are_filled_and_numbers_are_plain() {
        assert_eq!(filled("{1} of {0}; {x} {", &["8", "6"]), "6 of 8; {x} {");
        assert_eq!([fixed(-0.0001, 3), fixed(-0.5, 1)], ["0.000", "-0.5"]);
        assert_eq!([plain(-1.5), plain(0.0), plain(3.0), plain(0.1f32.into())], ["-1.5", "0", "3", "0.1"]);
    }
}
