//! Where a data set is, and which format it has.

use super::kind::Kind;
use super::signature::ImageKind;
use super::{cifar, idx, layout, list, packed, shards, stl10, tar_shards};
use crate::error::{Error, Result, printable, printable_path};
use std::io::Read;
use std::path::{Component, Path, PathBuf};

/// The set of the first command.
const SHIPPED: &str = "fashion-mnist";

/// How the message begins where there is nothing at a path.
pub const NO_SUCH: &str = "no such";

/// A data set that was found: its format, its folder or file, and what to call it.
#[derive(Clone, Debug)]
pub struct Location {
    /// Never `Auto`.
    pub kind: Kind,
    /// Empty if the data has no place.
    pub path: PathBuf,
    pub name: String,
    /// The name of the file that was asked for, where `path` is the folder of it and others (IDX), or the pattern of the files
    /// that were asked for, where `path` is the folder that all are in.
    pub file: Option<String>,
}

/// Finds the data set that `path` (a path, or the name of a built-in set) and `kind` name. An error says where it was
/// looked for.
pub fn find(path: Option<&str>, kind: Kind) -> Result<Location> {
    let synthetic =
        || Location { kind: Kind::Synthetic, path: PathBuf::new(), name: "synthetic".into(), file: None };
    let path = match (kind, path) {
        (Kind::Synthetic, _) => return Ok(synthetic()),
        (Kind::Auto | Kind::Idx, None) => shipped(SHIPPED)?,
        (_, None) => {
            return Err(Error::Usage(format!(
                "data-path: expected a path for the format {kind}, found none"
            )));
        }
        (_, Some(path)) if Path::new(path).exists() => PathBuf::from(path),
        (_, Some(path)) if shards::is_pattern(path) => return find_pattern(path, kind),
        (Kind::Auto, Some("synthetic")) => return Ok(synthetic()),
        (_, Some(path)) => shipped(path)?,
    };
    // A device or a pipe may never end.
    if !path.is_file() && !path.is_dir() {
        return Err(Error::data(&path, "expected a file or a folder, found a device, pipe or socket"));
    }
    let kind = if kind == Kind::Auto { detect(&path)? } else { kind };
    // The files of an IDX set belong together: naming one names all of its family.
    let file = path.file_name().filter(|_| kind == Kind::Idx && path.is_file());
    let file = file.map(|name| name.to_string_lossy().into_owned());
    let path = match path.parent() {
        Some(parent) if kind == Kind::Idx && path.is_file() => {
            if parent.as_os_str().is_empty() {
                PathBuf::from(".")
            } else {
                parent.to_path_buf()
            }
        }
        _ => path,
    };
    Ok(Location { kind, name: name_of(&path), path, file })
}

/// The data set whose files are those of a pattern with braces.
fn find_pattern(pattern: &str, kind: Kind) -> Result<Location> {
    let kind = match (kind, Path::new(pattern).extension().and_then(|extension| extension.to_str())) {
        (Kind::Auto, Some(extension)) if extension.eq_ignore_ascii_case("parquet") => Kind::Parquet,
        (Kind::Auto, Some(extension)) if extension.eq_ignore_ascii_case("tar") => Kind::Tar,
        (Kind::Parquet | Kind::Tar, _) => kind,
        _ => {
            let what = "no such file; only names of .tar and .parquet files may have braces, such as \
                        train-{000000..000009}.tar";
            return Err(Error::data(pattern, what));
        }
    };
    let path = shards::folder_of(pattern);
    Ok(Location { kind, name: name_of(&path), path, file: Some(pattern.into()) })
}

/// What the data at `path` is called.
fn name_of(path: &Path) -> String {
    let whole = path.canonicalize().unwrap_or_else(|_| path.to_path_buf());
    let named = if whole.is_dir() { whole.file_name() } else { whole.file_stem() };
    // It is printed: no name may do things to a terminal.
    named.map_or_else(|| "data".into(), |name| printable(&name.to_string_lossy()).into_owned())
}

/// The folder of the data set called `name`, if it is in one of the places for such sets: `./data`, the folder `data` of the
/// sources, [`user_data`]. The first that has it counts.
pub fn built_in(name: &str) -> Option<PathBuf> {
    candidates(name).into_iter().find(|path| path.exists())
}

fn candidates(name: &str) -> Vec<PathBuf> {
    let places = [Some(PathBuf::from("data")), sources(), user_data()];
    places.into_iter().flatten().map(|folder| folder.join(name)).collect()
}

/// The folder `data` of the sources, for a program that cargo runs or that lies in their folder `target`. An installed program has no
/// sources: the folder that it was built in may be another machine's.
fn sources() -> Option<PathBuf> {
    let of_target = || {
        let program = std::env::current_exe().ok()?;
        let target = program.ancestors().find(|folder| folder.ends_with("target"))?;
        target.parent().filter(|folder| folder.join("Cargo.toml").is_file()).map(PathBuf::from)
    };
    let folder = std::env::var_os("CARGO_MANIFEST_DIR").map(PathBuf::from).or_else(of_target)?;
    Some(folder.join("data"))
}

/// What a file is that is no data set, by its first bytes, and what to do with it.
fn known_as(path: &Path) -> &'static str {
    let mut start = Vec::new();
    if let Ok(file) = std::fs::File::open(path) {
        // What cannot be read is told when it has to be.
        let _ = file.take(16).read_to_end(&mut start);
    }
    match &start[..] {
        [b'P', b'K', 3, 4, ..] => "a zip archive; unpack it and name its folder",
        [0x1f, 0x8b, ..] | [b'B', b'Z', b'h', ..] | [0xfd, b'7', b'z', ..] | [0x28, 0xb5, 0x2f, 0xfd, ..] => {
            "a compressed file; unpack it and name what was in it"
        }
        [b'7', b'z', 0xbc, 0xaf, ..] | [b'R', b'a', b'r', b'!', ..] => {
            "an archive; unpack it and name its folder"
        }
        _ if ImageKind::of(&start).is_some() => "an image; name the folder that has a folder for each class",
        _ => "another",
    }
}

