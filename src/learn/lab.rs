//! A small network on a device, with everything that one step computes by name.

use crate::data::{Batch, BatchInput};
use crate::device::Device;
use crate::error::{Error, Result};
use crate::inference;
use crate::model::{BuildOptions, Model, Spec};
use crate::ops::Target;
use crate::program::Executor;
use crate::tensor::Tensor;
use std::collections::BTreeMap;
use std::sync::Arc;

/// A network built so that every intermediate value can be read.
pub(super) struct Lab {
    spec: Spec,
    model: Model,
    executor: Box<dyn Executor>,
    seed: u64,
}

/// The tensors of a step, named as in [`inference::trace`].
#[derive(Debug)]
pub(super) struct Traced(BTreeMap<String, Tensor>);

impl Traced {
    /// The values called `name`.
    pub fn get(&self, name: &str) -> Result<&[f32]> {
        let missing = || Error::Internal(format!("no {name} in the trace"));
        self.0.get(name).map(Tensor::data).ok_or_else(missing)
    }

    /// The same in f64.
    pub fn wide(&self, name: &str) -> Result<Vec<f64>> {
        Ok(self.get(name)?.iter().map(|&value| f64::from(value)).collect())
    }
}

impl Lab {
    /// `spec` with the initial values of `seed`, for batches of `rows`.
    pub fn new(spec: Spec, device: &Device, rows: usize, target: Target, seed: u64) -> Result<Lab> {
        let build = BuildOptions {
            dropout: false,
            fuse: false,
            keep: true,
            input_gradient: true,
            target,
            ..BuildOptions::new(rows)
        };
        let model = Model::build(&spec, &build)?;
        let mut executor = device.executor(Arc::clone(&model.program))?;
        inference::initialise(&model, executor.as_mut(), seed)?;
        Ok(Lab { spec, model, executor, seed })
    }

    /// Sets the parameter `name`.
    pub fn set(&mut self, name: &str, values: &[f32]) -> Result<()> {
        let missing = || Error::Internal(format!("no parameter {name}"));
        let parameter = self.model.parameters.iter().find(|p| p.name == name).ok_or_else(missing)?;
        self.executor.write(parameter.buffer, values)
    }

    /// One step of training on a batch of as many rows as the network was built for.
    pub fn step(&mut self, input: &[f32], labels: &[f32]) -> Result<Traced> {
        let rows = self.model.batch;
        let batch = Batch {
            input: BatchInput::Values(input.to_vec()),
            labels: labels.to_vec(),
            samples: (0..rows as u32).collect(),
            rows,
        };
        let named = inference::trace(&self.spec, &self.model, self.executor.as_mut(), &batch, self.seed)?;
        Ok(Traced(named.into_iter().collect()))
    }
}
