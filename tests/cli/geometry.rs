//! How images of any size reach a network: by torchvision's rules, by those of their time for older weights and runs, from
//! the middle square where a model file says so, and turned or not.

use super::{json_lines, stderr, striate, succeed};
use std::path::{Path, PathBuf};
use striate::data::{Decoder, Frame, Framing};
use striate::interchange::safetensors;

/// Made by version 0.1.0 before geometry had a version: `train -m tiny.toml --data-path photos --val-split 0.25`, to its end
/// (`expected.safetensors`) and stopped by `--max-steps 5` (`runs`).
fn before() -> tempfile::TempDir {
    fn copy(from: &Path, to: &Path) {
        std::fs::create_dir_all(to).unwrap();
        for entry in std::fs::read_dir(from).unwrap().map(|entry| entry.unwrap()) {
            let target = to.join(entry.file_name());
            if entry.path().is_dir() {
                copy(&entry.path(), &target);
            } else {
                std::fs::copy(entry.path(), target).unwrap();
            }
        }
    }
    let folder = tempfile::tempdir().unwrap();
    copy(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/geometry/before"), folder.path());
    folder
}

/// `weights` with other metadata.
fn noted(weights: &Path, to: &Path, remove: &[&str], add: &[(&str, &str)]) {
    let mut file = safetensors::read(weights).unwrap();
    file.metadata.retain(|key, _| !remove.contains(&key.as_str()));
    file.metadata.extend(add.iter().map(|(key, value)| (key.to_string(), value.to_string())));
    let tensors: Vec<_> = file.tensors.into_iter().collect();
    safetensors::write(to, &tensors, &file.metadata).unwrap();
}

fn loss(folder: &Path, weights: &str, more: &[&str]) -> (f64, String) {
    let eval =
        ["eval", "--json", "--device", "cpu", "--data-path", "photos", "--val-split", "0", "--weights"];
    let output = striate(folder, &[&eval[..], &[weights], more].concat()).output().unwrap();
    let said = stderr(&output);
    let lines = json_lines(std::str::from_utf8(&output.stdout).unwrap());
    (lines.last().unwrap_or_else(|| panic!("{said}"))["loss"].as_f64().unwrap(), said)
}

const OLD_RULES: &str = "the weights are from before geometry 2";

#[test]
fn weights_from_before_are_looked_through_as_then_and_those_of_others_as_torchvision_does() {
    let folder = before();
    let root = folder.path();
    // What the program of then answered.
    for (more, expected) in [(&[][..], 1.189_140_165), (&["--ten-crop"], 0.510_296_620)] {
        let (found, said) = loss(root, "expected.safetensors", more);
        assert!((found - expected).abs() < 1e-4, "{more:?}: {found}");
        assert!(said.contains(OLD_RULES), "{said}");
    }
    let predict = ["predict", "--json", "--device", "cpu", "photos/a/02.png", "--weights"];
    let answer = |weights: &str| {
        let lines = json_lines(&succeed(root, &[&predict[..], &[weights]].concat()));
        lines[0]["top"][0]["probability"].as_f64().unwrap()
    };
    assert!((answer("expected.safetensors") - 0.976_561_986).abs() < 1e-5);
    let damage = [
        "eval",
        "-q",
        "--device",
        "cpu",
        "--data-path",
        "photos",
        "--val-split",
        "0",
        "--robustness",
        "r.json",
    ];
    let blurred = |weights: &str| {
        succeed(root, &[&damage[..], &["--weights", weights]].concat());
        let text = std::fs::read_to_string(root.join("r.json")).unwrap();
        let levels = serde_json::from_str::<serde_json::Value>(&text).unwrap()["levels"].clone();
        let is_it = |level: &&serde_json::Value| {
            (&level["corruption"], &level["level"]) == (&"blur".into(), &1.5.into())
        };
        levels.as_array().unwrap().iter().find(is_it).unwrap()["loss"].as_f64().unwrap()
    };
    assert!((blurred("expected.safetensors") - 1.035_221_977).abs() < 1e-4);
    // The same weights as other programs' and as today's.
    noted(&root.join("expected.safetensors"), &root.join("others.safetensors"), &["engine"], &[]);
    noted(&root.join("expected.safetensors"), &root.join("todays.safetensors"), &[], &[("geometry", "2")]);
    let (others, said) = loss(root, "others.safetensors", &[]);
    assert!(!said.contains(OLD_RULES), "{said}");
    assert!((others - 1.189_140_165).abs() > 0.01, "{others}");
    assert_eq!(others, loss(root, "todays.safetensors", &[]).0);
    assert_eq!(answer("others.safetensors"), answer("todays.safetensors"));
    // A plain level is the plain evaluation, with or without what lies around the input.
    blurred("todays.safetensors");
    let text = std::fs::read_to_string(root.join("r.json")).unwrap();
    let levels = serde_json::from_str::<serde_json::Value>(&text).unwrap()["levels"].clone();
    assert!(
        (levels[3]["level"] == 0.0) && (levels[3]["loss"].as_f64().unwrap() - others).abs() < 1e-6,
        "{levels}"
    );
    // A version to come is no guess.
    noted(&root.join("expected.safetensors"), &root.join("later.safetensors"), &[], &[("geometry", "3")]);
    let output = striate(root, &[&predict[..], &["later.safetensors"]].concat()).output().unwrap();
    assert_eq!(output.status.code(), Some(4));
    assert!(stderr(&output).contains("geometry: expected version 2, found \"3\""), "{}", stderr(&output));
}

#[test]
fn a_run_from_before_goes_on_as_if_nothing_had_changed() {
    let folder = before();
    succeed(folder.path(), &["train", "--resume", "runs/tiny", "--max-steps", "100"]);
    let found = safetensors::read(folder.path().join("runs/tiny/last.safetensors")).unwrap();
    assert!(!found.metadata.contains_key("geometry"), "{:?}", found.metadata);
    let expected = safetensors::read(folder.path().join("expected.safetensors")).unwrap();
    for (name, tensor) in &expected.tensors {
        let pairs = tensor.data().iter().zip(found.tensors[name].data());
        let worst = pairs.map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
        // Another machine may round otherwise; other crops are off by more than 1e-2.
        assert!(worst < 1e-5, "{name}: {worst}");
    }
    // And a new one sees other crops.
    let train =
        ["train", "-q", "--device", "cpu", "-m", "tiny.toml", "--data-path", "photos", "--val-split", "0.25"];
    succeed(folder.path(), &[&train[..], &["--name", "new"]].concat());
    let new = safetensors::read(folder.path().join("runs/new/last.safetensors")).unwrap();
    assert_eq!(new.metadata["geometry"], "2");
    let pairs = new.tensors["fc.weight"].data().iter().zip(expected.tensors["fc.weight"].data());
    assert!(pairs.map(|(a, b)| (a - b).abs()).fold(0.0, f32::max) > 1e-2);
}

/// The input of the first two images, back in 0..255, as `trace` with `more` sees it.
fn seen(root: &Path, model: &str, more: &[&str]) -> Vec<Vec<u8>> {
    let trace = [
        "trace",
        "--evaluation",
        "--device",
        "cpu",
        "--data-path",
        "photos",
        "--val-split",
        "0",
        "-b",
        "2",
        "-o",
        "t",
    ];
    succeed(root, &[&trace[..], &["-m", model], more].concat());
    let input = &safetensors::read(root.join("t")).unwrap().tensors["input"];
    let byte = |value: &f32| ((value * 0.25 + 0.5) * 255.0).round() as u8;
    input.data().chunks(3 * 16 * 16).map(|row| row.iter().map(byte).collect()).collect()
}

/// The middle 16 x 16 of what is read as 20 x 20.
fn middle(path: PathBuf, framing: Framing) -> Vec<u8> {
    let mut pixels = vec![0; 3 * 20 * 20];
    Decoder::new().read_framed(&path, &Frame { shape: [3, 20, 20], framing }, &mut pixels).unwrap();
    let plane = |c: usize| (2..18).flat_map(move |y| (2..18).map(move |x| c * 400 + y * 20 + x));
    (0..3).flat_map(plane).map(|at| pixels[at]).collect()
}

#[test]
fn trace_shows_what_evaluation_sees() {
    let folder = before();
    let root = folder.path();
    let files = ["photos/a/00.png", "photos/a/02.png"].map(|name| root.join(name));
    let old = seen(root, "tiny.toml", &["--weights", "expected.safetensors"]);
    let new = seen(root, "tiny.toml", &[]);
    for ((old, new), file) in old.iter().zip(&new).zip(files) {
        assert_eq!(*old, middle(file.clone(), Framing::Covered));
        let mut expected = vec![0; 3 * 16 * 16];
        let frame = Frame { shape: [3, 16, 16], framing: Framing::Centre { resize: Some(20) } };
        Decoder::new().read_framed(&file, &frame, &mut expected).unwrap();
        assert_eq!(*new, expected);
        assert_ne!(old, new);
    }
}

/// `photos/<class>/<name>`: an image that its EXIF metadata turn by a quarter.
fn turned(root: &Path) {
    let path = root.join("photos/a/00.png");
    let picture = image::open(&path).unwrap().into_rgb8();
    let mut bytes = Vec::new();
    let mut encoder = image::codecs::png::PngEncoder::new(&mut bytes);
    let exif = b"MM\0\x2a\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0\0\0\0\0";
    image::ImageEncoder::set_exif_metadata(&mut encoder, exif.to_vec()).unwrap();
    picture.write_with_encoder(encoder).unwrap();
    std::fs::write(path, bytes).unwrap();
}

#[test]
fn the_orientation_of_pictures_is_heeded_or_not_as_one_likes_and_weights_remember_which() {
    let folder = before();
    let root = folder.path();
    let plain = seen(root, "tiny.toml", &[]);
    turned(root);
    let (upright, stored) = (seen(root, "tiny.toml", &[]), seen(root, "tiny.toml", &["--ignore-exif"]));
    assert_eq!(stored, plain);
    assert!(upright[0] != plain[0] && upright[1] == plain[1]);
    // The answers of weights that were trained so follow, without the flag.
    let train =
        ["train", "-q", "--device", "cpu", "-m", "tiny.toml", "--data-path", "photos", "--val-split", "0.25"];
    succeed(root, &[&train[..], &["--name", "stored", "--ignore-exif", "--max-steps", "3"]].concat());
    succeed(root, &[&train[..], &["--name", "upright"]].concat());
    let weights = |name: &str| format!("runs/{name}/last.safetensors");
    assert_eq!(safetensors::read(root.join(weights("stored"))).unwrap().metadata["ignore_exif"], "true");
    assert!(!safetensors::read(root.join(weights("upright"))).unwrap().metadata.contains_key("ignore_exif"));
    let answer = |name: &str, more: &[&str]| {
        let weights = weights(name);
        let words = ["predict", "--json", "--device", "cpu", "photos/a/00.png", "--weights", &weights];
        json_lines(&succeed(root, &[&words[..], more].concat()))[0]["top"].clone()
    };
    let loss = |name: &str, more: &[&str]| loss(root, &weights(name), more).0;
    assert_eq!(answer("stored", &[]), answer("stored", &["--ignore-exif"]));
    assert_ne!(answer("upright", &[]), answer("upright", &["--ignore-exif"]));
    assert_eq!(loss("stored", &[]), loss("stored", &["--ignore-exif"]));
    assert_ne!(loss("upright", &[]), loss("upright", &["--ignore-exif"]));
    // The run resumes with its own flags, also where some are given again.
    let text = std::fs::read_to_string(root.join("runs/stored/args.toml")).unwrap();
    assert!(text.contains("ignore_exif = true"), "{text}");
    let some = [&train[..], &["--name", "stored", "--resume", "runs/stored"]].concat();
    succeed(root, &some);
    succeed(root, &["train", "-q", "--resume", "runs/stored", "--max-steps", "100"]);
    // A pack has them as they were asked for.
    let mean = |flags: &[&str]| {
        let words = ["dataset", "pack", "photos", "--size", "20", "-o", "p"];
        succeed(root, &[&words[..], flags].concat());
        let pack = std::fs::read(root.join("p")).unwrap();
        let sizes =
            ::safetensors::SafeTensors::deserialize(&pack).unwrap().tensor("train.sizes").unwrap().data()
                [..8]
                .to_vec();
        [0, 4].map(|at| i32::from_le_bytes(sizes[at..at + 4].try_into().unwrap()))
    };
    assert_eq!((mean(&[]), mean(&["--ignore-exif"])), ([33, 20], [20, 33]));
}

/// A model with a square sees of every image its middle square, and nothing beside it.
#[test]
fn a_square_is_cut_before_any_crop() {
    let folder = before();
    let root = folder.path();
    let text = std::fs::read_to_string(root.join("tiny.toml")).unwrap();
    std::fs::write(root.join("square.toml"), text.replace("crop = 16\n", "crop = 16\nsquare = true\n"))
        .unwrap();
    assert_eq!(
        seen(root, "square.toml", &[]),
        seen(root, "tiny.toml", &[]),
        "the middle of all is that of the square"
    );
    // Of the size of resize, so that nothing is resampled.
    let wide =
        image::RgbImage::from_fn(50, 20, |x, y| image::Rgb([(x * 5) as u8, (y * 12) as u8, (x * y) as u8]));
    wide.save(root.join("wide.png")).unwrap();
    image::imageops::crop_imm(&wide, 15, 0, 20, 20).to_image().save(root.join("middle.png")).unwrap();
    noted(&root.join("expected.safetensors"), &root.join("w.safetensors"), &["engine"], &[]);
    let ten = |model: &str| {
        let words =
            ["predict", "--json", "--device", "cpu", "--weights", "w.safetensors", "--ten-crop", "-m", model];
        let lines = json_lines(&succeed(root, &[&words[..], &["wide.png", "middle.png"]].concat()));
        [0, 1].map(|at| lines[at]["top"][0]["probability"].as_f64().unwrap())
    };
    let ([whole, _], [wide, middle]) = (ten("tiny.toml"), ten("square.toml"));
    assert!((wide - middle).abs() < 1e-7, "{wide} {middle}");
    assert!((wide - whole).abs() > 1e-6, "{wide} {whole}");
    let error = text.replace("resize = 20\ncrop = 16\n", "square = true\n");
    std::fs::write(root.join("wrong.toml"), error).unwrap();
    let output = striate(root, &["summary", "-m", "wrong.toml"]).output().unwrap();
    assert!(
        stderr(&output).contains("square") && stderr(&output).contains("needs a resize"),
        "{}",
        stderr(&output)
    );
}
