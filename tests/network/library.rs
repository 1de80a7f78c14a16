//! The crate as a library: a network trained on the caller's batches, its answers, its files, its export.

use std::collections::BTreeMap;
use std::fs;
use std::sync::Arc;
use striate::inference;
use striate::interchange::{self, Format};
use striate::network::ExportCheck;
use striate::random::{Purpose, Stream};
use striate::train::{self, Event, Options};
use striate::{Device, Error, ExportOptions, Network, NetworkOptions, Spec, data};

const NET: &str = r#"
name = "bars"
input = [1, 6, 6]
[recipe]
batch_size = 8
optimizer = "sgd"
momentum = 0.9
[[layer]]
name = "features.0"
op = "conv2d"
out_channels = 4
kernel = 3
bias = false
[[layer]]
name = "features.1"
op = "batch_norm2d"
[[layer]]
op = "relu"
[[layer]]
op = "flatten"
[[layer]]
op = "dropout"
[[layer]]
name = "head"
op = "linear"
out_features = 2
"#;

fn spec() -> Spec {
    Spec::parse(NET, "bars.toml").unwrap()
}

fn network(options: &NetworkOptions) -> Network {
    Network::new(spec(), &Device::cpu(), options).unwrap()
}

/// Bars that lie (class 0) or stand (class 1) somewhere in noise.
fn bars(count: usize, seed: u64) -> (Vec<f32>, Vec<u32>) {
    let mut random = Stream::new(seed, Purpose::Test, 0);
    let (mut images, mut labels) = (Vec::new(), Vec::new());
    for _ in 0..count {
        let (class, place) = (random.below(2), random.below(6) as usize);
        images.extend((0..36).map(|at| {
            let on = if class == 0 { at / 6 == place } else { at % 6 == place };
            f32::from(u8::from(on)) + 0.1 * random.normal()
        }));
        labels.push(class);
    }
    (images, labels)
}

/// `count` bars as a data set whose last label is `last`.
fn bars_with(count: usize, last: u32) -> Arc<data::Dataset> {
    let (images, mut labels) = bars(count, 3);
    labels[count - 1] = last;
    Arc::new(data::Dataset {
        name: "bars".into(),
        shape: [1, 6, 6],
        classes: 2,
        class_names: vec!["lying".into(), "standing".into()],
        images: data::Images::F32(images),
        labels: data::Labels::Classes(labels),
    })
}

#[test]
fn a_label_without_an_output_is_an_error_of_training_and_evaluation() {
    let (good, bad) = (bars_with(16, 1), bars_with(16, 2));
    for (train, val) in [(&good, &bad), (&bad, &good)] {
        let splits = data::Splits::new(Arc::clone(train), Arc::clone(val));
        for names in [["lying", "standing"], ["standing", "lying"]] {
            let mut network = network(&NetworkOptions::default());
            network.name_classes(&names).unwrap();
            let error = network.training(&splits).run(&mut |_: &Event| Ok(())).unwrap_err();
            assert!(matches!(error, Error::Usage(_)), "{error}");
            let text = error.to_string();
            assert!(text.starts_with("bars: expected labels below 2, the number of "), "{text}");
            assert!(text.ends_with(", found 2"), "{text}");
        }
    }
    let mut network = network(&NetworkOptions::default());
    assert!(network.evaluate(&good).is_ok());
    let error = network.evaluate(&bad).unwrap_err().to_string();
    assert_eq!(error, "bars: expected labels below 2, the number of outputs, found 2");
}

fn trained() -> Network {
    let mut network = network(&NetworkOptions::default());
    for step in 0..80 {
        let (images, labels) = bars(8, step);
        network.train_batch(&images, &labels, 0.02).unwrap();
    }
    network
}

#[test]
fn a_network_learns_from_batches_of_ones_own_and_answers_any_number_of_rows() {
    let mut network = trained();
    network.name_classes(&["lying", "standing"]).unwrap();
    // Not a multiple of the batch.
    let (images, labels) = bars(101, 1000);
    let answers = network.predict(&images, 2).unwrap();
    let right = answers.iter().zip(&labels).filter(|(a, label)| a[0].class == **label as usize).count();
    assert!(right >= 95, "{right} of 101");
    assert_eq!(answers.len(), 101);
    assert_eq!(answers[0][0].name, ["lying", "standing"][answers[0][0].class]);
    for row in network.probabilities(&images).unwrap().chunks(2) {
        assert!((row[0] + row[1] - 1.0).abs() < 1e-12);
    }
    // Rows do not see each other: batch norm takes its running statistics, dropout does nothing.
    let all = network.logits(&images).unwrap();
    let last = network.logits(&images[100 * 36..]).unwrap();
    for (a, b) in all[200..].iter().zip(&last) {
        assert!((a - b).abs() < 1e-5, "{a} {b}");
    }
}

