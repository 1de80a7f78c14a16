//! A run from the library does what the program's runs do: augmentation, dropout, freezing, loss scaling, stop, checkpoints
//! and resume, with a folder and without.

use std::cell::Cell;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use striate::data::{Dataset, Images, Labels, Sampler, Splits};
use striate::inference::{DataOptions, Messages, RecipeOverrides};
use striate::model::ClassWeights;
use striate::random::{Purpose, Stream};
use striate::run::{Checkpoint, Environment, Resume, Run, RunOptions};
use striate::train::{Done, Ending, Event, Options};
use striate::{Device, Network, NetworkOptions, Result, Spec};

const NET: &str = r#"
name = "dots"
input = [1, 8, 8]
[preprocess]
mean = [0.4]
std = [0.3]
[augment]
flip = true
[recipe]
epochs = 2
batch_size = 8
lr = 0.05
momentum = 0.9
[[layer]]
name = "conv"
op = "conv2d"
out_channels = 4
kernel = 3
[[layer]]
op = "relu"
[[layer]]
op = "flatten"
[[layer]]
op = "dropout"
[[layer]]
name = "head"
op = "linear"
out_features = 3
"#;

fn network() -> Network {
    let spec = Spec::parse(NET, "dots.toml").unwrap();
    Network::new(spec, &Device::cpu(), &NetworkOptions::default()).unwrap()
}

/// 45 training samples in batches of 8, the last of 5, and 12 to validate on; 6 updates an epoch.
fn dots() -> Splits {
    let part = |count: usize, seed: u64| {
        let mut random = Stream::new(seed, Purpose::Test, 0);
        let images = (0..count * 64).map(|_| random.below(256) as u8).collect();
        let labels = (0..count).map(|_| random.below(3)).collect();
        Arc::new(Dataset {
            name: "dots".into(),
            shape: [1, 8, 8],
            classes: 3,
            class_names: ["a", "b", "c"].map(String::from).to_vec(),
            images: Images::U8(images),
            labels: Labels::Classes(labels),
        })
    };
    Splits::new(part(45, 1), part(12, 2))
}

fn plain() -> Options {
    Options::default().with_seed(3).with_log_every(1)
}

/// Trains a new network without a folder; the weights and how it ended.
fn trained(options: &Options) -> (Vec<(String, Vec<f32>)>, Done) {
    let mut network = network();
    let done = network.train(&dots(), options, None, &mut |_: &Event| Ok(())).unwrap();
    (weights(&mut network), done)
}

fn weights(network: &mut Network) -> Vec<(String, Vec<f32>)> {
    network.weights().unwrap().into_iter().map(|(name, tensor)| (name, tensor.data().to_vec())).collect()
}

#[test]
fn the_network_has_the_averages_of_its_run() {
    let parent = tempfile::tempdir().unwrap();
    let options = plain().with_ema(0.8).with_mixup(0.3).with_random_erasing(0.2);
    let mut network = network();
    let (data, mut ignore) = (dots(), |_: &Event| Ok(()));
    let half = options.clone().with_max_steps(5);
    let training = network.training(&data).with_options(half).with_folder(parent.path(), "run");
    training.run(&mut ignore).unwrap();
    let run = parent.path().join("run");
    let training = network.training(&data).with_options(options.clone()).resume(&run);
    training.run(&mut ignore).unwrap();
    let file = |path: &Path| striate::interchange::safetensors::read(path).unwrap();
    let last = file(&run.join("last.safetensors"));
    for (name, values) in weights(&mut network) {
        assert_eq!(last.tensors[&name].data(), values, "{name}");
    }
    assert_eq!(weights(&mut network), trained(&options).0, "resumed");
    assert_ne!(weights(&mut network), trained(&options.with_ema(None)).0);
    network.save(parent.path().join("saved.safetensors")).unwrap();
    assert_eq!(file(&parent.path().join("saved.safetensors")).metadata["ema_decay"], "0.8");
}

#[test]
fn augmentation_dropout_and_shuffling_are_those_of_the_options() {
    let (all, done) = trained(&plain());
    assert_eq!((done.steps, done.ending, done.weights), (12, Ending::Complete, None));
    assert_eq!(all, trained(&plain()).0, "the same seed gives the same bits");
    for other in [
        plain().with_augment(false),
        plain().with_dropout(false),
        plain().with_shuffle(false),
        plain().with_seed(4),
        plain().with_overfit_batch(true),
        plain().with_sampler(Sampler::Balanced),
    ] {
        assert_ne!(all, trained(&other).0, "{other:?}");
    }
}

