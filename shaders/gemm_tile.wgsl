// c[z] = a[z] b[z] for `batches` pairs of matrices, with tiles of both in workgroup memory. For GPUs.
//
// A gemm_*_x_*.wgsl beside this file gives the size of a tile. The kernel brings along what the product is of:
//   rows, columns, batches          sizes of c; depth(z): the length of its sums
//   Row, Column, Term               what has to be known of an i, a j, a k: offsets, computed once and used often
//   row(z, i), column(z, j), term(z, k)
//   load_a(Row, Term), load_b(Term, Column)
//   A_ALONG_K, B_ALONG_K            whether neighbours in memory are neighbours in k (else in i, in j)
//   start(z, i, j)                  where a sum begins: mostly 0
//   store(z, i, j, sum)
// row, column and term are called with numbers that exist; start with any.

// 256 invocations as 16 x 16; each owns 4x4 blocks of c that lie 64 apart.
const BLOCKS_I = TILE_I / 64u;
const BLOCKS_J = TILE_J / 64u;
// Elements of a tile of a and of b that one invocation loads.
const LOADS_A = TILE_I * TILE_K / 256u;
const LOADS_B = TILE_J * TILE_K / 256u;
// 4 more, so that rows begin in different banks.
const STRIDE_A = TILE_I + 4u;
const STRIDE_B = TILE_J + 4u;

var<workgroup> tile_a: array<f32, TILE_K * STRIDE_A>;
var<workgroup> tile_b: array<f32, TILE_K * STRIDE_B>;

// (i, k) in its tile of load number n of an invocation.
fn place_a(lane: u32, n: u32) -> vec2<u32> {
    if A_ALONG_K {
        return vec2<u32>(lane / TILE_K + n * (256u / TILE_K), lane % TILE_K);
    }
    return vec2<u32>(lane % TILE_I, lane / TILE_I + n * (256u / TILE_I));
}

fn place_b(lane: u32, n: u32) -> vec2<u32> {
    if B_ALONG_K {
        return vec2<u32>(lane / TILE_K + n * (256u / TILE_K), lane % TILE_K);
    }
    return vec2<u32>(lane % TILE_J, lane / TILE_J + n * (256u / TILE_J));
}

fn fetch_a(z: u32, at: Row, k: u32, end: u32) -> f32 {
    if k < end {
        return load_a(at, term(z, k));
    }
    return 0.0;
}

fn fetch_b(z: u32, at: Column, k: u32, end: u32) -> f32 {
    if k < end {
        return load_b(term(z, k), at);
    }
    return 0.0;
}

fn read_a(k: u32, i: u32) -> vec4<f32> {
    let at = k * STRIDE_A + i;
    return vec4<f32>(tile_a[at], tile_a[at + 1u], tile_a[at + 2u], tile_a[at + 3u]);
}

fn read_b(k: u32, j: u32) -> vec4<f32> {
    let at = k * STRIDE_B + j;
    return vec4<f32>(tile_b[at], tile_b[at + 1u], tile_b[at + 2u], tile_b[at + 3u]);
}

