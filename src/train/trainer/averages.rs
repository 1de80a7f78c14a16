//! Evaluation of the moving averages: the program reads weights where training keeps them, so averages and weights change places
//! for as long as it takes.

use super::Trainer;
use crate::error::Result;

impl Trainer<'_> {
    /// Calls `work` while parameters and running statistics hold their moving averages, where they have one, and restores
    /// them. After an error they are not restored; the run ends or is read back from its checkpoint.
    pub(super) fn on_averages<T>(&mut self, work: impl FnOnce(&mut Self) -> Result<T>) -> Result<T> {
        let model = self.updater.task.model;
        let mut weights = Vec::new();
        for (parameter, average) in model.averages() {
            let executor = &mut *self.updater.executor;
            weights.push((parameter.buffer, executor.read(parameter.buffer)?));
            let values = executor.read(average)?;
            executor.write(parameter.buffer, &values)?;
        }
        let result = work(self)?;
        for (buffer, values) in weights {
            self.updater.executor.write(buffer, &values)?;
        }
        Ok(result)
    }
}
