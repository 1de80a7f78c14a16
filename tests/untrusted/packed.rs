//! Damaged packs: no cut, no flipped bit and no lie of a header goes unnoticed.

use crate::dataset::{assert_clear, request};
use crate::packs::{SHAPE, content, splits, whole, write};
use safetensors::SafeTensors;
use striate::data::{Kind, open};

/// What `read` returns; it must not hold much memory at any time, regardless of what the file claims.
fn bounded<T: Send>(read: impl FnOnce() -> T + Send) -> T {
    let (peak, result) = crate::peak(read);
    assert!(peak < 64 << 20, "{peak} bytes at once");
    result
}

#[test]
fn every_cut_and_every_flipped_bit_is_found() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("waves.safetensors");
    write(&splits(3, 2), &path, 0);
    let good = std::fs::read(&path).unwrap();
    let as_packed = || {
        let request = request(&path, SHAPE, 3).with_kind(Kind::Packed).with_val_split(Some(0.0));
        bounded(|| open(&request))
    };
    for cut in 0..good.len() {
        std::fs::write(&path, &good[..cut]).unwrap();
        assert_clear(&as_packed().expect_err("a cut file"), folder.path(), &format!("cut at {cut}"));
    }
    std::fs::write(&path, [&good[..], &[0]].concat()).unwrap();
    assert_clear(&as_packed().expect_err("a longer file"), folder.path(), "one byte more");
    let header = u64::from_le_bytes(*good.first_chunk().unwrap()) as usize + 8;
    let pictures = header..header + 5 * 105;
    for byte in 0..good.len() {
        let mut wrong = good.clone();
        wrong[byte] ^= 1 << (byte % 8);
        std::fs::write(&path, &wrong).unwrap();
        let case = format!("byte {byte}");
        let error = match as_packed() {
            Err(error) => error,
            Ok(splits) => {
                assert!(pictures.contains(&byte), "{case} is not noticed when the file is opened");
                let (train, val) = (content(&splits.train), content(&splits.val));
                let (part, number) =
                    if byte - header < 315 { ("train", byte - header) } else { ("val", byte - header - 315) };
                let error = train.and(val).expect_err(&case);
                let place = format!("{part}.images, image {}: expected hash ", number / 105);
                assert!(error.to_string().contains(&place), "{case}: {error}");
                error
            }
        };
        assert_clear(&error, folder.path(), &case);
    }
}

#[test]
fn headers_that_lie_are_refused_before_memory_is_taken() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("waves.safetensors");
    write(&splits(3, 2), &path, 0);
    let good = std::fs::read(&path).unwrap();
    let header = u64::from_le_bytes(*good.first_chunk().unwrap()) as usize + 8;
    let text = String::from_utf8(good[8..header].to_vec()).unwrap();
    for (from, to, expected) in [
        ("\"version\":\"1\"", "\"version\":\"3\"", "metadata version: expected 1 or 2, found \"3\""),
        ("\"version\":\"1\"", "\"version\":\"2\"", "train.images: expected [pixels, channels]"),
        ("striate-packed", "striate-pecked", "metadata format: expected striate-packed"),
        ("\"name\"", "\"nome\"", "metadata name: expected a text, found none"),
        ("[3,3,5,7]", "[3,2,5,7]", "the header: "),
        ("train.labels", "train.lobels", "train.labels: expected"),
        ("\"I32\"", "\"U32\"", "labels: expected I32"),
        ("[2,3,5,7]", "[1,6,5,7]", "val.images: expected U8 [1, 3, 5, 7]"),
        ("[3,3,5,7]", "[3,15,1,7]", "train.images: expected 1 or 3 channels"),
    ] {
        let wrong = text.replacen(from, to, 1);
        assert_ne!(wrong, text, "{from}");
        let length = (wrong.len() as u64).to_le_bytes();
        std::fs::write(&path, [&length[..], wrong.as_bytes(), &good[header..]].concat()).unwrap();
        let error = open(&request(&path, SHAPE, 3).with_kind(Kind::Packed)).expect_err(to);
        assert_clear(&error, folder.path(), to);
        assert!(error.to_string().contains(expected), "{to}: {error}");
    }
}

#[test]
fn damage_to_whole_pictures_and_their_sizes_is_found() {
    let root = tempfile::tempdir().unwrap();
    let (_, path) = whole(root.path());
    let good = std::fs::read(&path).unwrap();
    let header = u64::from_le_bytes(*good.first_chunk().unwrap()) as usize + 8;
    let open_it = || {
        let request = request(&path, [3, 4, 4], 2);
        let request = request.with_kind(Kind::Packed).with_val_split(Some(0.0)).with_model(None);
        bounded(|| {
            let splits = open(&request)?;
            content(&splits.train)?;
            content(&splits.val)
        })
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
        (0, "train.sizes, image 0: expected sides of 1 to 65536"),
        (u32::MAX, "train.sizes, image 0: expected sides of 1 to 65536"),
        (1 << 31, "train.sizes, image 0: expected sides of 1 to 65536"),
        (65_536, "expected images of"),
        (13, "expected images of"),
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
}
