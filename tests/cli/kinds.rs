//! The same images in files of other types, under names that say something else, and in both versions of CIFAR-10: training on
//! them gives the same weights.

use super::{code, json_lines, stderr, striate, succeed};
use std::fs;
use std::path::Path;

/// The weights after training on `data`.
fn weights(folder: &Path, model: &str, data: &str) -> String {
    let arguments =
        ["train", "--device", "cpu", "-m", model, "--data-path", data, "--val-split", "0", "-b", "2"];
    let stdout = succeed(folder, &[&arguments[..], &["--epochs", "2", "--json"]].concat());
    let lines = json_lines(&stdout);
    let epoch = lines.iter().rfind(|line| line["event"] == "epoch").unwrap();
    epoch["weights_sha256"].as_str().unwrap().to_string()
}

#[test]
fn the_same_pixels_in_files_of_any_type_give_the_same_weights() {
    let folder = tempfile::tempdir().unwrap();
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/pictures/kinds");
    let mut hashes = Vec::new();
    for kind in ["png", "tif", "bmp", "webp", "gif"] {
        for (class, picture) in [("a", "bits"), ("a", "rgb"), ("b", "grey"), ("b", "palette")] {
            let place = folder.path().join(kind).join(class);
            fs::create_dir_all(&place).unwrap();
            fs::copy(fixtures.join(format!("{picture}.{kind}")), place.join(format!("{picture}.jpeg")))
                .unwrap();
        }
        hashes.push(weights(folder.path(), "lenet5", kind));
    }
    assert!(hashes.iter().all(|hash| *hash == hashes[0]), "{hashes:?}");
}

#[test]
fn what_is_not_read_is_named_and_several_pages_are_told_once() {
    let folder = tempfile::tempdir().unwrap();
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/pictures/kinds");
    for (class, name) in
        [("a", "rgb-pages.tif"), ("a", "rgb.tif"), ("b", "palette-animation.gif"), ("b", "grey.bmp")]
    {
        fs::create_dir_all(folder.path().join("data").join(class)).unwrap();
        fs::copy(fixtures.join(name), folder.path().join("data").join(class).join(name)).unwrap();
    }
    fs::write(folder.path().join("data/b/photo.jpg"), b"\0\0\0\x18ftypheic\0\0\0\0mif1heic").unwrap();
    let train =
        ["train", "--device", "cpu", "-m", "lenet5", "--data-path", "data", "--val-split", "0", "-b", "5"];
    let output = striate(folder.path(), &[&train[..], &["--epochs", "2"]].concat()).output().unwrap();
    let text = stderr(&output);
    assert_eq!(code(&output), 0, "{text}");
    let expected = "photo.jpg: expected a JPEG, PNG, TIFF, BMP, WebP or GIF image, found a HEIC image";
    assert_eq!(text.matches(expected).count(), 1, "{text}");
    let pages = "has more than one page or frame; the first of such files is read";
    assert_eq!(text.matches(pages).count(), 1, "{text}");
}

const MODEL: &str = r#"name = "colours"
input = [3, 32, 32]

[preprocess]
scale = 0.00392156862745098

[recipe]
lr = 0.01
optimizer = "sgd"

[[layer]]
op = "flatten"

[[layer]]
op = "linear"
out_features = 10
"#;

#[test]
fn both_versions_of_cifar10_give_the_same_weights() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("colours.toml"), MODEL).unwrap();
    // What Python 3 pickled: class 3, and an image.
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/cifar");
    let image: Vec<u8> = (0..3072).map(|at| (at * 7 % 256) as u8).collect();
    for place in ["binary", "python"] {
        fs::create_dir(folder.path().join(place)).unwrap();
    }
    let names =
        ["data_batch_1", "data_batch_2", "data_batch_3", "data_batch_4", "data_batch_5", "test_batch"];
    for (number, name) in names.into_iter().enumerate() {
        let mut python = fs::read(fixtures.join("protocol-3")).unwrap();
        let (mut pixels, label) = (image.clone(), if number % 2 == 0 { 3 } else { 8 });
        // Images and classes of their own, so that their order counts.
        let at = python.windows(3072).position(|window| window == pixels).unwrap();
        pixels[..100].fill(40 * number as u8);
        python[at..at + 3072].copy_from_slice(&pixels);
        let at = python.windows(6).position(|window| window == b"labels").unwrap();
        let at = at + python[at..].windows(2).position(|pair| pair == b"K\x03").unwrap();
        python[at + 1] = label;
        fs::write(folder.path().join("python").join(name), python).unwrap();
        fs::write(folder.path().join(format!("binary/{name}.bin")), [&[label], &pixels[..]].concat())
            .unwrap();
    }
    let hashes = ["binary", "python"].map(|data| weights(folder.path(), "colours.toml", data));
    assert_eq!(hashes[0], hashes[1]);
}
