// Loads elements of the operands into registers, and stores them in the tiles of gemm_tile.wgsl.

// Elements beyond the end are -0 in a and 0 in b: their product, -0, changes no sum, not even one that is -0.
fn fetch_a(at: Row, t: Term, k: u32, end: u32) -> vec4<f32> {
    if ragged && k >= end {
        return vec4<f32>(-0.0);
    }
    if A_VECTORS {
        return load_a4(at, t);
    }
    return vec4<f32>(load_a(at, t), 0.0, 0.0, 0.0);
}

fn fetch_b(at: Column, t: Term, k: u32, end: u32) -> vec4<f32> {
    if ragged && k >= end {
        return vec4<f32>();
    }
    if B_VECTORS {
        return load_b4(t, at);
    }
    return vec4<f32>(load_b(t, at), 0.0, 0.0, 0.0);
}

fn keep_a(buffer: u32, place: vec2<u32>, values: vec4<f32>) {
    let at = buffer * SIZE_A + place.y * STRIDE_A + (place.x >> 2u);
    if A_VECTORS && !A_ALONG_K {
        tile_a[at] = values;
        return;
    }
    tile_a[at][place.x & 3u] = values.x;
    if A_VECTORS {
        tile_a[at + STRIDE_A][place.x & 3u] = values.y;
        tile_a[at + 2u * STRIDE_A][place.x & 3u] = values.z;
        tile_a[at + 3u * STRIDE_A][place.x & 3u] = values.w;
    }
}

fn keep_b(buffer: u32, place: vec2<u32>, values: vec4<f32>) {
    let at = buffer * SIZE_B + place.y * STRIDE_B + (place.x >> 2u);
    if B_VECTORS && !B_ALONG_K {
        tile_b[at] = values;
        return;
    }
    tile_b[at][place.x & 3u] = values.x;
    if B_VECTORS {
        tile_b[at + STRIDE_B][place.x & 3u] = values.y;
        tile_b[at + 2u * STRIDE_B][place.x & 3u] = values.z;
        tile_b[at + 3u * STRIDE_B][place.x & 3u] = values.w;
    }
}
