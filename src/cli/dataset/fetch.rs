//! `striate dataset fetch`: downloads a public data set.

use super::archive::unpack;
use super::sources::{PublicDataset, SOURCES};
use crate::atomic;
use crate::cli::Context;
use crate::cli::download::{download, is_right};
use crate::cli::output::Output;
use crate::data;
use crate::error::{Error, Result, printable_path};
use crate::inference::quoted;
use clap::Args;
use serde_json::json;
use std::fs;
use std::path::{Path, PathBuf};

#[derive(Args, Debug)]
#[command(
    after_help = "Examples:\n  striate dataset fetch cifar10\n  striate dataset fetch mnist --dir data\n\n\
                  Needs the program curl. The environment sets proxies (https_proxy)."
)]
pub(super) struct FetchArgs {
    /// Download this data set
    #[arg(value_name = "NAME", value_parser = SOURCES.map(|source| source.name))]
    name: String,
    /// Create the folder NAME in DIR [default: the folder of built-in data sets]
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
    /// Download from another address of the folder with the files (https, http or file)
    #[arg(long, value_name = "URL")]
    from: Option<String>,
}

pub(super) fn run(args: &FetchArgs, context: &Context) -> Result<u8> {
    let source = SOURCES
        .iter()
        .find(|source| source.name == args.name)
        .ok_or_else(|| Error::Usage(format!("dataset fetch: no address of {} is known", args.name)))?;
    let folder = args.dir.clone().unwrap_or_else(home).join(source.name);
    context.out.note(&format!("{}: {}", source.name, source.about));
    fetch_whole(source, &folder, args.from.as_deref(), &context.out)?;
    let path = folder.to_string_lossy();
    if context.out.is_json() {
        context.out.json(&json!({"event": "dataset-fetch", "name": source.name, "path": path}))?;
        return Ok(0);
    }
    // A data set in the default folder is found by its name.
    let name = if args.dir.is_none() { source.name.into() } else { quoted(&path) };
    context.out.line(&format!("{} is in {}", source.name, printable_path(&folder)))?;
    context.out.line(&format!("next: striate dataset info {name}"))?;
    Ok(0)
}

/// Where a user keeps data sets, one in each folder.
pub(super) fn home() -> PathBuf {
    data::user_data().unwrap_or_else(|| PathBuf::from("data"))
}

/// As [`fetch`], but a new `folder` appears when it is whole. Until then the files lie beside it, in a folder whose name ends in
/// `.part`, where the next call finds them.
pub(super) fn fetch_whole(
    source: &PublicDataset,
    folder: &Path,
    from: Option<&str>,
    out: &Output,
) -> Result<()> {
    if folder.exists() {
        return fetch(source, folder, from, out);
    }
    let mut part = folder.as_os_str().to_owned();
    part.push(".part");
    let part = PathBuf::from(part);
    fetch(source, &part, from, out).inspect_err(|_| {
        // Succeeds if nothing is in it.
        let _ = fs::remove_dir(&part);
    })?;
    fs::rename(&part, folder).map_err(|error| Error::io(folder, error))
}

