// The divisor of avg_pool2d: positions of a window inside the padded image. Positions that `ceil` adds do not count.

override pad_bottom: u32;
override pad_right: u32;

fn divisor(row: u32, column: u32) -> f32 {
    let h = min(kernel_h, h_in + pad_top + pad_bottom - row * stride_h);
    let w = min(kernel_w, w_in + pad_left + pad_right - column * stride_w);
    return f32(h * w);
}
