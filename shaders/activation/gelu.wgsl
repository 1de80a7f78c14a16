// gelu(x) = x P(x), with the distribution function P of the standard normal distribution.

const INVERSE_SQRT_2_PI = 0.39894228;

struct Normal {
    // P(-a), and the density there times sqrt(2 pi).
    tail: f32,
    density: f32,
}

// For a >= 0. The tail is exp(-a^2 / 2) g(a), where g(a) = erfcx(a / sqrt 2) / 2 is t times a polynomial in t = 1 / (1 + 0.34 a),
// fitted to the least relative error (3.4e-8) for a up to 14.5, where the result is 0 in f32.
fn normal(a: f32) -> Normal {
    let t = 1.0 / fma(0.34, a, 1.0);
    var p = fma(-2.5876652e-2, t, 1.3835804e-1);
    p = fma(p, t, -2.7087290e-1);
    p = fma(p, t, 1.9971952e-1);
    p = fma(p, t, -4.310745e-2);
    p = fma(p, t, 1.1471403e-1);
    p = fma(p, t, 1.1535161e-1);
    p = fma(p, t, 1.3609225e-1);
    p = fma(p, t, 1.3562158e-1);
    let density = exponential(-0.5 * a * a);
    return Normal(density * (p * t), density);
}

fn value(x: f32) -> f32 {
    let tail = normal(abs(x)).tail;
    return select(x - x * tail, x * tail, x < 0.0);
}

// dy (P(x) + x P'(x)). Far from 0 the density is 0, and x may be infinite.
fn gradient(x: f32, dy: f32) -> f32 {
    let at = normal(abs(x));
    let below = select(1.0 - at.tail, at.tail, x < 0.0);
    return dy * fma(clamp(x, -16.0, 16.0), at.density * INVERSE_SQRT_2_PI, below);
}
