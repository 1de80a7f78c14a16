//! The choices of an adapter in a file.

use crate::gpu::cache_store::CacheStore;
use crate::gpu::progress::{Progress, ProgressListener};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::Arc;

const FORMAT: &str = "striate tiles 1";

/// A longer file is not one of ours.
const LONGEST: usize = 16 << 20;

/// With more choices than this, only those of this run are stored: it is unknown which of the others will be used again.
const MOST: usize = 10_000;

/// What was found for one geometry.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct TunedKernel {
    tile: String,
    /// The number of the shaders it was found among, in hexadecimal digits.
    shaders: String,
}

/// The file: JSON, so that people can read it.
#[derive(Debug, Serialize, Deserialize)]
struct Content {
    format: String,
    adapter: String,
    choices: BTreeMap<String, TunedKernel>,
}

/// Choices by geometry, and where they are kept.
#[derive(Debug)]
pub(super) struct Record {
    file: String,
    /// Name, back end and driver: with another driver another tile may be the fastest.
    adapter: String,
    store: Arc<dyn CacheStore>,
    choices: BTreeMap<String, TunedKernel>,
}

impl Record {
    /// An empty record that is stored as `file`.
    pub fn new(file: String, adapter: String, store: Arc<dyn CacheStore>) -> Self {
        Record { file, adapter, store, choices: BTreeMap::new() }
    }

    /// Reads the stored choices. A damaged file is a warning; one of another driver is ignored.
    pub fn load(&mut self, progress: &ProgressListener) {
        let Some(content) = self.store.load(&self.file) else { return };
        match self.parse(&content) {
            Some(choices) => self.choices = choices,
            None => {
                let text = format!("cache file {} is damaged; products are timed again", self.file);
                progress.report(Progress::Warning(&text));
            }
        }
    }

    /// Adds these choices to the stored ones.
    pub fn save(&self) {
        let mut choices = self.store.load(&self.file).and_then(|c| self.parse(&c)).unwrap_or_default();
        if choices.len() + self.choices.len() > MOST {
            choices.clear();
        }
        choices.extend(self.choices.clone());
        let content = Content { format: FORMAT.into(), adapter: self.adapter.clone(), choices };
        // Strings and maps of them can always be written.
        if let Ok(mut text) = serde_json::to_string_pretty(&content) {
            text.push('\n');
            self.store.save(&self.file, text.as_bytes());
        }
    }

    /// The choices of a file; none if it is of another driver, `None` if it is not one of ours.
    fn parse(&self, content: &[u8]) -> Option<BTreeMap<String, TunedKernel>> {
        if content.len() > LONGEST {
            return None;
        }
        let content: Content = serde_json::from_slice(content).ok()?;
        if content.format != FORMAT {
            return None;
        }
        Some(if content.adapter == self.adapter { content.choices } else { BTreeMap::new() })
    }

    /// The tile that was chosen for `geometry` among these shaders.
    pub fn get(&self, geometry: &str, shaders: u64) -> Option<&str> {
        let choice = self.choices.get(geometry)?;
        (choice.shaders == format!("{shaders:016x}")).then_some(choice.tile.as_str())
    }

    pub fn set(&mut self, geometry: &str, shaders: u64, tile: &str) {
        let choice = TunedKernel { tile: tile.into(), shaders: format!("{shaders:016x}") };
        self.choices.insert(geometry.into(), choice);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Mutex;

    /// One file in memory.
    #[derive(Debug, Default)]
    struct Memory(Mutex<Option<Vec<u8>>>);

    impl CacheStore for Memory {
        fn load(&self, _name: &str) -> Option<Vec<u8>> {
            self.0.lock().unwrap().clone()
        }
        fn save(&self, _name: &str, content: &[u8]) {
            *self.0.lock().unwrap() = Some(content.to_vec());
        }
    }

    fn record(adapter: &str, store: &Arc<Memory>) -> Record {
        Record::new("tiles.json".into(), adapter.into(), store.clone())
    }

    /// A listener and the warnings that it receives.
    fn listener() -> (ProgressListener, Arc<Mutex<Vec<String>>>) {
        let warnings = Arc::new(Mutex::new(Vec::new()));
        let received = warnings.clone();
        let listener = ProgressListener::new(move |progress| {
            if let Progress::Warning(text) = progress {
                received.lock().unwrap().push(text.to_string());
            }
        });
        (listener, warnings)
    }

    #[test]
    fn choices_of_several_runs_are_kept_together() {
        let (store, (progress, warnings)) = (Arc::new(Memory::default()), listener());
        for (geometry, tile) in [("a", "1"), ("b", "2"), ("a", "3")] {
            let mut record = record("card", &store);
            record.set(geometry, 7, tile);
            record.save();
        }
        let mut found = record("card", &store);
        found.load(&progress);
        assert_eq!((found.get("a", 7), found.get("b", 7)), (Some("3"), Some("2")));
        assert_eq!((found.get("a", 8), found.get("c", 7)), (None, None));
        let mut other = record("card with a new driver", &store);
        other.load(&progress);
        assert_eq!(other.get("a", 7), None);
        assert!(warnings.lock().unwrap().is_empty());
    }

    #[test]
    fn a_damaged_file_is_one_warning_and_replaced() {
        let (store, (progress, warnings)) = (Arc::new(Memory::default()), listener());
        let mut first = record("card", &store);
        first.set("a", 7, "1");
        first.save();
        let whole = store.0.lock().unwrap().clone().unwrap();
        // Without its last byte, the line feed, the content is the same.
        let cuts = (0..whole.len() - 1).map(|length| whole[..length].to_vec());
        let foreign =
            [b"[]".to_vec(), b"{\"format\":\"other\",\"adapter\":\"card\",\"choices\":{}}".to_vec()];
        for content in cuts.chain(foreign) {
            *store.0.lock().unwrap() = Some(content.clone());
            warnings.lock().unwrap().clear();
            let mut found = record("card", &store);
            found.load(&progress);
            assert_eq!(found.get("a", 7), None);
            let warnings = warnings.lock().unwrap().clone();
            assert_eq!(warnings.len(), 1, "{content:?}");
            assert!(warnings[0].contains("tiles.json") && !warnings[0].contains('\n'));
            first.save();
            assert_eq!(store.0.lock().unwrap().as_ref(), Some(&whole));
        }
    }
}
