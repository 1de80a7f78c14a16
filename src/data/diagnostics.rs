//! Diagnostics of opening a data set: how its files were interpreted, and what was left out.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::path::Path;

/// Number of file extensions that a line counts one by one; the rest is summed up.
const SHOWN: usize = 4;

/// Folders that are named one by one in diagnostics about them.
const NAMED: usize = 20;

/// Remarks about a data set, and the files that were skipped.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Diagnostics {
    /// One line each, in the order in which they were found. Those that begin with `warning: ` say that something may be
    /// other than it was meant.
    pub lines: Vec<String>,
    /// Files of image folders that were not read, by class and type.
    pub passed_over: Vec<SkippedFiles>,
}

/// Files of one type that were not read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SkippedFiles {
    /// The class, or empty for files outside the class folders.
    pub class: String,
    /// In lower case, without the dot; empty for names without one.
    pub extension: String,
    pub count: usize,
}

impl Diagnostics {
    pub(super) fn add(&mut self, line: impl Into<String>) {
        self.lines.push(line.into());
    }

    pub(super) fn warn(&mut self, line: impl Into<String>) {
        self.lines.push(format!("warning: {}", line.into()));
    }
}

/// Numbers of files by the ends of their names.
#[derive(Clone, Debug, Default)]
pub(super) struct ExtensionCounts(BTreeMap<String, usize>);

impl ExtensionCounts {
    pub fn count(&mut self, name: &OsStr) {
        let extension = Path::new(name).extension().unwrap_or_default().to_string_lossy().to_lowercase();
        *self.0.entry(extension).or_default() += 1;
    }

    /// The visible files in `folder` and below, of its first hundred thousand entries; links are not followed.
    pub fn below(folder: &Path) -> ExtensionCounts {
        let mut types = ExtensionCounts::default();
        let (mut folders, mut left) = (vec![folder.to_path_buf()], 100_000);
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(folder).into_iter().flatten().flatten().take(left) {
                left -= 1;
                let name = entry.file_name();
                if name.as_encoded_bytes().starts_with(b".") {
                    continue;
                }
                match entry.file_type() {
                    Ok(kind) if kind.is_dir() => folders.push(entry.path()),
                    _ => types.count(&name),
                }
            }
        }
        types
    }

    pub fn add(&mut self, other: &ExtensionCounts) {
        for (extension, count) in &other.0 {
            *self.0.entry(extension.clone()).or_default() += count;
        }
    }

    pub fn total(&self) -> usize {
        self.0.values().sum()
    }

    /// Those whose names end as names of images do.
    pub fn images(&self) -> ExtensionCounts {
        ExtensionCounts(
            self.0
                .iter()
                .filter(|(extension, _)| IMAGES.contains(&extension.as_str()))
                .map(|(extension, &count)| (extension.clone(), count))
                .collect(),
        )
    }

    /// "10 .webp, 2 .gif", the most frequent first.
    pub fn words(&self) -> String {
        let mut all: Vec<_> = self.0.iter().collect();
        all.sort_by_key(|(extension, count)| (usize::MAX - **count, extension.as_str()));
        let word = |(extension, count): &(&String, &usize)| match extension.as_str() {
            "" => format!("{count} without an extension"),
            _ => format!("{count} .{extension}"),
        };
        let mut words: Vec<_> = all.iter().take(SHOWN).map(word).collect();
        let rest: usize = all.iter().skip(SHOWN).map(|(_, count)| **count).sum();
        if rest > 0 {
            words.push(format!("{rest} of other types"));
        }
        words.join(", ")
    }

    pub fn passed_over(&self, class: &str) -> impl Iterator<Item = SkippedFiles> {
        self.0.iter().map(move |(extension, &count)| SkippedFiles {
            class: class.to_string(),
            extension: extension.clone(),
            count,
        })
    }
}

/// What was left out in the folders of classes.
#[derive(Default)]
pub(super) struct SkippedClasses {
    /// Folders without anything to read, each with its line.
    folders: Vec<String>,
    /// Classes with images of other types only, and those that also have images: name, images, other files.
    without: Vec<(String, usize, ExtensionCounts)>,
    partly: Vec<(String, usize, ExtensionCounts)>,
}

impl SkippedClasses {
    /// Adds a class of `count` images whose folder also holds `others`.
    pub fn add(&mut self, class: String, count: usize, others: ExtensionCounts) {
        match (count, others.images().total(), others.total()) {
            (0, 0, 0) => self.folders.push(format!("folder {class} is left out: it is empty")),
            (0, 0, _) => self
                .folders
                .push(format!("folder {class} is left out: it holds no images ({})", others.words())),
            (0, ..) => self.without.push((class, count, others)),
            (_, 0, _) => {}
            _ => self.partly.push((class, count, others.images())),
        }
    }

    /// A line for each class, or one for all of a kind if they are more than a few.
    pub fn lines(self) -> Vec<String> {
        let mut lines: Vec<String> = self.folders.iter().take(NAMED).cloned().collect();
        if self.folders.len() > NAMED {
            lines.push(format!("{} more folders are left out", self.folders.len() - NAMED));
        }
        let sum = |classes: &[(String, usize, ExtensionCounts)]| {
            let (mut count, mut types) = (0, ExtensionCounts::default());
            for (_, images, others) in classes {
                count += images;
                types.add(others);
            }
            let names: Vec<String> = classes.iter().map(|(class, ..)| class.clone()).collect();
            (some(&names), count, types)
        };
        match &self.without[..] {
            few if few.len() <= SHOWN => lines.extend(few.iter().map(|(class, _, types)| {
                format!(
                    "class {class} is left out: none of its files is an image of a type that is read ({}); convert them to have it",
                    types.words()
                )
            })),
            many => {
                let (names, _, types) = sum(many);
                lines.push(format!(
                    "{} classes are left out: none of their files is an image of a type that is read ({}): {names}; convert them to have \
                     them",
                    many.len(),
                    types.words()
                ));
            }
        }
        let partly = |count: usize, types: &ExtensionCounts| {
            let left_out = types.total();
            let are = if left_out == 1 { "is" } else { "are" };
            let all = count + left_out;
            let words = types.words();
            format!("{left_out} of {all} images {are} left out, as their type is not read ({words})")
        };
        match &self.partly[..] {
            few if few.len() <= SHOWN => lines.extend(
                few.iter().map(|(class, count, types)| format!("class {class}: {}", partly(*count, types))),
            ),
            many => {
                let (names, count, types) = sum(many);
                lines.push(format!("{} classes ({names}): {}", many.len(), partly(count, &types)));
            }
        }
        lines
    }
}

/// How names of images end that are not read.
const IMAGES: [&str; 13] =
    ["avif", "heic", "heif", "jp2", "jxl", "ppm", "pgm", "pbm", "pnm", "svg", "ico", "tga", "dng"];

/// The first few of `names` in one line.
pub(super) fn some(names: &[String]) -> String {
    let shown = names.iter().take(SHOWN).map(String::as_str).collect::<Vec<_>>().join(", ");
    if names.len() > SHOWN { format!("{shown} and {} more", names.len() - SHOWN) } else { shown }
}
