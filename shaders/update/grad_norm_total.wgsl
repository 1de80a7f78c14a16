// norms[index] = sum of the sums that grad_norm left. One workgroup.

@group(0) @binding(0) var<storage, read> partial: array<f32>;
@group(0) @binding(1) var<storage, read_write> norms: array<f32>;

override chunks: u32;
override index: u32;

const THREADS = 256u;

@compute @workgroup_size(THREADS)
fn main(@builtin(local_invocation_index) thread: u32) {
    var sum = 0.0;
    for (var i = thread; i < chunks; i += THREADS) {
        sum += partial[i];
    }
    sum = reduce_sum(thread, sum);
    if thread == 0u {
        norms[index] = sum;
    }
}
