//! A small network with every kind of layer, end to end: the program that the model compiler makes, run by the f64
//! oracle, has the gradients that central differences say; and the executors do the same as the oracle.

use crate::oracle::{Reference, network};
use std::sync::Arc;
use striate::cpu;
use striate::gpu::{self, AdapterSelector, Gpu};
use striate::model::{BuildOptions, Model, Spec};
use striate::ops::{Hyper, Target};
use striate::program::{BufferId, Executor, Program, Role, Span};
use striate::random::{Purpose, Stream};
use striate::{Result, verify};

const BATCH: usize = 4;
/// The last row only pads.
const ROWS: u32 = 3;

fn hyper(step: u32, accumulate: u32) -> Hyper {
    let t = step as i32 + 1;
    Hyper {
        rows: ROWS,
        loss_scale: 1.0 / ROWS as f32,
        slot: step,
        accumulate,
        seed_lo: 7,
        seed_hi: 1,
        draw: step,
        lr: 0.01,
        momentum: 0.9,
        beta2: 0.99,
        eps: 1e-6,
        weight_decay: 0.01,
        correction1: 1.0 - 0.9f32.powi(t),
        correction2: 1.0 - 0.99f32.powi(t),
        max_norm: 0.3,
        ..Hyper::default()
    }
}

fn build(text: &str, options: &BuildOptions) -> Model {
    let spec = Spec::parse(text, "small.toml").expect("a right model file");
    Model::build(&spec, options).expect("a model that can be built")
}

fn options() -> BuildOptions {
    BuildOptions { keep: true, input_gradient: true, ..BuildOptions::new(BATCH) }
}

/// Parameters, state, batch and labels. Padding rows hold values too: they must not matter.
fn start(model: &Model, executor: &mut dyn Executor) -> Result<()> {
    let mut stream = Stream::new(4, Purpose::Test, 0);
    for (buffer, mut values) in model.initial(1)? {
        // Away from ones and zeros, at which mistakes would not show.
        if model.program.buffer(buffer).role == Role::Parameter {
            values.iter_mut().for_each(|v| *v += 0.05 * stream.normal());
        }
        executor.write(buffer, &values)?;
    }
    let len = |id: BufferId| model.program.buffer(id).shape.len();
    let images: Vec<f32> = (0..len(model.input)).map(|_| stream.normal()).collect();
    executor.write(model.input, &images)?;
    let labels: Vec<f32> = match len(model.labels) == BATCH {
        true => (0..BATCH).map(|_| stream.below(model.classes as u32) as f32).collect(),
        false => (0..len(model.labels)).map(|_| stream.normal()).collect(),
    };
    executor.write(model.labels, &labels)
}

/// The mean of the losses of the real rows, by a run of the gradients' span.
fn loss(model: &Model, reference: &mut Reference) -> f64 {
    reference.run(Span::Gradients).expect("the oracle runs");
    reference.values(model.losses).iter().sum::<f64>() / f64::from(ROWS)
}

