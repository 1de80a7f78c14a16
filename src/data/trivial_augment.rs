//! TrivialAugment (Müller and Hutter, arXiv 2103.10158): one change of the stored pixels, drawn with its strength for each
//! image. The changes and their strengths are those of torchvision's `TrivialAugmentWide` with its defaults (31 strengths, the
//! nearest pixel, black beyond the border), on 8-bit pixels with the arithmetic that Pillow has.
//!
//! Source: torchvision 0.29, `transforms/autoaugment.py` and `transforms/_functional_pil.py`; Pillow 13, `ImageEnhance`, `ImageOps`,
//! `Image.rotate`, and for affine maps and blending its C sources (`Geometry.c`, `Blend.c`, `Filter.c`). The random numbers are
//! Philox's instead of PyTorch's.

use super::draws::{DrawKind, Draws};

/// Strengths of each change.
const BINS: u32 = 31;

/// The changes of an image. Signed strengths have both signs with equal probability.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Change {
    Identity,
    /// Moves each row to the left by this many pixels per row above it; negative moves to the right.
    ShearX(f64),
    /// Moves each column up by this many pixels per column to its left.
    ShearY(f64),
    /// Moves the image to the right, in pixels.
    TranslateX(i64),
    /// Moves the image down, in pixels.
    TranslateY(i64),
    /// Rotates the image counter-clockwise about its centre, in degrees.
    Rotate(f64),
    /// Multiplies all colours by this factor.
    Brightness(f32),
    /// Multiplies the distance of each pixel from its own luma.
    Color(f32),
    /// Multiplies the distance of each pixel from the image's mean luma.
    Contrast(f32),
    /// Multiplies the distance of each pixel from the smoothed image.
    Sharpness(f32),
    /// Keeps this many high bits of each value.
    Posterize(u32),
    /// Inverts values that are not below this one.
    Solarize(f64),
    /// Stretches the values of each channel to 0..255.
    AutoContrast,
    /// Makes the values of each channel equally frequent.
    Equalize,
}

impl Change {
    /// Number of changes that are drawn from.
    pub const COUNT: u32 = 14;

    /// The change that `draws` draws.
    pub(super) fn drawn(draws: &Draws) -> Change {
        let [number, bin, sign, _] = draws.words(DrawKind::Change, 0);
        let below = |word: u32, count: u32| ((u64::from(word) * u64::from(count)) >> 32) as u32;
        Change::new(below(number, Change::COUNT), below(bin, BINS), sign >> 31 == 1)
    }

    /// Change `number`, in the order of the variants, of strength `bin`, 0 to 30. Where a strength has no sign, or there is only
    /// one, the arguments are ignored.
    pub fn new(number: u32, bin: u32, is_negative: bool) -> Change {
        let signed = |most: f32| {
            let strength = linspace(0.0, most, bin);
            if is_negative { -strength } else { strength }
        };
        let factor = || (1.0 + f64::from(signed(0.99))) as f32;
        match number {
            1 => Change::ShearX(signed(0.99).into()),
            2 => Change::ShearY(signed(0.99).into()),
            3 => Change::TranslateX(signed(32.0) as i64),
            4 => Change::TranslateY(signed(32.0) as i64),
            5 => Change::Rotate(signed(135.0).into()),
            6 => Change::Brightness(factor()),
            7 => Change::Color(factor()),
            8 => Change::Contrast(factor()),
            9 => Change::Sharpness(factor()),
            // Rounded: the quotient is never half of an odd number.
            10 => Change::Posterize(8 - (2 * bin.min(BINS - 1) + 5) / 10),
            11 => Change::Solarize(linspace(255.0, 0.0, bin).into()),
            12 => Change::AutoContrast,
            13 => Change::Equalize,
            _ => Change::Identity,
        }
    }

