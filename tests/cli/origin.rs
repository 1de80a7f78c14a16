//! Which samples are evaluated: those that training held out, on the same data; all of other data; and the note about it.

use super::{code, json_lines, stderr, striate, succeed};
use serde_json::Value;
use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use striate::interchange::safetensors;

const MODEL: &str = "name = \"tiny\"\ninput = [3, 4, 4]\n[recipe]\nepochs = 1\nbatch_size = 8\n[[layer]]\nop = \"flatten\"\n[[layer]]\nop = \"linear\"\nout_features = 3\n";

/// Classes and how many images each has.
const CLASSES: [(&str, usize); 3] = [("blue", 20), ("green", 12), ("red", 4)];

/// A folder `name` of images by class, no two alike.
fn photos(parent: &Path, name: &str, shift: u8) {
    for (class, (folder, count)) in CLASSES.iter().enumerate() {
        let folder = parent.join(name).join(folder);
        fs::create_dir_all(&folder).unwrap();
        for n in 0..*count {
            let mut colour = [shift, n as u8, 30];
            colour[2 - class] = 200;
            let file = folder.join(format!("{name}-{class}-{n:02}.png"));
            image::RgbImage::from_pixel(4, 4, image::Rgb(colour)).save(file).unwrap();
        }
    }
}

/// A folder with the model, `photos`, and a run `a` on it with these flags more.
fn trained(more: &[&str]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("tiny.toml"), MODEL).unwrap();
    photos(folder.path(), "photos", 1);
    train(folder.path(), "a", more);
    folder
}

const WEIGHTS: &str = "runs/a/last.safetensors";

fn train(folder: &Path, name: &str, more: &[&str]) -> (Vec<Value>, String) {
    let base =
        ["train", "--json", "--device", "cpu", "-m", "tiny.toml", "--data-path", "photos", "-j1", "--name"];
    let output = striate(folder, &[&base[..], &[name], more].concat()).output().unwrap();
    assert_eq!(code(&output), 0, "{}", stderr(&output));
    (json_lines(&String::from_utf8_lossy(&output.stdout)), stderr(&output))
}

/// The result of `eval`, the files evaluated, and stderr.
fn eval(folder: &Path, data: &str, more: &[&str]) -> (Value, BTreeSet<String>, String) {
    let base = ["eval", "--json", "--device", "cpu", "--weights", WEIGHTS, "--data-path", data];
    let base = [&base[..], &["--predictions", "p.csv"], more].concat();
    let output = striate(folder, &base).output().unwrap();
    assert_eq!(code(&output), 0, "{}", stderr(&output));
    let mut table = csv::Reader::from_path(folder.join("p.csv")).unwrap();
    let name = |path: &str| Path::new(path).file_name().unwrap().to_string_lossy().into_owned();
    let files = table.records().map(|row| name(&row.unwrap()[1])).collect();
    (json_lines(&String::from_utf8_lossy(&output.stdout)).remove(0), files, stderr(&output))
}

fn text(folder: &Path, data: &str, more: &[&str]) -> String {
    let base = ["eval", "--device", "cpu", "--weights", WEIGHTS, "--data-path", data];
    succeed(folder, &[&base[..], more].concat()).lines().next().unwrap().to_string()
}