/// Checks the gradients of every parameter and of the input; answers how many derivatives were compared.
fn check_gradients(text: &str, options: &BuildOptions) -> usize {
    let model = build(text, options);
    let mut reference = Reference::new(model.program.clone(), model.hyper);
    start(&model, &mut reference).expect("writes");
    reference.write(model.hyper, hyper(0, 0).as_words()).expect("writes");
    let here = loss(&model, &mut reference);
    let mut gradients: Vec<(String, BufferId, BufferId)> = Vec::new();
    for parameter in &model.parameters {
        let gradient = parameter.gradient.expect("all are trained");
        gradients.push((parameter.name.clone(), parameter.buffer, gradient));
    }
    gradients.push(("input".into(), model.input, model.input_gradient.expect("was asked for")));
    let mut stream = Stream::new(8, Purpose::Test, 0);
    let step = 1e-6;
    let (mut agreed, mut skipped) = (0, 0);
    for (name, buffer, gradient) in gradients {
        let gradient = reference.values(gradient).clone();
        let size = (gradient.iter().map(|g| g * g).sum::<f64>() / gradient.len() as f64).sqrt();
        // Through thirty layers little is left at the input, but far more than rounding in f64.
        assert!(size > 1e-6, "{name} has no gradient: {size}");
        for _ in 0..gradient.len().min(8) {
            let i = stream.below(gradient.len() as u32) as usize;
            let mut at = |offset: f64| {
                reference.values(buffer)[i] += offset;
                let value = loss(&model, &mut reference);
                reference.values(buffer)[i] -= offset;
                value
            };
            let (below, above) = (at(-step), at(step));
            let (left, right) = ((here - below) / step, (above - here) / step);
            // A kink that is not skipped is off by at most half of this, which is allowed below.
            if (left - right).abs() > 1e-4 * (left.abs() + right.abs() + size) {
                skipped += 1;
                continue;
            }
            let central = (above - below) / (2.0 * step);
            let allowed = 1e-4 * (size + gradient[i].abs());
            assert!(
                (central - gradient[i]).abs() <= allowed,
                "{name}[{i}]: gradient {}, central difference {central}",
                gradient[i]
            );
            agreed += 1;
        }
    }
    assert!(skipped * 10 < agreed, "{skipped} of {} derivatives were skipped", skipped + agreed);
    agreed
}

const CLASSES: &str = "label_smoothing = 0.1";
const VALUES: &str = "loss = \"mse\"";

#[test]
fn gradients_of_a_network_are_its_derivatives() {
    let text = network("", CLASSES);
    for fuse in [true, false] {
        assert!(check_gradients(&text, &BuildOptions { fuse, ..options() }) > 80);
    }
    let softmax = network("[[layer]]\nname = \"p\"\nop = \"softmax\"\n", VALUES);
    assert!(check_gradients(&softmax, &options()) > 80);
    let values = BuildOptions { target: Target::Values, ..options() };
    assert!(check_gradients(&network("", VALUES), &values) > 80);
}

/// Runs three steps on `executor` and on the oracle; every buffer has to agree after each.
fn check_steps(text: &str, options: &BuildOptions, make: &mut dyn FnMut(Arc<Program>) -> Box<dyn Executor>) {
    let model = build(text, options);
    let mut reference = Reference::new(model.program.clone(), model.hyper);
    let mut executor = make(model.program.clone());
    start(&model, &mut reference).expect("writes");
    start(&model, executor.as_mut()).expect("writes");
    let mut compared = 0;
    for step in 0..3 {
        let spans: &[(u32, Span)] = match options.accumulate {
            true => &[(0, Span::Gradients), (1, Span::Gradients), (0, Span::Update), (0, Span::Forward)],
            false => &[(0, Span::Train), (0, Span::Forward)],
        };
        for &(accumulate, span) in spans {
            for runner in [&mut reference as &mut dyn Executor, executor.as_mut()] {
                runner.write(model.hyper, hyper(step, accumulate).as_words()).expect("writes");
                runner.run(span).expect("runs");
                runner.wait().expect("finishes");
            }
            let touched: Vec<BufferId> =
                model.program.steps(span).flat_map(|step| step.buffers.clone()).collect();
            for (number, buffer) in model.program.buffers().iter().enumerate() {
                let id = BufferId(number as u32);
                if id == model.hyper || !touched.contains(&id) {
                    continue;
                }
                let found = executor.read(id).expect("reads");
                let expected = reference.values(id);
                let norm = |values: &mut dyn Iterator<Item = f64>| values.map(|v| v * v).sum::<f64>().sqrt();
                let difference = norm(&mut found.iter().zip(expected.iter()).map(|(f, e)| f64::from(*f) - e));
                let size = norm(&mut expected.iter().copied());
                // fp32 through twenty layers and three updates.
                let allowed = 3e-5 * size + 1e-7;
                assert!(
                    difference <= allowed,
                    "step {step}, {span:?}: {} is off by {difference:e} of {size:e}",
                    buffer.name
                );
                compared += 1;
            }
        }
    }
    assert!(compared > 200, "only {compared} buffers were compared");
}

