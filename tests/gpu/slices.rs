//! Tensors larger than a binding: a device that binds little cuts its dispatches into parts, and not one bit of a
//! result may change for it.

use crate::gpu_device;
use std::collections::BTreeSet;
use striate::error::{Error, Result};
use striate::gpu::kernels::kernels;
use striate::gpu::{Executor, Gpu, LimitOverrides};
use striate::ops::{
    Access, BatchNorm2d, ChannelShuffle, ChannelSlice, DropUnit, GradNorm, Hyper, LayerNorm,
    LocalResponseNorm, LocalResponseNormWithin, Loss, Mix, Op, Pad2d, Scale, Softmax, StructuredDropout,
    Target, Upsample,
};
use striate::program::{BufferId, Executor as _, Span};
use striate::verify::cases::{Case, Data, cases};

/// Everything a case leaves behind, as bits; an error if an operand cannot be bound.
fn results(gpu: &Gpu, case: &Case) -> Result<Vec<Vec<u32>>> {
    let operands = case.op.operands();
    let mut executor = Executor::new(gpu, case.program()?)?;
    for (i, values) in case.inputs(3).iter().enumerate() {
        executor.write(BufferId(i as u32), values)?;
    }
    executor.run(Span::Forward)?;
    let mut left = Vec::new();
    for i in (0..operands.len()).filter(|&i| operands[i].access != Access::Read) {
        let values = executor.read(BufferId(i as u32))?;
        left.push(values.into_iter().map(f32::to_bits).collect());
    }
    Ok(left)
}

/// Compares each case that needs more dispatches on a device with `binding` bytes in a binding with itself on the
/// device without limits. Answers with the names of the kernels that were compared; `None` without an adapter.
fn compare(binding: u64, cases: &[Case]) -> Option<BTreeSet<&'static str>> {
    let whole = gpu_device::open(&LimitOverrides::default())?;
    let small = gpu_device::open(&LimitOverrides { binding: Some(binding), ..LimitOverrides::default() })?;
    let mut compared = BTreeSet::new();
    for case in cases {
        let count = |gpu: &Gpu| kernels(&case.op, gpu.limits()).map(|kernels| kernels.dispatches.len());
        let Ok(parts) = count(&small) else { continue };
        if parts == count(&whole).expect("a small case fits") {
            continue;
        }
        match results(&small, case) {
            Err(Error::Memory(_)) => continue,
            found => {
                let (found, expected) = (found.expect("parts"), results(&whole, case).expect("the whole"));
                assert!(found == expected, "{}: other bits in parts", case.name);
                compared.insert(case.op.name());
            }
        }
    }
    Some(compared)
}

fn case(op: Op) -> Case {
    let hyper = Hyper { rows: 6, loss_scale: 0.25, seed_lo: 5, draw: 9, ..Hyper::default() };
    Case { name: op.name().into(), op, hyper, reduction_length: 1, data: Data::Plain }
}

#[test]
fn results_do_not_depend_on_the_parts() {
    let Some(compared) = compare(2048, &cases()) else { return };
    for kernel in ["add", "adam", "avg_pool2d_forward", "cross_entropy", "dropout", "max_pool2d_backward"] {
        assert!(compared.contains(kernel), "{kernel} was not cut, only {compared:?}");
    }
}

