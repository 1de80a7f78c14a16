// db[piece, c] = sum of dy[n, c, i] over the images n of the piece and all i, or over some i of one image. One workgroup for each piece and
// channel; where there are several pieces, sum_partials.wgsl adds them up. dy is what gradient_*.wgsl gives.

// Images in this dispatch.
override batch: u32;
override channels: u32;
override inner: u32;
// Images in a piece; the last piece may have fewer.
override images: u32;
// Elements of an image in a piece: all, or fewer where an image has several pieces.
override run: u32;
override pieces_per_image: u32;
override first_piece: u32;
override pieces: u32;

@group(0) @binding(OPERANDS) var<storage, read_write> db: array<f32>;

const THREADS = 64u;

var<workgroup> sums: array<f32, THREADS>;

@compute @workgroup_size(THREADS)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
) {
    let number = group_index(group, groups);
    let channel = number % channels;
    let piece = number / channels;
    if piece >= pieces {
        return;
    }
    var sum = 0.0;
    let group_of_images = piece / pieces_per_image;
    let first = piece % pieces_per_image * run;
    let last = min(first + run, inner);
    let end = min((group_of_images + 1u) * images, batch);
    for (var n = group_of_images * images; n < end; n++) {
        let plane = (n * channels + channel) * inner;
        for (var i = first + thread; i < last; i += THREADS) {
            sum += gradient(plane + i);
        }
    }
    sums[thread] = sum;
    workgroupBarrier();
    for (var half = THREADS / 2u; half > 0u; half /= 2u) {
        if thread < half {
            sums[thread] += sums[thread + half];
        }
        workgroupBarrier();
    }
    if thread == 0u {
        db[(first_piece + piece) * channels + channel] = sums[0];
    }
}
