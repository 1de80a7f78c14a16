// y = maximum of each window, and the place of the first maximum in its window. A NaN counts as a maximum.

@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read_write> y: array<f32>;
@group(0) @binding(2) var<storage, read_write> index: array<f32>;

fn element(i: u32) {
    let p = position(i, h_out, w_out);
    let top = p.y * stride_h;
    let left = p.z * stride_w;
    var best = 0.0;
    var place = 0u;
    var found = false;
    for (var row = 0u; row < kernel_h; row++) {
        // Above and left of the image this wraps around to a large number, so one comparison finds all padding.
        let at_h = top + row - pad_top;
        if at_h >= h_in {
            continue;
        }
        for (var column = 0u; column < kernel_w; column++) {
            let at_w = left + column - pad_left;
            if at_w >= w_in {
                continue;
            }
            let value = x[(p.x * h_in + at_h) * w_in + at_w];
            let greater = is_nan(value) || value > best;
            if !found || (greater && !is_nan(best)) {
                best = value;
                place = row * kernel_w + column;
                found = true;
            }
        }
    }
    y[i] = best;
    index[i] = f32(place);
}
