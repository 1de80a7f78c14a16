// Mean and sum of centred squares of one channel in one part of the batch. In two passes, since the sum of squares
// minus the squared mean would lose the digits of a small variance.

@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<uniform> hyper: Hyper;
@group(0) @binding(2) var<storage, read_write> partial: array<f32>;

// The parts that x holds, if it is a piece of a larger tensor.
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
    var sum = 0.0;
    for (var e = thread; e < count; e += THREADS) {
        sum += x[base + e / inner * channels * inner + e % inner];
    }
    let mean = reduce_sum(thread, sum) / f32(max(count, 1u));
    var squares = 0.0;
    for (var e = thread; e < count; e += THREADS) {
        let centred = x[base + e / inner * channels * inner + e % inner] - mean;
        squares = fma(centred, centred, squares);
    }
    squares = reduce_sum(thread, squares);
    if thread == 0u {
        let at = part_index(first_part + part, channel);
        partial[at] = mean;
        partial[at + 1u] = squares;
    }
}
