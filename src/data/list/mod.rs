//! Lists of image files with labels: rows of a file name and a label in a CSV, TSV or text file, as competitions and the lists of
//! Caffe have them. The order of the samples, and of the classes, is that of the same files in folders of classes: by class,
//! then by path. Labels that are whole numbers are ordered by value.
//!
//! File names are relative to the list's folder, to a folder in it, or to the one that the request names, with or without the
//! ending of an image. A file that is missing is a sample that cannot be read.

mod classes;
mod columns;
mod files;
mod find;
mod labelled;
mod start;

use super::columns::short;
use super::dataset::{Dataset, Images, Labels, Store, Stored};
use super::decoders::check_channels;
use super::delimited::wrong;
use super::diagnostics::{Diagnostics, some};
use super::image_folder::ImageFolder;
use super::parts::Role;
use super::raw::{RawSplit, RawSplits};
use super::request::Request;
use crate::error::{Error, Result, printable_path};
use classes::Classes;
use columns::{Chosen, ListColumns};
use files::Files;
use find::{Lists, lists_in};
pub(super) use find::{has_lists, is_list, may_be_list};
use labelled::{Entry, Labelled};
use start::Start;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A list that was read.
struct List {
    path: PathBuf,
    columns: ListColumns,
    labelled: Labelled,
}

/// Reads the list `path`, or the lists of the folder `path`.
pub(super) fn open(
    path: &Path,
    name: &str,
    request: &Request,
    diagnostics: &mut Diagnostics,
) -> Result<RawSplits> {
    let frame = request.frame();
    check_channels(frame.shape)?;
    let Lists { train, val, others } = match path.is_dir() {
        true => lists_in(path)?,
        false => Lists { train: path.to_path_buf(), val: None, others: Vec::new() },
    };
    for other in others {
        diagnostics.add(format!("{} is left alone", file_name(&other)));
    }
    let root = request.image_root.as_deref().map(Path::new);
    let chosen = Chosen { image: request.image_column.as_deref(), label: request.label_column.as_deref() };
    let train = List::read(&train, root, chosen, diagnostics)?;
    if train.columns.label.is_none() {
        let what = "expected a column of labels beside the image files, found none";
        return Err(Error::data(&train.path, what));
    }
    let val = val.map(|path| train.validation(&path, root, diagnostics)).transpose()?.flatten();
    let is_train = |entry: &&Entry| entry.part == Role::Train;
    let mut is_used = vec![false; train.labelled.labels.len()];
    train.labelled.entries.iter().filter(is_train).for_each(|entry| is_used[entry.label as usize] = true);
    let classes = Classes::of(&train.path, &train.labelled, &is_used)?;
    if classes.are_numbers && !classes.are_numbered() {
        let (first, last) = (classes.names.first().cloned(), classes.names.last().cloned());
        diagnostics.add(format!(
            "the labels are {} different numbers, {} to {}: they are the names of the classes, which are counted from 0 in \
             this order",
            classes.names.len(),
            first.unwrap_or_default(),
            last.unwrap_or_default()
        ));
    }
    if let Some(label) = train.labelled.compound() {
        diagnostics.warn(format!(
            "the label \"{label}\" is taken for one class, though each of its words is a label too; data with several labels for \
             an image is not read as such"
        ));
    }

    let mut store = ImageFolder::new(frame, request.ignore_exif);
    let mut parts = Vec::new();
    let own = train.parts(val.is_some(), diagnostics)?;
    for (list, role) in own.iter().map(|role| (&train, *role)).chain(val.iter().map(|val| (val, Role::Train)))
    {
        let first = store.len() as u32;
        let labels = list.add(&mut store, role, &classes)?;
        parts.push((list, (first..store.len() as u32).collect::<Vec<_>>(), labels));
    }
    let store: Arc<dyn Store> = Arc::new(store);
    // classes.txt, where there is one, says what numbered classes are called.
    let has_names = path.join("classes.txt").is_file() && classes.are_numbered();
    let names = if has_names { Vec::new() } else { classes.names };
    let mut parts = parts.into_iter().map(|(list, indices, labels)| RawSplit {
        dataset: Dataset {
            name: name.to_string(),
            shape: frame.shape,
            classes: 0,
            class_names: names.clone(),
            images: Images::Stored(Stored {
                store: Arc::clone(&store),
                indices,
                framing: Some(frame.framing),
            }),
            labels: Labels::Classes(labels),
        },
        images_path: list.path.clone(),
        labels_path: list.path.clone(),
    });
    match (parts.next(), parts.next()) {
        (Some(train), val) => Ok(RawSplits { train, val }),
        _ => Err(Error::Internal("a list without a part".into())),
    }
}

fn file_name(path: &Path) -> String {
    printable_path(Path::new(path.file_name().unwrap_or_default()))
}

