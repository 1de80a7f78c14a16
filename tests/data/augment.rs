//! Each draw has the range and the mean that it says, follows from seed, epoch and sample, and leaves the others alone.

use std::sync::Arc;
use striate::data::{Augmenter, Dataset, Images, InputTransform, Labels, Loader, LoaderOptions, Transform};
use striate::view::{Augment, Crop, LUMA, PIXEL, Principal, View};

const STORED: [usize; 3] = [3, 256, 256];
const INPUT: [usize; 3] = [3, 224, 224];
const SAMPLES: u32 = 4000;

fn viewer_of(stored: [usize; 3], input: [usize; 3], augment: Augment) -> Augmenter {
    Augmenter::new(stored, input, &Transform::default().with_resize(Some(256)).with_augment(augment)).unwrap()
}

fn augmenter(augment: Augment) -> Augmenter {
    viewer_of(STORED, INPUT, augment)
}

fn none() -> Augment {
    Augment::default()
}

/// The views of many samples of a grey image.
fn views(augmenter: &Augmenter, seed: u64, epoch: u32) -> Vec<View> {
    let picture = vec![100; STORED.iter().product()];
    (0..SAMPLES).map(|sample| augmenter.draw(seed, epoch, sample, &picture)).collect()
}

/// Fails unless the numbers lie in [low, high], reach near both ends, and have about the mean of a uniform draw.
#[track_caller]
fn assert_uniform(values: &[f64], low: f64, high: f64) {
    let (least, most) =
        (values.iter().copied().fold(f64::MAX, f64::min), values.iter().copied().fold(f64::MIN, f64::max));
    let width = high - low;
    assert!(least >= low - 1e-6 && least < low + 0.02 * width, "least {least} of [{low}, {high}]");
    assert!(most <= high + 1e-6 && most > high - 0.02 * width, "most {most} of [{low}, {high}]");
    let mean = values.iter().sum::<f64>() / values.len() as f64;
    // Four standard deviations of the mean.
    let error = 4.0 * width / 12f64.sqrt() / (values.len() as f64).sqrt();
    assert!((mean - (low + high) / 2.0).abs() < error, "mean {mean} of [{low}, {high}]");
    // Neighbours know nothing of each other.
    let covariance: f64 = values.windows(2).map(|w| (w[0] - mean) * (w[1] - mean)).sum();
    let variance: f64 = values.iter().map(|v| (v - mean) * (v - mean)).sum();
    assert!((covariance / variance).abs() < 0.07, "correlation {}", covariance / variance);
}

#[test]
fn evaluation_sees_the_middle_and_a_picture_of_the_resized_size_pixel_by_pixel() {
    let plain = augmenter(none()).plain();
    assert_eq!((plain.x, plain.y), ([65536, 0, 16 << 16], [0, 65536, 16 << 16]));
    assert_eq!((plain.recolour, plain.cut), (0, [0; 4]));
    // 32 x 32 pixels taken for 256 x 256: a window of 28 x 28, an eighth of a pixel per step.
    let small = viewer_of([3, 32, 32], INPUT, none()).plain();
    assert_eq!(small.x[0], 8192);
    assert_eq!(f64::from(small.x[2]) / PIXEL, 2.0 + 0.5 / 8.0 - 0.5);
    // Without resize, the whole image.
    let same = Augmenter::new(INPUT, INPUT, &Transform::default()).unwrap().plain();
    assert_eq!((same.x, same.y), ([65536, 0, 0], [0, 65536, 0]));
    // An odd rest is divided as torchvision's CenterCrop does it: 33 / 2 is 16, 35 / 2 is 18.
    let offset = |side| viewer_of([3, 512, 512], [3, side, side], none()).centre().top / 2.0;
    assert_eq!((offset(223), offset(221)), (16.0, 18.0));
}

