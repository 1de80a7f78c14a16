//! Evaluation that looks at images in more than the plain way: ten crops and damage, each against a re-computation
//! that shares no code with it.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use striate::data::{Augmenter, Dataset, Images, Labels, OnBadFile, ViewFn};
use striate::inference::{
    Answer, BatchSource, Corruption, Outcome, Totals, evaluate, evaluate_each, initialise, robustness,
    ten_crop,
};
use striate::model::{BuildOptions, Model, Spec};
use striate::program::{Executor, Span, write_words};
use striate::random::{Purpose, Stream};
use striate::view::View;

/// Side of the stored images, and of the network's input.
const STORED: usize = 12;
const SIDE: usize = 8;
const CLASSES: usize = 4;
const SAMPLES: usize = 21;
static NEVER: AtomicBool = AtomicBool::new(false);

const NETWORK: &str = r#"
name = "small"
input = [1, 8, 8]
[preprocess]
resize = 12
mean = [0.4]
std = [0.3]
[[layer]]
op = "conv2d"
out_channels = 6
kernel = 3
padding = 1
[[layer]]
op = "relu"
[[layer]]
op = "max_pool2d"
kernel = 2
[[layer]]
op = "flatten"
[[layer]]
op = "linear"
out_features = 4
"#;

/// A small network with room around its crop.
fn spec() -> Spec {
    Spec::parse(NETWORK, "small").unwrap()
}

/// Random images, smooth enough for interpolation to matter little.
fn pictures(side: usize) -> Dataset {
    let mut stream = Stream::new(11, Purpose::Test, 0);
    let mut pixels = Vec::new();
    for _ in 0..SAMPLES {
        let [a, b, c] = [0; 3].map(|_| f64::from(stream.uniform()));
        for (y, x) in (0..side).flat_map(|y| (0..side).map(move |x| (y as f64, x as f64))) {
            let light = 128.0 + 70.0 * (a * x + b * y + 6.0 * c).sin() + 50.0 * f64::from(stream.uniform());
            pixels.push(light as u8);
        }
    }
    Dataset {
        name: "waves".into(),
        shape: [1, side, side],
        classes: CLASSES,
        class_names: (0..CLASSES).map(|class| class.to_string()).collect(),
        images: Images::U8(pixels),
        labels: Labels::Classes((0..SAMPLES).map(|_| stream.below(CLASSES as u32)).collect()),
    }
}

fn stored() -> Arc<Dataset> {
    Arc::new(pictures(STORED))
}

fn bytes(data: &Dataset) -> Vec<u8> {
    let Images::U8(pixels) = &data.images else { panic!("bytes") };
    pixels.clone()
}

/// A network with the weights of seed 5 on the CPU.
struct Network {
    spec: Spec,
    model: Model,
    executor: striate::cpu::Executor,
}

impl Network {
    fn new(pixels: Option<[usize; 3]>) -> Network {
        let spec = spec();
        let build = BuildOptions { training: false, keep: true, pixels, ..BuildOptions::new(8) };
        let model = Model::build(&spec, &build).unwrap();
        let mut executor = striate::cpu::Executor::new(model.program.clone()).unwrap();
        initialise(&model, &mut executor, 5).unwrap();
        Network { spec, model, executor }
    }

    fn batch_source(&self, workers: usize) -> BatchSource {
        BatchSource::new(&self.spec, &self.model, 0, workers, OnBadFile::Fail)
    }
}

/// Totals and outputs of a network to which the host gives its input, `[samples, SIDE, SIDE]` of colours 0 to 255.
fn plainly(data: &Dataset, colours: &[f64]) -> (Totals, Vec<Vec<f64>>) {
    let normalised = colours.iter().map(|p| ((p / 255.0 - f64::from(0.4f32)) / f64::from(0.3f32)) as f32);
    let images = Images::F32(normalised.collect());
    let data = Arc::new(Dataset { shape: [1, SIDE, SIDE], images, ..data.clone() });
    let mut network = Network::new(None);
    let source = network.batch_source(1);
    let mut outputs = Vec::new();
    let mut each = |answer: &Answer<'_>| {
        outputs.push(answer.scores.to_vec());
        Ok(())
    };
    let totals =
        evaluate_each(&network.model, &mut network.executor, &data, &source, &NEVER, &mut each).unwrap();
    (totals, outputs)
}

