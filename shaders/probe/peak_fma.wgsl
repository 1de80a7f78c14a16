// As many fused multiply-adds as the device can compute: an upper bound for every kernel. Eight chains per thread hide the
// latency of each; their sum is stored, so that a compiler cannot remove one.

@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read_write> y: array<f32>;

override rounds: u32;
override len: u32;

const THREADS = 256u;

@compute @workgroup_size(THREADS)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
) {
    let i = group_index(group, groups) * THREADS + thread;
    if i >= len {
        return;
    }
    // Factor and summand come from a buffer, so that nothing is known beforehand. With |factor| < 1 values stay finite.
    let m = vec4<f32>(x[0]);
    let c = vec4<f32>(x[1]);
    var a = vec4<f32>(0.0, 1.0, 2.0, 3.0) + f32(thread);
    var b = a + 4.0;
    for (var round = 0u; round < rounds; round++) {
        a = fma(a, m, c);
        b = fma(b, m, c);
        a = fma(a, m, c);
        b = fma(b, m, c);
        a = fma(a, m, c);
        b = fma(b, m, c);
        a = fma(a, m, c);
        b = fma(b, m, c);
        a = fma(a, m, c);
        b = fma(b, m, c);
        a = fma(a, m, c);
        b = fma(b, m, c);
        a = fma(a, m, c);
        b = fma(b, m, c);
        a = fma(a, m, c);
        b = fma(b, m, c);
    }
    let sum = a + b;
    y[i] = sum.x + sum.y + sum.z + sum.w;
}
