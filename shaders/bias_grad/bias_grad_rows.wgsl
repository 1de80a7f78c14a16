// db[c] = sum of dy[n, c, i], one thread for each channel: for few i, as behind a linear layer.

override batch: u32;
override channels: u32;
override inner: u32;

@group(0) @binding(OPERANDS) var<storage, read_write> db: array<f32>;

// Few, so that some thousand channels give many workgroups.
const THREADS = 64u;

@compute @workgroup_size(THREADS)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
) {
    let c = group_index(group, groups) * THREADS + thread;
    if c >= channels {
        return;
    }
    var sum = 0.0;
    for (var n = 0u; n < batch; n++) {
        for (var i = 0u; i < inner; i++) {
            sum += gradient((n * channels + c) * inner + i);
        }
    }
    db[c] = sum;
}
