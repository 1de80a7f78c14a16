//! The batch size of a run that does not name one: the largest power of two whose training step fits into memory.

use super::begin::Run;
use super::recovery::LOSSES;
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
            self.set_batch(size)?;
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
        let attempt = |device: &Device, batch| self.attempt(device, &BuildOptions { batch, ..build.clone() });
        let reopen = |device: &Device| open_device(&self.options, self.environment, Some(device));
        let found = search(device, largest, &attempt, &reopen).map_err(|error| match error {
            Error::Memory(what) => {
                Error::Memory(format!("{}: not even a batch of 1 fits: {what}", self.spec.name))
            }
            other => other,
        })?;
        if let Some((refused, what)) = found.refused {
            why = format!("{refused} does not fit: {what}");
        }
        if found.size.is_none() {
            why = "that of the recipe: the memory that is available is not known on this system".into();
        }
        let size = found.size.unwrap_or(self.spec.recipe.batch_size);
        self.set_batch(size)?;
        self.environment.note(&format!("batch size: {size} ({why})"));
        Ok(Some(found.device))
    }

    fn set_batch(&mut self, size: usize) -> Result<()> {
        self.spec.recipe.batch_size = size;
        self.options.recipe.batch_size = Some(size);
        self.training.check_spec(&self.spec)
    }

    /// Whether a program built with `build` fits on `device`. What a GPU lets a program have is known only by asking for it: there
    /// the buffers are allocated, and a step and an evaluation are computed on zeros.
    fn attempt(&self, device: &Device, build: &BuildOptions) -> Result<Room> {
        let model = Model::build(&self.spec, build)?;
        let room = room(device, &self.spec, &model)?;
        if room != Room::Fits || device.is_cpu() || device.is_software() {
            return Ok(room);
        }
        let mut executor = device.executor(Arc::clone(&model.program))?;
        initialise(&model, executor.as_mut(), self.training.seed)?;
        let hyper = Hyper { rows: build.batch as u32, ..Hyper::default() };
        executor.write(model.hyper, hyper.as_words())?;
        executor.run(Span::Train)?;
        executor.run(Span::Forward)?;
        executor.read(model.logits)?;
        executor.wait()?;
        Ok(Room::Fits)
    }
}

/// The batch size that fits.
#[derive(Debug)]
struct Found<D> {
    /// `None` if it cannot be known.
    size: Option<usize>,
    /// The last size that does not fit, and why.
    refused: Option<(usize, String)>,
    /// A device without an error.
    device: D,
}

/// Halves the batch size from `size` on until `attempt` finds that it fits. A device keeps the error of a failed attempt, so `reopen`
/// replaces it. Some drivers answer a lack of memory with the loss of the device, which is therefore taken for one.
///
/// # Errors
/// [`Error::Memory`] if 1 does not fit, [`Error::Lost`] if the device is lost again and again.
fn search<D>(
    mut device: D,
    mut size: usize,
    attempt: &dyn Fn(&D, usize) -> Result<Room>,
    reopen: &dyn Fn(&D) -> Result<D>,
) -> Result<Found<D>> {
    let (mut refused, mut losses) = (None, 0);
    loop {
        let (what, has_failed) = match attempt(&device, size) {
            Ok(Room::Fits) => return Ok(Found { size: Some(size), refused, device }),
            Ok(Room::Unknown) => return Ok(Found { size: None, refused, device }),
            Ok(Room::Lacks(what)) => (what, false),
            Err(Error::Memory(what)) => (what, true),
            Err(Error::Lost(what)) if losses + 1 < LOSSES => {
                losses += 1;
                (what, true)
            }
            Err(error) => return Err(error),
        };
        if size == 1 {
            return Err(Error::Memory(what));
        }
        refused = Some((size, what));
        size /= 2;
        if has_failed {
            device = reopen(&device)?;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::Cell;

    /// A device as a GPU is one: once an attempt on it has failed, every later one fails.
    #[derive(Debug, Default)]
    struct Fake {
        has_failed: Cell<bool>,
    }

    fn attempt(most: usize, error: fn(String) -> Error) -> impl Fn(&Fake, usize) -> Result<Room> {
        move |device, size| {
            if device.has_failed.get() || size > most {
                device.has_failed.set(true);
                return Err(error(format!("{size} is too much")));
            }
            Ok(Room::Fits)
        }
    }

    fn reopen(device: &Fake) -> Result<Fake> {
        assert!(device.has_failed.get(), "it had not failed");
        Ok(Fake::default())
    }

    #[test]
    fn a_device_on_which_an_attempt_failed_is_opened_again() {
        let found = search(Fake::default(), 64, &attempt(8, Error::Memory), &reopen).unwrap();
        assert_eq!((found.size, found.refused), (Some(8), Some((16, "16 is too much".into()))));
        assert!(!found.device.has_failed.get(), "training would start on a device with an error");
        let error = search(Fake::default(), 64, &attempt(0, Error::Memory), &reopen).unwrap_err();
        assert!(matches!(error, Error::Memory(what) if what == "1 is too much"));
    }

    #[test]
    fn a_lost_device_lacks_memory_unless_it_is_lost_again_and_again() {
        let found = search(Fake::default(), 64, &attempt(16, Error::Lost), &reopen).unwrap();
        assert_eq!(found.size, Some(16));
        let error = search(Fake::default(), 64, &attempt(1, Error::Lost), &reopen).unwrap_err();
        assert!(matches!(error, Error::Lost(what) if what == "16 is too much"));
    }

    #[test]
    fn a_device_that_only_lacks_room_is_kept() {
        let lacks = |_: &Fake, size| match size {
            0..=4 => Ok(Room::Fits),
            size => Ok(Room::Lacks(format!("{size} is too much"))),
        };
        let found = search(Fake::default(), 64, &lacks, &reopen).unwrap();
        assert_eq!((found.size, found.refused), (Some(4), Some((8, "8 is too much".into()))));
        let unknown = search(Fake::default(), 64, &|_, _| Ok(Room::Unknown), &reopen).unwrap();
        assert_eq!((unknown.size, unknown.refused), (None, None));
    }
}
