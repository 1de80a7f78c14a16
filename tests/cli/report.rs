//! Pictures of what is inside a network.

use super::pictures::{TRAIN, photographs};
use super::{code, json_lines, stderr, striate, succeed};

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
