//! A training step as data: a static list of steps over buffers of known shapes, built once from a model and run by
//! two executors (`cpu`, `gpu`) that never see each other. `Program::new` checks every shape,
//! so an executor may trust them; `Display` prints the plan.

mod builder;
mod executor;
mod plan;
mod profile;
mod words;

pub use builder::ProgramBuilder;
pub(crate) use builder::step;
pub use executor::{Executor, Pending};
pub use plan::Plan;
pub use profile::{Clock, Profile, ProfileEntry, Workload};
pub use words::write_words;

use crate::error::{Error, Result};
use crate::ops::{Access, Op};
use crate::tensor::Shape;
use std::fmt;

/// A buffer of a program.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct BufferId(pub u32);

impl BufferId {
    /// Position in `Program::buffers`.
    pub fn index(self) -> usize {
        self.0 as usize
    }
}

/// The purpose of a buffer. Every role but `Transient` keeps its content between runs and may be read at any time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Role {
    /// The batch, written by the host.
    Input,
    /// Labels or targets, and the weights of classes, written by the host.
    Labels,
    /// The `Hyper` words, written by the host.
    Hyper,
    /// Weights and biases.
    Parameter,
    /// Running statistics of batch norm.
    State,
    /// Gradient of a parameter (kept, since gradients and update can be run apart).
    Gradient,
    /// Momenta and other state of the optimiser.
    Optimizer,
    /// Moving averages of weights, biases and running statistics.
    Average,
    /// Logits, metrics and other values that the host reads.
    Output,
    /// Activations and their gradients: content is lost as soon as the last step that reads it has run.
    Transient,
}

/// A logical tensor of a program.
#[derive(Clone, Debug, PartialEq)]
pub struct Buffer {
    /// Unique; layers' outputs are `<layer>.y`, gradients `grad.<parameter>`.
    pub name: String,
    pub shape: Shape,
    pub role: Role,
}

/// One operator applied to buffers, in the order of `Op::operands`.
#[derive(Clone, Debug, PartialEq)]
pub struct Step {
    pub op: Op,
    pub buffers: Vec<BufferId>,
    /// The layer or parameter it belongs to.
    pub label: String,
}

/// A part of a program to run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Span {
    /// Evaluation: dropout absent, batch norm on running statistics, no gradients.
    Forward,
    /// Training's forward and backward.
    Gradients,
    /// The update from the gradients.
    Update,
    /// Gradients, then update.
    Train,
}

/// A compiled training step.
#[derive(Clone, Debug)]
pub struct Program {
    buffers: Vec<Buffer>,
    forward: Vec<Step>,
    gradients: Vec<Step>,
    update: Vec<Step>,
    plan: Plan,
}

impl Program {
    /// Checks every step's operands against the buffers and lays the transient buffers out in memory.
    ///
    /// `keep` makes every buffer readable after a run (no memory is used twice): for `trace` and tests.
    pub fn new(
        buffers: Vec<Buffer>,
        forward: Vec<Step>,
        gradients: Vec<Step>,
        update: Vec<Step>,
        keep: bool,
    ) -> Result<Self> {
        for list in [&forward, &gradients, &update] {
            check(&buffers, list)?;
        }
        let plan = Plan::new(&buffers, &[&forward, &gradients, &update], keep);
        Ok(Program { buffers, forward, gradients, update, plan })
    }

    /// All buffers; `BufferId::index` is the position.
    pub fn buffers(&self) -> &[Buffer] {
        &self.buffers
    }

    /// The buffer behind an id of this program.
    pub fn buffer(&self, id: BufferId) -> &Buffer {
        &self.buffers[id.index()]
    }

    /// The buffer called `name`.
    pub fn find(&self, name: &str) -> Option<BufferId> {
        self.buffers.iter().position(|b| b.name == name).map(|i| BufferId(i as u32))
    }

