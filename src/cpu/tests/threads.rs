//! The same bits on 1, 2, 3 and 4 threads, at sizes that are cut into many tasks.

use super::normal;
use crate::cpu::Executor;
use crate::cpu::layout::{Layout, Layouts};
use crate::cpu::options::CpuOptions;
use crate::cpu::winograd::{self, Pass};
use crate::ops::{
    Access, BatchNorm2d, BiasGrad, Conv2d, Dropout, GradNorm, Hyper, Linear, Loss, Metrics, Op, OperandKind,
    Pool2d, Target,
};
use crate::program::{BufferId, Executor as _, ProgramBuilder, Role, Span, Step};
use std::sync::Arc;

/// The bits of everything that `op` writes, on a pool of `threads`.
fn bits(op: &Op, threads: usize) -> Vec<Vec<u32>> {
    let mut builder = ProgramBuilder::default();
    let operands = op.operands();
    let buffers: Vec<BufferId> = operands
        .iter()
        .map(|o| builder.buffer(o.name, o.shape.clone(), Role::Output).expect("a buffer"))
        .collect();
    builder.forward.push(Step { op: op.clone(), buffers: buffers.clone(), label: "test".into() });
    let mut executor = Executor::new(Arc::new(builder.finish(true).expect("a program"))).expect("memory");
    for (i, (operand, &id)) in operands.iter().zip(&buffers).enumerate() {
        let len = operand.shape.len();
        let values = match operand.kind {
            OperandKind::Hyper => {
                Hyper { rows: 60, loss_scale: 0.1, seed_lo: 5, draw: 2, ..Hyper::default() }
                    .as_words()
                    .to_vec()
            }
            OperandKind::Labels => (0..len).map(|i| (i % 10) as f32).collect(),
            OperandKind::Variance | OperandKind::RunningVariance => {
                normal(len, i as u32).iter().map(|v| v * v + 0.1).collect()
            }
            _ => normal(len, i as u32),
        };
        executor.write(id, &values).expect("a write");
    }
    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().expect("a pool");
    pool.install(|| executor.run(Span::Forward)).expect("a run");
    let written = operands.iter().zip(&buffers).filter(|(o, _)| o.access != Access::Read);
    written.map(|(_, &id)| executor.read(id).expect("a read").iter().map(|v| v.to_bits()).collect()).collect()
}

#[test]
fn the_number_of_threads_does_not_change_a_bit() {
    let conv = Conv2d {
        batch: 64,
        c_in: 20,
        h_in: 14,
        w_in: 13,
        c_out: 24,
        kernel: [3, 3],
        stride: [1, 1],
        pad: [1; 4],
        dilation: [1, 1],
        groups: 1,
        bias: true,
        relu: true,
    };
    // In blocks of channels, and with one channel to a group.
    let blocks = Conv2d { c_in: 48, c_out: 80, stride: [2, 1], ..conv };
    let depthwise = Conv2d { c_in: 48, c_out: 48, groups: 48, ..conv };
    // By Winograd's algorithm: many images to a task, and a few that are cut by output channels.
    let filtered = Conv2d { c_in: 96, h_in: 13, c_out: 128, ..conv };
    let few = Conv2d { batch: 2, h_in: 27, w_in: 27, kernel: [5, 5], pad: [2; 4], ..filtered };
    for d in [filtered, few] {
        let layouts = Layouts { x: Layout::Blocks, y: Layout::Blocks };
        for pass in [Pass::Forward, Pass::GradInput, Pass::GradWeight] {
            assert!(winograd::best(&d, layouts, CpuOptions::default(), pass).is_some(), "{d:?}");
        }
    }
    let linear = Linear { batch: 64, inputs: 1500, outputs: 500, bias: true, relu: false };
    let norm = BatchNorm2d { batch: 64, channels: 19, inner: 150, eps: 1e-5, momentum: 0.1, relu: false };
    let norm_in_blocks = BatchNorm2d { channels: 48, ..norm };
    let loss = Loss {
        batch: 64,
        classes: 1000,
        target: Target::Class,
        smoothing: 0.1,
        weighted: false,
        grad: true,
        mixed: false,
    };
    let pool = Pool2d {
        batch: 64,
        channels: 9,
        h_in: 27,
        w_in: 27,
        kernel: [3, 3],
        stride: [2, 2],
        pad: [0; 4],
        ceil: false,
        count_include_pad: true,
    };
    let operators = [
        Op::Conv2dForward(conv),
        Op::Conv2dGradInput(conv),
        Op::Conv2dGradInput(Conv2d { stride: [2, 2], ..conv }),
        Op::Conv2dGradWeight(conv),
        Op::Conv2dForward(blocks),
        Op::Conv2dGradInput(blocks),
        Op::Conv2dGradWeight(blocks),
        Op::Conv2dForward(depthwise),
        Op::Conv2dGradInput(depthwise),
        Op::Conv2dGradWeight(depthwise),
        Op::Conv2dForward(filtered),
        Op::Conv2dGradInput(filtered),
        Op::Conv2dGradWeight(filtered),
        Op::Conv2dForward(few),
        Op::Conv2dGradInput(few),
        Op::Conv2dGradWeight(few),
        Op::BiasGrad(BiasGrad { batch: 64, channels: 24, inner: 182 }),
        Op::LinearForward(linear),
        Op::LinearGradInput(linear),
        Op::LinearGradWeight(linear),
        Op::BiasGrad(BiasGrad { batch: 64, channels: 48, inner: 182 }),
        Op::BatchNorm2dStats(norm_in_blocks),
        Op::BatchNorm2dForward(norm_in_blocks),
        Op::BatchNorm2dGradParameters(norm_in_blocks),
        Op::BatchNorm2dGradInput(norm_in_blocks),
        Op::MaxPool2dForward(Pool2d { channels: 48, ..pool }),
        Op::AvgPool2dBackward(Pool2d { channels: 48, ..pool }),
        Op::BatchNorm2dStats(norm),
        Op::BatchNorm2dForward(norm),
        Op::BatchNorm2dGradParameters(norm),
        Op::BatchNorm2dGradInput(norm),
        Op::MaxPool2dForward(pool),
        Op::AvgPool2dBackward(pool),
        Op::Dropout(Dropout { len: 100_001, p: 0.3, layer: 1 }),
        Op::CrossEntropy(loss),
        Op::HalfSquaredError(loss),
        Op::Metrics(Metrics { batch: 64, slots: 3 }),
        Op::GradNorm(GradNorm { len: 300_000, index: 1, count: 2 }),
    ];
    for op in operators {
        let one = bits(&op, 1);
        for threads in [2, 3, 4] {
            assert!(bits(&op, threads) == one, "{} differs on {threads} threads", op.name());
        }
    }
}
