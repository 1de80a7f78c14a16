//! Names of several files in one: `shards/train-{000000..000009}.tar` and `{a,b}.tar`, as shells and WebDataset expand them.

use crate::error::{Error, Result};
use std::path::{Path, PathBuf};

/// Most files that a pattern may name.
const MOST_FILES: usize = 1 << 20;

/// Whether `path` is a pattern rather than the name of one file.
pub(in super::super) fn is_pattern(path: &str) -> bool {
    path.split_once('{').is_some_and(|(_, rest)| rest.contains('}'))
}

/// The folder of all files of `pattern`, as far as it is the same for all.
pub(in super::super) fn folder_of(pattern: &str) -> PathBuf {
    let fixed = pattern.split('{').next().unwrap_or_default();
    match fixed.rfind(['/', std::path::MAIN_SEPARATOR]) {
        Some(0) => PathBuf::from("/"),
        Some(at) => PathBuf::from(&fixed[..at]),
        None => PathBuf::from("."),
    }
}

/// The files that `pattern` names, in its order.
pub(in super::super) fn expand(pattern: &str) -> Result<Vec<PathBuf>> {
    let wrong = |what: String| Error::Usage(format!("data-path: {pattern}: {what}"));
    let mut names = vec![String::new()];
    let mut rest = pattern;
    while let Some((before, after)) = rest.split_once('{') {
        let (inside, after) =
            after.split_once('}').ok_or_else(|| wrong("expected } after {, found none".into()))?;
        if inside.contains('{') {
            return Err(wrong("expected braces that are not inside others".into()));
        }
        let choices = choices(inside).map_err(wrong)?;
        if names.len().saturating_mul(choices.len()) > MOST_FILES {
            return Err(wrong(format!("expected at most {MOST_FILES} files, found more")));
        }
        names = names
            .iter()
            .flat_map(|name| choices.iter().map(move |choice| format!("{name}{before}{choice}")))
            .collect();
        rest = after;
    }
    Ok(names.into_iter().map(|name| Path::new(&format!("{name}{rest}")).to_path_buf()).collect())
}

/// What stands inside a pair of braces: a range of numbers, which keep their zeros, or a list.
fn choices(inside: &str) -> Result<Vec<String>, String> {
    let Some((first, last)) = inside.split_once("..") else {
        if inside.contains(',') {
            return Ok(inside.split(',').map(String::from).collect());
        }
        return Err(format!("expected a range {{000..009}} or a list {{a,b}}, found {{{inside}}}"));
    };
    let number =
        |text: &str| text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse::<usize>().ok())?;
    match (number(first), number(last)) {
        (Some(from), Some(to)) if from <= to && to - from < MOST_FILES => {
            let width = if first.starts_with('0') { first.len() } else { 1 };
            Ok((from..=to).map(|number| format!("{number:0width$}")).collect())
        }
        _ => Err(format!("expected a range of numbers such as {{000..009}}, found {{{inside}}}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_and_lists_are_expanded_in_their_order() {
        let names = |pattern: &str| -> Vec<String> {
            expand(pattern).unwrap().iter().map(|path| path.to_string_lossy().into_owned()).collect()
        };
        assert_eq!(names("a-{08..11}.tar"), ["a-08.tar", "a-09.tar", "a-10.tar", "a-11.tar"]);
        assert_eq!(names("a-{8..10}.tar"), ["a-8.tar", "a-9.tar", "a-10.tar"]);
        assert_eq!(names("{x,y}/{0..1}"), ["x/0", "x/1", "y/0", "y/1"]);
        for wrong in ["{3..1}", "{a..c}", "{}", "{x}", "{1..", "{{1..2}}", "{0..99999999}"] {
            assert_eq!(expand(wrong).unwrap_err().exit_code(), 2, "{wrong}");
        }
        assert!(is_pattern("a{0..1}b") && !is_pattern("a}b{"));
        assert_eq!(folder_of("s/t-{0..1}.tar"), Path::new("s"));
        assert_eq!(folder_of("{0..1}.tar"), Path::new("."));
    }
}
