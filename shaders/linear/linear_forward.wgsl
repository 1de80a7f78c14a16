// y = x w^T (+ b) (then max(0, .)). i: row of the batch; j: output; k: input. Bias and max go with the last part of the sum.

override has_bias: u32;
override relu_after: u32;

@group(0) @binding(0) var<storage, read> x: array<Element>;
@group(0) @binding(1) var<storage, read> w: array<Element>;
@group(0) @binding(2) var<storage, read> b: array<f32>;
@group(0) @binding(3) var<storage, read_write> y: array<f32>;

override m: u32 = batch;
override n: u32 = outputs;
override reduction_unit: u32 = part_len;
const A_ALONG_K = true;
const B_ALONG_K = true;
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
    return i * inputs;
}

fn column(z: u32, j: u32) -> Column {
    return j * inputs;
}

fn term(z: u32, k: u32) -> Term {
    return part_first + k;
}

fn load_a(at: Row, k: Term) -> f32 {
    return pick(x[place(at + k)], at + k);
}

fn load_a4(at: Row, k: Term) -> vec4<f32> {
    return four(x[place(at + k)]);
}

fn load_b(k: Term, at: Column) -> f32 {
    return pick(w[place(at + k)], at + k);
}

fn load_b4(k: Term, at: Column) -> vec4<f32> {
    return four(w[place(at + k)]);
}

fn store(z: u32, i: u32, j: u32, sum: f32) {
    let output = first_output + j;
    let at = i * outputs_total + output;
    var value = sum;
    if part_first > 0u {
        value += y[at];
    }
    if has_bias != 0u {
        value += b[output];
    }
    if relu_after != 0u {
        value = relu(value);
    }
    y[at] = value;
}
