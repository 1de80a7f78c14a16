//! Decoded samples as 8-bit grey or red, green and blue, in place: 16 bits, alpha, inks.

/// Rounds 16 bits (in the machine's byte order) to the nearest 8: 65535 becomes 255.
pub(super) fn to_8_bits(pixels: &mut Vec<u8>) {
    let count = pixels.len() / 2;
    for index in 0..count {
        let value = u32::from(u16::from_ne_bytes([pixels[2 * index], pixels[2 * index + 1]]));
        pixels[index] = ((value + 128) / 257) as u8;
    }
    pixels.truncate(count);
}

/// Drops the last of `N` channels, alpha: colour x alpha + white x (1 - alpha). Returns the channels left.
pub(super) fn lay_on_white<const N: usize>(pixels: &mut Vec<u8>) -> usize {
    lay::<N>(pixels, |colour, alpha| (colour * alpha + 255 * (255 - alpha) + 127) / 255)
}

/// The same for colours that are already multiplied by alpha (TIFF's associated alpha): colour + white x (1 - alpha).
pub(super) fn lay_multiplied_on_white<const N: usize>(pixels: &mut Vec<u8>) -> usize {
    lay::<N>(pixels, |colour, alpha| (colour + 255 - alpha).min(255))
}

/// Drops the last of `N` channels.
pub(super) fn drop_last<const N: usize>(pixels: &mut Vec<u8>) -> usize {
    lay::<N>(pixels, |colour, _| colour)
}

fn lay<const N: usize>(pixels: &mut Vec<u8>, mix: impl Fn(u32, u32) -> u32) -> usize {
    let count = pixels.len() / N;
    for index in 0..count {
        let alpha = u32::from(pixels[index * N + N - 1]);
        for channel in 0..N - 1 {
            let colour = u32::from(pixels[index * N + channel]);
            pixels[index * (N - 1) + channel] = mix(colour, alpha) as u8;
        }
    }
    pixels.truncate(count * (N - 1));
    N - 1
}

/// Four inks, 255 for all of one, as red, green and blue. Returns the channels.
pub(super) fn lay_inks(pixels: &mut Vec<u8>) -> usize {
    let count = pixels.len() / 4;
    for index in 0..count {
        let paper = 255 - u32::from(pixels[4 * index + 3]);
        for channel in 0..3 {
            let ink = u32::from(pixels[4 * index + channel]);
            pixels[3 * index + channel] = (((255 - ink) * paper + 127) / 255) as u8;
        }
    }
    pixels.truncate(3 * count);
    3
}

/// Y, Cb and Cr as red, green and blue (ITU-T T.871, 7), in place.
pub(super) fn ycc_to_rgb(pixels: &mut [u8]) {
    for pixel in pixels.as_chunks_mut::<3>().0 {
        let [y, cb, cr] = [f32::from(pixel[0]), f32::from(pixel[1]) - 128.0, f32::from(pixel[2]) - 128.0];
        *pixel = [y + 1.402 * cr, y - 0.344_136 * cb - 0.714_136 * cr, y + 1.772 * cb]
            .map(|value| value.round() as u8);
    }
}
