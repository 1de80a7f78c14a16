//! The text of tables: lines of at most [`WIDTH`] columns.

/// The most columns of a table.
pub(super) const WIDTH: usize = 120;

/// `text` in lines of at most [`WIDTH`] columns, broken between words; a longer word has a line of its own.
pub(super) fn wrapped(text: &str) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split(' ') {
        let last = lines.len() - 1;
        let line = &mut lines[last];
        if line.trim().is_empty() {
            line.push_str(word);
        } else if line.chars().count() + 1 + word.chars().count() <= WIDTH {
            line.push(' ');
            line.push_str(word);
        } else {
            lines.push(format!("  {word}"));
        }
    }
    lines
}

/// `text` in at most `most` columns, the last of them `~` where something is left out.
pub(super) fn shortened(text: &str, most: usize) -> String {
    match text.chars().count() > most {
        true => text.chars().take(most - 1).chain(['~']).collect(),
        false => text.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_lines_are_broken_between_words_and_lose_none() {
        let text = "word ".repeat(60) + &"x".repeat(150) + " end";
        let lines = wrapped(&text);
        assert_eq!(lines.len(), 5);
        assert!(lines.iter().all(|line| line.len() <= WIDTH || line.trim().len() == 150), "{lines:?}");
        assert_eq!(lines.iter().map(|line| line.trim()).collect::<Vec<_>>().join(" "), text);
        assert_eq!(wrapped("short"), ["short"]);
        assert_eq!((shortened("abcd", 4), shortened("abcde", 4)), ("abcd".into(), "abc~".into()));
    }
}
