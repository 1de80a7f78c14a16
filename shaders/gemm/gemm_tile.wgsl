// c[z] = a[z] b[z] for `batches` pairs of matrices, with tiles of both in workgroup memory. For GPUs.
//
// TILE_M, TILE_N, TILE_K, THREADS_M, THREADS_N and BUFFERS come from the table of block sizes
// (src/gpu/kernels/block_size.rs). The kernel defines the operands of the product:
//   m, n, batches                   sizes of c; reduction_length(z): the length k of its sums
//   reduction_unit                  a number that divides every reduction length
//   Row, Column, Term               offsets that belong to an i, a j, a k: computed once and used often
//   row(z, i), column(z, j), term(z, k)
//   load_a(Row, Term), load_b(Term, Column)
//   A_ALONG_K, B_ALONG_K            whether neighbours in memory are neighbours in k (else in i, in j)
//   A_VECTORS, B_VECTORS            whether four such neighbours can be loaded at once, by load_a4 and load_b4: if the
//                                   extent in that direction is a multiple of four
//   TERM_TABLE                      whether a term is worth keeping in workgroup memory instead of computing it in
//                                   every invocation
//   start(z, i, j)                  where a sum begins: mostly 0
//   store(z, i, j, sum)
// row and column are called with indices inside c, term and start with any index; their results outside are ignored.

// THREADS_M x THREADS_N threads; each owns 4x4 blocks of c, one in each BLOCKS_I x BLOCKS_J part of the tile.
const THREADS = THREADS_M * THREADS_N;
const BLOCKS_I = TILE_M / (4u * THREADS_M);
const BLOCKS_J = TILE_N / (4u * THREADS_N);
// Elements in one load, and loads of one invocation for a tile of a and of b.
const UNIT_A = select(1u, 4u, A_VECTORS);
const UNIT_B = select(1u, 4u, B_VECTORS);
const LOADS_A = TILE_M * TILE_K / (THREADS * UNIT_A);
const LOADS_B = TILE_N * TILE_K / (THREADS * UNIT_B);
// Loads that lie side by side in memory.
const SPAN_A = select(TILE_M, TILE_K, A_ALONG_K) / UNIT_A;
const SPAN_B = select(TILE_N, TILE_K, B_ALONG_K) / UNIT_B;
// Whether all loads of an invocation, of a and of b, are of one k.
const ONE_TERM = A_ALONG_K && B_ALONG_K && UNIT_A == UNIT_B;
// Whether the last tile of some sum reaches beyond its end.
override ragged: bool = reduction_unit % TILE_K != 0u;
// Vectors in a row of a tile; one more, so that rows begin in different banks.
const STRIDE_A = TILE_M / 4u + 1u;
const STRIDE_B = TILE_N / 4u + 1u;
const SIZE_A = TILE_K * STRIDE_A;
const SIZE_B = TILE_K * STRIDE_B;

var<workgroup> tile_a: array<vec4<f32>, BUFFERS * SIZE_A>;
var<workgroup> tile_b: array<vec4<f32>, BUFFERS * SIZE_B>;
var<workgroup> terms: array<Term, select(1u, 2u * TILE_K, TERM_TABLE)>;

// (i, k) in its tile of load number n of an invocation.
fn place_a(thread: u32, load: u32) -> vec2<u32> {
    let along = thread % SPAN_A * UNIT_A;
    let across = thread / SPAN_A + load * (THREADS / SPAN_A);
    return select(vec2<u32>(along, across), vec2<u32>(across, along), A_ALONG_K);
}

fn place_b(thread: u32, load: u32) -> vec2<u32> {
    let along = thread % SPAN_B * UNIT_B;
    let across = thread / SPAN_B + load * (THREADS / SPAN_B);
    return select(vec2<u32>(along, across), vec2<u32>(across, along), B_ALONG_K);
}

// The term of row k of the tile whose first k is `first`. Tiles take turns with the two halves of the table: TILE_K is a
// power of two.
fn term_at(z: u32, first: u32, k: u32) -> Term {
    if TERM_TABLE {
        return terms[(first & TILE_K) + k];
    }
    return term(z, first + k);
}

// Stores the terms of the tile that begins at `first` in the table.
fn note_terms(z: u32, thread: u32, first: u32) {
    if TERM_TABLE && thread < TILE_K {
        terms[(first & TILE_K) + thread] = term(z, first + thread);
    }
}

// The 4x4 blocks of an invocation; those that the tile is too small for are not touched.
struct Blocks {
    b00: Sums,
    b01: Sums,
    b10: Sums,
    b11: Sums,
}

