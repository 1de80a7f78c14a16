//! Steps that run together: what a schedule does, without a device, and that it changes no bit of any result.

use crate::{gpu_device, oracle};
use std::collections::HashSet;
use std::sync::Arc;
use striate::gpu::kernels::{GemmKernel, Limits};
use striate::gpu::{Executor, Gpu, LimitOverrides, Schedule};
use striate::inference;
use striate::model::{BuildOptions, Model, Spec};
use striate::ops::{Access, Hyper, OperandKind};
use striate::program::{BufferId, Executor as _, Program, Role, Span};
use striate::random::{Purpose, Stream};

/// What a discrete GPU offers: bindings and buffers of 2 GiB.
fn discrete() -> Limits {
    Limits { binding: 1 << 29, buffer: 1 << 29, work: 500_000_000_000, ..Limits::default() }
}

fn alexnet(batch: usize) -> Model {
    let spec = Spec::load("alexnet").unwrap();
    let options = BuildOptions { pixels: Some([3, 256, 256]), ..BuildOptions::new(batch) };
    Model::build(&spec, &options).unwrap()
}

#[test]
fn a_training_step_of_alexnet_has_at_most_45_dispatches() {
    for batch in [1, 8, 128, 256] {
        let model = alexnet(batch);
        let names: Vec<&str> = model.program.steps(Span::Train).map(|step| step.op.name()).collect();
        assert_eq!(names[0], "augment");
        let schedule = Schedule::new(&model.program, &discrete()).unwrap();
        let name =
            |task: &striate::gpu::ScheduledStep| format!("{} of {}", task.workload.kind, task.workload.label);
        let tasks: Vec<String> = schedule.steps(Span::Train).map(name).collect();
        assert!(schedule.dispatches(Span::Train) <= 45, "batch {batch}: {tasks:#?}");
        let pooled = "max_pool2d_backward+relu_backward+bias_grad of features.0";
        for one in ["sgd of 16 parameters", pooled] {
            assert!(tasks.iter().any(|task| task == one), "{tasks:#?}");
        }
        // Every operation of the program is still there, and partial sums beside them.
        let flops: u64 = schedule.steps(Span::Train).map(|task| task.workload.flops).sum();
        assert!(flops >= model.program.flops(Span::Train), "{flops}");
        let apart = Schedule::new(&model.program, &Limits { fuse: false, ..discrete() }).unwrap();
        let [together, apart_] = [&schedule, &apart].map(|s| s.dispatches(Span::Train));
        assert!(together + 20 < apart_, "batch {batch}: {together} and {apart_}");
        let len = |schedule: &Schedule, name: &str| -> usize {
            schedule.memory.iter().filter(|m| m.name == name).map(|m| m.len * 4).sum()
        };
        let bytes = |schedule: &Schedule| -> u64 {
            schedule.steps(Span::Train).map(|task| task.workload.bytes).sum()
        };
        println!(
            "batch {batch}: {} bytes of partial sums, {} of scratch; {} and {} bytes moved, {} and {} of memory",
            len(&schedule, "partial sums"),
            len(&apart, "scratch"),
            bytes(&schedule),
            bytes(&apart),
            schedule.bytes(),
            apart.bytes(),
        );
        println!("batch {batch}: {together} and {apart_} dispatches");
        assert_eq!(apart.steps(Span::Train).count(), names.len());
    }
}

