// An update without momentum.

// Binding of the step's record, if there is one.
const RECORD = MOMENTUM;

fn look_at_velocity(i: u32) {}

fn direction(i: u32, d: f32) -> f32 {
    return d;
}
