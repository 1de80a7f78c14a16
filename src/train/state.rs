//! The state of a run between two updates: everything that the next update needs besides the tensors on the device. A
//! checkpoint holds it; how it is stored in a file is not the trainer's concern. The names of its fields in files stay as they
//! are.

use super::best::BestState;
use super::dead_relu::DeadReluCheck;
use super::divergence::DivergenceState;
use super::progress::Progress;
use super::task::DeviceId;
use crate::inference::exact;
use crate::tensor::Tensor;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::PathBuf;

/// The state of a run between two updates.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct State {
    /// The current epoch, counted from 0.
    pub(super) epoch: usize,
    /// Updates of that epoch so far.
    pub(super) position: usize,
    /// Updates of the run so far.
    pub(super) step: usize,
    /// Gradient computations so far, several for each update if gradients are accumulated.
    #[serde(rename = "draw")]
    pub(super) micro_step: usize,
    pub(super) steps_per_epoch: usize,
    /// Of the epoch so far.
    pub(super) progress: Progress,
    #[serde(rename = "verdicts")]
    pub(super) best: BestState,
    #[serde(rename = "seen")]
    pub(super) divergence: DivergenceState,
    #[serde(rename = "probe")]
    pub(super) dead_relus: DeadReluCheck,
    /// The state of the learning rate's rule.
    pub(super) schedule: String,
    /// Samples that could not be read, as they were reported.
    pub(super) bad: Vec<String>,
    /// Seconds that the run has taken.
    #[serde(with = "exact")]
    pub(super) seconds: f64,
    /// The device that the run was on, as reports call it.
    pub(super) device: String,
    /// Its [`DeviceId::key`]; checkpoints of versions before 0.2 have none.
    #[serde(default)]
    pub(super) device_key: Option<String>,
}

impl State {
    /// Updates of the run so far.
    pub fn step(&self) -> usize {
        self.step
    }

    /// Updates of the current epoch so far.
    pub fn position(&self) -> usize {
        self.position
    }

    /// Updates in an epoch.
    pub fn steps_per_epoch(&self) -> usize {
        self.steps_per_epoch
    }

    /// Epochs that have begun.
    pub fn epochs_begun(&self) -> usize {
        self.epoch + usize::from(self.position > 0)
    }

    /// Gradient computations so far, several for each update if gradients are accumulated.
    pub fn micro_step(&self) -> usize {
        self.micro_step
    }

    /// Whether the run was on a device that computes the same bits as `device`.
    pub(super) fn is_on(&self, device: &DeviceId) -> bool {
        match &self.device_key {
            Some(key) => *key == device.key,
            None => same_name(&self.device, &device.name),
        }
    }

    /// Checks the values, since a file that was edited may hold any; the error says what is wrong.
    pub fn check(&self) -> std::result::Result<(), String> {
        let State { epoch, position, step, steps_per_epoch: most, .. } = self;
        if position > most || epoch.max(step) > &(u32::MAX as usize) {
            return Err(format!("expected at most {most} updates of an epoch, found {position}"));
        }
        Ok(())
    }

    /// The epoch to continue, from 0, and how many of its updates have been made. With another number of updates in an
    /// epoch, the epoch starts again.
    pub fn place(&self, steps_per_epoch: usize) -> [usize; 2] {
        [self.epoch, if self.steps_per_epoch == steps_per_epoch { self.position } else { 0 }]
    }
}

/// Whether two names of devices differ only in the number of threads, which changes no bit. Only for checkpoints without a
/// key: a name is for people.
fn same_name(a: &str, b: &str) -> bool {
    let parts = |name: &str| {
        let is_count = |part: &&str| part.ends_with(" threads") || part.ends_with(" thread");
        name.split(", ").filter(|part| !is_count(part)).map(String::from).collect::<Vec<_>>()
    };
    parts(a) == parts(b)
}

/// A saved run that a trainer can resume.
#[derive(Debug)]
pub struct Saved {
    /// The file that it was read from, for messages.
    pub path: PathBuf,
    /// Every tensor that outlives a step, by the name of its buffer.
    pub tensors: BTreeMap<String, Tensor>,
    pub state: State,
    /// Whether the run had another optimiser, whose state this one cannot use.
    pub is_other_optimizer: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn state(device: &str, key: Option<&str>) -> State {
        let text = serde_json::json!({
            "epoch": 1, "position": 2, "step": 9, "draw": 18, "steps_per_epoch": 7, "progress": progress(),
            "verdicts": {"best": null, "waited": 1},
            "seen": {"recent": [], "count": 0, "first": null, "stalls": false, "said": true},
            "probe": {"said": ["relu"], "took": null, "trained": {"secs": 1, "nanos": 0}},
            "schedule": "", "bad": [], "seconds": "3ff0000000000000", "device": device, "device_key": key,
        });
        serde_json::from_value(text).expect("the names of version 1")
    }

    fn progress() -> serde_json::Value {
        serde_json::to_value(Progress::default()).expect("JSON")
    }

    #[test]
    fn the_names_of_version_1_are_read_and_written() {
        let state = state("cpu", None);
        assert_eq!((state.micro_step(), state.step(), state.seconds), (18, 9, 1.0));
        let written = serde_json::to_value(&state).expect("JSON");
        for name in ["draw", "verdicts", "seen", "probe"] {
            assert!(written.get(name).is_some(), "{name}: {written}");
        }
        assert_eq!(written["probe"]["said"][0], "relu");
        assert_eq!(written["seen"]["said"], true);
    }

    #[test]
    fn devices_are_compared_by_their_keys_and_by_name_only_without_one() {
        let here = DeviceId::new("cpu, 2 threads", "cpu/x86_64/avx2/winograd");
        assert!(state("another name", Some("cpu/x86_64/avx2/winograd")).is_on(&here));
        assert!(!state("cpu, 2 threads", Some("cpu/x86_64/avx512/winograd")).is_on(&here));
        assert!(state("cpu, 16 threads", None).is_on(&here) && state("cpu, 1 thread", None).is_on(&here));
        assert!(!state("llvmpipe, 2 threads", None).is_on(&here));
    }
}
