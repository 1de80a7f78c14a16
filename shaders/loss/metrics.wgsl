// Record `hyper.slot` of metrics = [sum of losses, top-1 hits, top-5 hits, rows, 0]. One workgroup.

@group(0) @binding(0) var<storage, read> loss: array<f32>;
@group(0) @binding(1) var<storage, read> rank: array<f32>;
@group(0) @binding(2) var<uniform> hyper: Hyper;
@group(0) @binding(3) var<storage, read_write> metrics: array<f32>;

override batch: u32;
override slots: u32;

const THREADS = 256u;

@compute @workgroup_size(THREADS)
fn main(@builtin(local_invocation_index) thread: u32) {
    let rows = min(hyper.rows, batch);
    var losses = 0.0;
    var first = 0.0;
    var five = 0.0;
    for (var row = thread; row < rows; row += THREADS) {
        losses += loss[row];
        first += select(0.0, 1.0, rank[row] < 1.0);
        five += select(0.0, 1.0, rank[row] < 5.0);
    }
    losses = reduce_sum(thread, losses);
    first = reduce_sum(thread, first);
    five = reduce_sum(thread, five);
    if thread == 0u && hyper.slot < slots {
        let at = hyper.slot * 5u;
        metrics[at] = losses;
        metrics[at + 1u] = first;
        metrics[at + 2u] = five;
        metrics[at + 3u] = f32(rows);
        metrics[at + 4u] = 0.0;
    }
}
