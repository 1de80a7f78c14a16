// y = x with every element repeated scale_h times down and scale_w times across.

@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read_write> y: array<f32>;

override h_in: u32;
override w_in: u32;
override h_out: u32;
override w_out: u32;
override scale_h: u32;
override scale_w: u32;

fn element(i: u32) {
    let row = i / w_out % h_out / scale_h;
    let column = i % w_out / scale_w;
    y[i] = x[(i / (w_out * h_out) * h_in + row) * w_in + column];
}