#[test]
fn batches_train_as_the_trainer_does() {
    let (images, labels) = bars(24, 3);
    let classes = labels.clone();
    let dataset = Arc::new(data::Dataset {
        name: "bars".into(),
        shape: [1, 6, 6],
        classes: 2,
        class_names: vec!["lying".into(), "standing".into()],
        images: data::Images::F32(images.clone()),
        labels: data::Labels::Classes(classes),
    });
    let splits = data::Splits::new(dataset.clone(), dataset.clone());
    let mut whole = network(&NetworkOptions::default());
    whole.spec().recipe.check().unwrap();
    let options = Options::default().with_shuffle(false).with_augment(false).with_max_steps(Some(3));
    let mut rates = Vec::new();
    let mut observer = |event: &Event| {
        if let Event::Epoch(epoch) = event {
            rates.push(epoch.lr);
        }
        Ok::<(), Error>(())
    };
    let rule = |step: usize| 0.05 / (1.0 + step as f32);
    whole.train(&splits, &options, Some(Box::new(rule)), &mut observer).unwrap();
    assert_eq!(rates, [0.05 / 3.0]);
    assert_eq!(whole.class_names(), ["lying", "standing"]);

    let mut single = network(&NetworkOptions::default());
    for (step, (images, labels)) in images.chunks(8 * 36).zip(labels.chunks(8)).enumerate() {
        single.train_batch(images, labels, rule(step)).unwrap();
    }
    assert_eq!(single.weights().unwrap(), whole.weights().unwrap());
    let (a, b) = (single.evaluate(&dataset).unwrap(), whole.evaluate(&dataset).unwrap());
    assert_eq!((a, a.rows()), (b, 24));
}

