//! The executor's own promises: slots, buffers used twice, parts, errors, profiles.

use crate::cpu::Executor;
use crate::error::Error;
use crate::ops::{BatchNorm2d, ChannelSlice, Hyper, Metrics, Op, Pointwise};
use crate::program::{BufferId, Executor as _, Pending, ProgramBuilder, Role, Span, Step};
use std::sync::Arc;

fn step(op: Op, buffers: &[BufferId]) -> Step {
    Step { op, buffers: buffers.to_vec(), label: "test".into() }
}

/// x -> relu -> a -> a + a -> b -> relu -> y, where a and b share no memory but may share it with others.
fn chain() -> (Executor, BufferId, BufferId, BufferId) {
    let p = Pointwise { len: 4 };
    let mut builder = ProgramBuilder::default();
    let x = builder.buffer("x", [4], Role::Input).expect("x");
    let a = builder.buffer("a", [4], Role::Transient).expect("a");
    let b = builder.buffer("b", [4], Role::Transient).expect("b");
    let c = builder.buffer("c", [4], Role::Transient).expect("c");
    let y = builder.buffer("y", [4], Role::Output).expect("y");
    builder.forward = vec![
        step(Op::ReluForward(p), &[x, a]),
        step(Op::Add(p), &[a, a, b]),
        step(Op::Add(p), &[b, b, c]),
        step(Op::ReluForward(p), &[c, y]),
    ];
    let program = builder.finish(false).expect("a program");
    assert_eq!(program.plan().slot(a), program.plan().slot(c), "the plan was to use memory twice");
    (Executor::new(Arc::new(program)).expect("memory"), x, a, y)
}

#[test]
fn a_buffer_may_be_read_twice_and_slots_may_be_shared() {
    let (mut executor, x, _, y) = chain();
    executor.write(x, &[1.0, -2.0, 3.0, -0.5]).expect("a write");
    executor.run(Span::Forward).expect("a run");
    assert_eq!(executor.read(y).expect("a read"), [4.0, 0.0, 12.0, 0.0]);
    assert_eq!(executor.read(x).expect("a read"), [1.0, -2.0, 3.0, -0.5]);
}

#[test]
fn a_read_has_the_content_of_when_it_was_asked_for() {
    let (mut executor, x, _, _) = chain();
    executor.write(x, &[1.0; 4]).expect("a write");
    let first = executor.start_read(x).expect("a read");
    executor.write(x, &[2.0; 4]).expect("a write");
    let second = executor.start_read(x).expect("a read");
    assert_eq!(executor.finish_read(second).expect("values"), [2.0; 4]);
    assert_eq!(executor.finish_read(first).expect("values"), [1.0; 4]);
    assert!(matches!(executor.finish_read(Pending(0)), Err(Error::Internal(_))));
}

#[test]
fn wrong_accesses_are_errors() {
    let (mut executor, x, shared, _) = chain();
    assert!(matches!(executor.write(x, &[0.0; 3]), Err(Error::Internal(_))));
    assert!(matches!(executor.write(shared, &[0.0; 4]), Err(Error::Internal(_))));
    assert!(matches!(executor.start_read(shared), Err(Error::Internal(_))));
    assert!(matches!(executor.start_read(BufferId(99)), Err(Error::Internal(_))));
}

#[test]
fn a_profile_has_one_time_for_each_step_and_computes_the_same() {
    let (mut executor, x, _, y) = chain();
    executor.write(x, &[1.0, 2.0, -3.0, 4.0]).expect("a write");
    assert_eq!(executor.profile(Span::Forward).expect("a profile").entries.len(), 4);
    assert_eq!(executor.profile(Span::Train).expect("a profile").entries.len(), 0);
    assert_eq!(executor.read(y).expect("a read"), [4.0, 8.0, 0.0, 16.0]);
}

#[test]
fn the_parts_of_a_concatenation_meet() {
    let (first, second) = (
        ChannelSlice { batch: 2, channels: 1, inner: 2, offset: 0, total: 3 },
        ChannelSlice { batch: 2, channels: 2, inner: 2, offset: 1, total: 3 },
    );
    let mut builder = ProgramBuilder::default();
    let a = builder.buffer("a", [2, 1, 2], Role::Input).expect("a");
    let b = builder.buffer("b", [2, 2, 2], Role::Input).expect("b");
    let y = builder.buffer("y", [2, 3, 2], Role::Output).expect("y");
    builder.forward = vec![step(Op::ConcatForward(first), &[a, y]), step(Op::ConcatForward(second), &[b, y])];
    let mut executor = Executor::new(Arc::new(builder.finish(false).expect("a program"))).expect("memory");
    executor.write(a, &[1.0, 2.0, 3.0, 4.0]).expect("a write");
    executor.write(b, &[5.0, 6.0, 7.0, 8.0, 9.0, 10.0, 11.0, 12.0]).expect("a write");
    executor.run(Span::Forward).expect("a run");
    let expected = [1.0, 2.0, 5.0, 6.0, 7.0, 8.0, 3.0, 4.0, 9.0, 10.0, 11.0, 12.0];
    assert_eq!(executor.read(y).expect("a read"), expected);
}