    /// Changes `image`, `[channels, height, width]` of 1 or 3 channels.
    pub fn apply(self, image: &mut [u8], [channels, height, width]: [usize; 3]) {
        let plane = height * width;
        if plane == 0 || ![1, 3].contains(&channels) || image.len() != channels * plane {
            return;
        }
        let planes = || image.chunks_exact(plane);
        match self {
            Change::Identity => {}
            Change::ShearX(shear) => affine(image, [height, width], [1.0, shear, 0.0, 0.0, 1.0, 0.0]),
            Change::ShearY(shear) => affine(image, [height, width], [1.0, 0.0, 0.0, shear, 1.0, 0.0]),
            Change::TranslateX(right) => {
                affine(image, [height, width], [1.0, 0.0, -right as f64, 0.0, 1.0, 0.0]);
            }
            Change::TranslateY(down) => {
                affine(image, [height, width], [1.0, 0.0, 0.0, 0.0, 1.0, -down as f64]);
            }
            Change::Rotate(degrees) => affine(image, [height, width], rotation(degrees, [height, width])),
            Change::Brightness(factor) => {
                image.iter_mut().for_each(|value| *value = blend(0, *value, factor));
            }
            Change::Color(_) if channels == 1 => {}
            Change::Color(factor) => {
                for (at, luma) in luma(image, plane).into_iter().enumerate() {
                    for channel in 0..channels {
                        let value = &mut image[channel * plane + at];
                        *value = blend(luma, *value, factor);
                    }
                }
            }
            Change::Contrast(factor) => {
                let luma = if channels == 1 { image.to_vec() } else { luma(image, plane) };
                let sum: u64 = luma.iter().map(|&value| u64::from(value)).sum();
                let mean = (sum as f64 / plane as f64 + 0.5) as u8;
                image.iter_mut().for_each(|value| *value = blend(mean, *value, factor));
            }
            Change::Sharpness(factor) => {
                for plane in image.chunks_exact_mut(plane) {
                    let smoothed = smoothed(plane, [height, width]);
                    plane.iter_mut().zip(smoothed).for_each(|(value, s)| *value = blend(s, *value, factor));
                }
            }
            Change::Posterize(bits) => {
                let mask = !0u8 << 8u32.saturating_sub(bits).min(7);
                image.iter_mut().for_each(|value| *value &= mask);
            }
            Change::Solarize(threshold) => image.iter_mut().for_each(|value| {
                if f64::from(*value) >= threshold {
                    *value = 255 - *value;
                }
            }),
            Change::AutoContrast | Change::Equalize => {
                let table = |plane: &[u8]| match self {
                    Change::Equalize => equalizing(&histogram(plane)),
                    _ => stretching(&histogram(plane)),
                };
                let tables: Vec<[u8; 256]> = planes().map(table).collect();
                for (plane, table) in image.chunks_exact_mut(plane).zip(tables) {
                    plane.iter_mut().for_each(|value| *value = table[usize::from(*value)]);
                }
            }
        }
    }
}

/// `torch.linspace(start, end, 31)[bin]`, in f32 as it is computed there: from the nearer end.
fn linspace(start: f32, end: f32, bin: u32) -> f32 {
    let bin = bin.min(BINS - 1);
    let step = (end - start) / (BINS - 1) as f32;
    if bin < BINS / 2 { start + step * bin as f32 } else { end - step * (BINS - 1 - bin) as f32 }
}

/// The map from places of the rotated image to places of the image, about its centre.
fn rotation(degrees: f64, [height, width]: [usize; 2]) -> [f64; 6] {
    // Pillow rounds sine and cosine so that right angles are exact.
    let round = |value: f64| (value * 1e15).round() / 1e15;
    let angle = -degrees.rem_euclid(360.0).to_radians();
    let (cos, sin) = (round(angle.cos()), round(angle.sin()));
    let [x, y] = [width as f64 / 2.0, height as f64 / 2.0];
    [cos, sin, x - cos * x - sin * y, -sin, cos, y + sin * x - cos * y]
}