#[test]
fn values_are_normalised_per_channel() {
    let transform = Transform::default()
        .with_scale(0.5)
        .with_mean(vec![1.0, 2.0, 3.0])
        .with_std(vec![4.0, 8.0, 16.0])
        .with_resize(Some(256));
    let view = Augmenter::new(STORED, INPUT, &transform).unwrap().plain();
    assert_eq!((view.gain, view.bias), ([0.125, 0.0625, 0.03125], [-0.25, -0.25, -0.1875]));
}

#[test]
fn half_of_the_pictures_are_mirrored_about_their_middle() {
    let flip = views(&augmenter(Augment { flip: true, ..none() }), 1, 0);
    let mirrored = flip.iter().filter(|view| view.x[0] < 0).count();
    assert!((1870..2130).contains(&mirrored), "{mirrored} of {SAMPLES}");
    assert!(flip.iter().all(|view| view.x == [65536, 0, 16 << 16] || view.x == [-65536, 0, 239 << 16]));
}

#[test]
fn random_crops_are_whole_pixels_anywhere_in_the_picture() {
    let drawn = views(&augmenter(Augment { crop: Crop::Random, ..none() }), 1, 0);
    for axis in [|view: &View| view.x[2], |view: &View| view.y[2]] {
        assert!(drawn.iter().all(|view| axis(view) % 65536 == 0));
        let places: Vec<f64> = drawn.iter().map(|view| f64::from(axis(view)) / PIXEL).collect();
        assert_uniform(&places, 0.0, 32.0);
    }
    assert!(drawn.iter().all(|view| (view.x[0], view.y[1]) == (65536, 65536)));
    // A wide image leaves room to the sides alone.
    let wide = viewer_of([3, 256, 512], [3, 256, 256], Augment { crop: Crop::Random, ..none() });
    let picture = vec![0; 3 * 256 * 512];
    let places: Vec<_> = (0..SAMPLES).map(|sample| wide.draw(1, 0, sample, &picture)).collect();
    assert!(places.iter().all(|view| view.y[2] == 0));
    assert_uniform(&places.iter().map(|view| f64::from(view.x[2]) / PIXEL).collect::<Vec<_>>(), 0.0, 256.0);
}

#[test]
fn random_resized_crops_have_the_areas_and_shapes_that_were_asked_for() {
    let augment = Augment { crop: Crop::RandomResized, scale: [0.25, 0.5], ratio: [0.5, 2.0], ..none() };
    let drawn = views(&augmenter(augment), 1, 0);
    let sides = |view: &View| [view.y[1], view.x[0]].map(|step| f64::from(step) * 224.0 / PIXEL);
    let area = drawn.iter().map(|view| sides(view).iter().product::<f64>() / 65536.0).collect::<Vec<_>>();
    let shape = drawn.iter().map(|view| (sides(view)[1] / sides(view)[0]).ln()).collect::<Vec<_>>();
    // Sides are rounded to whole pixels, so areas and shapes leave their ranges by up to a pixel's width.
    assert!(area.iter().all(|area| (0.247..0.503).contains(area)));
    assert!(shape.iter().all(|shape| shape.abs() < 2f64.ln() + 0.02));
    let mean = |values: &[f64]| values.iter().sum::<f64>() / values.len() as f64;
    assert!((mean(&area) - 0.375).abs() < 0.006, "{}", mean(&area));
    assert!(mean(&shape).abs() < 0.03, "{}", mean(&shape));
    for view in &drawn {
        let [height, width] = sides(view);
        // The corner of the window, from the centre of its first input pixel.
        let corner = |start: i32, side: f64| f64::from(start) / PIXEL + 0.5 - side / 448.0;
        let (top, left) = (corner(view.y[2], height), corner(view.x[2], width));
        assert!(top > -0.01 && left > -0.01 && top + height < 256.01 && left + width < 256.01, "{view:?}");
    }
    // Nothing of this shape fits: the largest part of it that does.
    let impossible = Augment { crop: Crop::RandomResized, scale: [1.0, 1.0], ratio: [4.0, 4.0], ..none() };
    let view = views(&augmenter(impossible), 1, 0)[0];
    assert_eq!(sides(&view).map(f64::round), [64.0, 256.0]);
}

