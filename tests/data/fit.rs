//! Which images a model takes: of any size where it has a resize, and as pixels where views can show them.

use safetensors::tensor::{Dtype, TensorView};
use std::path::{Path, PathBuf};
use striate::data::{Fit, Framing, ModelShape, Request, Splits, open};

/// Two images of `shape` as `name`, classes 0 and 1.
fn save(folder: &Path, name: &str, shape: [usize; 3]) -> PathBuf {
    let pixels = vec![7; 2 * shape.iter().product::<usize>()];
    let images = TensorView::new(Dtype::U8, [&[2], &shape[..]].concat(), &pixels).unwrap();
    let labels = TensorView::new(Dtype::U8, vec![2], &[0, 1]).unwrap();
    let path = folder.join(name);
    std::fs::write(&path, safetensors::serialize([("images", images), ("labels", labels)], None).unwrap())
        .unwrap();
    path
}

fn open_as(path: &Path, input: [usize; 3], resize: Option<usize>, fit: Fit) -> striate::Result<Splits> {
    open(
        &Request::new(input, 2)
            .with_path(Some(path.to_str().unwrap().into()))
            .with_val_split(Some(0.0))
            .with_model(Some(ModelShape { input, outputs: 2, resize, fit, follow_classes: false })),
    )
}

fn open_for(path: &Path, input: [usize; 3], resize: Option<usize>) -> striate::Result<Splits> {
    open_as(path, input, resize, Fit::default())
}

#[test]
fn pictures_of_any_size_and_colour_are_brought_to_the_input_of_a_model_with_a_resize() {
    let folder = tempfile::tempdir().unwrap();
    let input = [3, 224, 224];
    for shape in [[3, 32, 32], [1, 28, 28], [3, 40, 90], [3, 512, 600], [1, 600, 513]] {
        let path = save(folder.path(), "set.safetensors", shape);
        let splits = open_for(&path, input, Some(256)).unwrap();
        assert_eq!((splits.train.shape, splits.pixels(input)), (input, Some(input)));
        let mut pixels = vec![0; splits.train.image_len()];
        splits.train.read_pixels(1, &mut pixels).unwrap();
        assert!(pixels.iter().all(|&pixel| pixel == 7), "{shape:?}");
        let error = open_for(&path, input, None).unwrap_err().to_string();
        assert!(error.contains("expected images of 3x224x224 as the model takes them, found "), "{error}");
        // The middle square of the paper, of which views show crops.
        let square = open_as(&path, input, Some(256), Fit::Square).unwrap();
        assert_eq!(square.train.shape, [3, 256, 256]);
        square.train.read_pixels(1, &mut vec![0; square.train.image_len()]).unwrap();
    }
    // Images of the input's size stay as they are, unless windows of them are drawn and resized.
    let same = save(folder.path(), "same.safetensors", [3, 8, 8]);
    let framing = |random_resized| {
        open_as(&same, [3, 8, 8], None, Fit::Input { random_resized }).unwrap().train.framing()
    };
    assert_eq!((framing(false), framing(true)), (None, Some(Framing::Centre { resize: None })));
}

#[test]
fn the_old_rules_show_pictures_through_views_and_so_no_larger_ones_than_those_can() {
    let folder = tempfile::tempdir().unwrap();
    let input = [3, 224, 224];
    for shape in [[3, 32, 32], [1, 28, 28], [3, 40, 90], [3, 512, 600]] {
        let path = save(folder.path(), "set.safetensors", shape);
        let splits = open_as(&path, input, Some(256), Fit::Covered).unwrap();
        assert_eq!((splits.train.shape, splits.pixels(input)), (shape, Some(shape)));
    }
    let large = save(folder.path(), "large.safetensors", [1, 600, 513]);
    let error = open_as(&large, input, Some(256), Fit::Covered).unwrap_err();
    assert_eq!(error.exit_code(), 4);
    let error = error.to_string();
    assert!(
        error.contains("large.safetensors: ") && error.contains("`striate dataset pack --size 256`"),
        "{error}"
    );
}

#[test]
fn without_views_the_sizes_have_to_be_equal() {
    let folder = tempfile::tempdir().unwrap();
    // Two channels are not a colour space: the host makes the input.
    let two = save(folder.path(), "two.safetensors", [2, 8, 8]);
    let splits = open_for(&two, [2, 8, 8], None).unwrap();
    assert_eq!(splits.pixels([2, 8, 8]), None);
    assert!(open_for(&two, [2, 6, 6], Some(7)).is_err());
    // A row of features shows nothing, an image of as many pixels does.
    let row = save(folder.path(), "row.safetensors", [64, 1, 1]);
    assert_eq!(open_for(&row, [1, 8, 8], None).unwrap().pixels([1, 8, 8]), Some([1, 8, 8]));
    assert_eq!(open_for(&row, [64, 1, 1], None).unwrap().pixels([64, 1, 1]), None);
    // Grey and colour become each other at the same size.
    let grey = save(folder.path(), "grey.safetensors", [1, 8, 8]);
    assert_eq!(open_for(&grey, [3, 8, 8], None).unwrap().pixels([3, 8, 8]), Some([1, 8, 8]));
}

#[test]
fn both_parts_have_pictures_of_one_size_or_are_brought_to_one() {
    let folder = tempfile::tempdir().unwrap();
    save(folder.path(), "train.safetensors", [3, 32, 32]);
    save(folder.path(), "val.safetensors", [3, 40, 40]);
    let error = open_as(folder.path(), [3, 28, 28], Some(32), Fit::Covered).unwrap_err().to_string();
    assert!(error.contains("images of one size and kind, found 3x32x32 and 3x40x40"), "{error}");
    let splits = open_for(folder.path(), [3, 28, 28], Some(32)).unwrap();
    assert_eq!((splits.train.shape, splits.val.shape), ([3, 28, 28], [3, 28, 28]));
}
