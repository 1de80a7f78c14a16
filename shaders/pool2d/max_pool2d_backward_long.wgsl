// dx = sum of dy over the windows whose maximum this element was, as max_pool2d_backward.wgsl, where many cover it.

@group(0) @binding(0) var<storage, read> index: array<f32>;
@group(0) @binding(1) var<storage, read> dy: array<f32>;
@group(0) @binding(2) var<storage, read_write> dx: array<f32>;

struct Source {
    windows: Rectangle,
    // The element, counted from the edge of the padding.
    row: u32,
    column: u32,
    count: u32,
}

fn source_of(i: u32) -> Source {
    let p = position(i, h_in, w_in);
    let row = p.y + pad_top;
    let column = p.z + pad_left;
    let covering = rectangle(
        p.x * h_out * w_out,
        windows(row, kernel_h, stride_h, h_out),
        windows(column, kernel_w, stride_w, w_out),
    );
    return Source(covering, row, column, covering.count);
}

fn term_of(source: Source, e: u32) -> f32 {
    let at = corner(source.windows, e);
    let place = (source.row - at.x * stride_h) * kernel_w + (source.column - at.y * stride_w);
    let o = source.windows.plane + at.x * w_out + at.y;
    return select(0.0, dy[o], index[o] == f32(place));
}

fn kept(i: u32) -> f32 {
    return dx[i];
}

fn keep(i: u32, sum: f32) {
    dx[i] = sum;
}