@compute @workgroup_size(256)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let tiles_i = (rows + TILE_I - 1u) / TILE_I;
    let tiles_j = (columns + TILE_J - 1u) / TILE_J;
    let tile = group_index(group, groups);
    let z = tile / (tiles_i * tiles_j);
    if z >= batches {
        return;
    }
    // Neighbouring workgroups take different rows of the same columns: b, the larger factor, is read once.
    let first_i = tile % tiles_i * TILE_I;
    let first_j = tile / tiles_i % tiles_j * TILE_J;

    let a0 = place_a(lane, 0u);
    let a1 = place_a(lane, 1u);
    let a2 = place_a(lane, 2u);
    let a3 = place_a(lane, 3u);
    let b0 = place_b(lane, 0u);
    let b1 = place_b(lane, 1u);
    let b2 = place_b(lane, 2u);
    let b3 = place_b(lane, 3u);
    let row0 = row(z, min(first_i + a0.x, rows - 1u));
    let row1 = row(z, min(first_i + a1.x, rows - 1u));
    let row2 = row(z, min(first_i + a2.x, rows - 1u));
    let row3 = row(z, min(first_i + a3.x, rows - 1u));
    let column0 = column(z, min(first_j + b0.x, columns - 1u));
    let column1 = column(z, min(first_j + b1.x, columns - 1u));
    let column2 = column(z, min(first_j + b2.x, columns - 1u));
    let column3 = column(z, min(first_j + b3.x, columns - 1u));

    let i = lane / 16u * 4u;
    let j = lane % 16u * 4u;
    var block00 = start_block(z, first_i + i, first_j + j);
    var block01: Sums;
    var block10: Sums;
    var block11: Sums;
    if BLOCKS_J > 1u { block01 = start_block(z, first_i + i, first_j + j + 64u); }
    if BLOCKS_I > 1u { block10 = start_block(z, first_i + i + 64u, first_j + j); }
    if BLOCKS_I > 1u && BLOCKS_J > 1u { block11 = start_block(z, first_i + i + 64u, first_j + j + 64u); }

    // The next tiles travel into registers while the current ones are multiplied.
    let end = depth(z);
    var next_a: vec4<f32>;
    var next_b: vec4<f32>;
    next_a.x = fetch_a(z, row0, a0.y, end);
    next_a.y = fetch_a(z, row1, a1.y, end);
    if LOADS_A > 2u {
        next_a.z = fetch_a(z, row2, a2.y, end);
        next_a.w = fetch_a(z, row3, a3.y, end);
    }
    next_b.x = fetch_b(z, column0, b0.y, end);
    next_b.y = fetch_b(z, column1, b1.y, end);
    if LOADS_B > 2u {
        next_b.z = fetch_b(z, column2, b2.y, end);
        next_b.w = fetch_b(z, column3, b3.y, end);
    }
    for (var k = 0u; k < end; k += TILE_K) {
        tile_a[a0.y * STRIDE_A + a0.x] = next_a.x;
        tile_a[a1.y * STRIDE_A + a1.x] = next_a.y;
        if LOADS_A > 2u {
            tile_a[a2.y * STRIDE_A + a2.x] = next_a.z;
            tile_a[a3.y * STRIDE_A + a3.x] = next_a.w;
        }
        tile_b[b0.y * STRIDE_B + b0.x] = next_b.x;
        tile_b[b1.y * STRIDE_B + b1.x] = next_b.y;
        if LOADS_B > 2u {
            tile_b[b2.y * STRIDE_B + b2.x] = next_b.z;
            tile_b[b3.y * STRIDE_B + b3.x] = next_b.w;
        }
        workgroupBarrier();
        let ahead = k + TILE_K;
        if ahead < end {
            next_a.x = fetch_a(z, row0, ahead + a0.y, end);
            next_a.y = fetch_a(z, row1, ahead + a1.y, end);
            if LOADS_A > 2u {
                next_a.z = fetch_a(z, row2, ahead + a2.y, end);
                next_a.w = fetch_a(z, row3, ahead + a3.y, end);
            }
            next_b.x = fetch_b(z, column0, ahead + b0.y, end);
            next_b.y = fetch_b(z, column1, ahead + b1.y, end);
            if LOADS_B > 2u {
                next_b.z = fetch_b(z, column2, ahead + b2.y, end);
                next_b.w = fetch_b(z, column3, ahead + b3.y, end);
            }
        }
        for (var step = 0u; step < TILE_K; step++) {
            let upper = read_a(step, i);
            let left = read_b(step, j);
            block00 = multiply(block00, upper, left);
            if BLOCKS_J > 1u {
                block01 = multiply(block01, upper, read_b(step, j + 64u));
            }
            if BLOCKS_I > 1u {
                block10 = multiply(block10, read_a(step, i + 64u), left);
            }
            if BLOCKS_I > 1u && BLOCKS_J > 1u {
                block11 = multiply(block11, read_a(step, i + 64u), read_b(step, j + 64u));
            }
        }
        workgroupBarrier();
    }
    store_block(z, first_i + i, first_j + j, block00);
    if BLOCKS_J > 1u { store_block(z, first_i + i, first_j + j + 64u, block01); }
    if BLOCKS_I > 1u { store_block(z, first_i + i + 64u, first_j + j, block10); }
    if BLOCKS_I > 1u && BLOCKS_J > 1u { store_block(z, first_i + i + 64u, first_j + j + 64u, block11); }
}
