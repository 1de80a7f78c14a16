//! Loops that grow with the data: no kernel may need more rounds than a software adapter gives it (Mesa's llvmpipe leaves
//! loops after 65,535 without a word), what cannot be cut is refused, and long sums come out right.

mod counted;
mod windows;

use crate::gpu_device;

use std::collections::BTreeMap;
use std::sync::Arc;
use striate::cpu;
use striate::gpu::kernels::{Dispatch, GemmKernel, LONGEST, Limits, MAX_ROUNDS, Precision, fused, kernels};
use striate::gpu::{Executor, Kind, LimitOverrides, Schedule};
use striate::inference;
use striate::model::{BuildOptions, Model, Spec};
use striate::ops::{
    BatchNorm2d, BiasGrad, Conv2d, Hyper, Linear, LocalResponseNorm, LocalResponseNormWithin, Loss, Op,
    Pointwise, Pool2d, Target,
};
use striate::program::{BufferId, Executor as Run, Program, ProgramBuilder, Role, Span, Step};
use striate::random::{Purpose, Stream};
use striate::verify::cases::{LENGTHS, cases, reduced};

/// What a software adapter runs, with each way to multiply.
fn software() -> Vec<Limits> {
    let software = Limits { rounds: MAX_ROUNDS, ..Limits::default() };
    let half = Limits { precision: Precision::Half, ..software };
    let cooperative = Limits { precision: Precision::HalfCooperative, ..software };
    let tiles = [GemmKernel::Shared, GemmKernel::Subgroup, GemmKernel::Registers];
    tiles
        .iter()
        .flat_map(|&tile| [software, half, cooperative].map(|l| Limits { kernel: tile, ..l }))
        .collect()
}

/// Kernels whose long cases are not in the table, and why.
const EXCEPTIONS: [(&str, &str); 6] = [
    // 65,536 windows that cover an element cover as many elements: 4e9 terms. The table has 12,501, which is gathered in
    // the same way; `very_many_windows_cover_every_element` has the rest.
    ("max_pool2d_backward", "quadratic"),
    ("avg_pool2d_backward", "quadratic"),
    // Windows of more than 12,000 elements are refused; on the CPU path they are quadratic too.
    ("local_response_norm_forward", "refused"),
    ("local_response_norm_backward", "refused"),
    ("local_response_norm_within_forward", "refused"),
    ("local_response_norm_within_backward", "refused"),
];

#[test]
fn every_kernel_that_reduces_has_cases_beyond_65536() {
    let mut longest: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
    for case in cases() {
        if let Some(extent) = reduced(&case.op) {
            longest.entry(case.op.name()).or_default().push(extent);
        }
    }
    assert!(longest.len() >= 26, "only {} kernels reduce", longest.len());
    for (kernel, extents) in &longest {
        if EXCEPTIONS.iter().any(|(name, _)| name == kernel) {
            continue;
        }
        for length in LENGTHS {
            assert!(
                extents.iter().any(|&n| n >= length),
                "{kernel}: no case with a reduced extent of {length}"
            );
        }
    }
    for (kernel, _) in EXCEPTIONS {
        assert!(longest.contains_key(kernel), "{kernel} is no kernel");
    }
}

#[test]
fn every_dispatch_states_its_rounds_and_none_has_too_many() {
    for limits in software() {
        for case in cases() {
            let found = kernels(&case.op, &limits).unwrap_or_else(|error| panic!("{}: {error}", case.name));
            for Dispatch { shader, rounds, .. } in &found.dispatches {
                let loops = ["for (", "while ", "loop {"].iter().any(|word| shader.source().contains(word));
                assert!(
                    !loops || *rounds > 0,
                    "{} has loops, but {} states no rounds",
                    shader.name,
                    case.name
                );
                assert!(*rounds <= MAX_ROUNDS, "{}: {rounds} rounds of {}", case.name, shader.name);
            }
        }
    }
}