#[test]
fn turns_are_uniform_both_ways() {
    let drawn = views(&augmenter(Augment { rotation: 30.0, ..none() }), 1, 0);
    let angle = |view: &View| f64::from(view.y[0]).atan2(f64::from(view.x[0])).to_degrees();
    assert_uniform(&drawn.iter().map(angle).collect::<Vec<_>>(), -30.0, 30.0);
}

#[test]
fn brightness_contrast_and_saturation_are_one_matrix_in_this_order() {
    let drawn = views(&augmenter(Augment { brightness: 0.4, ..none() }), 1, 0);
    let factors: Vec<f64> = drawn.iter().map(|view| f64::from(view.colour[1][1])).collect();
    assert_uniform(&factors, 0.6, 1.4);
    assert!(
        drawn.iter().all(|view| view.recolour == 1 && view.colour[0][1] == 0.0 && view.colour[0][3] == 0.0)
    );
    // Factors below 0 do not exist: 2 means [0, 3].
    let drawn = views(&augmenter(Augment { contrast: 2.0, ..none() }), 1, 0);
    assert_uniform(&drawn.iter().map(|view| f64::from(view.colour[0][0])).collect::<Vec<_>>(), 0.0, 3.0);
    // The mean luma stays what it is.
    for view in &drawn {
        let [r, _, _, shift] = view.colour[2].map(f64::from);
        assert!((f64::from(view.colour[2][2]) * 100.0 + r * 100.0 + shift - 100.0).abs() < 1e-3);
    }
    let drawn = views(&augmenter(Augment { saturation: 0.5, ..none() }), 1, 0);
    for view in &drawn {
        // Grey stays grey; the luma of any colour stays.
        let rows = view.colour.map(|row| row.map(f64::from));
        assert!(rows.iter().all(|[r, g, b, shift]| (r + g + b - 1.0).abs() < 1e-6 && *shift == 0.0));
        for colour in 0..3 {
            let luma: f64 = (0..3).map(|out| f64::from(LUMA[out]) * rows[out][colour]).sum();
            assert!((luma - f64::from(LUMA[colour])).abs() < 1e-6);
        }
    }
    // All together, by the formulas one after the other, on an image whose mean luma is known.
    let all = augmenter(Augment { brightness: 0.3, contrast: 0.3, saturation: 0.3, ..none() });
    let mut picture = vec![0u8; STORED.iter().product()];
    picture[..65536].fill(200);
    picture[65536..131072].fill(50);
    let mean = 0.299 * 200.0 + 0.587 * 50.0;
    let factor = |amount: Augment| {
        let view = augmenter(amount).draw(7, 3, 9, &picture);
        (f64::from(view.colour[0][0]), view)
    };
    let (b, _) = factor(Augment { brightness: 0.3, ..none() });
    let (c, _) = factor(Augment { contrast: 0.3, ..none() });
    let saturated = factor(Augment { saturation: 0.3, ..none() }).1.colour[0].map(f64::from);
    let s = (saturated[0] - 0.299) / (1.0 - 0.299);
    let view = all.draw(7, 3, 9, &picture);
    let pixel = [10.0, 90.0, 250.0];
    let contrasted = pixel.map(|p| c * b * p + (1.0 - c) * b * mean);
    let luma: f64 = (0..3).map(|k| f64::from(LUMA[k]) * contrasted[k]).sum();
    for (colour, row) in contrasted.into_iter().zip(view.colour) {
        let expected = s * colour + (1.0 - s) * luma;
        let [r, g, b, shift] = row.map(f64::from);
        let found = r * pixel[0] + g * pixel[1] + b * pixel[2] + shift;
        assert!((found - expected).abs() < 1e-3, "{found} {expected}");
    }
}

