//! Sizes of a network: the table of `striate summary` and the memory line of `train`.

use super::build::{LayerInfo, Model};
use crate::program::{Role, Span};
use std::fmt;

/// Totals of a compiled model.
#[derive(Clone, Debug, PartialEq)]
pub struct Summary {
    pub name: String,
    pub batch: usize,
    pub layers: Vec<LayerInfo>,
    pub parameters: usize,
    /// Multiply-adds of a forward pass, for one row.
    pub macs: u64,
    /// Floating-point operations of one training step (forward, backward, update) for the whole batch.
    pub train_flops: u64,
    /// Bytes of the program's buffers, in total and by purpose.
    pub memory: u64,
    pub weights: u64,
    pub gradients: u64,
    pub optimizer: u64,
    /// Moving averages of the weights.
    pub averages: u64,
    pub activations: u64,
}

impl Summary {
    /// The totals of `model`.
    pub fn new(model: &Model) -> Self {
        let plan = model.program.plan();
        let memory = plan.bytes();
        let weights = plan.bytes_of(Role::Parameter) + plan.bytes_of(Role::State);
        let gradients = plan.bytes_of(Role::Gradient);
        let optimizer = plan.bytes_of(Role::Optimizer);
        let averages = plan.bytes_of(Role::Average);
        Summary {
            name: model.name.clone(),
            batch: model.batch,
            layers: model.layers.clone(),
            parameters: model.parameter_count(),
            macs: model.layers.iter().map(|l| l.macs).sum(),
            train_flops: model.program.flops(Span::Train),
            memory,
            weights,
            gradients,
            optimizer,
            averages,
            activations: memory - weights - gradients - optimizer - averages,
        }
    }

    /// One line with the memory a training step needs, by purpose.
    pub fn memory_line(&self) -> String {
        let mib = |bytes: u64| bytes as f64 / f64::from(1 << 20);
        let averages = match self.averages {
            0 => String::new(),
            bytes => format!(", averages {:.1}", mib(bytes)),
        };
        format!(
            "{:.1} MiB at batch {} (weights {:.1}, gradients {:.1}, optimiser {:.1}{averages}, activations and batch {:.1})",
            mib(self.memory),
            self.batch,
            mib(self.weights),
            mib(self.gradients),
            mib(self.optimizer),
            mib(self.activations)
        )
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let width = self.layers.iter().map(|l| l.name.len()).max().unwrap_or(0).max(5);
        writeln!(
            f,
            "{:<width$}  {:<20} {:<22} {:>12} {:>14} {:>10}",
            "layer", "operator", "output", "parameters", "multiply-adds", "MiB"
        )?;
        for layer in &self.layers {
            let mib = layer.buffer.map_or(0.0, |_| layer.output.bytes() as f64 / f64::from(1 << 20));
            writeln!(
                f,
                "{:<width$}  {:<20} {:<22} {:>12} {:>14} {:>10.2}",
                layer.name,
                layer.op,
                layer.output.to_string(),
                layer.parameters,
                layer.macs,
                mib
            )?;
        }
        writeln!(
            f,
            "{} parameters, {:.1} million multiply-adds per sample",
            self.parameters,
            self.macs as f64 / 1e6
        )?;
        writeln!(f, "a training step: {:.3} GFLOP", self.train_flops as f64 / 1e9)?;
        writeln!(f, "its memory: {}", self.memory_line())
    }
}
