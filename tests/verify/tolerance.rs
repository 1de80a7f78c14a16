//! The comparer itself: it accepts what fp32 gives, and nothing worse.

use striate::random::{Purpose, Stream};
use striate::verify::tolerance::{Expected, OperandRounding, compare};

const LEN: usize = 1000;

fn reference() -> (Vec<f64>, Vec<f64>) {
    let mut stream = Stream::new(11, Purpose::Test, 0);
    let values: Vec<f64> = (0..LEN).map(|_| f64::from(stream.normal()) + 1e-9).collect();
    let error_scale = values.iter().map(|v| v.abs().max(0.5)).collect();
    (values, error_scale)
}

fn rounded(values: &[f64]) -> Vec<f32> {
    values.iter().map(|&v| v as f32).collect()
}

fn judge(values: &[f64], error_scale: &[f64], reduction_length: usize, found: &[f32]) -> Result<f64, String> {
    let precision = OperandRounding::Single;
    compare(&Expected { name: "y", values, error_scale, reduction_length, precision }, found)
}

fn judge_half(
    values: &[f64],
    error_scale: &[f64],
    reduction_length: usize,
    found: &[f32],
) -> Result<f64, String> {
    let precision = OperandRounding::Half;
    compare(&Expected { name: "y", values, error_scale, reduction_length, precision }, found)
}

/// Every element off by `relative` of its error scale, to either side.
fn off_by(relative: f64, values: &[f64], error_scale: &[f64]) -> Vec<f32> {
    let side = |i: usize| if i.is_multiple_of(3) { 1.0 } else { -1.0 };
    values
        .iter()
        .zip(error_scale)
        .enumerate()
        .map(|(i, (v, m))| (v + side(i) * relative * m) as f32)
        .collect()
}

#[test]
fn half_precision_may_err_by_the_rounding_of_its_factors_and_no_more() {
    let (values, error_scale) = reference();
    let found = off_by(5.5e-4, &values, &error_scale);
    assert!(judge_half(&values, &error_scale, 100, &found).is_ok());
    assert!(judge(&values, &error_scale, 100, &found).is_err());
    // bf16 has 2.4e-3.
    let found = off_by(7e-4, &values, &error_scale);
    assert!(judge_half(&values, &error_scale, 100, &found).unwrap_err().contains("in norm"));
    // A single product may have the whole error of two roundings.
    let found = off_by(9.7e-4, &values[..1], &error_scale[..1]);
    assert!(judge_half(&values[..1], &error_scale[..1], 1, &found).is_ok());
    let mut found = rounded(&values);
    found[77] += 5e-3 * error_scale[77] as f32;
    let message = judge_half(&values, &error_scale, 100, &found).unwrap_err();
    assert!(message.contains("1 of 1000") && message.contains("worst at 77"), "{message}");
}

#[test]
fn rounding_is_accepted() {
    let (values, error_scale) = reference();
    let used = judge(&values, &error_scale, 1, &rounded(&values)).expect("only rounded");
    assert!(used > 0.0 && used < 0.2, "used {used}");
}

#[test]
fn one_element_beyond_the_bound_fails_and_is_named() {
    let (values, error_scale) = reference();
    for reduction_length in [1, 100] {
        let mut found = rounded(&values);
        let bound = 8.0 * f64::from(f32::EPSILON) * (reduction_length as f64).sqrt() * error_scale[617];
        found[617] = (values[617] + 0.8 * bound) as f32;
        assert!(judge(&values, &error_scale, reduction_length, &found).is_ok());
        found[617] = (values[617] + 1.3 * bound) as f32;
        let message = judge(&values, &error_scale, reduction_length, &found).expect_err("one element is off");
        assert!(message.contains("y: 1 of 1000 elements are off, worst at 617"), "{message}");
        assert!(message.contains(&format!("found {:e}", found[617])), "{message}");
        assert!(message.contains(&format!("expected {:e}", values[617])), "{message}");
    }
}

#[test]
fn longer_sums_may_err_more() {
    let (values, error_scale) = reference();
    let mut found = rounded(&values);
    found[5] = (values[5] + 16.0 * f64::from(f32::EPSILON) * error_scale[5]) as f32;
    assert!(judge(&values, &error_scale, 1, &found).is_err());
    assert!(judge(&values, &error_scale, 9, &found).is_ok());
}

