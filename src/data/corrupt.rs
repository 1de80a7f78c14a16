//! Damage to stored images, to measure what a network still recognises: Gaussian blur and Gaussian noise, on the
//! bytes, before they become network input. Each is a function of the image and its arguments alone.

use crate::random::{Purpose, Stream};
use crate::view::LUMA;

/// Blurs `pixels` (`[channels, height, width]`) with a Gaussian of standard deviation `sigma`, in pixels.
///
/// Weights exp(-d^2 / (2 sigma^2)) for whole distances d up to 3 sigma, scaled to sum to 1, along rows and then along
/// columns; pixels beyond the border are those at the border. Values are rounded once, at the end. 0 changes nothing.
pub fn blur(pixels: &mut [u8], [_, height, width]: [usize; 3], sigma: f64) {
    let size = height * width;
    if sigma <= 0.0 || size == 0 {
        return;
    }
    let weights = gaussian(sigma, height.max(width));
    let mut rows = vec![0.0f32; size];
    let mut sum = vec![0.0f32; width];
    for plane in pixels.chunks_exact_mut(size) {
        for (row, blurred) in plane.chunks_exact(width).zip(rows.chunks_exact_mut(width)) {
            let padded = padded(row, weights.len() / 2);
            blurred.fill(0.0);
            for (offset, weight) in weights.iter().enumerate() {
                for (value, from) in blurred.iter_mut().zip(&padded[offset..]) {
                    *value += weight * from;
                }
            }
        }
        for (y, row) in plane.chunks_exact_mut(width).enumerate() {
            sum.fill(0.0);
            for (offset, weight) in weights.iter().enumerate() {
                let from = (y + offset).saturating_sub(weights.len() / 2).min(height - 1) * width;
                for (value, from) in sum.iter_mut().zip(&rows[from..from + width]) {
                    *value += weight * from;
                }
            }
            for (pixel, value) in row.iter_mut().zip(&sum) {
                *pixel = byte(*value);
            }
        }
    }
}

/// Adds to every byte a normal number of standard deviation `std` (of 255), drawn separately for each pixel and channel; values
/// outside 0 to 255 are clamped. The numbers are those of `seed` and `sample`, so that a stronger noise is
/// the same noise, stronger.
pub fn noise(pixels: &mut [u8], std: f64, seed: u64, sample: usize) {
    if std <= 0.0 {
        return;
    }
    let mut stream = Stream::new(seed, Purpose::Corrupt, sample as u32);
    for pixel in pixels {
        *pixel = byte(f32::from(*pixel) + std as f32 * stream.normal());
    }
}

/// Mean brightness of an image, 0 to 255: of its pixels' luma ([`LUMA`]), or of its only channel.
pub fn mean_luma(pixels: &[u8], [channels, height, width]: [usize; 3]) -> f64 {
    let size = height * width;
    let mean = |plane: &[u8]| plane.iter().map(|&p| u64::from(p)).sum::<u64>() as f64 / size as f64;
    let means = pixels.chunks_exact(size.max(1)).map(mean);
    if channels == 3 {
        means.zip(LUMA).map(|(mean, weight)| mean * f64::from(weight)).sum()
    } else {
        means.take(1).sum()
    }
}

/// The weights of a Gaussian; no wider than reaches across `side` pixels from anywhere.
fn gaussian(sigma: f64, side: usize) -> Vec<f32> {
    let reach = (3.0 * sigma).ceil().min(side as f64) as i64;
    let weights: Vec<f64> =
        (-reach..=reach).map(|d| (-((d * d) as f64) / (2.0 * sigma * sigma)).exp()).collect();
    let sum: f64 = weights.iter().sum();
    weights.iter().map(|weight| (weight / sum) as f32).collect()
}

/// `row` with its first and last pixel `reach` times more.
fn padded(row: &[u8], reach: usize) -> Vec<f32> {
    let last = row.len() - 1;
    (0..row.len() + 2 * reach).map(|x| f32::from(row[x.saturating_sub(reach).min(last)])).collect()
}

