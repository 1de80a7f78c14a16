//! The GPU executor itself: choice of adapter, limits, parts, tiles, transfers, profile. What kernels compute is
//! the business of `kernels`.

use crate::gpu_device;
use std::sync::Arc;
use std::time::Duration;
use striate::Error;
use striate::gpu::kernels::{BlockSize, GemmKernel};
use striate::gpu::{AdapterSelector, Executor, Gpu, Kind, LimitOverrides, Probe, adapters};
use striate::ops::{BiasGrad, Conv2d, Linear, Op, Pointwise};
use striate::program::{BufferId, Executor as _, Program, ProgramBuilder, Role, Span, Step};
use striate::random::{Purpose, Stream};

/// A program that is one operator; operand i is buffer i.
fn program(op: &Op) -> Arc<Program> {
    let mut builder = ProgramBuilder::default();
    let buffers: Vec<BufferId> = op
        .operands()
        .iter()
        .map(|operand| builder.buffer(operand.name, operand.shape.clone(), Role::Output).unwrap())
        .collect();
    builder.forward.push(Step { op: op.clone(), buffers, label: "layer".into() });
    Arc::new(builder.finish(true).unwrap())
}

/// Runs one operator on random operands; the bits of all operands afterwards, and the number of dispatches.
fn bits(gpu: &Gpu, op: &Op) -> (Vec<Vec<u32>>, usize) {
    let program = program(op);
    let mut executor = Executor::new(gpu, program.clone()).unwrap();
    let ids: Vec<BufferId> = (0..program.buffers().len() as u32).map(BufferId).collect();
    for &id in &ids {
        let mut stream = Stream::new(5, Purpose::Test, id.0);
        let values: Vec<f32> = (0..program.buffer(id).shape.len()).map(|_| stream.normal()).collect();
        executor.write(id, &values).unwrap();
    }
    executor.run(Span::Forward).unwrap();
    let read = |id: &BufferId| executor.read(*id).unwrap().iter().map(|v| v.to_bits()).collect();
    (ids.iter().map(read).collect(), executor.dispatches(Span::Forward))
}

/// Ragged on purpose: no extent is a multiple of a tile.
fn products() -> Vec<Op> {
    let conv = Conv2d {
        batch: 9,
        c_in: 6,
        h_in: 16,
        w_in: 12,
        c_out: 70,
        kernel: [3, 5],
        stride: [2, 1],
        pad: [1, 2, 0, 1],
        dilation: [1, 2],
        groups: 2,
        bias: true,
        relu: true,
    };
    let linear = Linear { batch: 5, inputs: 200, outputs: 333, bias: true, relu: true };
    vec![
        Op::Conv2dForward(conv),
        Op::Conv2dGradInput(conv),
        Op::Conv2dGradWeight(conv),
        Op::LinearForward(linear),
        Op::LinearGradInput(linear),
        Op::LinearGradWeight(linear),
    ]
}

#[test]
fn a_name_that_does_not_exist_lists_what_does() {
    let error = Gpu::open(&AdapterSelector::Name("no such adapter".into())).unwrap_err();
    assert_eq!(error.exit_code(), 3);
    let message = error.to_string();
    assert!(message.contains("no such adapter") && !message.contains('\n'), "{message}");
    for info in adapters() {
        assert!(message.contains(&info.to_string()), "{message}");
    }
    assert!(matches!(Gpu::open(&AdapterSelector::Index(10_000)), Err(Error::Device(_))));
}

#[test]
fn a_software_adapter_is_taken_only_if_it_is_named() {
    let named = std::env::var_os("WGPU_ADAPTER_NAME").is_some();
    for info in adapters() {
        let opened = Gpu::open(&AdapterSelector::Index(info.index)).unwrap();
        assert_eq!(opened.info(), &info);
    }
    match Gpu::open(&AdapterSelector::Best) {
        Ok(gpu) => assert!(named || gpu.info().kind != Kind::Software),
        Err(error) => assert!(matches!(error, Error::Device(_)), "{error}"),
    }
}

#[test]
fn lowered_limits_are_what_kernels_see() {
    let limits = LimitOverrides { workgroups: Some(7), alignment: Some(1024), ..LimitOverrides::minimal() };
    let Some(gpu) = gpu_device::open(&limits) else { return };
    let limits = gpu.limits();
    assert_eq!((limits.binding, limits.align, limits.groups), (1 << 25, 256, 7));
    // Some 80 workgroups: the grid folds into y and z, and every workgroup still finds its place.
    let (whole, _) = bits(&gpu_device::open(&LimitOverrides::default()).unwrap(), &products()[0]);
    assert_eq!(bits(&gpu, &products()[0]).0, whole);
}

