// elu(x) = x if x > 0, else alpha (exp(x) - 1).

override alpha: f32;

fn value(x: f32) -> f32 {
    return select(alpha * exponential_minus_1(x), x, x > 0.0 || is_nan(x));
}

// dy if x > 0, else alpha exp(x) dy; dy where x is NaN, as in PyTorch.
fn gradient(x: f32, dy: f32) -> f32 {
    return select(dy * (alpha * exponential(min(x, 0.0))), dy, x > 0.0 || is_nan(x));
}
