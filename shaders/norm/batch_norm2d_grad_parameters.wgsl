// Sums of dy (x - mean) and of dy of one channel in one part of the batch.

@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read> mean: array<f32>;
@group(0) @binding(2) var<storage, read> dy: array<f32>;
@group(0) @binding(3) var<uniform> hyper: Hyper;
@group(0) @binding(4) var<storage, read_write> partial: array<f32>;

// The parts that x and dy hold, if they are pieces of larger tensors.
override first_part: u32;
override parts: u32;

const THREADS = 256u;

@compute @workgroup_size(THREADS)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
) {
    let number = group_index(group, groups);
    let channel = number % channels;
    let part = number / channels;
    if part >= parts {
        return;
    }
    let count = part_len(first_part + part);
    let base = (part / parts_per_image * images * channels + channel) * inner + first_element(part);
    let center = mean[channel];
    var products = 0.0;
    var sum = 0.0;
    for (var e = thread; e < count; e += THREADS) {
        let i = base + e / inner * channels * inner + e % inner;
        products = fma(dy[i], x[i] - center, products);
        sum += dy[i];
    }
    products = reduce_sum(thread, products);
    sum = reduce_sum(thread, sum);
    if thread == 0u {
        let at = part_index(first_part + part, channel);
        partial[at] = products;
        partial[at + 1u] = sum;
    }
}
