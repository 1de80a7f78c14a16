//! Finding a data set by path or name, and the formats that are not read yet.

use crate::{bytes, request};
use std::process::Command;
use striate::data::{Kind, Request, find, open};

fn named(name: &str) -> Request {
    Request::new([1, 28, 28], 10)
        .with_path(Some(name.into()))
        .with_limit_train(Some(4))
        .with_limit_val(Some(4))
}

#[test]
fn a_missing_set_says_where_it_was_looked_for() {
    let error = open(&named("no-such-set")).unwrap_err();
    let message = error.to_string();
    assert_eq!(error.exit_code(), 4);
    let sources = concat!(env!("CARGO_MANIFEST_DIR"), "/data/no-such-set");
    assert!(message.contains(" data/no-such-set,") && message.contains(sources), "{message}");
    let message = open(&named("no/such/set")).unwrap_err().to_string();
    assert_eq!(message, "no/such/set: no such file or folder");
}

/// The name of the variable under which `data_home_is_the_last_place` runs itself again.
const AGAIN: &str = "STRIATE_TEST_DATA_HOME";

#[test]
fn data_home_is_the_last_place() {
    if std::env::var_os(AGAIN).is_some() {
        let request = Request::new([2, 1, 1], 2).with_path(Some("mine".into()));
        assert_eq!(open(&request).unwrap().train.name, "mine");
        return;
    }
    let home = tempfile::tempdir().unwrap();
    for (variable, folder) in [("XDG_DATA_HOME", "striate/mine"), ("HOME", ".local/share/striate/mine")] {
        let place = home.path().join(variable).join(folder);
        std::fs::create_dir_all(&place).unwrap();
        std::fs::write(place.join("train.csv"), "1,2,0\n3,4,1\n").unwrap();
        let status = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "locate::data_home_is_the_last_place"])
            .env_remove("XDG_DATA_HOME")
            .env(variable, home.path().join(variable))
            .env(AGAIN, "1")
            .output()
            .unwrap();
        let output = String::from_utf8_lossy(&status.stdout).into_owned();
        assert!(status.status.success() && output.contains("1 passed"), "{variable}: {output}");
    }
}

#[test]
fn a_name_and_a_path_open_the_same() {
    let by_name = open(&named("fashion-mnist")).unwrap();
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/data/fashion-mnist");
    let by_path = open(&named(folder)).unwrap();
    assert_eq!(by_name.train, by_path.train);
    assert_eq!(by_name.train.len(), 4);
    assert!(open(&named("synthetic")).unwrap().train.name == "synthetic");
}

#[test]
fn what_is_not_a_data_set_is_told_what_one_looks_like() {
    let folder = tempfile::tempdir().unwrap();
    let error = open(&request(folder.path(), [1, 1, 1], 2)).unwrap_err();
    assert!(error.to_string().contains("folders of images (train/<class>/ or <class>/)"), "{error}");
    let error = open(&Request::new([1, 1, 1], 2).with_kind(Kind::Csv)).unwrap_err();
    assert_eq!(error.exit_code(), 2, "{error}");
}

#[test]
fn a_file_of_another_format_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("picture.bmp");
    std::fs::write(&path, "BM").unwrap();
    let error = open(&request(&path, [1, 1, 1], 2)).unwrap_err();
    assert_eq!(error.exit_code(), 4);
    assert!(
        error.to_string().contains(
            "expected a folder, a .safetensors, .csv, .tsv, .txt, .parquet, .npz or .tar file, or an IDX file"
        ),
        "{error}"
    );
    let splits = open(&request(&path, [1, 2, 2], 2).with_kind(Kind::Synthetic).with_limit_train(Some(4)));
    assert_eq!(bytes(&splits.unwrap().train).len(), 16);
}

#[cfg(unix)]
#[test]
fn a_device_is_not_read_without_end() {
    let request = request(std::path::Path::new("/dev/zero"), [3, 1, 1], 2).with_kind(Kind::Csv);
    let error = open(&request).unwrap_err();
    assert_eq!(error.exit_code(), 4);
    assert!(error.to_string().contains("expected a file or a folder, found a device"), "{error}");
}

#[cfg(unix)]
#[test]
fn the_name_of_a_folder_does_nothing_to_a_terminal() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a\u{1b}[2Jb");
    std::fs::create_dir(&path).unwrap();
    std::fs::write(path.join("train.csv"), "1,2,0\n1,3,1\n1,4,0\n").unwrap();
    let name = open(&request(&path, [2, 1, 1], 2)).unwrap().train.name.clone();
    assert!(name.starts_with('a') && !name.contains('\u{1b}'), "{name:?}");
}

#[test]
fn tar_files_beside_others_that_may_be_the_data_are_asked_about() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    let put = |name: &str, text: &str| std::fs::write(root.join(name), text).unwrap();
    let found = || find(root.to_str(), Kind::Auto).map(|place| place.kind);
    let asks = |parts: &[&str]| {
        let error = found().unwrap_err();
        assert_eq!(error.exit_code(), 4);
        let text = error.to_string();
        assert!(!text.contains('\n') && parts.iter().all(|part| text.contains(part)), "{text}");
    };
    put("00000.tar", "");
    assert_eq!(found().unwrap(), Kind::Tar);
    // As img2dataset writes them.
    put("00000.parquet", "");
    asks(&["Parquet files and tar files", "--dataset parquet or --dataset tar"]);
    std::fs::remove_file(root.join("00000.parquet")).unwrap();
    for name in ["labels.csv", "index.tsv", "list.txt", "train.csv"] {
        let text = "image,label\na.jpg,cat\nb.jpg,dog\n";
        put(name, &if name.ends_with("csv") { text.into() } else { text.replace(',', "\t") });
        asks(&["a list of image files", " and tar files", "--dataset list or --dataset tar"]);
        let said = |kind| find(root.to_str(), kind).unwrap().kind;
        assert_eq!([said(Kind::List), said(Kind::Tar)], [Kind::List, Kind::Tar]);
        std::fs::remove_file(root.join(name)).unwrap();
    }
    std::fs::remove_file(root.join("00000.tar")).unwrap();
    put("digits.npz", "");
    asks(&["name the .npz file itself"]);
}