#[test]
fn eval_takes_what_training_held_out_and_counts_what_it_saw() {
    let folder = trained(&["--val-split", "0.2", "--seed", "5"]);
    let folder = folder.path();
    let (result, held, notes) = eval(folder, "photos", &[]);
    assert_eq!((&result["part"], &result["samples"]), (&"held-out".into(), &7.into()));
    assert_eq!((&result["share"], &result["seed"]), (&0.2.into(), &5.into()));
    assert_eq!((&result["trained_on"], &result["same_data"]), (&0.into(), &true.into()));
    assert!(!notes.contains("warning"), "{notes}");
    // As training validated: the same loss.
    let file = safetensors::read(folder.join(WEIGHTS)).unwrap();
    let reported: f64 = file.metadata["val_loss"].parse().unwrap();
    assert!((result["loss"].as_f64().unwrap() - reported).abs() < 1e-6);
    assert_eq!(file.metadata["val_part"], "held-out");
    // A class of 4 has one of them.
    assert_eq!(held.iter().filter(|file| file.contains("photos-2-")).count(), 1);
    let line = text(folder, "photos", &[]);
    assert!(
        line.starts_with("tiny on the 7 validation samples (20 % drawn with seed 5) of photos: loss"),
        "{line}"
    );
    assert!(line.contains("guessing the largest class: 57.14 %"), "{line}");
    assert!((result["acc1_guess"].as_f64().unwrap() - 400.0 / 7.0).abs() < 1e-9);

    // Flags that say otherwise are obeyed, and what was trained on is counted.
    for flags in [&["--val-split", "0.5"][..], &["--seed", "1"], &["--val-split", "0.5", "--seed", "1"]] {
        let (result, other, notes) = eval(folder, "photos", flags);
        let seen = other.difference(&held).count();
        assert!(seen > 0 && result["trained_on"] == seen, "{flags:?}: {seen}, {result}");
        let line = format!("warning: {seen} of {} evaluated samples were trained on", other.len());
        assert!(notes.contains(&line), "{notes}");
    }
    let (result, all, notes) = eval(folder, "photos", &["--part", "all"]);
    assert_eq!((&result["part"], all.len()), (&"all".into(), 36));
    assert!(notes.contains("warning: 29 of 36 evaluated samples were trained on"), "{notes}");
    let (result, train, notes) = eval(folder, "photos", &["--part", "train"]);
    assert_eq!((&result["part"], &result["trained_on"]), (&"train".into(), &29.into()));
    assert!(train.is_disjoint(&held) && !notes.contains("warning"), "{notes}");
    assert!(text(folder, "photos", &["--part", "train"]).contains("on the 29 training samples of photos"));

    // Robustness looks at the same part.
    let base = ["eval", "--json", "--device", "cpu", "--weights", WEIGHTS, "--data-path", "photos"];
    let robust = json_lines(&succeed(folder, &[&base[..], &["--robustness", "r.csv"]].concat())).remove(0);
    assert_eq!((&robust["part"], &robust["seed"]), (&"held-out".into(), &5.into()));
    assert_eq!(robust["levels"][0]["samples"], 7);
}

#[test]
fn samples_are_named_by_their_number_in_the_data() {
    let folder = trained(&["--val-split", "0.2", "--seed", "5"]);
    eval(folder.path(), "photos", &[]);
    let mut table = csv::Reader::from_path(folder.path().join("p.csv")).unwrap();
    for row in table.records().map(|row| row.unwrap()) {
        let number: usize = row[0].parse().unwrap();
        // Files in their order: 20, 12 and 4 of them.
        let class = [20, 32, 36].iter().position(|&end| number < end).unwrap();
        let n = number - [0, 20, 32][class];
        assert!(row[1].ends_with(&format!("photos-{class}-{n:02}.png")), "{row:?}");
    }
}

#[test]
fn data_is_known_by_what_it_holds_and_other_data_is_evaluated_whole() {
    let folder = trained(&["--val-split", "0.2", "--seed", "5"]);
    let folder = folder.path();
    let (_, held, _) = eval(folder, "photos", &[]);
    // A pack of it, and the folder elsewhere.
    succeed(folder, &["dataset", "pack", "photos", "-o", "photos.safetensors", "--size", "4"]);
    let (packed, ..) = {
        let base =
            ["eval", "--json", "--device", "cpu", "--weights", WEIGHTS, "--data-path", "photos.safetensors"];
        (json_lines(&succeed(folder, &base)).remove(0), ())
    };
    assert_eq!((&packed["part"], &packed["samples"]), (&"held-out".into(), &7.into()));
    fs::rename(folder.join("photos"), folder.join("moved")).unwrap();
    let (result, files, notes) = eval(folder, "moved", &[]);
    assert_eq!((&result["part"], files), (&"held-out".into(), held));
    assert!(!notes.contains("warning"), "{notes}");

    photos(folder, "others", 2);
    let (result, files, notes) = eval(folder, "others", &[]);
    assert_eq!((&result["part"], files.len(), &result["same_data"]), (&"all".into(), 36, &false.into()));
    assert_eq!((&result["trained_on"], &result["trained_data"]), (&Value::Null, &"photos".into()));
    assert!(
        notes.contains("warning: the weights were trained on photos, and are evaluated on others"),
        "{notes}"
    );
    assert!(text(folder, "others", &[]).contains("on all 36 samples of others: loss"));
    let (result, ..) = eval(folder, "others", &["--val-split", "0.25"]);
    assert_eq!((&result["part"], &result["samples"]), (&"held-out".into(), &9.into()));

    // The same name is not the same data.
    fs::create_dir(folder.join("x")).unwrap();
    photos(&folder.join("x"), "photos", 2);
    fs::remove_file(folder.join("x/photos/blue/photos-0-00.png")).unwrap();
    let (result, _, notes) = eval(folder, "x/photos", &[]);
    assert_eq!((&result["part"], &result["samples"]), (&"all".into(), &35.into()));
    assert!(
        notes.contains("warning: the weights were trained on other samples of the name photos"),
        "{notes}"
    );

    // Nor are the same names of files.
    fs::create_dir(folder.join("y")).unwrap();
    photos(&folder.join("y"), "photos", 3);
    let file = folder.join("y/photos/blue/photos-0-00.png");
    image::RgbImage::from_fn(9, 9, |x, y| image::Rgb([(x * 25) as u8, (y * 25) as u8, 0]))
        .save(file)
        .unwrap();
    let (result, _, notes) = eval(folder, "y/photos", &[]);
    assert_eq!((&result["part"], &result["same_data"]), (&"all".into(), &false.into()), "{notes}");
}

