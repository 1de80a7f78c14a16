// y = maximum of each window and its place, as max_pool2d_forward.wgsl, for windows of many elements: one workgroup for
// each, and a dispatch for every TERMS elements, which continues from the result of those before it.

@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read_write> y: array<f32>;
@group(0) @binding(2) var<storage, read_write> index: array<f32>;

override len: u32;
override first_term: u32;

const THREADS = 256u;
// GATHER_TERMS of src/gpu/kernels/rounds.rs.
const TERMS = 262144u;
// The place of a candidate that does not exist.
const NOWHERE = 0xffffffffu;

var<workgroup> values: array<f32, THREADS>;
var<workgroup> places: array<u32, THREADS>;

struct Candidate {
    value: f32,
    place: u32,
}

// The greater one, or the first of equal ones; the first NaN, if there is one.
fn better(a: Candidate, b: Candidate) -> Candidate {
    if b.place == NOWHERE {
        return a;
    }
    if a.place == NOWHERE {
        return b;
    }
    let a_nan = is_nan(a.value);
    let b_nan = is_nan(b.value);
    var wins = b.value > a.value || (b.value == a.value && b.place < a.place);
    if a_nan || b_nan {
        wins = b_nan && (!a_nan || b.place < a.place);
    }
    if wins {
        return b;
    }
    return a;
}

@compute @workgroup_size(THREADS)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
) {
    let i = group_index(group, groups);
    if i >= len {
        return;
    }
    let p = position(i, h_out, w_out);
    let rows = inside(p.y, stride_h, kernel_h, pad_top, h_in);
    let columns = inside(p.z, stride_w, kernel_w, pad_left, w_in);
    let window = rectangle(p.x * h_in * w_in, rows, columns);
    let end = min(first_term + TERMS, window.count);
    var best = Candidate(0.0, NOWHERE);
    for (var e = first_term + thread; e < end; e += THREADS) {
        let at = corner(window, e);
        let row = at.x + pad_top - p.y * stride_h;
        let column = at.y + pad_left - p.z * stride_w;
        best = better(best, Candidate(x[window.plane + at.x * w_in + at.y], row * kernel_w + column));
    }
    values[thread] = best.value;
    places[thread] = best.place;
    workgroupBarrier();
    for (var half = THREADS / 2u; half > 0u; half /= 2u) {
        if thread < half {
            let other = Candidate(values[thread + half], places[thread + half]);
            best = better(best, other);
            values[thread] = best.value;
            places[thread] = best.place;
        }
        workgroupBarrier();
    }
    if thread == 0u {
        if first_term > 0u {
            best = better(Candidate(y[i], u32(index[i])), best);
        }
        y[i] = best.value;
        index[i] = f32(best.place);
    }
}
