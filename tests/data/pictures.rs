//! Image files: every format of pixels becomes the bytes that it stands for, upright, at the size that is asked for.

use image::codecs::jpeg::JpegEncoder;
use image::{DynamicImage, GrayAlphaImage, GrayImage, ImageBuffer, ImageEncoder, Luma, RgbImage, RgbaImage};
use std::path::{Path, PathBuf};
use striate::data::{Decoder, Frame, Framing};
use striate::random::{Purpose, Stream};

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/pictures").join(name)
}

pub fn read(path: &Path, shape: [usize; 3]) -> Vec<u8> {
    let mut into = vec![7; shape.iter().product()];
    Decoder::new().read(path, shape, &mut into).unwrap();
    into
}

/// What comes back from `picture` written as a PNG.
fn through_png(picture: impl Into<DynamicImage>, shape: [usize; 3]) -> Vec<u8> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.png");
    picture.into().save(&path).unwrap();
    read(&path, shape)
}

fn assert_near(found: &[u8], expected: &[u8], tolerance: u8, case: &str) {
    assert_eq!(found.len(), expected.len(), "{case}");
    let worst = found.iter().zip(expected).map(|(a, b)| a.abs_diff(*b)).max().unwrap();
    assert!(worst <= tolerance, "{case}: off by {worst}\n{found:?}\n{expected:?}");
}

fn noise(len: usize, seed: u32) -> Vec<u8> {
    let mut stream = Stream::new(7, Purpose::Synthetic, seed);
    (0..len).map(|_| stream.next_u32() as u8).collect()
}

#[test]
fn colours_become_planes_and_grey_and_colour_become_each_other() {
    let rgb = RgbImage::from_raw(2, 1, vec![255, 0, 10, 100, 200, 30]).unwrap();
    assert_eq!(through_png(rgb.clone(), [3, 1, 2]), [255, 100, 0, 200, 10, 30]);
    // 0.299 r + 0.587 g + 0.114 b: 77.4 and 150.7.
    assert_eq!(through_png(rgb, [1, 1, 2]), [77, 151]);
    let grey = GrayImage::from_raw(2, 1, vec![3, 250]).unwrap();
    assert_eq!(through_png(grey.clone(), [1, 1, 2]), [3, 250]);
    assert_eq!(through_png(grey, [3, 1, 2]), [3, 250, 3, 250, 3, 250]);
}

#[test]
fn transparent_pixels_lie_on_white() {
    let rgba = RgbaImage::from_raw(3, 1, vec![9, 9, 9, 0, 0, 100, 255, 255, 0, 200, 255, 102]).unwrap();
    // 40 % of the colour and 60 % of white.
    assert_eq!(through_png(rgba, [3, 1, 3]), [255, 0, 153, 255, 100, 233, 255, 255, 255]);
    let grey = GrayAlphaImage::from_raw(3, 1, vec![50, 255, 50, 0, 50, 51]).unwrap();
    assert_eq!(through_png(grey, [1, 1, 3]), [50, 255, 214]);
}

#[test]
fn sixteen_bits_are_rounded_to_eight() {
    let values = vec![0u16, 128, 129, 257, 65535, 65406, 30000, 12345];
    let expected: Vec<_> = values.iter().map(|&v| (f64::from(v) / 257.0).round() as u8).collect();
    let grey = ImageBuffer::<Luma<u16>, _>::from_raw(8, 1, values.clone()).unwrap();
    assert_eq!(through_png(grey, [1, 1, 8]), expected);
    let rgba =
        ImageBuffer::<image::Rgba<u16>, _>::from_raw(2, 1, vec![0, 514, 65535, 65535, 1, 2, 3, 0]).unwrap();
    assert_eq!(through_png(rgba, [3, 1, 2]), [0, 255, 2, 255, 255, 255]);
}

