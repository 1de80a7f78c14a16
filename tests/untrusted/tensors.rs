//! Damaged data sets in safetensors files.

use crate::dataset::{assert_clear, request};
use safetensors::tensor::{Dtype, TensorView};
use striate::data::open;

const PIXELS: [u8; 8] = [0, 1, 2, 3, 4, 5, 6, 255];

#[test]
fn damaged_files_are_one_clear_line() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("set.safetensors");
    let tensors = [("images", &[2, 2, 1, 2][..], &PIXELS[..]), ("labels", &[2], &[1, 0])];
    let view = |shape: &[usize], data| TensorView::new(Dtype::U8, shape.to_vec(), data).unwrap();
    let views = tensors.map(|(name, shape, data)| (name, view(shape, data)));
    let good = safetensors::serialize(views, None).unwrap();
    let mut damaged: Vec<Vec<u8>> = (0..good.len()).map(|cut| good[..cut].to_vec()).collect();
    for length in [0, 1, 1 << 20, 1_000_000_000_000_000_000, u64::MAX] {
        let mut wrong = good.clone();
        wrong[..8].copy_from_slice(&length.to_le_bytes());
        damaged.push(wrong);
    }
    let text = String::from_utf8_lossy(&good[8..good.len() - 10]).into_owned();
    for (from, to) in [
        ("[0,8]", "[0,7]"),
        ("[8,10]", "[6,8]"),
        ("[8,10]", "[8,99999999]"),
        ("[2,2,1,2]", "[2,2,1,3]"),
        ("[2,2,1,2]", "[-2,2,1,2]"),
        ("\"labels\"", "\"images\""),
    ] {
        let header = text.replace(from, to);
        assert_ne!(header, text, "{from}");
        let length = (header.len() as u64).to_le_bytes();
        damaged.push([&length[..], header.as_bytes(), &good[good.len() - 10..]].concat());
    }
    for (number, content) in damaged.iter().enumerate() {
        std::fs::write(&path, content).unwrap();
        let case = format!("damage {number}");
        let request = request(&path, [2, 1, 2], 2);
        let (peak, result) = crate::peak(|| open(&request));
        assert!(peak < 64 << 20, "{case}: {peak} bytes at once");
        assert_clear(&result.expect_err(&case), folder.path(), &case);
    }
}
