// dx = y (dy - sum of dy y over channels): one workgroup for each place of each image.

@group(0) @binding(0) var<storage, read> y: array<f32>;
@group(0) @binding(1) var<storage, read> dy: array<f32>;
@group(0) @binding(2) var<storage, read_write> dx: array<f32>;

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
    var sum = 0.0;
    for (var c = thread; c < channels; c += THREADS) {
        let i = base + c * inner;
        sum = fma(dy[i], y[i], sum);
    }
    sum = reduce_sum(thread, sum);
    for (var c = thread; c < channels; c += THREADS) {
        let i = base + c * inner;
        dx[i] = y[i] * (dy[i] - sum);
    }
}
