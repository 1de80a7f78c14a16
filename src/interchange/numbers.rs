//! Conversion of other number types to `f32`, streamed in chunks.

use std::io::{self, Read};

/// Bytes converted at a time.
const CHUNK: usize = 1 << 16;

/// The reason why numbers could not be read.
pub(super) enum NumberError {
    Io(io::Error),
    /// A value or type that is not accepted: the message says what was expected and found.
    Value(String),
}

impl From<io::Error> for NumberError {
    fn from(error: io::Error) -> Self {
        NumberError::Io(error)
    }
}

/// Reads `count` numbers of `N` bytes and converts each with `one`. Memory for at most `trusted` numbers is reserved up
/// front; the rest is allocated as bytes arrive, so a false claim of a size costs nothing.
pub(super) fn convert<const N: usize>(
    from: &mut impl Read,
    count: usize,
    trusted: usize,
    one: impl Fn([u8; N]) -> Result<f32, String>,
) -> Result<Vec<f32>, NumberError> {
    let mut values = Vec::with_capacity(count.min(trusted));
    let mut chunk = vec![0; CHUNK.min(count.saturating_mul(N))];
    while values.len() < count {
        let take = chunk.len().min((count - values.len()).saturating_mul(N));
        from.read_exact(&mut chunk[..take])?;
        let (elements, _) = chunk[..take].as_chunks::<N>();
        for &element in elements {
            values.push(one(element).map_err(NumberError::Value)?);
        }
    }
    Ok(values)
}

/// Converts an integer, if `f32` represents it exactly.
pub(super) fn exact_integer(value: i64) -> Result<f32, String> {
    // f32 represents every integer up to 2^24.
    if value.unsigned_abs() <= 1 << 24 {
        Ok(value as f32)
    } else {
        Err(format!("expected a whole number of at most 16777216 (exact in f32), found {value}"))
    }
}

/// The value of an IEEE 754 binary16 number, which every `f32` can hold exactly.
pub(super) fn f16_to_f32(bits: u16) -> f32 {
    let sign = u32::from(bits >> 15) << 31;
    let exponent = u32::from(bits >> 10) & 31;
    let fraction = u32::from(bits) & 0x3ff;
    match exponent {
        // Zero and subnormal numbers: fraction * 2^-24.
        0 => f32::from_bits(sign | (fraction as f32 * (1.0 / 16_777_216.0)).to_bits()),
        31 => f32::from_bits(sign | 0x7f80_0000 | fraction << 13),
        // The exponent's bias is 15 in binary16 and 127 in binary32.
        _ => f32::from_bits(sign | (exponent + 112) << 23 | fraction << 13),
    }
}

/// Places of a tensor's elements in a storage, in row-major order: the sums of index times stride over the axes.
pub(super) struct Places<'a> {
    extents: &'a [usize],
    strides: &'a [usize],
    index: Vec<usize>,
    place: usize,
    left: usize,
}

impl<'a> Places<'a> {
    /// Begins at 0. The products of extent and stride, and their sum, have to fit a `usize`.
    pub fn new(extents: &'a [usize], strides: &'a [usize]) -> Self {
        let left = extents.iter().product();
        Places { extents, strides, index: vec![0; extents.len()], place: 0, left }
    }
}

impl Iterator for Places<'_> {
    type Item = usize;

    fn next(&mut self) -> Option<usize> {
        self.left = self.left.checked_sub(1)?;
        let place = self.place;
        for axis in (0..self.extents.len()).rev() {
            self.index[axis] += 1;
            self.place += self.strides[axis];
            if self.index[axis] < self.extents[axis] {
                break;
            }
            self.place -= self.strides[axis] * self.extents[axis];
            self.index[axis] = 0;
        }
        Some(place)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.left, Some(self.left))
    }
}

impl ExactSizeIterator for Places<'_> {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_in_row_major_order() {
        let places = |extents: &[usize], strides: &[usize]| Places::new(extents, strides).collect::<Vec<_>>();
        assert_eq!(places(&[2, 3], &[3, 1]), [0, 1, 2, 3, 4, 5]);
        assert_eq!(places(&[3, 2], &[1, 3]), [0, 3, 1, 4, 2, 5]);
        assert_eq!(places(&[2, 2], &[0, 5]), [0, 5, 0, 5]);
        assert_eq!(places(&[], &[]), [0]);
        assert!(places(&[2, 0], &[1, 1]).is_empty());
    }

    /// Every finite binary16 number is (-1)^s 2^(e-15) (1 + f/1024), or (-1)^s 2^-14 f/1024 for e = 0 (IEEE 754).
    #[test]
    fn binary16_converts_exactly() {
        for bits in 0..=u16::MAX {
            let (sign, exponent, fraction) = (bits >> 15, i32::from(bits >> 10 & 31), f64::from(bits & 1023));
            let magnitude = match exponent {
                0 => 2f64.powi(-14) * fraction / 1024.0,
                31 if fraction == 0.0 => f64::INFINITY,
                31 => f64::NAN,
                _ => 2f64.powi(exponent - 15) * (1.0 + fraction / 1024.0),
            };
            let expected = if sign == 1 { -magnitude } else { magnitude };
            let found = f16_to_f32(bits);
            if expected.is_nan() {
                assert!(found.is_nan(), "{bits:04x}");
            } else {
                assert_eq!(f64::from(found), expected, "{bits:04x}");
                assert_eq!(found.is_sign_negative(), sign == 1, "{bits:04x}");
            }
        }
    }
}