// One step in k: the vectors of a that begin at `at_a` in the tile, those of b at `at_b`.
fn multiply_blocks(blocks: ptr<function, Blocks>, at_a: u32, at_b: u32) {
    let a0 = tile_a[at_a];
    let b0 = tile_b[at_b];
    (*blocks).b00 = multiply((*blocks).b00, a0, b0);
    if BLOCKS_J > 1u {
        (*blocks).b01 = multiply((*blocks).b01, a0, tile_b[at_b + THREADS_N]);
    }
    if BLOCKS_I > 1u {
        let a1 = tile_a[at_a + THREADS_M];
        (*blocks).b10 = multiply((*blocks).b10, a1, b0);
        if BLOCKS_J > 1u {
            (*blocks).b11 = multiply((*blocks).b11, a1, tile_b[at_b + THREADS_N]);
        }
    }
}

// Unrolled by hand, since not every compiler does it.
fn multiply_eight(blocks: ptr<function, Blocks>, at_a: u32, at_b: u32) {
    multiply_blocks(blocks, at_a, at_b);
    multiply_blocks(blocks, at_a + STRIDE_A, at_b + STRIDE_B);
    multiply_blocks(blocks, at_a + 2u * STRIDE_A, at_b + 2u * STRIDE_B);
    multiply_blocks(blocks, at_a + 3u * STRIDE_A, at_b + 3u * STRIDE_B);
    multiply_blocks(blocks, at_a + 4u * STRIDE_A, at_b + 4u * STRIDE_B);
    multiply_blocks(blocks, at_a + 5u * STRIDE_A, at_b + 5u * STRIDE_B);
    multiply_blocks(blocks, at_a + 6u * STRIDE_A, at_b + 6u * STRIDE_B);
    multiply_blocks(blocks, at_a + 7u * STRIDE_A, at_b + 7u * STRIDE_B);
}

