//! TrivialAugment: each change of an image is torchvision's, and each draw is a function of seed, epoch and sample.

use safetensors::SafeTensors;
use std::sync::Arc;
use striate::data::{
    Augmenter, Change, Dataset, Images, InputTransform, Labels, Loader, LoaderOptions, Transform, Workers,
};
use striate::view::Augment;

/// What torchvision made of two images (`tests/fixtures/trivial_augment/make.py`).
const FIXTURE: &[u8] = include_bytes!("../fixtures/trivial_augment/fixture.safetensors");
const SIDES: [usize; 2] = [13, 11];

fn fixture() -> SafeTensors<'static> {
    SafeTensors::deserialize(FIXTURE).unwrap()
}

fn bytes(name: &str) -> &'static [u8] {
    fixture().tensor(name).unwrap().data()
}

/// Rows of the number of a change, the number of its strength, and whether that is negative.
fn cases(name: &str) -> Vec<[i32; 3]> {
    let words: Vec<i32> =
        bytes(name).chunks_exact(4).map(|word| i32::from_le_bytes(word.try_into().unwrap())).collect();
    words.chunks_exact(3).map(|row| row.try_into().unwrap()).collect()
}

fn change([number, bin, sign]: [i32; 3]) -> Change {
    Change::new(number as u32, bin as u32, sign == 1)
}

#[test]
fn every_change_is_that_of_torchvision() {
    let cases = cases("cases");
    assert!(cases.len() > 200);
    for (mode, channels) in [("L", 1), ("RGB", 3)] {
        let image = bytes(&format!("{mode}.image"));
        let results = bytes(&format!("{mode}.results")).chunks_exact(image.len());
        assert_eq!(results.len(), cases.len());
        let mut others = 0;
        for (&case, expected) in cases.iter().zip(results) {
            let mut found = image.to_vec();
            change(case).apply(&mut found, [channels, SIDES[0], SIDES[1]]);
            let worst = found.iter().zip(expected).map(|(a, b)| a.abs_diff(*b)).max().unwrap();
            assert_eq!(worst, 0, "{mode}, {case:?}: {:?}", change(case));
            others += usize::from(found != image);
        }
        assert!(others > cases.len() * 2 / 3, "{mode}: {others} of {} change it", cases.len());
    }
}

#[test]
fn images_of_few_pixels_and_of_one_value_are_changed_without_harm() {
    for shape in [[1, 1, 1], [3, 1, 2], [3, 2, 1], [1, 2, 2], [3, 40, 3]] {
        for value in [0, 77, 255] {
            for number in 0..Change::COUNT {
                for bin in [0, 15, 30] {
                    let mut image = vec![value; shape.iter().product()];
                    Change::new(number, bin, bin == 15).apply(&mut image, shape);
                    let is_moved = (1..6).contains(&number);
                    // What comes from beyond the border is black; every other change keeps one value one.
                    assert!(
                        image.iter().all(|&v| v == image[0] || is_moved),
                        "{number} {bin} {shape:?}: {image:?}"
                    );
                }
            }
        }
    }
    let mut nothing: Vec<u8> = Vec::new();
    Change::Equalize.apply(&mut nothing, [3, 0, 5]);
}

/// A loader over images of noise: the rows of an epoch's first batch and their samples.
fn epoch(seed: u64, epoch: u32, workers: usize, augment: Augment) -> Vec<u8> {
    let shape = [3, SIDES[0], SIDES[1]];
    let image = bytes("RGB.image");
    let dataset = Dataset {
        name: "noise".into(),
        shape,
        classes: 1,
        class_names: vec!["one".into()],
        images: Images::U8(image.repeat(500)),
        labels: Labels::Classes(vec![0; 500]),
    };
    let augmenter = Augmenter::new(shape, shape, &Transform::default().with_augment(augment)).unwrap();
    let options = LoaderOptions::new(500, InputTransform::OnDevice(augmenter));
    let options =
        options.with_seed(seed).with_epoch(epoch).with_augment(true).with_workers(Workers::new(workers));
    let batch = Loader::new(Arc::new(dataset), options).next().unwrap().unwrap();
    let row = batch.input.bytes().len() / 500;
    batch.input.bytes().chunks_exact(row).flat_map(|row| row[..image.len()].to_vec()).collect()
}

#[test]
fn a_loader_makes_the_changes_that_are_drawn() {
    let on = Augment { trivial_augment: true, ..Augment::default() };
    let found = epoch(123_456_789_012_345, 3, 2, on.clone());
    let image = bytes("RGB.image");
    let drawn = cases("drawn");
    for (sample, (&case, found)) in drawn.iter().zip(found.chunks_exact(image.len())).enumerate() {
        let mut expected = image.to_vec();
        change(case).apply(&mut expected, [3, SIDES[0], SIDES[1]]);
        assert!(found == expected, "sample {sample}: {:?}", change(case));
    }
    let count = |wanted: i32| drawn.iter().filter(|case| case[0] == wanted).count();
    assert!((0..14).all(|number| (15..60).contains(&count(number))), "each about 36 times");
    assert_eq!(found, epoch(123_456_789_012_345, 3, 0, on.clone()));
    assert_ne!(found, epoch(123_456_789_012_345, 4, 2, on.clone()));
    assert_ne!(found, epoch(123_456_789_012_346, 3, 2, on));
    assert!(epoch(123_456_789_012_345, 3, 2, Augment::default()) == image.repeat(500));
}
