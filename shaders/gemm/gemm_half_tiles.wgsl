// Tiles of both operands in workgroup memory, rounded to f16, for gemm_half.wgsl and gemm_cooperative.wgsl.
// k is contiguous in both, so a tile of a is stored by rows and one of b by columns.

const TILE_M = 64u;
const TILE_N = 128u;
const TILE_K = 16u;
// 8 more, so that rows begin in different banks and every row at a multiple of 16 bytes.
const STRIDE = TILE_K + 8u;

var<workgroup> tile_a: array<f16, TILE_M * STRIDE>;
var<workgroup> tile_b: array<f16, TILE_N * STRIDE>;

// (i, k) in its tile of load number `load` of a thread: each of 256 threads has 4 loads of a and 8 of b.
fn place_a(thread: u32, load: u32) -> vec2<u32> {
    if A_ALONG_K {
        return vec2<u32>(thread / TILE_K + load * (256u / TILE_K), thread % TILE_K);
    }
    return vec2<u32>(thread % TILE_M, thread / TILE_M + load * (256u / TILE_M));
}

fn place_b(thread: u32, load: u32) -> vec2<u32> {
    if B_ALONG_K {
        return vec2<u32>(thread / TILE_K + load * (256u / TILE_K), thread % TILE_K);
    }
    return vec2<u32>(thread % TILE_N, thread / TILE_N + load * (256u / TILE_N));
}

// Where the loads of a thread come from.
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

fn row_of(z: u32, first_i: u32, thread: u32, load: u32) -> Row {
    return row(z, min(first_i + place_a(thread, load).x, m - 1u));
}

fn column_of(z: u32, first_j: u32, thread: u32, load: u32) -> Column {
    return column(z, min(first_j + place_b(thread, load).x, n - 1u));
}

fn origins(z: u32, first_i: u32, first_j: u32, thread: u32) -> Origins {
    return Origins(
        row_of(z, first_i, thread, 0u),
        row_of(z, first_i, thread, 1u),
        row_of(z, first_i, thread, 2u),
        row_of(z, first_i, thread, 3u),
        column_of(z, first_j, thread, 0u),
        column_of(z, first_j, thread, 1u),
        column_of(z, first_j, thread, 2u),
        column_of(z, first_j, thread, 3u),
        column_of(z, first_j, thread, 4u),
        column_of(z, first_j, thread, 5u),
        column_of(z, first_j, thread, 6u),
        column_of(z, first_j, thread, 7u),
    );
}

// The elements that a thread moves from memory into the tiles.
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
fn fetch(z: u32, at: Origins, thread: u32, k: u32, end: u32) -> Loads {
    var loads: Loads;
    loads.a.x = fetch_a(z, at.a0, k + place_a(thread, 0u).y, end);
    loads.a.y = fetch_a(z, at.a1, k + place_a(thread, 1u).y, end);
    loads.a.z = fetch_a(z, at.a2, k + place_a(thread, 2u).y, end);
    loads.a.w = fetch_a(z, at.a3, k + place_a(thread, 3u).y, end);
    loads.b0.x = fetch_b(z, at.b0, k + place_b(thread, 0u).y, end);
    loads.b0.y = fetch_b(z, at.b1, k + place_b(thread, 1u).y, end);
    loads.b0.z = fetch_b(z, at.b2, k + place_b(thread, 2u).y, end);
    loads.b0.w = fetch_b(z, at.b3, k + place_b(thread, 3u).y, end);
    loads.b1.x = fetch_b(z, at.b4, k + place_b(thread, 4u).y, end);
    loads.b1.y = fetch_b(z, at.b5, k + place_b(thread, 5u).y, end);
    loads.b1.z = fetch_b(z, at.b6, k + place_b(thread, 6u).y, end);
    loads.b1.w = fetch_b(z, at.b7, k + place_b(thread, 7u).y, end);
    return loads;
}

fn put_a(thread: u32, load: u32, value: f16) {
    let at = place_a(thread, load);
    tile_a[at.x * STRIDE + at.y] = value;
}

fn put_b(thread: u32, load: u32, value: f16) {
    let at = place_b(thread, load);
    tile_b[at.x * STRIDE + at.y] = value;
}

// Rounds the loaded elements into the tiles. Values beyond 65504 become infinite.
fn put(thread: u32, loads: Loads) {
    let a = vec4<f16>(loads.a);
    let b0 = vec4<f16>(loads.b0);
    let b1 = vec4<f16>(loads.b1);
    put_a(thread, 0u, a.x);
    put_a(thread, 1u, a.y);
    put_a(thread, 2u, a.z);
    put_a(thread, 3u, a.w);
    put_b(thread, 0u, b0.x);
    put_b(thread, 1u, b0.y);
    put_b(thread, 2u, b0.z);
    put_b(thread, 3u, b0.w);
    put_b(thread, 4u, b1.x);
    put_b(thread, 5u, b1.y);
    put_b(thread, 6u, b1.z);
    put_b(thread, 7u, b1.w);
}
