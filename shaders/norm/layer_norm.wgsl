// Layer normalisation over channels: a workgroup has PLACES neighbouring positions, and LANES threads for each, of which
// thread k takes channels k, k + LANES, ... So neighbouring threads touch neighbouring memory.

override places: u32;
override channels: u32;
override inner: u32;

const PLACES = 32u;
const LANES = 8u;
const THREADS = 256u;

var<workgroup> lanes: array<f32, THREADS>;

// Element of channel 0 at a place; that of channel c lies c inner elements further.
fn first_element(place: u32) -> u32 {
    return place / inner * channels * inner + place % inner;
}

// The sum of `value` over the lanes of this thread's place, in their order.
fn over_lanes(thread: u32, value: f32) -> f32 {
    lanes[thread] = value;
    workgroupBarrier();
    var sum = 0.0;
    for (var lane = 0u; lane < LANES; lane++) {
        sum += lanes[lane * PLACES + thread % PLACES];
    }
    // No thread may begin the next sum before all threads have read this one.
    workgroupBarrier();
    return sum;
}
