// hard_sigmoid(x) = min(max(alpha x + beta, 0), 1). A NaN is returned unchanged: clamp() may swallow it.

override alpha: f32;
override beta: f32;

fn value(x: f32) -> f32 {
    return select(clamp(fma(alpha, x, beta), 0.0, 1.0), x, is_nan(x));
}

// alpha dy where 0 < y < 1, else 0.
fn gradient(y: f32, dy: f32) -> f32 {
    return select(0.0, alpha * dy, y > 0.0 && y < 1.0 && !is_nan(y));
}