/// The part of each stored image whose corner is at (top, left), mirrored or not.
fn cropped(pixels: &[u8], top: usize, left: usize, mirror: bool) -> Vec<f64> {
    let mut out = Vec::new();
    for picture in pixels.chunks(STORED * STORED) {
        for (y, x) in (0..SIDE).flat_map(|y| (0..SIDE).map(move |x| (y, x))) {
            let x = if mirror { SIDE - 1 - x } else { x };
            out.push(f64::from(picture[(top + y) * STORED + left + x]));
        }
    }
    out
}

#[test]
fn ten_crops_are_the_mean_softmax_of_ten_plain_evaluations() {
    let data = stored();
    let mut network = Network::new(Some(data.shape));
    let (mut reported, source) = (Vec::new(), network.batch_source(2));
    let mut each = |answer: &Answer<'_>| {
        reported.push((answer.sample, answer.truth, answer.scores.to_vec()));
        Ok(())
    };
    let totals = ten_crop(&network.model, &mut network.executor, &data, &source, &NEVER, &mut each).unwrap();

    let mut means = vec![vec![0.0; CLASSES]; SAMPLES];
    for (top, left) in [(0, 0), (0, 4), (4, 0), (4, 4), (2, 2)] {
        for mirror in [false, true] {
            let (_, outputs) = plainly(&data, &cropped(&bytes(&data), top, left, mirror));
            for (mean, outputs) in means.iter_mut().zip(outputs) {
                let sum: f64 = outputs.iter().map(|x| x.exp()).sum();
                mean.iter_mut().zip(outputs).for_each(|(mean, x)| *mean += x.exp() / sum / 10.0);
            }
        }
    }
    let Labels::Classes(classes) = &data.labels else { panic!("classes") };
    let (mut loss, mut right) = (0.0, 0);
    for (sample, (reported, mean)) in reported.iter().zip(&means).enumerate() {
        let truth = classes[sample] as usize;
        assert_eq!((reported.0, reported.1), (sample, truth));
        for (a, b) in reported.2.iter().zip(mean) {
            assert!((a - b).abs() < 1e-6, "sample {sample}: {a} {b}");
        }
        loss -= mean[truth].ln();
        right += usize::from(mean.iter().all(|p| *p <= mean[truth]));
    }
    assert_eq!((reported.len(), totals.rows()), (SAMPLES, SAMPLES as u64));
    assert!((totals.loss() - loss / SAMPLES as f64).abs() < 1e-6, "{} {}", totals.loss(), loss);
    assert_eq!(totals.acc1(), 100.0 * right as f64 / SAMPLES as f64);
    assert_eq!(totals.acc5(), 100.0);
}

#[test]
fn ten_crops_of_a_batch_fit_into_one_buffer_of_any_device() {
    let most = striate::inference::most_rows(256, [3, 6 * 224, 224]);
    assert!(most == 148 && most * 3 * 6 * 224 * 224 <= 128 << 20, "{most}");
    assert_eq!(striate::inference::most_rows(16, [3, 6 * 224, 224]), 16);
    assert_eq!(striate::inference::most_rows(4, [3, 4096, 4096]), 2);
    assert_eq!(striate::inference::most_rows(4, [3, 40_960, 4096]), 1);
}

#[test]
fn ten_crops_need_room_and_pixels() {
    let refused = |data: Dataset, pixels| {
        let mut network = Network::new(pixels);
        let source = network.batch_source(1);
        let mut each = |_: &Answer<'_>| Ok(());
        ten_crop(&network.model, &mut network.executor, &Arc::new(data), &source, &NEVER, &mut each)
            .unwrap_err()
            .to_string()
    };
    let numbers = Dataset {
        shape: [1, SIDE, SIDE],
        images: Images::F32(vec![0.0; SAMPLES * SIDE * SIDE]),
        ..Dataset::clone(&stored())
    };
    let message = refused(numbers, None);
    assert!(message.contains("ten-crop") && message.contains("waves"), "{message}");

    let mut whole = spec();
    whole.preprocess.resize = None;
    let data = pictures(SIDE);
    let augmenter = Augmenter::new(data.shape, whole.input, &striate::inference::transform(&whole)).unwrap();
    let message = striate::inference::ten_crops(&augmenter).unwrap_err().to_string();
    assert!(message.contains("resize"), "{message}");
}

