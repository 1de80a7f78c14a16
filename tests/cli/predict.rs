//! Answers to images: the same as evaluation gives, in order, named; what cannot be read; the sheet of panels.

use super::pictures::{TRAIN, photographs};
use super::{code, json_lines, stderr, striate, succeed};
use std::collections::BTreeMap;
use std::path::Path;

const WEIGHTS: [&str; 5] = ["predict", "--device", "cpu", "--weights", "runs/x/last.safetensors"];

/// A network trained on three colours, and the images.
fn trained() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    photographs(folder.path());
    succeed(folder.path(), &TRAIN);
    folder
}

fn with<'a>(more: &[&'a str]) -> Vec<&'a str> {
    WEIGHTS.iter().copied().chain(more.iter().copied()).collect()
}

/// File, then names and probabilities, of each line.
fn answers(text: &str) -> Vec<(String, Vec<(String, f64)>)> {
    let answer = |top: &serde_json::Value| {
        (top["name"].as_str().unwrap().to_string(), top["probability"].as_f64().unwrap())
    };
    let line = |line: &serde_json::Value| {
        assert_eq!(line["event"], "predict");
        let top = line["top"].as_array().unwrap().iter().map(answer).collect();
        (line["file"].as_str().unwrap().to_string(), top)
    };
    json_lines(text).iter().map(line).collect()
}

fn predictions(path: &Path) -> BTreeMap<String, Vec<(String, f64)>> {
    let mut rows = csv::Reader::from_path(path).unwrap();
    let row = |row: csv::StringRecord| {
        let answers = (3..row.len()).step_by(2).map(|at| (row[at].to_string(), row[at + 1].parse().unwrap()));
        (row[1].to_string(), answers.collect())
    };
    rows.records().map(|record| row(record.unwrap())).collect()
}

#[test]
fn the_answers_are_those_of_evaluation_whatever_the_batch() {
    let folder = trained();
    let eval = "eval --device cpu --weights runs/x/last.safetensors --data-path photos --val-split 0.2 --predictions p.csv";
    succeed(folder.path(), &eval.split(' ').collect::<Vec<_>>());
    let expected = predictions(&folder.path().join("p.csv"));
    let files: Vec<&str> = expected.keys().map(String::as_str).collect();
    assert!(files.len() > 5, "{files:?}");
    for batch in ["1", "4"] {
        let arguments = [&with(&["--json", "-b", batch, "-j", "3", "-k", "3"])[..], &files].concat();
        let found = answers(&succeed(folder.path(), &arguments));
        assert_eq!(found.iter().map(|(file, _)| file.as_str()).collect::<Vec<_>>(), files);
        for (file, top) in found {
            assert_eq!(top.len(), 3);
            for ((name, p), (expected, q)) in top.iter().zip(&expected[&file]) {
                assert_eq!(name, expected, "{file}");
                assert!((p - q).abs() <= 5.1e-7, "{file}: {p} {q}");
            }
        }
    }
}

#[test]
fn a_folder_is_answered_in_order_and_what_cannot_be_read_is_named() {
    let folder = trained();
    let output = striate(folder.path(), &with(&["--json", "photos/red", "missing.png"])).output().unwrap();
    assert_eq!(code(&output), 4, "{}", stderr(&output));
    let found = answers(std::str::from_utf8(&output.stdout).unwrap());
    let expected: Vec<String> =
        (0..14).filter(|number| *number != 3).map(|number| format!("photos/red/{number:02}.png")).collect();
    assert_eq!(found.iter().map(|(file, _)| file.clone()).collect::<Vec<_>>(), expected);
    let said = stderr(&output);
    for named in ["left out: photos/red/03.png: ", "left out: missing.png: ", "error: images: 2 of 15"] {
        assert!(said.contains(named), "{named}: {said}");
    }
    // Alone, it is the error.
    let output = striate(folder.path(), &with(&["-q", "photos/red/03.png"])).output().unwrap();
    assert_eq!(code(&output), 4);
    assert!(stderr(&output).starts_with("error: photos/red/03.png: not a whole PNG"), "{}", stderr(&output));
}

