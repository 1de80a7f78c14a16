// c[z] = a[z] b[z] for `batches` pairs of matrices, in registers only: 8 x 8 sums in each of 8 invocations, no
// workgroup memory, no barriers. For software adapters; see gemm_tile.wgsl for what a kernel defines, and
// gemm_exact.wgsl and gemm_rounded.wgsl for `operands`.
// There a load costs some fifty times as much as a product: 8 x 8 took 60 % of the time of 4 x 8 (llvmpipe of
// Mesa 22.3, convolution 64 to 192 channels, 5 x 5), 16 x 8 no less again.

const TILE_M = 8u;
const TILE_N = 64u;

@compute @workgroup_size(8)
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
    let i = tile % tiles_i * TILE_M;
    let j = tile / tiles_i % tiles_j * TILE_N + thread * 8u;

    let row0 = row(z, min(i, m - 1u));
    let row1 = row(z, min(i + 1u, m - 1u));
    let row2 = row(z, min(i + 2u, m - 1u));
    let row3 = row(z, min(i + 3u, m - 1u));
    let row4 = row(z, min(i + 4u, m - 1u));
    let row5 = row(z, min(i + 5u, m - 1u));
    let row6 = row(z, min(i + 6u, m - 1u));
    let row7 = row(z, min(i + 7u, m - 1u));
    let column0 = column(z, min(j, n - 1u));
    let column1 = column(z, min(j + 1u, n - 1u));
    let column2 = column(z, min(j + 2u, n - 1u));
    let column3 = column(z, min(j + 3u, n - 1u));
    let column4 = column(z, min(j + 4u, n - 1u));
    let column5 = column(z, min(j + 5u, n - 1u));
    let column6 = column(z, min(j + 6u, n - 1u));
    let column7 = column(z, min(j + 7u, n - 1u));

    var block00 = start_block(z, i, j);
    var block01 = start_block(z, i, j + 4u);
    var block10 = start_block(z, i + 4u, j);
    var block11 = start_block(z, i + 4u, j + 4u);
    let end = reduction_length(z);
    for (var k = 0u; k < end; k++) {
        let t = term(z, k);
        let a0 = operands(vec4<f32>(load_a(row0, t), load_a(row1, t), load_a(row2, t), load_a(row3, t)));
        let a1 = operands(vec4<f32>(load_a(row4, t), load_a(row5, t), load_a(row6, t), load_a(row7, t)));
        let b0 = operands(vec4<f32>(load_b(t, column0), load_b(t, column1), load_b(t, column2), load_b(t, column3)));
        let b1 = operands(vec4<f32>(load_b(t, column4), load_b(t, column5), load_b(t, column6), load_b(t, column7)));
        block00 = multiply(block00, a0, b0);
        block01 = multiply(block01, a0, b1);
        block10 = multiply(block10, a1, b0);
        block11 = multiply(block11, a1, b1);
    }
    store_block(z, i, j, block00);
    store_block(z, i, j + 4u, block01);
    store_block(z, i + 4u, j, block10);
    store_block(z, i + 4u, j + 4u, block11);
}
