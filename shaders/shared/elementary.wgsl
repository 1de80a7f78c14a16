// exp and log to within about an ulp and a half on every adapter. Vulkan allows the built-in exp an error of
// 3 + 2 |x| ulp and log one of 3 ulp (or 2^-21 near 1), and software adapters use all of it.

// ln 2 = 355 / 512 + LN_2_LOW; a whole number times the first part is exact.
const LN_2_LOW = -2.12194440e-4;

// n * 355 / 512. The product is one of integers, since compilers turn n * a + n * b into n * (a + b) otherwise and
// lose what the two parts of ln 2 are for (Mesa does: an error of 35 ulp at exp(70)).
fn times_ln_2_high(n: i32) -> f32 {
    return f32(n * 355) * 0.001953125;
}

// 2^n for -126 <= n <= 127.
fn power_of_two(n: i32) -> f32 {
    return bitcast<f32>(u32(n + 127) << 23u);
}

// exp(r) - 1 for |r| <= ln 2 / 2; the polynomial is that of Cephes, expf.
fn near_zero(r: f32) -> f32 {
    var p = fma(1.9875691500e-4, r, 1.3981999507e-3);
    p = fma(p, r, 8.3334519073e-3);
    p = fma(p, r, 4.1665795894e-2);
    p = fma(p, r, 1.6666665459e-1);
    p = fma(p, r, 5.0000001201e-1);
    return fma(p, r * r, r);
}

// exp(x) by x = n ln 2 + r.
fn exponential(x: f32) -> f32 {
    // Beyond these the result is 0 or infinite in f32.
    let bounded = clamp(x, -104.0, 89.0);
    let n = floor(fma(bounded, 1.44269504, 0.5));
    let whole = i32(n);
    let r = fma(n, -LN_2_LOW, bounded - times_ln_2_high(whole));
    let fraction = near_zero(r) + 1.0;
    // In two steps, since 2^n itself may be outside the range of f32.
    let half = whole >> 1u;
    let y = fraction * power_of_two(half) * power_of_two(whole - half);
    return select(y, x, is_nan(x));
}

// exp(x) - 1.
fn exponential_minus_1(x: f32) -> f32 {
    return select(exponential(x) - 1.0, near_zero(x), abs(x) < 0.34);
}

// log(x) for x >= 0 by x = m 2^e, m around 1; the polynomial is that of Cephes, logf.
fn logarithm(x: f32) -> f32 {
    let bits = bitcast<u32>(x);
    if bits >= 0x7f800000u {
        return x;
    }
    if bits == 0u {
        return -1.0 / x;
    }
    // Moves the cut between two exponents from 1 to sqrt(1/2), whose bits are 0x3f3504f3.
    let shifted = bits + (0x3f800000u - 0x3f3504f3u);
    let e = i32(shifted >> 23u) - 127;
    let z = bitcast<f32>((shifted & 0x007fffffu) + 0x3f3504f3u) - 1.0;
    var p = fma(7.0376836292e-2, z, -1.1514610310e-1);
    p = fma(p, z, 1.1676998740e-1);
    p = fma(p, z, -1.2420140846e-1);
    p = fma(p, z, 1.4249322787e-1);
    p = fma(p, z, -1.6668057665e-1);
    p = fma(p, z, 2.0000714765e-1);
    p = fma(p, z, -2.4999993993e-1);
    p = fma(p, z, 3.3333331174e-1);
    let square = z * z;
    let small = fma(f32(e), LN_2_LOW, fma(z * square, p, -0.5 * square));
    return times_ln_2_high(e) + (z + small);
}
