// silu(x) = x / (1 + exp(-x)).

fn value(x: f32) -> f32 {
    return x / (1.0 + exponential(-x));
}

// dy s (1 + x (1 - s)) with s = 1 / (1 + exp(-x)). Both s and 1 - s are computed from exp(-|x|), so that neither loses digits.
fn gradient(x: f32, dy: f32) -> f32 {
    let e = exponential(-abs(x));
    let large = 1.0 / (1.0 + e);
    let small = e * large;
    let s = select(small, large, x >= 0.0);
    let rest = select(large, small, x >= 0.0);
    return dy * (s * fma(x, rest, 1.0));
}
