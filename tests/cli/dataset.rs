//! `striate dataset`: a set is looked at, packed, and trained on from one file.

use super::{code, json_lines, stderr, striate, succeed};
use safetensors::tensor::{Dtype, TensorView};
use std::path::Path;

/// Twelve images of 3 x 8 x 8 in four classes; the last is the first again, with another class.
fn write_tensors(folder: &Path) {
    let mut pixels: Vec<u8> = (0..11 * 192u32).map(|i| (i * i / 7 + i) as u8).collect();
    pixels.extend_from_within(..192);
    let labels: Vec<u8> = (0..12).map(|i| i % 4).collect();
    let views = [
        ("images", TensorView::new(Dtype::U8, vec![12, 3, 8, 8], &pixels).unwrap()),
        ("labels", TensorView::new(Dtype::U8, vec![12], &labels).unwrap()),
    ];
    std::fs::write(folder.join("set.safetensors"), safetensors::serialize(views, None).unwrap()).unwrap();
}

#[test]
fn info_counts_what_is_there() {
    let folder = tempfile::tempdir().unwrap();
    let info = &json_lines(&succeed(folder.path(), &["dataset", "info", "fashion-mnist", "--json"]))[0];
    assert_eq!(
        (&info["kind"], &info["train"], &info["val"]),
        (&"idx".into(), &60_000.into(), &10_000.into())
    );
    assert_eq!(info["classes"][9], serde_json::json!({"name": "Ankle boot", "train": 6000, "val": 1000}));
    assert!(info["bytes"].as_u64().unwrap() > 30_000_000);
    let text = succeed(folder.path(), &["dataset", "info"]);
    assert!(text.contains("60000 for training, 10000 for validation"), "{text}");
    assert!(text.contains("Trouser"), "{text}");
}

#[test]
fn a_set_is_packed_looked_at_and_the_same_for_any_number_of_threads() {
    let folder = tempfile::tempdir().unwrap();
    write_tensors(folder.path());
    let pack = |output: &str, threads: &str| {
        let arguments =
            ["dataset", "pack", "set.safetensors", "-o", output, "-j", threads, "--val-split", "0.25"];
        succeed(folder.path(), &arguments)
    };
    let text = pack("a.packed", "1");
    assert!(text.contains("9 training and 3 validation images of 3x8x8, 0 skipped"), "{text}");
    assert!(text.contains("next: striate train -m alexnet-64 --data-path a.packed"), "{text}");
    pack("b.packed", "4");
    let read = |name: &str| std::fs::read(folder.path().join(name)).unwrap();
    assert_eq!(read("a.packed"), read("b.packed"));

    let info = &json_lines(&succeed(folder.path(), &["dataset", "info", "a.packed", "--json"]))[0];
    assert_eq!((&info["kind"], &info["train"], &info["val"]), (&"packed".into(), &9.into(), &3.into()));
    assert_eq!(info["bytes"].as_u64().unwrap(), read("a.packed").len() as u64);

    let stats =
        |data: &str| json_lines(&succeed(folder.path(), &["dataset", "stats", data, "--json"]))[0].clone();
    let whole = stats("set.safetensors");
    assert_eq!((&whole["train"], &whole["val"], &whole["unreadable"]), (&12.into(), &0.into(), &0.into()));
    let repeated = serde_json::json!({
        "count": 1, "of_another_class": 1, "first": [["training image 11", "training image 0"]],
    });
    assert_eq!(whole["repeated_in_train"], repeated);
    assert_eq!(whole["pca_eigenvectors"].as_array().unwrap().len(), 3);
    let copies = |part: &str| stats("a.packed")[part]["count"].as_u64().unwrap();
    assert_eq!(copies("repeated_in_train") + copies("val_in_train"), 1, "wherever the two have gone");
}

