// The divisor of avg_pool2d: positions of a window that count. These are the padded image or, without
// `count_include_pad`, the image; positions that `ceil` adds never count.

// Rows and columns that count, from the edge of the padding.
override first_row: u32;
override end_row: u32;
override first_column: u32;
override end_column: u32;

fn divisor(row: u32, column: u32) -> f32 {
    let top = row * stride_h;
    let left = column * stride_w;
    let h = min(top + kernel_h, end_row) - max(top, first_row);
    let w = min(left + kernel_w, end_column) - max(left, first_column);
    return f32(h * w);
}
