//! Sound files, to be damaged: those that fuzzing begins with.

use std::path::Path;

/// The seed `name` of the fuzzing target `target`.
pub fn seed(target: &str, name: &str) -> Vec<u8> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fuzz/corpus");
    let path = root.join(target).join(format!("seed-{name}"));
    std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Header and data of a safetensors file.
pub fn parts(bytes: &[u8]) -> (serde_json::Value, &[u8]) {
    let (length, rest) = bytes.split_first_chunk().unwrap();
    let (header, data) = rest.split_at(u64::from_le_bytes(*length) as usize);
    (serde_json::from_slice(header).unwrap(), data)
}

/// The safetensors file of this header (text, so that it may be anything) and data.
pub fn joined(header: &str, data: &[u8]) -> Vec<u8> {
    [&(header.len() as u64).to_le_bytes(), header.as_bytes(), data].concat()
}
