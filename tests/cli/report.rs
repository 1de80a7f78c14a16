//! Visualisations of a network: filters and activations.

use super::pictures::{TRAIN, photographs};
use super::{code, json_lines, stderr, striate, succeed};
use std::collections::BTreeMap;
use std::path::Path;
use striate::interchange::safetensors;
use striate::tensor::Tensor;

const MAPS: [&str; 10] = [
    "report",
    "activations",
    "--device",
    "cpu",
    "--weights",
    "runs/x/last.safetensors",
    "--image",
    "photos/red/00.png",
    "-o",
    "maps.png",
];

#[test]
fn filters_and_maps_are_drawn_and_a_wrong_layer_is_answered_with_the_nearest() {
    let folder = tempfile::tempdir().unwrap();
    photographs(folder.path());
    succeed(folder.path(), &TRAIN);
    let weights = striate::interchange::read(folder.path().join("runs/x/last.safetensors")).unwrap();
    let kernel = weights.tensors.iter().find(|(_, tensor)| tensor.shape().dims().len() == 4).unwrap();
    let layer = kernel.0.strip_suffix(".weight").unwrap();

    let filters = ["report", "filters", "--weights", "runs/x/last.safetensors", "-o", "f.png", "--json"];
    let said = json_lines(&succeed(folder.path(), &[&filters[..], &["--zoom", "2"]].concat())).remove(0);
    assert_eq!((&said["layer"], &said["tiles"]), (&layer.into(), &4.into()));
    let picture = image::open(folder.path().join("f.png")).unwrap().to_rgb8();
    // Four kernels of 3 x 3 at 2 pixels each, with gaps of 4.
    assert_eq!(picture.dimensions(), (4 * 10 + 4, 14));
    assert_eq!((&said["width"], &said["height"]), (&44.into(), &14.into()));
    let first = &kernel.1.data()[..27];
    let least = first.iter().copied().fold(f32::INFINITY, f32::min);
    let most = first.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    for (at, value) in first.iter().enumerate() {
        let [channel, y, x] = [at / 9, at / 3 % 3, at % 3];
        let pixel = picture.get_pixel(4 + 2 * x as u32, 4 + 2 * y as u32).0[channel];
        let expected = 255.0 * (value - least) / (most - least);
        assert!((f32::from(pixel) - expected).abs() < 0.51, "{at}: {pixel} {expected}");
    }

    let said = json_lines(&succeed(folder.path(), &[&MAPS[..], &["--layer", layer, "--json"]].concat()));
    assert_eq!((&said[0]["tiles"], &said[0]["report"]), (&4.into(), &"activations".into()));
    image::open(folder.path().join("maps.png")).unwrap();
    succeed(folder.path(), &[&MAPS[..], &["--layer", "head"]].concat());

    for (arguments, near) in [
        ([&MAPS[..], &["--layer", "haed"]].concat(), "head"),
        ([&filters[..], &["--layer", &layer[..layer.len() - 1]]].concat(), layer),
    ] {
        let output = striate(folder.path(), &arguments).output().unwrap();
        assert_eq!(code(&output), 2, "{}", stderr(&output));
        assert!(stderr(&output).contains(near), "{}", stderr(&output));
    }
    let output =
        striate(folder.path(), &[&filters[..5], &["runs/x/last.safetensors"]].concat()).output().unwrap();
    assert_eq!(code(&output), 2, "{}", stderr(&output));
}

/// The sheet of `layer`'s kernels, and the message about it.
fn drawn(folder: &Path, layer: &str) -> (image::RgbImage, serde_json::Value) {
    let filters = ["report", "filters", "--weights", "w.safetensors", "-o", "f.png", "--json", "--zoom", "1"];
    let said = json_lines(&succeed(folder, &[&filters[..], &["--layer", layer]].concat())).remove(0);
    (image::open(folder.join("f.png")).unwrap().to_rgb8(), said)
}

#[test]
fn kernels_over_many_channels_are_rows_and_single_weights_are_scaled_together() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    let ramp = |shape: [usize; 4]| {
        let values = (0..shape.iter().product()).map(|value| value as f32).collect();
        Tensor::new(shape, values).unwrap()
    };
    let mut broken = ramp([2, 3, 2, 2]);
    broken.data_mut()[1] = f32::NAN;
    broken.data_mut()[13] = f32::NEG_INFINITY;
    let tensors = [
        ("one", ramp([4, 8, 1, 1])),
        ("many", ramp([20, 64, 3, 3])),
        ("some", ramp([64, 16, 3, 3])),
        ("broken", broken),
    ];
    let tensors = tensors.map(|(layer, tensor)| (format!("{layer}.weight"), tensor));
    safetensors::write(root.join("w.safetensors"), &tensors, &BTreeMap::new()).unwrap();

    let (sheet, said) = drawn(root, "one");
    assert_eq!(sheet.dimensions(), (8 * 5 + 4, 4 * 5 + 4));
    for (number, row, column) in [(0, 0, 0), (13, 1, 5), (31, 3, 7)] {
        let expected = (255.0 * number as f64 / 31.0).round() as u8;
        assert_eq!(sheet.get_pixel(4 + 5 * column, 4 + 5 * row).0, [expected; 3]);
    }
    assert_eq!((&said["tiles"], &said["not_finite"]), (&32.into(), &0.into()));
    let (sheet, said) = drawn(root, "many");
    assert_eq!((sheet.width(), &said["shown"], &said["tiles"]), (64 * 7 + 4, &1024.into(), &1280.into()));
    // Two kernels in a row.
    assert_eq!(drawn(root, "some").0.dimensions(), (32 * 7 + 4, 32 * 7 + 4));
    let (_, said) = drawn(root, "broken");
    assert_eq!((&said["not_finite"], &said["max"]), (&2.into(), &23.0.into()));

    let dense = [("fc.weight".to_string(), Tensor::full([2, 3], 1.0))];
    safetensors::write(root.join("dense.safetensors"), &dense, &BTreeMap::new()).unwrap();
    let filters = ["report", "filters", "--weights", "dense.safetensors", "-o", "f.png"];
    for (layer, exit, says) in [(&["--layer", "fc"][..], 2, "there are none"), (&[], 4, "found none")] {
        let output = striate(root, &[&filters[..], layer].concat()).output().unwrap();
        assert_eq!(code(&output), exit, "{}", stderr(&output));
        assert!(stderr(&output).contains(says), "{}", stderr(&output));
    }
}
