//! Which samples are trained on and which validate: a share that the seed draws, or numbers of samples in the data's own
//! order.

use super::dataset::{Dataset, Images, Labels};
use super::source::Part;
use crate::error::{Error, Result};
use crate::random::{Purpose, Stream};

/// Holds back part of the samples, drawn by the seed; the order of the others stays. `None` if `part` is 0.
pub(super) fn drawn(train: Part, part: f32, seed: u64) -> Result<(Dataset, Option<Dataset>)> {
    if part == 0.0 {
        return Ok((train.dataset, None));
    }
    let count = train.dataset.len();
    if count < 2 {
        return Err(Error::data(
            &train.labels_path,
            format!(
                "expected at least 2 samples to hold some back for validation, found {count} (or use --val-split 0)"
            ),
        ));
    }
    let held = ((count as f64 * f64::from(part)).round() as usize).clamp(1, count - 1);
    let mut order = Stream::new(seed, Purpose::Split, 0).permutation(count);
    let (val, rest) = order.split_at_mut(held);
    val.sort_unstable();
    rest.sort_unstable();
    let held_back = train.dataset.clone().select(val);
    Ok((train.dataset.select(rest), Some(held_back)))
}

/// The first `counts[0]` samples, and the `counts[1]` next, of `train` and then `val`.
///
/// Pictures that are read from their files one by one are refused: they lie class by class, so the first ones are no
/// sample of them.
pub(super) fn counted(
    train: Part,
    val: Option<Dataset>,
    counts: [usize; 2],
) -> Result<(Dataset, Option<Dataset>)> {
    let fault = |what: String| Error::data(&train.labels_path, format!("split: {what}"));
    let mut pool = train.dataset;
    if matches!(pool.images, Images::Stored(_)) {
        return Err(fault(
            "expected a format that lies in memory; for pictures in files use val-split".into(),
        ));
    }
    if let Some(val) = val {
        pool = joined(pool, val).ok_or_else(|| {
            fault("expected validation samples of the training samples' kind and size, found others".into())
        })?;
    }
    let (first, found) = (counts[0], pool.len());
    let Some(wanted) = first.checked_add(counts[1]).filter(|&wanted| wanted <= found) else {
        let [train, val] = counts;
        return Err(fault(format!("expected at least {train} + {val} samples, found {found}")));
    };
    let range = |from: usize, to: usize| (from as u32..to as u32).collect::<Vec<_>>();
    let held_back = pool.clone().select(&range(first, wanted));
    Ok((pool.select(&range(0, first)), Some(held_back)))
}

/// The samples of both, if they are alike and lie in memory.
fn joined(mut first: Dataset, second: Dataset) -> Option<Dataset> {
    match (&mut first.images, second.images) {
        (Images::U8(all), Images::U8(more)) if first.shape == second.shape => all.extend(more),
        (Images::F32(all), Images::F32(more)) | (Images::Levels(all), Images::Levels(more))
            if first.shape == second.shape =>
        {
            all.extend(more);
        }
        _ => return None,
    }
    match (&mut first.labels, second.labels) {
        (Labels::Classes(all), Labels::Classes(more)) => all.extend(more),
        (Labels::Values { width, values }, Labels::Values { width: same, values: more })
            if *width == same =>
        {
            values.extend(more);
        }
        _ => return None,
    }
    Some(first)
}
