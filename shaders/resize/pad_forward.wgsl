// y = x with zeros around it.

@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read_write> y: array<f32>;

override h_in: u32;
override w_in: u32;
override h_out: u32;
override w_out: u32;
override pad_top: u32;
override pad_left: u32;

fn element(i: u32) {
    // Above and left of x these wrap around to large numbers.
    let row = i / w_out % h_out - pad_top;
    let column = i % w_out - pad_left;
    var value = 0.0;
    if row < h_in && column < w_in {
        value = x[(i / (w_out * h_out) * h_in + row) * w_in + column];
    }
    y[i] = value;
}