#[test]
fn the_table_has_names_from_a_file_and_no_more_rows_than_asked_for() {
    let folder = trained();
    let names: String = (0..3).map(|class| format!("name-{class}\n")).collect();
    std::fs::write(folder.path().join("names.txt"), names).unwrap();
    let plain = succeed(folder.path(), &with(&["-k", "99", "photos/red/00.png"]));
    assert_eq!(plain.lines().count(), 4, "{plain}");
    let text = succeed(folder.path(), &with(&["-k", "2", "--labels", "names.txt", "photos/red/00.png"]));
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!((lines.len(), lines[0]), (3, "photos/red/00.png"));
    assert!(lines[1].starts_with("  name-") && lines[1].ends_with(" %"), "{text}");
    assert_eq!(lines[1].len(), lines[2].len());
    std::fs::write(folder.path().join("names.txt"), "one\ntwo\n").unwrap();
    let arguments = with(&["--labels", "names.txt", "photos/red/00.png"]);
    let output = striate(folder.path(), &arguments).output().unwrap();
    assert_eq!(code(&output), 4);
    assert!(stderr(&output).contains("names.txt: expected 3 names"), "{}", stderr(&output));
}

#[test]
fn the_sheet_has_a_panel_per_picture_and_takes_no_pictures_place() {
    let folder = trained();
    succeed(folder.path(), &with(&["photos/blue", "--annotate", "sheet.png"]));
    let sheet = image::open(folder.path().join("sheet.png")).unwrap().to_rgb8();
    assert_eq!(sheet.dimensions(), (4 * 252, 4 * (224 + 28 + 3 * 28 + 28)));
    // The folder's name is a class, so somewhere a bar is in the colour of the right answer.
    assert!(sheet.pixels().any(|pixel| pixel.0 == [239, 133, 117]));
    for place in ["photos/blue/00.png", "photos/blue/new.png"] {
        let output = striate(folder.path(), &with(&["photos/blue", "--annotate", place])).output().unwrap();
        assert_eq!(code(&output), 2, "{place}: {}", stderr(&output));
    }
    let wrong = with(&["photos/blue", "--annotate", "sheet.png", "--truth", "bleu"]);
    let output = striate(folder.path(), &wrong).output().unwrap();
    assert_eq!(code(&output), 2);
    assert!(stderr(&output).contains("did you mean `blue`?"), "{}", stderr(&output));
}

/// Ten images cut out and mirrored here, each answered alone, against the average.
#[test]
fn ten_crops_are_the_mean_of_ten_answers() {
    let folder = trained();
    let root = folder.path();
    // Of the size that images are resized to, so that nothing is resampled; 16 x 16 of it is the network's input.
    let whole = image::RgbImage::from_fn(20, 20, |x, y| {
        image::Rgb([(x * 12) as u8, (y * 12) as u8, ((x * 7 + y * 31) % 256) as u8])
    });
    whole.save(root.join("whole.png")).unwrap();
    let mut names = Vec::new();
    for (number, [x, y]) in [[0, 0], [4, 0], [0, 4], [4, 4], [2, 2]].into_iter().enumerate() {
        let part = image::imageops::crop_imm(&whole, x, y, 16, 16).to_image();
        let mirrored = image::imageops::flip_horizontal(&part);
        for (picture, kind) in [(part, "plain"), (mirrored, "mirrored")] {
            names.push(format!("{number}-{kind}.png"));
            picture.save(root.join(&names[names.len() - 1])).unwrap();
        }
    }
    // The same network over images that are the input already.
    let model = std::fs::read_to_string(root.join("model.toml")).unwrap().replace("resize = 20\n", "");
    std::fs::write(root.join("small.toml"), model).unwrap();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let single = answers(&succeed(root, &[&with(&["--json", "-m", "small.toml"])[..], &names].concat()));
    let mut mean: BTreeMap<String, f64> = BTreeMap::new();
    for (name, probability) in single.into_iter().flat_map(|(_, top)| top) {
        *mean.entry(name).or_default() += probability / 10.0;
    }
    let ten = answers(&succeed(root, &with(&["--json", "--ten-crop", "-b", "3", "whole.png", "whole.png"])));
    assert_eq!((ten.len(), mean.len()), (2, 3));
    for (name, probability) in ten.iter().flat_map(|(_, top)| top) {
        assert!((probability - mean[name]).abs() < 1e-6, "{name}: {probability} {mean:?}");
    }
    let one = answers(&succeed(root, &with(&["--json", "whole.png"])));
    assert!((one[0].1[0].1 - mean[&one[0].1[0].0]).abs() > 1e-5, "the middle alone is another answer");
}

