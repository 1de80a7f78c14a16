// c[z] = a[z] b[z] for `batches` pairs of matrices, for software adapters whose subgroups have eight invocations or
// more: one subgroup computes 8 ROW_BLOCKS x 64 sums in registers, without workgroup memory and barriers. See
// gemm_tile.wgsl for what a kernel has to bring along; a gemm_octets_*.wgsl beside this file gives ROW_BLOCKS.
//
// There a load costs some fifty times as much as a product, whether its invocations want different elements or all the
// same one. So no element is loaded twice: an invocation loads ROW_BLOCKS elements of a and 8 of b, and the others get its
// elements of a by subgroupBroadcast. gemm_registers.wgsl needs 16 loads for 64 products of an invocation, this 12 for
// 256.

const TILE_M = 8u * ROW_BLOCKS;
const TILE_N = 64u;

// Sums of eight rows: in each the columns 0, 8, 16, 24 (l) and 32, 40, 48, 56 (r) from an invocation's first.
struct Octet {
    l0: vec4<f32>, r0: vec4<f32>,
    l1: vec4<f32>, r1: vec4<f32>,
    l2: vec4<f32>, r2: vec4<f32>,
    l3: vec4<f32>, r3: vec4<f32>,
    l4: vec4<f32>, r4: vec4<f32>,
    l5: vec4<f32>, r5: vec4<f32>,
    l6: vec4<f32>, r6: vec4<f32>,
    l7: vec4<f32>, r7: vec4<f32>,
}

// octet += a b^T, where invocation n holds row n of a. One fma for each product, in the order of k: as in every other
// tile.
fn multiply_octet(octet: Octet, a: f32, l: vec4<f32>, r: vec4<f32>) -> Octet {
    let a0 = vec4<f32>(subgroupBroadcast(a, 0u));
    let a1 = vec4<f32>(subgroupBroadcast(a, 1u));
    let a2 = vec4<f32>(subgroupBroadcast(a, 2u));
    let a3 = vec4<f32>(subgroupBroadcast(a, 3u));
    let a4 = vec4<f32>(subgroupBroadcast(a, 4u));
    let a5 = vec4<f32>(subgroupBroadcast(a, 5u));
    let a6 = vec4<f32>(subgroupBroadcast(a, 6u));
    let a7 = vec4<f32>(subgroupBroadcast(a, 7u));
    return Octet(
        fma(a0, l, octet.l0), fma(a0, r, octet.r0),
        fma(a1, l, octet.l1), fma(a1, r, octet.r1),
        fma(a2, l, octet.l2), fma(a2, r, octet.r2),
        fma(a3, l, octet.l3), fma(a3, r, octet.r3),
        fma(a4, l, octet.l4), fma(a4, r, octet.r4),
        fma(a5, l, octet.l5), fma(a5, r, octet.r5),
        fma(a6, l, octet.l6), fma(a6, r, octet.r6),
        fma(a7, l, octet.l7), fma(a7, r, octet.r7),
    );
}

fn start_columns(z: u32, i: u32, j: u32) -> vec4<f32> {
    return vec4<f32>(start(z, i, j), start(z, i, j + 8u), start(z, i, j + 16u), start(z, i, j + 24u));
}

fn start_octet(z: u32, i: u32, j: u32) -> Octet {
    return Octet(
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
    if i < rows {
        if j < columns { store(z, i, j, sums.x); }
        if j + 8u < columns { store(z, i, j + 8u, sums.y); }
        if j + 16u < columns { store(z, i, j + 16u, sums.z); }
        if j + 24u < columns { store(z, i, j + 24u, sums.w); }
    }
}

fn store_octet(z: u32, i: u32, j: u32, octet: Octet) {
    store_columns(z, i + 0u, j, octet.l0);
    store_columns(z, i + 0u, j + 32u, octet.r0);
    store_columns(z, i + 1u, j, octet.l1);
    store_columns(z, i + 1u, j + 32u, octet.r1);
    store_columns(z, i + 2u, j, octet.l2);
    store_columns(z, i + 2u, j + 32u, octet.r2);
    store_columns(z, i + 3u, j, octet.l3);
    store_columns(z, i + 3u, j + 32u, octet.r3);
    store_columns(z, i + 4u, j, octet.l4);
    store_columns(z, i + 4u, j + 32u, octet.r4);
    store_columns(z, i + 5u, j, octet.l5);
    store_columns(z, i + 5u, j + 32u, octet.r5);
    store_columns(z, i + 6u, j, octet.l6);
    store_columns(z, i + 6u, j + 32u, octet.r6);
    store_columns(z, i + 7u, j, octet.l7);
    store_columns(z, i + 7u, j + 32u, octet.r7);
}

@compute @workgroup_size(8)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let tiles_i = (rows + TILE_M - 1u) / TILE_M;
    let tiles_j = (columns + TILE_N - 1u) / TILE_N;
    let tile = group_index(group, groups);
    let z = tile / (tiles_i * tiles_j);
    if z >= batches {
        return;
    }
    let i = tile % tiles_i * TILE_M;
    let j = tile / tiles_i % tiles_j * TILE_N + lane;

    let row0 = row(z, min(i + lane, rows - 1u));
    let row1 = row(z, min(i + lane + 8u, rows - 1u));
    let row2 = row(z, min(i + lane + 16u, rows - 1u));
    let row3 = row(z, min(i + lane + 24u, rows - 1u));
    let column0 = column(z, min(j + 0u, columns - 1u));
    let column1 = column(z, min(j + 8u, columns - 1u));
    let column2 = column(z, min(j + 16u, columns - 1u));
    let column3 = column(z, min(j + 24u, columns - 1u));
    let column4 = column(z, min(j + 32u, columns - 1u));
    let column5 = column(z, min(j + 40u, columns - 1u));
    let column6 = column(z, min(j + 48u, columns - 1u));
    let column7 = column(z, min(j + 56u, columns - 1u));

    var octet0 = start_octet(z, i, j);
    var octet1: Octet;
    var octet2: Octet;
    var octet3: Octet;
    if ROW_BLOCKS > 1u { octet1 = start_octet(z, i + 8u, j); }
    if ROW_BLOCKS > 2u {
        octet2 = start_octet(z, i + 16u, j);
        octet3 = start_octet(z, i + 24u, j);
    }
    let end = depth(z);
    for (var k = 0u; k < end; k++) {
        let t = term(z, k);
        let l = vec4<f32>(load_b(t, column0), load_b(t, column1), load_b(t, column2), load_b(t, column3));
        let r = vec4<f32>(load_b(t, column4), load_b(t, column5), load_b(t, column6), load_b(t, column7));
        octet0 = multiply_octet(octet0, load_a(row0, t), l, r);
        if ROW_BLOCKS > 1u { octet1 = multiply_octet(octet1, load_a(row1, t), l, r); }
        if ROW_BLOCKS > 2u {
            octet2 = multiply_octet(octet2, load_a(row2, t), l, r);
            octet3 = multiply_octet(octet3, load_a(row3, t), l, r);
        }
    }
    store_octet(z, i, j, octet0);
    if ROW_BLOCKS > 1u { store_octet(z, i + 8u, j, octet1); }
    if ROW_BLOCKS > 2u {
        store_octet(z, i + 16u, j, octet2);
        store_octet(z, i + 24u, j, octet3);
    }
}
