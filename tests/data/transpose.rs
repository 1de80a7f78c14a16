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
fn npz_files_are_not_transposed() {
    // Their bytes stay in the file.
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/shards/npz/keras.npz");
    for transpose in [true, false] {
        let request = request(&file, [1, 9, 7], 3).with_transpose(Some(transpose));
        let error = open_with_diagnostics(&request).unwrap_err();
        assert_eq!(error.exit_code(), 2, "{error}");
        assert!(error.to_string().contains("(idx, tensors, csv), found data of the format npz"), "{error}");
    }
}