#[test]
fn classes_are_matched_by_name_and_unknown_ones_are_refused() {
    let (images, labels) = bars(24, 3);
    let set = |names: [&str; 2], labels: Vec<u32>| {
        Arc::new(data::Dataset {
            name: "bars".into(),
            shape: [1, 6, 6],
            classes: 2,
            class_names: names.map(String::from).to_vec(),
            images: data::Images::F32(images.clone()),
            labels: data::Labels::Classes(labels),
        })
    };
    let mut network = trained();
    network.name_classes(&["lying", "standing"]).unwrap();
    let same = set(["lying", "standing"], labels.clone());
    let swapped = set(["standing", "lying"], labels.iter().map(|label| 1 - label).collect());
    let other = set(["lying", "leaning"], labels.clone());
    let right = network.evaluate(&same).unwrap();
    assert_eq!(right.acc1(), 100.0);
    assert_eq!(network.evaluate(&swapped).unwrap(), right);
    let error = network.evaluate(&other).unwrap_err();
    assert!(error.to_string().contains("whose class 1 is \"leaning\", found \"standing\""), "{error}");

    let mut train = |data: &Arc<data::Dataset>| {
        let splits = data::Splits::new(data.clone(), data.clone());
        let options = Options::default().with_augment(false).with_max_steps(Some(1));
        let mut acc1 = 0.0;
        let mut observer = |event: &Event| {
            if let Event::Epoch(epoch) = event {
                acc1 = epoch.acc1;
            }
            Ok::<(), Error>(())
        };
        let still: Box<dyn train::LearningRate> = Box::new(|_: usize| 0.0);
        network.train(&splits, &options, Some(still), &mut observer).map(|_| acc1)
    };
    assert_eq!(train(&swapped).unwrap(), 100.0);
    assert!(train(&other).unwrap_err().to_string().contains("leaning"));
    // The outputs are what they were.
    assert_eq!(network.class_names(), ["lying", "standing"]);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("bars.safetensors");
    network.save(&path).unwrap();
    let notes = interchange::read(&path).unwrap().metadata;
    assert_eq!((notes["classes"].as_str(), notes["data"].as_str()), (r#"["lying","standing"]"#, "bars"));
}

#[test]
fn what_is_saved_comes_back_and_can_be_fine_tuned() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("bars.safetensors");
    let mut network = trained();
    network.name_classes(&["lying", "standing"]).unwrap();
    network.save(&path).unwrap();
    let mut copy = Network::load(&path, &Device::cpu(), &NetworkOptions::inference(5)).unwrap();
    assert_eq!(copy.class_names(), ["lying", "standing"]);
    let (images, labels) = bars(11, 5);
    assert_eq!(copy.predict(&images, 1).unwrap().len(), 11);
    let answers_only = copy.train_batch(&images[..36], &labels[..1], 0.1).unwrap_err();
    assert_eq!(answers_only.exit_code(), 2);

    let file = interchange::read(&path).unwrap();
    let mut spec = inference::spec_of(&file, None).unwrap();
    let head = spec.replace_outputs(3).unwrap();
    let options = NetworkOptions::default().with_train(Options::default().with_freeze("features"));
    let mut tuned = Network::new(spec, &Device::cpu(), &options).unwrap();
    tuned.load_weights(file.clone(), Some(&head)).unwrap();
    tuned.train_batch(&images[..36 * 8], &labels[..8], 0.1).unwrap();
    let weights: BTreeMap<_, _> = tuned.weights().unwrap().into_iter().collect();
    assert_eq!(weights["features.0.weight"], file.tensors["features.0.weight"]);
    assert_eq!(weights["features.1.running_mean"], file.tensors["features.1.running_mean"]);
    assert_eq!(weights["head.weight"].shape().dims(), [3, 64]);
    // Other outputs than the model file says: the file still makes the same network.
    let path = folder.path().join("three.safetensors");
    tuned.save(&path).unwrap();
    let mut copy = Network::load(&path, &Device::cpu(), &NetworkOptions::inference(11)).unwrap();
    assert_eq!(copy.logits(&images).unwrap(), tuned.logits(&images).unwrap());
}

#[test]
fn an_export_is_proven_and_nothing_is_left_of_one_that_fails() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("bars.safetensors");
    let mut network = trained();
    let (values, _) = bars(20, 8);
    let check = ExportCheck::Images { values, name: "bars".into() };
    let options = ExportOptions::new(Format::Safetensors).with_check(check);
    let proof = network.export(&path, &options).unwrap();
    assert_eq!((proof.samples, proof.max_difference, proof.data.as_str()), (20, 0.0, "bars"));
    assert_eq!(proof.bytes, fs::metadata(&path).unwrap().len());
    let file = interchange::read(&path).unwrap();
    assert_eq!(file.metadata["export_check_data"], "bars");
    assert_eq!(file.tensors.into_iter().collect::<Vec<_>>().len(), network.weights().unwrap().len());

    // Non-finite weights cannot be checked; the good file stays.
    let before = fs::read(&path).unwrap();
    let mut spoilt = interchange::read(&path).unwrap();
    spoilt.tensors.get_mut("head.bias").unwrap().data_mut()[0] = f32::NAN;
    network.load_weights(spoilt, None).unwrap();
    let error = network.export(&path, &options).unwrap_err();
    assert_eq!(error.exit_code(), 5, "{error}");
    assert_eq!(fs::read(&path).unwrap(), before);
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
}

#[test]
fn picture_files_are_answered_as_their_pixels_are_and_one_that_cannot_be_read_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let mut network = network(&NetworkOptions::inference(2));
    let (images, _) = bars(5, 9);
    let pixels: Vec<u8> = images.iter().map(|value| (value.clamp(0.0, 1.0) * 255.0) as u8).collect();
    let mut files: Vec<_> = (0..5).map(|number| folder.path().join(format!("{number}.png"))).collect();
    for (file, pixels) in files.iter().zip(pixels.chunks(36)) {
        image::GrayImage::from_raw(6, 6, pixels.to_vec()).unwrap().save(file).unwrap();
    }
    let values: Vec<f32> = pixels.iter().map(|&pixel| f32::from(pixel) * (1.0 / 255.0)).collect();
    let (found, expected) = (network.predict_files(&files, 2).unwrap(), network.predict(&values, 2).unwrap());
    assert_eq!(found.len(), 5);
    for (found, expected) in found.iter().flatten().zip(expected.iter().flatten()) {
        assert_eq!(found.class, expected.class);
        assert!((found.probability - expected.probability).abs() < 1e-6, "{found:?} {expected:?}");
    }
    fs::write(&files[3], b"no picture").unwrap();
    let error = network.predict_files(&files, 2).unwrap_err();
    assert!(error.exit_code() == 4 && error.to_string().contains("3.png"), "{error}");
    files.clear();
    assert!(network.predict_files(&files, 2).unwrap().is_empty());
}

