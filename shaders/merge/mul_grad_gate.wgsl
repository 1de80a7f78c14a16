// dgate = the sum of dy x over a plane: one workgroup for each plane (gather.wgsl).

@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read> dy: array<f32>;
@group(0) @binding(2) var<storage, read_write> dgate: array<f32>;

override inner: u32;

struct Source {
    // Element 0 of the plane.
    plane: u32,
    count: u32,
}

fn source_of(i: u32) -> Source {
    return Source(i * inner, inner);
}

fn term_of(source: Source, e: u32) -> f32 {
    return x[source.plane + e] * dy[source.plane + e];
}

fn kept(i: u32) -> f32 {
    return dgate[i];
}

fn keep(i: u32, sum: f32) {
    dgate[i] = sum;
}
