// An update with momentum: v = momentum v + d is the direction; Nesterov's form looks one step ahead.

@group(0) @binding(MOMENTUM) var<storage, read_write> velocity: array<f32>;

override nesterov: bool;

fn direction(i: u32, d: f32) -> f32 {
    let v = fma(hyper.momentum, velocity[i], d);
    velocity[i] = v;
    return select(v, fma(hyper.momentum, v, d), nesterov);
}