#[test]
fn pictures_of_every_kind_are_answered_and_one_that_is_broken_stops_no_other() {
    let folder = trained();
    let root = folder.path();
    std::fs::create_dir(root.join("odd")).unwrap();
    let save = |name: &str, picture: image::DynamicImage| picture.save(root.join("odd").join(name)).unwrap();
    save("a-grey.png", image::GrayImage::from_fn(21, 34, |x, y| image::Luma([(x * y) as u8])).into());
    save(
        "b-alpha.png",
        image::RgbaImage::from_fn(40, 9, |x, y| image::Rgba([x as u8, 9, y as u8, 99])).into(),
    );
    let deep =
        image::ImageBuffer::from_fn(30, 30, |x, y| image::Rgb([(x * 2000) as u16, 7, (y * 2000) as u16]));
    save("c-16-bit.png", deep.into());
    std::fs::write(root.join("odd/d-broken.png"), b"\x89PNG\r\n\x1a\n").unwrap();
    save("e-point.png", image::RgbImage::new(1, 1).into());
    save("f.jpg", image::RgbImage::new(50, 20).into());
    let output = striate(root, &with(&["--json", "odd", "-b", "2"])).output().unwrap();
    assert_eq!(code(&output), 4, "{}", stderr(&output));
    let found = answers(std::str::from_utf8(&output.stdout).unwrap());
    let files: Vec<&str> = found.iter().map(|(file, _)| file.as_str()).collect();
    let expected = ["a-grey.png", "b-alpha.png", "c-16-bit.png", "e-point.png", "f.jpg"];
    assert_eq!(files, expected.map(|name| format!("odd/{name}")));
    assert!(found.iter().all(|(_, top)| (top.iter().map(|(_, p)| p).sum::<f64>() - 1.0).abs() < 1e-9));
    let said = stderr(&output);
    assert_eq!(said.matches("d-broken.png").count(), 2, "{said}");
}

#[test]
fn names_never_reach_the_terminal_as_they_are() {
    let folder = trained();
    let root = folder.path();
    std::fs::write(root.join("names.txt"), "a\u{1b}[31m\nb\u{202e}\nc\n").unwrap();
    let text = succeed(root, &with(&["--labels", "names.txt", "photos/red/00.png"]));
    assert!(!text.contains(['\u{1b}', '\u{202e}']) && text.contains("a\\u{1b}[31m"), "{text}");
    for (labels, says) in [("gone.txt", "gone.txt"), ("photos", "photos"), ("photos/red/00.png", "00.png")] {
        let output = striate(root, &with(&["--labels", labels, "photos/red/00.png"])).output().unwrap();
        assert_eq!((code(&output), stderr(&output).lines().count()), (4, 1), "{}", stderr(&output));
        assert!(stderr(&output).contains(says), "{}", stderr(&output));
    }
    for (arguments, exit) in [(vec!["-k", "0", "photos/red/00.png"], 2), (vec![], 2), (vec!["names.txt"], 4)]
    {
        assert_eq!(code(&striate(root, &with(&arguments)).output().unwrap()), exit, "{arguments:?}");
    }
}

#[test]
fn what_speaks_for_an_answer_is_drawn_beside_the_image() {
    let folder = trained();
    let root = folder.path();
    let explain = |kind: &str, more: &[&str]| {
        let words = with(
            &[&["photos/red/00.png", "photos/blue/01.png", "--explain", kind, "-o", "why.png"][..], more]
                .concat(),
        );
        striate(root, &words).output().unwrap()
    };
    for (kind, more) in [("grad-cam", &[][..]), ("saliency", &[]), ("grad-cam", &["--layer", "relu.1"])] {
        let output = explain(kind, more);
        assert_eq!(code(&output), 0, "{}", stderr(&output));
        assert!(stderr(&output).contains("why.png: 2 of 2 images"), "{}", stderr(&output));
        let sheet = image::open(root.join("why.png")).unwrap().to_rgb8();
        assert_eq!(sheet.dimensions(), (2 * 386, 40 + 228));
        // The image as the network sees it, and the same size with colours of the map.
        let [image, map] =
            [14, 14 + 176 + 6].map(|x| image::imageops::crop_imm(&sheet, x, 47, 176, 176).to_image());
        assert!(image.pixels().all(|pixel| pixel[0] > 150) && image != map, "{kind}");
        std::fs::remove_file(root.join("why.png")).unwrap();
    }
    for (kind, more, what) in [
        (
            "grad-cam",
            &["--layer", "haed"][..],
            "--layer: expected the name of a layer, found haed; did you mean `head`",
        ),
        ("grad-cam", &["--layer", "head"], "--layer: expected a layer whose output is maps"),
        ("saliency", &["--layer", "head"], "--layer: expected --explain grad-cam"),
        ("saliency", &["--ten-crop"], "--ten-crop"),
        ("saliency", &["--annotate", "why.png"], "expected a different file for each output"),
        ("lime", &[], "grad-cam, saliency"),
    ] {
        let output = explain(kind, more);
        assert!(code(&output) == 2 && stderr(&output).contains(what), "{kind} {more:?}: {}", stderr(&output));
    }
    assert!(!root.join("why.png").exists());
}
