//! Opening a data set: where it is, which reader reads it, whether it matches the model, which samples are held out for
//! validation.

use super::diagnostics::Diagnostics;
use super::division::Division;
use super::kind::Kind;
use super::locate::Location;
use super::origin::{Fingerprint, Origin, Provenance};
#[cfg(feature = "parquet")]
use super::parquet;
use super::range::check_bytes;
use super::raw::{RawSplit, RawSplits};
use super::request::{MOST_CLASSES, ModelShape, Request};
use super::shards::Source;
use super::split::{self, Pool};
use super::splits::Splits;
use super::transpose::transpose;
use super::{
    cifar, csv, idx, image_folder, list, locate, npz, occupied, packed, stl10, synthetic, tar_shards, tensors,
};
use crate::error::{Error, Result, printable, printable_path};
use std::path::Path;
use std::sync::Arc;

/// Reads the data set that `request` names and fits it to the model. Diagnostics go to the log as warnings;
/// [`open_with_diagnostics`] returns them.
///
/// Errors, each one line: the path (with the places looked at), the file that is damaged and where, images of
/// another size than the model takes, classes or values that the model has no output for, files that may mean more than one
/// thing, a single class to train on.
pub fn open(request: &Request) -> Result<Splits> {
    let (splits, diagnostics) = open_with_diagnostics(request)?;
    diagnostics.lines.iter().for_each(|line| log::warn!("{}: {}", splits.train.name, printable(line)));
    Ok(splits)
}

/// As [`open`], but returns the diagnostics.
pub fn open_with_diagnostics(request: &Request) -> Result<(Splits, Diagnostics)> {
    open_with(request, &mut |pool| Ok(request.division(pool.has_validation())))
}

