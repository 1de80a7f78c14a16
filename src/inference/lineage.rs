//! The runs that weights come from, as their file's metadata records them: the data of each run and how it was divided. Verbs
//! thereby evaluate the held-out samples by default, and recognise samples that were trained on.

use crate::data::{Division, Fingerprint, Origin, Pool, Provenance, Splits, VAL_SPLIT};
use crate::error::{Error, Result};
use crate::interchange::File;
use std::collections::BTreeMap;
use std::path::Path;

/// Metadata: the run that made the weights, and the runs before it whose weights it began with (a list).
const ORIGIN: &str = "origin";
const BEFORE: &str = "origin_before";
/// Most earlier runs that are kept: the newest ones.
const KEPT: usize = 16;

/// An earlier run, as far as it is known.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum PastRun {
    /// Its provenance is recorded in full.
    Known(Box<Provenance>),
    /// Weights of a version that recorded only the name of the data and the seed. By default it drew a tenth of the samples
    /// as division version 1 does.
    Named { name: String, seed: u64 },
}

/// The runs that weights come from, newest first. None if the weights do not say.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Lineage {
    runs: Vec<PastRun>,
}

impl PastRun {
    /// The name of the data.
    pub fn name(&self) -> &str {
        match self {
            PastRun::Known(provenance) => &provenance.data.name,
            PastRun::Named { name, .. } => name,
        }
    }

    /// Whether the run was on `data`, as far as this is known.
    pub fn is_on(&self, data: &Fingerprint) -> bool {
        match self {
            PastRun::Known(provenance) => provenance.data.is_same(data),
            PastRun::Named { name, .. } => *name == data.name,
        }
    }

    /// How the run divided the samples of `pool`, which are its own.
    pub fn division(&self, pool: &Pool<'_>) -> Division {
        match self {
            PastRun::Known(provenance) => provenance.division.clone(),
            PastRun::Named { .. } if pool.has_validation() => Division::Validation,
            PastRun::Named { seed, .. } => Division::HeldOut { share: VAL_SPLIT, seed: *seed, version: 1 },
        }
    }

    /// The numbers of the samples of `pool` that the run was trained on, rising; `None` if that is not known.
    pub fn trained(&self, pool: &Pool<'_>) -> Option<Vec<u32>> {
        let PastRun::Known(provenance) = self else { return None };
        let (ours, data) = (&provenance.data, pool.data());
        if ours.is_same(data) {
            let [mut trained, _] = pool.divide(&provenance.division, [provenance.limit_train, None]).ok()?;
            trained.sort_unstable();
            return Some(trained);
        }
        // The folder of its training files alone, with nothing held back from them.
        let all = 0..*data.counts.first()? as u32;
        let is_all = provenance.division == Division::Validation && provenance.limit_train.is_none();
        (is_all && data.is_part(0, ours, 0)).then(|| all.collect())
    }

    /// Whether `data` is the validation part of the run's own data.
    pub fn validated_on(&self, data: &Fingerprint) -> bool {
        matches!(self, PastRun::Known(provenance) if data.is_part(0, &provenance.data, 1))
    }
}

impl Lineage {
    /// Of the weights in `file`. An error if its metadata is invalid.
    pub fn of(file: &File) -> Result<Lineage> {
        Lineage::read(&file.path, &file.metadata)
    }

    /// Of the metadata of the file at `path`.
    pub fn read(path: &Path, metadata: &BTreeMap<String, String>) -> Result<Lineage> {
        let bad = |key: &str, what: String| Error::data(path, format!("metadata {key}: {what}"));
        let check = |provenance: Provenance| match provenance.division.check() {
            Ok(()) => Ok(PastRun::Known(Box::new(provenance))),
            Err(Error::Usage(what)) => Err(bad(ORIGIN, what)),
            Err(error) => Err(error),
        };
        let Some(text) = metadata.get(ORIGIN) else {
            return Ok(Lineage { runs: named(metadata).into_iter().collect() });
        };
        let newest = serde_json::from_str(text).map_err(|error| bad(ORIGIN, error.to_string()))?;
        let before: Vec<Provenance> = match metadata.get(BEFORE) {
            Some(text) => serde_json::from_str(text).map_err(|error| bad(BEFORE, error.to_string()))?,
            None => Vec::new(),
        };
        let runs = std::iter::once(newest).chain(before.into_iter().rev()).map(check);
        Ok(Lineage { runs: runs.collect::<Result<_>>()? })
    }

    /// The runs, newest first.
    pub fn runs(&self) -> &[PastRun] {
        &self.runs
    }

    /// The newest run on `data`.
    pub fn on(&self, data: &Fingerprint) -> Option<&PastRun> {
        self.runs.iter().find(|run| run.is_on(data))
    }