/// All levels, with `workers` threads.
fn all_levels(data: &Arc<Dataset>, workers: usize) -> Vec<Outcome> {
    let mut network = Network::new(Some(data.shape));
    let source = network.batch_source(workers);
    let mut reported = Vec::new();
    let mut each = |outcome: &Outcome| {
        reported.push(*outcome);
        Ok(())
    };
    let all = robustness(&network.model, &mut network.executor, data, &source, 3, &NEVER, &mut each).unwrap();
    assert_eq!(reported, all);
    all
}

#[test]
fn the_level_without_damage_is_the_plain_evaluation_and_the_others_are_not() {
    let data = stored();
    let outcomes = all_levels(&data, 1);
    let mut network = Network::new(Some(data.shape));
    let source = network.batch_source(1);
    let plain = evaluate(&network.model, &mut network.executor, &data, &source, &NEVER).unwrap();
    for kind in Corruption::ALL {
        let of: Vec<&Outcome> = outcomes.iter().filter(|o| o.corruption == kind).collect();
        assert_eq!(of.iter().map(|o| o.level).collect::<Vec<_>>(), kind.levels());
        for outcome in of {
            let same = outcome.totals == plain;
            assert_eq!(same, outcome.level == kind.neutral(), "{kind:?} {}", outcome.level);
            assert_eq!(outcome.totals.rows(), SAMPLES as u64);
        }
    }
    assert_eq!(outcomes, all_levels(&data, 4));
}

#[test]
fn robustness_needs_pixels() {
    let data = Arc::new(Dataset {
        shape: [1, SIDE, SIDE],
        images: Images::F32(vec![0.0; SAMPLES * SIDE * SIDE]),
        ..Dataset::clone(&stored())
    });
    let mut network = Network::new(None);
    let source = network.batch_source(1);
    let error = robustness(&network.model, &mut network.executor, &data, &source, 0, &NEVER, &mut |_| Ok(()));
    let message = error.unwrap_err().to_string();
    assert!(message.contains("robustness") && message.contains("waves"), "{message}");
}

/// What the network sees of the first eight samples, as colours 0 to 255, and the views it sees them through.
fn seen(data: &Arc<Dataset>, kind: Corruption, level: f64) -> (Vec<f64>, Vec<View>) {
    let network = Network::new(Some(data.shape));
    let source = network.batch_source(1);
    let augmenter = source.augmenter(data).unwrap();
    let hook =
        ViewFn::new(move |sample, picture: &mut [u8]| kind.apply(level, &augmenter, 3, sample, picture));
    let batch = source.with_view_fn(hook).first(data).unwrap();
    let Network { model, mut executor, .. } = network;
    write_words(&mut executor, model.pixels.unwrap(), batch.input.bytes()).unwrap();
    write_words(&mut executor, model.views.unwrap(), batch.input.views()).unwrap();
    executor.run(Span::Forward).unwrap();
    let input = executor.read(model.input).unwrap();
    let colours = input.iter().map(|x| (f64::from(*x) * 0.3 + 0.4) * 255.0).collect();
    (colours, batch.input.views().to_vec())
}

#[track_caller]
fn assert_near(found: &[f64], expected: &[f64], tolerance: f64) {
    assert_eq!(found.len(), expected.len());
    for (i, (a, b)) in found.iter().zip(expected).enumerate() {
        assert!((a - b).abs() < tolerance, "pixel {i}: {a}, expected {b}");
    }
}

/// The first eight stored images.
fn first(data: &Dataset) -> Vec<u8> {
    bytes(data)[..8 * STORED * STORED].to_vec()
}

/// Bilinear, border repeated, in f64.
fn at(picture: &[u8], y: f64, x: f64) -> f64 {
    let pixel = |y: f64, x: f64| {
        let inside = |v: f64| v.clamp(0.0, STORED as f64 - 1.0) as usize;
        f64::from(picture[inside(y) * STORED + inside(x)])
    };
    let (fy, fx) = (y - y.floor(), x - x.floor());
    let row = |y: f64| (1.0 - fx) * pixel(y, x.floor()) + fx * pixel(y, x.floor() + 1.0);
    (1.0 - fy) * row(y.floor()) + fy * row(y.floor() + 1.0)
}