/// As [`built_in`], with an error that says where the set was looked for.
fn shipped(name: &str) -> Result<PathBuf> {
    let mut components = Path::new(name).components();
    if !matches!((components.next(), components.next()), (Some(Component::Normal(_)), None)) {
        return Err(Error::data(name, format!("{NO_SUCH} file or folder")));
    }
    built_in(name).ok_or_else(|| {
        let places: Vec<_> = candidates(name).iter().map(|path| printable_path(path)).collect();
        Error::data(name, format!("{NO_SUCH} data set; looked for {name}, {}", places.join(", ")))
    })
}

/// Where a user keeps data sets: `$XDG_DATA_HOME/striate`, by default `~/.local/share/striate` (XDG Base Directory Specification: a relative
/// path is ignored).
pub fn user_data() -> Option<PathBuf> {
    let absolute = |name: &str| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let home =
        absolute("XDG_DATA_HOME").or_else(|| absolute("HOME").map(|home| home.join(".local/share")))?;
    Some(home.join("striate"))
}

/// The format of what lies at `path`, by the names of its files.
fn detect(path: &Path) -> Result<Kind> {
    let has = |name: &str| path.join(name).is_file();
    let extension = path.extension().and_then(|extension| extension.to_str()).unwrap_or("");
    let file_name = path.file_name().and_then(|name| name.to_str()).unwrap_or("");
    if path.is_dir() {
        let is_list = list::is_list(&path.join("train.csv"));
        let files = [
            (idx::is_in(path), Kind::Idx, "IDX files"),
            (has("train.safetensors"), Kind::Tensors, "train.safetensors"),
            (has("train.csv") && !is_list, Kind::Csv, "train.csv"),
            (is_list, Kind::List, "a list of image files (train.csv)"),
            (cifar::CIFAR10.is_in(path), Kind::Cifar10, "CIFAR-10's files"),
            (cifar::CIFAR100.is_in(path), Kind::Cifar100, "CIFAR-100's files"),
            (stl10::is_in(path), Kind::Stl10, "STL-10's files"),
            (shards::are_in(path, "parquet"), Kind::Parquet, "Parquet files"),
        ];
        let mut found: Vec<_> = files.into_iter().filter(|(is_there, ..)| *is_there).collect();
        // Folders beside other data may hold anything, and a tar file beside others is what they were unpacked from; but Parquet
        // files (of img2dataset) and lists may as well describe what is in tar files.
        let may_describe = |kind: Kind| [Kind::Parquet, Kind::List].contains(&kind);
        let has_tar = found.iter().all(|(_, kind, _)| may_describe(*kind))
            && shards::are_in(path, tar_shards::EXTENSION);
        let is_folder = match has_tar || !found.is_empty() {
            true => layout::has_classes(path),
            false => layout::has_folders(path),
        };
        // A list labels images that do not lie in folders of classes; the error about such folders is for those without one.
        if found.is_empty() && list::has_lists(path) && !(is_folder && layout::is_readable(path)) {
            found.push((true, Kind::List, "a list of image files"));
        } else if is_folder {
            found.push((true, Kind::ImageFolder, "folders of images"));
        }
        if has_tar && found.iter().all(|(_, kind, _)| may_describe(*kind)) {
            found.push((true, Kind::Tar, "tar files"));
        }
        match found[..] {
            [(_, kind, _)] => Ok(kind),
            [] if shards::are_in(path, "npz") => Err(Error::data(
                path,
                "expected a data set, found a folder with an NPZ file; name the .npz file itself",
            )),
            [] => Err(Error::data(
                path,
                "expected train-images-idx3-ubyte, train.safetensors, train.csv, data_batch_1, train.bin, train_X.bin, *.parquet, \
                 *.tar, folders of images (train/<class>/ or <class>/), or a list of image files (.csv, .tsv, .txt), found none",
            )),
            _ => {
                let names: Vec<_> = found.iter().map(|(.., name)| *name).collect();
                let kinds: Vec<_> = found.iter().map(|(_, kind, _)| format!("--dataset {kind}")).collect();
                Err(Error::data(
                    path,
                    format!(
                        "expected one data set, found {}; say which with {}",
                        names.join(" and "),
                        kinds.join(" or ")
                    ),
                ))
            }
        }
    } else if packed::is_packed(path) {
        Ok(Kind::Packed)
    } else if extension.eq_ignore_ascii_case("safetensors") {
        Ok(Kind::Tensors)
    } else if list::may_be_list(path) || list::is_list(path) {
        Ok(Kind::List)
    } else if extension.eq_ignore_ascii_case("csv") {
        Ok(Kind::Csv)
    } else if extension.eq_ignore_ascii_case("parquet") {
        Ok(Kind::Parquet)
    } else if extension.eq_ignore_ascii_case("npz") {
        Ok(Kind::Npz)
    } else if extension.eq_ignore_ascii_case(tar_shards::EXTENSION) {
        Ok(Kind::Tar)
    } else if file_name.contains("-ubyte") {
        Ok(Kind::Idx)
    } else {
        Err(Error::data(
            path,
            format!(
                "expected a folder, a .safetensors, .csv, .tsv, .txt, .parquet, .npz or .tar file, or an IDX file (*-ubyte), \
                 found {}",
                known_as(path)
            ),
        ))
    }
}
