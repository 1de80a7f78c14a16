// y = mean of each window.

@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read_write> y: array<f32>;

fn element(i: u32) {
    let p = position(i, h_out, w_out);
    let top = p.y * stride_h;
    let left = p.z * stride_w;
    var sum = 0.0;
    for (var row = 0u; row < kernel_h; row++) {
        // Above and left of the image this wraps around to a large number, so one comparison finds all padding.
        let at_h = top + row - pad_top;
        if at_h >= h_in {
            continue;
        }
        for (var column = 0u; column < kernel_w; column++) {
            let at_w = left + column - pad_left;
            if at_w < w_in {
                sum += x[(p.x * h_in + at_h) * w_in + at_w];
            }
        }
    }
    y[i] = sum / divisor(p.y, p.z);
}
