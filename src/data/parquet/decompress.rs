//! Decompression of pages, with a bound on what it may take.

use flate2::bufread::MultiGzDecoder;
use parquet::basic::Compression;
use ruzstd::decoding::StreamingDecoder;
use std::io::Read;

/// Most bytes of a page.
const MOST: usize = 1 << 30;

/// Bytes that any page may be decompressed to, and how many times its compressed length a larger one: labels of one class compress far,
/// and a page of them has a few MiB.
const SMALL: usize = 16 << 20;
const EXPANSION: usize = 1024;

/// Largest window of Zstandard that any page may ask for (what RFC 8878 recommends to support), how many times its compressed length for a
/// larger one, and the largest of all.
const SMALL_WINDOW: u64 = 8 << 20;
const WINDOW_EXPANSION: u64 = 16;
const MOST_WINDOW: u64 = 128 << 20;

/// Most bytes that one compressed byte can stand for: Snappy copies up to 64 bytes by an element of two or more.
const SNAPPY_EXPANSION: usize = 32;

/// How pages are compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Codec {
    None,
    Snappy,
    Gzip,
    Zstd,
}

impl Codec {
    pub fn of(compression: Compression) -> Result<Codec, String> {
        match compression {
            Compression::UNCOMPRESSED => Ok(Codec::None),
            Compression::SNAPPY => Ok(Codec::Snappy),
            Compression::GZIP(_) => Ok(Codec::Gzip),
            Compression::ZSTD(_) => Ok(Codec::Zstd),
            other => Err(format!(
                "expected pages uncompressed or compressed by SNAPPY, GZIP or ZSTD, found {other}"
            )),
        }
    }

    /// Adds what `bytes` are decompressed to `into`.
    pub fn decompress(self, bytes: &[u8], into: &mut Vec<u8>) -> Result<(), String> {
        if bytes.is_empty() {
            // A page of nulls alone.
            return Ok(());
        }
        let most = bytes.len().saturating_mul(EXPANSION).clamp(SMALL, MOST);
        let unpack = |reader: &mut dyn Read, into: &mut Vec<u8>| {
            let before = into.len();
            let read = reader.take(most as u64 + 1).read_to_end(into);
            read.map_err(|error| format!("a compressed page: {error}"))?;
            match into.len() - before {
                length if length > most => Err(format!(
                    "expected a page of {} bytes to be decompressed to at most {most}, found more",
                    bytes.len()
                )),
                _ => Ok(()),
            }
        };
        match self {
            Codec::None => into.extend_from_slice(bytes),
            Codec::Snappy => {
                let wrong = |error: snap::Error| format!("a page compressed by SNAPPY: {error}");
                let length = snap::raw::decompress_len(bytes).map_err(wrong)?;
                let most = bytes.len().saturating_mul(SNAPPY_EXPANSION).min(MOST);
                if length > most {
                    return Err(format!(
                        "a page of {} bytes cannot be decompressed to the {length} that it claims",
                        bytes.len()
                    ));
                }
                let start = into.len();
                into.resize(start + length, 0);
                snap::raw::Decoder::new().decompress(bytes, &mut into[start..]).map_err(wrong)?;
            }
            Codec::Gzip => unpack(&mut MultiGzDecoder::new(bytes), into)?,
            Codec::Zstd => {
                let window = (bytes.len() as u64).saturating_mul(WINDOW_EXPANSION);
                let window = window.clamp(SMALL_WINDOW, MOST_WINDOW);
                let decoder = StreamingDecoder::new_with_max_window_size(bytes, window);
                let mut decoder = decoder.map_err(|error| format!("a compressed page: {error}"))?;
                unpack(&mut decoder, into)?;
            }
        }
        Ok(())
    }
}
