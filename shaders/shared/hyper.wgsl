// What changes from step to step: src/ops/hyper.rs, same members, same order.
struct Hyper {
    rows: u32,
    loss_scale: f32,
    slot: u32,
    accumulate: u32,
    seed_lo: u32,
    seed_hi: u32,
    draw: u32,
    lr: f32,
    momentum: f32,
    beta2: f32,
    eps: f32,
    weight_decay: f32,
    correction1: f32,
    correction2: f32,
    max_norm: f32,
    reserved: u32,
}