/// A program whose `main` returns an error prints it like this.
#[test]
fn an_error_is_its_message_however_it_is_printed() {
    let error = interchange::read("gone.safetensors").unwrap_err();
    assert!(error.to_string().starts_with("gone.safetensors: "), "{error}");
    assert_eq!(format!("{error:?}"), error.to_string());
}

#[test]
fn batches_that_do_not_fit_are_named() {
    let mut network = network(&NetworkOptions::default());
    let (images, labels) = bars(9, 0);
    let mut refuse = |images: &[f32], labels: &[u32], lr: f32, what: &str| {
        let error = network.train_batch(images, labels, lr).unwrap_err();
        assert!(error.exit_code() == 2 && error.to_string().contains(what), "{error}");
    };
    refuse(&images, &labels, 0.1, "at most 8 rows");
    refuse(&images[..35], &labels[..1], 0.1, "rows of 36 values");
    refuse(&[], &[], 0.1, "rows of 36 values");
    refuse(&images[..72], &labels[..1], 0.1, "one for each of 2 rows");
    refuse(&images[..36], &[2], 0.1, "classes below 2");
    refuse(&images[..36], &labels[..1], f32::NAN, "lr");
    assert_eq!(network.name_classes(&["one"]).unwrap_err().exit_code(), 2);
    let error = network.train_batch(&[f32::INFINITY; 36], &[0], 0.1).unwrap_err();
    assert_eq!(error.exit_code(), 5, "{error}");
}

#[test]
fn a_network_asks_for_the_data_that_it_takes() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("digits.csv");
    let row = |label: usize| {
        let pixels: Vec<String> = (0..784).map(|n| ((n * 3 + label) % 256).to_string()).collect();
        format!("{label},{}\n", pixels.join(","))
    };
    let names: Vec<String> = (0..784).map(|n| format!("pixel{n}")).collect();
    fs::write(&path, format!("label,{}\n{}{}", names.join(","), row(0), row(1))).unwrap();
    let options = NetworkOptions::inference(2);
    let network = Network::new(Spec::load("lenet5").unwrap(), &Device::cpu(), &options).unwrap();
    let request = network.request(path.to_str().unwrap()).with_val_split(Some(0.0));
    assert!(request.has_preprocess);
    let splits = data::open(&request).unwrap();
    let found = network.inputs(&splits.train, 2).unwrap();
    let Spec { preprocess, .. } = network.spec();
    for (at, &found) in found.iter().enumerate() {
        let pixel = ((at % 784 * 3 + at / 784) % 256) as f32;
        let expected = (pixel * preprocess.scale - preprocess.mean[0]) / preprocess.std[0];
        assert!((found - expected).abs() < 1e-6, "{at}: {found} {expected}");
    }
}

#[test]
fn a_single_class_is_nothing_to_train_on() {
    let (images, labels) = bars(8, 3);
    let dataset = Arc::new(data::Dataset {
        name: "bars".into(),
        shape: [1, 6, 6],
        classes: 1,
        class_names: vec!["lying".into()],
        images: data::Images::F32(images),
        labels: data::Labels::Classes(vec![0; labels.len()]),
    });
    let splits = data::Splits::new(dataset.clone(), dataset);
    let mut observer = |_: &Event| Ok::<(), Error>(());
    let error = network(&NetworkOptions::default())
        .train(&splits, &Options::default(), None, &mut observer)
        .unwrap_err();
    assert!(error.to_string().contains("at least two classes"), "{error}");
}

/// Its target would be 1 for class 0 and 0 for class 1.
#[test]
fn a_network_with_one_output_takes_values_and_no_classes() {
    let text = NET.replace("out_features = 2", "out_features = 1");
    let text = text.replace("batch_size = 8", "batch_size = 8\nloss = \"mse\"");
    let spec = Spec::parse(&text, "one.toml").unwrap();
    let mut network = Network::new(spec, &Device::cpu(), &NetworkOptions::default()).unwrap();
    let (images, labels) = bars(8, 0);
    let error = network.train_batch(&images, &labels, 0.1).unwrap_err();
    assert!(error.exit_code() == 2 && error.to_string().contains("found one output"), "{error}");
}
