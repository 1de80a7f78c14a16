// dw = dy^T x. i: output; j: input; k: row of the batch.

@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read> dy: array<f32>;
@group(0) @binding(2) var<storage, read_write> dw: array<f32>;

override rows: u32 = outputs;
override columns: u32 = inputs;
const A_ALONG_K = false;
const B_ALONG_K = false;

alias Row = u32;
alias Column = u32;
alias Term = u32;

fn depth(z: u32) -> u32 {
    return batch;
}

fn row(z: u32, i: u32) -> Row {
    return first_output + i;
}

fn column(z: u32, j: u32) -> Column {
    return j;
}

fn term(z: u32, k: u32) -> Term {
    return k;
}

fn load_a(at: Row, k: Term) -> f32 {
    return dy[k * outputs_total + at];
}

fn load_b(k: Term, at: Column) -> f32 {
    return x[k * inputs + at];
}

fn store(z: u32, i: u32, j: u32, sum: f32) {
    dw[i * inputs + j] = sum;
}