#[test]
fn palettes_and_few_bits_are_looked_up() {
    // The last colour is transparent, the third half: 128 of 255.
    let (upper, lower) = ([[255, 0, 0], [0, 255, 0], [127, 127, 255], [255; 3]], 4);
    let found = read(&fixture("palette.png"), [3, 2, 4]);
    for c in 0..3 {
        for (x, colour) in upper.iter().enumerate() {
            assert_eq!(found[c * 8 + x], colour[c], "row 0, column {x}, channel {c}");
            assert_eq!(found[c * 8 + lower + 3 - x], colour[c], "row 1, column {}, channel {c}", 3 - x);
        }
    }
    let bits = read(&fixture("grey1.png"), [1, 2, 8]);
    assert_eq!(bits, [0, 255, 0, 255, 0, 255, 0, 255, 255, 255, 255, 255, 255, 255, 255, 255]);
    let nibbles: Vec<_> = (0..16).map(|i| 17 * i).collect();
    assert_eq!(read(&fixture("grey4.png"), [1, 1, 16]), nibbles);
}

#[test]
fn cmyk_and_ycck_become_the_colours_that_print() {
    let inks = [[0, 0, 0, 0], [255, 0, 0, 51], [0, 255, 128, 0], [40, 80, 120, 160]];
    for name in ["cmyk.jpg", "ycck.jpg"] {
        let found = read(&fixture(name), [3, 32, 32]);
        for (quadrant, ink) in inks.iter().enumerate() {
            let (y, x) = (8 + 16 * (quadrant / 2), 8 + 16 * (quadrant % 2));
            let found: Vec<_> = (0..3).map(|c| found[c * 1024 + y * 32 + x]).collect();
            let colour: Vec<_> = (0..3).map(|c| ((255 - ink[c]) * (255 - ink[3]) / 255) as u8).collect();
            assert_near(&found, &colour, 2, &format!("{name}, quadrant {quadrant}"));
        }
    }
}

/// A smooth image, 32 wide and 24 high, in planes.
fn ramp() -> Vec<u8> {
    let colours: [fn(usize, usize) -> usize; 3] = [|_, x| 8 * x, |y, _| 10 * y, |y, x| 4 * x + 5 * y];
    colours
        .iter()
        .flat_map(|colour| (0..24).flat_map(move |y| (0..32).map(move |x| colour(y, x) as u8)))
        .collect()
}

fn interleaved(planes: &[u8]) -> Vec<u8> {
    let plane = planes.len() / 3;
    (0..planes.len()).map(|i| planes[i % 3 * plane + i / 3]).collect()
}

#[test]
fn jpegs_are_what_was_put_in_whatever_their_name() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a jpeg called.png");
    let mut bytes = Vec::new();
    let encoder = JpegEncoder::new_with_quality(&mut bytes, 95);
    encoder.write_image(&interleaved(&ramp()), 32, 24, image::ExtendedColorType::Rgb8).unwrap();
    std::fs::write(&path, &bytes).unwrap();
    assert_near(&read(&path, [3, 24, 32]), &ramp(), 8, "baseline");
    assert_near(&read(&fixture("progressive.jpg"), [3, 24, 32]), &ramp(), 12, "progressive");
    let mut bytes = Vec::new();
    let grey: Vec<_> = (0..24 * 32).map(|i| (8 * (i % 32)) as u8).collect();
    JpegEncoder::new_with_quality(&mut bytes, 95)
        .write_image(&grey, 32, 24, image::ExtendedColorType::L8)
        .unwrap();
    std::fs::write(&path, &bytes).unwrap();
    assert_near(&read(&path, [1, 24, 32]), &grey, 4, "grey");
    // A decoder that has seen one image reads the next as if it were new.
    let mut decoder = Decoder::new();
    let mut again = vec![0; 3 * 24 * 32];
    for name in ["cmyk.jpg", "palette.png", "progressive.jpg"] {
        decoder.read(&fixture(name), [3, 24, 32], &mut again).unwrap();
    }
    assert_eq!(again, read(&fixture("progressive.jpg"), [3, 24, 32]));
}