/// As [`open_with_diagnostics`], but `decide` divides the samples once they are known; of the request's options for that, only
/// the limits apply.
pub fn open_with(
    request: &Request,
    decide: &mut dyn FnMut(&Pool<'_>) -> Result<Division>,
) -> Result<(Splits, Diagnostics)> {
    check(request)?;
    let mut diagnostics = Diagnostics::default();
    let place = locate::find(request.path.as_deref(), request.kind)?;
    check_flags(request, place.kind)?;
    let RawSplits { mut train, mut val } = match place.kind {
        Kind::Idx => idx::open(&place.path, place.file.as_deref(), &place.name, &mut diagnostics)?,
        Kind::ImageFolder => image_folder::open(&place.path, &place.name, request, &mut diagnostics)?,
        Kind::Cifar10 => cifar::CIFAR10.open(&place.path, &place.name)?,
        Kind::Cifar100 => cifar::CIFAR100.open(&place.path, &place.name)?,
        Kind::Stl10 => stl10::open(&place.path, &place.name)?,
        Kind::Packed => packed::open(&place.path, request.model.map(|_| request.frame()))?,
        Kind::Tensors => tensors::open(&place.path, &place.name, request, &mut diagnostics)?,
        Kind::Csv => csv::open(&place.path, &place.name, request, &mut diagnostics)?,
        #[cfg(feature = "parquet")]
        Kind::Parquet => parquet::open(shards_of(&place), request, &mut diagnostics)?,
        #[cfg(not(feature = "parquet"))]
        Kind::Parquet => {
            return Err(Error::Usage("dataset: this build reads no Parquet files (feature parquet)".into()));
        }
        Kind::Npz => npz::open(&place, request, &mut diagnostics)?,
        Kind::Tar => tar_shards::open(shards_of(&place), request, &mut diagnostics)?,
        Kind::List => list::open(&place.path, &place.name, request, &mut diagnostics)?,
        Kind::Synthetic => synthetic::open(request)?,
        Kind::Auto => return Err(Error::Internal("the format of the data was not found out".into())),
    };
    let transposes =
        request.transpose.unwrap_or(request.transposed_run.is_some()) && place.kind.has_transpose();
    if transposes {
        for part in [Some(&mut train), val.as_mut()].into_iter().flatten() {
            transpose(part, request.model.map(|wanted| wanted.input))?;
        }
    } else if request.transpose.is_none() {
        note_emnist(&place, &mut diagnostics);
    }
    if !place.kind.may_have_numbers() {
        check_bytes(request.input_range, &train.images_path)?;
    }
    let classes = train.largest_class().max(val.as_ref().and_then(RawSplit::largest_class));
    let own = std::mem::take(&mut train.dataset.class_names);
    let (names, names_path) = if own.is_empty() {
        (read_class_names(&place.path)?, place.path.join("classes.txt"))
    } else {
        (Some(own), place.path.clone())
    };
    let names = names.filter(|_| classes.is_some());
    // Names are compared with the model's outputs before any label is.
    let outputs = match (&names, request.model) {
        (Some(names), Some(ModelShape { follow_classes: true, .. })) => names.len(),
        _ => request.outputs(),
    };
    if let Some(names) = names.as_ref().filter(|names| names.len() > outputs) {
        let found = names.len();
        let what = format!("expected at most {outputs} classes (the model's outputs), found {found}");
        return Err(Error::data(&names_path, what));
    }
    for part in [Some(&mut train), val.as_mut()].into_iter().flatten() {
        match request.model {
            Some(wanted) => part.fit(ModelShape { outputs, ..wanted })?,
            None => part.fit_classes(MOST_CLASSES, "distinct classes")?,
        }
    }
    // From here on, every class is below the number of outputs.
    occupied::check(
        &train,
        names.as_deref(),
        request.for_training && place.kind != Kind::Synthetic,
        &mut diagnostics,
    )?;
    let names = names.unwrap_or_else(|| {
        (0..classes.map_or(0, |class| class + 1)).map(|class| class.to_string()).collect()
    });
    // They are printed in tables, so that no name may contain control characters.
    let names: Vec<_> = names.iter().map(|name| printable(name).into_owned()).collect();
    for part in [Some(&mut train), val.as_mut()].into_iter().flatten() {
        part.name_classes(&names)?;
    }
    let val = match val {
        Some(val)
            if std::mem::discriminant(&val.dataset.labels)
                != std::mem::discriminant(&train.dataset.labels) =>
        {
            return Err(Error::data(
                &val.labels_path,
                format!(
                    "expected labels of the kind in {}, found another",
                    printable_path(&train.labels_path)
                ),
            ));
        }
        Some(val) => Some(val.dataset),
        None => None,
    };
    let data = match place.kind {
        Kind::Synthetic => Fingerprint::made_up(&train.dataset, place.kind.to_string()),
        _ => Fingerprint::of(&train.dataset, val.as_ref(), place.kind.to_string()),
    };
    if let (true, None, Some(run)) = (transposes, request.transpose, &request.transposed_run) {
        check_transposed(&data, run)?;
        diagnostics.add("height and width of the images are swapped (--transpose), as in the weights' run");
    }
    let pool = Pool { train: &train, val: val.as_ref(), data: &data };
    let division = decide(&pool)?;
    let numbers = pool.divide(&division, [request.limit_train, request.limit_val])?;
    let (labels_path, had) = (train.labels_path.clone(), train.dataset.classes);
    let [train, val] = split::select(train, val, &division, &numbers)?;
    if request.for_training && request.limit_train.is_none() && place.kind != Kind::Synthetic {
        occupied::check_left(&train, had, &labels_path)?;
    }
    let provenance = Provenance {
        data,
        division,
        limit_train: request.limit_train,
        image_column: request.image_column.clone(),
        label_column: request.label_column.clone(),
        transpose: transposes,
        input_range: request.input_range.or(request.presumed_range).filter(|_| place.kind.may_have_numbers()),
    };
    let origin = Origin { provenance, before: Vec::new(), numbers: numbers.map(Arc::new) };
    let splits = Splits { train, val, origin: Some(Arc::new(origin)) };
    let Some(wanted) = request.model else { return Ok((splits, diagnostics)) };
    let splits = splits.fitted(&wanted)?;
    splits.check_shapes(wanted.input)?;
    Ok((splits, diagnostics))
}

fn check(request: &Request) -> Result<()> {
    if let Some(part) = request.val_split.filter(|part| !(0.0..1.0).contains(part)) {
        return Err(Error::Usage(format!("val-split: expected 0 to below 1, found {part}")));
    }
    if request.counts.is_some() && request.val_split.is_some() {
        return Err(Error::Usage("split: it says what val-split would say; give one of them".into()));
    }
    let [train, val] = request.counts.map_or([None; 2], |counts| counts.map(Some));
    for (flag, limit) in [
        ("split", train),
        ("split", val),
        ("limit-train", request.limit_train),
        ("limit-val", request.limit_val),
    ] {
        if limit == Some(0) {
            return Err(Error::Usage(format!("{flag}: expected at least 1, found 0")));
        }
    }
    Ok(())
}

fn shards_of(place: &Location) -> Source<'_> {
    Source { path: &place.path, pattern: place.file.as_deref(), name: &place.name }
}