#[test]
fn what_does_not_fit_is_an_error_with_its_size() {
    let Some(gpu) = gpu_device::open(&LimitOverrides { buffer: Some(1 << 20), ..LimitOverrides::default() })
    else {
        return;
    };
    let large = Op::ReluForward(Pointwise { len: (1 << 18) + 1 });
    let error = Executor::new(&gpu, program(&large)).unwrap_err();
    assert!(matches!(error, Error::Memory(_)), "{error}");
    let message = error.to_string();
    assert!(
        message.contains("buffer x") && message.contains("1048580") && message.contains("1048576"),
        "{message}"
    );

    let Some(gpu) = gpu_device::open(&LimitOverrides { binding: Some(4096), ..LimitOverrides::default() })
    else {
        return;
    };
    // The weight of a convolution is bound whole.
    let conv = Conv2d {
        batch: 1,
        c_in: 16,
        h_in: 4,
        w_in: 4,
        c_out: 16,
        kernel: [3, 3],
        stride: [1, 1],
        pad: [0; 4],
        dilation: [1, 1],
        groups: 1,
        bias: false,
        relu: false,
    };
    let error = Executor::new(&gpu, program(&Op::Conv2dForward(conv))).unwrap_err();
    assert!(matches!(error, Error::Memory(_)), "{error}");
    let message = error.to_string();
    for part in ["conv2d_forward of layer", "9216", "4096", "smaller batch"] {
        assert!(message.contains(part), "{message}");
    }
}

#[test]
fn parts_give_the_same_bits_as_the_whole() {
    let Some(gpu) = gpu_device::open(&LimitOverrides::default()) else { return };
    let mut ops = products();
    // Sums over several sets of images, and over several pieces of each image.
    for (batch, size) in [(16, 13), (4, 28)] {
        ops.push(Op::Conv2dGradWeight(Conv2d {
            batch,
            c_in: 4,
            h_in: size,
            w_in: size,
            c_out: 5,
            kernel: [3, 3],
            stride: [1, 1],
            pad: [1; 4],
            dilation: [1, 1],
            groups: 1,
            bias: false,
            relu: false,
        }));
    }
    ops.push(Op::BiasGrad(BiasGrad { batch: 9, channels: 6, inner: 4000 }));
    // (binding in bytes, operations in one dispatch): the first cuts by memory, the second by time.
    for op in &ops {
        let (whole, one) = bits(&gpu, op);
        let largest = op.operands().iter().map(|o| o.shape.bytes()).max().unwrap();
        let by_memory = LimitOverrides { binding: Some(largest * 2 / 3), ..LimitOverrides::default() };
        let by_time = LimitOverrides { work: Some(op.flops() / 4), ..LimitOverrides::default() };
        for limits in [by_memory, by_time] {
            let small = gpu_device::open(&limits).unwrap();
            let (parts, several) = bits(&small, op);
            assert!(several > one, "{} was not cut under {limits:?}", op.name());
            assert_eq!(parts, whole, "{} under {limits:?}", op.name());
        }
    }
}

#[test]
fn every_tile_gives_the_same_bits() {
    let tiles =
        BlockSize::ALL.map(GemmKernel::Exactly).into_iter().chain([GemmKernel::Shared, GemmKernel::Subgroup]);
    let open = |tile| gpu_device::open(&LimitOverrides { kernel: Some(tile), ..LimitOverrides::default() });
    let Some(registers) = open(GemmKernel::Registers) else { return };
    let expected: Vec<_> = products().iter().map(|op| bits(&registers, op)).collect();
    for tile in tiles {
        let gpu = open(tile).unwrap();
        for (op, expected) in products().iter().zip(&expected) {
            assert!(bits(&gpu, op) == *expected, "{} with {tile:?}", op.name());
        }
    }
}

#[test]
fn short_submissions_change_nothing() {
    let Some(gpu) = gpu_device::open(&LimitOverrides::default()) else { return };
    let short =
        gpu_device::open(&LimitOverrides { submission: Some(1), ..LimitOverrides::default() }).unwrap();
    let op = &products()[2];
    assert_eq!(bits(&short, op), bits(&gpu, op));
}

#[test]
fn buffers_begin_as_zeros_and_keep_what_is_written() {
    let Some(gpu) = gpu_device::open(&LimitOverrides::default()) else { return };
    let program = program(&Op::ReluForward(Pointwise { len: 1001 }));
    let (x, y) = (BufferId(0), BufferId(1));
    let mut executor = Executor::new(&gpu, program).unwrap();
    assert_eq!(executor.read(y).unwrap(), vec![0.0; 1001]);
    let values: Vec<f32> = (0..1001).map(|i| i as f32 - 500.0).collect();
    executor.write(x, &values).unwrap();
    // What is asked for before a run is what was there before it, for any order of the answers.
    let before = executor.start_read(y).unwrap();
    executor.run(Span::Forward).unwrap();
    let after = executor.start_read(y).unwrap();
    let input = executor.start_read(x).unwrap();
    executor.write(x, &vec![7.0; 1001]).unwrap();
    let positive: Vec<f32> = values.iter().map(|v| v.max(0.0)).collect();
    assert_eq!(executor.finish_read(after).unwrap(), positive);
    assert_eq!(executor.finish_read(before).unwrap(), vec![0.0; 1001]);
    assert_eq!(executor.finish_read(input).unwrap(), values);
    assert_eq!(executor.read(x).unwrap(), vec![7.0; 1001]);
}

