// An update of many tensors at once: the entry point in place of elements.wgsl. Each workgroup treats one chunk of one
// tensor; the chunk says which elements, and the multipliers of its tensor.

// Bindings before the factor.
const TABLES = 1u;

struct Chunk {
    first: u32,
    // One beyond the last element; at most THREADS * PER_THREAD beyond the first.
    end: u32,
    lr_mult: f32,
    decay_mult: f32,
    // Of the tensor, from 1.
    number: u32,
}

override chunks: u32;

@group(0) @binding(2) var<storage, read> table: array<Chunk>;

const THREADS = 256u;
// A thread's elements lie THREADS apart, so that neighbouring threads touch neighbouring memory.
const PER_THREAD = 4u;

var<private> lr_mult: f32;
var<private> decay_mult: f32;
var<private> number: u32;

@compute @workgroup_size(THREADS)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
) {
    let group_number = group_index(group, groups);
    if group_number >= chunks {
        return;
    }
    let chunk = table[group_number];
    lr_mult = chunk.lr_mult;
    decay_mult = chunk.decay_mult;
    number = chunk.number;
    for (var k = 0u; k < PER_THREAD; k++) {
        let i = chunk.first + thread + k * THREADS;
        if i < chunk.end {
            element(i);
        }
    }
}
