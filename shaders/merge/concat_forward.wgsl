// Copies x into its channels of y.

@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read_write> y: array<f32>;

// Elements of one image in x and in y, and where in an image of y the first channel of x stands.
override part: u32;
override whole: u32;
override start: u32;

fn element(i: u32) {
    y[i / part * whole + start + i % part] = x[i];
}
