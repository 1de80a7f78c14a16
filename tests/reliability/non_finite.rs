//! C5: NaN, +Inf and -Inf put into weights, optimiser states, gradients, inputs and activations of a network, layer by layer.
//! The record of the very step tells which parameter went wrong; the run ends with exit code 5 and a message that names it,
//! and what is on the disk is what was finite.

use super::size;
use super::training_support::{self, data, pictures};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use striate::cpu;
use striate::data::{Dataset, Images, Splits};
use striate::gpu::{self, Gpu};
use striate::inference::initialise;
use striate::interchange::safetensors;
use striate::model::{Model, Spec};
use striate::ops::Target;
use striate::program::{BufferId, Executor, Pending, Program, Span};
use striate::run::{Checkpoint, RunFolder};
use striate::train::{Event, Options, Trainer, TrainingTask};
use striate::{Error, Result};

const LAYERS: &str = r#"
[[layer]]
name = "c1"
op = "conv2d"
out_channels = 5
kernel = 3
[[layer]]
name = "n1"
op = "batch_norm2d"
[[layer]]
name = "r1"
op = "relu"
[[layer]]
name = "c2"
op = "conv2d"
out_channels = 4
kernel = 3
[[layer]]
name = "r2"
op = "relu"
[[layer]]
name = "p2"
op = "max_pool2d"
kernel = 2
[[layer]]
op = "flatten"
[[layer]]
name = "l1"
op = "linear"
out_features = 6
[[layer]]
name = "r3"
op = "relu"
[[layer]]
name = "l2"
op = "linear"
out_features = 4
"#;

/// Two epochs of seven updates.
fn network(optimiser: &str) -> Spec {
    let head = "name = \"net\"\ninput = [1, 8, 8]\n[preprocess]\nmean = [0.4]\nstd = [0.3]\n[recipe]\nepochs = 2\n\
                batch_size = 8\nlr = 0.01\n";
    Spec::parse(&format!("{head}{optimiser}\n{LAYERS}"), "net").unwrap()
}

/// The update, from 0, at which something is put in: the second of the second epoch, after a checkpoint.
const STEP: usize = 8;

/// When a value is put into a buffer.
#[derive(Clone, Copy, Debug, PartialEq)]
enum When {
    BeforeStep,
    /// After the gradients have been computed.
    BeforeUpdate,
    /// Into what the host sends.
    Sent,
}

/// Passes everything on, and puts `value` into the middle of `buffer` once.
struct Poisoner<'a> {
    inner: &'a mut dyn Executor,
    poison: Option<(When, BufferId, f32)>,
    steps: usize,
}

impl Poisoner<'_> {
    fn put(&mut self, when: When) -> Result<()> {
        if let Some((_, buffer, value)) = self.poison.filter(|p| p.0 == when && self.steps == STEP) {
            let mut values = self.inner.read(buffer)?;
            let middle = values.len() / 2;
            values[middle] = value;
            self.inner.write(buffer, &values)?;
        }
        Ok(())
    }
}

impl Executor for Poisoner<'_> {
    fn write(&mut self, buffer: BufferId, values: &[f32]) -> Result<()> {
        self.inner.write(buffer, values)?;
        if self.poison.is_some_and(|(when, to, _)| (when, to) == (When::Sent, buffer)) {
            self.put(When::Sent)?;
        }
        Ok(())
    }
    fn start_read(&mut self, buffer: BufferId) -> Result<Pending> {
        self.inner.start_read(buffer)
    }
    fn finish_read(&mut self, pending: Pending) -> Result<Vec<f32>> {
        self.inner.finish_read(pending)
    }
    fn run(&mut self, span: Span) -> Result<()> {
        if span != Span::Train {
            return self.inner.run(span);
        }
        self.put(When::BeforeStep)?;
        self.inner.run(Span::Gradients)?;
        self.put(When::BeforeUpdate)?;
        self.inner.run(Span::Update)?;
        self.steps += 1;
        Ok(())
    }
    fn wait(&mut self) -> Result<()> {
        self.inner.wait()
    }
}

/// A device that runs are made on.
enum Place {
    Cpu,
    Gpu(Gpu),
}

impl Place {
    fn all() -> Vec<Place> {
        let gpu = training_support::gpu().map(Place::Gpu);
        [Some(Place::Cpu), gpu].into_iter().flatten().collect()
    }

    fn name(&self) -> &str {
        if matches!(self, Place::Cpu) { "cpu" } else { "gpu" }
    }

