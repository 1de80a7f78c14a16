//! A small network, small images, and runs of the trainer, for tests of training.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use striate::Result;
use striate::data::{Dataset, Images, Labels, OnBadFile, Splits};
use striate::inference::{BatchSource, Confusion, Totals, class_weights, collect, initialise, load};
use striate::interchange::File;
use striate::model::{BuildOptions, Model, Spec};
use striate::ops::Target;
use striate::program::Executor;
use striate::random::{Purpose, Stream};
use striate::run::RunFolder;
use striate::tensor::Tensor;
use striate::train::{Done, Epoch, Event, Options, Step, Trainer, TrainingTask};

const SMALL: &str = r#"
name = "small"
input = [1, 8, 8]
[preprocess]
mean = [0.4]
std = [0.3]
[recipe]
epochs = 1
batch_size = 16
lr = 0.05
[[layer]]
name = "features.0"
op = "conv2d"
out_channels = 6
kernel = 3
padding = 1
[[layer]]
name = "features.1"
op = "relu"
[[layer]]
name = "features.2"
op = "max_pool2d"
kernel = 2
[[layer]]
op = "flatten"
[[layer]]
name = "classifier.0"
op = "dropout"
p = 0.1
[[layer]]
name = "classifier.1"
op = "linear"
out_features = 12
[[layer]]
name = "classifier.2"
op = "relu"
[[layer]]
name = "classifier.3"
op = "linear"
out_features = 4
"#;

/// A network of five thousand or so multiply-adds with four classes.
pub fn small() -> Spec {
    Spec::parse(SMALL, "small").unwrap()
}

/// Nothing random but the initial values.
pub fn plain() -> Options {
    Options::default().with_shuffle(false).with_augment(false).with_dropout(false)
}

/// Grey images whose class is which stripe is bright, with noise.
pub fn pictures(shape: [usize; 3], classes: usize, samples: usize) -> Dataset {
    let [channels, height, width] = shape;
    let mut pixels = Vec::new();
    let mut labels = Vec::new();
    for sample in 0..samples {
        let mut stream = Stream::new(11, Purpose::Test, sample as u32);
        let class = stream.below(classes as u32);
        labels.push(class);
        for i in 0..channels * height * width {
            let stripe = i / width % height * classes / height;
            let light = if stripe == class as usize { 120 } else { 0 };
            pixels.push((light + stream.below(130)) as u8);
        }
    }
    Dataset {
        name: "stripes".into(),
        shape,
        classes,
        class_names: (0..classes).map(|class| format!("stripe {class}")).collect(),
        images: Images::U8(pixels),
        labels: Labels::Classes(labels),
    }
}

/// Images for [`small`]: `train` to train on; the first `val` of the same to validate on.
pub fn data(train: usize, val: usize) -> Splits {
    let set = |samples| Arc::new(pictures([1, 8, 8], 4, samples));
    Splits::new(set(train), set(val))
}

/// What a run reported, and its weights before and after.
#[derive(Debug)]
pub struct Run {
    pub events: Vec<Event>,
    pub done: Done,
    pub before: BTreeMap<String, Tensor>,
    pub after: BTreeMap<String, Tensor>,
}

impl Run {
    pub fn epochs(&self) -> Vec<Epoch> {
        self.events
            .iter()
            .filter_map(|e| if let Event::Epoch(e) = e { Some(e.clone()) } else { None })
            .collect()
    }

    pub fn steps(&self) -> Vec<Step> {
        self.events
            .iter()
            .filter_map(|e| if let Event::Step(e) = e { Some(e.clone()) } else { None })
            .collect()
    }

    /// Fails unless all weights agree within `tolerance` and differ from where they started.
    #[track_caller]
    pub fn assert_near(&self, other: &Run, tolerance: f32) {
        for (name, tensor) in &self.after {
            for (a, b) in tensor.data().iter().zip(other.after[name].data()) {
                assert!((a - b).abs() < tolerance, "{name}: {a} {b}");
            }
            assert_ne!(tensor, &self.before[name], "{name} was not trained");
        }
    }
}

/// A run on the CPU without a folder.
pub fn train(spec: &Spec, data: &Splits, options: &Options) -> Run {
    try_train(spec, data, options, None).unwrap()
}

