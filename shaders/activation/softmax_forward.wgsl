// y = exp(x - max) / sum of exp(x - max) over the channels at one place of one image: one workgroup for each.

@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read_write> y: array<f32>;

override rows: u32;
override channels: u32;
override inner: u32;

const THREADS = 64u;

@compute @workgroup_size(THREADS)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
) {
    let row = group_index(group, groups);
    if row >= rows {
        return;
    }
    let base = row / inner * channels * inner + row % inner;
    var largest = x[base];
    for (var c = thread; c < channels; c += THREADS) {
        largest = max(largest, x[base + c * inner]);
    }
    largest = reduce_max(thread, largest);
    // A NaN that the maximum did not see comes back here and makes the whole row NaN.
    var sum = 0.0;
    for (var c = thread; c < channels; c += THREADS) {
        sum += exponential(x[base + c * inner] - largest);
    }
    sum = reduce_sum(thread, sum);
    for (var c = thread; c < channels; c += THREADS) {
        y[base + c * inner] = exponential(x[base + c * inner] - largest) / sum;
    }
}
