//! GIF files as pixels: the first image, on its canvas.
//!
//! Transparent pixels are white, and so is the canvas around an image that has some. Around others it has the first colour of
//! the palette, as in Pillow.

use super::fit::ImageInfo;
use super::limits::{Decoded, Turn, check_memory, check_size, wait_for_turn};
use gif::{ColorOutput, DecodeOptions, MemoryLimit};
use image::metadata::Orientation;
use std::fmt::Display;
use std::num::NonZeroU64;

/// Most pixels that a byte stands for: a code has at least 3 bits at first, 12 when it stands for the longest string, of less than
/// 4096 pixels (GIF89a, appendix F).
const GIF_EXPANSION: u64 = 4096 * 8 / 12;

/// Most bytes that an extension or the pixels of a frame may take.
const MAX_PART: NonZeroU64 = NonZeroU64::new(100_000_000).expect("not zero");

fn wrong(error: &dyn Display) -> String {
    format!("not a whole GIF: {}", error.to_string().trim())
}

/// Decodes the first image of the GIF `file` into `pixels`. Returns whether there are more.
pub(super) fn decode(file: &[u8], pixels: &mut Vec<u8>, turn: &mut Turn) -> Decoded<(ImageInfo, bool)> {
    let mut options = DecodeOptions::new();
    options.set_color_output(ColorOutput::Indexed);
    options.set_memory_limit(MemoryLimit::Bytes(MAX_PART));
    let mut decoder = options.read_info(file).map_err(|error| wrong(&error))?;
    let possible = file.len() as u64 * GIF_EXPANSION;
    let screen = [decoder.width(), decoder.height()].map(usize::from);
    let Some(frame) = decoder.next_frame_info().map_err(|error| wrong(&error))? else {
        return Err(wrong(&"it holds no image"));
    };
    let [left, top, across, down] = [frame.left, frame.top, frame.width, frame.height].map(usize::from);
    check_size(across as u64, down as u64, possible)?;
    // An image that reaches over the edge enlarges the canvas, as in Pillow.
    let [width, height] = [screen[0].max(left + across), screen[1].max(top + down)];
    check_size(width as u64, height as u64, possible)?;
    check_memory(width as u64, height as u64, 4)?;
    wait_for_turn((width * height) as u64, turn);
    let transparent = frame.transparent;
    let own = frame.palette.clone();
    let mut indices = vec![0; decoder.buffer_size()];
    // An error if the data end before the last pixel.
    decoder.read_into_buffer(&mut indices).map_err(|error| wrong(&error))?;
    let palette = own.as_deref().or(decoder.global_palette()).unwrap_or_default();
    let colour = |index: u8| match palette.get(3 * usize::from(index)..).and_then(|rest| rest.first_chunk()) {
        _ if transparent == Some(index) => [255; 3],
        Some(&colour) => colour,
        // Beyond the palette, as in a PNG.
        None => [0; 3],
    };
    let around = if transparent.is_some() { [255; 3] } else { colour(0) };
    pixels.clear();
    pixels.reserve_exact(3 * width * height);
    pixels.extend(std::iter::repeat_n(around, width * height).flatten());
    for (row, indices) in indices.chunks_exact(across).enumerate() {
        let at = 3 * ((top + row) * width + left);
        for (pixel, &index) in pixels[at..].chunks_exact_mut(3).zip(indices) {
            pixel.copy_from_slice(&colour(index));
        }
    }
    // Damage behind the first image is none of this one's.
    let has_more = decoder.next_frame_info().is_ok_and(|next| next.is_some());
    Ok((ImageInfo { width, height, channels: 3, orientation: Orientation::NoTransforms }, has_more))
}
