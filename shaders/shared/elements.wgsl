// The entry point of kernels that compute every output element by itself: it calls `element(i)` for i = 0 .. len.

override len: u32;

const THREADS = 256u;
// A thread's elements lie THREADS apart, so that neighbouring threads touch neighbouring memory.
const PER_THREAD = 4u;

@compute @workgroup_size(THREADS)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
) {
    let first = group_index(group, groups) * THREADS * PER_THREAD + thread;
    for (var k = 0u; k < PER_THREAD; k++) {
        let i = first + k * THREADS;
        if i < len {
            element(i);
        }
    }
}
