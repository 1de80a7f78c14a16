//! TIFF, BMP, WebP and GIF as Pillow and tifffile write them (`tests/fixtures/pictures/kinds`): the pixels are those of a PNG,
//! whatever the file is called. `tests/exchange/pixels.py` compares many more with Pillow.

use super::pictures::read;
use std::fs;
use std::path::{Path, PathBuf};
use striate::data::Decoder;

const SHAPE: [usize; 3] = [3, 9, 13];

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/pictures/kinds")
}

/// Name and path of every file that is not a PNG.
fn files() -> Vec<(String, PathBuf)> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder()).unwrap() {
        let path = entry.unwrap().path();
        if !["png", "py"].iter().any(|other| path.extension().unwrap() == *other) {
            files.push((path.file_name().unwrap().to_str().unwrap().to_string(), path));
        }
    }
    files.sort();
    files
}

/// What comes back from these bytes in a file whose name says nothing true.
fn read_bytes(bytes: &[u8], shape: [usize; 3]) -> Vec<u8> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.jpg");
    fs::write(&path, bytes).unwrap();
    read(&path, shape)
}

#[test]
fn every_kind_is_the_picture_that_it_shows() {
    let files = files();
    assert!(files.len() >= 47, "{} files", files.len());
    for (name, path) in files {
        let picture = name.split(['-', '.']).next().unwrap();
        let expected = read(&folder().join(format!("{picture}.png")), SHAPE);
        let found = read_bytes(&fs::read(&path).unwrap(), SHAPE);
        let worst = found.iter().zip(&expected).map(|(a, b)| a.abs_diff(*b)).max().unwrap();
        let most = match picture {
            "jpeg" | "lossy" => 2,
            // Rounded once in each program, and once more where colours are multiplied by alpha in the file.
            "alpha" | "greyalpha" | "cmyk" => 1,
            _ => 0,
        };
        assert!(worst <= most, "{name}: off by {worst}\n{found:?}\n{expected:?}");
    }
}

#[test]
fn orientation_counts_in_tiff_and_webp_unless_it_is_ignored() {
    let upright = read(&folder().join("rgb.png"), SHAPE);
    for name in ["rgb-turned.tif", "rgb-turned.webp"] {
        let mut stored = vec![0; 3 * 13 * 9];
        Decoder::new().ignoring_exif(true).read(&folder().join(name), [3, 13, 9], &mut stored).unwrap();
        for (at, &expected) in upright.iter().enumerate().take(9 * 13) {
            let (y, x) = (at / 13, at % 13);
            // A quarter to the left: what is on the right comes to the top.
            assert_eq!(stored[(12 - x) * 9 + y], expected, "{name}: {y}, {x}");
        }
    }
}

/// A BMP of bottom-up rows of `bits`, with this palette.
fn bmp(size: [i32; 2], bits: u16, compression: u32, palette: &[[u8; 4]], data: &[u8]) -> Vec<u8> {
    let start = 54 + 4 * palette.len() as u32;
    let mut bytes = b"BM".to_vec();
    bytes.extend([start + data.len() as u32, 0, start, 40].map(u32::to_le_bytes).concat());
    bytes.extend(size.map(i32::to_le_bytes).concat());
    bytes.extend([1, bits].map(u16::to_le_bytes).concat());
    bytes.extend(
        [compression, data.len() as u32, 0, 0, palette.len() as u32, 0].map(u32::to_le_bytes).concat(),
    );
    bytes.extend(palette.concat());
    bytes.extend(data);
    bytes
}

