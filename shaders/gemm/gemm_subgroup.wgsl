// c[z] = a[z] b[z] for `batches` pairs of matrices, for software adapters whose subgroups have eight invocations or
// more: one subgroup computes 8 ROW_BLOCKS x 64 sums in registers, without workgroup memory and barriers. See
// gemm_tile.wgsl for what a kernel defines; ROW_BLOCKS comes from src/gpu/kernels/gemm.rs.
//
// On such an adapter a load costs some fifty times as much as a product, whether its threads load different elements or
// the same one. So no element is loaded twice: a thread loads ROW_BLOCKS elements of a and 8 of b, and the others receive
// its elements of a by subgroupBroadcast. gemm_registers.wgsl needs 16 loads for 64 products of a thread, this kernel 12
// for 256.

const TILE_M = 8u * ROW_BLOCKS;
const TILE_N = 64u;

// A block of eight rows of sums: in each row the columns 0, 8, 16, 24 (l) and 32, 40, 48, 56 (r) from a thread's first.
struct RowBlock {
    l0: vec4<f32>, r0: vec4<f32>,
    l1: vec4<f32>, r1: vec4<f32>,
    l2: vec4<f32>, r2: vec4<f32>,
    l3: vec4<f32>, r3: vec4<f32>,
    l4: vec4<f32>, r4: vec4<f32>,
    l5: vec4<f32>, r5: vec4<f32>,
    l6: vec4<f32>, r6: vec4<f32>,
    l7: vec4<f32>, r7: vec4<f32>,
}

// row_block += a b^T, where thread i holds row i of a. One fma for each product, in the order of k: as in every other
// tile.
fn multiply_row_block(row_block: RowBlock, a: f32, l: vec4<f32>, r: vec4<f32>) -> RowBlock {
    let a0 = vec4<f32>(subgroupBroadcast(a, 0u));
    let a1 = vec4<f32>(subgroupBroadcast(a, 1u));
    let a2 = vec4<f32>(subgroupBroadcast(a, 2u));
    let a3 = vec4<f32>(subgroupBroadcast(a, 3u));
    let a4 = vec4<f32>(subgroupBroadcast(a, 4u));
    let a5 = vec4<f32>(subgroupBroadcast(a, 5u));
    let a6 = vec4<f32>(subgroupBroadcast(a, 6u));
    let a7 = vec4<f32>(subgroupBroadcast(a, 7u));
    return RowBlock(
        fma(a0, l, row_block.l0), fma(a0, r, row_block.r0),
        fma(a1, l, row_block.l1), fma(a1, r, row_block.r1),
        fma(a2, l, row_block.l2), fma(a2, r, row_block.r2),
        fma(a3, l, row_block.l3), fma(a3, r, row_block.r3),
        fma(a4, l, row_block.l4), fma(a4, r, row_block.r4),
        fma(a5, l, row_block.l5), fma(a5, r, row_block.r5),
        fma(a6, l, row_block.l6), fma(a6, r, row_block.r6),
        fma(a7, l, row_block.l7), fma(a7, r, row_block.r7),
    );
}

fn start_columns(z: u32, i: u32, j: u32) -> vec4<f32> {
    return vec4<f32>(start(z, i, j), start(z, i, j + 8u), start(z, i, j + 16u), start(z, i, j + 24u));
}

fn start_row_block(z: u32, i: u32, j: u32) -> RowBlock {
    return RowBlock(
        start_columns(z, i + 0u, j), start_columns(z, i + 0u, j + 32u),
        start_columns(z, i + 1u, j), start_columns(z, i + 1u, j + 32u),
        start_columns(z, i + 2u, j), start_columns(z, i + 2u, j + 32u),
        start_columns(z, i + 3u, j), start_columns(z, i + 3u, j + 32u),
        start_columns(z, i + 4u, j), start_columns(z, i + 4u, j + 32u),
        start_columns(z, i + 5u, j), start_columns(z, i + 5u, j + 32u),
        start_columns(z, i + 6u, j), start_columns(z, i + 6u, j + 32u),
        start_columns(z, i + 7u, j), start_columns(z, i + 7u, j + 32u),
    );
}

