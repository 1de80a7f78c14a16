//! Sets whose labels stand in files, and images that lie transposed: they teach what the same images in folders of classes teach,
//! and their flags act or are refused under every verb.

use super::{code, json_lines, stderr, striate, succeed};
use serde_json::Value;
use std::fs;
use std::path::Path;

const CLASSES: [&str; 3] = ["n01443537", "n01629819", "n02124075"];

/// Images of a class: so many, named by their number among all.
const EACH: usize = 6;

fn pixel(image: usize, y: u32, x: u32) -> u8 {
    // Every class has its own bright rows.
    let bright = if y as usize / 9 == image % 3 { 140 } else { 0 };
    (bright + (image * 31 + y as usize * 7 + x as usize * 3) % 100) as u8
}

fn picture(folder: &Path, name: &str, image: usize) {
    let path = folder.join(name);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    image::GrayImage::from_fn(28, 28, |x, y| image::Luma([pixel(image, y, x)]))
        .save_with_format(path, image::ImageFormat::Png)
        .unwrap();
}

/// Training images with their class, in an order that is not the folders'.
fn images() -> impl Iterator<Item = (usize, &'static str)> {
    (0..3 * EACH).rev().map(|image| (image, CLASSES[image % 3]))
}

/// Validation images, three of the classes 2, 0 and 2.
const VALIDATION: [(usize, &str); 3] = [(50, CLASSES[2]), (51, CLASSES[0]), (53, CLASSES[2])];

fn words(line: &str) -> Vec<&str> {
    line.split_whitespace().collect()
}

/// Trains one epoch on `data`: the fingerprint of the weights and the loss on the validation samples.
#[track_caller]
fn learnt(folder: &Path, data: &str) -> (String, Value) {
    let line = format!("train --json --device cpu -j2 -b 4 --epochs 1 --seed 3 -m lenet5 --data-path {data}");
    let lines = json_lines(&succeed(folder, &words(&line)));
    let epoch = lines.iter().find(|line| line["event"] == "epoch").unwrap();
    (epoch["weights_sha256"].as_str().unwrap().to_string(), epoch["val_loss"].clone())
}

#[track_caller]
fn refused(folder: &Path, line: &str, exit: i32, parts: &[&str]) {
    let output = striate(folder, &words(line)).output().unwrap();
    let text = stderr(&output);
    assert_eq!(code(&output), exit, "{line}: {text}");
    assert!(output.stdout.is_empty(), "{line}");
    for part in parts {
        assert!(text.contains(part), "{line}: no {part:?} in: {text}");
    }
}

#[test]
fn a_list_teaches_what_folders_of_classes_teach() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    let mut rows = String::from("id,breed\n");
    let mut lines = String::new();
    for (image, class) in images() {
        picture(root, &format!("sorted/{class}/{image:02}.png"), image);
        picture(root, &format!("dogs/train/{image:02}.png"), image);
        rows.push_str(&format!("{image:02},{class}\n"));
        lines.push_str(&format!("dogs/train/{image:02}.png {class}\n"));
    }
    picture(root, "dogs/test/99.png", 99);
    fs::write(root.join("dogs/labels.csv"), rows).unwrap();
    fs::write(root.join("all.txt"), &lines).unwrap();
    let expected = learnt(root, "sorted --val-split 0.25");
    for data in
        ["dogs", "dogs/labels.csv", "all.txt", "dogs/labels.csv --dataset list --image-root dogs/train"]
    {
        assert_eq!(learnt(root, &format!("{data} --val-split 0.25")), expected, "{data}");
    }
    // Parts in a column, and as folders.
    let mut table = String::from("path,label,split\n");
    for (image, class) in VALIDATION {
        picture(root, &format!("parts/val/{class}/{image}.png"), image);
        table.push_str(&format!("parts/val/{class}/{image}.png,{class},val\n"));
    }
    for (image, class) in images() {
        picture(root, &format!("parts/train/{class}/{image:02}.png"), image);
        table.push_str(&format!("parts/train/{class}/{image:02}.png,{class},train\n"));
    }
    fs::write(root.join("parts.csv"), table).unwrap();
    assert_eq!(learnt(root, "parts.csv"), learnt(root, "parts"));
    // The weights know the samples that were held out, wherever they lie.
    let eval = |data: &str| {
        let line =
            format!("eval --json --device cpu --weights runs/lenet5/best.safetensors --data-path {data}");
        json_lines(&succeed(root, &words(&line))).last().unwrap().clone()
    };
    let (sorted, list) = (eval("sorted"), eval("dogs/labels.csv"));
    for key in ["loss", "acc1", "samples"] {
        assert_eq!(sorted[key], list[key], "{key}");
    }
    let info = &json_lines(&succeed(root, &words("dataset info dogs --json")))[0];
    assert_eq!(
        (&info["kind"], &info["train"], &info["classes"][1]["train"]),
        (&"list".into(), &18.into(), &6.into())
    );
    let mean = |data: &str| {
        let line = format!("dataset stats {data} --size 28 --channels 1 --json");
        json_lines(&succeed(root, &words(&line)))[0]["mean"].clone()
    };
    assert_eq!(mean("dogs"), mean("sorted"));
    succeed(root, &words("dataset pack dogs -o dogs.packed --size 28 --channels 1"));
    assert_eq!(learnt(root, "dogs.packed --val-split 0.25").0.len(), 64);
    // An image of the list is no place for a result.
    refused(root, "dataset pack dogs/labels.csv -o dogs/train/01.png", 2, &["found an image of"]);
    refused(root, "dataset pack dogs -o dogs/x.packed", 2, &["outside the input folder"]);
}

