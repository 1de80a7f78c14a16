//! Puts a program together: buffers by name, steps into the three lists.

use super::{Buffer, BufferId, Program, Role, Step};
use crate::error::{Error, Result};
use crate::ops::Op;
use crate::tensor::Shape;
use std::collections::HashMap;

/// The lists of a program under construction.
#[derive(Debug, Default)]
pub struct ProgramBuilder {
    buffers: Vec<Buffer>,
    names: HashMap<String, BufferId>,
    /// Steps of `Span::Forward`.
    pub forward: Vec<Step>,
    /// Steps of `Span::Gradients`.
    pub gradients: Vec<Step>,
    /// Steps of `Span::Update`.
    pub update: Vec<Step>,
}

impl ProgramBuilder {
    /// A new buffer; its name must not be taken.
    pub fn buffer(
        &mut self,
        name: impl Into<String>,
        shape: impl Into<Shape>,
        role: Role,
    ) -> Result<BufferId> {
        let (name, shape) = (name.into(), shape.into());
        let id = BufferId(self.buffers.len() as u32);
        if self.names.insert(name.clone(), id).is_some() {
            return Err(Error::Internal(format!("two buffers are called {name}")));
        }
        self.buffers.push(Buffer { name, shape, role });
        Ok(id)
    }

    /// The buffer called `name`, if there is one.
    pub fn find(&self, name: &str) -> Option<BufferId> {
        self.names.get(name).copied()
    }

    /// Shape of a buffer of this program.
    pub fn shape(&self, id: BufferId) -> &Shape {
        &self.buffers[id.index()].shape
    }

    /// Checks everything and plans the memory; see [`Program::new`].
    pub fn finish(self, keep: bool) -> Result<Program> {
        Program::new(self.buffers, self.forward, self.gradients, self.update, keep)
    }
}

/// A step, for use with the lists of the builder.
pub(crate) fn step(op: Op, label: &str, buffers: &[BufferId]) -> Step {
    Step { op, buffers: buffers.to_vec(), label: label.to_string() }
}
