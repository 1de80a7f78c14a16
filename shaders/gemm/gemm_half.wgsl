// c[z] = a[z] b[z] for `batches` pairs of matrices, the operands rounded to f16, the sums in f32. For GPUs without
// cooperative matrices; gemm_tile.wgsl lists what a kernel defines. The order of a sum is that of gemm_tile.wgsl,
// so gemm_registers.wgsl with gemm_rounded.wgsl gives the same bits. The rounding is that of gemm_cooperative.wgsl, and
// the products, exact in f32, are the same; only inside sixteen of them may that frame add in another order.

fn read_a(i: u32, k: u32) -> vec4<f32> {
    let at = i * STRIDE + k;
    return vec4<f32>(vec4<f16>(
        tile_a[at], tile_a[at + STRIDE], tile_a[at + 2u * STRIDE], tile_a[at + 3u * STRIDE]));
}

fn read_b(j: u32, k: u32) -> vec4<f32> {
    let at = j * STRIDE + k;
    return vec4<f32>(vec4<f16>(
        tile_b[at], tile_b[at + STRIDE], tile_b[at + 2u * STRIDE], tile_b[at + 3u * STRIDE]));
}

// 256 threads as 16 x 16; each owns two 4x4 blocks of c that lie 64 columns apart.
@compute @workgroup_size(256)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
) {
    let tiles_i = (m + TILE_M - 1u) / TILE_M;
    let tiles_j = (n + TILE_N - 1u) / TILE_N;
    let tile = group_index(group, groups);
    let z = tile / (tiles_i * tiles_j);
    if z >= batches {
        return;
    }
    let first_i = tile % tiles_i * TILE_M;
    let first_j = tile / tiles_i % tiles_j * TILE_N;
    let at = origins(z, first_i, first_j, thread);
    let i = thread / 16u * 4u;
    let j = thread % 16u * 4u;
    var left = start_block(z, first_i + i, first_j + j);
    var right = start_block(z, first_i + i, first_j + j + 64u);

    // The next tiles are loaded into registers while the current ones are multiplied.
    let end = reduction_length(z);
    var next = fetch(z, at, thread, 0u, end);
    for (var k = 0u; k < end; k += TILE_K) {
        put(thread, next);
        workgroupBarrier();
        if k + TILE_K < end {
            next = fetch(z, at, thread, k + TILE_K, end);
        }
        for (var step = 0u; step < TILE_K; step++) {
            let upper = read_a(i, step);
            left = multiply(left, upper, read_b(j, step));
            right = multiply(right, upper, read_b(j + 64u, step));
        }
        workgroupBarrier();
    }
    store_block(z, first_i + i, first_j + j, left);
    store_block(z, first_i + i, first_j + j + 64u, right);
}
