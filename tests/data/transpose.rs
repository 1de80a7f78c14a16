//! Images that lie transposed in their files, as EMNIST's do.

use crate::{bytes, floats, request};
use safetensors::tensor::{Dtype, TensorView};
use std::fs;
use std::path::Path;
use striate::data::{Kind, Request, open_with_diagnostics};

/// One image of two rows and three columns, 1 to 6, with `first` before its name.
fn write(folder: &Path, first: &str) {
    let images =
        [&[0, 0, 8, 3, 0, 0, 0, 2, 0, 0, 0, 2, 0, 0, 0, 3][..], &[1, 2, 3, 4, 5, 6, 7, 7, 7, 7, 7, 7]]
            .concat();
    fs::write(folder.join(format!("{first}train-images-idx3-ubyte")), images).unwrap();
    fs::write(folder.join(format!("{first}train-labels-idx1-ubyte")), [0, 0, 8, 1, 0, 0, 0, 2, 0, 1])
        .unwrap();
}

fn on(request: Request) -> Request {
    request.with_transpose(Some(true)).with_val_split(Some(0.0))
}

#[test]
fn height_and_width_change_places() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), "");
    let upright = [1, 4, 2, 5, 3, 6, 7, 7, 7, 7, 7, 7];
    let (splits, _) = open_with_diagnostics(&on(request(folder.path(), [1, 3, 2], 2))).unwrap();
    assert_eq!((splits.train.shape, bytes(&splits.train)), ([1, 3, 2], &upright[..]));
    assert!(splits.origin.as_ref().unwrap().provenance.transpose);
    let (splits, _) =
        open_with_diagnostics(&on(request(folder.path(), [1, 3, 2], 2).with_model(None))).unwrap();
    assert_eq!((splits.train.shape, bytes(&splits.train)), ([1, 3, 2], &upright[..]));
    // Rows of a table have the sides of the model, and tensors their own.
    let table = folder.path().join("t.csv");
    fs::write(&table, "label,a,b,c,d,e,f\n0,1,2,3,4,5,6\n1,7,7,7,7,7,7\n").unwrap();
    let (splits, _) = open_with_diagnostics(&on(request(&table, [1, 3, 2], 2))).unwrap();
    assert_eq!(bytes(&splits.train), upright);
    let file = folder.path().join("t.safetensors");
    let numbers: Vec<u8> = (1..=6).flat_map(|n| (n as f32).to_le_bytes()).collect();
    let views = [
        ("images", TensorView::new(Dtype::F32, vec![1, 1, 2, 3], &numbers).unwrap()),
        ("labels", TensorView::new(Dtype::U8, vec![1], &[0]).unwrap()),
    ];
    fs::write(&file, safetensors::serialize(views, None).unwrap()).unwrap();
    let (splits, _) = open_with_diagnostics(&on(request(&file, [1, 3, 2], 2).with_model(None))).unwrap();
    assert_eq!(floats(&splits.train), [1.0, 4.0, 2.0, 5.0, 3.0, 6.0]);
    // A row of features has no sides.
    fs::write(&table, "label,a,b,c\n0,1,2,3\n1,7,7,7\n").unwrap();
    let error = open_with_diagnostics(&on(request(&table, [3, 1, 1], 2))).unwrap_err();
    assert!(error.to_string().contains("transpose: expected images, found rows of 3 numbers"), "{error}");
    for kind in [Kind::Synthetic, Kind::ImageFolder, Kind::Cifar10] {
        let error =
            open_with_diagnostics(&on(request(folder.path(), [3, 2, 2], 2)).with_kind(kind)).unwrap_err();
        assert_eq!(error.exit_code(), 2, "{error}");
        assert!(
            error.to_string().contains("transpose: expected images in memory (idx, tensors, csv"),
            "{error}"
        );
    }
}

#[test]
fn emnist_is_recognised_by_its_names() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), "emnist-letters-");
    let read = |transpose: Option<bool>| {
        let request = request(folder.path(), [1, 2, 3], 2).with_model(None).with_val_split(Some(0.0));
        open_with_diagnostics(&request.with_transpose(transpose)).unwrap().1.lines.join("\n")
    };
    assert!(read(None).contains("warning: the images of EMNIST lie transposed in its files: --transpose"));
    assert_eq!((read(Some(true)), read(Some(false))), (String::new(), String::new()));
    let other = tempfile::tempdir().unwrap();
    write(other.path(), "qmnist-");
    let (_, notes) =
        open_with_diagnostics(&request(other.path(), [1, 2, 3], 2).with_val_split(Some(0.0))).unwrap();
    assert!(notes.lines.is_empty(), "{notes:?}");
}

#[test]
fn what_a_run_had_transposed_is_transposed_again_or_asked_about() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), "");
    let path = folder.path();
    let (splits, _) = open_with_diagnostics(&on(request(path, [1, 3, 2], 2))).unwrap();
    let run = splits.origin.as_ref().unwrap().provenance.data.clone();
    let again = request(path, [1, 3, 2], 2).with_val_split(Some(0.0)).with_transposed_run(Some(run.clone()));
    let (same, notes) = open_with_diagnostics(&again).unwrap();
    assert_eq!(bytes(&same.train), bytes(&splits.train));
    assert!(notes.lines.iter().any(|line| line.contains("as in the weights' run")), "{notes:?}");
    // Other images of the same format: nobody knows how they lie.
    let other = tempfile::tempdir().unwrap();
    write(other.path(), "");
    let images = other.path().join("train-images-idx3-ubyte");
    let mut content = fs::read(&images).unwrap();
    *content.last_mut().unwrap() = 9;
    fs::write(&images, content).unwrap();
    let other = request(other.path(), [1, 3, 2], 2).with_val_split(Some(0.0)).with_transposed_run(Some(run));
    let error = open_with_diagnostics(&other).unwrap_err();
    assert_eq!(error.exit_code(), 2);
    assert!(error.to_string().contains("--transpose=false if they are upright"), "{error}");
    assert!(open_with_diagnostics(&other.with_transpose(Some(true))).is_ok());
}
