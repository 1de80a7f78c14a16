// y = tanh(x).

@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read_write> y: array<f32>;

fn element(i: u32) {
    y[i] = hyperbolic_tangent(x[i]);
}

// Near 0 the exponentials would cancel, so there a polynomial (Cephes, tanhf) takes over.
fn hyperbolic_tangent(v: f32) -> f32 {
    let s = v * v;
    if s < 0.390625 {
        var p = fma(-5.70498872745e-3, s, 2.06390887954e-2);
        p = fma(p, s, -5.37397155531e-2);
        p = fma(p, s, 1.33314422036e-1);
        p = fma(p, s, -3.33332819422e-1);
        return fma(p * s, v, v);
    }
    let size = 1.0 - 2.0 / (exponential(2.0 * abs(v)) + 1.0);
    return select(size, -size, v < 0.0);
}
