//! `import`: weights and networks from other programs, and what is refused.

use super::{TINY, code, json_lines, stderr, striate, succeed};
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use striate::interchange::{self, File, npz, safetensors};
use striate::model::Spec;
use striate::tensor::Tensor;

const NET: &str = "name = \"net\"\ninput = [3, 6, 5]\n[[layer]]\nname = \"flat\"\nop = \"flatten\"\n\
    [[layer]]\nname = \"fc\"\nop = \"linear\"\nout_features = 4\n";

fn weights() -> Vec<(String, Tensor)> {
    let weight = (0..360).map(|i| i as f32 / 7.0).collect();
    vec![
        ("fc.weight".into(), Tensor::new([4, 90], weight).unwrap()),
        ("fc.bias".into(), Tensor::full([4], 0.25)),
    ]
}

/// A folder with the weights of the network as NPZ, and the network.
fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("net.toml"), NET).unwrap();
    npz::write(folder.path().join("w.npz"), &weights(), &BTreeMap::new()).unwrap();
    folder
}

#[track_caller]
fn refuse(folder: &Path, arguments: &[&str], exit: i32, says: &[&str]) {
    let output = striate(folder, arguments).output().unwrap();
    let message = stderr(&output);
    assert_eq!(code(&output), exit, "striate {arguments:?}: {message}");
    assert_eq!(message.lines().count(), 1, "{message}");
    assert!(message.starts_with("error: ") && output.stdout.is_empty(), "{message}");
    for part in says {
        assert!(message.contains(part), "no {part:?} in {message}");
    }
}

#[test]
fn npz_and_a_model_become_weights_that_stand_alone() {
    let folder = folder();
    let root = folder.path();
    let import = ["import", "w.npz", "-m", "net.toml", "-o", "made/here"];
    let text = succeed(root, &import);
    for part in
        ["net: 2 layers, 364 parameters, 4 outputs", "striate eval --weights made/here/net.safetensors"]
    {
        assert!(text.contains(part), "{text}");
    }
    let file = interchange::read(root.join("made/here/net.safetensors")).unwrap();
    assert_eq!(file.tensors, weights().into_iter().collect());
    assert_eq!(fs::read_to_string(root.join("made/here/net.toml")).unwrap(), NET);
    assert_eq!((file.metadata["model"].as_str(), file.metadata["num_classes"].as_str()), (NET, "4"));
    assert_eq!(fs::read_dir(root.join("made/here")).unwrap().count(), 2);

    refuse(root, &import, 2, &["net.toml", "--force"]);
    let text = succeed(root, &[&import[..], &["--force", "--json"]].concat());
    let result = &json_lines(&text)[0];
    assert_eq!((result["parameters"].as_u64(), result["name"].as_str()), (Some(364), Some("net")));
    // What is written carries its network, so that it can be read again without one, in its own place too.
    succeed(root, &["import", "made/here/net.safetensors", "-o", "again"]);
    refuse(
        root,
        &["import", "again/net.safetensors", "-o", "again", "--force"],
        2,
        &["a file other than the input"],
    );
    let again = interchange::read(root.join("again/net.safetensors")).unwrap();
    assert_eq!((again.tensors, again.metadata), (file.tensors, file.metadata));
}

/// With room for the model file only, as on a full disk.
#[cfg(unix)]
#[test]
fn what_is_there_stays_when_one_of_the_two_files_cannot_be_written() {
    let folder = folder();
    let root = folder.path();
    let import = ["import", "w.npz", "-m", "net.toml", "-o", "out"];
    succeed(root, &import);
    let read = || ["net.toml", "net.safetensors"].map(|name| fs::read(root.join("out").join(name)).unwrap());
    let before = read();
    // Without the signal, a file above the limit of 1024 bytes (2 blocks) is an error for the program that writes it.
    let limited = "trap '' XFSZ; ulimit -f 2; exec \"$0\" \"$@\"";
    let program = assert_cmd::cargo::cargo_bin("striate");
    let mut command = std::process::Command::new("sh");
    command.current_dir(root).args(["-c", limited]).arg(program).args(import);
    let output = command.args(["--force", "--scale", "1"]).output().unwrap();
    assert_eq!(code(&output), 1, "{}", stderr(&output));
    assert!(stderr(&output).contains("net.safetensors: File too large"), "{}", stderr(&output));
    assert_eq!(read(), before);
    assert_eq!(fs::read_dir(root.join("out")).unwrap().count(), 2);
}