fn conv(batch: usize, c_in: usize, [h_in, w_in]: [usize; 2], c_out: usize, kernel: usize) -> Conv2d {
    Conv2d {
        batch,
        c_in,
        h_in,
        w_in,
        c_out,
        kernel: [kernel; 2],
        stride: [1, 1],
        pad: [0; 4],
        dilation: [1, 1],
        groups: 1,
        bias: true,
        relu: false,
    }
}

fn pool(size: usize, kernel: usize, pad: usize) -> Pool2d {
    let [plane, kernel] = [size, kernel].map(|n| [n, n]);
    let [h_in, w_in] = plane;
    let pad = [pad; 4];
    Pool2d {
        batch: 3,
        channels: 5,
        h_in,
        w_in,
        kernel,
        stride: [1, 1],
        pad,
        ceil: false,
        count_include_pad: true,
    }
}

/// Shapes so large that no test could run them. Only what they would do is looked at.
#[test]
fn whatever_can_be_cut_is_cut_however_large_it_is() {
    let linear = |batch, inputs, outputs| Linear { batch, inputs, outputs, bias: true, relu: true };
    let norm =
        |batch, inner| BatchNorm2d { batch, channels: 2, inner, eps: 1e-5, momentum: 0.1, relu: false };
    let bias = |batch, channels, inner| Op::BiasGrad(BiasGrad { batch, channels, inner });
    let mut ops = vec![
        Op::LinearForward(linear(2, 1 << 24, 3)),
        Op::LinearGradInput(linear(2, 3, 1 << 24)),
        // Partial sums would take too much memory.
        Op::LinearGradInput(linear(4096, 4096, 100_000)),
        Op::LinearGradWeight(linear(1 << 22, 3, 2)),
        Op::Conv2dForward(conv(1, 4, [3000, 3001], 2, 2999)),
        Op::Conv2dGradInput(conv(1, 2, [3000, 3001], 4, 2999)),
        Op::Conv2dGradWeight(conv(70_000, 3, [224, 224], 4, 3)),
        Op::Conv2dGradWeight(conv(256, 2048, [14, 14], 2048, 3)),
        Op::Conv2dGradWeight(conv(2, 1, [1, 1 << 23], 1, 1)),
        Op::Conv2dGradWeight(conv(1 << 26, 1, [5, 5], 1, 1)),
        bias(1 << 24, 1, 1),
        bias(1 << 22, 1, 15),
        bias(70_000, 3, 50_000),
        bias(2, 1, 1 << 25),
        Op::BatchNorm2dStats(norm(1 << 26, 1)),
        Op::BatchNorm2dStats(norm(100_000, 40_000)),
        Op::BatchNorm2dGradParameters(norm(3, 1 << 25)),
        Op::MaxPool2dForward(pool(4096, 4096, 0)),
        Op::AvgPool2dForward(pool(5000, 4999, 7)),
    ];
    for d in [pool(300, 600, 300), pool(2000, 1500, 0)] {
        ops.extend([Op::MaxPool2dBackward(d), Op::AvgPool2dBackward(d)]);
    }
    for limits in software() {
        let limits = Limits { binding: 1 << 40, buffer: 1 << 40, ..limits };
        for op in &ops {
            kernels(op, &limits).unwrap_or_else(|error| panic!("{op:?}: {error}"));
        }
    }
}

/// What decides the order of a sum may be the shape, but not whether an adapter has a limit.
#[test]
fn the_limit_changes_no_dispatch() {
    for tile in [GemmKernel::Shared, GemmKernel::Subgroup] {
        let hardware = Limits { kernel: tile, ..Limits::default() };
        let software = Limits { rounds: MAX_ROUNDS, ..hardware };
        for case in cases() {
            assert_eq!(
                kernels(&case.op, &hardware).unwrap(),
                kernels(&case.op, &software).unwrap(),
                "{}",
                case.name
            );
        }
    }
    // Not even together with others: long windows are gathered in an order of their own.
    let (short, long) = (pool(300, 3, 1), pool(300, 600, 300));
    let relu = |d: &Pool2d| Op::ReluBackward(Pointwise { len: d.batch * d.channels * d.h_in * d.w_in });
    let together = |d: &Pool2d| fused(&[&Op::MaxPool2dBackward(*d), &relu(d)], &Limits::default()).unwrap();
    assert!(together(&short).is_some() && together(&long).is_none());
}