fn store_columns(z: u32, i: u32, j: u32, sums: vec4<f32>) {
    if i < m {
        if j < n { store(z, i, j, sums.x); }
        if j + 8u < n { store(z, i, j + 8u, sums.y); }
        if j + 16u < n { store(z, i, j + 16u, sums.z); }
        if j + 24u < n { store(z, i, j + 24u, sums.w); }
    }
}

fn store_row_block(z: u32, i: u32, j: u32, row_block: RowBlock) {
    store_columns(z, i + 0u, j, row_block.l0);
    store_columns(z, i + 0u, j + 32u, row_block.r0);
    store_columns(z, i + 1u, j, row_block.l1);
    store_columns(z, i + 1u, j + 32u, row_block.r1);
    store_columns(z, i + 2u, j, row_block.l2);
    store_columns(z, i + 2u, j + 32u, row_block.r2);
    store_columns(z, i + 3u, j, row_block.l3);
    store_columns(z, i + 3u, j + 32u, row_block.r3);
    store_columns(z, i + 4u, j, row_block.l4);
    store_columns(z, i + 4u, j + 32u, row_block.r4);
    store_columns(z, i + 5u, j, row_block.l5);
    store_columns(z, i + 5u, j + 32u, row_block.r5);
    store_columns(z, i + 6u, j, row_block.l6);
    store_columns(z, i + 6u, j + 32u, row_block.r6);
    store_columns(z, i + 7u, j, row_block.l7);
    store_columns(z, i + 7u, j + 32u, row_block.r7);
}

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
    let j = tile / tiles_i % tiles_j * TILE_N + thread;

    let row0 = row(z, min(i + thread, m - 1u));
    let row1 = row(z, min(i + thread + 8u, m - 1u));
    let row2 = row(z, min(i + thread + 16u, m - 1u));
    let row3 = row(z, min(i + thread + 24u, m - 1u));
    let column0 = column(z, min(j + 0u, n - 1u));
    let column1 = column(z, min(j + 8u, n - 1u));
    let column2 = column(z, min(j + 16u, n - 1u));
    let column3 = column(z, min(j + 24u, n - 1u));
    let column4 = column(z, min(j + 32u, n - 1u));
    let column5 = column(z, min(j + 40u, n - 1u));
    let column6 = column(z, min(j + 48u, n - 1u));
    let column7 = column(z, min(j + 56u, n - 1u));

    var row_block0 = start_row_block(z, i, j);
    var row_block1: RowBlock;
    var row_block2: RowBlock;
    var row_block3: RowBlock;
    if ROW_BLOCKS > 1u { row_block1 = start_row_block(z, i + 8u, j); }
    if ROW_BLOCKS > 2u {
        row_block2 = start_row_block(z, i + 16u, j);
        row_block3 = start_row_block(z, i + 24u, j);
    }
    let end = reduction_length(z);
    for (var k = 0u; k < end; k++) {
        let t = term(z, k);
        let l = vec4<f32>(load_b(t, column0), load_b(t, column1), load_b(t, column2), load_b(t, column3));
        let r = vec4<f32>(load_b(t, column4), load_b(t, column5), load_b(t, column6), load_b(t, column7));
        row_block0 = multiply_row_block(row_block0, load_a(row0, t), l, r);
        if ROW_BLOCKS > 1u { row_block1 = multiply_row_block(row_block1, load_a(row1, t), l, r); }
        if ROW_BLOCKS > 2u {
            row_block2 = multiply_row_block(row_block2, load_a(row2, t), l, r);
            row_block3 = multiply_row_block(row_block3, load_a(row3, t), l, r);
        }
    }
    store_row_block(z, i, j, row_block0);
    if ROW_BLOCKS > 1u { store_row_block(z, i + 8u, j, row_block1); }
    if ROW_BLOCKS > 2u {
        store_row_block(z, i + 16u, j, row_block2);
        store_row_block(z, i + 24u, j, row_block3);
    }
}
