// dx = sum of dy / divisor over the windows that cover an element, as avg_pool2d_backward.wgsl, where they are many.

@group(0) @binding(0) var<storage, read> dy: array<f32>;
@group(0) @binding(1) var<storage, read_write> dx: array<f32>;

alias Source = Rectangle;

fn source_of(i: u32) -> Source {
    let p = position(i, h_in, w_in);
    let rows = windows(p.y + pad_top, kernel_h, stride_h, h_out);
    let columns = windows(p.z + pad_left, kernel_w, stride_w, w_out);
    return rectangle(p.x * h_out * w_out, rows, columns);
}

fn term_of(source: Source, e: u32) -> f32 {
    let at = corner(source, e);
    return dy[source.plane + at.x * w_out + at.y] / divisor(at.x, at.y);
}

fn kept(i: u32) -> f32 {
    return dx[i];
}

fn keep(i: u32, sum: f32) {
    dx[i] = sum;
}
