// An update without momentum.

fn direction(i: u32, d: f32) -> f32 {
    return d;
}