/// Makes each pixel of `image` the nearest one of its place under `map`: x' = m0 x + m1 y + m2, y' = m3 x + m4 y + m5, at the
/// pixels' centres, in steps of 1/65,536 as in Pillow. Pixels from beyond the border are black.
fn affine(image: &mut [u8], [height, width]: [usize; 2], map: [f64; 6]) {
    let fixed = |value: f64| (value * 65536.0 + 0.5).floor() as i64;
    let [m0, m1, m3, m4] = [map[0], map[1], map[3], map[4]].map(fixed);
    let m2 = fixed(map[2] + map[0] * 0.5 + map[1] * 0.5);
    let m5 = fixed(map[5] + map[3] * 0.5 + map[4] * 0.5);
    let source = image.to_vec();
    let inside = |place: i64, side: usize| usize::try_from(place >> 16).ok().filter(|&place| place < side);
    for y in 0..height {
        for x in 0..width {
            let (across, down) = (x as i64, y as i64);
            let from_x = inside(m2 + m1 * down + m0 * across, width);
            let from_y = inside(m5 + m4 * down + m3 * across, height);
            let from = from_x.zip(from_y).map(|(x, y)| y * width + x);
            for plane in (0..image.len()).step_by(height * width) {
                image[plane + y * width + x] = from.map_or(0, |from| source[plane + from]);
            }
        }
    }
}

/// `first + factor (second - first)`, in f32, without its fraction, within 0..255.
fn blend(first: u8, second: u8, factor: f32) -> u8 {
    let (first, second) = (f32::from(first), f32::from(second));
    // The cast saturates.
    (first + factor * (second - first)) as u8
}

/// The luma of each pixel of a colour image, in Pillow's whole numbers: ITU-R 601-2.
fn luma(image: &[u8], plane: usize) -> Vec<u8> {
    let (red, rest) = image.split_at(plane);
    let (green, blue) = rest.split_at(plane);
    let colours = red.iter().zip(green).zip(blue);
    colours
        .map(|((&r, &g), &b)| {
            ((u32::from(r) * 19595 + u32::from(g) * 38470 + u32::from(b) * 7471 + 0x8000) >> 16) as u8
        })
        .collect()
}

/// The mean of each pixel's neighbourhood of 3 x 3, in which the pixel counts five times; pixels at the border are unchanged.
fn smoothed(plane: &[u8], [height, width]: [usize; 2]) -> Vec<u8> {
    let mut smoothed = plane.to_vec();
    for y in 1..height.saturating_sub(1) {
        for x in 1..width.saturating_sub(1) {
            let at = y * width + x;
            let rows = [at - width, at, at + width];
            let sum: u32 = rows.iter().flat_map(|&at| &plane[at - 1..at + 2]).map(|&v| u32::from(v)).sum();
            smoothed[at] = ((2 * (sum + 4 * u32::from(plane[at])) + 13) / 26) as u8;
        }
    }
    smoothed
}

fn histogram(plane: &[u8]) -> [usize; 256] {
    let mut counts = [0; 256];
    plane.iter().for_each(|&value| counts[usize::from(value)] += 1);
    counts
}

/// The table that maps the smallest and the largest value that there are to 0 and 255; one value stays what it is.
fn stretching(counts: &[usize; 256]) -> [u8; 256] {
    let has = |&value: &usize| counts[value] > 0;
    let (low, high) = ((0..256).find(has).unwrap_or(0), (0..256).rev().find(has).unwrap_or(0));
    if high <= low {
        return std::array::from_fn(|value| value as u8);
    }
    let scale = 255.0 / (high - low) as f64;
    let offset = -(low as f64) * scale;
    // The casts drop the fraction and saturate.
    std::array::from_fn(|value| (value as f64 * scale + offset) as u8)
}

/// The table that makes all values about equally frequent.
fn equalizing(counts: &[usize; 256]) -> [u8; 256] {
    let same = std::array::from_fn(|value| value as u8);
    let Some(&last) = counts.iter().rfind(|&&count| count > 0) else { return same };
    let total: usize = counts.iter().sum();
    let step = (total - last) / 255;
    // One value alone, or too few pixels.
    if step == 0 {
        return same;
    }
    let mut sum = step / 2;
    counts.map(|count| {
        let value = (sum / step).min(255) as u8;
        sum += count;
        value
    })
}
