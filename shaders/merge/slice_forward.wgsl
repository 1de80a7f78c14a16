// Copies some channels of x into y.

@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read_write> y: array<f32>;

// Elements of one image in y and in x, and where in an image of x the first channel of y stands.
override part: u32;
override whole: u32;
override start: u32;

fn element(i: u32) {
    y[i] = x[i / part * whole + start + i % part];
}
