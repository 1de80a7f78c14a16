// loss = -sum t log softmax(x), t = (1 - smoothing) (w onehot(label) + (1 - w) onehot(other)) + smoothing / classes, times the
// weight of the class if WEIGHTED; the rank of the label with the larger share; and dx = (softmax(x) sum t - t) loss_scale, where
// without weights sum t = 1. One workgroup for each row. Label, other and w are those of labels_own.wgsl (w = 1) or
// labels_mixed.wgsl; the latter has no weights.

@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read> labels: array<f32>;
@group(0) @binding(2) var<uniform> hyper: Hyper;
@group(0) @binding(3) var<storage, read_write> loss: array<f32>;
@group(0) @binding(4) var<storage, read_write> rank: array<f32>;

override classes: u32;
override smoothing: f32;
// The rows that x holds, if it is a piece of a larger tensor.
override first_row: u32;
override rows: u32;

const THREADS = 64u;

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
    let label = own_label(row);
    let other = partner_label(row);
    let share = own_share();
    var largest = x[base];
    for (var j = thread; j < classes; j += THREADS) {
        largest = max(largest, x[base + j]);
    }
    largest = reduce_max(thread, largest);
    // A NaN that the maximum did not see comes back here and makes loss and gradient NaN.
    var exponentials = 0.0;
    var logits = 0.0;
    var weight = 0.0;
    for (var j = thread; j < classes; j += THREADS) {
        let centred = x[base + j] - largest;
        exponentials += exponential(centred);
        if WEIGHTED {
            logits = fma(class_weight(j), centred, logits);
            weight += class_weight(j);
        } else {
            logits += centred;
        }
    }
    exponentials = reduce_sum(thread, exponentials);
    // The sum of t.
    var total = 1.0;
    if WEIGHTED {
        total = (1.0 - smoothing) * class_weight(label);
        if smoothing > 0.0 {
            weight = reduce_sum(thread, weight) / f32(classes);
            total = fma(smoothing, weight, total);
        }
    }
    for (var j = thread; j < classes; j += THREADS) {
        let p = exponential(x[base + j] - largest) / exponentials;
        let onehot = select(0.0, share, j == label) + select(0.0, 1.0 - share, j == other);
        let t = (1.0 - smoothing) * onehot + smoothing / f32(classes);
        if WEIGHTED {
            store_gradient(base + j, (p * total - t * class_weight(j)) * hyper.loss_scale);
        } else {
            store_gradient(base + j, (p - t) * hyper.loss_scale);
        }
    }
    let log_sum = logarithm(exponentials);
    var value = log_sum - (x[base + label] - largest);
    if share != 1.0 {
        let second = log_sum - (x[base + other] - largest);
        // Not 0 times infinity.
        value = select(0.0, share * value, share > 0.0) + (1.0 - share) * second;
    }
    if WEIGHTED {
        value *= class_weight(label);
    }
    if smoothing > 0.0 {
        let mean = reduce_sum(thread, logits) / f32(classes);
        if WEIGHTED {
            value = fma(1.0 - smoothing, value, smoothing * (log_sum * weight - mean));
        } else {
            value = fma(1.0 - smoothing, value, smoothing * (log_sum - mean));
        }
    }
    let place = rank_of(thread, base, select(other, label, share >= 0.5));
    if thread == 0u {
        loss[row] = value;
        rank[row] = place;
    }
}
