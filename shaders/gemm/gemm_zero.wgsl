// For products whose sums begin at zero. At -0, since a compiler may leave out the addition to the first product where it
// knows what is added, and x + -0 is x for every x; x + 0 is not where x is -0.
fn start(z: u32, i: u32, j: u32) -> f32 {
    return -0.0;
}
