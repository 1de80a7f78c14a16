// dw = dy^T x. i: output; j: input; k: row of the batch.

@group(0) @binding(0) var<storage, read> x: array<Element>;
@group(0) @binding(1) var<storage, read> dy: array<Element>;
@group(0) @binding(2) var<storage, read_write> dw: array<f32>;

override m: u32 = outputs;
override n: u32 = inputs;
override reduction_unit: u32 = part_len;
const A_ALONG_K = false;
const B_ALONG_K = false;
const A_VECTORS = VECTORS;
const B_VECTORS = VECTORS;
const TERM_TABLE = false;

alias Row = u32;
alias Column = u32;
alias Term = u32;

fn reduction_length(z: u32) -> u32 {
    return part_len;
}

fn row(z: u32, i: u32) -> Row {
    return first_output + i;
}

fn column(z: u32, j: u32) -> Column {
    return j;
}

fn term(z: u32, k: u32) -> Term {
    return part_first + k;
}

fn load_a(at: Row, k: Term) -> f32 {
    return pick(dy[place(k * outputs_total + at)], k * outputs_total + at);
}

fn load_a4(at: Row, k: Term) -> vec4<f32> {
    return four(dy[place(k * outputs_total + at)]);
}

fn load_b(k: Term, at: Column) -> f32 {
    return pick(x[place(k * inputs + at)], k * inputs + at);
}

fn load_b4(k: Term, at: Column) -> vec4<f32> {
    return four(x[place(k * inputs + at)]);
}

fn store(z: u32, i: u32, j: u32, sum: f32) {
    let at = i * inputs + j;
    var value = sum;
    if part_first > 0u {
        value += dw[at];
    }
    dw[at] = value;
}
