//! Images of any size are resized and cut as torchvision does it: sizes and offsets are equal, pixels within 1 of 255.
//! `tests/fixtures/geometry/make.py` has asked torchvision.

use image::{GrayImage, RgbImage};
use safetensors::SafeTensors;
use serde_json::Value;
use std::path::Path;
use striate::data::{Decoder, Draws, Frame, Framing, Placement, Region};

const SIZES: &str = include_str!("../fixtures/geometry/sizes.json");
const PIXELS: &[u8] = include_bytes!("../fixtures/geometry/pixels.safetensors");

fn numbers(value: &Value) -> Vec<usize> {
    value.as_array().unwrap().iter().map(|n| n.as_u64().unwrap() as usize).collect()
}

fn number(value: &Value) -> usize {
    value.as_u64().unwrap() as usize
}

fn cases() -> Vec<Value> {
    let all: Value = serde_json::from_str(SIZES).unwrap();
    let cases = all["cases"].as_array().unwrap().clone();
    assert_eq!(cases.len(), 40);
    cases
}

/// The image of that size, as `make.py` has it.
fn picture(width: u32, height: u32) -> RgbImage {
    RgbImage::from_fn(width, height, |x, y| {
        let value =
            |c: u32| (((3 * x * x + 5 * y * y + 7 * x * y + 85 * c + x * y % 13 * 20) >> 1) & 255) as u8;
        image::Rgb([value(0), value(1), value(2)])
    })
}

/// No window of four times the area fits.
fn falls_back(ratio: [f32; 2]) -> Framing {
    Framing::RandomResized { scale: [4.0; 2], ratio, draws: draws(0) }
}

fn draws(sample: u32) -> Draws {
    Draws { seed: 5, epoch: 3, sample }
}

fn only(frame: Frame, size: [usize; 2]) -> Placement {
    let placements = frame.placements(size);
    assert_eq!(placements.len(), 1);
    placements[0]
}

#[test]
fn sizes_and_offsets_are_torchvisions() {
    for case in cases() {
        let [width, height] = numbers(&case["size"])[..] else { panic!("{case}") };
        let size = [width, height];
        let source = Region { left: 0, top: 0, width, height };
        for row in case["crops"].as_array().unwrap() {
            let (resize, crop) = (number(&row["resize"]), number(&row["crop"]));
            let (resized, centre) = (numbers(&row["resized"]), numbers(&row["centre"]));
            let what = format!("{size:?} {resize} {crop}");
            let shape = [3, crop, crop];
            let placed = only(Frame { shape, framing: Framing::Centre { resize: Some(resize) } }, size);
            let cut = Region { left: centre[0], top: centre[1], width: crop, height: crop };
            let expected = Placement { source, resized: [resized[0], resized[1]], cut };
            assert_eq!(placed, expected, "{what}");
            // TenCrop: the corners of all of it, the middle, and the middle of its mirror image.
            let framing = Framing::Ten { resize };
            let ten = Frame { shape: [3, 6 * crop, crop], framing }.placements(size);
            let (right, bottom) = (resized[0] - crop, resized[1] - crop);
            let corners = [
                [0, 0],
                [right, 0],
                [0, bottom],
                [right, bottom],
                [centre[0], centre[1]],
                [right - centre[0], centre[1]],
            ];
            assert_eq!(ten.len(), 6);
            for (placed, [left, top]) in ten.iter().zip(corners) {
                assert_eq!(*placed, Placement { cut: Region { left, top, ..cut }, ..expected }, "{what}");
            }
            // A square with surroundings has the same middle.
            let around = Framing::Around { resize, crop: [crop; 2] };
            let placed = only(Frame { shape: [3, resize, resize], framing: around }, size).cut;
            let inside = ((resize - crop) as f64 / 2.0).round_ties_even() as usize;
            assert_eq!([placed.left + inside, placed.top + inside], [centre[0], centre[1]], "{what}");
            assert!(placed.left + resize <= resized[0] && placed.top + resize <= resized[1], "{what}");
        }
        for row in case["fallback"].as_array().unwrap() {
            let ratio = [0, 1].map(|n| row["ratio"][n].as_f64().unwrap() as f32);
            let [left, top, width, height] = ["left", "top", "width", "height"].map(|key| number(&row[key]));
            let placed = only(Frame { shape: [3, 8, 8], framing: falls_back(ratio) }, size);
            assert_eq!(placed.source, Region { left, top, width, height }, "{size:?} {ratio:?}");
            assert_eq!(placed.resized, [8, 8]);
        }
    }
}

