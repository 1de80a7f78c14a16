//! The batch size of a run that does not name one: the largest power of two whose training step fits into memory.

use super::begin::Run;
use super::train::open_device;
use crate::device::Device;
use crate::error::{Error, Result};
use crate::inference::{Room, initialise, room};
use crate::model::{BuildOptions, Model};
use crate::ops::Hyper;
use crate::program::Span;
use std::sync::Arc;

/// The largest batch that is chosen: a larger one rarely computes more images per second, and needs another learning rate.
const MOST: usize = 1024;

impl Run<'_> {
    /// Chooses the batch size if the options ask for that, and puts it into the recipe and the options. A run that is resumed
    /// keeps the size that it has. Returns the device if it had to be opened.
    pub(super) fn choose_batch(&mut self) -> Result<Option<Device>> {
        if !self.options.auto_batch {
            return Ok(None);
        }
        self.options.auto_batch = false;
        if let Some(size) = self.resumed.as_ref().and_then(|(checkpoint, _)| checkpoint.batch_size()) {
            self.set_batch(size);
            self.environment.note(&format!("batch size: {size}, as the run that is resumed has it"));
            return Ok(None);
        }
        let device = open_device(&self.options, self.environment, None)?;
        let samples = self.data.train.len();
        let most = MOST.min(samples.max(1));
        let largest = 1 << most.ilog2();
        let mut why = match largest {
            MOST => format!("the largest that {} takes", self.environment.option("batch-size")),
            _ => format!("the largest power of two for {samples} training samples"),
        };
        let build = self.build_options()?;
        let (mut size, mut unknown) = (largest, false);
        loop {
            match self.fits(&device, &BuildOptions { batch: size, ..build.clone() })? {
                Room::Fits => break,
                Room::Unknown => {
                    unknown = true;
                    break;
                }
                Room::Lacks(what) if size > 1 => {
                    why = format!("{size} does not fit: {what}");
                    size /= 2;
                }
                Room::Lacks(what) => {
                    let name = &self.spec.name;
                    return Err(Error::Memory(format!("{name}: not even a batch of 1 fits: {what}")));
                }
            }
        }
        if unknown {
            size = self.spec.recipe.batch_size;
            why = "that of the recipe: the memory that is available is not known on this system".into();
        }
        self.set_batch(size);
        self.environment.note(&format!("batch size: {size} ({why})"));
        Ok(Some(device))
    }

    fn set_batch(&mut self, size: usize) {
        self.spec.recipe.batch_size = size;
        self.options.recipe.batch_size = Some(size);
    }

    /// Whether a program built with `build` fits on `device`. What a GPU lets a program have is known only by asking for it: there
    /// the buffers are allocated and a step is computed on zeros.
    fn fits(&self, device: &Device, build: &BuildOptions) -> Result<Room> {
        let model = Model::build(&self.spec, build)?;
        let room = room(device, &self.spec, &model)?;
        if room != Room::Fits || device.is_cpu() || device.is_software() {
            return Ok(room);
        }
        let attempt = || -> Result<()> {
            let mut executor = device.executor(Arc::clone(&model.program))?;
            initialise(&model, executor.as_mut(), self.training.seed)?;
            let hyper = Hyper { rows: build.batch as u32, ..Hyper::default() };
            executor.write(model.hyper, hyper.as_words())?;
            executor.run(Span::Train)?;
            executor.wait()
        };
        match attempt() {
            Ok(()) => Ok(Room::Fits),
            Err(Error::Memory(what)) => Ok(Room::Lacks(what)),
            Err(error) => Err(error),
        }
    }
}
