// dx = sum of dy / size of the window over the windows that cover an element, as adaptive_avg_pool2d_backward.wgsl, where
// they are many.

@group(0) @binding(0) var<storage, read> dy: array<f32>;
@group(0) @binding(1) var<storage, read_write> dx: array<f32>;

override h_in: u32;
override w_in: u32;
override h_out: u32;
override w_out: u32;

alias Source = Rectangle;

fn source_of(i: u32) -> Source {
    // As `covering` of adaptive_avg_pool2d_backward.wgsl.
    let rows = adaptive_window(i / w_in % h_in, h_out, h_in);
    let columns = adaptive_window(i % w_in, w_out, w_in);
    return rectangle(i / (h_in * w_in) * h_out * w_out, rows, columns);
}

fn term_of(source: Source, e: u32) -> f32 {
    let at = corner(source, e);
    let h = adaptive_window(at.x, h_in, h_out);
    let w = adaptive_window(at.y, w_in, w_out);
    return dy[source.plane + at.x * w_out + at.y] / f32((h.y - h.x) * (w.y - w.x));
}

fn kept(i: u32) -> f32 {
    return dx[i];
}

fn keep(i: u32, sum: f32) {
    dx[i] = sum;
}