/// Two classes; an image that is in both, and a text that is called an image.
#[test]
fn folders_of_pictures_are_surveyed_and_packed_by_the_names_of_their_files() {
    let folder = tempfile::tempdir().unwrap();
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/pictures");
    for (from, to) in [
        ("cmyk.jpg", "train/a/1.jpg"),
        ("palette.png", "train/a/2.png"),
        ("cmyk.jpg", "val/b/3.jpg"),
        ("grey4.png", "train/b/4.png"),
    ] {
        let to = folder.path().join("set").join(to);
        std::fs::create_dir_all(to.parent().unwrap()).unwrap();
        std::fs::copy(fixtures.join(from), to).unwrap();
    }
    std::fs::write(folder.path().join("set/train/b/5.jpg"), "no picture").unwrap();
    std::fs::write(folder.path().join("set/train/b/list.txt"), "no picture").unwrap();
    let info = |flags: &[&str]| succeed(folder.path(), &[&["dataset", "info", "set"], flags].concat());
    assert_eq!(json_lines(&info(&["--json"]))[0]["ignored"], 1);
    assert!(info(&[]).contains("1 other file ignored"), "{}", info(&[]));
    let stats =
        &json_lines(&succeed(folder.path(), &["dataset", "stats", "set", "--size", "32", "--json"]))[0];
    assert_eq!((&stats["train"], &stats["val"], &stats["unreadable"]), (&3.into(), &1.into(), &1.into()));
    assert!(stats["unreadable_first"][0].as_str().unwrap().starts_with("set/train/b/5.jpg: "), "{stats}");
    let leaked = serde_json::json!({"count": 1, "of_another_class": 1, "first": [["set/val/b/3.jpg", "set/train/a/1.jpg"]]});
    assert_eq!(stats["val_in_train"], leaked);

    let arguments = ["dataset", "pack", "set", "-o", "set.packed", "--size", "32"];
    let output = striate(folder.path(), &arguments).output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(
        text.contains(
            "3 training and 1 validation whole images of 3 channels and a shorter side of 32, 1 skipped"
        ),
        "{text}"
    );
    let warnings = stderr(&output);
    assert_eq!(warnings.matches("set/train/b/5.jpg").count(), 1, "{warnings}");
    let info = &json_lines(&succeed(folder.path(), &["dataset", "info", "set.packed", "--json"]))[0];
    assert_eq!(info["classes"][1], serde_json::json!({"name": "b", "train": 1, "val": 1}));
}

/// What `--size` and `--channels` say holds for every format, and so what an error advises.
#[test]
fn pictures_of_any_format_are_packed_in_the_size_that_is_asked_for() {
    let folder = tempfile::tempdir().unwrap();
    write_tensors(folder.path());
    let pack = |from: &str, to: &str, flags: &[&str]| {
        let arguments: Vec<&str> = ["dataset", "pack", from, "-o", to].iter().chain(flags).copied().collect();
        succeed(folder.path(), &arguments)
    };
    let shape = |data: &str| {
        json_lines(&succeed(folder.path(), &["dataset", "info", data, "--json"]))[0]["shape"].clone()
    };
    pack("set.safetensors", "same", &[]);
    assert_eq!(shape("same"), serde_json::json!([3, 8, 8]));
    let text = pack("set.safetensors", "small", &["--size", "3"]);
    assert!(text.contains("12 training and 0 validation images of 3x3x3, 0 skipped"), "{text}");
    pack("same", "again", &["--size", "3"]);
    assert_eq!(
        (shape("small"), shape("again")),
        (serde_json::json!([3, 3, 3]), serde_json::json!([3, 3, 3]))
    );
    pack("small", "grey", &["--channels", "1"]);
    assert_eq!(shape("grey"), serde_json::json!([1, 3, 3]));
    let mean = |data: &str, flags: &[&str]| -> Vec<f64> {
        let arguments: Vec<&str> =
            ["dataset", "stats", data, "--json"].iter().chain(flags).copied().collect();
        let stats = &json_lines(&succeed(folder.path(), &arguments))[0];
        stats["mean"].as_array().unwrap().iter().map(|mean| mean.as_f64().unwrap()).collect()
    };
    // Every plane keeps its brightness, and grey is the luma of the three.
    let (whole, small) = (mean("same", &[]), mean("small", &[]));
    assert!(whole.iter().zip(&small).all(|(a, b)| (a - b).abs() < 0.03), "{whole:?} {small:?}");
    assert_eq!(mean("same", &["--size", "3"]), small);
    let luma = 0.299 * small[0] + 0.587 * small[1] + 0.114 * small[2];
    assert!((mean("grey", &[])[0] - luma).abs() < 0.003, "{small:?}");

    std::fs::write(folder.path().join("values.csv"), "1,2,0.5\n3,4,1\n").unwrap();
    let text = succeed(folder.path(), &["dataset", "info", "values.csv"]);
    assert!(text.contains("2 samples, no validation part (train holds out a tenth of them, see --val-split)\nlabels of 1 value\n"), "{text}");
}