fn program(op: &Op) -> Arc<Program> {
    let mut builder = ProgramBuilder::default();
    let operands = op.operands();
    let role = |name: &str| if name == "hyper" { Role::Hyper } else { Role::Output };
    let buffers =
        operands.iter().map(|o| builder.buffer(o.name, o.shape.clone(), role(o.name)).unwrap()).collect();
    builder.forward.push(Step { op: op.clone(), buffers, label: "layer".into() });
    Arc::new(builder.finish(true).unwrap())
}

#[test]
fn what_cannot_be_cut_is_refused_on_a_software_adapter_before_anything_is_allocated() {
    let across = LocalResponseNorm {
        batch: 1,
        channels: 20_001,
        inner: 1,
        size: 40_003,
        alpha: 1.0,
        beta: 0.5,
        k: 1.0,
    };
    let within = LocalResponseNormWithin {
        batch: 1,
        channels: 1,
        h: 200,
        w: 201,
        size: 401,
        alpha: 1.0,
        beta: 0.5,
        k: 1.0,
    };
    let classes = 1 << 20;
    let loss = Loss {
        batch: 1,
        classes,
        target: Target::Class,
        smoothing: 0.0,
        weighted: false,
        grad: true,
        mixed: false,
    };
    let ops = [
        Op::LocalResponseNormForward(across),
        Op::LocalResponseNormBackward(across),
        Op::LocalResponseNormWithinForward(within),
        Op::LocalResponseNormWithinBackward(within),
        Op::CrossEntropy(loss),
    ];
    let software = Limits { rounds: MAX_ROUNDS, ..Limits::default() };
    for op in ops {
        let program = program(&op);
        assert!(Schedule::new(&program, &Limits::default()).is_ok(), "a GPU has no such limit");
        let error = Schedule::new(&program, &software).unwrap_err();
        let text = error.to_string();
        assert_eq!(error.exit_code(), 3, "{text}");
        for word in [op.name(), "of layer", "loop rounds", "49152", "llvmpipe"] {
            assert!(text.contains(word) && !text.contains('\n'), "{word}: {text}");
        }
        let Some(gpu) = gpu_device::open(&LimitOverrides::default()) else { continue };
        if gpu.info().kind == Kind::Software {
            let before = gpu.objects();
            assert_eq!(Executor::new(&gpu, program).unwrap_err().to_string(), text);
            assert_eq!(gpu.objects(), before, "nothing was made");
        }
    }
}

/// Executors of a program on the CPU path and on the adapter of this machine.
fn both(program: &Arc<Program>) -> Vec<(&'static str, Box<dyn Run>)> {
    let mut all: Vec<(&str, Box<dyn Run>)> =
        vec![("cpu", Box::new(cpu::Executor::new(program.clone()).unwrap()))];
    if let Some(gpu) = gpu_device::open(&LimitOverrides::default()) {
        all.push(("gpu", Box::new(Executor::new(&gpu, program.clone()).unwrap())));
    }
    all
}

#[test]
fn a_linear_layer_sees_its_65536th_input() {
    let text = "name = \"last\"\ninput = [1, 256, 256]\n[recipe]\nlr = 0.1\n[[layer]]\nop = \"flatten\"\n\
                [[layer]]\nname = \"fc\"\nop = \"linear\"\nout_features = 2\n";
    let model = Model::build(&Spec::parse(text, "last.toml").unwrap(), &BuildOptions::new(2)).unwrap();
    for (device, mut executor) in both(&model.program) {
        let mut w = vec![0.0; 2 * 65_536];
        (w[65_535], w[65_536]) = (7.0, 3.0);
        for p in &model.parameters {
            let values = if p.name == "fc.weight" { w.clone() } else { vec![0.0; p.shape.len()] };
            executor.write(p.buffer, &values).unwrap();
        }
        executor.write(model.input, &vec![1.0; 2 * 65_536]).unwrap();
        executor.write(model.labels, &[0.0, 1.0]).unwrap();
        executor.write(model.hyper, Hyper { rows: 2, ..Hyper::default() }.as_words()).unwrap();
        executor.run(Span::Forward).unwrap();
        assert_eq!(executor.read(model.logits).unwrap(), [7.0, 3.0, 7.0, 3.0], "{device}");
    }
}