/// An EXIF block with one entry, the orientation.
fn exif(orientation: u8) -> Vec<u8> {
    let tiff =
        [b"MM\0\x2a\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0", &[orientation][..], b"\0\0\0\0\0\0"].concat();
    [b"\xff\xe1\0", &[tiff.len() as u8 + 8][..], b"Exif\0\0", &tiff].concat()
}

#[test]
fn pictures_are_turned_upright() {
    let folder = tempfile::tempdir().unwrap();
    // Two rows of three blocks of 8x8, each of one grey.
    let grey: Vec<_> = (0..16 * 24).map(|i| (40 * (i / 24 / 8 * 3 + i % 24 / 8)) as u8).collect();
    let mut bytes = Vec::new();
    JpegEncoder::new_with_quality(&mut bytes, 100)
        .write_image(&grey, 24, 16, image::ExtendedColorType::L8)
        .unwrap();
    // Where the file's first row and first column are seen (EXIF 2.32, tag 274).
    let sides = [
        "top left",
        "top right",
        "bottom right",
        "bottom left",
        "left top",
        "right top",
        "right bottom",
        "left bottom",
    ];
    for (orientation, sides) in (1..).zip(sides) {
        let path = folder.path().join(format!("{orientation}.jpg"));
        std::fs::write(&path, [&bytes[..2], &exif(orientation), &bytes[2..]].concat()).unwrap();
        let turned = sides.starts_with("left") || sides.starts_with("right");
        let (height, width) = if turned { (24, 16) } else { (16, 24) };
        let mut expected = vec![0; 6];
        for row in 0..2 {
            for column in 0..3 {
                let (mut y, mut x) = (0, 0);
                for (side, (index, count)) in sides.split(' ').zip([(row, 2), (column, 3)]) {
                    match side {
                        "top" => y = index,
                        "bottom" => y = count - 1 - index,
                        "left" => x = index,
                        _ => x = count - 1 - index,
                    }
                }
                expected[y * (width / 8) + x] = (40 * (row * 3 + column)) as u8;
            }
        }
        let found = read(&path, [1, height, width]);
        let corners: Vec<_> =
            (0..6).map(|i| found[(i / (width / 8) * 8 + 4) * width + i % (width / 8) * 8 + 4]).collect();
        assert_near(&corners, &expected, 1, &format!("orientation {orientation}"));
        // Resizing an image that lies on its side comes to the same.
        let half = read(&path, [1, height / 2, width / 2]);
        let centres: Vec<_> =
            (0..6).map(|i| half[(i / (width / 8) * 4 + 2) * width / 2 + i % (width / 8) * 4 + 2]).collect();
        assert_near(&centres, &expected, 12, &format!("orientation {orientation}, half the size"));
    }
}

/// Antialiased bilinear resizing of one plane, cover and centre crop, in f64 straight from the definition: each output
/// pixel is the mean of the source under a triangle as wide as two output pixels (at least two source pixels).
fn resized(plane: &[u8], (height, width): (usize, usize), (to_height, to_width): (usize, usize)) -> Vec<u8> {
    let scale = (height as f64 / to_height as f64).min(width as f64 / to_width as f64);
    let weights = |size: usize, to: usize, index: usize| -> Vec<f64> {
        let centre = (size as f64 - to as f64 * scale) / 2.0 + (index as f64 + 0.5) * scale;
        let reach = scale.max(1.0);
        let weight = |i: usize| (1.0 - ((i as f64 + 0.5 - centre) / reach).abs()).max(0.0);
        let sum: f64 = (0..size).map(weight).sum();
        (0..size).map(|i| weight(i) / sum).collect()
    };
    let mut out = Vec::new();
    for y in 0..to_height {
        let rows = weights(height, to_height, y);
        for x in 0..to_width {
            let columns = weights(width, to_width, x);
            let mut sum = 0.0;
            for (r, row) in rows.iter().enumerate() {
                for (c, column) in columns.iter().enumerate() {
                    sum += row * column * f64::from(plane[r * width + c]);
                }
            }
            out.push(sum.round() as u8);
        }
    }
    out
}

