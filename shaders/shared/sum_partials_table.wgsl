// sum[i] = partials[0, i] + partials[1, i] + ..., in this order, for the partial sums of many tensors at once. Each
// workgroup adds up one chunk; the sums are the same as those of sum_partials.wgsl.

struct Chunk {
    // First partial sum of the chunk, and first element of its sums.
    source: u32,
    sum: u32,
    // Elements of the chunk, at most THREADS.
    count: u32,
    pieces: u32,
    // Elements from one piece to the next.
    stride: u32,
}

override chunks: u32;

@group(0) @binding(0) var<storage, read> partials: array<f32>;
@group(0) @binding(1) var<storage, read> table: array<Chunk>;
@group(0) @binding(2) var<storage, read_write> sum: array<f32>;

const THREADS = 256u;

@compute @workgroup_size(THREADS)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
) {
    let number = group_index(group, groups);
    if number >= chunks {
        return;
    }
    let chunk = table[number];
    if thread >= chunk.count {
        return;
    }
    var total = 0.0;
    for (var piece = 0u; piece < chunk.pieces; piece++) {
        total += partials[chunk.source + piece * chunk.stride + thread];
    }
    sum[chunk.sum + thread] = total;
}
