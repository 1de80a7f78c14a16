// y = mean of a window, as adaptive_avg_pool2d_forward.wgsl, for windows of many elements.

@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read_write> y: array<f32>;

override h_in: u32;
override w_in: u32;
override h_out: u32;
override w_out: u32;

alias Source = Rectangle;

fn source_of(i: u32) -> Source {
    let rows = adaptive_window(i / w_out % h_out, h_in, h_out);
    let columns = adaptive_window(i % w_out, w_in, w_out);
    return rectangle(i / (h_out * w_out) * h_in * w_in, rows, columns);
}

fn term_of(source: Source, e: u32) -> f32 {
    let at = corner(source, e);
    return x[source.plane + at.x * w_in + at.y];
}

fn kept(i: u32) -> f32 {
    return y[i];
}

fn keep(i: u32, sum: f32) {
    // The sum stays what it is until the last of its terms are there.
    let count = source_of(i).count;
    let done = first_term < count && first_term + TERMS >= count;
    y[i] = select(sum, sum / f32(count), done);
}
