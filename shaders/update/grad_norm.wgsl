// Sums of g^2 over runs of CHUNK elements, one workgroup for each.

@group(0) @binding(0) var<storage, read> g: array<f32>;
@group(0) @binding(1) var<storage, read_write> partial: array<f32>;

override size: u32;
// Number of the first run, if g is a piece of a larger tensor.
override first_chunk: u32;

const THREADS = 256u;
const CHUNK = 16384u;

@compute @workgroup_size(THREADS)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
) {
    let chunk = group_index(group, groups);
    let first = chunk * CHUNK;
    if first >= size {
        return;
    }
    let end = min(first + CHUNK, size);
    var sum = 0.0;
    for (var i = first + thread; i < end; i += THREADS) {
        sum = fma(g[i], g[i], sum);
    }
    sum = reduce_sum(thread, sum);
    if thread == 0u {
        partial[first_chunk + chunk] = sum;
    }
}
