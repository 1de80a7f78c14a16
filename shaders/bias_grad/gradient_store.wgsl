// A gradient that is stored and not summed.

fn element(i: u32) {
    gradient(i);
}
