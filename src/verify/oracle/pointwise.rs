//! Operators that treat every element by itself.

/// max(0, x); a NaN stays a NaN, as in PyTorch.
pub(super) fn relu(x: f64) -> f64 {
    if x < 0.0 { 0.0 } else { x }
}

/// out[i] = f(a[i]).
pub(super) fn map(inputs: &[Vec<f64>], outputs: &mut [Vec<f64>], f: impl Fn(f64) -> f64) {
    for (out, &a) in outputs[0].iter_mut().zip(&inputs[0]) {
        *out = f(a);
    }
}

/// out[i] = f(a[i], b[i]).
pub(super) fn zip(inputs: &[Vec<f64>], outputs: &mut [Vec<f64>], f: impl Fn(f64, f64) -> f64) {
    for (i, out) in outputs[0].iter_mut().enumerate() {
        *out = f(inputs[0][i], inputs[1][i]);
    }
}
