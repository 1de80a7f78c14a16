// clip(x) = min(max(x, lowest), highest), either of which may be missing. A NaN is returned unchanged.

override lowest: f32;
override highest: f32;
override has_lowest: bool;
override has_highest: bool;

fn value(x: f32) -> f32 {
    let below = has_lowest && x < lowest && !is_nan(x);
    let above = has_highest && x > highest && !is_nan(x);
    return select(select(x, lowest, below), highest, above);
}

// dy where lowest < y < highest, else 0; dy where y is NaN, as in PyTorch.
fn gradient(y: f32, dy: f32) -> f32 {
    let cut = (has_lowest && y <= lowest) || (has_highest && y >= highest);
    return select(dy, 0.0, cut && !is_nan(y));
}