#[test]
fn without_a_resize_the_picture_just_covers_the_frame() {
    for case in cases() {
        let [width, height] = numbers(&case["size"])[..] else { panic!("{case}") };
        for shape in [[3, 32, 32], [1, 20, 33], [3, 33, 20], [3, 1, 9]] {
            let Placement { resized: [across, down], cut, .. } =
                only(Frame::covering(shape), [width, height]);
            assert!(across >= shape[2] && down >= shape[1], "{width}x{height} {shape:?}: {across}x{down}");
            // One less would not cover it.
            let side = across.min(down) - 1;
            let less =
                if width <= height { [side, side * height / width] } else { [side * width / height, side] };
            assert!(less[0] < shape[2] || less[1] < shape[1], "{width}x{height} {shape:?}: {less:?} covers");
            assert_eq!([cut.height, cut.width], [shape[1], shape[2]]);
        }
    }
}

fn within_one(found: &[u8], expected: &[u8], what: &str) -> u8 {
    assert_eq!(found.len(), expected.len(), "{what}");
    let worst = found.iter().zip(expected).map(|(a, b)| a.abs_diff(*b)).max().unwrap();
    assert!(worst <= 1, "{what}: off by {worst}\n{found:?}\n{expected:?}");
    worst
}

fn read(path: &Path, frame: Frame) -> Vec<u8> {
    let mut into = vec![0; frame.shape.iter().product()];
    Decoder::new().read_framed(path, &frame, &mut into).unwrap();
    into
}

#[test]
fn pixels_are_within_one_of_torchvisions() {
    let folder = tempfile::tempdir().unwrap();
    let tensors = SafeTensors::deserialize(PIXELS).unwrap();
    let (resize, crop) = (10, 8);
    let centre = Framing::Centre { resize: Some(resize) };
    for case in cases() {
        let [width, height] = numbers(&case["size"])[..] else { panic!("{case}") };
        let path = folder.path().join(format!("{width}x{height}.png"));
        picture(width as u32, height as u32).save(&path).unwrap();
        let kinds = [
            ("colour.centre", [3, crop, crop], centre),
            ("grey.centre", [1, crop, crop], centre),
            ("colour.ten", [3, 6 * crop, crop], Framing::Ten { resize }),
            ("colour.window", [3, crop, crop], falls_back([2.0, 3.0])),
        ];
        for (kind, shape, framing) in kinds {
            let name = format!("{width}x{height}.{kind}");
            let expected = tensors.tensor(&name).unwrap();
            assert_eq!(expected.shape(), shape, "{name}");
            within_one(&read(&path, Frame { shape, framing }), expected.data(), &name);
        }
        // A grey file in colour has three equal planes, as `convert("RGB")` makes them.
        let grey = image::DynamicImage::from(picture(width as u32, height as u32));
        let luma = |rgb: &image::Rgb<u8>| {
            let [r, g, b] = rgb.0.map(u32::from);
            image::Luma([((19595 * r + 38470 * g + 7471 * b + 0x8000) >> 16) as u8])
        };
        let grey = grey.into_rgb8();
        let grey = GrayImage::from_fn(grey.width(), grey.height(), |x, y| luma(grey.get_pixel(x, y)));
        let path = folder.path().join("grey.png");
        grey.save(&path).unwrap();
        let name = format!("{width}x{height}.grey.centre");
        let expected = tensors.tensor(&name).unwrap().data().repeat(3);
        within_one(&read(&path, Frame { shape: [3, crop, crop], framing: centre }), &expected, &name);
    }
}

/// Pillow's bilinear `resize`, by the dumbest loops (libImaging/Resample.c, 8 bits per channel): rows, then columns, each
/// rounded to bytes. Pillow 13 takes the columns of some images first (`columns_first`), which moves a value by 1.
fn pillow(image: &RgbImage, [width, height]: [usize; 2], columns_first: bool) -> RgbImage {
    if columns_first {
        return pillow(&pillow(image, [image.width() as usize, height], false), [width, height], false);
    }
    let weights = |from: usize, to: usize| -> Vec<Vec<(usize, i64)>> {
        let scale = from as f64 / to as f64;
        let wide = scale.max(1.0);
        let row = |place: usize| {
            let centre = (place as f64 + 0.5) * scale;
            let first = (centre - wide + 0.5).max(0.0) as usize;
            let end = ((centre + wide + 0.5) as usize).min(from);
            let weight = |x: usize| (1.0 - ((x as f64 - centre + 0.5) / wide).abs()).max(0.0);
            let sum: f64 = (first..end).map(weight).sum();
            (first..end).map(|x| (x, (weight(x) / sum * f64::from(1 << 22)).round() as i64)).collect()
        };
        (0..to).map(row).collect()
    };
    let byte = |sum: i64| ((sum + (1 << 21)) >> 22).clamp(0, 255) as u8;
    let sum = |weights: &[(usize, i64)], at: &dyn Fn(usize) -> image::Rgb<u8>| {
        image::Rgb([0, 1, 2].map(|c| byte(weights.iter().map(|&(x, w)| w * i64::from(at(x).0[c])).sum())))
    };
    let (w, h) = (image.width() as usize, image.height() as usize);
    let mut image = image.clone();
    if w != width {
        let weights = weights(w, width);
        image = RgbImage::from_fn(width as u32, h as u32, |x, y| {
            sum(&weights[x as usize], &|from| *image.get_pixel(from as u32, y))
        });
    }
    if h != height {
        let weights = weights(h, height);
        image = RgbImage::from_fn(width as u32, height as u32, |x, y| {
            sum(&weights[y as usize], &|from| *image.get_pixel(x, from as u32))
        });
    }
    image
}