/// One chain of 70,001 additions of 0.1 errs by 6.4e-4; a sum in parts by a quarter of that at most.
#[test]
fn long_sums_are_better_rounded_than_one_chain() {
    const TERMS: usize = 70_001;
    let chain = (0..TERMS).fold(0f32, |sum, _| sum + 0.1);
    let exact = TERMS as f64 * f64::from(0.1f32);
    let error = |found: f32| ((f64::from(found) - exact) / exact).abs();
    assert!(error(chain) > 6e-4, "{}", error(chain));
    let linear = Op::LinearForward(Linear { batch: 1, inputs: TERMS, outputs: 1, bias: false, relu: false });
    let conv = Op::Conv2dForward(Conv2d { bias: false, ..conv(1, TERMS, [1, 1], 1, 1) });
    for op in [linear, conv] {
        for (device, mut executor) in both(&program(&op)) {
            executor.write(BufferId(0), &[1.0; TERMS]).unwrap();
            executor.write(BufferId(1), &[0.1; TERMS]).unwrap();
            executor.run(Span::Forward).unwrap();
            let found = error(executor.read(BufferId(2)).unwrap()[0]);
            assert!(4.0 * found < error(chain), "{device}, {}: {found}", op.name());
        }
    }
    const { assert!(TERMS > LONGEST) };
}

#[test]
fn a_network_with_a_mean_over_300x300_trains_alike_everywhere() {
    let pools = [
        "op = \"adaptive_avg_pool2d\"\noutput = 1",
        "op = \"avg_pool2d\"\nkernel = 300",
        "op = \"max_pool2d\"\nkernel = 300",
    ];
    for pool in pools {
        let text = format!(
            "name = \"mean\"\ninput = [1, 300, 300]\n[recipe]\nlr = 0.1\n\
             [[layer]]\nop = \"conv2d\"\nout_channels = 3\nkernel = 3\npadding = 1\n[[layer]]\nop = \"batch_norm2d\"\n\
             [[layer]]\nop = \"relu\"\n[[layer]]\n{pool}\n[[layer]]\nop = \"flatten\"\n[[layer]]\nop = \"linear\"\nout_features = 4\n"
        );
        let model = Model::build(&Spec::parse(&text, "mean.toml").unwrap(), &BuildOptions::new(2)).unwrap();
        let mut stream = Stream::new(3, Purpose::Test, 0);
        let images: Vec<f32> = (0..2 * 90_000).map(|_| stream.normal()).collect();
        let trained: Vec<Vec<f32>> = both(&model.program)
            .into_iter()
            .map(|(_, mut executor)| {
                inference::initialise(&model, executor.as_mut(), 7).unwrap();
                let hyper = Hyper { rows: 2, loss_scale: 0.5, lr: 0.1, momentum: 0.9, ..Hyper::default() };
                executor.write(model.input, &images).unwrap();
                executor.write(model.labels, &[3.0, 1.0]).unwrap();
                executor.write(model.hyper, hyper.as_words()).unwrap();
                for _ in 0..3 {
                    executor.run(Span::Train).unwrap();
                }
                let all = model.parameters.iter().chain(&model.state).map(|p| p.buffer);
                all.flat_map(|buffer| executor.read(buffer).unwrap()).collect()
            })
            .collect();
        for (cpu, gpu) in trained.iter().skip(1).flat_map(|gpu| trained[0].iter().zip(gpu)) {
            assert!((cpu - gpu).abs() <= 1e-4 * (1.0 + cpu.abs()), "{pool}: cpu {cpu}, gpu {gpu}");
        }
    }
}
