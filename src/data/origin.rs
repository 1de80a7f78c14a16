//! The origin of samples: a fingerprint by which the same data is recognised, and how it was divided. Weights contain both, so
//! that an evaluation can use the samples that training held out.

use super::dataset::{Dataset, Images, Labels};
use super::division::Division;
use super::kind::Kind;
use super::range::InputRange;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use xxhash_rust::xxh3::Xxh3;

/// A data set as a whole, before it is divided.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fingerprint {
    pub name: String,
    /// Its format, as `--dataset` names it.
    pub kind: String,
    /// Samples in the training files and in the validation files.
    pub counts: [usize; 2],
    /// XXH3 (64 bits) of labels and class names: training files, validation files.
    pub labels: [String; 2],
    /// XXH3 (64 bits) of the images in the order of the labels, after what was hashed: `pixels`, `values`, the names of the
    /// `files` and the lengths of some, or the names and lengths of the `shards`. `None` where only reading every image would tell.
    pub images: Option<[String; 2]>,
}

/// Which samples a run has seen.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Provenance {
    pub data: Fingerprint,
    #[serde(flatten)]
    pub division: Division,
    /// Limit on the number of training samples.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit_train: Option<usize>,
    /// The column of the images as the user named it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image_column: Option<String>,
    /// The column of the labels as the user named it, by name or by number from 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub label_column: Option<String>,
    /// Whether height and width of each image changed places.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub transpose: bool,
    /// The declared range of the numbers of a table or of tensors.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub input_range: Option<InputRange>,
}

impl Origin {
    /// Whether the whole numbers of a table were taken for pixels without a declaration.
    pub fn assumes_pixels(&self, dataset: &Dataset) -> bool {
        let Provenance { data, input_range, .. } = &self.provenance;
        data.kind == Kind::Csv.to_string() && input_range.is_none() && matches!(dataset.images, Images::U8(_))
    }
}

/// The origin of the samples of [`super::Splits`].
#[derive(Clone, Debug, PartialEq)]
pub struct Origin {
    pub provenance: Provenance,
    /// Earlier runs that the weights to be trained come from, oldest first.
    pub before: Vec<Provenance>,
    /// Number of each training and each validation sample in the data's own order: training files, then validation files.
    pub numbers: [Arc<Vec<u32>>; 2],
}

impl Fingerprint {
    /// Of both parts, whose class names are known.
    pub(super) fn of(train: &Dataset, val: Option<&Dataset>, kind: String) -> Fingerprint {
        let none = "0".to_string();
        let labels = [labels(train), val.map_or(none.clone(), labels)];
        let images = images(train).and_then(|first| match val {
            None => Some([first, none]),
            Some(val) => Some([first, images(val)?]),
        });
        let counts = [train.len(), val.map_or(0, Dataset::len)];
        Fingerprint { name: train.name.clone(), kind, counts, labels, images }
    }

    /// Of made-up data, which has as many samples as are asked for.
    pub(super) fn made_up(train: &Dataset, kind: String) -> Fingerprint {
        let classes = format!("{} classes", train.classes);
        let labels = [classes.clone(), classes];
        Fingerprint { name: train.name.clone(), kind, counts: [0, 0], labels, images: None }
    }

    /// Whether both are the same samples in the same order, wherever they lie. Where images cannot be compared (a folder and
    /// what was packed of it), equal labels and an equal name have to do.
    pub fn is_same(&self, other: &Fingerprint) -> bool {
        self.labels == other.labels && self.counts == other.counts && self.has_images_of(other, [0, 1])
    }

    /// Whether part `ours` here (0 training files, 1 validation files) and part `theirs` there are the same samples.
    pub fn is_part(&self, ours: usize, other: &Fingerprint, theirs: usize) -> bool {
        let hashes = |f: &Fingerprint, part: usize| Some(f.images.as_ref()?.get(part)?.clone());
        let is_equal = |a: Option<&String>, b: Option<&String>| a.is_some() && a == b;
        is_equal(self.labels.get(ours), other.labels.get(theirs))
            && self.counts.get(ours).is_some_and(|&count| count > 0)
            && hashes(self, ours).is_some_and(|hash| hashes(other, theirs) == Some(hash))
    }

    fn has_images_of(&self, other: &Fingerprint, parts: [usize; 2]) -> bool {
        let (Some(ours), Some(theirs)) = (&self.images, &other.images) else {
            return self.name == other.name;
        };
        let kind = |hash: &str| hash.split(':').next().map(String::from);
        if kind(&ours[0]) != kind(&theirs[0]) {
            return self.name == other.name;
        }
        parts.iter().all(|&part| ours[part] == theirs[part])
    }
}

/// Labels and class names. A class counts as the number that it is, whether a reader took it for a class or for a value.
fn labels(dataset: &Dataset) -> String {
    let mut hash = Xxh3::new();
    hash.update(&(dataset.len() as u64).to_le_bytes());
    match &dataset.labels {
        Labels::Classes(classes) => {
            classes.iter().for_each(|&class| hash.update(&(class as f32).to_le_bytes()));
        }
        Labels::Values { values, .. } => values.iter().for_each(|value| hash.update(&value.to_le_bytes())),
    }
    if dataset.names_classes() {
        for name in &dataset.class_names {
            hash.update(&(name.len() as u64).to_le_bytes());
            hash.update(name.as_bytes());
        }
    }
    format!("{:016x}", hash.digest())
}

/// Files whose lengths are compared. Data sets of numbered files have the same names, however unlike their images are.
const MEASURED: usize = 64;

/// The images, or the names of their files: reading them all would take as long as an epoch.
fn images(dataset: &Dataset) -> Option<String> {
    let mut hash = Xxh3::new();
    let kind = match &dataset.images {
        Images::U8(values) => {
            hash.update(values);
            "pixels"
        }
        // Pixel values in numbers are other images than network input of the same numbers.
        Images::F32(values) | Images::Levels(values) => {
            for part in values.chunks(1 << 12) {
                let bytes: Vec<u8> = part.iter().flat_map(|value| value.to_le_bytes()).collect();
                hash.update(&bytes);
            }
            if matches!(dataset.images, Images::Levels(_)) { "levels" } else { "values" }
        }
        Images::Stored(stored) if !stored.store.shards().is_empty() => {
            for shard in stored.store.shards() {
                hash.update(shard.file_name().unwrap_or_default().as_encoded_bytes());
                hash.update(&[0]);
                let length = std::fs::metadata(shard).map_or(0, |file| file.len());
                hash.update(&length.to_le_bytes());
            }
            stored.indices.iter().for_each(|index| hash.update(&index.to_le_bytes()));
            "shards"
        }
        Images::Stored(stored) => {
            for &index in &stored.indices {
                let file = stored.store.file(index as usize)?;
                hash.update(file.file_name().unwrap_or_default().as_encoded_bytes());
                hash.update(&[0]);
            }
            let count = stored.indices.len();
            let spread = (0..count.min(MEASURED)).map(|n| stored.indices[n * count / count.min(MEASURED)]);
            for file in spread.filter_map(|index| stored.store.file(index as usize)) {
                let length = std::fs::metadata(file).map_or(0, |file| file.len());
                hash.update(&length.to_le_bytes());
            }
            "files"
        }
    };
    Some(format!("{kind}:{:016x}", hash.digest()))
}
