// hard_swish(x) = x min(max(x + 3, 0), 6) / 6. The product keeps a NaN that clamp() may swallow.

fn value(x: f32) -> f32 {
    return x * (clamp(x + 3.0, 0.0, 6.0) / 6.0);
}

// dy (x / 3 + 1/2) where -3 < x < 3, 0 below and dy above; dy where x is NaN, as in PyTorch.
fn gradient(x: f32, dy: f32) -> f32 {
    let inside = dy * (x / 3.0 + 0.5);
    let unknown = is_nan(x);
    return select(select(inside, dy, x >= 3.0 || unknown), 0.0, x <= -3.0 && !unknown);
}