/// What comes back from `picture` written as a PNG, by the rules from before geometry version 2.
fn covered(picture: impl Into<DynamicImage>, shape: [usize; 3]) -> Vec<u8> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.png");
    picture.into().save(&path).unwrap();
    let mut into = vec![7; shape.iter().product()];
    Decoder::new().read_framed(&path, &Frame { shape, framing: Framing::Covered }, &mut into).unwrap();
    into
}

/// Weights and runs from before geometry version 2 mean this; `framing.rs` has today's rules.
#[test]
fn the_old_rules_cover_the_wanted_size_and_cut_around_the_centre() {
    let sizes = [
        ((23, 37), (8, 8)),
        ((37, 23), (10, 16)),
        ((5, 4), (16, 9)),
        ((40, 40), (20, 20)),
        ((9, 31), (9, 9)),
        ((1, 300), (4, 4)),
        ((1, 1), (3, 5)),
        ((64, 3), (7, 2)),
    ];
    for (seed, (from, to)) in (0..).zip(sizes) {
        let plane = noise(from.0 * from.1, seed);
        let expected = resized(&plane, from, to);
        let grey = GrayImage::from_raw(from.1 as u32, from.0 as u32, plane.clone()).unwrap();
        assert_near(&covered(grey, [1, to.0, to.1]), &expected, 2, &format!("{from:?} to {to:?}, grey"));
        let other = noise(plane.len(), 100 + seed);
        let rgb: Vec<_> = plane.iter().zip(&other).flat_map(|(&a, &b)| [a, b, 255 - a]).collect();
        let rgb = RgbImage::from_raw(from.1 as u32, from.0 as u32, rgb).unwrap();
        let found = covered(rgb, [3, to.0, to.1]);
        let planes: Vec<_> = found.chunks(to.0 * to.1).collect();
        assert_near(planes[0], &expected, 2, &format!("{from:?} to {to:?}, red"));
        assert_near(planes[1], &resized(&other, from, to), 2, &format!("{from:?} to {to:?}, green"));
    }
}

/// Images of other types are often named .jpg; the error says what they are.
#[test]
fn images_of_other_types_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.jpg");
    for (start, kind) in [
        (&b"\0\0\0\x20ftypavif"[..], "an AVIF image"),
        (b"\0\0\0\x18ftypheic", "a HEIC image"),
        (b"\0\0\0\x18ftypisom", "a video"),
        (b"\xff\x0a\xfa\x7f", "a JPEG XL image"),
        (b"8BPS\0\x01", "a Photoshop image"),
        (b"P6\n2 2\n255\n", "a PBM, PGM or PPM image"),
        (b"%PDF-1.7", "a PDF document"),
        (b"<?xml version='1.0'?><svg xmlns=''>", "an SVG image"),
        (b"<svg xmlns=''>", "an SVG image"),
        (
            b"version https://git-lfs.github.com/spec/v1\n",
            "a pointer of Git LFS in the place of the file (`git lfs pull` fetches it)",
        ),
        (b"PK\x03\x04", "a ZIP archive"),
        (b"<!DOCTYPE html>", "a text in HTML or XML"),
        (b"RIFF\x24\0\0\0WAVE", "a file that begins 52 49 46 46"),
    ] {
        std::fs::write(&path, start).unwrap();
        let error = Decoder::new().read(&path, [3, 2, 2], &mut [0; 12]).unwrap_err();
        let end = format!("expected a JPEG, PNG, TIFF, BMP, WebP or GIF image, found {kind}");
        assert!(error.to_string().ends_with(&end), "{error}");
        assert_eq!(error.exit_code(), 4);
    }
}