#[test]
fn swapped_buffers_fail() {
    let (values, error_scale) = reference();
    let mut found = rounded(&values);
    found.reverse();
    let message = judge(&values, &error_scale, 10_000, &found).expect_err("reversed");
    assert!(message.contains("of 1000 elements are off"), "{message}");
}

#[test]
fn two_swapped_elements_fail() {
    let (values, error_scale) = reference();
    let mut found = rounded(&values);
    found.swap(3, 4);
    let message = judge(&values, &error_scale, 100, &found).expect_err("two swapped");
    assert!(message.contains("2 of 1000"), "{message}");
}

#[test]
fn an_element_that_stays_nan_fails() {
    let (values, error_scale) = reference();
    let mut found = rounded(&values);
    found[999] = f32::NAN;
    let message = judge(&values, &error_scale, 100, &found).expect_err("one NaN");
    assert!(message.contains("1 of 1000 elements are off, worst at 999"), "{message}");
}

#[test]
fn nan_and_infinities_must_match() {
    let values = [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, 1e300, 2.0];
    let error_scale = [f64::NAN, f64::INFINITY, f64::INFINITY, 1e300, 2.0];
    let right = [f32::NAN, f32::INFINITY, f32::NEG_INFINITY, f32::INFINITY, 2.0];
    assert_eq!(judge(&values, &error_scale, 1, &right), Ok(0.0));
    for (at, wrong) in [(0, 0.0), (1, f32::MAX), (2, f32::INFINITY), (3, f32::NAN), (4, f32::INFINITY)] {
        let mut found = right;
        found[at] = wrong;
        let message = judge(&values, &error_scale, 1, &found).expect_err("a wrong special value");
        assert!(message.contains(&format!("worst at {at}")), "{message}");
    }
}

/// A gradient of 1e-3 among gradients of 1 is small, but not so small that it may be anything.
#[test]
fn one_small_gradient_wrong_among_large_ones_fails() {
    let (values, _) = reference();
    let mut values: Vec<f64> = values.iter().map(|v| 1.0 + v.abs()).collect();
    values[123] = 1e-3;
    // The worst case: its error scale is that of its neighbours, as after a cancellation.
    let error_scale: Vec<f64> = values.iter().map(|v| v.abs().max(1.0)).collect();
    for wrong in [0.0, -1e-3, 2e-3] {
        let mut found = rounded(&values);
        found[123] = wrong;
        let message = judge(&values, &error_scale, 1000, &found).expect_err("a small gradient is wrong");
        assert!(message.contains("1 of 1000 elements are off, worst at 123"), "{message}");
    }
}

#[test]
fn exact_results_have_to_be_exact() {
    let values = [0.0, 1.0, 0.5];
    let found = [0.0, 1.0, 0.5];
    assert_eq!(judge(&values, &[0.0; 3], 100, &found), Ok(0.0));
    let next = f32::from_bits(0.5f32.to_bits() + 1);
    assert!(judge(&values, &[0.0; 3], 100, &[0.0, 1.0, next]).is_err());
    assert!(judge(&values, &[0.0; 3], 100, &[f32::MIN_POSITIVE, 1.0, 0.5]).is_err());
}

#[test]
fn subnormal_numbers_may_be_flushed() {
    assert!(judge(&[1e-40, 1.0], &[1e-40, 1.0], 1, &[0.0, 1.0]).is_ok());
    assert!(judge(&[1e-36, 1.0], &[1e-36, 1.0], 1, &[0.0, 1.0]).is_err());
}

/// Every element within its own bound, but all of them as far off as TF32's ten bits of mantissa would leave them.
#[test]
fn lower_precision_throughout_fails_in_norm() {
    let (values, error_scale) = reference();
    let found: Vec<f32> = values.iter().map(|&v| (v * (1.0 + 2e-5)) as f32).collect();
    let message = judge(&values, &error_scale, 1000, &found).expect_err("low precision");
    assert!(message.contains("the whole tensor is off"), "{message}");
    let tf32: Vec<f32> = values.iter().map(|&v| f32::from_bits((v as f32).to_bits() & !0x1fff)).collect();
    assert!(judge(&values, &error_scale, 1000, &tf32).is_err());
}

#[test]
fn a_wrong_length_fails() {
    let (values, error_scale) = reference();
    let message = judge(&values, &error_scale, 1, &rounded(&values[1..])).expect_err("one is missing");
    assert_eq!(message, "y: expected 1000 elements, found 999");
}
