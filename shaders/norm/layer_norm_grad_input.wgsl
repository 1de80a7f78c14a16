// dx = r (g - mean(g) - z mean(g z)) with z = (x - mean) r, g = dy w and means over the channels.

@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read> w: array<f32>;
@group(0) @binding(2) var<storage, read> mean: array<f32>;
@group(0) @binding(3) var<storage, read> r: array<f32>;
@group(0) @binding(4) var<storage, read> dy: array<f32>;
@group(0) @binding(5) var<storage, read_write> dx: array<f32>;

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
    let center = mean[place];
    let deviation = r[place];
    var sum = 0.0;
    var products = 0.0;
    for (var c = lane; c < end; c += LANES) {
        let i = base + c * inner;
        let g = dy[i] * w[c];
        sum += g;
        products = fma(g, (x[i] - center) * deviation, products);
    }
    sum = over_lanes(thread, sum) / f32(channels);
    products = over_lanes(thread, products) / f32(channels);
    for (var c = lane; c < end; c += LANES) {
        let i = base + c * inner;
        let z = (x[i] - center) * deviation;
        dx[i] = deviation * (dy[i] * w[c] - sum - z * products);
    }
}
