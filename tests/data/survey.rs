//! What a survey finds is what the images are.

use std::path::PathBuf;
use std::sync::Arc;
use striate::Error;
use striate::data::{Dataset, Images, Labels, ScanObserver, Splits, Store, Stored, survey};

/// Images of one pixel value each, in files; value 255 cannot be read.
#[derive(Debug)]
struct Values(Vec<u8>);

impl Store for Values {
    fn read(&self, index: usize, into: &mut [u8]) -> striate::Result<()> {
        if self.0[index] == 255 {
            return Err(Error::data("bad.png", "damaged"));
        }
        into.fill(self.0[index]);
        Ok(())
    }

    fn file(&self, index: usize) -> Option<PathBuf> {
        Some(PathBuf::from(format!("{index}.png")))
    }
}

fn part(values: &[u8], labels: &[u32], stored: bool) -> Arc<Dataset> {
    let indices = (0..values.len() as u32).collect();
    let images = if stored {
        Images::Stored(Stored { store: Arc::new(Values(values.to_vec())), indices, framing: None })
    } else {
        Images::U8(values.iter().flat_map(|&value| [value; 12]).collect())
    };
    Arc::new(Dataset {
        name: "values".into(),
        shape: [3, 2, 2],
        classes: 2,
        class_names: vec!["a".into(), "b".into()],
        images,
        labels: Labels::Classes(labels.to_vec()),
    })
}

#[derive(Default)]
struct Bad(Vec<String>);

impl ScanObserver for Bad {
    fn bad(&mut self, error: Error) -> striate::Result<()> {
        self.0.push(error.to_string());
        Ok(())
    }

    fn done(&mut self, _count: usize, _all: usize) -> striate::Result<()> {
        Ok(())
    }
}

#[test]
fn copies_classes_and_unreadable_pictures_are_counted_and_named() {
    let train = part(&[10, 20, 10, 30, 255, 10], &[0, 1, 0, 1, 1, 1], true);
    let val = part(&[40, 20, 10], &[0, 1, 1], true);
    let mut bad = Bad::default();
    let found = survey(&Splits::new(train, val), 2, &mut bad).unwrap();
    assert_eq!(found.classes, [[2, 1], [3, 2]]);
    assert_eq!((found.counts(), found.unreadable), ([5, 3], 1));
    assert_eq!(bad.0, ["bad.png: damaged"]);
    assert_eq!((found.repeated.count, found.repeated.of_another_class), (2, 1));
    let pairs: Vec<_> = found.repeated.pairs.iter().map(|p| format!("{} = {}", p.image, p.equals)).collect();
    assert_eq!(pairs, ["2.png = 0.png", "5.png = 0.png"]);
    assert_eq!((found.leaked.count, found.leaked.of_another_class), (2, 1));
    assert_eq!(found.leaked.pairs[1].image, "2.png");
    // 10, 20, 10, 30, 10: every pixel alike in all channels.
    assert!((found.statistics.mean[1] - 16.0 / 255.0).abs() < 1e-12);
    assert!((found.statistics.std[2] - 8.0 / 255.0).abs() < 1e-12);
    let pca = found.statistics.pca.unwrap();
    assert!((pca.values[0] - 3.0 * 64.0 / 65025.0).abs() < 1e-12 && pca.values[1].abs() < 1e-12);
    assert!((pca.vectors[2][0] - 1.0 / 3f64.sqrt()).abs() < 1e-9);
}

#[test]
fn pictures_without_files_are_named_by_their_places() {
    let (train, val) = (part(&[1, 2], &[0, 0], false), part(&[2], &[1], false));
    let found = survey(&Splits::new(train, val), 0, &mut Bad::default()).unwrap();
    let pair = &found.leaked.pairs[0];
    assert_eq!((pair.image.as_str(), pair.equals.as_str()), ("validation image 0", "training image 1"));

    let same = part(&[1, 2, 2], &[0, 0, 1], false);
    let found = survey(&Splits::new(Arc::clone(&same), same), 0, &mut Bad::default()).unwrap();
    assert_eq!((found.counts(), found.leaked.count, found.repeated.count), ([3, 0], 0, 1));
}

#[test]
fn what_is_no_picture_is_refused() {
    let numbers = Dataset { images: Images::F32(vec![0.0; 12]), ..Dataset::clone(&part(&[1], &[0], false)) };
    let train = Arc::new(numbers);
    let error = survey(&Splits::new(Arc::clone(&train), train), 0, &mut Bad::default()).unwrap_err();
    assert_eq!(error.to_string(), "values: expected pixels (bytes), found f32 images");
    // Four planes of three pixels.
    let train = Arc::new(Dataset { shape: [4, 3, 1], ..Dataset::clone(&part(&[1], &[0], false)) });
    let error = survey(&Splits::new(Arc::clone(&train), train), 0, &mut Bad::default()).unwrap_err();
    assert_eq!(error.to_string(), "values: expected pixels of 1 or 3 channels, found 4 channels");
}