/// The lines for a model file are a table that a model file may have.
#[test]
fn stats_are_ready_to_be_pasted() {
    let folder = tempfile::tempdir().unwrap();
    write_tensors(folder.path());
    let text = succeed(folder.path(), &["dataset", "stats", "set.safetensors"]);
    let table: String =
        text.lines().take_while(|line| !line.is_empty()).map(|line| format!("{line}\n")).collect();
    let table = toml::from_str::<toml::Table>(&table).unwrap();
    assert_eq!(table["preprocess"]["mean"].as_array().unwrap().len(), 3);
    assert_eq!(table["preprocess"]["pca_eigenvectors"][2].as_array().unwrap().len(), 3);
    assert!(text.contains("duplicates in the training part: 1, 1 of them with different classes"), "{text}");
    assert!(text.contains("  training image 11 = training image 0"), "{text}");
}

#[test]
fn a_damaged_packed_file_is_left_out_picture_by_picture_or_ends_it() {
    let folder = tempfile::tempdir().unwrap();
    write_tensors(folder.path());
    succeed(folder.path(), &["dataset", "pack", "set.safetensors", "-o", "packed"]);
    let path = folder.path().join("packed");
    let mut bytes = std::fs::read(&path).unwrap();
    let header = u64::from_le_bytes(*bytes.first_chunk().unwrap()) as usize + 8;
    bytes[header + 5 * 192 + 7] ^= 4;
    std::fs::write(&path, bytes).unwrap();

    let output = striate(folder.path(), &["dataset", "pack", "packed", "-o", "again"]).output().unwrap();
    assert_eq!(code(&output), 0);
    let warning = stderr(&output);
    assert!(warning.contains("warning: left out: packed: train.images, image 5: expected hash"), "{warning}");
    assert!(String::from_utf8_lossy(&output.stdout).contains("11 training"), "one is left out");

    let arguments = ["dataset", "pack", "packed", "-o", "third", "--on-bad-file", "fail"];
    let output = striate(folder.path(), &arguments).output().unwrap();
    assert_eq!(code(&output), 4);
    assert!(stderr(&output).starts_with("error: packed: train.images, image 5"), "{}", stderr(&output));
    assert!(!folder.path().join("third").exists());
    let stats = &json_lines(&succeed(folder.path(), &["dataset", "stats", "packed", "--json"]))[0];
    assert_eq!((&stats["train"], &stats["unreadable"]), (&11.into(), &1.into()));
}

