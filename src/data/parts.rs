//! The names that the parts of data sets have: `train`, `Training`, `training_set`, `seg_train`; `val`, `validation`, `test`.

use std::path::{Path, PathBuf};

/// A part of a data set, by its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    Train,
    Validation,
    Test,
    /// Samples to be classified, without labels.
    Unlabelled,
}

/// Words that name a part.
const WORDS: [(&str, Role); 22] = [
    ("train", Role::Train),
    ("training", Role::Train),
    ("trn", Role::Train),
    ("val", Role::Validation),
    ("valid", Role::Validation),
    ("validation", Role::Validation),
    ("validate", Role::Validation),
    ("validating", Role::Validation),
    ("dev", Role::Validation),
    ("test", Role::Test),
    ("testing", Role::Test),
    ("tst", Role::Test),
    ("eval", Role::Test),
    ("evaluation", Role::Test),
    ("pred", Role::Unlabelled),
    ("predict", Role::Unlabelled),
    ("prediction", Role::Unlabelled),
    ("predictions", Role::Unlabelled),
    ("unlabeled", Role::Unlabelled),
    ("unlabelled", Role::Unlabelled),
    ("unsup", Role::Unlabelled),
    ("unsupervised", Role::Unlabelled),
];

/// What may stand beside such a word in a name that says nothing else.
const FILLERS: [&str; 9] = ["set", "data", "dataset", "images", "imgs", "img", "split", "samples", "folder"];

impl Role {
    /// The part that `name` is, if it says nothing else: Train, training_set, TestImages, but not asl_train.
    pub fn of(name: &str) -> Option<Role> {
        let words = words(name);
        let is_number = |word: &str| word.bytes().all(|byte| byte.is_ascii_digit());
        let says = |word: &&String| !FILLERS.contains(&word.as_str()) && !is_number(word);
        let said: Vec<_> = words.iter().filter(says).collect();
        match said[..] {
            [word] => role(word).or_else(|| joined(word)),
            _ => None,
        }
    }

    /// The part that one word of `name` is, regardless of the other words: asl_alphabet_train, seg_pred.
    pub fn within(name: &str) -> Option<Role> {
        let found: Vec<_> =
            words(name).iter().filter_map(|word| role(word).or_else(|| joined(word))).collect();
        match found[..] {
            [one] => Some(one),
            _ => None,
        }
    }
}

/// The part that a word is; a year or a number may follow it: train2017.
fn role(word: &str) -> Option<Role> {
    let word = word.trim_end_matches(|c: char| c.is_ascii_digit());
    WORDS.iter().find(|(known, _)| *known == word).map(|(_, role)| *role)
}

/// The part that a word with a filler in it is: trainset, testimages.
fn joined(word: &str) -> Option<Role> {
    FILLERS.iter().find_map(|filler| role(word.strip_suffix(filler)?))
}

/// The words of a name in lower case; a capital after a small letter begins one too.
pub(super) fn words(name: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut was_small = false;
    for c in name.chars() {
        if !c.is_alphanumeric() || (was_small && c.is_uppercase()) {
            words.push(String::new());
        }
        was_small = c.is_lowercase();
        if let (true, Some(word)) = (c.is_alphanumeric(), words.last_mut()) {
            word.extend(c.to_lowercase());
        }
    }
    words.retain(|word| !word.is_empty());
    words
}

/// Names of files with validation samples beside `train`, the preferred first.
const FILES: [&str; 4] = ["val", "valid", "validation", "test"];

/// The files with validation samples in `folder`: the one to use, and the others.
pub(super) fn validation_files(folder: &Path, extension: &str) -> (Option<PathBuf>, Vec<PathBuf>) {
    let mut files =
        FILES.iter().map(|stem| folder.join(format!("{stem}.{extension}"))).filter(|path| path.is_file());
    (files.next(), files.collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_parts_are_known_in_any_spelling() {
        for (name, role) in [
            ("train", Some(Role::Train)),
            ("TRAIN", Some(Role::Train)),
            ("Training", Some(Role::Train)),
            ("training_set", Some(Role::Train)),
            ("TrainingSet", Some(Role::Train)),
            ("trainset", Some(Role::Train)),
            ("test-images", Some(Role::Test)),
            ("Validation", Some(Role::Validation)),
            ("valid", Some(Role::Validation)),
            ("train2017", Some(Role::Train)),
            ("train_1", Some(Role::Train)),
            ("2017", None),
            ("bullet_train", None),
            ("trainer", None),
            ("contest", None),
            ("seg_train", None),
            ("train_test", None),
            ("images", None),
        ] {
            assert_eq!(Role::of(name), role, "{name}");
        }
        for (name, role) in [
            ("seg_train", Some(Role::Train)),
            ("asl_alphabet_test", Some(Role::Test)),
            ("seg_pred", Some(Role::Unlabelled)),
            ("strain", None),
            ("train_test", None),
        ] {
            assert_eq!(Role::within(name), role, "{name}");
        }
    }
}