/// Downloads `source` to `folder`. Valid existing files are kept: those with the right SHA-256, and archive members with the
/// right lengths (only the SHA-256 of the archive is known, and the archive is not kept).
fn fetch(source: &PublicDataset, folder: &Path, from: Option<&str>, out: &Output) -> Result<()> {
    let unpacked = !source.members.is_empty() && source.members.iter().all(|member| member.is_in(folder));
    for file in source.files.iter().filter(|_| !unpacked) {
        let path = folder.join(file.name);
        if !(path.is_file() && is_right(&path, file)?) {
            download(file, &path, source.mirrors, from, out)?;
        }
        if !source.members.is_empty() {
            unpack(&path, folder, source.members)?;
            fs::remove_file(&path).map_err(|error| Error::io(&path, error))?;
        }
    }
    let names = folder.join("classes.txt");
    if !source.classes.is_empty() && !names.exists() {
        atomic::write(&names, |out| source.classes.iter().try_for_each(|name| writeln!(out, "{name}")))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::archive::tests::{MEMBERS, archive};
    use super::super::sources::Member;
    use super::*;
    use crate::cli::download::Download;
    use sha2::{Digest, Sha256};

    fn source(content: &[u8], members: &'static [Member]) -> PublicDataset {
        let sha256: String = Sha256::digest(content).iter().map(|byte| format!("{byte:02x}")).collect();
        let bytes = content.len() as u64;
        let file = Download { name: "set.tar.gz", bytes: bytes..=bytes, sha256: sha256.leak() };
        let files = Box::leak(Box::new([file]));
        PublicDataset {
            name: "set",
            about: "",
            mirrors: &["https://nowhere.invalid"],
            files,
            members,
            classes: &["x", "y"],
        }
    }

    fn names(folder: &Path) -> Vec<String> {
        let mut names: Vec<_> = fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    #[test]
    fn downloads_are_verified_unpacked_and_not_repeated() {
        let (place, home) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let out = Output::new(false, true);
        let content = archive();
        fs::write(place.path().join("set.tar.gz"), &content).unwrap();
        let from = format!("file://{}", place.path().display());
        let folder = home.path().join("set");
        let known = source(&content, MEMBERS);
        // An interrupted download: the beginning of the file exists.
        fs::create_dir(&folder).unwrap();
        fs::write(folder.join("set.tar.gz.part"), &content[..20]).unwrap();
        fetch(&known, &folder, Some(&from), &out).unwrap();
        assert_eq!(names(&folder), ["a", "b", "classes.txt"]);
        assert_eq!(fs::read_to_string(folder.join("b")).unwrap(), "second");
        assert_eq!(fs::read_to_string(folder.join("classes.txt")).unwrap(), "x\ny\n");
        fs::remove_file(place.path().join("set.tar.gz")).unwrap();
        fetch(&known, &folder, Some("file:///no/such/place"), &out).unwrap();
        // An incomplete member is downloaded again.
        fs::write(folder.join("a"), "fir").unwrap();
        fetch(&known, &folder, Some("file:///no/such/place"), &out).unwrap_err();
        fs::write(place.path().join("set.tar.gz"), &content).unwrap();
        fetch(&known, &folder, Some(&from), &out).unwrap();
        assert_eq!(fs::read_to_string(folder.join("a")).unwrap(), "first");

        let plain = source(&content, &[]);
        let error =
            fetch(&plain, &home.path().join("none"), Some("file:///no/such/place"), &out).unwrap_err();
        assert!(error.exit_code() == 1 && error.to_string().contains("curl"), "{error}");
        assert!(!home.path().join("none").exists());
    }

    #[test]
    fn a_new_folder_appears_when_it_is_whole() {
        let (place, home) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let out = Output::new(false, true);
        let content = archive();
        let (known, folder) = (source(&content, MEMBERS), home.path().join("in/set"));
        let from = format!("file://{}", place.path().display());
        fetch_whole(&known, &folder, Some(&from), &out).unwrap_err();
        assert!(names(home.path()).is_empty(), "nothing came");
        // The beginning of a download lies beside the folder, and is continued.
        fs::create_dir_all(home.path().join("in/set.part")).unwrap();
        fs::write(home.path().join("in/set.part/set.tar.gz.part"), &content[..20]).unwrap();
        fetch_whole(&known, &folder, Some(&from), &out).unwrap_err();
        assert!(!folder.exists());
        fs::write(place.path().join("set.tar.gz"), &content).unwrap();
        fetch_whole(&known, &folder, Some(&from), &out).unwrap();
        assert_eq!(names(&folder), ["a", "b", "classes.txt"]);
        assert_eq!(names(folder.parent().unwrap()), ["set"]);
    }

    #[test]
    fn partial_downloads_are_kept_unless_they_cannot_be_resumed() {
        let (place, home) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let out = Output::new(false, true);
        let content = archive();
        let known = source(&content, MEMBERS);
        let part = home.path().join("set.tar.gz.part");
        fs::write(&part, &content[..20]).unwrap();
        fetch(&known, home.path(), Some("file:///no/such/place"), &out).unwrap_err();
        assert_eq!(fs::read(&part).unwrap(), content[..20], "an address that cannot be reached");
        fs::write(place.path().join("set.tar.gz"), &content[..10]).unwrap();
        let from = format!("file://{}", place.path().display());
        fetch(&known, home.path(), Some(&from), &out).unwrap_err();
        assert!(names(home.path()).is_empty(), "a download of 10 bytes cannot be resumed at 20");
    }

    #[test]
    fn other_bytes_are_refused_and_removed() {
        let (place, home) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let out = Output::new(false, true);
        let from = format!("file://{}", place.path().display());
        let content = archive();
        let known = source(&content, MEMBERS);
        let mut flipped = content.clone();
        flipped[30] ^= 1;
        for wrong in [flipped, content[..50].to_vec(), [&content[..], &[0; 100_000]].concat()] {
            fs::write(place.path().join("set.tar.gz"), &wrong).unwrap();
            let error = fetch(&known, home.path(), Some(&from), &out).unwrap_err();
            assert!(error.exit_code() == 4 && error.to_string().contains("expected SHA-256"), "{error}");
            assert!(names(home.path()).is_empty(), "{:?}", names(home.path()));
        }
    }
}