#[test]
fn colour_noise_moves_along_the_principal_components() {
    let vectors = [[0.0, 1.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, 1.0]];
    let transform = Transform::default()
        .with_std(vec![0.5, 1.0, 2.0])
        .with_resize(Some(256))
        .with_augment(Augment { pca: 0.1, ..none() })
        .with_principal(Principal { values: [3.0, 2.0, 1.0], vectors });
    let drawn = views(&Augmenter::new(STORED, INPUT, &transform).unwrap(), 1, 0);
    // Green has the first component, red the second; each divided by its std.
    for (channel, expected) in [(0, 0.1 * 2.0 / 0.5), (1, 0.1 * 3.0), (2, 0.1 / 2.0)] {
        let values: Vec<f64> = drawn.iter().map(|view| f64::from(view.bias[channel])).collect();
        let mean = values.iter().sum::<f64>() / values.len() as f64;
        let deviation = (values.iter().map(|v| v * v).sum::<f64>() / values.len() as f64).sqrt();
        assert!(mean.abs() < 0.07 * expected, "{mean}");
        assert!(
            (deviation / expected - 1.0).abs() < 0.05,
            "channel {channel}: {deviation}, expected {expected}"
        );
    }
    // 0..255 and 0..1 are the same images, so they get the same noise.
    let bytes = transform.with_scale(1.0).with_std(vec![255.0 * 0.5, 255.0, 510.0]);
    let as_bytes = views(&Augmenter::new(STORED, INPUT, &bytes).unwrap(), 1, 0);
    for (a, b) in drawn.iter().zip(&as_bytes) {
        assert!((0..3).all(|c| (a.bias[c] - b.bias[c]).abs() < 1e-5));
    }
}

#[test]
fn holes_are_squares_about_any_pixel_cut_at_the_border() {
    let drawn = views(&augmenter(Augment { cutout: 40, ..none() }), 1, 0);
    let mut tops = Vec::new();
    for View { cut: [top, left, bottom, right], .. } in &drawn {
        assert!(top < bottom && left < right && *bottom <= 224 && *right <= 224);
        assert!((20..=40).contains(&(bottom - top)) && (20..=40).contains(&(right - left)));
        if *top > 0 {
            tops.push(f64::from(*top));
        }
    }
    assert_uniform(&tops, 1.0, 203.0);
}

#[test]
fn grey_and_colour_become_each_other() {
    let grey = viewer_of([1, 256, 256], INPUT, none()).plain();
    assert_eq!((grey.recolour, grey.colour[2]), (1, [0.0, 0.0, 1.0, 0.0]));
    let colour = viewer_of(STORED, [1, 224, 224], none()).plain();
    assert_eq!((colour.recolour, colour.colour[0]), (1, [LUMA[0], LUMA[1], LUMA[2], 0.0]));
}

#[test]
fn every_draw_is_a_function_of_seed_epoch_and_sample_and_of_nothing_else() {
    let everything = Augment {
        crop: Crop::RandomResized,
        flip: true,
        pca: 0.1,
        brightness: 0.2,
        contrast: 0.2,
        saturation: 0.2,
        rotation: 10.0,
        cutout: 16,
        ..none()
    };
    let first = views(&augmenter(everything.clone()), 5, 2);
    assert_eq!(first, views(&augmenter(everything.clone()), 5, 2));
    let differ = |other: &[View]| first.iter().zip(other).filter(|(a, b)| a != b).count();
    assert_eq!(differ(&views(&augmenter(everything.clone()), 5, 3)), SAMPLES as usize);
    assert_eq!(differ(&views(&augmenter(everything.clone()), 6, 2)), SAMPLES as usize);
    let mut sorted: Vec<[i32; 6]> =
        first.iter().map(|v| [v.x[0], v.x[1], v.x[2], v.y[0], v.y[1], v.y[2]]).collect();
    sorted.sort_unstable();
    sorted.dedup();
    assert_eq!(sorted.len(), SAMPLES as usize, "no two samples share a view");
    // Without one change the others are what they were.
    let without = views(&augmenter(Augment { rotation: 0.0, cutout: 0, ..everything }), 5, 2);
    for (a, b) in first.iter().zip(&without) {
        assert_eq!((a.colour, a.bias), (b.colour, b.bias));
        assert_eq!(a.x[0] < 0, b.x[0] < 0);
    }
}

