// dx = dy w. i: row of the batch; j: input; k: output. Where w is bound piece by piece, each dispatch after the first goes
// on with the sums that it finds in dx, so pieces change nothing. A sum that is too long is cut into parts by the shape alone
// (src/gpu/kernels/rounds.rs), and sum_partials.wgsl adds them up.

override accumulate: u32;
// Number of the part in dx.
override part: u32;

@group(0) @binding(0) var<storage, read> dy: array<Element>;
@group(0) @binding(1) var<storage, read> w: array<Element>;
@group(0) @binding(2) var<storage, read_write> dx: array<f32>;

override m: u32 = batch;
override n: u32 = inputs;
override reduction_unit: u32 = outputs;
const A_ALONG_K = true;
const B_ALONG_K = false;
const A_VECTORS = VECTORS;
const B_VECTORS = VECTORS;
const TERM_TABLE = false;

alias Row = u32;
alias Column = u32;
alias Term = u32;

fn reduction_length(z: u32) -> u32 {
    return outputs;
}

fn row(z: u32, i: u32) -> Row {
    return i * outputs_total + first_output;
}

fn column(z: u32, j: u32) -> Column {
    return j;
}

fn term(z: u32, k: u32) -> Term {
    return k;
}

fn load_a(at: Row, k: Term) -> f32 {
    return pick(dy[place(at + k)], at + k);
}

fn load_a4(at: Row, k: Term) -> vec4<f32> {
    return four(dy[place(at + k)]);
}

fn load_b(k: Term, at: Column) -> f32 {
    return pick(w[place(k * inputs + at)], k * inputs + at);
}

fn load_b4(k: Term, at: Column) -> vec4<f32> {
    return four(w[place(k * inputs + at)]);
}

fn place_of(i: u32, j: u32) -> u32 {
    return (part * batch + i) * inputs + j;
}

fn start(z: u32, i: u32, j: u32) -> f32 {
    if accumulate != 0u && i < m && j < n {
        return dx[place_of(i, j)];
    }
    // As in gemm_zero.wgsl.
    return -0.0;
}

fn store(z: u32, i: u32, j: u32, sum: f32) {
    dx[place_of(i, j)] = sum;
}