    fn executor(&self, program: &Arc<Program>) -> Result<Box<dyn Executor>> {
        Ok(match self {
            Place::Cpu => Box::new(cpu::Executor::new(program.clone())?),
            Place::Gpu(gpu) => Box::new(gpu::Executor::new(gpu, program.clone())?),
        })
    }
}

/// A run of `spec` that begins with what `change` makes of its initial values, and has `poison` put in; and its folder.
fn train(
    place: &Place,
    (spec, model): (&Spec, &Model),
    data: &Splits,
    poison: Option<(When, BufferId, f32)>,
    folder: &Path,
    change: impl Fn(&mut dyn Executor),
) -> Result<()> {
    let options = Options::default().with_seed(3).with_checkpoint_every(Some(4));
    let mut executor = place.executor(&model.program)?;
    initialise(model, executor.as_mut(), options.seed)?;
    change(executor.as_mut());
    let mut executor = Poisoner { inner: executor.as_mut(), poison, steps: 0 };
    let (stop, mut observer) = (AtomicBool::new(false), |_: &Event| Ok(()));
    let task = TrainingTask { spec, model, data, options: &options, device: place.name().into() };
    let executors = |program: Arc<Program>| Place::Cpu.executor(&program);
    let folder = RunFolder::create(folder, "run", "")?;
    let trainer = folder.keep(Trainer::new(task, &mut executor, &mut observer, &stop)?);
    trainer.with_executor_factory(&executors).run().map(|_| ())
}

/// The one line of an error with exit code 5.
#[track_caller]
fn diverged(result: Result<()>, what: &str) -> String {
    let error = result.expect_err(what);
    assert!(matches!(error, Error::Diverged(_)) && error.exit_code() == 5, "{what}: {error}");
    error.to_string()
}

/// What is in the folder is finite, and of the step before the poison.
#[track_caller]
fn assert_kept(folder: &Path) {
    let run = folder.join("run");
    assert_eq!(Checkpoint::read(&run.join("checkpoint.safetensors")).unwrap().step(), STEP);
    for name in ["checkpoint", "checkpoint-1", "last", "best"] {
        let file = safetensors::read(run.join(format!("{name}.safetensors"))).unwrap();
        let finite = |(name, tensor): (&String, &striate::tensor::Tensor)| {
            assert!(tensor.data().iter().all(|value| value.is_finite()), "{name}")
        };
        file.tensors.iter().for_each(finite);
    }
}

const VALUES: [f32; 3] = [f32::NAN, f32::INFINITY, f32::NEG_INFINITY];

#[test]
fn what_is_no_number_is_found_in_the_step_and_named() {
    let data = data(51, 20);
    for place in Place::all() {
        let (mut found, mut runs) = ([0; 3], 0);
        // On a software adapter every run costs a tenth of a second: one value each, in turn, says as much.
        let values = if matches!(place, Place::Cpu) { 3 } else { size(1, 3) };
        for optimiser in ["momentum = 0.9", "optimizer = \"adam\"", "optimizer = \"rmsprop\"\nmomentum = 0.5"]
        {
            let spec = network(optimiser);
            let options = Options::default().build_options(&spec, Target::Class);
            let model = Model::build(&spec, &options).unwrap();
            for parameter in &model.parameters {
                let name = &parameter.name;
                let states = model.optimizer_state(name);
                let weight = [(When::BeforeStep, parameter.buffer, format!("{name} holds"), 0)];
                let state = states.iter().map(|(_, state)| {
                    (When::BeforeStep, *state, format!("the optimiser's state of {name} holds"), 1)
                });
                let gradient = [(When::BeforeUpdate, parameter.gradient.unwrap(), name.clone(), 2)];
                for (when, buffer, said, kind) in weight.into_iter().chain(state).chain(gradient) {
                    for value in VALUES.into_iter().cycle().skip(runs).take(values) {
                        let folder = tempfile::tempdir().unwrap();
                        let what = format!("{}, {optimiser}: {value} in {said}", place.name());
                        let poison = Some((when, buffer, value));
                        let result = train(&place, (&spec, &model), &data, poison, folder.path(), |_| {});
                        let text = diverged(result, &what);
                        let at = format!("in epoch 2 of 2, step {} of the run, ", STEP + 1);
                        assert!(text.contains(&said) && text.contains(&at), "{what}: {text}");
                        let before = text.contains("already before the update");
                        assert_eq!(before, when == When::BeforeStep, "{what}: {text}");
                        assert_kept(folder.path());
                        found[kind] += 1;
                        runs += 1;
                    }
                }
            }
        }
        println!(
            "C5 {}: {runs} of {runs} found in the step and named: {} in weights, {} in states, {} in gradients",
            place.name(),
            found[0],
            found[1],
            found[2]
        );
    }
}