#[test]
fn missing_files_of_a_list_follow_the_policy() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    let mut rows = String::from("file,label\ngone.png,n01443537\n");
    for (image, class) in images() {
        picture(root, &format!("{image:02}.png"), image);
        rows.push_str(&format!("{image:02}.png,{class}\n"));
    }
    fs::write(root.join("l.csv"), rows).unwrap();
    let line = "train --device cpu -j1 -b 4 --epochs 2 -m lenet5 --val-split 0 --data-path l.csv";
    let output = striate(root, &words(line)).output().unwrap();
    let text = stderr(&output);
    assert_eq!(code(&output), 0, "{text}");
    assert_eq!(text.matches("left out: gone.png: no such file (line 2 of l.csv)").count(), 1, "{text}");
    assert!(text.contains("warning: l.csv: 1 of 19 image files are missing"), "{text}");
    let fails = striate(root, &words(&format!("{line} --on-bad-file fail"))).output().unwrap();
    assert_eq!(code(&fails), 4);
    assert!(stderr(&fails).contains("gone.png: no such file (line 2 of l.csv)"), "{}", stderr(&fails));
    let stats = &json_lines(&succeed(root, &words("dataset stats l.csv --json --size 28")))[0];
    assert_eq!((&stats["train"], &stats["unreadable"]), (&18.into(), &1.into()));
}

#[test]
fn imagenets_layouts_teach_what_folders_of_classes_teach() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    let mut annotations = String::new();
    let mut solution = String::from("ImageId,PredictionString\n");
    for (image, class) in images() {
        picture(root, &format!("sorted/train/{class}/{image:02}.JPEG"), image);
        picture(root, &format!("tiny/train/{class}/images/{image:02}.JPEG"), image);
        picture(root, &format!("kaggle/ILSVRC/Data/CLS-LOC/train/{class}/{image:02}.JPEG"), image);
    }
    for (image, class) in VALIDATION {
        picture(root, &format!("sorted/val/{class}/val_{image}.JPEG"), image);
        picture(root, &format!("tiny/val/images/val_{image}.JPEG"), image);
        picture(root, &format!("kaggle/ILSVRC/Data/CLS-LOC/val/val_{image}.JPEG"), image);
        annotations.insert_str(0, &format!("val_{image}.JPEG\t{class}\t0\t1\t2\t3\n"));
        solution.push_str(&format!("val_{image},{class} 1 2 3 4 {class} 5 6 7 8 \n"));
    }
    fs::write(root.join("tiny/val/val_annotations.txt"), annotations).unwrap();
    fs::write(root.join("tiny/wnids.txt"), CLASSES.join("\n")).unwrap();
    fs::write(root.join("tiny/words.txt"), "n01443537\tgoldfish\nn01629819\tsalamander\nn02124075\tcat\n")
        .unwrap();
    fs::write(root.join("kaggle/LOC_val_solution.csv"), solution).unwrap();
    let expected = learnt(root, "sorted");
    assert_eq!(learnt(root, "tiny"), expected);
    assert_eq!(learnt(root, "kaggle"), expected);
    let info = &json_lines(&succeed(root, &words("dataset info tiny --json")))[0];
    assert_eq!(info["classes"][2], serde_json::json!({"name": "cat", "train": 6, "val": 2}));
    assert_eq!((&info["kind"], &info["val"]), (&"image-folder".into(), &3.into()));
}

/// An IDX set in `folder`, its images transposed or not.
fn idx(folder: &Path, name: &str, is_transposed: bool) {
    fs::create_dir_all(folder).unwrap();
    let mut images = vec![0, 0, 8, 3, 0, 0, 0, 30, 0, 0, 0, 28, 0, 0, 0, 28];
    for image in 0..30 {
        for (y, x) in (0..28).flat_map(|y| (0..28).map(move |x| (y, x))) {
            let (y, x) = if is_transposed { (x, y) } else { (y, x) };
            images.push(pixel(image, y, x));
        }
    }
    fs::write(folder.join(format!("{name}train-images-idx3-ubyte")), images).unwrap();
    let labels = (0..30u8).map(|image| image % 3);
    let labels: Vec<u8> = [0, 0, 8, 1, 0, 0, 0, 30].into_iter().chain(labels).collect();
    fs::write(folder.join(format!("{name}train-labels-idx1-ubyte")), labels).unwrap();
}

