// dx from dy and w: every input pixel gathers from the outputs whose windows it lay in.
// i: input channel of the group; j: image and input pixel; k: output channel of the group and tap; z: group.

@group(0) @binding(0) var<storage, read> dy: array<f32>;
@group(0) @binding(1) var<storage, read> w: array<f32>;
@group(0) @binding(2) var<storage, read_write> dx: array<f32>;

override rows: u32 = c_in_group;
override columns: u32 = batch * pixels_in;
override batches: u32 = c_in / c_in_group;
const A_ALONG_K = true;
const B_ALONG_K = false;

alias Row = u32;
alias Column = Spot;
struct Term {
    w: u32,
    dy: Spot,
}

fn depth(z: u32) -> u32 {
    return c_out_group * taps;
}

fn row(z: u32, i: u32) -> Row {
    return z * c_out_group * window + i * taps;
}

// offset: the image and group in dy; h, w: the input pixel, counted from the padding's corner.
fn column(z: u32, j: u32) -> Column {
    let pixel = j % pixels_in;
    let image = (j / pixels_in * c_out + z * c_out_group) * pixels_out;
    return Spot(image, pixel / w_in + pad_h, pixel % w_in + pad_w);
}

fn term(z: u32, k: u32) -> Term {
    let channel = k / taps;
    let tap = k % taps;
    return Term(
        channel * window + tap,
        Spot(channel * pixels_out, tap / kernel_w * dilation_h, tap % kernel_w * dilation_w),
    );
}

fn load_a(at: Row, t: Term) -> f32 {
    return w[at + t.w];
}

// The output whose window has this input pixel at this tap, if there is one.
fn load_b(t: Term, at: Column) -> f32 {
    let top = at.h - t.dy.h;
    let left = at.w - t.dy.w;
    let h = top / stride_h;
    let w = left / stride_w;
    let inside = h < h_out && w < w_out && h * stride_h == top && w * stride_w == left;
    return select(0.0, dy[select(0u, at.offset + t.dy.offset + h * w_out + w, inside)], inside);
}

fn store(z: u32, i: u32, j: u32, sum: f32) {
    let channel = z * c_in_group + i;
    dx[(j / pixels_in * c_in + channel) * pixels_in + j % pixels_in] = sum;
}