@compute @workgroup_size(THREADS)
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
    // Neighbouring workgroups compute different rows of the same columns: b, the larger operand, is read once.
    let first_i = tile % tiles_i * TILE_M;
    let first_j = tile / tiles_i % tiles_j * TILE_N;

    let a0 = place_a(thread, 0u);
    let a1 = place_a(thread, 1u);
    let a2 = place_a(thread, 2u);
    let a3 = place_a(thread, 3u);
    let a4 = place_a(thread, 4u);
    let a5 = place_a(thread, 5u);
    let a6 = place_a(thread, 6u);
    let a7 = place_a(thread, 7u);
    let row0 = row(z, min(first_i + a0.x, m - 1u));
    let row1 = row(z, min(first_i + a1.x, m - 1u));
    let row2 = row(z, min(first_i + a2.x, m - 1u));
    let row3 = row(z, min(first_i + a3.x, m - 1u));
    let row4 = row(z, min(first_i + a4.x, m - 1u));
    let row5 = row(z, min(first_i + a5.x, m - 1u));
    let row6 = row(z, min(first_i + a6.x, m - 1u));
    let row7 = row(z, min(first_i + a7.x, m - 1u));
    let b0 = place_b(thread, 0u);
    let b1 = place_b(thread, 1u);
    let b2 = place_b(thread, 2u);
    let b3 = place_b(thread, 3u);
    let b4 = place_b(thread, 4u);
    let b5 = place_b(thread, 5u);
    let b6 = place_b(thread, 6u);
    let b7 = place_b(thread, 7u);
    let column0 = column(z, min(first_j + b0.x, n - 1u));
    let column1 = column(z, min(first_j + b1.x, n - 1u));
    let column2 = column(z, min(first_j + b2.x, n - 1u));
    let column3 = column(z, min(first_j + b3.x, n - 1u));
    let column4 = column(z, min(first_j + b4.x, n - 1u));
    let column5 = column(z, min(first_j + b5.x, n - 1u));
    let column6 = column(z, min(first_j + b6.x, n - 1u));
    let column7 = column(z, min(first_j + b7.x, n - 1u));

    let vector_i = thread / THREADS_N;
    let vector_j = thread % THREADS_N;
    let i = first_i + vector_i * 4u;
    let j = first_j + vector_j * 4u;
    var blocks: Blocks;
    blocks.b00 = start_block(z, i, j);
    if BLOCKS_J > 1u { blocks.b01 = start_block(z, i, j + 4u * THREADS_N); }
    if BLOCKS_I > 1u { blocks.b10 = start_block(z, i + 4u * THREADS_M, j); }
    if BLOCKS_I > 1u && BLOCKS_J > 1u { blocks.b11 = start_block(z, i + 4u * THREADS_M, j + 4u * THREADS_N); }

    let end = reduction_length(z);
    var buffer = 0u;
    var next_a0: vec4<f32>;
    var next_a1: vec4<f32>;
    var next_a2: vec4<f32>;
    var next_a3: vec4<f32>;
    var next_a4: vec4<f32>;
    var next_a5: vec4<f32>;
    var next_a6: vec4<f32>;
    var next_a7: vec4<f32>;
    var next_b0: vec4<f32>;
    var next_b1: vec4<f32>;
    var next_b2: vec4<f32>;
    var next_b3: vec4<f32>;
    var next_b4: vec4<f32>;
    var next_b5: vec4<f32>;
    var next_b6: vec4<f32>;
    var next_b7: vec4<f32>;
    note_terms(z, thread, 0u);
    note_terms(z, thread, TILE_K);
    if TERM_TABLE {
        workgroupBarrier();
    }
    var t = term_at(z, 0u, a0.y);
    next_a0 = fetch_a(row0, t, a0.y, end);
    if LOADS_A > 1u {
        if !A_ALONG_K { t = term_at(z, 0u, a1.y); }
        next_a1 = fetch_a(row1, t, a1.y, end);
    }
    if LOADS_A > 2u {
        if !A_ALONG_K { t = term_at(z, 0u, a2.y); }
        next_a2 = fetch_a(row2, t, a2.y, end);
        if !A_ALONG_K { t = term_at(z, 0u, a3.y); }
        next_a3 = fetch_a(row3, t, a3.y, end);
    }
    if LOADS_A > 4u {
        if !A_ALONG_K { t = term_at(z, 0u, a4.y); }
        next_a4 = fetch_a(row4, t, a4.y, end);
        if !A_ALONG_K { t = term_at(z, 0u, a5.y); }
        next_a5 = fetch_a(row5, t, a5.y, end);
        if !A_ALONG_K { t = term_at(z, 0u, a6.y); }
        next_a6 = fetch_a(row6, t, a6.y, end);
        if !A_ALONG_K { t = term_at(z, 0u, a7.y); }
        next_a7 = fetch_a(row7, t, a7.y, end);
    }
    if !ONE_TERM { t = term_at(z, 0u, b0.y); }
    next_b0 = fetch_b(column0, t, b0.y, end);
    if LOADS_B > 1u {
        if !B_ALONG_K { t = term_at(z, 0u, b1.y); }
        next_b1 = fetch_b(column1, t, b1.y, end);
    }
    if LOADS_B > 2u {
        if !B_ALONG_K { t = term_at(z, 0u, b2.y); }
        next_b2 = fetch_b(column2, t, b2.y, end);
        if !B_ALONG_K { t = term_at(z, 0u, b3.y); }
        next_b3 = fetch_b(column3, t, b3.y, end);
    }
    if LOADS_B > 4u {
        if !B_ALONG_K { t = term_at(z, 0u, b4.y); }
        next_b4 = fetch_b(column4, t, b4.y, end);
        if !B_ALONG_K { t = term_at(z, 0u, b5.y); }
        next_b5 = fetch_b(column5, t, b5.y, end);
        if !B_ALONG_K { t = term_at(z, 0u, b6.y); }
        next_b6 = fetch_b(column6, t, b6.y, end);
        if !B_ALONG_K { t = term_at(z, 0u, b7.y); }
        next_b7 = fetch_b(column7, t, b7.y, end);
    }
    keep_a(buffer, a0, next_a0);
    if LOADS_A > 1u {
        keep_a(buffer, a1, next_a1);
    }
    if LOADS_A > 2u {
        keep_a(buffer, a2, next_a2);
        keep_a(buffer, a3, next_a3);
    }
    if LOADS_A > 4u {
        keep_a(buffer, a4, next_a4);
        keep_a(buffer, a5, next_a5);
        keep_a(buffer, a6, next_a6);
        keep_a(buffer, a7, next_a7);
    }
    keep_b(buffer, b0, next_b0);
    if LOADS_B > 1u {
        keep_b(buffer, b1, next_b1);
    }
    if LOADS_B > 2u {
        keep_b(buffer, b2, next_b2);
        keep_b(buffer, b3, next_b3);
    }
    if LOADS_B > 4u {
        keep_b(buffer, b4, next_b4);
        keep_b(buffer, b5, next_b5);
        keep_b(buffer, b6, next_b6);
        keep_b(buffer, b7, next_b7);
    }
    workgroupBarrier();
    for (var k = 0u; k < end; k += TILE_K) {
        // The next tiles are loaded into registers while the current ones are multiplied.
        let ahead = k + TILE_K;
        if ahead < end {
            t = term_at(z, ahead, a0.y);
            next_a0 = fetch_a(row0, t, ahead + a0.y, end);
            if LOADS_A > 1u {
                if !A_ALONG_K { t = term_at(z, ahead, a1.y); }
                next_a1 = fetch_a(row1, t, ahead + a1.y, end);
            }
            if LOADS_A > 2u {
                if !A_ALONG_K { t = term_at(z, ahead, a2.y); }
                next_a2 = fetch_a(row2, t, ahead + a2.y, end);
                if !A_ALONG_K { t = term_at(z, ahead, a3.y); }
                next_a3 = fetch_a(row3, t, ahead + a3.y, end);
            }
            if LOADS_A > 4u {
                if !A_ALONG_K { t = term_at(z, ahead, a4.y); }
                next_a4 = fetch_a(row4, t, ahead + a4.y, end);
                if !A_ALONG_K { t = term_at(z, ahead, a5.y); }
                next_a5 = fetch_a(row5, t, ahead + a5.y, end);
                if !A_ALONG_K { t = term_at(z, ahead, a6.y); }
                next_a6 = fetch_a(row6, t, ahead + a6.y, end);
                if !A_ALONG_K { t = term_at(z, ahead, a7.y); }
                next_a7 = fetch_a(row7, t, ahead + a7.y, end);
            }
            if !ONE_TERM { t = term_at(z, ahead, b0.y); }
            next_b0 = fetch_b(column0, t, ahead + b0.y, end);
            if LOADS_B > 1u {
                if !B_ALONG_K { t = term_at(z, ahead, b1.y); }
                next_b1 = fetch_b(column1, t, ahead + b1.y, end);
            }
            if LOADS_B > 2u {
                if !B_ALONG_K { t = term_at(z, ahead, b2.y); }
                next_b2 = fetch_b(column2, t, ahead + b2.y, end);
                if !B_ALONG_K { t = term_at(z, ahead, b3.y); }
                next_b3 = fetch_b(column3, t, ahead + b3.y, end);
            }
            if LOADS_B > 4u {
                if !B_ALONG_K { t = term_at(z, ahead, b4.y); }
                next_b4 = fetch_b(column4, t, ahead + b4.y, end);
                if !B_ALONG_K { t = term_at(z, ahead, b5.y); }
                next_b5 = fetch_b(column5, t, ahead + b5.y, end);
                if !B_ALONG_K { t = term_at(z, ahead, b6.y); }
                next_b6 = fetch_b(column6, t, ahead + b6.y, end);
                if !B_ALONG_K { t = term_at(z, ahead, b7.y); }
                next_b7 = fetch_b(column7, t, ahead + b7.y, end);
            }
        }
        let at_a = buffer * SIZE_A + vector_i;
        let at_b = buffer * SIZE_B + vector_j;
        multiply_eight(&blocks, at_a, at_b);
        if TILE_K > 8u {
            multiply_eight(&blocks, at_a + 8u * STRIDE_A, at_b + 8u * STRIDE_B);
        }
        if BUFFERS == 1u {
            workgroupBarrier();
        } else {
            buffer = 1u - buffer;
        }
        // The terms of the current tile are no longer needed, those after the next one not yet known.
        note_terms(z, thread, ahead + TILE_K);
        if ahead < end {
            keep_a(buffer, a0, next_a0);
            if LOADS_A > 1u {
                keep_a(buffer, a1, next_a1);
            }
            if LOADS_A > 2u {
                keep_a(buffer, a2, next_a2);
                keep_a(buffer, a3, next_a3);
            }
            if LOADS_A > 4u {
                keep_a(buffer, a4, next_a4);
                keep_a(buffer, a5, next_a5);
                keep_a(buffer, a6, next_a6);
                keep_a(buffer, a7, next_a7);
            }
            keep_b(buffer, b0, next_b0);
            if LOADS_B > 1u {
                keep_b(buffer, b1, next_b1);
            }
            if LOADS_B > 2u {
                keep_b(buffer, b2, next_b2);
                keep_b(buffer, b3, next_b3);
            }
            if LOADS_B > 4u {
                keep_b(buffer, b4, next_b4);
                keep_b(buffer, b5, next_b5);
                keep_b(buffer, b6, next_b6);
                keep_b(buffer, b7, next_b7);
            }
        }
        workgroupBarrier();
    }
    store_block(z, i, j, blocks.b00);
    if BLOCKS_J > 1u { store_block(z, i, j + 4u * THREADS_N, blocks.b01); }
    if BLOCKS_I > 1u { store_block(z, i + 4u * THREADS_M, j, blocks.b10); }
    if BLOCKS_I > 1u && BLOCKS_J > 1u { store_block(z, i + 4u * THREADS_M, j + 4u * THREADS_N, blocks.b11); }
}
