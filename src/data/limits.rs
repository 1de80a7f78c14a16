//! Limits on what decoding one image may take, checked against its header before anything is allocated.

use std::sync::{Mutex, MutexGuard, PoisonError};

/// What a decoder found, in one line without the file's name.
pub(super) type Decoded<T> = std::result::Result<T, String>;

/// Most pixels of an image.
const MAX_PIXELS: u64 = 100_000_000;

/// Most bytes that the pixels of an image may take while it is decoded: with the file and what rows take, less than 512 MiB.
/// A progressive JPEG keeps the coefficients of all components (two bytes each) beside them.
const MAX_DECODED: u64 = 400 << 20;

/// Most bytes that what stands beside the pixels (profiles, texts) and rows in progress may take.
pub(super) const MAX_CHUNKS: u64 = 64 << 20;

/// Images of more pixels than this are decoded one at a time.
const LARGE: u64 = 16_000_000;

/// Whose turn it is to decode a large image. Each takes hundreds of megabytes while it is decoded, so that many threads
/// with one each could take more memory than a machine has; one at a time bounds it for any number of threads.
static LARGE_TURN: Mutex<()> = Mutex::new(());

/// Held while a large image is decoded and its memory given back.
pub(super) type Turn = Option<MutexGuard<'static, ()>>;

/// Checks what a header claims before anything is allocated for it.
pub(super) fn check_size(width: u64, height: u64, possible: u64) -> Decoded<()> {
    let pixels = width * height;
    if pixels == 0 {
        return Err(format!("expected at least one pixel, found {width}x{height}"));
    }
    if pixels > MAX_PIXELS {
        return Err(format!("expected at most {MAX_PIXELS} pixels, found {width}x{height}"));
    }
    if pixels > possible {
        return Err(format!(
            "the header claims {width}x{height} pixels, a file of this length holds at most {possible}"
        ));
    }
    Ok(())
}

/// Checks what decoding would take, `bytes` for each pixel.
pub(super) fn check_memory(width: u64, height: u64, bytes: u64) -> Decoded<()> {
    let needed = width.saturating_mul(height).saturating_mul(bytes);
    if needed > MAX_DECODED {
        return Err(format!(
            "expected an image of at most {MAX_DECODED} bytes while it is decoded, found {width}x{height} pixels of {bytes} bytes"
        ));
    }
    Ok(())
}

/// Waits until no other large image is being decoded, if this one is large and not a part of one that has its turn.
pub(super) fn wait_for_turn(pixels: u64, turn: &mut Turn) {
    if pixels > LARGE && turn.is_none() {
        *turn = Some(LARGE_TURN.lock().unwrap_or_else(PoisonError::into_inner));
    }
}
