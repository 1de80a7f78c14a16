//! When an f32 result agrees with the f64 reference.
//!
//! There are two bounds, and both must hold. Per element, |found - expected| <= 8 eps sqrt(n) s: the reduction length n
//! is the length of the sum behind the element, whose rounding errors add up like a random walk, and the error scale s
//! is the size of the summed values (`verify::error_scale`). Per tensor, the norm of the difference is at most 5e-6 of
//! the norm of the error scales: fp32 reaches that, TF32 (5e-4) and half precision do not.
//!
//! A product in half precision, whose operands are rounded to f16 (relative error u = 2^-11) and whose sums are f32, may
//! differ by 8 u s more in an element. Each product has an error of at most 2 u, so this is the largest error that 16
//! equal products can have together, and ten times the standard deviation (0.8 u) of many whose errors are random. In
//! norm it may differ by 6e-4, where there are enough products to meet that deviation (4e-4).

/// Factor of the bound per element.
pub const ELEMENT: f64 = 8.0;
/// Bound of the relative error in norm, for sums of up to [`TENSOR_LENGTH`] elements.
pub const TENSOR: f64 = 5e-6;
/// The bound of longer sums grows with the root of their length.
pub const TENSOR_LENGTH: f64 = 1e4;
/// Largest relative error of rounding to f16.
pub const HALF: f64 = 1.0 / 2048.0;
/// Bound of the relative error in norm of products in half precision, for tensors of at least [`HALF_PRODUCTS`] products.
pub const HALF_TENSOR: f64 = 6e-4;
pub const HALF_PRODUCTS: usize = 256;

/// The precision of the products behind a result.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OperandRounding {
    /// Everything is f32.
    #[default]
    Single,
    /// Products of operands rounded to f16.
    Half,
}

/// A tensor as it has to be.
#[derive(Clone, Copy, Debug)]
pub struct Expected<'a> {
    /// For the message.
    pub name: &'a str,
    pub values: &'a [f64],
    /// Size of the values behind each element; 0 where the result must be exact.
    pub error_scale: &'a [f64],
    /// Length of the longest sum.
    pub reduction_length: usize,
    pub precision: OperandRounding,
}

impl Expected<'_> {
    /// The difference of element `i` relative to the allowed one; over 1 is too much.
    fn used(&self, i: usize, found: f32) -> f64 {
        let expected = self.values[i];
        let rounded = expected as f32;
        if !rounded.is_finite() || !found.is_finite() {
            let same = (rounded.is_nan() && found.is_nan()) || rounded == found;
            return if same { 0.0 } else { f64::INFINITY };
        }
        let difference = (f64::from(found) - expected).abs();
        if difference == 0.0 { 0.0 } else { difference / self.allowed(i) }
    }

    /// The error that rounding the operands may add, relative to the error scale.
    fn of_operands(&self) -> f64 {
        if self.precision == OperandRounding::Half { ELEMENT * HALF } else { 0.0 }
    }

    /// The largest difference in norm.
    fn limit(&self) -> f64 {
        let limit = TENSOR * (self.reduction_length as f64 / TENSOR_LENGTH).sqrt().max(1.0);
        let few = self.values.len().saturating_mul(self.reduction_length) < HALF_PRODUCTS;
        limit
            + match self.precision {
                OperandRounding::Half if few => self.of_operands(),
                OperandRounding::Half => HALF_TENSOR,
                OperandRounding::Single => 0.0,
            }
    }

    fn allowed(&self, i: usize) -> f64 {
        if self.error_scale[i] == 0.0 {
            return 0.0;
        }
        // Devices may flush subnormal numbers to zero.
        let rounding = ELEMENT * f64::from(f32::EPSILON) * (self.reduction_length.max(1) as f64).sqrt();
        (rounding + self.of_operands()) * self.error_scale[i] + f64::from(f32::MIN_POSITIVE)
    }
}

/// Compares `found` with `expected` and returns the fraction of the allowed difference that was used (0 to 1).
///
/// # Errors
/// One line that states how many elements are off, and where and by how much the worst is.
pub fn compare(expected: &Expected<'_>, found: &[f32]) -> Result<f64, String> {
    let (name, len) = (expected.name, expected.values.len());
    if found.len() != len {
        return Err(format!("{name}: expected {len} elements, found {}", found.len()));
    }
    let (mut worst, mut at, mut off) = (0.0, 0, 0);
    let (mut difference, mut size) = (0.0, 0.0);
    for (i, &value) in found.iter().enumerate() {
        let used = expected.used(i, value);
        off += usize::from(used > 1.0);
        if used > worst {
            (worst, at) = (used, i);
        }
        if value.is_finite() && expected.values[i].is_finite() {
            difference += (f64::from(value) - expected.values[i]).powi(2);
            size += expected.error_scale[i].max(expected.values[i].abs()).powi(2);
        }
    }
    if off > 0 {
        return Err(format!(
            "{name}: {off} of {len} elements are off, worst at {at}: expected {:e} within {:.1e}, found {:e}",
            expected.values[at],
            expected.allowed(at),
            found[at]
        ));
    }
    let limit = expected.limit();
    let relative = if difference == 0.0 { 0.0 } else { (difference / size).sqrt() };
    if relative > limit {
        return Err(format!(
            "{name}: the whole tensor is off by {relative:.1e} in norm, allowed {limit:.1e}"
        ));
    }
    Ok(worst.max(relative / limit))
}