/// The nearest byte.
fn byte(value: f32) -> u8 {
    // A cast saturates.
    (value + 0.5) as u8
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The Gaussian in two dimensions, in f64, as its definition says.
    fn blurred(pixels: &[u8], height: i64, width: i64, sigma: f64) -> Vec<f64> {
        let reach = (3.0 * sigma).ceil() as i64;
        let mut out = Vec::new();
        for (y, x) in (0..height).flat_map(|y| (0..width).map(move |x| (y, x))) {
            let (mut sum, mut weights) = (0.0, 0.0);
            for (dy, dx) in (-reach..=reach).flat_map(|dy| (-reach..=reach).map(move |dx| (dy, dx))) {
                let weight = (-((dy * dy + dx * dx) as f64) / (2.0 * sigma * sigma)).exp();
                let at = (y + dy).clamp(0, height - 1) * width + (x + dx).clamp(0, width - 1);
                sum += weight * f64::from(pixels[at as usize]);
                weights += weight;
            }
            out.push(sum / weights);
        }
        out
    }

    fn image(len: usize) -> Vec<u8> {
        let mut stream = Stream::new(3, Purpose::Test, 0);
        (0..len).map(|_| stream.next_u32() as u8).collect()
    }

    #[test]
    fn blur_is_the_two_dimensional_gaussian_of_each_channel() {
        for (shape, sigma) in [([1, 7, 11], 0.5), ([3, 9, 5], 1.3), ([3, 13, 8], 2.0)] {
            let [channels, height, width] = shape;
            let before = image(channels * height * width);
            let mut after = before.clone();
            blur(&mut after, shape, sigma);
            for (plane, original) in after.chunks(height * width).zip(before.chunks(height * width)) {
                let expected = blurred(original, height as i64, width as i64, sigma);
                for (&pixel, expected) in plane.iter().zip(expected) {
                    assert!((f64::from(pixel) - expected).abs() < 0.501, "{pixel} {expected}");
                }
            }
        }
    }

    #[test]
    fn blur_keeps_a_plain_area_and_a_sigma_beyond_the_image_ends() {
        let mut plain = vec![200; 48];
        blur(&mut plain, [3, 4, 4], 2.0);
        assert_eq!(plain, [200; 48]);
        blur(&mut plain, [3, 4, 4], 1e9);
        assert_eq!(plain, [200; 48]);
        let mut empty: [u8; 0] = [];
        blur(&mut empty, [1, 0, 0], 1.0);
    }

    #[test]
    fn nothing_is_changed_by_nothing() {
        let before = image(300);
        let mut after = before.clone();
        blur(&mut after, [3, 10, 10], 0.0);
        noise(&mut after, 0.0, 1, 2);
        assert_eq!(after, before);
    }

    #[test]
    fn noise_has_its_standard_deviation_and_is_each_samples_own() {
        let grey = |std, seed, sample| {
            let mut pixels = vec![128; 40_000];
            noise(&mut pixels, std, seed, sample);
            pixels
        };
        let pixels = grey(10.0, 1, 5);
        let offsets: Vec<f64> = pixels.iter().map(|&p| f64::from(p) - 128.0).collect();
        let mean = offsets.iter().sum::<f64>() / 40_000.0;
        let variance = offsets.iter().map(|d| d * d).sum::<f64>() / 40_000.0;
        // Rounding adds 1/12 to the variance.
        assert!(mean.abs() < 0.2, "{mean}");
        assert!((variance.sqrt() - 10.0).abs() < 0.15, "{variance}");
        assert_eq!(pixels, grey(10.0, 1, 5));
        assert_ne!(pixels, grey(10.0, 1, 6));
        assert_ne!(pixels, grey(10.0, 2, 5));
        // The same noise, stronger.
        let stronger = grey(20.0, 1, 5);
        let sign = |p: u8| (i16::from(p) - 128).signum();
        assert!(pixels.iter().zip(&stronger).all(|(&a, &b)| sign(a) == 0 || sign(a) == sign(b)));
    }

    #[test]
    fn brightness_weighs_colours_as_the_eye_does() {
        assert_eq!(mean_luma(&[10, 20, 30, 40], [1, 2, 2]), 25.0);
        let luma = mean_luma(&[100, 200, 0, 0, 50, 50], [3, 1, 2]);
        assert!((luma - (0.299 * 150.0 + 0.114 * 50.0)).abs() < 1e-5, "{luma}");
    }
}