#[test]
fn inputs_and_activations_that_are_no_numbers_are_found_in_the_step() {
    let data = data(51, 20);
    let spec = network("momentum = 0.9");
    let model = Model::build(&spec, &Options::default().build_options(&spec, Target::Class)).unwrap();
    for place in Place::all() {
        let (mut inputs, mut activations, mut harmless) = (0, 0, 0);
        for value in VALUES {
            // On the way to the device: no sample is to blame, but the step is known.
            let folder = tempfile::tempdir().unwrap();
            let poison = Some((When::Sent, model.input, value));
            let result = train(&place, (&spec, &model), &data, poison, folder.path(), |_| {});
            let text = diverged(result, &format!("{value} in the input"));
            assert!(text.contains(&format!("in epoch 2 of 2, step {} of the run, ", STEP + 1)), "{text}");
            assert_kept(folder.path());
            // In the data: the sample is named.
            let Dataset { images: Images::U8(pixels), labels, .. } = pictures([1, 8, 8], 4, 51) else {
                panic!("images are bytes")
            };
            let mut numbers: Vec<f32> = pixels.iter().map(|&pixel| f32::from(pixel) / 255.0).collect();
            numbers[37 * 64 + 5] = value;
            let train_set = Dataset { images: Images::F32(numbers), labels, ..pictures([1, 8, 8], 4, 1) };
            let splits = Splits::new(Arc::new(train_set), data.val.clone());
            let folder = tempfile::tempdir().unwrap();
            let result = train(&place, (&spec, &model), &splits, None, folder.path(), |_| {});
            let text = diverged(result, "a sample");
            assert!(
                text.contains("the image of training sample 37") && text.contains("in epoch 1 of "),
                "{text}"
            );
            inputs += 2;
        }
        // A layer whose weights are numbers, but what it makes of its input is none: +Inf, -Inf and, where both meet, NaN.
        for layer in ["c1", "c2", "l1"] {
            for sign in [1.0, -1.0, 0.0] {
                let folder = tempfile::tempdir().unwrap();
                let named = |name: &str| model.parameters.iter().find(|p| p.name == name).unwrap();
                let weight = named(&format!("{layer}.weight"));
                let huge = |executor: &mut dyn Executor| {
                    let values: Vec<f32> = (0..weight.shape.len())
                        .map(
                            |i| if sign == 0.0 { if i % 2 == 0 { 3e38 } else { -3e38 } } else { sign * 3e38 },
                        )
                        .collect();
                    executor.write(weight.buffer, &values).unwrap();
                };
                let result = train(&place, (&spec, &model), &data, None, folder.path(), huge);
                let what = format!("{}: {sign} in layer {layer}", place.name());
                // -Inf before a ReLU is 0 after it, and its gradient 0: there is nothing to be found, and nothing to be harmed.
                if sign < 0.0 && ["c2", "l1"].contains(&layer) {
                    result.unwrap_or_else(|error| panic!("{what}: {error}"));
                    let newest = safetensors::read(folder.path().join("run/checkpoint.safetensors")).unwrap();
                    assert!(
                        newest.tensors.values().all(|t| t.data().iter().all(|v| v.is_finite())),
                        "{what}"
                    );
                    harmless += 1;
                    continue;
                }
                let text = diverged(result, &what);
                assert!(text.contains("in epoch 1 of 2, step 1 of the run, "), "{what}: {text}");
                assert!(text.contains(&format!("layer {layer} is the first")), "{what}: {text}");
                assert!(!folder.path().join("run/checkpoint.safetensors").exists(), "{what}");
                assert!(!folder.path().join("run/best.safetensors").exists(), "{what}");
                activations += 1;
            }
        }
        println!(
            "C5 {}: {inputs} of {inputs} inputs and {activations} of {activations} activations found in the step; \
             {harmless} of -Inf before a ReLU harmed nothing",
            place.name()
        );
    }
}

#[test]
fn running_statistics_that_are_no_numbers_are_found_before_anything_is_saved() {
    let data = data(51, 20);
    let spec = network("momentum = 0.9");
    let model = Model::build(&spec, &Options::default().build_options(&spec, Target::Class)).unwrap();
    for place in Place::all() {
        for state in &model.state {
            let folder = tempfile::tempdir().unwrap();
            let poison = Some((When::BeforeStep, state.buffer, f32::NAN));
            let result = train(&place, (&spec, &model), &data, poison, folder.path(), |_| {});
            let text = diverged(result, &state.name);
            assert!(text.contains(&state.name), "{text}");
            assert_kept(folder.path());
        }
    }
}
