// y = (x - mean) r w + b with mean and r = 1 / sqrt(variance + eps) of the channels at each place. In two passes, since the
// sum of squares minus the squared mean would lose the digits of a small variance.

@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read> w: array<f32>;
@group(0) @binding(2) var<storage, read> b: array<f32>;
@group(0) @binding(3) var<storage, read_write> y: array<f32>;
@group(0) @binding(4) var<storage, read_write> mean: array<f32>;
@group(0) @binding(5) var<storage, read_write> r: array<f32>;

override eps: f32;

@compute @workgroup_size(THREADS)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
) {
    let first = group_index(group, groups) * PLACES;
    if first >= places {
        return;
    }
    // Threads without a place take part in the sums, with no channels.
    let place = min(first + thread % PLACES, places - 1u);
    let end = select(0u, channels, first + thread % PLACES < places);
    let lane = thread / PLACES;
    let base = first_element(place);
    var sum = 0.0;
    for (var c = lane; c < end; c += LANES) {
        sum += x[base + c * inner];
    }
    let center = over_lanes(thread, sum) / f32(channels);
    var squares = 0.0;
    for (var c = lane; c < end; c += LANES) {
        let centred = x[base + c * inner] - center;
        squares = fma(centred, centred, squares);
    }
    let deviation = 1.0 / sqrt(over_lanes(thread, squares) / f32(channels) + eps);
    for (var c = lane; c < end; c += LANES) {
        let i = base + c * inner;
        y[i] = fma((x[i] - center) * deviation, w[c], b[c]);
    }
    if lane == 0u && end > 0u {
        mean[place] = center;
        r[place] = deviation;
    }
}
