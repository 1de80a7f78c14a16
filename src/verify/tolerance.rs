//! When an f32 result agrees with the f64 reference.
//!
//! Two bounds, and both must hold. Per element, |found - expected| <= 8 eps sqrt(terms) magnitude: `terms` is the
//! length of the sum behind it, whose rounding errors add up like a random walk, and `magnitude` the size of what is
//! summed (`verify::magnitude`). Per tensor, the norm of the difference is at most 5e-6 of the norm of the
//! magnitudes: what fp32 reaches, and what TF32 (5e-4) or half precision does not.
//!
//! A product in half precision, whose factors are rounded to f16 (relative error u = 2^-11) and whose sums are f32, may
//! differ by 8 u magnitude more in an element. Each product has an error of at most 2 u, so this is the largest that 16
//! equal ones can have together, and ten times the standard deviation (0.8 u) of many whose errors are random. In
//! norm it may differ by 6e-4, where there are enough products for that deviation (4e-4) to be met.

/// Factor of the bound per element.
pub const ELEMENT: f64 = 8.0;
/// Bound of the relative error in norm, for sums of up to [`TENSOR_TERMS`] terms.
pub const TENSOR: f64 = 5e-6;
/// Longer sums may err more, by the root of their length.
pub const TENSOR_TERMS: f64 = 1e4;
/// Largest relative error of a number that is rounded to f16.
pub const HALF: f64 = 1.0 / 2048.0;
/// Bound of the relative error in norm of products in half precision, for tensors of at least [`HALF_PRODUCTS`] products.
pub const HALF_TENSOR: f64 = 6e-4;
pub const HALF_PRODUCTS: usize = 256;

/// What a result is computed from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OperandRounding {
    /// Everything is f32.
    #[default]
    Single,
    /// Products of factors rounded to f16.
    Half,
}

/// What a tensor has to be.
#[derive(Clone, Copy, Debug)]
pub struct Expected<'a> {
    /// For the message.
    pub name: &'a str,
    pub values: &'a [f64],
    /// Size of the terms behind each element; 0 where the result must be exact.
    pub magnitude: &'a [f64],
    /// Length of the longest sum.
    pub terms: usize,
    pub precision: OperandRounding,
}

impl Expected<'_> {
    /// By how much of the allowed difference element `i` is off; over 1 is too much.
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

    /// What rounding the factors may add, in parts of the magnitude.
    fn of_factors(&self) -> f64 {
        if self.precision == OperandRounding::Half { ELEMENT * HALF } else { 0.0 }
    }

    /// What is allowed in norm.
    fn limit(&self) -> f64 {
        let limit = TENSOR * (self.terms as f64 / TENSOR_TERMS).sqrt().max(1.0);
        let few = self.values.len().saturating_mul(self.terms) < HALF_PRODUCTS;
        limit
            + match self.precision {
                OperandRounding::Half if few => self.of_factors(),
                OperandRounding::Half => HALF_TENSOR,
                OperandRounding::Single => 0.0,
            }
    }

    fn allowed(&self, i: usize) -> f64 {
        if self.magnitude[i] == 0.0 {
            return 0.0;
        }
        // Devices may flush subnormal numbers to zero.
        let rounding = ELEMENT * f64::from(f32::EPSILON) * (self.terms.max(1) as f64).sqrt();
        (rounding + self.of_factors()) * self.magnitude[i] + f64::from(f32::MIN_POSITIVE)
    }
}

/// Compares `found` with what it has to be. Answers how much of the allowed difference was used (0 to 1), or one line
/// that says what is wrong: how many elements are off, and where and by how much the worst.
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
            size += expected.magnitude[i].max(expected.values[i].abs()).powi(2);
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
