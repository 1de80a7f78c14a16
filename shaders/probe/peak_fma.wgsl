// As many fused multiply-adds as the device can do: what no kernel can beat. Eight chains per invocation hide the
// latency of each; the sum is stored, so that none can be left out.

@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read_write> y: array<f32>;

override rounds: u32;
override len: u32;

const THREADS = 256u;

@compute @workgroup_size(THREADS)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let i = group_index(group, groups) * THREADS + lane;
    if i >= len {
        return;
    }
    // Factor and summand come from a buffer, so that nothing is known beforehand. With |factor| < 1 values stay finite.
    let m = vec4<f32>(x[0]);
    let c = vec4<f32>(x[1]);
    var a = vec4<f32>(0.0, 1.0, 2.0, 3.0) + f32(lane);
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
