//! The task of a trainer: network, data, options and device.

use super::options::Options;
use crate::data::Splits;
use crate::error::Result;
use crate::model::{Model, Spec};
use crate::program::{Executor, Program};
use std::fmt;
use std::sync::Arc;

/// Makes executors for programs that run beside the training program.
pub type ExecutorFactory<'a> = dyn Fn(Arc<Program>) -> Result<Box<dyn Executor>> + 'a;

/// The device of a run: a name for people, and a key that can be compared.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DeviceId {
    /// What reports call the device.
    pub name: String,
    /// Devices with the same key compute the same bits ([`crate::Device::key`]).
    pub key: String,
}

impl DeviceId {
    /// A device called `name` with the key `key`.
    pub fn new(name: impl Into<String>, key: impl Into<String>) -> DeviceId {
        DeviceId { name: name.into(), key: key.into() }
    }
}

impl From<&str> for DeviceId {
    /// A device whose name is its key.
    fn from(name: &str) -> DeviceId {
        DeviceId::new(name, name)
    }
}

/// The task of a trainer: network, data, options and device.
#[derive(Clone)]
pub struct TrainingTask<'a> {
    /// The model file, with overrides of its recipe applied.
    pub spec: &'a Spec,
    /// The model, built from `spec` with [`Options::build_options`].
    pub model: &'a Model,
    pub data: &'a Splits,
    pub options: &'a Options,
    pub device: DeviceId,
}

impl fmt::Debug for TrainingTask<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let TrainingTask { spec, data, options, device, .. } = self;
        f.debug_struct("TrainingTask")
            .field("spec", &spec.name)
            .field("data", &data.train.name)
            .field("options", options)
            .field("device", device)
            .finish_non_exhaustive()
    }
}