#[test]
fn staging_buffers_are_used_again() {
    let Some(gpu) = gpu_device::open(&LimitOverrides::default()) else { return };
    let mut executor = Executor::new(&gpu, program(&Op::ReluForward(Pointwise { len: 64 }))).unwrap();
    for round in 0..20 {
        executor.write(BufferId(0), &[round as f32; 64]).unwrap();
        let pending = [executor.start_read(BufferId(0)).unwrap(), executor.start_read(BufferId(0)).unwrap()];
        for pending in pending {
            assert_eq!(executor.finish_read(pending).unwrap(), [round as f32; 64]);
        }
    }
    assert_eq!(executor.staging_buffers(), 2);
}

#[test]
fn wrong_uses_are_errors() {
    let Some(gpu) = gpu_device::open(&LimitOverrides::default()) else { return };
    let mut executor = Executor::new(&gpu, program(&Op::ReluForward(Pointwise { len: 8 }))).unwrap();
    assert!(executor.write(BufferId(0), &[0.0; 7]).is_err());
    assert!(executor.read(BufferId(2)).is_err());
    let pending = executor.start_read(BufferId(0)).unwrap();
    let again = striate::program::Pending(pending.0);
    assert!(executor.finish_read(pending).is_ok());
    assert!(executor.finish_read(again).is_err());
    assert!(executor.finish_read(striate::program::Pending(99)).is_err());
}

#[test]
fn executors_share_pipelines() {
    let Some(gpu) = gpu_device::open(&LimitOverrides::default()) else { return };
    let program = program(&Op::ReluForward(Pointwise { len: 100 }));
    let _first = Executor::new(&gpu, program.clone()).unwrap();
    let made = gpu.pipeline_count();
    let _second = Executor::new(&gpu.clone(), program).unwrap();
    assert_eq!((made, gpu.pipeline_count()), (1, 1));
}

#[test]
fn a_profile_has_one_time_for_each_step() {
    let Some(gpu) = gpu_device::open(&LimitOverrides::default()) else { return };
    let linear = Linear { batch: 64, inputs: 512, outputs: 512, bias: false, relu: false };
    let mut builder = ProgramBuilder::default();
    let x = builder.buffer("x", [64, 512], Role::Input).unwrap();
    let w = builder.buffer("w", [512, 512], Role::Parameter).unwrap();
    let y = builder.buffer("y", [64, 512], Role::Transient).unwrap();
    let z = builder.buffer("z", [64, 512], Role::Output).unwrap();
    let relu = Op::ReluForward(Pointwise { len: 64 * 512 });
    builder.forward.push(Step { op: Op::LinearForward(linear), buffers: vec![x, w, y], label: "fc".into() });
    builder.forward.push(Step { op: relu, buffers: vec![y, z], label: "relu".into() });
    let mut executor = Executor::new(&gpu, Arc::new(builder.finish(false).unwrap())).unwrap();
    assert!(executor.read(y).is_err(), "a transient buffer cannot be read");
    executor.write(x, &vec![1.0; 64 * 512]).unwrap();
    executor.write(w, &vec![0.5; 512 * 512]).unwrap();
    let profile = match executor.profile(Span::Forward) {
        Ok(profile) => profile,
        Err(error) => {
            assert!(!gpu.info().features.contains(&"timestamp_query".to_string()), "{error}");
            assert!(gpu.check_clock().is_err());
            return;
        }
    };
    let [product, relu] = profile.entries.as_slice() else { panic!("{profile:?}") };
    assert!(product.time > Duration::ZERO && product.time < Duration::from_secs(60), "{profile:?}");
    assert_eq!((product.workload.kind.as_str(), product.workload.label.as_str()), ("linear_forward", "fc"));
    assert_eq!((relu.workload.kind.as_str(), relu.steps), ("relu_forward", 1));
    assert_eq!(product.workload.flops, 2 * 64 * 512 * 512);
    assert_eq!(profile.dispatches, executor.dispatches(Span::Forward));
    assert_eq!(executor.read(z).unwrap(), vec![256.0; 64 * 512]);
    assert!(executor.profile(Span::Update).unwrap().entries.is_empty());
}

#[test]
fn empty_dispatches_run() {
    let Some(gpu) = gpu_device::open(&LimitOverrides::default()) else { return };
    for shared in [true, false] {
        let probe = Probe::noop(&gpu, shared).unwrap();
        probe.run(300).unwrap();
        probe.run(0).unwrap();
    }
}
