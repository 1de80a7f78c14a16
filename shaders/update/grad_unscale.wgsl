// The factor of the update and the scale of the next step: src/ops/loss_scale.rs. One workgroup.
// scaling = [scale, updates since it changed, updates made, updates skipped].

@group(0) @binding(0) var<storage, read> norms: array<f32>;
@group(0) @binding(1) var<uniform> hyper: Hyper;
@group(0) @binding(2) var<storage, read_write> scaling: array<f32>;
@group(0) @binding(3) var<storage, read_write> factor: array<f32>;

override count: u32;
override clip: bool;
override interval: u32;

const THREADS = 64u;

// 1 - beta^n for n below 2^25, by squaring: of x = 1 - beta^i and y = 1 - beta^j, x + y - x y is that of i + j. So
// nothing cancels where beta is near 1.
fn correction(beta: f32, n: u32) -> f32 {
    var rest = n;
    var power = 1.0 - beta;
    var sum = 0.0;
    for (var bit = 0u; bit < 25u; bit++) {
        if (rest & 1u) == 1u {
            sum = fma(-sum, power, sum + power);
        }
        power = power * (2.0 - power);
        rest >>= 1u;
    }
    return sum;
}

fn is_finite(x: f32) -> bool {
    return (bitcast<u32>(x) & 0x7fffffffu) < 0x7f800000u;
}

@compute @workgroup_size(THREADS)
fn main(@builtin(local_invocation_index) thread: u32) {
    var sum = 0.0;
    for (var i = thread; i < count; i += THREADS) {
        sum += norms[i];
    }
    sum = reduce_sum(thread, sum);
    if thread != 0u {
        return;
    }
    let scale = scaling[0];
    let updates = scaling[2];
    factor[1] = correction(hyper.momentum, u32(updates) + 1u);
    factor[2] = correction(hyper.beta2, u32(updates) + 1u);
    if !is_finite(sum) {
        factor[0] = 0.0;
        scaling[0] = scale * 0.5;
        scaling[1] = 0.0;
        scaling[3] += 1.0;
        return;
    }
    var clipped = 1.0;
    if clip {
        clipped = min(1.0, hyper.max_norm / (sqrt(sum) / scale + 1e-6));
    }
    factor[0] = clipped / scale;
    scaling[2] = updates + 1.0;
    let streak = scaling[1] + 1.0;
    if streak < f32(interval) {
        scaling[1] = streak;
        return;
    }
    scaling[1] = 0.0;
    let grown = scale * 2.0;
    if is_finite(grown) {
        scaling[0] = grown;
    }
}
