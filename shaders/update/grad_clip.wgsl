// factor = min(1, max_norm / (sqrt(sum of norms) + 1e-6)). One workgroup.

@group(0) @binding(0) var<storage, read> norms: array<f32>;
@group(0) @binding(1) var<uniform> hyper: Hyper;
@group(0) @binding(2) var<storage, read_write> factor: array<f32>;

override count: u32;

const THREADS = 64u;

@compute @workgroup_size(THREADS)
fn main(@builtin(local_invocation_index) thread: u32) {
    var sum = 0.0;
    for (var i = thread; i < count; i += THREADS) {
        sum += norms[i];
    }
    sum = reduce_sum(thread, sum);
    if thread == 0u {
        let ratio = hyper.max_norm / (sqrt(sum) + 1e-6);
        // A gradient that is NaN makes the factor NaN, as in PyTorch; min() may hide that.
        factor[0] = select(min(1.0, ratio), ratio, is_nan(ratio));
    }
}
