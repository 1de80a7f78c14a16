//! The table of cases: for every operator several geometries, ragged on purpose (primes, extent 1, one more and one
//! less than a tile, strides larger than kernels, uneven padding), small enough for the f64 reference.

mod alexnet;
mod inputs;
mod shapes;

pub use alexnet::alexnet_cases;
pub(super) use inputs::{outputs, scatter, special};
pub use shapes::{convolution_cases, linear_cases, pooling_cases};

use super::operators;

use crate::error::Result;
use crate::ops::{Access, Hyper, Op, OperandKind};
use crate::program::{BufferId, Program, ProgramBuilder, Role, Step};
use std::sync::Arc;

/// The kind of values in the inputs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Data {
    /// Standard normal, and suitable values for other kinds of operands (labels, variances, masks).
    Plain,
    /// Rounded to multiples of one half, so that equal values are common.
    Ties,
    /// Some NaN: the first row of x, or single elements where an operator has no rows.
    Nan,
    /// x far from zero compared with its deviation: 1000 + normal.
    Offset,
    /// x near +80 or -80.
    Huge,
    /// Scaled gradients that were not all finite.
    Skipped,
    /// Views as in training: crops of the input's own size, every second one mirrored.
    Crops,
}

/// One operator with a geometry, the step's hyperparameters, and the kind of its inputs.
#[derive(Clone, Debug)]
pub struct Case {
    /// `<kernel>/<property>`, unique.
    pub name: String,
    pub op: Op,
    pub hyper: Hyper,
    /// Length of the longest sum behind one output element: rounding errors grow with its root.
    pub reduction_length: usize,
    pub data: Data,
}

impl Case {
    pub(super) fn new(op: Op, what: &str, reduction_length: usize) -> Self {
        let name = format!("{}/{what}", op.name());
        Case { name, op, hyper: default_hyper(), reduction_length, data: Data::Plain }
    }

    pub(super) fn with_data(self, data: Data) -> Self {
        Case { data, ..self }
    }

    pub(super) fn with_hyper(self, hyper: Hyper) -> Self {
        Case { hyper, ..self }
    }

    /// The content of every operand before the run, in binding order: inputs drawn from `seed` and the case's
    /// name, NaN in outputs that the operator has to write wholly.
    pub fn inputs(&self, seed: u64) -> Vec<Vec<f32>> {
        inputs::draw(self, seed)
    }

    /// A program of this one step, in `Span::Forward`; buffer i is operand i, and all can be read.
    pub fn program(&self) -> Result<Arc<Program>> {
        let mut builder = ProgramBuilder::default();
        let mut buffers: Vec<BufferId> = Vec::new();
        for operand in self.op.operands() {
            let role = match (operand.access, operand.kind) {
                (_, OperandKind::Hyper) => Role::Hyper,
                (_, OperandKind::Labels) => Role::Labels,
                (_, OperandKind::Parameter) => Role::Parameter,
                (_, OperandKind::RunningMean | OperandKind::RunningVariance) => Role::State,
                (Access::Read, _) => Role::Input,
                (Access::Update, OperandKind::Record) => Role::Output,
                (Access::Update, _) => Role::Optimizer,
                (Access::Write | Access::Part, _) => Role::Output,
            };
            buffers.push(builder.buffer(operand.name, operand.shape, role)?);
        }
        builder.forward.push(Step { op: self.op.clone(), buffers, label: self.name.clone() });
        Ok(Arc::new(builder.finish(true)?))
    }
}

/// Ordinary values; the cases of losses, updates and the like set their own.
pub(super) fn default_hyper() -> Hyper {
    Hyper {
        rows: 1,
        loss_scale: 0.37,
        seed_lo: 0x1234_5678,
        seed_hi: 0x9abc_def0,
        draw: 3,
        lr: 0.1,
        momentum: 0.9,
        beta2: 0.999,
        eps: 1e-8,
        weight_decay: 0.01,
        correction1: 1.0 - 0.9 * 0.9 * 0.9,
        correction2: 1.0 - 0.999 * 0.999 * 0.999,
        max_norm: 0.5,
        ..Hyper::default()
    }
}

/// The lengths that every reduction over an extent that grows with the data is tested with, all other extents small.
/// Mesa's llvmpipe leaves loops after 65,535 rounds without an error (`src/gpu/kernels/rounds.rs`), and a chain of so
/// many `f32` additions loses digits on any device.
pub const LENGTHS: [usize; 2] = [65_536, 70_001];

/// How many elements of its operands the longest reduction of `op` goes over; `None` where that does not grow with the
/// data. The tests demand cases of [`LENGTHS`] for every operator that has one.
pub fn reduced(op: &Op) -> Option<usize> {
    operators::entry(op).reduction
}

/// All cases of the self-test.
pub fn cases() -> Vec<Case> {
    operators::cases()
}

/// Few but large cases: tensors beyond the default limit of a binding (2^27 bytes) and grids beyond 65,535 workgroups.
/// They take seconds and gigabytes, so they belong to the tests and not to the self-test.
pub fn large_cases() -> Vec<Case> {
    operators::large_cases()
}
