//! What people type who do not know the program yet: every line ends with one clear line and the right exit code. Beside
//! mistakes stand the lines that other programs refuse and this one understands.

mod rows;

use super::{code, stderr, striate, succeed};
use rows::{COMMANDS, DATA, DEVICES, FILES, FLAGS, MODELS, OUTPUTS, Row, UNDERSTOOD};
use std::fs;
use std::path::Path;
use std::sync::Mutex;

const W: &str = "runs/p/best.safetensors";

fn picture(path: &Path, shade: u8) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    image::RgbImage::from_fn(12, 12, |x, y| image::Rgb([shade, (x * 9) as u8, (y * 9) as u8]))
        .save(path)
        .unwrap();
}

/// The folder that the commands run in.
fn prepared() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    for (number, class) in ["cats", "dogs", "birds"].into_iter().enumerate() {
        for n in 0..4 {
            picture(&root.join(format!("photos/{class}/{n}.png")), number as u8 * 100 + n);
        }
        picture(&root.join(format!("alone/val/{class}/0.png")), number as u8);
        picture(&root.join(format!("extra/val/{class}/0.png")), number as u8);
    }
    for n in 0..3 {
        picture(&root.join(format!("flat/{n}.png")), n);
        picture(&root.join(format!("extra/train/cats/{n}.png")), n);
        picture(&root.join(format!("extra/train/dogs/{n}.png")), n);
        picture(&root.join(format!("some/dogs/{n}.png")), n);
    }
    for name in ["a.png", "below/b.png", "below/deeper/c.png"] {
        picture(&root.join("nested").join(name), 7);
    }
    fs::create_dir(root.join("empty")).unwrap();
    fs::write(root.join("sound.jpg"), b"RIFF\x10\0\0\0WAVEfmt ").unwrap();
    let rows: String = (0..24).map(|n| format!("{},{},{}\n", ["cat", "dog"][n % 2], n, n * 2)).collect();
    fs::write(root.join("words.csv"), format!("label,a,b\n{rows}")).unwrap();
    let start = "name = \"n\"\ninput = [3, 32, 32]\n";
    let end = "[[layer]]\nop = \"flatten\"\n[[layer]]\nop = \"linear\"\nout_features = 3\n";
    let conv = |keys: &str| format!("{start}[[layer]]\nop = \"conv2d\"\n{keys}\n{end}");
    for (name, text) in [
        ("typo.toml", conv("out_channel = 8\nkernel = 3")),
        ("other.toml", conv("out_channels = 8\nkernel_size = 3")),
        ("big.toml", conv("out_channels = 8\nkernel = 70")),
        ("stride.toml", conv("out_channels = 8\nkernel = 3\nstrid = 2")),
        ("gelu.toml", format!("{start}[[layer]]\nop = \"mish\"\n{end}")),
        ("near.toml", format!("{start}[[layer]]\nop = \"conv2\"\n{end}")),
        ("rate.toml", format!("{start}[recipe]\nlearning_rate = 0.1\n{end}")),
        ("words.toml", "name = \"w\"\ninput = [2, 1, 1]\n[[layer]]\nop = \"flatten\"\n[[layer]]\nop = \"linear\"\nout_features = 2\n".into()),
    ] {
        fs::write(root.join(name), text).unwrap();
    }
    let train = "train --device cpu -m lenet5 --data-path photos --epochs 1 -b 8 -q --name p";
    let mlp = "train --device cpu -m mlp-784-15-10 --dataset synthetic --limit-train 16 --limit-val 4 --epochs 1 -q --name mlp";
    for command in [train, mlp] {
        succeed(root, &command.split(' ').collect::<Vec<_>>());
    }
    fs::create_dir(root.join("imported2")).unwrap();
    fs::copy(root.join(W), root.join("imported2/only.safetensors")).unwrap();
    folder
}

/// What is wrong with the outcome of a row.
fn fault(root: &Path, (command, exit, parts): Row) -> Option<String> {
    let words: Vec<&str> = command.split(' ').map(|word| if word == "W" { W } else { word }).collect();
    let output = striate(root, &words).env("XDG_DATA_HOME", root.join("home")).output().unwrap();
    let (out, text) = (String::from_utf8_lossy(&output.stdout).into_owned(), stderr(&output));
    let errors: Vec<&str> = text.lines().filter(|line| line.starts_with("error: ")).collect();
    let searched = match exit {
        0 => format!("{out}{text}"),
        _ => errors.first().copied().unwrap_or_default().to_string(),
    };
    let is_said = parts.split('|').all(|part| match part.strip_prefix('!') {
        Some(part) => !searched.contains(part),
        None => searched.contains(part),
    });
    // A failure is one line, the last; and no result stands beside it.
    let is_one_line = match exit {
        0 => errors.is_empty(),
        _ => errors.len() == 1 && text.lines().last() == Some(errors[0]) && out.is_empty(),
    };
    let is_plain = !text.contains("os error") && !text.contains("panicked");
    let is_right = code(&output) == exit && is_said && is_one_line && is_plain;
    (!is_right).then(|| {
        format!("$ striate {command}\n  expected {exit}: {parts}\n  found {}: {text}{out}", code(&output))
    })
}

#[test]
fn every_mistyped_command_gets_one_clear_line() {
    let folder = prepared();
    let before = entries(folder.path());
    let rows: Vec<Row> = [&FLAGS[..], &COMMANDS, &DEVICES, &FILES, &DATA, &OUTPUTS, &MODELS].concat();
    assert!(rows.len() >= 90, "{}", rows.len());
    let faults = checked(folder.path(), &rows);
    assert!(faults.is_empty(), "{} of {}:\n{}", faults.len(), rows.len(), faults.join("\n"));
    assert_eq!(entries(folder.path()), before, "something was left behind");
}

#[test]
fn what_is_meant_is_done() {
    let folder = prepared();
    let faults = checked(folder.path(), &UNDERSTOOD);
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[cfg(target_os = "linux")]
#[test]
fn a_folder_on_a_file_system_without_files_is_no_full_disk() {
    let folder = tempfile::tempdir().unwrap();
    let row = (
        "train --device cpu -m lenet5 --dataset synthetic --limit-train 16 --limit-val 4 -b 8 --output-dir /proc/x",
        1,
        "/proc/x: expected a folder in which files can be written, found /proc|!0.0 KiB",
    );
    assert_eq!(fault(folder.path(), row), None);
}

/// Faults of the rows, of which two run at a time.
fn checked(root: &Path, rows: &[Row]) -> Vec<String> {
    let (left, faults) = (Mutex::new(rows.iter()), Mutex::new(Vec::new()));
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                loop {
                    let Some(&row) = left.lock().unwrap().next() else { break };
                    let fault = fault(root, row);
                    faults.lock().unwrap().extend(fault);
                }
            });
        }
    });
    faults.into_inner().unwrap()
}

/// The names in `root` and in its runs.
fn entries(root: &Path) -> Vec<String> {
    let folders = [root.to_path_buf(), root.join("runs"), root.join("runs/p")];
    let mut names: Vec<String> = folders
        .iter()
        .flat_map(|folder| fs::read_dir(folder).unwrap())
        .map(|entry| entry.unwrap().path().display().to_string())
        .collect();
    names.sort();
    names
}
