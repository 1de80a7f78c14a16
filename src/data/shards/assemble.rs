//! A data set of the shards that were opened.

use super::{Samples, ShardLabels, ShardStore, Source};
use crate::data::dataset::{Dataset, Images, Labels, Store, Stored};
use crate::data::diagnostics::Diagnostics;
use crate::data::raw::{RawSplit, RawSplits};
use crate::data::request::Request;
use crate::error::{Error, Result};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A shard without its images.
pub(in super::super) trait OpenShard {
    fn path(&self) -> &Path;

    fn labels(&self) -> &ShardLabels;

    /// Where the label of sample `at` stands.
    fn label_place(&self, at: usize) -> String;
}

/// The samples of the shards `train` and `val`. `names` are the names of the classes as the files say them; if there are none, those of
/// texts as labels are taken. `samples` makes the images of the shards, training shards first.
pub(in super::super) fn assemble<O: OpenShard, S: Samples + 'static>(
    source: Source<'_>,
    request: &Request,
    [train, mut val]: [Vec<O>; 2],
    mut names: Vec<String>,
    diagnostics: &mut Diagnostics,
    samples: impl FnOnce(Vec<O>) -> S,
) -> Result<RawSplits> {
    let frame = request.frame();
    if !val.is_empty() && val.iter().all(|shard| shard.labels().is_unlabelled()) {
        diagnostics.warn(
            "the validation files are left alone: they have no labels (none, null or -1); validation samples are taken from \
             the training files",
        );
        val.clear();
    }
    if names.is_empty() {
        names = ShardLabels::names(train.iter().map(OpenShard::labels));
    }
    let classes = |shards: &[O]| -> Result<Vec<u32>> {
        let mut classes = Vec::with_capacity(shards.iter().map(|shard| shard.labels().len()).sum());
        for shard in shards {
            shard.labels().number(shard.path(), &names, &|at| shard.label_place(at), &mut classes)?;
        }
        Ok(classes)
    };
    let [train_labels, val_labels] = [classes(&train)?, classes(&val)?];
    if train_labels.is_empty() {
        return Err(Error::data(source.path, "expected samples, found none"));
    }
    let counts = [train_labels.len(), val_labels.len()];
    if counts[0].saturating_add(counts[1]) > u32::MAX as usize {
        return Err(Error::data(source.path, format!("expected at most {} samples, found more", u32::MAX)));
    }
    // The file that messages about a whole part name.
    let path_of = |shards: &[O]| match shards {
        [shard] => shard.path().to_path_buf(),
        _ => source.path.to_path_buf(),
    };
    let [train_path, val_path] = [path_of(&train), path_of(&val)];
    let samples = samples(train.into_iter().chain(val).collect());
    let store: Arc<dyn Store> = Arc::new(ShardStore::new(samples, frame, request.ignore_exif));
    let part = |labels: Vec<u32>, first: usize, path: PathBuf| {
        let indices = (first as u32..).take(labels.len()).collect();
        let store = Arc::clone(&store);
        let dataset = Dataset {
            name: source.name.to_string(),
            shape: frame.shape,
            classes: 0,
            class_names: names.clone(),
            images: Images::Stored(Stored { store, indices, framing: Some(frame.framing) }),
            labels: Labels::Classes(labels),
        };
        RawSplit { dataset, images_path: path.clone(), labels_path: path }
    };
    let train = part(train_labels, 0, train_path);
    let val = (counts[1] > 0).then(|| part(val_labels, counts[0], val_path));
    Ok(RawSplits { train, val })
}