#[test]
fn flags_say_how_pictures_are_seen_and_what_the_classes_are_called() {
    let folder = folder();
    let root = folder.path();
    fs::write(root.join("names.txt"), "cat\ndog\nchâteau\nbird house\n").unwrap();
    let import =
        ["import", "w.npz", "-m", "net.toml", "-o", "out", "--classes", "names.txt", "--name", "mine"];
    let flags = ["--scale", "1", "--mean", "1,-2,3.5", "--std", "4,5,6", "--resize", "8"];
    succeed(root, &[&import[..], &flags].concat());
    let spec = Spec::load(root.join("out/mine.toml").to_str().unwrap()).unwrap();
    assert_eq!((spec.name.as_str(), spec.preprocess.resize, spec.preprocess.scale), ("mine", Some(8), 1.0));
    assert_eq!((spec.preprocess.mean, spec.preprocess.std), (vec![1.0, -2.0, 3.5], vec![4.0, 5.0, 6.0]));
    let metadata = interchange::read(root.join("out/mine.safetensors")).unwrap().metadata;
    assert_eq!(metadata["classes"], "[\"cat\",\"dog\",\"château\",\"bird house\"]");
    assert_eq!((metadata["mean"].as_str(), metadata["arch"].as_str()), ("[1.0,-2.0,3.5]", "mine"));
    assert_eq!(metadata["model"], fs::read_to_string(root.join("out/mine.toml")).unwrap());
}

