// Tiles of both factors in workgroup memory, rounded to f16: what gemm_half.wgsl and gemm_cooperative.wgsl share.
// k is contiguous in both, so a tile of a is stored by rows and one of b by columns.

const TILE_M = 64u;
const TILE_N = 128u;
const TILE_K = 16u;
// 8 more, so that rows begin in different banks and every row at a multiple of 16 bytes.
const STRIDE = TILE_K + 8u;

var<workgroup> tile_a: array<f16, TILE_M * STRIDE>;
var<workgroup> tile_b: array<f16, TILE_N * STRIDE>;

// (i, k) in its tile of load number n of an invocation: 4 of a, 8 of b in each of 256.
fn place_a(lane: u32, n: u32) -> vec2<u32> {
    if A_ALONG_K {
        return vec2<u32>(lane / TILE_K + n * (256u / TILE_K), lane % TILE_K);
    }
    return vec2<u32>(lane % TILE_M, lane / TILE_M + n * (256u / TILE_M));
}

fn place_b(lane: u32, n: u32) -> vec2<u32> {
    if B_ALONG_K {
        return vec2<u32>(lane / TILE_K + n * (256u / TILE_K), lane % TILE_K);
    }
    return vec2<u32>(lane % TILE_N, lane / TILE_N + n * (256u / TILE_N));
}

// Where the loads of an invocation come from.
struct Origins {
    a0: Row,
    a1: Row,
    a2: Row,
    a3: Row,
    b0: Column,
    b1: Column,
    b2: Column,
    b3: Column,
    b4: Column,
    b5: Column,
    b6: Column,
    b7: Column,
}

fn row_of(z: u32, first_i: u32, lane: u32, n: u32) -> Row {
    return row(z, min(first_i + place_a(lane, n).x, rows - 1u));
}

fn column_of(z: u32, first_j: u32, lane: u32, n: u32) -> Column {
    return column(z, min(first_j + place_b(lane, n).x, columns - 1u));
}

fn origins(z: u32, first_i: u32, first_j: u32, lane: u32) -> Origins {
    return Origins(
        row_of(z, first_i, lane, 0u),
        row_of(z, first_i, lane, 1u),
        row_of(z, first_i, lane, 2u),
        row_of(z, first_i, lane, 3u),
        column_of(z, first_j, lane, 0u),
        column_of(z, first_j, lane, 1u),
        column_of(z, first_j, lane, 2u),
        column_of(z, first_j, lane, 3u),
        column_of(z, first_j, lane, 4u),
        column_of(z, first_j, lane, 5u),
        column_of(z, first_j, lane, 6u),
        column_of(z, first_j, lane, 7u),
    );
}

// What an invocation carries from memory into the tiles.
struct Loads {
    a: vec4<f32>,
    b0: vec4<f32>,
    b1: vec4<f32>,
}

// Beyond the end -0 and 0: their product, -0, changes no sum, not even one that is -0.
fn fetch_a(z: u32, at: Row, k: u32, end: u32) -> f32 {
    if k < end {
        return load_a(at, term(z, k));
    }
    return -0.0;
}

fn fetch_b(z: u32, at: Column, k: u32, end: u32) -> f32 {
    if k < end {
        return load_b(term(z, k), at);
    }
    return 0.0;
}

// The elements of the tiles that begin at k; 0 from `end` on.
fn fetch(z: u32, at: Origins, lane: u32, k: u32, end: u32) -> Loads {
    var loads: Loads;
    loads.a.x = fetch_a(z, at.a0, k + place_a(lane, 0u).y, end);
    loads.a.y = fetch_a(z, at.a1, k + place_a(lane, 1u).y, end);
    loads.a.z = fetch_a(z, at.a2, k + place_a(lane, 2u).y, end);
    loads.a.w = fetch_a(z, at.a3, k + place_a(lane, 3u).y, end);
    loads.b0.x = fetch_b(z, at.b0, k + place_b(lane, 0u).y, end);
    loads.b0.y = fetch_b(z, at.b1, k + place_b(lane, 1u).y, end);
    loads.b0.z = fetch_b(z, at.b2, k + place_b(lane, 2u).y, end);
    loads.b0.w = fetch_b(z, at.b3, k + place_b(lane, 3u).y, end);
    loads.b1.x = fetch_b(z, at.b4, k + place_b(lane, 4u).y, end);
    loads.b1.y = fetch_b(z, at.b5, k + place_b(lane, 5u).y, end);
    loads.b1.z = fetch_b(z, at.b6, k + place_b(lane, 6u).y, end);
    loads.b1.w = fetch_b(z, at.b7, k + place_b(lane, 7u).y, end);
    return loads;
}

fn put_a(lane: u32, n: u32, value: f16) {
    let at = place_a(lane, n);
    tile_a[at.x * STRIDE + at.y] = value;
}

fn put_b(lane: u32, n: u32, value: f16) {
    let at = place_b(lane, n);
    tile_b[at.x * STRIDE + at.y] = value;
}

// Rounds what was fetched into the tiles. What lies beyond 65504 becomes infinite.
fn put(lane: u32, loads: Loads) {
    let a = vec4<f16>(loads.a);
    let b0 = vec4<f16>(loads.b0);
    let b1 = vec4<f16>(loads.b1);
    put_a(lane, 0u, a.x);
    put_a(lane, 1u, a.y);
    put_a(lane, 2u, a.z);
    put_a(lane, 3u, a.w);
    put_b(lane, 0u, b0.x);
    put_b(lane, 1u, b0.y);
    put_b(lane, 2u, b0.z);
    put_b(lane, 3u, b0.w);
    put_b(lane, 4u, b1.x);
    put_b(lane, 5u, b1.y);
    put_b(lane, 6u, b1.z);
    put_b(lane, 7u, b1.w);
}