/// A usage error if `request` names a column that data of the format `kind` does not have, or has another option that only
/// other formats have.
fn check_flags(request: &Request, kind: Kind) -> Result<()> {
    let has_image: fn(Kind) -> bool = Kind::has_image_column;
    let column = "data with such a column";
    for (option, is_given, has_one, expected) in [
        ("image-column", request.image_column.is_some(), has_image, column),
        ("label-column", request.label_column.is_some(), Kind::has_label_column, column),
        ("image-root", request.image_root.is_some(), Kind::has_image_root, "a list of image files"),
        ("transpose", request.transpose.is_some(), Kind::has_transpose, "images in memory"),
    ] {
        if is_given && !has_one(kind) {
            let known: Vec<_> =
                Kind::NAMES.iter().filter(|(kind, _)| has_one(*kind)).map(|(_, name)| *name).collect();
            let what = format!(
                "{option}: expected {expected} ({}), found data of the format {kind}",
                known.join(", ")
            );
            return Err(Error::Usage(what));
        }
    }
    Ok(())
}

/// Says that images lie transposed where the name of the data is EMNIST's (Cohen et al. 2017, <https://arxiv.org/abs/1702.05373>).
fn note_emnist(place: &Location, diagnostics: &mut Diagnostics) {
    let file = place.path.file_name().unwrap_or_default().to_string_lossy().to_lowercase();
    let is_emnist = match place.kind {
        Kind::Idx => idx::is_emnist(&place.path, place.file.as_deref()),
        Kind::Csv => file.starts_with("emnist"),
        _ => false,
    };
    if is_emnist {
        diagnostics.warn(
            "the images of EMNIST lie transposed in its files: --transpose turns them upright, and --transpose=false leaves \
             them without this line",
        );
    }
}

/// A usage error if the data with its images transposed is not `run`, the data of the weights' run: whether others lie so too is
/// not known.
fn check_transposed(data: &Fingerprint, run: &Fingerprint) -> Result<()> {
    let is_part = (0..2).any(|ours| (0..2).any(|theirs| data.is_part(ours, run, theirs)));
    if data.is_same(run) || is_part {
        return Ok(());
    }
    Err(Error::Usage(format!(
        "transpose: the weights' run had the images of {} transposed; say --transpose if those of {} lie transposed too, or \
         --transpose=false if they are upright",
        printable(&run.name),
        printable(&data.name)
    )))
}

/// The lines of `classes.txt`, if a data set is a folder that has one.
fn read_class_names(place: &Path) -> Result<Option<Vec<String>>> {
    let path = place.join("classes.txt");
    if !place.is_dir() || !path.is_file() {
        return Ok(None);
    }
    let text = std::fs::read_to_string(&path).map_err(|error| Error::io(&path, error))?;
    let names: Vec<_> =
        text.lines().map(str::trim).filter(|line| !line.is_empty()).map(String::from).collect();
    if names.is_empty() {
        return Err(Error::data(&path, "expected one class name per line, found none"));
    }
    Ok(Some(names))
}