/// Programs with everything that matters here: (model, recipe, accumulate, clip, frozen).
fn programs() -> Vec<(String, Model)> {
    let small = |recipe: &str| Spec::parse(&oracle::network("", recipe), "small.toml").unwrap();
    let sgd = "optimizer = \"sgd\"\nmomentum = 0.9\nnesterov = true\nweight_decay = 0.01\nlr = 0.05";
    let adam = "optimizer = \"adam\"\nlr = 0.003\nweight_decay = 0.01";
    let adamw = "optimizer = \"adamw\"\nlr = 0.003\nweight_decay = 0.01";
    let rmsprop = "optimizer = \"rmsprop\"\nlr = 0.003\nmomentum = 0.5";
    let named = |name: &str| Spec::load(name).unwrap();
    let plain = BuildOptions::new(3);
    let clip = BuildOptions { clip: true, ..plain.clone() };
    let accumulate = BuildOptions { accumulate: true, ..plain.clone() };
    let both = BuildOptions { accumulate: true, clip: true, ..plain.clone() };
    let frozen = BuildOptions { freeze: Some("features.0".into()), ..plain.clone() };
    let keep = BuildOptions { keep: true, ..plain.clone() };
    [
        ("sgd", small(sgd), plain.clone()),
        ("sgd, clipped", small(sgd), clip.clone()),
        ("adam", small(adam), plain.clone()),
        ("adam, accumulated and clipped", small(adam), both),
        ("adamw, clipped", small(adamw), clip),
        ("rmsprop, accumulated", small(rmsprop), accumulate),
        ("lenet5", named("lenet5"), plain.clone()),
        ("alexnet-mini", named("alexnet-mini"), plain.clone()),
        ("alexnet-mini, frozen", named("alexnet-mini"), frozen),
        ("alexnet-mini, kept", named("alexnet-mini"), keep),
    ]
    .into_iter()
    .map(|(name, spec, options)| (name.to_string(), Model::build(&spec, &options).unwrap()))
    .collect()
}

/// Everything that may be read after some steps of training and one of evaluation, as bits.
fn trained(gpu: &Gpu, model: &Model) -> Vec<(String, Vec<u32>)> {
    let program = &model.program;
    let mut executor = Executor::new(gpu, Arc::clone(program)).unwrap();
    inference::initialise(model, &mut executor, 5).unwrap();
    let rows = model.batch;
    let mut words = Hyper {
        rows: rows as u32,
        loss_scale: 1.0 / rows as f32,
        max_norm: 0.5,
        lr: 0.01,
        momentum: 0.9,
        beta2: 0.99,
        eps: 1e-8,
        weight_decay: 0.01,
        seed_lo: 7,
        ..Hyper::default()
    };
    let accumulates = program.steps(Span::Gradients).any(|step| step.op.name() == "grad_accumulate");
    for step in 0..2u32 {
        let mut stream = Stream::new(1, Purpose::Test, step);
        let len = program.buffer(model.input).shape.len();
        let images: Vec<f32> = (0..len).map(|_| stream.normal()).collect();
        let labels: Vec<f32> = (0..rows).map(|_| stream.below(model.classes as u32) as f32).collect();
        words.draw = step;
        words.correction1 = 1.0 - 0.9f32.powi(step as i32 + 1);
        words.correction2 = 1.0 - 0.99f32.powi(step as i32 + 1);
        executor.write(model.input, &images).unwrap();
        executor.write(model.labels, &labels).unwrap();
        for accumulate in 0..=u32::from(accumulates) {
            words.accumulate = accumulate;
            executor.write(model.hyper, words.as_words()).unwrap();
            executor.run(Span::Gradients).unwrap();
        }
        executor.run(Span::Update).unwrap();
        executor.run(Span::Train).unwrap();
    }
    executor.run(Span::Forward).unwrap();
    let ids = (0..program.buffers().len() as u32).map(BufferId);
    ids.filter(|&id| program.plan().is_kept(id))
        .map(|id| {
            let values = executor.read(id).unwrap();
            assert!(program.buffer(id).role == Role::Hyper || values.iter().all(|v| v.is_finite()));
            (program.buffer(id).name.clone(), values.iter().map(|v| v.to_bits()).collect())
        })
        .collect()
}

/// Bytes of the largest tensor: the smallest binding under which nothing has to be cut.
fn largest(program: &Program) -> u64 {
    program.buffers().iter().map(|b| b.shape.bytes()).max().unwrap()
}

