//! Tables in the headers of images that are larger than the images need.

use crate::peak;
use std::fs;
use striate::data::Decoder;

/// A grey TIFF of `side` squared whose other entries, each a tag, its kind, its number of values and itself, are `more`; `table`
/// follows at 200.
fn tiff_of_bytes(side: u32, more: &[[u32; 4]], table: &[u8]) -> Vec<u8> {
    let mut entries = vec![[256, 4, 1, side], [257, 4, 1, side], [259, 4, 1, 1], [262, 4, 1, 1]];
    entries.extend(more);
    let entry = |[tag, kind, count, value]: [u32; 4]| {
        [
            &(tag as u16).to_le_bytes()[..],
            &(kind as u16).to_le_bytes(),
            &count.to_le_bytes(),
            &value.to_le_bytes(),
        ]
        .concat()
    };
    let count = (entries.len() as u16).to_le_bytes();
    let mut bytes = [b"II*\0\x08\0\0\0", &count[..]].concat();
    bytes.extend(entries.into_iter().flat_map(entry));
    bytes.resize(200, 0);
    [&bytes, table].concat()
}

#[test]
fn the_tables_of_a_tiff_take_no_memory_beside_the_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("picture");
    // A strip begins at 8 and has 8 bytes, samples have 8 bits, and 8 rows are a strip: all one table.
    let (most, tiles) = (24 << 20, 2000_u32.pow(2));
    let strips = [258, 273, 278, 279].map(|tag| [tag, 1, most, 200]);
    let tiled = [[258, 4, 1, 8], [322, 4, 1, 1], [323, 4, 1, 1], [324, 1, tiles, 200], [325, 1, tiles, 200]];
    for (name, bytes) in [
        ("more values than the image needs", tiff_of_bytes(1, &strips, &vec![8; most as usize])),
        ("tiles of one pixel", tiff_of_bytes(2000, &tiled, &vec![8; tiles as usize])),
    ] {
        fs::write(&path, &bytes).unwrap();
        let length = bytes.len();
        drop(bytes);
        let (bytes, result) = peak(|| Decoder::new().read(&path, [1, 2, 2], &mut [0; 4]));
        result.unwrap();
        assert!(bytes < 2 * length + (24 << 20), "{name}: {bytes} bytes for a file of {length}");
    }
    let tables = [[258, 4, 1, 8], [273, 4, 1, 200], [279, 4, 1, 100], [347, 7, most, 200]];
    let bytes = tiff_of_bytes(1, &tables, &vec![8; most as usize]);
    let at = bytes.windows(12).position(|entry| entry[..2] == 259_u16.to_le_bytes()).unwrap();
    let jpeg = [&bytes[..at + 8], &7_u32.to_le_bytes(), &bytes[at + 12..]].concat();
    fs::write(&path, jpeg).unwrap();
    let error = Decoder::new().read(&path, [1, 2, 2], &mut [0; 4]).unwrap_err().to_string();
    assert!(error.contains("tables of JPEG strips of 25165824 bytes"), "{error}");
}
