// The sum of dy over the windows whose maximum element i was: shared by the kernels that need it.

fn max_pool2d_gradient(i: u32) -> f32 {
    let p = position(i, h_in, w_in);
    let at_h = p.y + pad_top;
    let at_w = p.z + pad_left;
    let rows = windows(at_h, kernel_h, stride_h, h_out);
    let columns = windows(at_w, kernel_w, stride_w, w_out);
    var sum = 0.0;
    for (var row = rows.x; row < rows.y; row++) {
        for (var column = columns.x; column < columns.y; column++) {
            let place = (at_h - row * stride_h) * kernel_w + (at_w - column * stride_w);
            let o = (p.x * h_out + row) * w_out + column;
            if index[o] == f32(place) {
                sum += dy[o];
            }
        }
    }
    return sum;
}
