// dx = the part of dy where x lies.

@group(0) @binding(0) var<storage, read> dy: array<f32>;
@group(0) @binding(1) var<storage, read_write> dx: array<f32>;

override h_in: u32;
override w_in: u32;
override h_out: u32;
override w_out: u32;
override pad_top: u32;
override pad_left: u32;

fn element(i: u32) {
    let row = i / w_in % h_in + pad_top;
    let column = i % w_in + pad_left;
    dx[i] = dy[(i / (w_in * h_in) * h_out + row) * w_out + column];
}