#[test]
fn what_cannot_be_is_one_line() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("table.csv"), "1,2,0\n3,4,1\n").unwrap();
    std::fs::create_dir(folder.path().join("there")).unwrap();
    write_tensors(folder.path());
    for (arguments, exit, expected) in [
        (&["pack", "table.csv", "-o", "x"][..], 4, "expected pixels (bytes)"),
        (&["stats", "table.csv"], 4, "expected pixels (bytes)"),
        (&["info", "nowhere"], 4, "no such data set"),
        (
            &["pack", "set.safetensors", "-o", "there"],
            4,
            "there: expected the name of a file, found a folder",
        ),
        (&["pack", "set.safetensors", "-o", "no/x"], 4, "no/x: "),
        (&["pack", "set.safetensors", "-o", "x", "--channels", "2"], 2, "expected 1 or 3"),
        (&["pack", "set.safetensors", "-o", "x", "--size", "5000"], 2, "5000"),
        (&["pack", "table.csv", "-o", "x", "--size", "8"], 4, "expected pixels (bytes)"),
        (&["info", "table.csv", "--size", "8"], 4, "expected pixels (bytes)"),
        (&["fetch", "imagenet"], 2, "mnist, fashion-mnist, cifar10, cifar100"),
        (&["fetch", "mnist", "--dir", ".", "--from", "file:///no/such/folder"], 1, "curl"),
    ] {
        let arguments: Vec<&str> = ["dataset"].iter().chain(arguments).copied().collect();
        let output = striate(folder.path(), &arguments).output().unwrap();
        let text = stderr(&output);
        assert_eq!(code(&output), exit, "{arguments:?}: {text}");
        assert!(text.contains(expected) && text.contains("error: "), "{arguments:?}: {text}");
        assert!(exit == 2 || text.lines().filter(|line| line.starts_with("error:")).count() == 1, "{text}");
    }
    assert!(!folder.path().join("x").exists());
}

#[test]
fn bench_data_takes_only_pictures_that_can_be() {
    let folder = tempfile::tempdir().unwrap();
    for picture in ["2x8x8", "3x0x8", "3x8x4097", "3x8", "1x8x99999999999999999999"] {
        let output = striate(folder.path(), &["bench", "data", "--picture", picture]).output().unwrap();
        let text = stderr(&output);
        assert!(code(&output) == 2 && text.contains("expected channels (1 or 3)"), "{picture}: {text}");
    }
}

#[test]
fn bench_data_measures_every_part_of_the_way() {
    let folder = tempfile::tempdir().unwrap();
    write_tensors(folder.path());
    let network = "name = \"n\"\ninput = [3, 8, 8]\n[recipe]\nepochs = 1\nbatch_size = 4\noptimizer = \"sgd\"\nlr = 0.1\n\
                   [[layer]]\nop = \"flatten\"\n[[layer]]\nop = \"linear\"\nout_features = 4\n";
    std::fs::write(folder.path().join("n.toml"), network).unwrap();
    let arguments = [
        "bench",
        "data",
        "--data-path",
        "set.safetensors",
        "-m",
        "n.toml",
        "-b",
        "4",
        "-j",
        "2",
        "--samples",
        "3",
        "--seconds",
        "0.01",
        "--json",
    ];
    let result = &json_lines(&succeed(folder.path(), &arguments))[0];
    assert_eq!((&result["event"], &result["threads"]), (&"bench-data".into(), &2.into()));
    assert_eq!((&result["images"], &result["picture"]), (&12.into(), &serde_json::json!([3, 8, 8])));
    let rows = result["results"].as_array().unwrap();
    let parts: Vec<_> = rows.iter().map(|row| row["what"].as_str().unwrap()).collect();
    assert_eq!(
        parts,
        ["read packed", "augment (CPU path)", "loader, packed"],
        "there are no files to decode"
    );
    for row in rows {
        for key in ["images_per_second_per_core", "images_per_second"] {
            assert!(row[key].as_f64().unwrap() > 0.0, "{key} of {}", row["what"]);
        }
    }
    let table = succeed(folder.path(), &arguments[..arguments.len() - 1]);
    assert!(table.contains("12 images of 3x8x8") && table.contains("read packed"), "{table}");
}