    /// The steps of `span`, in order.
    pub fn steps(&self, span: Span) -> impl Iterator<Item = &Step> {
        let (first, second): (&[Step], &[Step]) = match span {
            Span::Forward => (&self.forward, &[]),
            Span::Gradients => (&self.gradients, &[]),
            Span::Update => (&self.update, &[]),
            Span::Train => (&self.gradients, &self.update),
        };
        first.iter().chain(second)
    }

    /// The list of `span`; empty for `Span::Train`, which is two lists.
    pub(crate) fn list(&self, span: Span) -> &[Step] {
        match span {
            Span::Forward => &self.forward,
            Span::Gradients => &self.gradients,
            Span::Update => &self.update,
            Span::Train => &[],
        }
    }

    /// The positions of the buffers in memory.
    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    /// Floating-point operations of one run of `span`.
    pub fn flops(&self, span: Span) -> u64 {
        self.steps(span).map(|s| s.op.flops()).sum()
    }

    /// An error unless `id` may be read or written by the host with `len` values (for a write).
    pub fn check_access(&self, id: BufferId, len: Option<usize>) -> Result<()> {
        let buffer = self
            .buffers
            .get(id.index())
            .ok_or_else(|| Error::Internal(format!("no buffer number {}", id.0)))?;
        if len.is_some_and(|n| n != buffer.shape.len()) {
            return Err(Error::Internal(format!(
                "buffer {} has {} values, found {}",
                buffer.name,
                buffer.shape.len(),
                len.unwrap_or(0)
            )));
        }
        if !self.plan.is_kept(id) {
            return Err(Error::Internal(format!(
                "buffer {} shares its memory with others; build the program with `keep` to read it",
                buffer.name
            )));
        }
        Ok(())
    }
}

/// The same elements in the same order: equal lengths, and equal first extents where both have several.
fn fits(operand: &Shape, buffer: &Shape) -> bool {
    operand.len() == buffer.len()
        && (operand.dims().len() < 2
            || buffer.dims().len() < 2
            || operand.dims().first() == buffer.dims().first())
}

fn check(buffers: &[Buffer], steps: &[Step]) -> Result<()> {
    for step in steps {
        step.op.check().map_err(|e| Error::Model(format!("layer {}: {e}", step.label)))?;
        let operands = step.op.operands();
        let fault =
            |what: String| Err(Error::Internal(format!("step {} of {}: {what}", step.op.name(), step.label)));
        if operands.len() != step.buffers.len() {
            return fault(format!("expected {} buffers, found {}", operands.len(), step.buffers.len()));
        }
        for (i, (operand, id)) in operands.iter().zip(&step.buffers).enumerate() {
            let Some(buffer) = buffers.get(id.index()) else {
                return fault(format!("no buffer number {}", id.0));
            };
            if !fits(&operand.shape, &buffer.shape) {
                return fault(format!(
                    "operand {} has shape {}, found buffer {} of shape {}",
                    operand.name, operand.shape, buffer.name, buffer.shape
                ));
            }
            let twice = step.buffers.iter().enumerate().any(|(j, other)| j != i && other == id);
            if twice && operand.access != Access::Read {
                return fault(format!("buffer {} is written and used twice", buffer.name));
            }
        }
    }
    Ok(())
}

impl fmt::Display for Program {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (title, steps) in
            [("forward", &self.forward), ("gradients", &self.gradients), ("update", &self.update)]
        {
            let flops: u64 = steps.iter().map(|s| s.op.flops()).sum();
            writeln!(f, "{title}: {} steps, {:.3} GFLOP", steps.len(), flops as f64 / 1e9)?;
            for step in steps {
                write!(f, "  {:<28} {:<20}", step.op.name(), step.label)?;
                for (operand, id) in step.op.operands().iter().zip(&step.buffers) {
                    let mark = match operand.access {
                        Access::Read => "",
                        Access::Write => "->",
                        Access::Update | Access::Part => "<>",
                    };
                    let buffer = self.buffer(*id);
                    write!(f, " {mark}{}={}{}", operand.name, buffer.name, buffer.shape)?;
                }
                writeln!(f)?;
            }
        }
        write!(f, "{}", self.plan)
    }
}
