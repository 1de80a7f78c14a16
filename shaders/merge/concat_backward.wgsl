// Copies its channels of dy into dx.

@group(0) @binding(0) var<storage, read> dy: array<f32>;
@group(0) @binding(1) var<storage, read_write> dx: array<f32>;

// Elements of one image in dx and in dy, and where in an image of dy the first channel of dx stands.
override part: u32;
override whole: u32;
override start: u32;

fn element(i: u32) {
    dx[i] = dy[i / part * whole + start + i % part];
}