#[test]
fn together_and_apart_give_the_same_bits() {
    let apart = LimitOverrides { apart: true, ..LimitOverrides::default() };
    let Some(apart) = gpu_device::open(&apart) else { return };
    let common = [
        LimitOverrides::default(),
        LimitOverrides::minimal(),
        LimitOverrides {
            kernel: Some(GemmKernel::Shared),
            work: Some(2_000_000),
            ..LimitOverrides::default()
        },
    ];
    // Opened once: programs share pipelines.
    let common = common.map(|limits| gpu_device::open(&limits).unwrap());
    let mut most_sets = 0;
    for (name, model) in programs() {
        let expected = trained(&apart, &model);
        // Every gradient is there to be compared.
        for buffer in model.program.buffers().iter().filter(|b| b.role == Role::Gradient) {
            let (_, bits) = expected.iter().find(|(name, _)| *name == buffer.name).unwrap();
            assert!(bits.iter().any(|&bits| bits != 0), "{name}: {} is zero", buffer.name);
        }
        let binding = largest(&model.program).next_multiple_of(256);
        let small =
            LimitOverrides { binding: Some(binding), alignment: Some(1024), ..LimitOverrides::default() };
        let small = gpu_device::open(&small).unwrap();
        for gpu in common.iter().chain([&small]) {
            let schedule = Schedule::new(&model.program, gpu.limits()).unwrap();
            let tasks = || schedule.steps(Span::Update).map(|task| task.workload.label.as_str());
            most_sets = most_sets.max(tasks().filter(|name| name.ends_with(" parameters")).count());
            assert!(tasks().any(|name| name.ends_with(" parameters")), "{name}");
            let found = trained(gpu, &model);
            for ((buffer, bits), (_, expected)) in found.iter().zip(&expected) {
                let at = bits.iter().zip(expected).position(|(a, b)| a != b);
                let pair = at.map(|i| (i, f32::from_bits(bits[i]), f32::from_bits(expected[i])));
                assert!(at.is_none(), "{name}: {buffer} differs in {pair:?} under {:?}", gpu.limits());
            }
        }
    }
    assert!(most_sets > 1, "no arena was cut");
}

/// The access of each binding of a shader: whether it is written.
fn writes(source: &str) -> Vec<bool> {
    let module = wgpu::naga::front::wgsl::parse_str(source).unwrap();
    let mut found: Vec<(u32, bool)> = Vec::new();
    for (_, variable) in module.global_variables.iter() {
        let Some(binding) = &variable.binding else { continue };
        let store = wgpu::naga::StorageAccess::STORE;
        let written =
            matches!(variable.space, wgpu::naga::AddressSpace::Storage { access } if access.contains(store));
        found.push((binding.binding, written));
    }
    found.sort_unstable();
    assert!(found.iter().zip(0u32..).all(|((number, _), i)| *number == i));
    found.into_iter().map(|(_, written)| written).collect()
}

