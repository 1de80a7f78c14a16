// loss = 1/2 sum (x - t)^2; the rank of the right class; and dx = (x - t) loss_scale. t is the one-hot row of a
// class or, with `values`, given. One workgroup for each row.

@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read> labels: array<f32>;
@group(0) @binding(2) var<uniform> hyper: Hyper;
@group(0) @binding(3) var<storage, read_write> loss: array<f32>;
@group(0) @binding(4) var<storage, read_write> rank: array<f32>;

override classes: u32;
override values: bool;
// The rows that x holds, if it is a piece of a larger tensor.
override first_row: u32;
override rows: u32;

const THREADS = 64u;

fn target_value(row: u32, j: u32) -> f32 {
    if values {
        return labels[row * classes + j];
    }
    return select(0.0, 1.0, j == u32(labels[row]));
}

// The class of a row: its label, or the first maximum of its values.
fn right_class(thread: u32, row: u32) -> u32 {
    if !values {
        return min(u32(labels[row]), classes - 1u);
    }
    var largest = target_value(row, 0u);
    for (var j = thread; j < classes; j += THREADS) {
        largest = max(largest, target_value(row, j));
    }
    largest = reduce_max(thread, largest);
    var first = classes - 1u;
    for (var j = thread; j < classes; j += THREADS) {
        if target_value(row, j) == largest {
            first = min(first, j);
        }
    }
    return u32(-reduce_max(thread, -f32(first)));
}

@compute @workgroup_size(THREADS)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
) {
    let row = group_index(group, groups);
    if row >= rows {
        return;
    }
    let base = row * classes;
    if first_row + row >= hyper.rows {
        for (var j = thread; j < classes; j += THREADS) {
            store_gradient(base + j, 0.0);
        }
        if thread == 0u {
            loss[row] = 0.0;
            rank[row] = f32(classes);
        }
        return;
    }
    var squares = 0.0;
    for (var j = thread; j < classes; j += THREADS) {
        let difference = x[base + j] - target_value(row, j);
        squares = fma(difference, difference, squares);
        store_gradient(base + j, difference * hyper.loss_scale);
    }
    squares = reduce_sum(thread, squares);
    var place = rank_of(thread, base, right_class(thread, row));
    if values && classes == 1u && !is_nan(x[base]) {
        place = select(1.0, 0.0, (x[base] > 0.5) == (target_value(row, 0u) > 0.5));
    }
    if thread == 0u {
        loss[row] = 0.5 * squares;
        rank[row] = place;
    }
}
