// y = conv(x, w) (+ b) (then max(0, .)), as a matrix product (implicit GEMM: the matrix of windows is never stored).
// i: output channel of the group; j: image and output pixel; k: channel of the group and tap; z: group.
// Bias and max go with the last part of the sum.

override has_bias: u32;
override relu_after: u32;

@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read> w: array<Element>;
@group(0) @binding(2) var<storage, read> b: array<f32>;
@group(0) @binding(3) var<storage, read_write> y: array<f32>;

override m: u32 = c_out_group;
override n: u32 = batch * pixels_out;
override batches: u32 = c_in / c_in_group;
override reduction_unit: u32 = part_len;
const A_ALONG_K = true;
const B_ALONG_K = false;
const A_VECTORS = VECTORS;
const TERM_TABLE = true;

alias Row = u32;
alias Column = Spot;
// x: where in w; yzw: the tap, as a Spot. A vector, so that it is loaded as one.
alias Term = vec4<u32>;

fn reduction_length(z: u32) -> u32 {
    return part_len;
}

fn row(z: u32, i: u32) -> Row {
    return (z * c_out_group + i) * window;
}

fn column(z: u32, j: u32) -> Column {
    let pixel = j % pixels_out;
    let image = (j / pixels_out * c_in + z * c_in_group) * pixels_in;
    return corner_of_window(image, pixel / w_out, pixel % w_out);
}

fn term(z: u32, k: u32) -> Term {
    let number = part_first + k;
    let tap = tap_of_window(number / taps, number % taps);
    return Term(number, tap.offset, tap.h, tap.w);
}

fn load_a(at: Row, t: Term) -> f32 {
    return pick(w[place(at + t.x)], at + t.x);
}

fn load_a4(at: Row, t: Term) -> vec4<f32> {
    return four(w[place(at + t.x)]);
}

fn load_b(t: Term, at: Column) -> f32 {
    let offset = at.offset + t.y;
    if padded == 0u {
        return x[offset];
    }
    let inside = at.h + t.z < h_in && at.w + t.w < w_in;
    return select(0.0, x[select(0u, offset, inside)], inside);
}

fn store(z: u32, i: u32, j: u32, sum: f32) {
    let channel = z * c_out_group + i;
    let at = (j / pixels_out * c_out + channel) * pixels_out + j % pixels_out;
    var value = sum;
    if part_first > 0u {
        value += y[at];
    }
    if has_bias != 0u {
        value += b[channel];
    }
    if relu_after != 0u {
        value = relu(value);
    }
    y[at] = value;
}