#[test]
fn no_dispatch_reads_and_writes_one_buffer_and_every_part_lies_inside() {
    let mut models: Vec<Model> = programs().into_iter().map(|(_, model)| model).collect();
    for name in ["alexnet", "resnet18", "squeezenet1_1", "bvlc-alexnet"] {
        models.push(Model::build(&Spec::load(name).unwrap(), &BuildOptions::new(16)).unwrap());
    }
    let mut known = std::collections::HashMap::new();
    for limits in
        [Limits::default(), discrete(), Limits { kernel: GemmKernel::Registers, align: 16, ..discrete() }]
    {
        for model in &models {
            let schedule = Schedule::new(&model.program, &limits).unwrap();
            for span in [Span::Forward, Span::Train] {
                for (task, launch) in
                    schedule.steps(span).flat_map(|t| t.dispatches.iter().map(move |l| (t, l)))
                {
                    let what =
                        format!("{} in {} of {}", launch.shader.label(), task.workload.label, model.name);
                    let writes =
                        known.entry(launch.shader).or_insert_with(|| writes(&launch.shader.source()));
                    assert_eq!(writes.len(), launch.ranges.len(), "{what}");
                    assert!(launch.groups.iter().all(|&n| (1..=limits.groups).contains(&n)), "{what}");
                    let side = |written: bool| -> HashSet<usize> {
                        let parts = launch.ranges.iter().zip(writes.iter());
                        parts.filter(|(_, w)| **w == written).map(|(p, _)| p.memory).collect()
                    };
                    assert!(side(true).is_disjoint(&side(false)), "{what}");
                    for part in &launch.ranges {
                        let memory = &schedule.memory[part.memory];
                        assert!(part.first + part.count <= memory.len, "{what}: {part:?} of {memory:?}");
                        assert!(part.first % limits.align == 0 && part.count <= limits.binding, "{what}");
                        assert!(memory.len <= limits.buffer, "{what}");
                    }
                }
            }
        }
    }
}

#[test]
fn tensors_that_keep_their_content_lie_apart() {
    for (name, model) in programs() {
        let program = &model.program;
        let schedule = Schedule::new(program, &Limits::default()).unwrap();
        let mut taken: Vec<(usize, usize, usize)> = (0u32..)
            .zip(program.buffers())
            .filter(|&(i, _)| program.plan().is_kept(BufferId(i)))
            .map(|(i, buffer)| {
                let place = schedule.places[i as usize];
                (place.memory, place.first, place.first + buffer.shape.len())
            })
            .collect();
        taken.sort_unstable();
        for pair in taken.windows(2) {
            assert!(pair[0].0 < pair[1].0 || pair[0].2 <= pair[1].1, "{name}: {pair:?}");
        }
        // Parameters of one optimiser lie in one arena, so far as they fit.
        let parameters: HashSet<usize> = program
            .steps(Span::Update)
            .filter(|step| step.op.name().starts_with("adam") || step.op.name() == "sgd")
            .flat_map(|step| step.op.operands().into_iter().zip(&step.buffers))
            .filter(|(operand, _)| operand.kind == OperandKind::Parameter && operand.access == Access::Update)
            .map(|(_, id)| schedule.places[id.index()].memory)
            .collect();
        assert!(parameters.len() <= 1, "{name}: {parameters:?}");
    }
}

#[test]
fn nothing_is_allocated_after_the_first_steps() {
    let Some(gpu) = gpu_device::open(&LimitOverrides::default()) else { return };
    let spec = Spec::load("lenet5").unwrap();
    let model = Model::build(&spec, &BuildOptions::new(2)).unwrap();
    let mut executor = Executor::new(&gpu, Arc::clone(&model.program)).unwrap();
    inference::initialise(&model, &mut executor, 0).unwrap();
    let images = vec![0.5; model.program.buffer(model.input).shape.len()];
    let hyper = Hyper { rows: 2, loss_scale: 0.5, lr: 1e-3, ..Hyper::default() };
    let (mut early, mut staging) = (None, 0);
    for step in 1..=1000 {
        executor.write(model.input, &images).unwrap();
        executor.write(model.labels, &[1.0, 2.0]).unwrap();
        executor.write(model.hyper, hyper.as_words()).unwrap();
        executor.run(Span::Train).unwrap();
        executor.run(Span::Forward).unwrap();
        let metrics = executor.start_read(model.metrics).unwrap();
        executor.finish_read(metrics).unwrap();
        if step == 10 {
            executor.wait().unwrap();
            (early, staging) = (executor.allocations(), executor.staging_buffers());
        }
    }
    executor.wait().unwrap();
    assert!(early.is_some_and(|(count, bytes)| count > 0 && bytes > 0), "{early:?}");
    assert_eq!((executor.allocations(), executor.staging_buffers()), (early, staging));
}