impl List {
    fn read(path: &Path, root: Option<&Path>, chosen: Chosen, diagnostics: &mut Diagnostics) -> Result<List> {
        let none = || Error::data(path, "expected rows of an image file and a label, found none");
        let start = Start::read(path)?.ok_or_else(none)?;
        if start.first.iter().any(|name| name.eq_ignore_ascii_case("PredictionString")) {
            let what = "expected a label for each image, found boxes (PredictionString)";
            return Err(wrong(path, start.line, what));
        }
        let mut files = Files::new(path, root)?;
        let columns = ListColumns::of(path, &start, chosen, &mut |name| files.exists(name), diagnostics)?;
        let labelled = match columns.label {
            Some(_) => Labelled::read(path, &columns, &mut files)?,
            None => Labelled::default(),
        };
        if columns.label.is_some() && labelled.entries.is_empty() {
            return Err(none());
        }
        let list = List { path: path.to_path_buf(), columns, labelled };
        if let Some((count, first)) = &list.labelled.missing {
            let all = list.labelled.entries.len();
            if *count == all {
                return Err(Error::data(
                    path,
                    format!(
                        "expected the image files that it names, found none of the {all}: {first} is missing; --image-root \
                         names their folder"
                    ),
                ));
            }
            diagnostics.warn(format!(
                "{}: {count} of {all} image files are missing, the first {first}",
                file_name(path)
            ));
        }
        if list.labelled.repeated > 0 {
            let count = list.labelled.repeated;
            diagnostics
                .warn(format!("{}: {count} rows name an image of an earlier row again", file_name(path)));
        }
        if !files.used.is_empty() {
            let used: Vec<String> = files.used.iter().map(|folder| printable_path(folder)).collect();
            diagnostics.add(format!("{}: the image files are those in {}", file_name(path), some(&used)));
        }
        Ok(list)
    }

    /// The list `path` of validation samples, whose columns are called as those of this one; `None` if it has no labels.
    fn validation(
        &self,
        path: &Path,
        root: Option<&Path>,
        diagnostics: &mut Diagnostics,
    ) -> Result<Option<List>> {
        let start = Start::read(path)?;
        let [image, label] = self.columns.called();
        let has = |name: &str| {
            let fields = start.as_ref().map_or(&[][..], |start| &start.first);
            match self.columns.names {
                Some(_) => fields.iter().any(|field| field.eq_ignore_ascii_case(name)),
                None => fields.len() == self.columns.count,
            }
        };
        if !has(&label) {
            // Competitions keep the labels of their test samples to themselves.
            diagnostics.warn(format!(
                "{} is left alone: it has no labels as {} has; validation samples are taken from that",
                file_name(path),
                file_name(&self.path)
            ));
            return Ok(None);
        }
        let chosen = Chosen { image: Some(&image), label: Some(&label) };
        List::read(path, root, chosen, diagnostics).map(Some)
    }

    /// The parts of the list to use: training samples, and validation samples if no other list has them.
    fn parts(&self, has_other: bool, diagnostics: &mut Diagnostics) -> Result<Vec<Role>> {
        let count = |role: Role| self.labelled.entries.iter().filter(|entry| entry.part == role).count();
        if count(Role::Train) == 0 {
            let what = "expected rows of the training part, found none";
            return Err(Error::data(&self.path, what));
        }
        let others = [(Role::Validation, "validation"), (Role::Test, "test")];
        let mut there = others.into_iter().filter(|(role, _)| count(*role) > 0);
        let val = if has_other { None } else { there.next() };
        for (role, word) in there {
            diagnostics.add(format!(
                "{}: {} {word} samples are left alone: the validation samples are others",
                file_name(&self.path),
                count(role)
            ));
        }
        Ok(std::iter::once(Role::Train).chain(val.map(|(role, _)| role)).collect())
    }

    /// Adds the images of the part `role` to `store`; returns their classes.
    fn add(&self, store: &mut ImageFolder, role: Role, classes: &Classes) -> Result<Vec<u32>> {
        let numbers = classes.numbers(&self.labelled);
        let entries = self.labelled.entries.iter().filter(|entry| entry.part == role);
        let mut order = Vec::new();
        for entry in entries {
            let class = numbers[entry.label as usize].ok_or_else(|| {
                let label = short(&self.labelled.labels[entry.label as usize]);
                let what = format!("expected a class that the training samples have too, found \"{label}\"");
                wrong(&self.path, entry.line.into(), what)
            })?;
            order.push((class, entry));
        }
        // As folders of classes are read: name by name on the way down.
        let folders = &self.labelled.folders;
        order.sort_by(|(one, a), (other, b)| {
            let same_folder = a.folder == b.folder;
            one.cmp(other)
                .then_with(|| match same_folder {
                    true => a.name.cmp(&b.name),
                    false => self.labelled.path(a).cmp(&self.labelled.path(b)),
                })
                .then_with(|| a.line.cmp(&b.line))
        });
        let numbers: Vec<u32> = folders.iter().map(|folder| store.add_folder(folder.clone())).collect();
        for (_, entry) in &order {
            let folder = numbers[entry.folder as usize];
            store.add_listed(folder, &entry.name, (&self.path, entry.line.into()))?;
        }
        Ok(order.into_iter().map(|(class, _)| class).collect())
    }
}
