// dx from dy and w: every input pixel gathers from the outputs whose windows it lay in.
// i: input channel of the group; j: image and input pixel; k: output channel of the group and tap; z: group and phase.
//
// Under a stride s, input row h meets only the taps t with (h + pad - t) mod s = 0. So the rows with the same
// (h + pad) mod s, a phase, need only every s-th tap, and the phases are products of their own; columns alike.

// The stride, or 1 where a dilation mixes the phases.
override phases_h: u32;
override phases_w: u32;

@group(0) @binding(0) var<storage, read> dy: array<f32>;
@group(0) @binding(1) var<storage, read> w: array<f32>;
@group(0) @binding(2) var<storage, read_write> dx: array<f32>;

// Most rows, columns, and taps of a phase.
override phase_rows: u32 = (h_in + phases_h - 1u) / phases_h;
override phase_columns: u32 = (w_in + phases_w - 1u) / phases_w;
override phase_pixels: u32 = phase_rows * phase_columns;
override phase_taps_h: u32 = (kernel_h + phases_h - 1u) / phases_h;
override phase_taps_w: u32 = (kernel_w + phases_w - 1u) / phases_w;
override phase_taps: u32 = phase_taps_h * phase_taps_w;
override phases: u32 = phases_h * phases_w;

override m: u32 = c_in_group;
override n: u32 = batch * phase_pixels;
override batches: u32 = c_in / c_in_group * phases;
override reduction_unit: u32 = part_len;
const A_ALONG_K = true;
const B_ALONG_K = false;
const TERM_TABLE = true;

alias Row = u32;
alias Column = Spot;
// x: where in w; yzw: where in dy, as a Spot. A vector, so that it is loaded as one.
alias Term = vec4<u32>;

fn reduction_length(z: u32) -> u32 {
    return part_len;
}

fn row(z: u32, i: u32) -> Row {
    return z / phases * c_out_group * window + i * taps;
}

// Row or column number `index` of phase `phase`, counted from the padding's corner: the smallest number not below
// `pad` with the remainder `phase`, and `index` strides on.
fn in_phase(phase: u32, index: u32, pad: u32, count: u32) -> u32 {
    return pad + (phase + count - pad % count) % count + index * count;
}

// offset: the image and group in dy; h, w: the input pixel, counted from the padding's corner.
fn column(z: u32, j: u32) -> Column {
    let pixel = j % phase_pixels;
    let image = (j / phase_pixels * c_out + z / phases * c_out_group) * pixels_out;
    return Spot(
        image,
        in_phase(z % phases / phases_w, pixel / phase_columns, pad_h, phases_h),
        in_phase(z % phases_w, pixel % phase_columns, pad_w, phases_w),
    );
}

fn term(z: u32, k: u32) -> Term {
    let number = part_first + k;
    let channel = number / phase_taps;
    let tap_h = number % phase_taps / phase_taps_w * phases_h + z % phases / phases_w;
    let tap_w = number % phase_taps_w * phases_w + z % phases_w;
    // A phase may have fewer taps than another. One that does not exist lies far away from every output.
    let exists = tap_h < kernel_h && tap_w < kernel_w;
    return Term(
        select(0u, channel * window + tap_h * kernel_w + tap_w, exists),
        channel * pixels_out,
        select(0x80000000u, tap_h * dilation_h, exists),
        tap_w * dilation_w,
    );
}

fn load_a(at: Row, t: Term) -> f32 {
    return w[at + t.x];
}

// The output whose window has this input pixel at this tap, if there is one.
fn load_b(t: Term, at: Column) -> f32 {
    let top = at.h - t.z;
    let left = at.w - t.w;
    let h = top / stride_h;
    let w = left / stride_w;
    let inside = h < h_out && w < w_out && h * stride_h == top && w * stride_w == left;
    return select(0.0, dy[select(0u, at.offset + t.y + h * w_out + w, inside)], inside);
}

fn store(z: u32, i: u32, j: u32, sum: f32) {
    let at = column(z, j);
    let h = at.h - pad_h;
    let w = at.w - pad_w;
    // A phase may have fewer rows or columns than another.
    if h < h_in && w < w_in {
        let channel = z / phases * c_in_group + i;
        let place = (j / phase_pixels * c_in + channel) * pixels_in + h * w_in + w;
        var value = sum;
        if part_first > 0u {
            value += dx[place];
        }
        dx[place] = value;
    }
}
