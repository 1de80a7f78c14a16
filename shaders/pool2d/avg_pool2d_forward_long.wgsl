// y = mean of each window, as avg_pool2d_forward.wgsl, for windows of many elements.

@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read_write> y: array<f32>;

alias Source = Rectangle;

fn source_of(i: u32) -> Source {
    let p = position(i, h_out, w_out);
    let rows = inside(p.y, stride_h, kernel_h, pad_top, h_in);
    let columns = inside(p.z, stride_w, kernel_w, pad_left, w_in);
    return rectangle(p.x * h_in * w_in, rows, columns);
}

fn term_of(source: Source, e: u32) -> f32 {
    let at = corner(source, e);
    return x[source.plane + at.x * w_in + at.y];
}

fn kept(i: u32) -> f32 {
    return y[i];
}

fn keep(i: u32, sum: f32) {
    let p = position(i, h_out, w_out);
    y[i] = select(sum, sum / divisor(p.y, p.z), first_term + TERMS >= kernel_h * kernel_w);
}