/// A run on the CPU.
pub fn try_train(spec: &Spec, data: &Splits, options: &Options, folder: Option<RunFolder>) -> Result<Run> {
    let mut build = options.build_options(spec, Target::Class);
    build.class_weights = class_weights(&spec.recipe, &data.train, data.train.classes)?;
    let model = Model::build(spec, &build)?;
    let mut executor = striate::cpu::Executor::new(model.program.clone())?;
    run(spec, &model, data, options, &mut executor, folder)
}

/// A run on the CPU that starts from the weights of `file`, except for the layer `replaced`.
pub fn fine_tune(spec: &Spec, data: &Splits, options: &Options, file: File, replaced: &str) -> Run {
    let model = Model::build(spec, &options.build_options(spec, Target::Class)).unwrap();
    let mut executor = striate::cpu::Executor::new(model.program.clone()).unwrap();
    initialise(&model, &mut executor, options.seed).unwrap();
    load(&model, &mut executor, file, (!replaced.is_empty()).then_some(replaced)).unwrap();
    start(spec, &model, data, options, &mut executor, None).unwrap()
}

/// A run on a given executor.
pub fn train_on(
    spec: &Spec,
    model: &Model,
    data: &Splits,
    options: &Options,
    executor: &mut dyn Executor,
) -> Run {
    run(spec, model, data, options, executor, None).unwrap()
}

fn run(
    spec: &Spec,
    model: &Model,
    data: &Splits,
    options: &Options,
    executor: &mut dyn Executor,
    folder: Option<RunFolder>,
) -> Result<Run> {
    initialise(model, executor, options.seed)?;
    start(spec, model, data, options, executor, folder)
}

/// A run from the weights that `executor` holds.
fn start(
    spec: &Spec,
    model: &Model,
    data: &Splits,
    options: &Options,
    executor: &mut dyn Executor,
    folder: Option<RunFolder>,
) -> Result<Run> {
    let before = collect(model, executor)?.into_iter().collect();
    let mut events = Vec::new();
    let mut observer = |event: &Event| {
        events.push(event.clone());
        Ok(())
    };
    let stop = AtomicBool::new(false);
    let task = TrainingTask { spec, model, data, options, device: "test".into() };
    let executors = |program| Ok(Box::new(striate::cpu::Executor::new(program)?) as Box<dyn Executor>);
    let trainer = Trainer::new(task, executor, &mut observer, &stop)?;
    let trainer = folder.into_iter().fold(trainer, |trainer, folder| folder.keep(trainer));
    let done = trainer.with_executor_factory(&executors).run()?;
    let after = collect(model, executor)?.into_iter().collect();
    Ok(Run { events, done, before, after })
}

/// How samples become batches for `spec`.
pub fn batch_source(spec: &Spec, model: &Model) -> BatchSource {
    BatchSource::new(spec, model, 0, 1, OnBadFile::Skip)
}

/// The weights of `file` over `data`, on the CPU.
pub fn evaluate(spec: &Spec, file: File, data: &Arc<Dataset>) -> (Totals, Confusion) {
    let build = BuildOptions { training: false, ..BuildOptions::new(spec.recipe.batch_size) };
    let model = Model::build(spec, &build).unwrap();
    let mut executor = striate::cpu::Executor::new(model.program.clone()).unwrap();
    load(&model, &mut executor, file, None).unwrap();
    let source = batch_source(spec, &model);
    let never = AtomicBool::new(false);
    striate::inference::evaluate_classes(&model, &mut executor, data, &source, &never).unwrap()
}

/// A GPU to test on: hardware if there is some, else the first software adapter. `None`, said loudly, if there is no
/// adapter at all; a failure if `STRIATE_REQUIRE_GPU=1`.
pub fn gpu() -> Option<striate::gpu::Gpu> {
    use striate::gpu::{AdapterSelector, Gpu, adapters};
    let found = Gpu::open(&AdapterSelector::Best).or_else(|_| Gpu::open(&AdapterSelector::Index(0)));
    match found {
        Ok(gpu) => Some(gpu),
        Err(error) if std::env::var("STRIATE_REQUIRE_GPU").is_ok_and(|v| v == "1") => {
            panic!("STRIATE_REQUIRE_GPU=1, but: {error}")
        }
        Err(error) => {
            assert!(adapters().is_empty(), "adapters are there but cannot be opened: {error}");
            eprintln!("SKIPPED, NOT TESTED: no GPU adapter here ({error})");
            None
        }
    }
}
