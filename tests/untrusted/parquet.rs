//! Parquet files of a few bytes that would take long to read or much memory.

use ::parquet::basic::Encoding;
use ::parquet::data_type::{ByteArray, ByteArrayType};
use ::parquet::file::reader::{FileReader, SerializedFileReader};
use ::parquet::file::{properties::WriterProperties, writer::SerializedFileWriter};
use ::parquet::schema::parser::parse_message_type;
use striate::data::{Request, Splits, open};
use striate::error::Result;

const ROWS: usize = 300;

/// A file of `groups` row groups, each of images (no whole ones) and the texts `a` and `b` as labels in this encoding.
fn file(groups: usize, encoding: Encoding) -> Vec<u8> {
    let schema = "message rows { required binary image; required binary label (UTF8); }";
    let properties = WriterProperties::builder().set_dictionary_enabled(false).set_encoding(encoding).build();
    let schema = parse_message_type(schema).unwrap();
    let mut writer = SerializedFileWriter::new(Vec::new(), schema.into(), properties.into()).unwrap();
    for _ in 0..groups {
        let mut group = writer.next_row_group().unwrap();
        for text in [|_| "image", |row: usize| ["a", "b"][row % 2]] {
            let values: Vec<ByteArray> = (0..ROWS).map(|row| text(row).into()).collect();
            let mut column = group.next_column().unwrap().unwrap();
            column.typed::<ByteArrayType>().write_batch(&values, None, None).unwrap();
            column.close().unwrap();
        }
        group.close().unwrap();
    }
    writer.into_inner().unwrap()
}

fn opened(bytes: &[u8]) -> Result<Splits> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("t.parquet");
    std::fs::write(&path, bytes).unwrap();
    let request = Request::new([3, 8, 8], 2).with_path(Some(path.to_str().unwrap().into()));
    open(&request.with_val_split(Some(0.0)))
}

fn refused(bytes: &[u8], part: &str) {
    let error = opened(bytes).map(|splits| splits.train.len()).unwrap_err();
    assert_eq!(error.exit_code(), 4);
    assert!(error.to_string().contains(part), "{error}");
}

/// Where `part` stands in `bytes`, once.
fn place(bytes: &[u8], part: &[u8]) -> usize {
    let places: Vec<usize> = (0..bytes.len()).filter(|&at| bytes[at..].starts_with(part)).collect();
    assert_eq!(places.len(), 1, "{part:x?}");
    places[0]
}

/// The zigzag form of a number in Thrift's compact protocol, filled up to `length` bytes.
fn varint(number: i64, length: usize) -> Vec<u8> {
    let number = number as u64 * 2;
    let byte = |at: usize| (number >> (7 * at)) as u8 & 0x7f | if at + 1 < length { 0x80 } else { 0 };
    (0..length).map(byte).collect()
}

#[test]
fn fields_that_no_one_knows_are_not_read_billions_of_times() {
    let sound = file(1, Encoding::PLAIN);
    assert_eq!(opened(&sound).unwrap().train.len(), ROWS);
    let (body, tail) = sound.split_at(sound.len() - 8);
    let size = u32::from_le_bytes(tail[..4].try_into().unwrap());
    // Field 100 before the end of the footer: 2^31 - 1 truth values, which take no bytes; and 4 KiB of bytes, which are ignored.
    let many = [0x09, 0xc8, 1, 0xf1, 0xff, 0xff, 0xff, 0xff, 7, 0];
    let few = [&[0x08, 0xc8, 1, 0x80, 0x20][..], &[7; 4096], &[0]].concat();
    let with = |field: &[u8]| {
        let size = (size - 1 + field.len() as u32).to_le_bytes();
        [&body[..body.len() - 1], field, &size, b"PAR1"].concat()
    };
    refused(&with(&many), "its footer has a list of truth values");
    assert_eq!(opened(&with(&few)).unwrap().train.len(), ROWS);
}

#[test]
fn lengths_that_are_only_claimed_take_no_memory() {
    let mut bytes = file(1, Encoding::DELTA_LENGTH_BYTE_ARRAY);
    assert_eq!(opened(&bytes).unwrap().train.len(), ROWS);
    let metadata = SerializedFileReader::new(::bytes::Bytes::from(bytes.clone())).unwrap();
    let labels = metadata.metadata().row_group(0).column(1).data_page_offset() as usize;
    // A block of 128 values in 4 parts, and the number of values, 300.
    let at = labels + place(&bytes[labels..], &[0x80, 1, 4, 0xac, 2]);
    bytes[at + 3..at + 5].copy_from_slice(&[0xff, 0x7f]);
    refused(&bytes, "at most 300 values, found 16383");
    refused(&file(1, Encoding::DELTA_BYTE_ARRAY), "found that; write them PLAIN");
}

#[test]
fn row_groups_do_not_share_their_bytes() {
    let mut bytes = file(2, Encoding::PLAIN);
    assert_eq!(opened(&bytes).unwrap().train.len(), 2 * ROWS);
    let metadata = SerializedFileReader::new(::bytes::Bytes::from(bytes.clone())).unwrap();
    let starts = [0, 1].map(|group| metadata.metadata().row_group(group).column(1).data_page_offset());
    let second = varint(starts[1], 2);
    let footer =
        bytes.len() - 8 - u32::from_le_bytes(bytes[bytes.len() - 8..][..4].try_into().unwrap()) as usize;
    let first = varint(starts[0], 2);
    let places: Vec<usize> = (footer..bytes.len()).filter(|&at| bytes[at..].starts_with(&second)).collect();
    assert!(!places.is_empty());
    for at in places {
        bytes[at..at + 2].copy_from_slice(&first);
    }
    refused(&bytes, &format!("from byte {} and one from byte {}", starts[0], starts[0]));
}
