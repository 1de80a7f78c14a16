//! The data in `data/`: whole, licensed, and what their descriptions say.

use crate::{bytes, classes, floats};
use sha2::{Digest, Sha256};
use std::path::{Path, PathBuf};
use striate::data::{Labels, Request, open};

fn folder(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("data").join(name)
}

#[test]
fn fashion_mnist_matches_its_checksums() {
    let folder = folder("fashion-mnist");
    let sums = std::fs::read_to_string(folder.join("SHA256SUMS")).unwrap();
    for line in sums.lines() {
        let (expected, name) = line.split_once("  ").unwrap();
        let hash = Sha256::digest(std::fs::read(folder.join(name)).unwrap());
        let found: String = hash.iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(found, expected, "{name}");
    }
    assert_eq!(sums.lines().count(), 4);
    assert!(std::fs::read_to_string(folder.join("LICENSE")).unwrap().contains("Zalando SE"));
}

#[test]
fn fashion_mnist_is_what_opens_when_nothing_is_named() {
    let splits = open(&Request::new([1, 28, 28], 10)).unwrap();
    let (train, val) = (&splits.train, &splits.val);
    assert_eq!((train.len(), val.len()), (60_000, 10_000));
    assert_eq!((train.name.as_str(), train.shape, train.classes), ("fashion-mnist", [1, 28, 28], 10));
    assert_eq!((train.class_names[0].as_str(), val.class_names[9].as_str()), ("T-shirt/top", "Ankle boot"));
    // The first bytes of the label files.
    assert_eq!(classes(train)[..8], [9, 0, 0, 3, 0, 2, 7, 2]);
    assert_eq!(classes(val)[..8], [9, 2, 1, 1, 6, 1, 4, 6]);
    for class in 0..10 {
        assert_eq!(classes(train).iter().filter(|&&label| label == class).count(), 6000);
        assert_eq!(classes(val).iter().filter(|&&label| label == class).count(), 1000);
    }
    // The mean and standard deviation of the training pixels in use everywhere: 0.2860 and 0.3530.
    let count = bytes(train).len() as f64;
    let mean = bytes(train).iter().map(|&pixel| f64::from(pixel) / 255.0).sum::<f64>() / count;
    let variance =
        bytes(train).iter().map(|&pixel| (f64::from(pixel) / 255.0 - mean).powi(2)).sum::<f64>() / count;
    assert!((mean - 0.2860).abs() < 5e-5, "{mean}");
    assert!((variance.sqrt() - 0.3530).abs() < 5e-5, "{}", variance.sqrt());
}

#[test]
fn the_traffic_light_is_the_truth_table_of_its_neuron() {
    let request = Request::new([3, 1, 1], 1).with_path(Some("traffic-light".into()));
    let splits = open(&request).unwrap();
    let Labels::Values { width: 1, values } = &splits.train.labels else {
        panic!("one value per row expected")
    };
    assert_eq!(values.len(), 8);
    let mut seen = Vec::new();
    for (light, &go) in floats(&splits.train).chunks(3).zip(values) {
        // The weights and the bias of data/README.md.
        let net = -light[0] + 0.0 * light[1] + light[2] - 0.5;
        assert_eq!(go, f32::from(net > 0.0), "{light:?}");
        seen.push(light.iter().fold(0, |number, &on| 2 * number + on as usize));
    }
    seen.sort_unstable();
    assert_eq!(seen, [0, 1, 2, 3, 4, 5, 6, 7]);
    assert_eq!(splits.val, splits.train);
}