#[test]
fn run_lengths_and_few_bits_of_a_bmp_are_read() {
    // Blue, green, red.
    let palette = [[0, 0, 255, 0], [0, 255, 0, 0], [255, 0, 0, 0]];
    let [red, green, blue] = [[255, 0, 0], [0, 255, 0], [0, 0, 255]];
    let planes =
        |pixels: &[[u8; 3]]| (0..3).flat_map(|c| pixels.iter().map(move |p| p[c])).collect::<Vec<_>>();
    // The lower row: twice blue, green; the upper: three as they are.
    let runs = [2, 2, 1, 1, 0, 0, 0, 3, 0, 1, 2, 0, 0, 1];
    let expected = planes(&[red, green, blue, blue, blue, green]);
    assert_eq!(read_bytes(&bmp([3, 2], 8, 1, &palette, &runs), [3, 2, 3]), expected);
    // The same from the top down, in 16 bits of 5 each.
    let colours: [u16; 3] = [31 << 10, 31 << 5, 31];
    let rows = [[0, 1, 2], [2, 2, 1]]
        .map(|row| [row.map(|c: usize| colours[c].to_le_bytes()).concat(), vec![0; 2]].concat());
    assert_eq!(read_bytes(&bmp([3, -2], 16, 0, &[], &rows.concat()), [3, 2, 3]), expected);
    // The fourth byte of 32 bits is not alpha.
    let rows = [[palette[0], palette[1], palette[2]], [palette[2], palette[2], palette[1]]].concat().concat();
    assert_eq!(read_bytes(&bmp([3, -2], 32, 0, &[], &rows), [3, 2, 3]), expected);
}

#[test]
fn the_first_image_of_a_gif_lies_on_its_canvas() {
    for (name, is_clear) in [("palette.gif", false), ("clear.gif", true)] {
        let mut gif = fs::read(folder().join(name)).unwrap();
        let whole = read_bytes(&gif, SHAPE);
        let first: [u8; 3] = gif[13..16].try_into().unwrap();
        // A canvas of 16x11, the image 2 to the right and 1 down.
        gif[6..10].copy_from_slice(&[16, 0, 11, 0]);
        let at = gif.windows(9).position(|nine| nine == [0x2c, 0, 0, 0, 0, 13, 0, 9, 0]).unwrap();
        gif[at + 1..at + 5].copy_from_slice(&[2, 0, 1, 0]);
        let found = read_bytes(&gif, [3, 11, 16]);
        for (at, value) in found.iter().enumerate() {
            let (c, y, x) = (at / 176, at / 16 % 11, at % 16);
            let around = if is_clear { 255 } else { first[c] };
            let inside = (1..10).contains(&y) && (2..15).contains(&x);
            let expected = if inside { whole[c * 117 + (y - 1) * 13 + x - 2] } else { around };
            assert_eq!(*value, expected, "{name}: channel {c}, {y}, {x}");
        }
    }
}

/// What is said of these bytes.
fn refusal(bytes: &[u8]) -> String {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.tif");
    fs::write(&path, bytes).unwrap();
    let error = Decoder::new().read(&path, [3, 2, 2], &mut [0; 12]).unwrap_err();
    assert_eq!(error.exit_code(), 4);
    let text = error.to_string();
    text.strip_prefix(path.to_str().unwrap()).unwrap_or_else(|| panic!("{text}")).into()
}

#[test]
fn tiffs_that_are_not_read_say_what_they_are() {
    let sound = fs::read(folder().join("rgb.tif")).unwrap();
    // The first directory is at byte 8, with entries of 12 bytes behind their number.
    let with = |tag: u16, value: u16| {
        let mut bytes = sound.clone();
        let at = (10..).step_by(12).find(|&at| bytes[at..at + 2] == tag.to_le_bytes()).unwrap();
        bytes[at + 2..at + 10].copy_from_slice(&[
            3,
            0,
            1,
            0,
            0,
            0,
            value.to_le_bytes()[0],
            value.to_le_bytes()[1],
        ]);
        refusal(&bytes)
    };
    for (tag, value, part) in [
        (259, 50_000, "found Zstandard (compression 50000); rewrite it"),
        (259, 3, "found Group 3 fax"),
        (262, 8, "photometric interpretation 8"),
        (277, 5, "at most one sample behind the colours, found 2"),
        (277, 2, "2 samples for 3 colours"),
        (258, 32, "1, 2, 4, 8 or 16 bits"),
        (258, 4, "8 bits for each sample"),
        (256, 0, "at least one pixel"),
        (256, 60_000, "a file of this length holds at most"),
        (273, 4, "begins in the header"),
    ] {
        let text = with(tag, value);
        assert!(text.contains(part), "tag {tag} as {value}: {text}");
    }
}