/// `placement` of `image`, carried out step by step: crop, resize, crop.
fn carried_out(image: &RgbImage, placement: Placement) -> Vec<u8> {
    in_order(image, placement, false)
}

fn in_order(image: &RgbImage, Placement { source, resized, cut }: Placement, columns_first: bool) -> Vec<u8> {
    let crop = |image: &RgbImage, part: Region| {
        let [left, top, width, height] = [part.left, part.top, part.width, part.height].map(|n| n as u32);
        image::imageops::crop_imm(image, left, top, width, height).to_image()
    };
    let shown = crop(&pillow(&crop(image, source), resized, columns_first), cut);
    (0..3).flat_map(|c| shown.pixels().map(move |pixel| pixel.0[c]).collect::<Vec<_>>()).collect()
}

#[test]
fn the_loops_of_this_test_are_pillow() {
    let tensors = SafeTensors::deserialize(PIXELS).unwrap();
    let mut swapped = 0;
    for case in cases() {
        let [width, height] = numbers(&case["size"])[..] else { panic!("{case}") };
        let centre = Frame { shape: [3, 8, 8], framing: Framing::Centre { resize: Some(10) } };
        let window = Frame { shape: [3, 8, 8], framing: falls_back([2.0, 3.0]) };
        for (kind, frame) in [("centre", centre), ("window", window)] {
            let name = format!("{width}x{height}.colour.{kind}");
            let image = picture(width as u32, height as u32);
            let placement = only(frame, [width, height]);
            let found = [false, true].map(|columns_first| in_order(&image, placement, columns_first));
            let expected = tensors.tensor(&name).unwrap();
            let is_one = found.iter().any(|found| found == expected.data());
            assert!(is_one, "{name}: {found:?}\n{:?}", expected.data());
            swapped += usize::from(found[0] != expected.data());
        }
    }
    assert!(swapped <= 4, "{swapped} of 80 pictures had their columns first");
}

#[test]
fn random_crops_show_exactly_what_was_drawn() {
    let folder = tempfile::tempdir().unwrap();
    let (mut equal, mut all) = (0, 0);
    for (width, height) in [(160, 107), (107, 160), (90, 20), (33, 70), (48, 48), (5, 3)] {
        let path = folder.path().join("a.png");
        let image = picture(width, height);
        image.save(&path).unwrap();
        for sample in 0..25 {
            let draws = draws(sample);
            let resized = Framing::RandomResized { scale: [0.08, 1.0], ratio: [0.75, 1.3333333], draws };
            for framing in [resized, Framing::Random { resize: 36, draws }] {
                let frame = Frame { shape: [3, 32, 29], framing };
                let expected = carried_out(&image, only(frame, [width as usize, height as usize]));
                let found = read(&path, frame);
                within_one(&found, &expected, &format!("{width}x{height} {framing:?}"));
                equal += found.iter().zip(&expected).filter(|(a, b)| a == b).count();
                all += found.len();
            }
        }
    }
    println!("{equal} of {all} bytes are Pillow's, the others are off by one");
    assert!(equal > all / 4 * 3, "{equal} of {all}");
}