#[test]
fn a_validation_part_of_its_own_is_evaluated() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    fs::write(folder.join("tiny.toml"), MODEL).unwrap();
    photos(&folder.join("photos"), "train", 1);
    photos(&folder.join("photos"), "val", 2);
    let (events, _) = train(folder, "a", &[]);
    assert_eq!(events[0]["val_part"], "validation");
    let (result, files, notes) = eval(folder, "photos", &["--val-split", "0.1"]);
    assert_eq!((&result["part"], &result["trained_on"]), (&"validation".into(), &0.into()));
    assert!(files.len() == 36 && files.iter().all(|file| file.starts_with("val-")), "{files:?}");
    assert!(notes.contains("--val-split is not used"), "{notes}");
    assert!(text(folder, "photos", &[]).contains("on the validation set (36) of photos: loss"));
    let line = text(folder, "photos", &["--limit-val", "9"]);
    assert!(line.contains("on 9 of the 36 validation samples of photos: loss"), "{line}");
    let (_, files, notes) = eval(folder, "photos", &["--part", "all"]);
    assert_eq!(files.len(), 72);
    assert!(notes.contains("warning: 36 of 72 evaluated samples were trained on"), "{notes}");
    // One of its two parts by itself.
    let (result, _, notes) = eval(folder, "photos/train", &[]);
    assert_eq!(result["trained_on"], 36);
    assert!(notes.contains("warning: 36 of 36 evaluated samples were trained on"), "{notes}");
    let (_, _, notes) = eval(folder, "photos/val", &[]);
    assert!(!notes.contains("warning"), "{notes}");
}

#[test]
fn validation_on_training_samples_is_said_everywhere() {
    let folder = trained(&["--val-split", "0.2"]);
    let folder = folder.path();
    let (events, _) = train(folder, "b", &["--val-split", "0"]);
    for kind in ["start", "epoch", "done"] {
        let event = events.iter().find(|event| event["event"] == kind).unwrap();
        assert_eq!(event["val_part"], "train", "{event}");
    }
    let metrics = fs::read_to_string(folder.join("runs/b/metrics.csv")).unwrap();
    assert!(
        metrics.lines().next().unwrap().ends_with(",val_part,rmse")
            && metrics.trim_end().ends_with(",train,")
    );
    let base = ["train", "--device", "cpu", "-m", "tiny.toml", "--data-path", "photos", "--val-split", "0"];
    let output = striate(folder, &base).output().unwrap();
    let (notes, stdout) = (stderr(&output), String::from_utf8_lossy(&output.stdout).into_owned());
    assert!(
        notes.contains("36 training samples, none held out: 36 of them are used for validation"),
        "{notes}"
    );
    assert!(stdout.contains("  on training samples "), "{stdout}");
    assert!(stdout.contains("on the training samples (guessing the largest class: 55.56 %)"), "{stdout}");
    let weights = "runs/b/last.safetensors";
    assert_eq!(safetensors::read(folder.join(weights)).unwrap().metadata["val_part"], "train");
    let eval = ["eval", "--device", "cpu", "--weights", weights, "--data-path", "photos"];
    let output = striate(folder, &eval).output().unwrap();
    assert!(
        stderr(&output).contains("warning: 36 of 36 evaluated samples were trained on"),
        "{}",
        stderr(&output)
    );
    assert!(String::from_utf8_lossy(&output.stdout).contains("on all 36 samples of photos"));
    // The batch that is learnt by heart is trained on too.
    let (events, _) = train(folder, "c", &["--overfit-batch"]);
    assert_eq!(events[0]["val_part"], "train");
    let held = train(folder, "d", &[]).0.pop().unwrap();
    assert_eq!((&held["val_part"], &held["acc1_guess"]), (&"held-out".into(), &50.0.into()));
}

