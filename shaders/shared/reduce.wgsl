// Sum and maximum over the THREADS threads of a workgroup (a power of two), always in the same order.

var<workgroup> reduced: array<f32, THREADS>;

fn reduce_sum(thread: u32, value: f32) -> f32 {
    reduced[thread] = value;
    workgroupBarrier();
    for (var half = THREADS / 2u; half > 0u; half /= 2u) {
        if thread < half {
            reduced[thread] += reduced[thread + half];
        }
        workgroupBarrier();
    }
    let total = reduced[0];
    // No thread may begin the next reduction before all threads have read this result.
    workgroupBarrier();
    return total;
}

fn reduce_max(thread: u32, value: f32) -> f32 {
    reduced[thread] = value;
    workgroupBarrier();
    for (var half = THREADS / 2u; half > 0u; half /= 2u) {
        if thread < half {
            reduced[thread] = max(reduced[thread], reduced[thread + half]);
        }
        workgroupBarrier();
    }
    let largest = reduced[0];
    workgroupBarrier();
    return largest;
}
