//! Evaluation of the moving averages: the program reads weights where training keeps them, so averages and weights change places
//! for as long as it takes.

use super::Trainer;
use crate::error::Result;
use crate::program::BufferId;

impl Trainer<'_> {
    /// Calls `work` while parameters and running statistics hold their moving averages, where they have one, and restores
    /// them, also after an error.
    pub(super) fn on_averages<T>(&mut self, work: impl FnOnce(&mut Self) -> Result<T>) -> Result<T> {
        let mut weights = Vec::new();
        let result = self.put_averages(&mut weights).and_then(|()| work(self));
        let restored =
            weights.into_iter().try_for_each(|(buffer, values)| self.updater.executor.write(buffer, &values));
        let result = result?;
        restored.map(|()| result)
    }

    /// Writes the averages where training keeps the weights, which are put into `weights` before.
    fn put_averages(&mut self, weights: &mut Vec<(BufferId, Vec<f32>)>) -> Result<()> {
        let executor = &mut *self.updater.executor;
        for (parameter, average) in self.updater.task.model.averages() {
            let values = executor.read(average)?;
            weights.push((parameter.buffer, executor.read(parameter.buffer)?));
            executor.write(parameter.buffer, &values)?;
        }
        Ok(())
    }
}
