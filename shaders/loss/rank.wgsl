// How many classes stand before the right one: a greater x, or an equal one and a lower number. A NaN stands before
// nobody; `classes` if the right one is NaN. x is a row that begins at `base`.
fn rank_of(lane: u32, base: u32, right: u32) -> f32 {
    let value = x[base + right];
    var before = 0.0;
    for (var j = lane; j < classes; j += THREADS) {
        let other = x[base + j];
        let wins = other > value || (other == value && j < right);
        before += select(0.0, 1.0, wins && j != right && !is_nan(other));
    }
    let rank = reduce_sum(lane, before);
    return select(rank, f32(classes), is_nan(value));
}
