//! The interface between a run and the program around it.

use super::options::RunOptions;
use crate::data::Kind;
use crate::device::{Device, DeviceSelector};
use crate::error::Result;
use crate::inference::Messages;
use crate::model::{Model, Spec};
use crate::program::Executor;
use crate::train::LearningRate;
use std::path::Path;
use std::sync::atomic::AtomicBool;

/// The program around a run: opens devices, receives remarks, and may stop the run. Every method has a default; with the
/// defaults the run trains on the best device.
pub trait Environment: Messages {
    /// Opens the device; `lost` is the one that was lost, if the run needs another.
    fn open_device(&self, lost: Option<&Device>) -> Result<Device> {
        match lost {
            None => Device::best(),
            // Never the CPU path in place of a GPU: the results would be others.
            Some(Device::Gpu(gpu)) => {
                Device::open(&DeviceSelector::Name(gpu.info().name.clone())).map(|(device, _)| device)
            }
            Some(cpu) => Ok(cpu.clone()),
        }
    }

    /// Called when the network and its recipe are known, before data and checkpoint are opened.
    fn network_read(&self, _spec: &Spec, _options: &RunOptions) -> Result<()> {
        Ok(())
    }

    /// Called before the data is opened, to see to a built-in set that is not on this machine.
    fn provide_data(&self, _place: Option<&str>, _kind: Kind) -> Result<()> {
        Ok(())
    }

    /// How the option `name` (in kebab case) of the run that is resumed differs: it is `then` in the run, and `now` is given.
    fn difference(&self, name: &str, then: &str, now: &str) -> String {
        format!("{}: {then} in this run, {now} given", self.option(name))
    }

    /// How the run in `folder` can be resumed: the end of the error about options that differ from those of the run.
    fn resume_advice(&self, _folder: &Path) -> String {
        "resume it with its own options, or with force".into()
    }

    /// Called once the device is open and the run fits on it, before anything is written.
    fn device_opened(&self, _device: &Device, _spec: &Spec, _model: &Model) -> Result<()> {
        Ok(())
    }

    /// Wraps an executor that the run is about to use, for example to time it.
    fn wrap(&self, executor: Box<dyn Executor>) -> Box<dyn Executor> {
        executor
    }

    /// Called when all is open, directly before the run's folder is created.
    fn starting(&self) -> Result<()> {
        Ok(())
    }

    /// Once set, the run finishes its step, saves and ends.
    fn stop(&self) -> Option<&AtomicBool> {
        None
    }

    /// Once set, the run writes a checkpoint after its step, and sets it back.
    fn save(&self) -> Option<&AtomicBool> {
        None
    }

    /// The command that resumes the run in `folder`, for the error that ends it; empty if there is none.
    fn resume_command(&self, _folder: &Path) -> String {
        String::new()
    }

    /// The command that repeats a run with these options, for its report; empty if there is none.
    fn repeat_command(&self, _options: &RunOptions) -> String {
        String::new()
    }

    /// The learning rate that takes the place of the recipe's. Asked whenever training starts, also again after the loss
    /// of a device.
    fn learning_rate(&self) -> Option<Box<dyn LearningRate + '_>> {
        None
    }

    /// Keys that the program adds to `args.toml`, and reads back itself.
    fn program_options(&self) -> toml::Table {
        toml::Table::new()
    }
}

/// The best device, no remarks, no stop.
impl Environment for () {}
