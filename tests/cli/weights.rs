//! `weights list` and `weights fetch`: what is offered, and what is refused before or after a download. The right file is fetched in
//! the tests of `src/cli/weights/fetch.rs`.

use super::{code, json_lines, stderr, striate, succeed};
use std::path::Path;

#[test]
fn what_can_be_downloaded_is_listed() {
    let folder = tempfile::tempdir().unwrap();
    let text = succeed(folder.path(), &["weights", "list"]);
    let listed = json_lines(&succeed(folder.path(), &["weights", "list", "--json"]));
    assert_eq!(text.lines().count(), listed.len());
    for (line, source) in text.lines().zip(&listed) {
        let name = source["name"].as_str().unwrap();
        assert!(line.starts_with(name) && line.contains(source["about"].as_str().unwrap()), "{line}");
        let address = source["address"].as_str().unwrap();
        let sha256 = source["sha256_prefix"].as_str().unwrap();
        assert!(address.starts_with("https://") && address.ends_with(&format!("-{sha256}.pth")), "{address}");
        succeed(folder.path(), &["summary", "-m", name, "--json"]);
    }
    assert!(listed.iter().any(|source| source["name"] == "resnet18"));
}

/// Runs `weights fetch` and returns its one line of error.
#[track_caller]
fn refused(folder: &Path, arguments: &[&str], expected: i32) -> String {
    let output = striate(folder, &[&["weights", "fetch"], arguments].concat()).output().unwrap();
    let text = stderr(&output);
    assert_eq!(code(&output), expected, "{arguments:?}: {text}");
    let errors: Vec<&str> = text.lines().filter(|line| line.starts_with("error:")).collect();
    assert_eq!(errors.len(), 1, "{text}");
    errors[0].to_string()
}

#[test]
fn what_is_not_the_published_file_is_refused_and_removed() {
    let (place, folder) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let from = format!("file://{}", place.path().display());
    let length = 4_958_699;
    std::fs::write(place.path().join("squeezenet1_1-b8a52dc0.pth"), vec![7; length]).unwrap();
    let fetch = ["squeezenet1_1", "--from", &from];
    let line = refused(folder.path(), &fetch, 4);
    for part in ["SHA-256 that begins with b8a52dc0, ", "found ", &format!("{length} bytes")] {
        assert!(line.contains(part), "{part}: {line}");
    }
    let line = refused(folder.path(), &["resnet18", "--from", "file:///no/such/place"], 1);
    assert!(line.contains("/no/such/place/resnet18-f37072fd.pth"), "{line}");
    let line = refused(folder.path(), &["resnet18", "-o", "resnet18.onnx"], 2);
    assert!(
        line.contains("expected a name that ends in .safetensors or .pth, found resnet18.onnx"),
        "{line}"
    );
    let line = refused(folder.path(), &["resnet81"], 2);
    assert!(line.contains("expected one of alexnet, ") && line.contains("did you mean resnet18?"), "{line}");
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0, "something was left");
    std::fs::write(folder.path().join("squeezenet1_1.safetensors"), "mine").unwrap();
    let line = refused(folder.path(), &fetch, 2);
    assert!(line.contains("squeezenet1_1.safetensors already exists; --force replaces it"), "{line}");
    refused(folder.path(), &[&fetch[..], &["--force"]].concat(), 4);
    assert_eq!(std::fs::read(folder.path().join("squeezenet1_1.safetensors")).unwrap(), b"mine");
}