#[test]
fn training_from_weights_validates_on_what_they_have_not_seen() {
    let folder = trained(&["--val-split", "0.2", "--seed", "5"]);
    let folder = folder.path();
    let (_, held, _) = eval(folder, "photos", &[]);
    let (_, notes) = train(folder, "b", &["--weights", WEIGHTS, "--seed", "9"]);
    assert!(
        notes.contains("photos is divided as the weights' run divided it: 20 % drawn with seed 5"),
        "{notes}"
    );
    let (_, notes) = train(folder, "c", &["--weights", WEIGHTS, "--val-split", "0.5"]);
    assert!(notes.contains("warning: the weights' run was trained on"), "{notes}");
    // By way of other data, what the first run saw is still known.
    photos(folder, "others", 2);
    train(folder, "d", &["--weights", "runs/b/last.safetensors", "--data-path", "others"]);
    for (run, trained_on) in [("b", 0), ("d", 0)] {
        fs::copy(folder.join(format!("runs/{run}/last.safetensors")), folder.join(WEIGHTS)).unwrap();
        let (result, files, notes) = eval(folder, "photos", &[]);
        assert_eq!((&result["part"], files), (&"held-out".into(), held.clone()), "{run}");
        assert_eq!(result["trained_on"], trained_on, "{notes}");
    }
    let (result, ..) = eval(folder, "others", &[]);
    assert_eq!((&result["part"], &result["share"]), (&"held-out".into(), &0.1.into()));
    // A resumed run keeps the division that it took over.
    let first = ["--weights", "runs/b/last.safetensors", "--epochs", "2", "--max-steps", "4"];
    train(folder, "e", &first);
    let resumed = striate(folder, &["train", "--resume", "runs/e", "--max-steps", "9"]).output().unwrap();
    assert_eq!(code(&resumed), 0, "{}", stderr(&resumed));
    fs::copy(folder.join("runs/e/last.safetensors"), folder.join(WEIGHTS)).unwrap();
    assert_eq!(eval(folder, "photos", &[]).1, held);
}

#[test]
fn weights_of_earlier_versions_are_evaluated_on_what_they_validated_on() {
    let fixture = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/runs/0.1.0-split");
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    fs::copy(fixture.join("rows.csv"), folder.join("rows.csv")).unwrap();
    fs::create_dir_all(folder.join("runs/a")).unwrap();
    fs::copy(fixture.join("runs/tiny/best.safetensors"), folder.join(WEIGHTS)).unwrap();
    let base = ["eval", "--json", "--device", "cpu", "--weights", WEIGHTS, "--data-path", "rows.csv"];
    let output = striate(folder, &base).output().unwrap();
    let result = json_lines(&String::from_utf8_lossy(&output.stdout)).remove(0);
    // Version 1 drew five samples of the first class.
    assert_eq!((&result["samples"], &result["classes"][0]["samples"]), (&5.into(), &5.into()));
    let reported: f64 =
        safetensors::read(folder.join(WEIGHTS)).unwrap().metadata["val_loss"].parse().unwrap();
    assert!((result["loss"].as_f64().unwrap() - reported).abs() < 1e-6);
    assert!(stderr(&output).contains("the weights do not say how rows was divided"), "{}", stderr(&output));
    // And under another name, there is no reason to hold anything back.
    fs::copy(folder.join("rows.csv"), folder.join("other.csv")).unwrap();
    let base = ["eval", "--device", "cpu", "--weights", WEIGHTS, "--data-path", "other.csv"];
    let output = striate(folder, &base).output().unwrap();
    assert!(String::from_utf8_lossy(&output.stdout).contains("on all 53 samples of other"));
    assert!(
        stderr(&output).contains("were trained on rows, and are evaluated on other"),
        "{}",
        stderr(&output)
    );
}

#[test]
fn a_trace_takes_the_whole_batch() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    fs::write(folder.join("tiny.toml"), MODEL).unwrap();
    photos(folder, "photos", 1);
    let base =
        ["trace", "--device", "cpu", "-m", "tiny.toml", "--data-path", "photos", "-o", "t.safetensors"];
    let result = json_lines(&succeed(folder, &[&base[..], &["--json", "-b", "36"]].concat())).remove(0);
    assert_eq!((&result["rows"], &result["part"]), (&36.into(), &"train".into()));
    assert_eq!(
        safetensors::read(folder.join("t.safetensors")).unwrap().tensors["labels"].shape().dims(),
        [36]
    );
    let line = succeed(folder, &[&base[..], &["-b", "8"]].concat());
    assert!(line.contains("one step on the first 8 of 36 training samples of photos"), "{line}");
}
