// The entry point of kernels whose elements are sums of too many terms for one thread: one workgroup for each element,
// and a dispatch for every TERMS terms, which adds to the result of those before it. A kernel defines
//   Source, source_of(i)        the geometry of element i, with `count`, the number of its terms
//   term_of(Source, e)          term number e
//   kept(i), keep(i, sum)       the output

override len: u32;
// Number of the first term of this dispatch.
override first_term: u32;

const THREADS = 256u;
// GATHER_TERMS of src/gpu/kernels/rounds.rs.
const TERMS = 262144u;

@compute @workgroup_size(THREADS)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
) {
    let i = group_index(group, groups);
    if i >= len {
        return;
    }
    let source = source_of(i);
    let end = min(first_term + TERMS, source.count);
    var sum = 0.0;
    for (var e = first_term + thread; e < end; e += THREADS) {
        sum += term_of(source, e);
    }
    sum = reduce_sum(thread, sum);
    if thread == 0u {
        if first_term > 0u {
            sum += kept(i);
        }
        keep(i, sum);
    }
}
