// The sums of a 4x4 block of a matrix product, and one step of the product. Shared by the gemm_* files.

struct Sums {
    row0: vec4<f32>,
    row1: vec4<f32>,
    row2: vec4<f32>,
    row3: vec4<f32>,
}

// sums += a b^T. Every product goes into its sum by one fma, in the order of k, for every tile: so the tile
// cannot change a result.
fn multiply(sums: Sums, a: vec4<f32>, b: vec4<f32>) -> Sums {
    return Sums(
        fma(vec4<f32>(a.x), b, sums.row0),
        fma(vec4<f32>(a.y), b, sums.row1),
        fma(vec4<f32>(a.z), b, sums.row2),
        fma(vec4<f32>(a.w), b, sums.row3),
    );
}

fn start_row(z: u32, i: u32, j: u32) -> vec4<f32> {
    return vec4<f32>(start(z, i, j), start(z, i, j + 1u), start(z, i, j + 2u), start(z, i, j + 3u));
}

fn start_block(z: u32, i: u32, j: u32) -> Sums {
    return Sums(
        start_row(z, i, j), start_row(z, i + 1u, j), start_row(z, i + 2u, j), start_row(z, i + 3u, j));
}

fn store_row(z: u32, i: u32, j: u32, sums: vec4<f32>) {
    if i < m {
        if j < n { store(z, i, j, sums.x); }
        if j + 1u < n { store(z, i, j + 1u, sums.y); }
        if j + 2u < n { store(z, i, j + 2u, sums.z); }
        if j + 3u < n { store(z, i, j + 3u, sums.w); }
    }
}

fn store_block(z: u32, i: u32, j: u32, sums: Sums) {
    store_row(z, i, j, sums.row0);
    store_row(z, i + 1u, j, sums.row1);
    store_row(z, i + 2u, j, sums.row2);
    store_row(z, i + 3u, j, sums.row3);
}