/// The eight images, each input pixel's distance from the centre put through `place`.
fn placed(data: &Dataset, place: impl Fn(f64, f64) -> (f64, f64)) -> Vec<f64> {
    let middle = (STORED as f64 - 1.0) / 2.0;
    let distance = |i: usize| i as f64 - (SIDE as f64 - 1.0) / 2.0;
    let mut out = Vec::new();
    for picture in first(data).chunks(STORED * STORED) {
        for (y, x) in (0..SIDE).flat_map(|y| (0..SIDE).map(move |x| (y, x))) {
            let (down, right) = place(distance(y), distance(x));
            out.push(at(picture, middle + down, middle + right));
        }
    }
    out
}

#[test]
fn a_turned_picture_is_turned_counter_clockwise_about_its_middle() {
    let data = stored();
    for degrees in [-30.0f64, 15.0, 45.0, 90.0] {
        let (sin, cos) = degrees.to_radians().sin_cos();
        // What was to the right of the middle is now above it, for a quarter turn.
        let expected = placed(&data, |down, right| (cos * down + sin * right, cos * right - sin * down));
        assert_near(&seen(&data, Corruption::Rotation, degrees).0, &expected, 0.05);
    }
}

#[test]
fn an_object_of_twice_the_size_fills_twice_the_picture() {
    let data = stored();
    for factor in [0.5, 0.8, 1.5, 2.0] {
        let expected = placed(&data, |down, right| (down / factor, right / factor));
        assert_near(&seen(&data, Corruption::Scale, factor).0, &expected, 0.05);
    }
}

#[test]
fn light_is_a_factor_and_contrast_turns_about_the_mean_of_the_stored_picture() {
    let data = stored();
    let pixels = first(&data);
    let plain = cropped(&pixels, 2, 2, false);
    for level in [0.25, 4.0] {
        let expected: Vec<f64> = plain.iter().map(|p| (level * p).clamp(0.0, 255.0)).collect();
        assert_near(&seen(&data, Corruption::Brightness, level).0, &expected, 1e-3);
        let mut expected = Vec::new();
        for (picture, plain) in pixels.chunks(STORED * STORED).zip(plain.chunks(SIDE * SIDE)) {
            let mean = picture.iter().map(|&p| f64::from(p)).sum::<f64>() / (STORED * STORED) as f64;
            expected.extend(plain.iter().map(|p| (level * p + (1.0 - level) * mean).clamp(0.0, 255.0)));
        }
        assert_near(&seen(&data, Corruption::Contrast, level).0, &expected, 1e-3);
    }
}

#[test]
fn blur_and_noise_change_the_stored_picture_before_it_is_cropped() {
    let data = stored();
    let changed = |change: &dyn Fn(usize, &mut [u8])| {
        let mut pixels = first(&data);
        for (sample, picture) in pixels.chunks_mut(STORED * STORED).enumerate() {
            change(sample, picture);
        }
        assert_ne!(pixels, first(&data));
        cropped(&pixels, 2, 2, false)
    };
    let shape = [1, STORED, STORED];
    let blurred = changed(&|_, picture| striate::data::corrupt::blur(picture, shape, 1.5));
    assert_near(&seen(&data, Corruption::Blur, 1.5).0, &blurred, 1e-3);
    let noisy = changed(&|sample, picture| striate::data::corrupt::noise(picture, 16.0, 3, sample));
    assert_near(&seen(&data, Corruption::Noise, 16.0).0, &noisy, 1e-3);
}

#[test]
fn a_share_of_the_input_is_covered_somewhere_else_in_every_sample() {
    let data = stored();
    let plain = cropped(&first(&data), 2, 2, false);
    // 8 x 8 x 0.14 is 9 pixels, 3 x 3.
    let (colours, views) = seen(&data, Corruption::Occlusion, 0.14);
    let mut places = std::collections::BTreeSet::new();
    for (sample, view) in views.iter().enumerate() {
        let [top, left, bottom, right] = view.cut;
        assert!((bottom - top, right - left) == (3, 3) && bottom <= 8 && right <= 8, "{:?}", view.cut);
        places.insert(view.cut);
        for (y, x) in (0..8).flat_map(|y| (0..8).map(move |x| (y, x))) {
            let covered = (top..bottom).contains(&y) && (left..right).contains(&x);
            let i = sample * 64 + (8 * y + x) as usize;
            // What is covered is 0 after normalisation: the mean.
            let expected = if covered { 0.4 * 255.0 } else { plain[i] };
            assert!((colours[i] - expected).abs() < 1e-3, "sample {sample}, {y}, {x}");
        }
    }
    assert!(places.len() > 4, "{places:?}");
}
