//! `train` without a network: the one that the data fits, said aloud.

use super::{code, stderr, striate};
use std::path::Path;

/// Two classes of six images in `photos`, made by `pixel` from class and place.
fn photos(folder: &Path, side: u32, pixel: impl Fn(u8, u32, u32) -> [u8; 3]) {
    for (class, name) in ["cat", "dog"].into_iter().enumerate() {
        let path = folder.join("photos").join(name);
        std::fs::create_dir_all(&path).unwrap();
        for number in 0..6 {
            let image =
                image::RgbImage::from_fn(side, side, |x, y| image::Rgb(pixel(class as u8, x + number, y)));
            image.save_with_format(path.join(format!("{number}.png")), image::ImageFormat::Png).unwrap();
        }
    }
}

/// stderr of a run that only draws its first images.
fn previewed(folder: &Path, more: &[&str]) -> String {
    let words = ["train", "--device", "cpu", "--data-path", "photos", "--preview", "sheet.png"];
    let output = striate(folder, &[&words[..], more].concat()).output().unwrap();
    assert_eq!(code(&output), 0, "{}", stderr(&output));
    stderr(&output)
}

fn grey(class: u8, x: u32, y: u32) -> [u8; 3] {
    [(x * 7 + y * 3) as u8 ^ (class * 90); 3]
}

fn coloured(class: u8, x: u32, y: u32) -> [u8; 3] {
    [(x * 7) as u8, (y * 3) as u8, class * 90]
}

#[test]
fn photographs_get_a_network_for_photographs() {
    for (side, pixel, expected) in [
        (40, coloured as fn(u8, u32, u32) -> [u8; 3], Some("up to 40 x 40 in colour")),
        (28, coloured, Some("up to 28 x 28 in colour")),
        (40, grey, Some("up to 40 x 40 in grey")),
        (28, grey, None),
    ] {
        let folder = tempfile::tempdir().unwrap();
        photos(folder.path(), side, pixel);
        let text = previewed(folder.path(), &[]);
        let line = text.lines().find(|line| line.starts_with("model: "));
        match expected {
            None => assert_eq!(line, None, "{text}"),
            Some(expected) => {
                let line = line.unwrap_or_default();
                assert!(line.starts_with("model: alexnet-64 ") && line.contains(expected), "{text}");
                assert!(line.contains("--model NAME"), "{text}");
            }
        }
        // A network that is named is taken without a word.
        assert!(!previewed(folder.path(), &["-m", "alexnet-mini"]).contains("model: "));
    }
}

#[test]
fn the_run_keeps_the_network_that_it_got() {
    let folder = tempfile::tempdir().unwrap();
    photos(folder.path(), 32, coloured);
    let words = ["train", "--device", "cpu", "--data-path", "photos", "-q"];
    let output = striate(folder.path(), &[&words[..], &["--max-steps", "1"]].concat()).output().unwrap();
    assert_eq!(code(&output), 0, "{}", stderr(&output));
    let args = std::fs::read_to_string(folder.path().join("runs/alexnet-64/args.toml")).unwrap();
    let args: toml::Table = args.parse().unwrap();
    assert_eq!(args["options"]["model"].as_str(), Some("alexnet-64"));
    // The command that begins it also finds it.
    let again = [&words[..], &["--max-steps", "2", "--resume", "auto"]].concat();
    let output = striate(folder.path(), &again).output().unwrap();
    assert_eq!(code(&output), 0, "{}", stderr(&output));
    assert!(String::from_utf8_lossy(&output.stdout).contains("done, 2 steps"));
}

#[test]
fn numbers_that_are_no_images_need_a_network_of_their_own() {
    let folder = tempfile::tempdir().unwrap();
    let refused = |text: &str, expected: &str| {
        std::fs::write(folder.path().join("table.csv"), text).unwrap();
        let output = striate(folder.path(), &["train", "--data-path", "table.csv"]).output().unwrap();
        let text = stderr(&output);
        assert_eq!(code(&output), 2, "{text}");
        assert!(text.lines().last().unwrap().starts_with(expected), "{text}");
        assert!(text.contains("--model FILE.toml"), "{text}");
    };
    let rows = |label: fn(usize) -> String| {
        (0..20).map(|i| format!("{}.5,{},{}\n", i, i % 4, label(i))).collect::<String>()
    };
    refused(
        &rows(|i| (i % 2).to_string()),
        "error: --model: the samples of table are 2 numbers each, not images",
    );
    refused(&rows(|i| format!("{}.25", i)), "error: --model: the labels of table are values, not classes");
}
