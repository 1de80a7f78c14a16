// max(0, x), and NaN for NaN, which max() may swallow.
fn relu(x: f32) -> f32 {
    return select(x, 0.0, x < 0.0 && !is_nan(x));
}