#[test]
fn pictures_that_views_cannot_show_are_refused() {
    let refused = |stored, input, resize| {
        let error = Augmenter::new(stored, input, &Transform::default().with_resize(resize)).unwrap_err();
        assert_eq!(error.exit_code(), 2);
        error.to_string()
    };
    assert!(refused([4, 8, 8], [3, 8, 8], None).contains("1 or 3 channels, found 4x8x8"));
    assert!(refused([3, 9, 8], [3, 8, 8], None).contains("expected images of 8x8"));
    assert!(refused([3, 5000, 8], [3, 8, 8], Some(8)).contains("at most 4096 pixels, found 5000"));
    let large = refused([3, 600, 513], INPUT, Some(256));
    assert!(large.contains("`striate dataset pack --size 256`"), "{large}");
    assert!(Augmenter::new([3, 600, 512], INPUT, &Transform::default().with_resize(Some(256))).is_ok());
}

#[test]
fn the_room_for_crops_is_whole_whatever_the_size_of_the_pictures() {
    for side in 100..500 {
        let transform = Transform::default().with_resize(Some(250));
        let augmenter = Augmenter::new([3, side, side], INPUT, &transform).unwrap();
        assert_eq!(augmenter.room(), [26.0, 26.0], "images of {side}");
    }
}

/// The rectangles that torchvision's `RandomErasing` makes of the same random numbers
/// (`tests/fixtures/regularization/make.py`), in views of stored images and on images of f32 alike.
#[test]
fn erased_rectangles_are_those_of_torchvision() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/regularization/fixture.safetensors");
    let expected = striate::interchange::safetensors::read(path).unwrap().tensors["erased"].clone();
    let (seed, epoch, shape) = (123_456_789_012_345, 3, [1, 24, 40]);
    let transform = Transform::default().with_augment(Augment { random_erasing: 0.6, ..none() });
    let augmenter = Augmenter::new(shape, shape, &transform).unwrap();
    let samples = expected.data().len() / 4;
    let dataset = Dataset {
        name: "ones".into(),
        shape,
        classes: 1,
        class_names: vec!["one".into()],
        images: Images::F32(vec![1.0; samples * 24 * 40]),
        labels: Labels::Classes(vec![0; samples]),
    };
    let options = LoaderOptions::new(samples, InputTransform::OnHost(transform));
    let options = options.with_seed(seed).with_epoch(epoch).with_augment(true);
    let batch = Loader::new(Arc::new(dataset), options).next().unwrap().unwrap();
    let picture = vec![100; 24 * 40];
    let mut erased = 0;
    for (sample, rectangle) in expected.data().chunks(4).enumerate() {
        let [top, left, height, width] = [0, 1, 2, 3].map(|side| rectangle[side] as i64);
        let is_erased = top >= 0;
        erased += usize::from(is_erased);
        let sides = if is_erased { [top, left, top + height, left + width] } else { [0; 4] };
        let view = augmenter.draw(seed, epoch, sample as u32, &picture);
        assert_eq!(view.cut.map(i64::from), sides, "sample {sample}");
        let values = &batch.input.values()[sample * 24 * 40..][..24 * 40];
        for (at, &value) in values.iter().enumerate() {
            let (row, column) = (at as i64 / 40, at as i64 % 40);
            let is_inside = (sides[0]..sides[2]).contains(&row) && (sides[1]..sides[3]).contains(&column);
            assert_eq!(
                value,
                if is_inside { 0.0 } else { 1.0 },
                "sample {sample}, row {row}, column {column}"
            );
        }
    }
    assert!((250..350).contains(&erased), "{erased}");
}