#[test]
fn frozen_parameters_keep_their_values() {
    let before = weights(&mut network());
    let after = trained(&plain().with_freeze("conv")).0;
    for ((name, before), (_, after)) in before.iter().zip(&after) {
        assert_eq!(name.starts_with("conv."), before == after, "{name}");
    }
    // What a network was made with stays so.
    let options = NetworkOptions::default().with_train(plain().with_freeze("conv"));
    let mut made = Network::new(Spec::parse(NET, "dots.toml").unwrap(), &Device::cpu(), &options).unwrap();
    made.train(&dots(), &plain(), None, &mut |_: &Event| Ok(())).unwrap();
    assert_eq!(
        weights(&mut made)[0].1,
        weights(&mut Network::new(Spec::parse(NET, "dots.toml").unwrap(), &Device::cpu(), &options).unwrap())
            [0]
        .1
    );
}

#[test]
fn a_loss_scale_of_two_powers_changes_no_bit_and_half_precision_needs_a_gpu() {
    // Products of powers of two are exact, so scaling and unscaling leave every gradient as it was.
    assert_eq!(trained(&plain()).0, trained(&plain().with_loss_scale(1024.0)).0);
    let mut network = network();
    let data = dots();
    let error = network.training(&data).with_amp().run(&mut |_: &Event| Ok(())).unwrap_err();
    assert_eq!(error.exit_code(), 3);
    assert!(error.to_string().contains("half precision: expected a GPU"), "{error}");
}

#[test]
fn class_weights_and_the_batch_size_are_methods_of_a_run() {
    let data = dots();
    let named = |names: [&str; 3]| {
        ClassWeights::Named(
            names.iter().zip([0.2, 1.0, 5.0]).map(|(name, w)| (name.to_string(), w)).collect(),
        )
    };
    let trained_with = |given| {
        let mut network = network();
        let training = network.training(&data).with_options(plain()).with_class_weights(given);
        training.run(&mut |_: &Event| Ok(())).map(|_| weights(&mut network))
    };
    let plain_weights = trained(&plain()).0;
    assert_eq!(trained_with(ClassWeights::None).unwrap(), plain_weights);
    assert_ne!(trained_with(named(["a", "b", "c"])).unwrap(), plain_weights);
    let error = trained_with(named(["a", "b", "d"])).unwrap_err();
    assert!(error.exit_code() == 2 && error.to_string().contains("found d"), "{error}");
    let wrong = ClassWeights::Named([("a".to_string(), -1.0)].into());
    assert!(trained_with(wrong).unwrap_err().to_string().contains("to 1000000, found -1"));
    // 45 samples: batches of 32, two updates in each of two epochs.
    let mut network = network();
    let done =
        network.training(&data).with_options(plain()).with_auto_batch().run(&mut |_: &Event| Ok(())).unwrap();
    assert_eq!(done.steps, 4);
    // A batch alone does not say what the weights of a recipe would be.
    let text = NET.replace("[recipe]", "[recipe]\nclass_weights = \"balanced\"");
    let spec = Spec::parse(&text, "dots.toml").unwrap();
    let mut network = Network::new(spec, &Device::cpu(), &NetworkOptions::default()).unwrap();
    let error = network.train_batch(&[0.0; 64], &[0], 0.1).unwrap_err();
    assert!(error.exit_code() == 2 && error.to_string().starts_with("class_weights: "), "{error}");
    assert_eq!(network.training(&data).run(&mut |_: &Event| Ok(())).unwrap().steps, 12);
}

#[test]
fn a_network_after_an_error_is_as_it_was() {
    let mut network = network();
    let (before, data) = (weights(&mut network), dots());
    let rule = |step: usize| if step < 3 { 0.05 } else { f32::INFINITY };
    let error = network.train(&data, &plain(), Some(Box::new(rule)), &mut |_: &Event| Ok(())).unwrap_err();
    assert_eq!(error.exit_code(), 5, "{error}");
    assert_eq!(weights(&mut network), before);
}

/// Trains with a folder below `parent`, stopped after `stop_at` updates if given, resumed from `from` if given.
fn in_folder(parent: &Path, stop_at: Option<usize>, from: Option<&Path>) -> (Vec<(String, Vec<f32>)>, Done) {
    let (mut network, data, stop) = (network(), dots(), AtomicBool::new(false));
    let mut observer = |event: &Event| {
        if let Event::Step(step) = event {
            stop.fetch_or(stop_at.is_some_and(|at| step.step >= at), Ordering::Relaxed);
        }
        Ok(())
    };
    let training = network.training(&data).with_options(plain()).with_stop(&stop);
    let done = match from {
        None => training.with_folder(parent, "run").run(&mut observer),
        Some(from) => training.resume(from).run(&mut observer),
    };
    let done = done.unwrap();
    (weights(&mut network), done)
}