    /// The numbers of the samples of `pool` that one of the runs was trained on, rising; `None` if that is not known of any
    /// run on this data.
    pub fn trained_on(&self, pool: &Pool<'_>) -> Option<Vec<u32>> {
        let mut all: Option<Vec<u32>> = None;
        for trained in self.runs.iter().filter_map(|run| run.trained(pool)) {
            all.get_or_insert_default().extend(trained);
        }
        let mut all = all?;
        all.sort_unstable();
        all.dedup();
        Some(all)
    }

    /// The runs before the newest, for a run that is resumed.
    pub fn earlier(&self) -> Lineage {
        Lineage { runs: self.runs.iter().skip(1).cloned().collect() }
    }

    /// The runs that a new run with these initial weights records, oldest first.
    pub fn kept(&self) -> Vec<Provenance> {
        let known = self.runs.iter().filter_map(|run| match run {
            PastRun::Known(provenance) => Some((**provenance).clone()),
            PastRun::Named { .. } => None,
        });
        let mut kept: Vec<Provenance> = known.take(KEPT).collect();
        kept.reverse();
        kept
    }
}

fn named(metadata: &BTreeMap<String, String>) -> Option<PastRun> {
    let name = metadata.get("data")?.clone();
    let seed = metadata.get("seed").and_then(|seed| seed.parse().ok()).unwrap_or(0);
    Some(PastRun::Named { name, seed })
}

/// The metadata that records the training data of weights: of a run on `data` under `seed` whose initial weights come from
/// `before`.
pub fn origin_metadata(data: &Splits, before: &Lineage, seed: u64) -> BTreeMap<String, String> {
    let mut metadata = BTreeMap::new();
    metadata.insert("data".into(), data.train.name.clone());
    metadata.insert("seed".into(), seed.to_string());
    if let Some(origin) = &data.origin {
        write_origin(&Origin { before: before.kept(), ..(**origin).clone() }, &mut metadata);
    }
    metadata
}

/// Records the origin of a run's samples in the metadata of its weights.
pub(crate) fn write_origin(origin: &Origin, metadata: &mut BTreeMap<String, String>) {
    metadata.insert(ORIGIN.into(), serde_json::json!(origin.provenance).to_string());
    if !origin.before.is_empty() {
        metadata.insert(BEFORE.into(), serde_json::json!(origin.before).to_string());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn provenance(name: &str, division: Division) -> Provenance {
        let hashes = || ["1".to_string(), "0".to_string()];
        let data = Fingerprint {
            name: name.into(),
            kind: "csv".into(),
            counts: [9, 0],
            labels: hashes(),
            images: Some(hashes()),
        };
        let (image_column, label_column) = (None, None);
        Provenance {
            data,
            division,
            limit_train: Some(5),
            image_column,
            label_column,
            transpose: false,
            input_range: None,
        }
    }

    fn read(metadata: &[(&str, &str)]) -> Result<Lineage> {
        let metadata = metadata.iter().map(|(key, text)| (key.to_string(), text.to_string())).collect();
        Lineage::read(Path::new("w.safetensors"), &metadata)
    }

    #[test]
    fn recorded_runs_are_read_newest_first() {
        // A seed and a share that a double would round.
        let held = Division::HeldOut { share: 0.1, seed: u64::MAX - 1, version: 2 };
        let all = [held, Division::Validation, Division::Counts { train: 3, val: 4 }, Division::All];
        let runs: Vec<Provenance> = all.into_iter().map(|division| provenance("x", division)).collect();
        let origin =
            Origin { provenance: runs[3].clone(), before: runs[..3].to_vec(), numbers: Default::default() };
        let mut metadata = BTreeMap::new();
        write_origin(&origin, &mut metadata);
        let lineage = Lineage::read(Path::new("w"), &metadata).unwrap();
        let mut kept = lineage.kept();
        assert_eq!(kept, runs);
        assert_eq!(lineage.earlier().kept(), runs[..3]);
        assert_eq!(lineage.runs()[0], PastRun::Known(Box::new(kept.pop().unwrap())));
    }

    #[test]
    fn earlier_versions_are_known_by_name_and_damage_is_one_line() {
        let named = read(&[("data", "photos"), ("seed", "7")]).unwrap();
        assert_eq!(named.runs(), [PastRun::Named { name: "photos".into(), seed: 7 }]);
        assert_eq!(read(&[("seed", "7")]).unwrap(), Lineage::default());
        let good = serde_json::json!(provenance("x", Division::HeldOut { share: 0.5, seed: 1, version: 1 }));
        assert!(read(&[("origin", &good.to_string())]).is_ok());
        let mut texts = vec!["{}".to_string(), "x".into()];
        for (key, value) in [("share", 1.5.into()), ("version", 9.into()), ("part", "none".into())] {
            let mut bad: serde_json::Value = good.clone();
            bad[key] = value;
            texts.push(bad.to_string());
        }
        for text in texts {
            let error = read(&[("origin", &text)]).unwrap_err();
            assert_eq!(error.exit_code(), 4, "{text}: {error}");
            assert!(error.to_string().starts_with("w.safetensors: metadata origin: "), "{error}");
        }
    }
}
