//! Packs of whole images, each in its original size: training sees of them what it sees of the files, and no damage goes
//! unnoticed.

use crate::packs::{Seen, strict, unpacked, whole};
use crate::{classes, request};
use safetensors::SafeTensors;
use std::path::Path;
use striate::data::{Draws, Fit, Framing, ModelShape, Splits, open, pack};

#[test]
fn whole_pictures_are_seen_as_those_of_the_files_are() {
    let root = tempfile::tempdir().unwrap();
    let (folder, path) = whole(root.path());
    let input = [3, 10, 10];
    let fitted = |path: &Path, fit| {
        let wanted = ModelShape { input, outputs: 2, resize: Some(12), fit, follow_classes: false };
        let request = request(path, input, 2).with_model(Some(wanted)).with_image_shape([3, 12, 12]);
        open(&request.with_val_split(Some(0.3)).with_seed(4)).unwrap()
    };
    for fit in [Fit::default(), Fit::Square] {
        let (files, pack) = (fitted(&folder, fit), fitted(&path, fit));
        for (a, b) in [(&files.train, &pack.train), (&files.val, &pack.val)] {
            assert_eq!((a.shape, a.framing(), classes(a)), (b.shape, b.framing(), classes(b)));
            assert!(a.file(0).is_some() && b.file(0).is_none());
            let draws = |sample| Draws { seed: 1, epoch: 2, sample };
            let mut framings = vec![a.framing().unwrap()];
            // The resized image is stored, so every crop of it is the same; windows of RandomResizedCrop are of another image.
            framings.extend((0..5).map(|sample| Framing::Random { resize: 12, draws: draws(sample) }));
            for sample in 0..a.len() {
                for &framing in framings.iter().filter(|_| a.shape == input) {
                    let mut read = [vec![0; a.image_len()], vec![1; a.image_len()]];
                    a.read_framed(sample, framing, &mut read[0]).unwrap();
                    b.read_framed(sample, framing, &mut read[1]).unwrap();
                    // Of the file, only the part that is shown was resized: that moves a value by 1.
                    let worst = read[0].iter().zip(&read[1]).map(|(a, b)| a.abs_diff(*b)).max().unwrap();
                    assert!(worst <= 1, "{sample}: {framing:?}: off by {worst}");
                }
            }
        }
    }
    // A window may lie anywhere in the whole image: 40 x 12 has sides.
    let pack = fitted(&path, Fit::default()).train;
    let mut seen = std::collections::HashSet::new();
    for sample in 0..40 {
        let draws = Draws { seed: 1, epoch: 0, sample };
        let framing = Framing::RandomResized { scale: [0.08, 0.2], ratio: [0.75, 1.333], draws };
        let mut pixels = vec![0; pack.image_len()];
        pack.read_framed(1, framing, &mut pixels).unwrap();
        seen.insert(pixels);
    }
    assert!(seen.len() > 30, "{} different windows", seen.len());
}

#[test]
fn a_pack_of_a_pack_of_whole_pictures_is_the_same_file_for_any_number_of_threads() {
    let root = tempfile::tempdir().unwrap();
    let (folder, path) = whole(root.path());
    let again = root.path().join("again");
    for workers in [1, 4] {
        let splits = unpacked(&path, Some(0.0)).whole(None, None).unwrap();
        pack(
            &Splits { val: unpacked(&path, None).whole(None, None).unwrap().val, ..splits },
            &again,
            workers,
            &mut strict(),
        )
        .unwrap();
        // Apart from the name of the set.
        let bytes = |path: &Path| {
            let bytes = std::fs::read(path).unwrap();
            let header = u64::from_le_bytes(*bytes.first_chunk().unwrap()) as usize + 8;
            let tail = SafeTensors::deserialize(&bytes).unwrap().tensor("checksum").unwrap().data().to_vec();
            (bytes[header..].to_vec(), tail)
        };
        assert_eq!(bytes(&path).0.len(), bytes(&again).0.len());
        assert_eq!(std::fs::read(&path).unwrap(), std::fs::read(&again).unwrap());
    }
    // Other programs find each image by the sizes of those before it.
    let bytes = std::fs::read(&path).unwrap();
    let file = SafeTensors::deserialize(&bytes).unwrap();
    let (images, sizes) = (file.tensor("train.images").unwrap(), file.tensor("train.sizes").unwrap());
    let sizes: Vec<usize> =
        sizes.data().chunks(4).map(|side| i32::from_le_bytes(side.try_into().unwrap()) as usize).collect();
    let pixels: usize = sizes.chunks(2).map(|size| size[0] * size[1]).sum();
    assert_eq!(images.shape(), [pixels, 3]);
    assert!(sizes.chunks(2).all(|size| size[0].min(size[1]) == 12), "{sizes:?}");
    let first = unpacked(&folder, Some(0.3)).whole(None, Some(12)).unwrap().train;
    let mut own = Vec::new();
    let [width, height] = first.read_whole(0, &mut own).unwrap();
    assert_eq!((sizes[0], sizes[1]), (height, width));
    assert_eq!(images.data()[..own.len()], own);
}

#[test]
fn a_sliver_that_would_take_too_much_is_left_out_of_a_pack_and_named() {
    let root = tempfile::tempdir().unwrap();
    for (name, [width, height]) in [("a/1.png", [20, 20]), ("b/2.png", [1, 400]), ("b/3.png", [30, 20])] {
        let path = root.path().join("photos").join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        image::RgbImage::new(width, height).save(path).unwrap();
    }
    let splits = unpacked(&root.path().join("photos"), Some(0.0)).whole(None, Some(256)).unwrap();
    let mut seen = Seen::default();
    let summary = pack(&splits, &root.path().join("p"), 0, &mut seen).unwrap();
    assert_eq!((summary.counts, summary.skipped), ([2, 0], 1));
    assert!(seen.bad[0].contains("2.png: ") && seen.bad[0].contains("found 256x102400"), "{:?}", seen.bad);
}
