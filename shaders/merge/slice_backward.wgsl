// Copies dy into its channels of dx; the others are 0.

@group(0) @binding(0) var<storage, read> dy: array<f32>;
@group(0) @binding(1) var<storage, read_write> dx: array<f32>;

// Elements of one image in dy and in dx, and where in an image of dx the first channel of dy stands.
override part: u32;
override whole: u32;
override start: u32;

fn element(i: u32) {
    let place = i % whole;
    var value = 0.0;
    if place >= start && place < start + part {
        value = dy[i / whole * part + place - start];
    }
    dx[i] = value;
}