/// Optimisers and options that a step can be built with.
fn variants() -> Vec<(String, BuildOptions)> {
    let sgd = network("", "optimizer = \"sgd\"\nnesterov = true\nmomentum = 0.9\nweight_decay = 0.01");
    let plain = network("", "momentum = 0.0\nlabel_smoothing = 0.1");
    let adamw = network("", "optimizer = \"adamw\"\nweight_decay = 0.01");
    let rmsprop = network("", "optimizer = \"rmsprop\"\nmomentum = 0.9\nloss = \"mse\"");
    vec![
        (sgd.clone(), options()),
        (sgd.clone(), BuildOptions { fuse: false, clip: true, ..options() }),
        (sgd, BuildOptions { accumulate: true, clip: true, ..options() }),
        (plain, BuildOptions { dropout: false, freeze: Some("c1,bn1".into()), ..options() }),
        (adamw, options()),
        (rmsprop, BuildOptions { target: Target::Values, ..options() }),
    ]
}

#[test]
fn cpu_takes_the_oracles_steps() {
    for (text, options) in variants() {
        let mut make = |program: Arc<Program>| -> Box<dyn Executor> {
            Box::new(cpu::Executor::new(program).expect("a CPU executor"))
        };
        check_steps(&text, &options, &mut make);
    }
}

/// The same numbers whether buffers share memory or not.
#[test]
fn shared_memory_changes_nothing() {
    let text = network("", CLASSES);
    let parameters = |keep| {
        let model = build(&text, &BuildOptions { keep, ..options() });
        let mut executor = cpu::Executor::new(model.program.clone()).expect("a CPU executor");
        start(&model, &mut executor).expect("writes");
        for step in 0..2 {
            executor.write(model.hyper, hyper(step, 0).as_words()).expect("writes");
            executor.run(Span::Train).expect("runs");
        }
        let slots = model.program.plan().slots().len();
        let all: Vec<Vec<f32>> =
            model.parameters.iter().map(|p| executor.read(p.buffer).expect("reads")).collect();
        (slots, all)
    };
    let (own, shared) = (parameters(true), parameters(false));
    assert!(shared.0 < own.0, "nothing was shared: {} slots", shared.0);
    assert_eq!(own.1, shared.1);
}

#[test]
fn every_adapter_takes_the_oracles_steps() {
    let adapters = gpu::adapters();
    if adapters.is_empty() {
        let required = std::env::var("STRIATE_REQUIRE_GPU").is_ok_and(|value| value == "1");
        assert!(!required, "STRIATE_REQUIRE_GPU=1, but there is no adapter (see `vulkaninfo --summary`)");
        println!("skipped: no adapter (Debian: apt-get install mesa-vulkan-drivers libvulkan1)");
    }
    for info in adapters {
        let gpu = Gpu::open(&AdapterSelector::Index(info.index)).expect("an adapter that opens");
        for (text, options) in variants() {
            let mut make = |program: Arc<Program>| -> Box<dyn Executor> {
                Box::new(gpu::Executor::new(&gpu, program).expect("a GPU executor"))
            };
            check_steps(&text, &options, &mut make);
        }
    }
}

/// The comparison above would notice one wrong kernel in the middle of the network.
#[test]
#[should_panic(expected = "is off by")]
fn a_wrong_kernel_is_noticed() {
    let (text, options) = variants().swap_remove(0);
    let mut make = |program: Arc<Program>| -> Box<dyn Executor> {
        let inner = Box::new(cpu::Executor::new(program.clone()).expect("a CPU executor"));
        Box::new(verify::Faulty::new(inner, program, "local_response_norm_backward"))
    };
    check_steps(&text, &options, &mut make);
}