#[test]
fn what_cannot_be_imported_is_said_in_one_line_and_leaves_nothing() {
    let folder = folder();
    let root = folder.path();
    fs::write(root.join("three.txt"), "a\nb\nc\n").unwrap();
    fs::write(root.join("old.pth"), b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19.").unwrap();
    fs::write(root.join("cut.npz"), &fs::read(root.join("w.npz")).unwrap()[..900]).unwrap();
    fs::write(root.join("cut.safetensors"), [0; 7]).unwrap();
    let import = |more: &[&'static str]| [&["import"], more, &["-o", "out"]].concat();
    refuse(root, &import(&["w.npz"]), 2, &["w.npz", "set the option model"]);
    let says = ["w.npz", "missing: c1.weight, c1.bias", "not in the model: fc.bias, fc.weight"];
    refuse(root, &import(&["w.npz", "-m", "lenet5"]), 4, &says);
    refuse(root, &import(&["gone.npz"]), 4, &["gone.npz"]);
    refuse(root, &import(&["old.pth"]), 4, &["old.pth", "the pickle: expected", "before the end"]);
    refuse(root, &import(&["cut.npz", "-m", "net.toml"]), 4, &["cut.npz"]);
    refuse(root, &import(&["cut.safetensors", "-m", "net.toml"]), 4, &["cut.safetensors", "7 bytes"]);
    refuse(root, &import(&["net.toml"]), 4, &["expected safetensors, PyTorch (.pth), NPZ or ONNX"]);
    let with = |more: &[&'static str]| import(&[&["w.npz", "-m", "net.toml"], more].concat());
    refuse(root, &with(&["--mean", "1,2"]), 2, &["--mean", "expected 3 values", "found 2"]);
    refuse(root, &with(&["--std", "1,0,2"]), 2, &["--std"]);
    refuse(root, &with(&["--scale", "nan"]), 2, &["--scale"]);
    refuse(root, &with(&["--resize", "1"]), 4, &["resize"]);
    refuse(root, &with(&["--input", "3,6,5"]), 2, &["--input", "ONNX"]);
    refuse(root, &with(&["--classes", "three.txt"]), 4, &["three.txt", "expected 4 lines"]);
    #[cfg(unix)]
    {
        refuse(
            root,
            &with(&["--classes", "/dev/zero"]),
            4,
            &["/dev/zero", "expected at most 16777216 bytes"],
        );
        refuse(
            root,
            &import(&["/dev/zero"]),
            4,
            &["/dev/zero: expected a weights file, found a pipe or a device"],
        );
    }
    assert!(!root.join("out").exists());
    refuse(root, &["eval", "--weights", "cut.npz", "-m", "net.toml"], 4, &["cut.npz"]);
    // A file where the folder should be; the other is not made.
    refuse(root, &["import", "w.npz", "-m", "net.toml", "-o", "old.pth/x"], 4, &["old.pth"]);
    fs::create_dir_all(root.join("taken/net.safetensors")).unwrap();
    refuse(root, &["import", "w.npz", "-m", "net.toml", "-o", "taken", "--force"], 4, &["net.safetensors"]);
    assert!(!root.join("taken/net.toml").exists());
}

/// A folder with files of `torch.save`, safetensors files of the same tensors, and their network.
fn pytorch() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/pth");
    let names = [
        "net.toml",
        "net.safetensors",
        "state_dict.pth",
        "views-legacy.pth",
        "checkpoint.pth",
        "module.pth",
        "int32.pth",
    ];
    for name in names {
        fs::copy(fixtures.join(name), folder.path().join(name)).unwrap();
    }
    fs::write(folder.path().join("a.png"), fs::read(fixtures.join("../pictures/palette.png")).unwrap())
        .unwrap();
    folder
}

#[test]
fn every_verb_does_with_pytorchs_files_what_it_does_with_safetensors() {
    let folder = pytorch();
    let root = folder.path();
    let run = |weights: &str, words: &[&str]| {
        let words = [words, &["--weights", weights, "-m", "net.toml"]].concat();
        let output = striate(root, &words).output().unwrap();
        assert_eq!(code(&output), 0, "striate {words:?}: {}", stderr(&output));
        let notes = stderr(&output);
        let said =
            notes.contains("checkpoint.pth: the weights are those of \"state_dict\"; not used: epoch, arch");
        assert_eq!(said, weights == "checkpoint.pth", "{words:?}: {notes}");
        String::from_utf8(output.stdout).unwrap()
    };
    let answers = |weights: &str| {
        let data = ["--device", "cpu", "--dataset", "synthetic"];
        let written = |name: &str| fs::read(root.join(name)).unwrap();
        let eval = run(weights, &[&["eval", "--json"], &data[..]].concat());
        let eval = json_lines(&eval)[0]["loss"].to_string();
        let predict = run(weights, &["predict", "--device", "cpu", "--json", "a.png"]);
        run(weights, &[&["trace", "-o", "t.safetensors"], &data[..]].concat());
        run(weights, &["report", "filters", "-o", "f.png"]);
        run(
            weights,
            &[
                "report",
                "activations",
                "--device",
                "cpu",
                "--image",
                "a.png",
                "--layer",
                "conv1",
                "-o",
                "a2.png",
            ],
        );
        run(weights, &["export", "--device", "cpu", "-o", "e.npz"]);
        let train = ["train", "--json", "--limit-train", "8", "--limit-val", "4", "--epochs", "1"];
        let train = run(weights, &[&train[..], &data[..]].concat());
        let trained = json_lines(&train).pop().unwrap()["weights"].as_str().unwrap().to_string();
        let exported = interchange::read(root.join("e.npz")).unwrap().tensors;
        let trained = interchange::read(root.join(trained)).unwrap().tensors;
        (eval, predict, written("t.safetensors"), written("f.png"), written("a2.png"), exported, trained)
    };
    let expected = answers("net.safetensors");
    for weights in ["state_dict.pth", "views-legacy.pth", "checkpoint.pth"] {
        assert!(answers(weights) == expected, "{weights}");
        let into = format!("from-{weights}");
        succeed(root, &["import", weights, "-m", "net.toml", "-o", &into]);
        let imported = interchange::read(root.join(&into).join("small-resnet.safetensors")).unwrap().tensors;
        for (name, tensor) in &expected.5 {
            assert_eq!(&imported[name], tensor, "{weights}: {name}");
        }
    }
}

/// A file of PyTorch does not say for how many classes it is; its last layer does.
#[test]
fn a_network_gets_the_outputs_of_the_weights() {
    let folder = pytorch();
    let root = folder.path();
    let net = fs::read_to_string(root.join("net.toml")).unwrap();
    fs::write(root.join("nine.toml"), net.replace("out_features = 5", "out_features = 9")).unwrap();
    let train = [
        "train",
        "--device",
        "cpu",
        "--dataset",
        "synthetic",
        "--limit-train",
        "8",
        "--limit-val",
        "4",
        "--epochs",
        "1",
    ];
    for weights in ["state_dict.pth", "checkpoint.pth", "net.safetensors"] {
        let text =
            succeed(root, &["import", weights, "-m", "nine.toml", "-o", weights.split('.').next().unwrap()]);
        assert!(text.contains("5 outputs"), "{text}");
        let outputs = |more: &[&str]| {
            let text = succeed(
                root,
                &[&train[..], &["--json", "-m", "nine.toml", "--weights", weights], more].concat(),
            );
            let path = json_lines(&text).pop().unwrap()["weights"].as_str().unwrap().to_string();
            interchange::read(root.join(path)).unwrap().tensors["fc.bias"].shape().dims().to_vec()
        };
        assert_eq!((outputs(&[]), outputs(&["--num-classes", "3"])), (vec![5], vec![3]), "{weights}");
    }
}

#[test]
fn what_pytorchs_files_hold_beyond_tensors_is_refused_by_every_verb() {
    let folder = pytorch();
    let root = folder.path();
    let says = ["module.pth: expected a dictionary of tensors", "torch.save(model.state_dict(), "];
    for words in [
        &["train", "--dataset", "synthetic"][..],
        &["eval", "--dataset", "synthetic"],
        &["predict", "a.png"],
        &["trace", "--dataset", "synthetic", "-o", "t.safetensors"],
        &["report", "filters", "-o", "f.png"],
        &["export", "-o", "e.npz"],
    ] {
        refuse(root, &[words, &["--weights", "module.pth", "-m", "net.toml"]].concat(), 4, &says);
    }
    refuse(root, &["import", "module.pth", "-m", "net.toml", "-o", "out"], 4, &says);
    refuse(
        root,
        &["import", "int32.pth", "-m", "net.toml", "-o", "out"],
        4,
        &["tensor a.weight: expected float32", "int32"],
    );
    refuse(root, &["import", "state_dict.pth", "-o", "out"], 2, &["state_dict.pth", "set the option model"]);
    let lenet = ["import", "state_dict.pth", "-m", "lenet5", "-o", "out"];
    refuse(root, &lenet, 4, &["missing: c1.weight", "not in the model: bn1.bias"]);
    assert!(!["out", "t.safetensors", "f.png", "e.npz", "runs"].iter().any(|name| root.join(name).exists()));
}

/// A safetensors file of `file`'s tensors in the type `dtype`, each number written by `bytes`.
fn write_as(path: &Path, file: &File, dtype: ::safetensors::Dtype, bytes: impl Fn(f32) -> Vec<u8>) {
    let data: BTreeMap<_, Vec<u8>> = file
        .tensors
        .iter()
        .map(|(name, tensor)| (name, tensor.data().iter().flat_map(|&value| bytes(value)).collect()))
        .collect();
    let views = data.iter().map(|(name, data)| {
        let shape = file.tensors[*name].shape().dims().to_vec();
        (name.as_str(), ::safetensors::tensor::TensorView::new(dtype, shape, data).unwrap())
    });
    let metadata = Some(file.metadata.clone().into_iter().collect());
    fs::write(path, ::safetensors::serialize(views, metadata).unwrap()).unwrap();
}

#[test]
fn every_type_of_numbers_gives_the_answers_of_the_same_numbers_in_f32() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    succeed(root, &TINY);
    let mut file = interchange::read(root.join("runs/lenet5/best.safetensors")).unwrap();
    // Numbers with five significant bits, not too small: exact in all types.
    for tensor in file.tensors.values_mut() {
        for value in tensor.data_mut() {
            *value = (*value * 64.0).round().clamp(-31.0, 31.0) / 64.0;
        }
    }
    let tensors: Vec<_> = file.tensors.clone().into_iter().collect();
    safetensors::write(root.join("f32.safetensors"), &tensors, &file.metadata).unwrap();
    npz::write(root.join("f32.npz"), &tensors, &file.metadata).unwrap();
    let f16 = |value: f32| {
        // Normal numbers of few bits: the exponent's bias is 127 in binary32 and 15 in binary16.
        let bits = value.to_bits();
        let magnitude = if value == 0.0 { 0 } else { ((bits & 0x7fff_ffff) - (112 << 23)) >> 13 };
        ((bits >> 16 & 0x8000) as u16 | magnitude as u16).to_le_bytes().to_vec()
    };
    use ::safetensors::Dtype::{BF16, F16, F64};
    write_as(&root.join("f64.safetensors"), &file, F64, |value| f64::from(value).to_le_bytes().to_vec());
    write_as(&root.join("bf16.safetensors"), &file, BF16, |value| value.to_le_bytes()[2..].to_vec());
    write_as(&root.join("f16.safetensors"), &file, F16, f16);
    let data = ["--dataset", "synthetic", "--limit-val", "20", "--device", "cpu", "--json"];
    let eval = |name: &str| succeed(root, &[&["eval", "--weights", name][..], &data].concat());
    let loss = |text: &str| json_lines(text).iter().find_map(|event| event["loss"].as_f64()).unwrap();
    let expected = loss(&eval("f32.safetensors"));
    assert!(expected > 0.0);
    for name in ["f32.npz", "f64.safetensors", "bf16.safetensors", "f16.safetensors"] {
        assert_eq!(loss(&eval(name)), expected, "{name}");
    }
    // Training from either begins at the same place.
    let train = |name: &str| {
        let run = ["train", "--weights", name, "--max-steps", "2", "--limit-train", "32", "-b", "16"];
        let text = succeed(root, &[&run[..], &data].concat());
        json_lines(&text).iter().filter_map(|event| event["train_loss"].as_f64()).next().unwrap()
    };
    assert_eq!(train("f64.safetensors"), train("f32.safetensors"));
}