#[test]
fn results_of_whole_images_and_rows_do_not_depend_on_the_parts() {
    let slice = ChannelSlice { batch: 9, channels: 4, inner: 16, offset: 3, total: 9 };
    let shuffle = ChannelShuffle { batch: 9, channels: 8, inner: 16, groups: 4 };
    let response =
        LocalResponseNorm { batch: 9, channels: 8, inner: 16, size: 5, alpha: 0.5, beta: 0.75, k: 2.0 };
    let LocalResponseNorm { batch, channels, size, alpha, beta, k, .. } = response;
    let within = LocalResponseNormWithin { batch, channels, h: 8, w: 8, size, alpha, beta, k };
    let norm = BatchNorm2d { batch: 9, channels: 8, inner: 16, eps: 1e-5, momentum: 0.1, relu: true };
    let layer = LayerNorm { batch: 9, channels: 8, inner: 64, eps: 1e-5 };
    let scale = Scale { batch: 9, channels: 8, inner: 16 };
    let pad = Pad2d { batch: 9, channels: 8, h_in: 4, w_in: 4, pad: [0, 4, 4, 0] };
    let up = Upsample { batch: 9, channels: 8, h_in: 8, w_in: 8, scale: [2, 1] };
    let dropped = |unit| {
        Op::StructuredDropout(StructuredDropout { batch: 9, channels: 8, inner: 64, unit, p: 0.5, layer: 2 })
    };
    let softmax = Softmax { batch: 9, channels: 16, inner: 8 };
    let classes = Loss {
        batch: 300,
        classes: 5,
        target: Target::Class,
        smoothing: 0.1,
        weighted: false,
        grad: true,
        mixed: false,
    };
    let mixed = Loss { mixed: true, ..classes };
    let images = Mix { batch: 300, channels: 2, height: 2, width: 32 };
    let values = Loss { target: Target::Values, ..classes };
    let cases = [
        Op::ConcatForward(slice),
        Op::ConcatBackward(slice),
        Op::SliceForward(slice),
        Op::SliceBackward(slice),
        Op::ChannelShuffle(shuffle),
        Op::LocalResponseNormForward(response),
        Op::LocalResponseNormBackward(response),
        Op::LocalResponseNormWithinForward(within),
        Op::LocalResponseNormWithinBackward(within),
        Op::BatchNorm2dForward(norm),
        Op::BatchNorm2dGradInput(norm),
        Op::LayerNormForward(layer),
        Op::LayerNormGradInput(layer),
        Op::Scale(scale),
        Op::PadForward(pad),
        Op::PadBackward(pad),
        Op::UpsampleForward(up),
        Op::UpsampleBackward(up),
        dropped(DropUnit::Channel),
        Op::SoftmaxForward(softmax),
        Op::SoftmaxBackward(softmax),
        Op::CrossEntropy(classes),
        Op::Mix(images),
        Op::HalfSquaredError(values),
    ]
    .map(case);
    let Some(compared) = compare(4096, &cases) else { return };
    assert_eq!(compared.len(), cases.len(), "{compared:?}");
    let units = [DropUnit::Row, DropUnit::Batch].map(dropped).map(case);
    for unit in units {
        assert_eq!(compare(4096, &[unit]).map_or(1, |compared| compared.len()), 1);
    }
    // An image of the first part whose partner is in the last one, and rows whose second label is in another part.
    let mixing = [Op::CrossEntropy(mixed), Op::Mix(images)].map(|op| {
        let hyper = Hyper { rows: 299, mix_weight: 0.3, ..case(op.clone()).hyper };
        Case { hyper, ..case(op) }
    });
    let Some(compared) = compare(4096, &mixing) else { return };
    assert_eq!(compared.len(), mixing.len(), "{compared:?}");
}

#[test]
fn long_sums_do_not_depend_on_the_parts() {
    let norm = BatchNorm2d { batch: 7, channels: 2, inner: 20_000, eps: 1e-5, momentum: 0.1, relu: false };
    let sum = GradNorm { len: 250_007, index: 1, count: 2 };
    let (scale, layer) = (
        Scale { batch: 7, channels: 2, inner: 20_000 },
        LayerNorm { batch: 7, channels: 2, inner: 20_000, eps: 1e-5 },
    );
    let cases = [
        Op::BatchNorm2dStats(norm),
        Op::BatchNorm2dGradParameters(norm),
        Op::GradNorm(sum),
        Op::ScaleGradWeight(scale),
        Op::LayerNormGradWeight(layer),
    ]
    .map(case);
    let Some(compared) = compare(400_000, &cases) else { return };
    assert_eq!(compared.len(), cases.len(), "{compared:?}");
}
