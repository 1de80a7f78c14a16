//! A device that computes wrongly on purpose, which the self-test has to notice.

use crate::error::Result;
use crate::ops::Access;
use crate::program::{BufferId, Executor, Pending, Program, Span};
use std::fmt;
use std::sync::Arc;

/// Forwards everything to another executor, but after a run changes one element in the middle of each output of one
/// operator, by one thousandth of its size (or by 0.001 where it is small).
pub struct Faulty {
    inner: Box<dyn Executor>,
    program: Arc<Program>,
    kernel: String,
}

impl Faulty {
    /// `inner` runs `program`, whose buffers must all be readable (`keep`); `kernel` is an `Op::name`.
    pub fn new(inner: Box<dyn Executor>, program: Arc<Program>, kernel: impl Into<String>) -> Self {
        Faulty { inner, program, kernel: kernel.into() }
    }
}

impl fmt::Debug for Faulty {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Faulty").field("kernel", &self.kernel).finish_non_exhaustive()
    }
}

impl Executor for Faulty {
    fn write(&mut self, buffer: BufferId, data: &[f32]) -> Result<()> {
        self.inner.write(buffer, data)
    }

    fn start_read(&mut self, buffer: BufferId) -> Result<Pending> {
        self.inner.start_read(buffer)
    }

    fn finish_read(&mut self, pending: Pending) -> Result<Vec<f32>> {
        self.inner.finish_read(pending)
    }

    fn run(&mut self, span: Span) -> Result<()> {
        self.inner.run(span)?;
        for step in self.program.steps(span).filter(|step| step.op.name() == self.kernel) {
            for (operand, &buffer) in step.op.operands().iter().zip(&step.buffers) {
                if operand.access == Access::Read {
                    continue;
                }
                let mut values = self.inner.read(buffer)?;
                let middle = values.len() / 2;
                if let Some(value) = values.get_mut(middle) {
                    *value += 1e-3 * value.abs().max(1.0);
                }
                self.inner.write(buffer, &values)?;
            }
        }
        Ok(())
    }

    fn wait(&mut self) -> Result<()> {
        self.inner.wait()
    }
}
