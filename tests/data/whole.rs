//! Packs of whole pictures, each of its own size: training sees of them what it sees of the files, and no damage goes
//! unnoticed.

use crate::packed::{Seen, content, strict};
use crate::{assert_clear, classes, request};
use safetensors::SafeTensors;
use std::path::{Path, PathBuf};
use striate::data::{Draws, Fit, Framing, Kind, ModelShape, Request, Splits, open, pack};

/// A folder of pictures of several sizes, two classes, and the same as a pack of shorter sides of 12.
fn whole(root: &Path) -> (PathBuf, PathBuf) {
    let folder = root.join("photos");
    let sizes = [[31, 20], [20, 47], [12, 12], [5, 9], [40, 12], [100, 7], [64, 48]];
    for (number, [width, height]) in (0u32..).zip(sizes) {
        let path = folder.join(format!("{}/{number}.png", if number % 3 == 0 { "a" } else { "b" }));
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        let colour = |x: u32, y: u32, c: u32| ((x * x * 3 + y * 11 + c * 70 + number * 40) % 256) as u8;
        image::RgbImage::from_fn(width, height, |x, y| image::Rgb([0, 1, 2].map(|c| colour(x, y, c))))
            .save(&path)
            .unwrap();
    }
    let path = root.join("whole.safetensors");
    let splits = unpacked(&folder, Some(0.3)).whole(None, Some(12)).unwrap();
    let summary = pack(&splits, &path, 3, &mut strict()).unwrap();
    assert_eq!((summary.counts, summary.skipped), ([5, 2], 0));
    assert_eq!(summary.bytes, path.metadata().unwrap().len());
    (folder, path)
}

fn unpacked(path: &Path, val_split: Option<f32>) -> Splits {
    open(&Request { val_split, seed: 4, wanted: None, ..request(path, [3, 12, 12], 2) }).unwrap()
}

#[test]
fn whole_pictures_are_seen_as_those_of_the_files_are() {
    let root = tempfile::tempdir().unwrap();
    let (folder, path) = whole(root.path());
    let input = [3, 10, 10];
    let fitted = |path: &Path, fit| {
        let wanted = ModelShape { input, outputs: 2, resize: Some(12), fit, follow_classes: false };
        let request = Request { wanted: Some(wanted), picture: [3, 12, 12], ..request(path, input, 2) };
        open(&Request { val_split: Some(0.3), seed: 4, ..request }).unwrap()
    };
    for fit in [Fit::default(), Fit::Square] {
        let (files, pack) = (fitted(&folder, fit), fitted(&path, fit));
        for (a, b) in [(&files.train, &pack.train), (&files.val, &pack.val)] {
            assert_eq!((a.shape, a.framing(), classes(a)), (b.shape, b.framing(), classes(b)));
            assert!(a.file(0).is_some() && b.file(0).is_none());
            let draws = |sample| Draws { seed: 1, epoch: 2, sample };
            let mut framings = vec![a.framing().unwrap()];
            // The resized picture is stored, so every crop of it is the same; windows of RandomResizedCrop are of another picture.
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
    // A window may lie anywhere in the whole picture: 40 x 12 has sides.
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
    // Other programs find each picture by the sizes of those before it.
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
fn damage_to_whole_pictures_and_their_sizes_is_found() {
    let root = tempfile::tempdir().unwrap();
    let (_, path) = whole(root.path());
    let good = std::fs::read(&path).unwrap();
    let header = u64::from_le_bytes(*good.first_chunk().unwrap()) as usize + 8;
    let open_it = || {
        let splits = open(&Request {
            kind: Kind::Packed,
            val_split: Some(0.0),
            wanted: None,
            ..request(&path, [3, 4, 4], 2)
        })?;
        content(&splits.train)?;
        content(&splits.val)
    };
    open_it().unwrap();
    for byte in (0..good.len()).filter(|byte| *byte < header || byte % 3 == 0 || *byte > good.len() - 300) {
        let mut wrong = good.clone();
        wrong[byte] ^= 1 << (byte % 8);
        std::fs::write(&path, &wrong).unwrap();
        assert_clear(&open_it().expect_err("a flipped bit"), root.path(), &format!("byte {byte}"));
    }
    for cut in (0..good.len()).step_by(7) {
        std::fs::write(&path, &good[..cut]).unwrap();
        assert_clear(&open_it().expect_err("a cut file"), root.path(), &format!("cut at {cut}"));
    }
    // Sizes that lie, under a checksum of their own.
    let file = SafeTensors::deserialize(&good).unwrap();
    let place = |name: &str| {
        let data = file.tensor(name).unwrap();
        let start = data.data().as_ptr() as usize - good.as_ptr() as usize;
        start..start + data.data().len()
    };
    let (sizes, checksum) = (place("train.sizes"), place("checksum"));
    let images = place("train.images").start..place("val.images").end;
    for (side, expected) in [
        (0, "train.sizes, picture 0: expected sides of 1 to 65536"),
        (u32::MAX, "train.sizes, picture 0: expected sides of 1 to 65536"),
        (1 << 31, "train.sizes, picture 0: expected sides of 1 to 65536"),
        (65_536, "expected pictures of"),
        (13, "expected pictures of"),
    ] {
        let mut wrong = good.clone();
        wrong[sizes.start..sizes.start + 4].copy_from_slice(&u32::to_le_bytes(side));
        let mut hash = xxhash_rust::xxh3::Xxh3::new();
        for part in [&wrong[..images.start], &wrong[images.end..checksum.start], &wrong[checksum.end..]] {
            hash.update(part);
        }
        wrong[checksum.clone()].copy_from_slice(&hash.digest().to_le_bytes());
        std::fs::write(&path, &wrong).unwrap();
        let error = open_it().expect_err("a size that lies");
        assert_clear(&error, root.path(), &format!("side {side}"));
        assert!(error.to_string().contains(expected), "{side}: {error}");
    }
    assert!(crate::allocations::largest() < 256 << 20, "an allocation of {}", crate::allocations::largest());
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
