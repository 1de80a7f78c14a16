//! exp, log and tanh of `shaders/shared/elementary.wgsl` to a few units in the last place, where the tolerances of the
//! operator tests would let a worse one pass. (A compiler that joins the two parts of ln 2 costs 35 ulp.)

use crate::gpu_device;
use striate::gpu::{Executor, Gpu, LimitOverrides};
use striate::ops::{LocalResponseNorm, Op, Pointwise};
use striate::program::{BufferId, Executor as _, ProgramBuilder, Role, Span, Step};

/// The first output of `op` for its only input.
fn apply(gpu: &Gpu, op: Op, x: &[f32]) -> Vec<f32> {
    let mut builder = ProgramBuilder::default();
    let operands = op.operands();
    let buffers: Vec<BufferId> = operands
        .iter()
        .map(|o| builder.buffer(o.name, o.shape.clone(), Role::Output).expect("distinct names"))
        .collect();
    builder.forward.push(Step { op, buffers: buffers.clone(), label: "x".into() });
    let program = builder.finish(true).expect("a valid program");
    let mut executor = Executor::new(gpu, program.into()).expect("an executor");
    executor.write(buffers[0], x).expect("a write");
    executor.run(Span::Forward).expect("a run");
    executor.read(buffers[1]).expect("a read")
}

/// Largest relative error in units of 2^-23, where the result is a normal number.
fn worst(x: &[f32], y: &[f32], f: impl Fn(f64) -> f64) -> f64 {
    let error = |(&x, &y): (&f32, &f32)| {
        let expected = f(f64::from(x));
        let relative = (f64::from(y) - expected) / expected / f64::from(f32::EPSILON);
        if expected.abs() < f64::from(f32::MIN_POSITIVE) { 0.0 } else { relative.abs() }
    };
    // Not f64::max, which would overlook a NaN.
    x.iter().zip(y).map(error).fold(0.0, |worst, e| if e <= worst { worst } else { e })
}

#[test]
fn exponentials_are_accurate_far_from_zero_and_near_it() {
    let Some(gpu) = gpu_device::open(&LimitOverrides::default()) else { return };
    let far: Vec<f32> = (0..80_000).map(|i| i as f32 * 0.0025 - 100.0).collect();
    let near: Vec<f32> = (0..40_000).map(|i| i as f32 * 1e-4 - 2.0).filter(|x| *x != 0.0).collect();
    for x in [far, near] {
        let d = Pointwise { len: x.len() };
        let sigmoid = worst(&x, &apply(&gpu, Op::SigmoidForward(d), &x), |x| 1.0 / (1.0 + (-x).exp()));
        assert!(sigmoid < 6.0, "sigmoid: {sigmoid} ulp");
        let tanh = worst(&x, &apply(&gpu, Op::TanhForward(d), &x), f64::tanh);
        assert!(tanh < 6.0, "tanh: {tanh} ulp");
    }
}

#[test]
fn every_exponent_of_local_response_norm_is_accurate() {
    let Some(gpu) = gpu_device::open(&LimitOverrides::default()) else { return };
    let x: Vec<f32> = (1..30_000).map(|i| i as f32 * 1e-3).collect();
    // 0.6 has no special case: its error grows with the logarithm of the scale, here up to 6.8.
    for (beta, most) in [(0.75, 8.0), (0.5, 6.0), (1.0, 6.0), (0.6, 12.0)] {
        let (inner, size) = (x.len(), 1);
        let d = LocalResponseNorm { batch: 1, channels: 1, inner, size, alpha: 1.0, beta, k: 1.0 };
        let y = apply(&gpu, Op::LocalResponseNormForward(d), &x);
        let error = worst(&x, &y, |x| x / (1.0 + x * x).powf(f64::from(beta)));
        assert!(error < most, "beta {beta}: {error} ulp");
    }
}
