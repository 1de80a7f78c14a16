//! Training sees all of a photograph: batches hold the windows that were drawn in the whole of it.

use crate::request;
use striate::data::{
    Augmenter, BadFiles, Draws, Fit, Framing, InputTransform, Loader, LoaderOptions, ModelShape, OnBadFile,
    Transform, open,
};
use striate::view::{Augment, Crop};

const INPUT: [usize; 3] = [3, 16, 16];

/// A row of three squares: red, green, blue.
fn photograph() -> image::RgbImage {
    image::RgbImage::from_fn(60, 20, |x, _| {
        let mut pixel = [0; 3];
        pixel[x as usize / 20] = 255;
        image::Rgb(pixel)
    })
}

#[test]
fn batches_show_the_sides_of_a_photograph() {
    let folder = tempfile::tempdir().unwrap();
    for name in ["a/1.png", "b/2.png"] {
        let path = folder.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        photograph().save(path).unwrap();
    }
    for crop in [Crop::RandomResized, Crop::Random] {
        let fit = Fit::Input { random_resized: crop == Crop::RandomResized };
        let wanted = ModelShape { input: INPUT, outputs: 2, resize: Some(20), fit, follow_classes: false };
        let request = request(folder.path(), INPUT, 2).with_model(Some(wanted)).with_val_split(Some(0.0));
        let data = open(&request).unwrap().train;
        assert_eq!((data.shape, data.framing()), (INPUT, Some(Framing::Centre { resize: Some(20) })));
        let augment = Augment { crop, ..Augment::default() };
        let transform = Transform::default().with_resize(Some(20)).with_augment(augment);
        let augmenter = Augmenter::framed(data.shape, INPUT, &transform).unwrap();
        let (mut seen, mut plain) = ([0; 3], [0; 3]);
        for epoch in 0..60 {
            for (augment, seen) in [(true, &mut seen), (false, &mut plain)] {
                let options = LoaderOptions::new(2, InputTransform::OnDevice(augmenter.clone()))
                    .with_seed(11)
                    .with_epoch(epoch)
                    .with_augment(augment)
                    .with_bad(BadFiles::new(OnBadFile::Fail));
                let batch = Loader::new(data.clone(), options).next().unwrap().unwrap();
                let bytes = batch.input.bytes();
                for (&sample, pixels) in batch.samples.iter().zip(bytes.chunks(data.image_len())) {
                    for (colour, plane) in seen.iter_mut().zip(pixels.chunks(256)) {
                        *colour += u32::from(plane.contains(&255));
                    }
                    let draws = Draws { seed: 11, epoch, sample };
                    let framing = match crop {
                        _ if !augment => Framing::Centre { resize: Some(20) },
                        Crop::Random => Framing::Random { resize: 20, draws },
                        _ => Framing::RandomResized { scale: [0.08, 1.0], ratio: [0.75, 1.333_333_3], draws },
                    };
                    let mut expected = vec![0; data.image_len()];
                    data.read_framed(sample as usize, framing, &mut expected).unwrap();
                    assert_eq!(pixels, expected, "{crop:?} {framing:?}");
                }
            }
        }
        // 120 windows: most of them leave the middle square, to either side alike.
        assert!(seen[0] > 40 && seen[2] > 40 && seen[0].abs_diff(seen[2]) < 40, "{crop:?}: {seen:?}");
        assert_eq!(plain, [0, 120, 0], "evaluation shows the middle");
    }
}
