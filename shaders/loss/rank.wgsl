// The rank of the correct class: the number of classes with a greater x, or an equal one and a lower number. A NaN
// counts as lower than any x; the rank is `classes` if the correct class is NaN. x is a row that begins at `base`.
fn rank_of(thread: u32, base: u32, right: u32) -> f32 {
    let value = x[base + right];
    var before = 0.0;
    for (var j = thread; j < classes; j += THREADS) {
        let other = x[base + j];
        let wins = other > value || (other == value && j < right);
        before += select(0.0, 1.0, wins && j != right && !is_nan(other));
    }
    let rank = reduce_sum(thread, before);
    return select(rank, f32(classes), is_nan(value));
}