#[test]
fn a_turned_picture_is_framed_as_its_upright_self() {
    let folder = tempfile::tempdir().unwrap();
    let upright = picture(61, 40);
    // EXIF 2.32, tag 274: how each orientation is stored.
    use image::imageops::{flip_horizontal, flip_vertical, rotate90, rotate180, rotate270};
    let stored = [
        upright.clone(),
        flip_horizontal(&upright),
        rotate180(&upright),
        flip_vertical(&upright),
        flip_horizontal(&rotate90(&upright)),
        rotate270(&upright),
        flip_horizontal(&rotate270(&upright)),
        rotate90(&upright),
    ];
    let mut frames = vec![
        Frame { shape: [3, 24, 24], framing: Framing::Centre { resize: Some(30) } },
        Frame { shape: [3, 48, 8], framing: Framing::Ten { resize: 17 } },
        Frame { shape: [3, 50, 70], framing: Framing::Square },
    ];
    for sample in 0..6 {
        let draws = draws(sample);
        frames.push(Frame { shape: [3, 20, 26], framing: Framing::Random { resize: 31, draws } });
        let framing = Framing::RandomResized { scale: [0.08, 1.0], ratio: [0.5, 2.0], draws };
        frames.push(Frame { shape: [3, 20, 26], framing });
    }
    for (orientation, stored) in (1..).zip(&stored) {
        let path = folder.path().join(format!("{orientation}.png"));
        let mut bytes = Vec::new();
        let mut encoder = image::codecs::png::PngEncoder::new(&mut bytes);
        let exif = [b"MM\0\x2a\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0", &[orientation][..], &[0; 6]];
        image::ImageEncoder::set_exif_metadata(&mut encoder, exif.concat()).unwrap();
        stored.write_with_encoder(encoder).unwrap();
        std::fs::write(&path, bytes).unwrap();
        for frame in &frames {
            let what = format!("orientation {orientation}, {frame:?}");
            let expected: Vec<_> =
                frame.placements([61, 40]).into_iter().map(|placed| carried_out(&upright, placed)).collect();
            // Region by part, plane by plane.
            let planes = (0..3).flat_map(|c| {
                expected.iter().flat_map(move |part| part.chunks(part.len() / 3).nth(c).unwrap())
            });
            within_one(&read(&path, *frame), &planes.copied().collect::<Vec<_>>(), &what);
            // Left alone, it is the image that is stored.
            let mut found = vec![0; frame.shape.iter().product()];
            Decoder::new().ignoring_exif(true).read_framed(&path, frame, &mut found).unwrap();
            stored.save(folder.path().join("plain.png")).unwrap();
            assert_eq!(found, read(&folder.path().join("plain.png"), *frame), "{what}");
        }
    }
}

#[test]
fn random_resized_crops_see_the_sides_of_a_photograph_as_often_as_torchvisions() {
    // How often a window leaves the middle square: 20,000 windows of torchvision 0.29.2, seed 0, default scale and ratio.
    for (size, expected) in
        [([600, 400], 0.7086), ([400, 600], 0.7039), ([1200, 400], 0.9140), ([500, 375], 0.6236)]
    {
        const COUNT: u32 = 20_000;
        let square = size[0].min(size[1]);
        let (left, top) = ((size[0] - square) / 2, (size[1] - square) / 2);
        let mut beyond = 0;
        let (mut area, mut middle) = (0.0, [0.0; 2]);
        for sample in 0..COUNT {
            let framing =
                Framing::RandomResized { scale: [0.08, 1.0], ratio: [0.75, 1.3333333], draws: draws(sample) };
            let part = only(Frame { shape: [3, 224, 224], framing }, size).source;
            assert!(part.left + part.width <= size[0] && part.top + part.height <= size[1], "{part:?}");
            let is_beyond = part.left < left
                || part.top < top
                || part.left + part.width > left + square
                || part.top + part.height > top + square;
            beyond += u32::from(is_beyond);
            area += (part.width * part.height) as f64 / (size[0] * size[1]) as f64;
            middle[0] += (part.left as f64 + part.width as f64 / 2.0) / size[0] as f64;
            middle[1] += (part.top as f64 + part.height as f64 / 2.0) / size[1] as f64;
        }
        let of = |sum: f64| sum / f64::from(COUNT);
        // Four standard deviations of the difference of two such shares.
        let error = 4.0 * (2.0 * expected * (1.0 - expected) / f64::from(COUNT)).sqrt();
        assert!((of(beyond.into()) - expected).abs() < error, "{size:?}: {}", of(beyond.into()));
        assert!(middle.iter().all(|&sum| (of(sum) - 0.5).abs() < 0.008), "{size:?}: {middle:?}");
        // Mean area of torchvision's windows of these images.
        let mean = if size[0].max(size[1]) == 1200 {
            0.2232
        } else if square == 375 {
            0.4348
        } else {
            0.390
        };
        assert!((of(area) - mean).abs() < 0.008, "{size:?}: {}", of(area));
    }
}