#[test]
fn a_run_that_was_stopped_is_resumed_to_the_same_bits() {
    let parent = tempfile::tempdir().unwrap();
    let (whole, done) = in_folder(&parent.path().join("whole"), None, None);
    assert_eq!(done.steps, 12);
    assert!(parent.path().join("whole/run/best.safetensors").is_file());
    let (_, done) = in_folder(parent.path(), Some(4), None);
    assert_eq!(done.ending, Ending::Interrupted);
    assert!(done.steps < 12);
    let run = parent.path().join("run");
    let (resumed, done) = in_folder(parent.path(), None, Some(&run));
    assert_eq!((done.ending, done.steps), (Ending::Complete, 12));
    assert_eq!(resumed, whole);
    // The folder makes no difference.
    assert_eq!(trained(&plain()).0, whole);
    // Another run is refused, unless it is forced.
    let (mut other, data) = (network(), dots());
    let mut quiet = |_: &Event| Ok(());
    let training = other.training(&data).with_options(plain().with_seed(9)).resume(&run);
    let error = training.run(&mut quiet).unwrap_err();
    assert!(error.exit_code() == 2 && error.to_string().contains("seed: 3 in this run, 9 given"), "{error}");
    assert!(!error.to_string().contains("--"), "the library names no flags: {error}");
    other.training(&data).with_options(plain().with_seed(9)).resume(&run).force().run(&mut quiet).unwrap();
}

/// Asks for a checkpoint and hears the remarks of a run.
#[derive(Default)]
struct Around {
    save: AtomicBool,
    notes: Cell<usize>,
}

impl Messages for Around {
    fn note(&self, _line: &str) {
        self.notes.set(self.notes.get() + 1);
    }
}

impl Environment for Around {
    fn open_device(&self, _lost: Option<&Device>) -> Result<Device> {
        Ok(Device::cpu())
    }

    fn save(&self) -> Option<&AtomicBool> {
        Some(&self.save)
    }
}

#[test]
fn a_run_of_a_model_file_keeps_its_options_and_resumes_with_them() {
    let parent = tempfile::tempdir().unwrap();
    let model = parent.path().join("dots.toml");
    std::fs::write(&model, NET).unwrap();
    let mut recipe = RecipeOverrides::default();
    recipe.lr = Some(0.03);
    let mut data = DataOptions::default().with_limits(Some(40), Some(8));
    data.kind = "synthetic".parse().unwrap();
    let options = |name: &str| {
        RunOptions::of_model(model.display().to_string())
            .with_recipe(recipe.clone())
            .with_data(data.clone())
            .with_train(plain().with_max_steps(10).with_freeze("conv.bias"))
            .with_folder(parent.path(), name)
    };
    let around = Around::default();
    let hash = |run: Run<'_>, abort_at: Option<usize>| {
        let mut hash = String::new();
        let done = run.train(&mut |event: &Event| match event {
            Event::Step(step) if abort_at == Some(step.step) => Err(striate::Error::Usage("closed".into())),
            // A checkpoint at step 2, where nothing else makes one.
            Event::Step(step) => {
                around.save.fetch_or(step.step == 2, Ordering::Relaxed);
                Ok(())
            }
            Event::Epoch(epoch) => {
                hash.clone_from(&epoch.weights_sha256);
                Ok(())
            }
            _ => Ok(()),
        });
        (hash, done.map(|done| done.steps))
    };
    let whole = hash(Run::begin(options("whole"), &around).unwrap(), None);
    assert_eq!(*whole.1.as_ref().unwrap(), 10);
    assert!(around.notes.get() > 0);
    // It ends without a word after its fourth step, as a process that is killed.
    let (_, broken) = hash(Run::begin(options("broken"), &around).unwrap(), Some(4));
    assert!(broken.is_err());
    let folder = parent.path().join("broken");
    assert_eq!(RunOptions::of_folder(&folder).unwrap(), Some(options("broken")));
    let step = Checkpoint::read(&folder.join("checkpoint.safetensors")).unwrap().step();
    assert!((2..4).contains(&step), "{step}");
    let resumed = hash(Run::resume(&folder, &around).unwrap(), None);
    assert_eq!((resumed.0, resumed.1.unwrap()), (whole.0, 10));
    // Twice as many steps of more epochs: it may go on for longer, but not with another seed.
    let mut longer = options("broken");
    (longer.recipe.epochs, longer.train.max_steps) = (Some(30), Some(20));
    let notes = around.notes.get();
    let went_on = hash(Run::resume_with(longer.clone(), &folder, false, &around).unwrap(), None);
    assert_eq!(went_on.1.unwrap(), 20);
    assert!(around.notes.get() > notes);
    longer.train.seed += 1;
    let error = Run::resume_with(longer, &folder, false, &around).unwrap().train(&mut |_: &Event| Ok(()));
    let error = error.unwrap_err();
    assert!(matches!(error, striate::Error::OtherRun(_)) && error.exit_code() == 2);
    let text = error.to_string();
    assert!(text.lines().any(|line| line.starts_with("  seed: ") && line.ends_with(" given")), "{text}");
    // The newest run of a name, and a new one where there is none.
    assert!(Run::open(options("broken"), &Resume::Latest, false, &around).is_ok());
    assert!(Run::open(options("none"), &Resume::Latest, false, &around).is_ok());
    assert!(!parent.path().join("none").exists(), "nothing is written before training starts");
}
