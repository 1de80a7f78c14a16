// A loss without its gradient.

fn store_gradient(i: u32, value: f32) {}
