// An update with momentum: v = momentum v + d is the direction; Nesterov's form looks one step ahead.

@group(0) @binding(MOMENTUM) var<storage, read_write> velocity: array<f32>;

// Binding of the step's record, if there is one.
const RECORD = MOMENTUM + 1u;

override nesterov: bool;

fn look_at_velocity(i: u32) {
    look_before(velocity[i], STATE);
}

fn direction(i: u32, d: f32) -> f32 {
    let before = velocity[i];
    look_before(before, STATE);
    let v = fma(hyper.momentum, before, d);
    velocity[i] = v;
    look_after(v, STATE);
    return select(v, fma(hyper.momentum, v, d), nesterov);
}
