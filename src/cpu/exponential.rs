//! exp, tanh and relatives that the compiler can vectorise, unlike those of the standard library. Their error is about 2 units
//! in the last place. The polynomials are those of Cephes (S. L. Moshier, expf.c and tanhf.c, netlib.org/cephes).

/// Below this, exp is less than the smallest normal number, and 0 here.
const LOW: f32 = -87.336_54;
/// Above this, exp is infinite.
const HIGH: f32 = 88.722_84;

/// Added to a number below 2^22, it pushes the fraction out: what remains in the low bits is the nearest integer.
const MAGIC: f32 = 12_582_912.0;

/// e^x.
#[inline(always)]
pub fn exp(x: f32) -> f32 {
    // Out of the range it does not matter what is computed; the result is replaced.
    let shifted = x * std::f32::consts::LOG2_E + MAGIC;
    let n = shifted - MAGIC;
    // ln 2 in two parts, so that the product with n is exact in the first.
    let r = x - n * 0.693_359_4 + n * 2.121_944_4e-4;
    let p = near_zero(r) + 1.0;
    // 2^n in two factors, since 2^128 has no representation.
    let n = shifted.to_bits().wrapping_sub(MAGIC.to_bits()) as i32;
    let half = n >> 1;
    let power = |n: i32| f32::from_bits((n.wrapping_add(127) as u32) << 23);
    let y = p * power(half) * power(n.wrapping_sub(half));
    let y = if x < LOW { 0.0 } else { y };
    if x > HIGH { f32::INFINITY } else { y }
}

/// e^r - 1 for r of at most ln 2 / 2 in size.
#[inline(always)]
fn near_zero(r: f32) -> f32 {
    let mut p = 1.987_569_1e-4f32;
    p = p * r + 1.398_2e-3;
    p = p * r + 8.333_452e-3;
    p = p * r + 4.166_579_6e-2;
    p = p * r + 1.666_666_5e-1;
    p = p * r + 5e-1;
    p * r * r + r
}

/// e^x - 1.
#[inline(always)]
pub fn exp_m1(x: f32) -> f32 {
    if x.abs() < 0.34 { near_zero(x) } else { exp(x) - 1.0 }
}

/// The standard normal distribution at -a, for a of at least 0: its distribution function, and its density times sqrt(2 pi).
///
/// The first is e^(-a^2 / 2) g(a), where g(a) = erfcx(a / sqrt 2) / 2 is t times a polynomial in t = 1 / (1 + 0.34 a), fitted to
/// the least relative error (3.4e-8) for a up to 14.5, where the result is 0 in `f32`.
#[inline(always)]
pub fn normal_tail(a: f32) -> (f32, f32) {
    let t = 1.0 / (1.0 + 0.34 * a);
    let mut p = -2.587_665_2e-2f32;
    p = p * t + 1.383_580_4e-1;
    p = p * t - 2.708_729e-1;
    p = p * t + 1.997_195_2e-1;
    p = p * t - 4.310_745e-2;
    p = p * t + 1.147_140_3e-1;
    p = p * t + 1.153_516_1e-1;
    p = p * t + 1.360_922_5e-1;
    p = p * t + 1.356_215_8e-1;
    let density = exp(-0.5 * a * a);
    (density * (p * t), density)
}

/// 1 / (1 + e^-x).
#[inline(always)]
pub fn sigmoid(x: f32) -> f32 {
    1.0 / (1.0 + exp(-x))
}

/// The hyperbolic tangent.
#[inline(always)]
pub fn tanh(x: f32) -> f32 {
    let size = x.abs();
    let large = 1.0 - 2.0 / (exp(2.0 * size) + 1.0);
    let z = x * x;
    let mut p = -5.704_988_6e-3f32;
    p = p * z + 2.063_908_8e-2;
    p = p * z - 5.373_971_6e-2;
    p = p * z + 1.333_144_2e-1;
    p = p * z - 3.333_328e-1;
    let small = p * z * size + size;
    let y = if size < 0.625 { small } else { large };
    y.copysign(x)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn worst(f: impl Fn(f32) -> f32, exact: impl Fn(f64) -> f64, range: f32) -> f64 {
        let steps = 200_000;
        let points = (-steps..=steps).map(|i| range * i as f32 / steps as f32);
        points
            .map(|x| {
                let exact = exact(f64::from(x));
                if exact == 0.0 { f64::from(f(x)).abs() } else { (f64::from(f(x)) / exact - 1.0).abs() }
            })
            .fold(0.0, f64::max)
    }

    #[test]
    fn the_errors_are_a_few_roundings() {
        let eps = f64::from(f32::EPSILON);
        let found = worst(exp, f64::exp, 87.3);
        assert!(found < 2.0 * eps, "exp: {found:e}");
        let found = worst(tanh, f64::tanh, 20.0);
        assert!(found < 2.5 * eps, "tanh: {found:e}");
        let found = worst(exp_m1, f64::exp_m1, 87.3);
        assert!(found < 3.0 * eps, "exp_m1: {found:e}");
        let found = worst(sigmoid, |x| 1.0 / (1.0 + (-x).exp()), 87.0);
        assert!(found < 3.0 * eps, "sigmoid: {found:e}");
    }

    #[test]
    fn the_ends_of_the_range_are_those_of_the_standard_library() {
        for x in [-1e30, -1000.0, -104.0, -88.0, 88.8, 89.0, 1e30, f32::INFINITY, f32::NEG_INFINITY] {
            let expected = if x < 0.0 { 0.0 } else { f32::INFINITY };
            assert_eq!(exp(x), expected, "exp({x})");
            assert_eq!(tanh(x), 1f32.copysign(x), "tanh({x})");
        }
        assert!((exp(88.7) / 88.7f32.exp() - 1.0).abs() < 1e-6);
        assert!(exp(f32::NAN).is_nan() && tanh(f32::NAN).is_nan() && sigmoid(f32::NAN).is_nan());
        assert_eq!((exp(0.0), tanh(0.0), sigmoid(0.0)), (1.0, 0.0, 0.5));
        assert!(tanh(-0.0).is_sign_negative());
    }
}
