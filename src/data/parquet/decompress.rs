//! Decompression of pages, with a bound on what it may take.

use flate2::bufread::MultiGzDecoder;
use parquet::basic::Compression;
use ruzstd::decoding::StreamingDecoder;
use std::io::Read;

/// Most bytes of a page.
const MOST: usize = 1 << 30;

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
        let unpack = |reader: &mut dyn Read, into: &mut Vec<u8>| {
            let before = into.len();
            reader
                .take(MOST as u64 + 1)
                .read_to_end(into)
                .map_err(|error| format!("a compressed page: {error}"))?;
            if into.len() - before > MOST {
                return Err(format!("expected a page of at most {MOST} bytes, found more"));
            }
            Ok(())
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
                let mut decoder =
                    StreamingDecoder::new(bytes).map_err(|error| format!("a compressed page: {error}"))?;
                unpack(&mut decoder, into)?;
            }
        }
        Ok(())
    }
}
