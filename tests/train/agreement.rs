//! Moving averages, MixUp and CutMix in whole runs against timm, torchvision and PyTorch with the same random numbers
//! (`tests/fixtures/regularization/make.py`), on the CPU path and on a GPU.

use crate::training_support::gpu;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use striate::data::{Dataset, Images, Labels, Splits};
use striate::inference::{Named, collect, collect_averaged, initialise, load};
use striate::interchange::{File, safetensors};
use striate::model::{Model, Spec};
use striate::ops::Target;
use striate::program::Executor;
use striate::tensor::Tensor;
use striate::train::{Event, Options, Trainer, TrainingTask};

/// SEED and DECAY of the script.
const SEED: u64 = 123_456_789_012_345;
const DECAY: f64 = 0.9;

struct Fixture {
    spec: Spec,
    data: Splits,
    tensors: BTreeMap<String, Tensor>,
}

impl Fixture {
    fn load() -> Fixture {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/regularization");
        let spec = Spec::load(&folder.join("network.toml").to_string_lossy()).unwrap();
        let tensors = safetensors::read(folder.join("fixture.safetensors")).unwrap().tensors;
        let set = Dataset {
            name: "fixture".into(),
            shape: spec.input,
            classes: 5,
            class_names: (0..5).map(|class| class.to_string()).collect(),
            images: Images::F32(tensors["images"].data().to_vec()),
            labels: Labels::Classes(tensors["labels"].data().iter().map(|&label| label as u32).collect()),
        };
        let empty =
            Dataset { images: Images::F32(Vec::new()), labels: Labels::Classes(Vec::new()), ..set.clone() };
        Fixture { spec, data: Splits::new(Arc::new(set), Arc::new(empty)), tensors }
    }

    /// Options and label smoothing of a run of the fixture.
    fn run(name: &str) -> (Options, f32) {
        let options =
            Options::default().with_seed(SEED).with_shuffle(false).with_log_every(1).with_workers(2);
        match name {
            "ema" => (options.with_ema(DECAY), 0.0),
            "mixup" => (options.with_mixup(0.4), 0.0),
            "cutmix" => (options.with_cutmix(1.0), 0.0),
            _ => (options.with_mixup(0.8).with_cutmix(0.7), 0.1),
        }
    }

    fn model(&self, options: &Options, smoothing: f32) -> (Spec, Model) {
        let mut spec = self.spec.clone();
        spec.recipe.label_smoothing = smoothing;
        let model = Model::build(&spec, &options.build_options(&spec, Target::Class)).unwrap();
        (spec, model)
    }

    /// Losses of the steps, and weights and averages after them, from the fixture's initial parameters.
    fn train(&self, spec: &Spec, model: &Model, options: &Options, executor: &mut dyn Executor) -> Trained {
        initialise(model, executor, 0).unwrap();
        let given = self.tensors.iter().filter_map(|(name, tensor)| {
            Some((name.strip_prefix("parameter.")?.to_string(), tensor.clone()))
        });
        let file = File {
            path: "fixture".into(),
            tensors: given.collect(),
            metadata: BTreeMap::new(),
            notes: Vec::new(),
        };
        load(model, executor, file, None).unwrap();
        let mut losses = Vec::new();
        let mut observer = |event: &Event| {
            losses.extend(if let Event::Step(step) = event { Some(step.loss) } else { None });
            Ok(())
        };
        let stop = AtomicBool::new(false);
        let task = TrainingTask { spec, model, data: &self.data, options, device: "test".into() };
        Trainer::new(task, executor, &mut observer, &stop).unwrap().run().unwrap();
        let (after, averages) =
            (collect(model, executor).unwrap(), collect_averaged(model, executor).unwrap());
        Trained { losses, after, averages }
    }

    fn on_cpu(&self, (options, smoothing): (Options, f32)) -> Trained {
        let (spec, model) = self.model(&options, smoothing);
        let mut executor = striate::cpu::Executor::new(model.program.clone()).unwrap();
        self.train(&spec, &model, &options, &mut executor)
    }

    /// What does not agree with run `name` of the fixture: losses to 1e-5, tensors to 2e-5 of their norm.
    fn faults(&self, name: &str, found: &Trained) -> Vec<String> {
        let mut faults = Vec::new();
        let expected = self.tensors[&format!("{name}.losses")].data();
        assert_eq!(found.losses.len(), expected.len());
        for (step, (found, &expected)) in found.losses.iter().zip(expected).enumerate() {
            if (found - f64::from(expected)).abs() > 1e-5 * f64::from(expected) {
                faults.push(format!("{name}: loss of step {step}: {found}, expected {expected}"));
            }
        }
        for (kind, tensors) in [("final", &found.after), ("ema", &found.averages)] {
            for (tensor, found) in tensors {
                let Some(expected) = self.tensors.get(&format!("{name}.{kind}.{tensor}")) else { continue };
                let norm = |values: &mut dyn Iterator<Item = f32>| values.map(|v| v * v).sum::<f32>().sqrt();
                let off = norm(&mut found.data().iter().zip(expected.data()).map(|(a, b)| a - b));
                if off > 2e-5 * norm(&mut expected.data().iter().copied()) {
                    faults.push(format!("{name}: {kind} {tensor} is off by {off}"));
                }
            }
        }
        faults
    }
}

struct Trained {
    losses: Vec<f64>,
    after: Named,
    averages: Named,
}

const RUNS: [&str; 4] = ["ema", "mixup", "cutmix", "both"];

#[test]
fn ten_steps_agree_with_timm_and_torchvision() {
    let fixture = Fixture::load();
    for name in RUNS {
        let faults = fixture.faults(name, &fixture.on_cpu(Fixture::run(name)));
        assert!(faults.is_empty(), "{}", faults.join("\n"));
    }
}

#[test]
fn ten_steps_agree_on_the_gpu_too() {
    let Some(gpu) = gpu() else { return };
    let fixture = Fixture::load();
    for name in RUNS {
        let (options, smoothing) = Fixture::run(name);
        let (spec, model) = fixture.model(&options, smoothing);
        let mut executor = striate::gpu::Executor::new(&gpu, model.program.clone()).unwrap();
        let faults = fixture.faults(name, &fixture.train(&spec, &model, &options, &mut executor));
        assert!(faults.is_empty(), "gpu: {}", faults.join("\n"));
    }
}

/// The test of the test.
#[test]
fn other_options_do_not_agree() {
    let fixture = Fixture::load();
    let noticed = |name: &str, change: &dyn Fn(Options, f32) -> (Options, f32)| {
        let (options, smoothing) = Fixture::run(name);
        let faults = fixture.faults(name, &fixture.on_cpu(change(options, smoothing)));
        assert!(!faults.is_empty(), "{name}: not noticed");
    };
    noticed("ema", &|o, s| (o.with_ema(0.9001), s));
    noticed("ema", &|o, s| (o.with_ema(None), s));
    noticed("mixup", &|o, s| (o.with_mixup(0.401), s));
    noticed("mixup", &|o, s| (o.with_seed(SEED + 1), s));
    noticed("cutmix", &|o, s| (o.with_cutmix(1.3), s));
    noticed("both", &|o, s| (o.with_cutmix(None), s));
    noticed("both", &|o, _| (o, 0.0));
}
