// dx = sum of dy / size of the window over the windows that cover an element.

@group(0) @binding(0) var<storage, read> dy: array<f32>;
@group(0) @binding(1) var<storage, read_write> dx: array<f32>;

override h_in: u32;
override w_in: u32;
override h_out: u32;
override w_out: u32;

// Begin and end of the outputs whose window covers input `at`: floor(o n / m) <= at < ceil((o + 1) n / m) solved
// for o, which is the same formula with inputs and outputs exchanged.
fn covering(at: u32, inputs: u32, outputs: u32) -> vec2<u32> {
    return adaptive_window(at, outputs, inputs);
}

fn element(i: u32) {
    let plane = i / (h_in * w_in);
    let rows = covering(i / w_in % h_in, h_in, h_out);
    let columns = covering(i % w_in, w_in, w_out);
    var sum = 0.0;
    for (var row = rows.x; row < rows.y; row++) {
        let h = adaptive_window(row, h_in, h_out);
        for (var column = columns.x; column < columns.y; column++) {
            let w = adaptive_window(column, w_in, w_out);
            sum += dy[(plane * h_out + row) * w_out + column] / f32((h.y - h.x) * (w.y - w.x));
        }
    }
    dx[i] = sum;
}