#[test]
fn transposed_images_are_turned_and_the_weights_remember() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    idx(&root.join("upright"), "", false);
    idx(&root.join("emnist"), "emnist-letters-", true);
    let expected = learnt(root, "upright");
    assert_eq!(learnt(root, "emnist --transpose --name t"), expected);
    let output = striate(root, &words("dataset info emnist")).output().unwrap();
    assert!(stderr(&output).contains("the images of EMNIST lie transposed"), "{}", stderr(&output));
    let args = fs::read_to_string(root.join("runs/t/args.toml")).unwrap();
    assert!(args.contains("transpose = true"), "{args}");
    let eval = |data: &str| {
        let line = format!("eval --json --device cpu --weights runs/t/last.safetensors --data-path {data}");
        let output = striate(root, &words(&line)).output().unwrap();
        assert_eq!(code(&output), 0, "{}", stderr(&output));
        let text = stderr(&output);
        (json_lines(&String::from_utf8(output.stdout).unwrap()).last().unwrap()["loss"].clone(), text)
    };
    let (loss, text) = eval("emnist");
    assert!(
        text.contains("height and width of the images are swapped (--transpose), as in the weights' run"),
        "{text}"
    );
    assert_eq!(eval("emnist --transpose").0, loss);
    let (other, text) = eval("emnist --transpose=false --val-split 0.1");
    assert!(other != loss && !text.contains("lie transposed"), "{text}");
    // The same pixels upright are the same data.
    assert_eq!(eval("upright --transpose=false").0, loss);
    refused(
        root,
        "eval --device cpu --weights runs/t/last.safetensors --data-path upright",
        2,
        &["transpose: the weights' run had the images of emnist-letters transposed"],
    );
    succeed(
        root,
        &words("trace --device cpu --weights runs/t/last.safetensors --data-path emnist -o t.safetensors"),
    );
    refused(
        root,
        "trace --device cpu --weights runs/t/last.safetensors --data-path upright -o u.safetensors",
        2,
        &["--transpose=false"],
    );
    // NPZ files have no such flag: they are read as they lie, and that is said.
    let npz = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/shards/npz/");
    for file in ["keras.npz", "floats.npz --input-range 0..1"] {
        let line = format!("eval --device cpu --weights runs/t/last.safetensors --data-path {npz}{file}");
        refused(
            root,
            &line,
            4,
            &["note: the weights' run had the images of emnist-letters transposed; data of the format npz"],
        );
    }
    // A run goes on with it, and not without.
    succeed(root, &words("train --resume runs/t --device cpu --max-steps 9"));
    let line = "train --device cpu -b 4 --epochs 2 --seed 3 -m lenet5 --data-path emnist --transpose=false --name t --resume runs/t";
    refused(root, line, 2, &["--transpose: true in this run, false given"]);
    // Packed, they lie upright.
    succeed(root, &words("dataset pack emnist -o e.packed --transpose"));
    assert_eq!(learnt(root, "e.packed"), expected);
}

#[test]
fn flags_of_other_formats_are_refused_by_every_verb() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    idx(&root.join("digits"), "", false);
    for image in 0..4 {
        picture(root, &format!("photos/{}/{image}.png", image % 2), image);
    }
    let verbs = [
        "train --device cpu -m lenet5 --data-path",
        "eval --device cpu -m lenet5 --data-path",
        "trace --device cpu -m lenet5 -o t.safetensors --data-path",
        "export --device cpu -m lenet5 -o t.onnx --data-path",
        "dataset info",
        "dataset stats",
        "dataset pack -o t.packed",
    ];
    for verb in verbs {
        refused(
            root,
            &format!("{verb} digits --image-root x"),
            2,
            &["image-root: expected a list of image files (list)"],
        );
        refused(
            root,
            &format!("{verb} digits --image-column x"),
            2,
            &["image-column: expected data with such a column"],
        );
        refused(
            root,
            &format!("{verb} photos --transpose"),
            2,
            &["transpose: expected images in memory (idx"],
        );
        refused(
            root,
            &format!("{verb} photos --transpose=false"),
            2,
            &["found data of the format image-folder"],
        );
        refused(root, &format!("{verb} digits --transpose=yes"), 2, &["true, false"]);
    }
    refused(root, "export --device cpu -m lenet5 -o t.onnx --image-root x", 2, &["image-root"]);
    assert!(!root.join("runs").exists());
}
