// gelu(x) approximated by x (1 + tanh u) / 2 with u = sqrt(2 / pi) (x + 0.044715 x^3), which is x times the sigmoid of 2 u.

const SQRT_2_PI = 0.7978846;
const CUBIC = 0.044715;

fn argument(x: f32) -> f32 {
    return SQRT_2_PI * fma(CUBIC * x * x, x, x);
}

fn value(x: f32) -> f32 {
    // Far below 0 the exponential is infinite; a NaN comes back in the division.
    return x / (1.0 + exponential(-2.0 * argument(clamp(x, -16.0, 16.0))));
}

// dy (s + x s'), where s' = 2 u' s (1 - s) is 0 far from 0. Both s and 1 - s are computed from exp(-|2 u|).
fn gradient(x: f32, dy: f32) -> f32 {
    let near = clamp(x, -16.0, 16.0);
    let u = argument(near);
    let e = exponential(-2.0 * abs(u));
    let large = 1.0 / (1.0 + e);
    let small = e * large;
    let s = select(small, large, u >= 0.0);
    let rest = select(large, small, u >= 0.0);
    let slope = 2.0 * SQRT_2_PI * fma(3.0 * CUBIC * near, near, 1.0);
    let derivative = fma(near * s * rest, slope, s);
    return select(dy * derivative, x, is_nan(x));
}
