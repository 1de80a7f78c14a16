//! What a profile says of a program: medians, and the clocks of the GPU.

use crate::gpu_device;
use std::time::Duration;
use striate::gpu::{self, LimitOverrides, Probe};
use striate::ops::{Linear, Op, Pointwise};
use striate::program::{
    BufferId, Clock, Executor as _, Profile, ProfileEntry, Program, ProgramBuilder, Role, Span, Step,
    Workload,
};

/// x times w, its ReLU, and the ReLU of that: one buffer that nothing else sees, one that is read twice.
fn program() -> Program {
    let mut builder = ProgramBuilder::default();
    let x = builder.buffer("x", [64, 512], Role::Input).unwrap();
    let w = builder.buffer("w", [512, 512], Role::Parameter).unwrap();
    let y = builder.buffer("y", [64, 512], Role::Transient).unwrap();
    let z = builder.buffer("z", [64, 512], Role::Transient).unwrap();
    let out = builder.buffer("out", [64, 512], Role::Output).unwrap();
    let linear = Linear { batch: 64, inputs: 512, outputs: 512, bias: false, relu: false };
    let relu = || Op::ReluForward(Pointwise { len: 64 * 512 });
    let mut add = |op: Op, buffers: Vec<BufferId>, label: &str| {
        builder.forward.push(Step { op, buffers, label: label.into() });
    };
    add(Op::LinearForward(linear), vec![x, w, y], "fc");
    add(relu(), vec![y, z], "fc.relu");
    add(relu(), vec![z, out], "last");
    builder.finish(false).unwrap()
}

fn timed(number: usize, time: Duration) -> ProfileEntry {
    let op = Op::ReluForward(Pointwise { len: 1 });
    let step = Step { op, buffers: Vec::new(), label: number.to_string() };
    ProfileEntry {
        workload: Workload::of(&step),
        steps: 1,
        pipelines: Vec::new(),
        start: Duration::ZERO,
        time,
    }
}

#[test]
fn the_median_of_profiles_is_taken_entry_by_entry() {
    let run = |times: [u64; 2]| Profile {
        clock: Clock::Host,
        dispatches: 0,
        entries: (0..2).map(|i| timed(i, Duration::from_nanos(times[i]))).collect(),
    };
    let middle = Profile::median(&[run([3, 10]), run([1, 30]), run([2, 20])]).unwrap();
    assert_eq!(middle, run([2, 20]));
    assert_eq!(middle.sum(), Duration::from_nanos(22));
    assert_eq!(Profile::median(&[run([2, 10]), run([4, 10])]).unwrap(), run([3, 10]));
    assert!(Profile::median(&[]).is_err());
    let other = Profile { entries: vec![timed(5, Duration::ZERO); 2], ..run([1, 1]) };
    assert!(Profile::median(&[run([1, 1]), other]).is_err());
}

/// However it is cut, a profile runs the whole span and has a time for all that takes any.
#[test]
fn a_profile_is_cut_into_submissions_as_a_run_is() {
    let mut profiles = Vec::new();
    for submission in [None, Some(1)] {
        let limits = LimitOverrides { submission, work: Some(1_000_000), ..LimitOverrides::default() };
        let Some(gpu) = gpu_device::open(&limits) else { return };
        if gpu.check_clock().is_err() {
            return;
        }
        let mut executor = gpu::Executor::new(&gpu, program().into()).unwrap();
        executor.write(BufferId(0), &vec![1.0; 64 * 512]).unwrap();
        executor.write(BufferId(1), &vec![0.5; 512 * 512]).unwrap();
        let profile = executor.profile(Span::Forward).unwrap();
        assert_eq!(executor.read(BufferId(4)).unwrap(), vec![256.0; 64 * 512]);
        assert!(profile.dispatches > 3, "the product is cut into several dispatches");
        assert_eq!(profile.dispatches, executor.dispatches(Span::Forward));
        let labels: Vec<&str> = profile.entries.iter().map(|entry| entry.workload.label.as_str()).collect();
        assert_eq!(labels, ["fc", "fc.relu", "last"]);
        assert_eq!(profile.entries.iter().map(|entry| entry.steps).sum::<usize>(), 3);
        assert!(profile.entries[0].time > profile.entries[1].time / 100, "{profile:?}");
        assert_eq!(profile.entries[0].start, Duration::ZERO);
        for pair in profile.entries.windows(2) {
            // Timestamps are rounded to whole nanoseconds.
            let end = pair[0].start + pair[0].time;
            assert!(pair[1].start + Duration::from_nanos(2) >= end, "{profile:?}");
        }
        profiles.push(profile);
    }
    let [whole, cut] = profiles.as_slice() else { panic!("{profiles:?}") };
    assert_eq!(whole.clock, cut.clock);
}

/// The kernels that measure do all of their work, with every check and without.
#[test]
fn probes_have_work_to_do_and_do_it() {
    for checked in [false, true] {
        let Some(gpu) = gpu_device::open(&LimitOverrides { checked, ..LimitOverrides::minimal() }) else {
            return;
        };
        let fma = Probe::fma(&gpu, 3).unwrap();
        fma.run(2).unwrap();
        assert_eq!(fma.flops(), 3 * 256 * 256 * 128);
        let output = fma.output().unwrap();
        assert_eq!(output.len(), 3 * 256);
        for (i, &found) in output.iter().enumerate() {
            // Eight chains x = 0.999 x + 0.5, from the lane's number on, each 2048 long.
            let lane = (i % 256) as f64;
            let (factor, goal) = (f64::from(0.999f32), 0.5 / (1.0 - f64::from(0.999f32)));
            let chain = |start: f64| goal + (start - goal) * factor.powi(2048);
            let expected: f64 = (0..8).map(|k| chain(lane + f64::from(k))).sum();
            assert!(
                (f64::from(found) - expected).abs() < 1e-4 * expected,
                "{i}: {found}, expected {expected}"
            );
        }
        let copy = Probe::copy(&gpu, 40_000_000).unwrap();
        copy.run(1).unwrap();
        assert_eq!((copy.bytes(), copy.flops()), (80_000_000, 0));
        let output = copy.output().unwrap();
        // Random numbers in pieces of 2^18.
        let (first, rest) = output.split_at(1 << 18);
        assert!(first.iter().all(|&value| value != 0.0) && rest.len() > 2 * first.len());
        assert!(rest.chunks(1 << 18).all(|piece| piece == &first[..piece.len()]));
    }
}

#[test]
fn probes_stay_within_what_a_device_binds() {
    let Some(gpu) = gpu_device::open(&LimitOverrides::minimal()) else { return };
    assert_eq!(Probe::copy(&gpu, u64::MAX).unwrap().bytes(), 2 << 27);
    assert_eq!(Probe::copy(&gpu, 100).unwrap().bytes(), 192);
    assert_eq!(Probe::fma(&gpu, usize::MAX).unwrap().flops(), 65_535 * 256 * 256 * 128);
}