#[test]
fn a_record_beyond_the_metrics_is_an_error_that_names_the_step() {
    let d = Metrics { batch: 2, slots: 3 };
    let mut builder = ProgramBuilder::default();
    let loss = builder.buffer("loss", [2], Role::Input).expect("loss");
    let rank = builder.buffer("rank", [2], Role::Input).expect("rank");
    let hyper = builder.buffer("hyper", [Hyper::WORDS], Role::Hyper).expect("hyper");
    let metrics = builder.buffer("metrics", [3, 5], Role::Output).expect("metrics");
    builder.forward = vec![step(Op::Metrics(d), &[loss, rank, hyper, metrics])];
    let mut executor = Executor::new(Arc::new(builder.finish(false).expect("a program"))).expect("memory");
    executor.write(loss, &[0.5, 2.0]).expect("a write");
    executor.write(rank, &[0.0, 4.0]).expect("a write");
    executor.write(hyper, Hyper { rows: 2, slot: 2, ..Hyper::default() }.as_words()).expect("a write");
    executor.run(Span::Forward).expect("a run");
    let expected = [0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 2.5, 1.0, 2.0, 2.0, 0.0];
    assert_eq!(executor.read(metrics).expect("a read"), expected);
    executor.write(hyper, Hyper { rows: 2, slot: 3, ..Hyper::default() }.as_words()).expect("a write");
    let error = executor.run(Span::Forward).expect_err("slot 3 of 3").to_string();
    assert!(error.contains("step test") && error.contains("slot 3"), "{error}");
    // The buffers that the failed step had taken are back.
    assert_eq!(executor.read(metrics).expect("a read"), expected);
}

/// Images whose channels fill blocks, read as what they are and as flattened: every pixel is then a channel.
#[test]
fn flattened_images_are_plain() {
    let (batch, features) = (4, 16 * 9);
    let d = BatchNorm2d { batch, channels: features, inner: 1, eps: 1e-5, momentum: 1.0, relu: false };
    let p = Pointwise { len: batch * features };
    let mut builder = ProgramBuilder::default();
    let image = [batch, 16, 3, 3];
    let x = builder.buffer("x", image, Role::Input).expect("x");
    let flat = builder.buffer("flat", [batch, features], Role::Input).expect("flat");
    let y = builder.buffer("y", image, Role::Output).expect("y");
    let sum = builder.buffer("sum", image, Role::Output).expect("sum");
    let hyper = builder.buffer("hyper", [Hyper::WORDS], Role::Hyper).expect("hyper");
    let [mean, var, running_mean, running_var] = ["mean", "var", "running_mean", "running_var"]
        .map(|name| builder.buffer(name, [features], Role::Output).expect(name));
    builder.forward = vec![
        step(Op::ReluForward(p), &[x, y]),
        step(Op::BatchNorm2dStats(d), &[y, hyper, mean, var, running_mean, running_var]),
        step(Op::Add(p), &[y, flat, sum]),
    ];
    let mut executor = Executor::new(Arc::new(builder.finish(true).expect("a program"))).expect("memory");
    let values: Vec<f32> = (0..batch * features).map(|i| (i * 37 % 101) as f32).collect();
    executor.write(x, &values).expect("a write");
    executor.write(flat, &values).expect("a write");
    executor.write(hyper, Hyper { rows: batch as u32, ..Hyper::default() }.as_words()).expect("a write");
    executor.run(Span::Forward).expect("a run");
    let means: Vec<f32> = (0..features)
        .map(|f| (0..batch).map(|n| values[n * features + f]).sum::<f32>() / batch as f32)
        .collect();
    assert_eq!(executor.read(mean).expect("a read"), means);
    let doubled: Vec<f32> = values.iter().map(|v| v * 2.0).collect();
    assert_eq!(executor.read(sum).expect("a read"), doubled);
    assert_eq!(executor.read(y).expect("a read"), values);
}
