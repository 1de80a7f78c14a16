//! Opens the device that `--device` selects, and prints which one.

use super::Context;
use super::output::{Output, seconds};
use crate::device::{self, Device, DeviceSelector, LimitOverrides, Progress, ProgressListener};
use crate::error::{Error, Result};
use crate::gpu::Tuning;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Opens the selected device, and prints on stderr which one it is and why.
pub(crate) fn open(context: &Context) -> Result<Device> {
    open_limited(context, LimitOverrides::default())
}

/// As [`open`]; a GPU as if it offered less.
pub(crate) fn open_limited(context: &Context, limits: LimitOverrides) -> Result<Device> {
    open_selected(&context.device, context, limits)
}

fn open_selected(selector: &DeviceSelector, context: &Context, limits: LimitOverrides) -> Result<Device> {
    let printer = Mutex::new(ProgressPrinter { out: context.out, began: Instant::now(), printed: false });
    let progress = ProgressListener::new(move |progress| {
        printer.lock().unwrap_or_else(PoisonError::into_inner).print(progress);
    });
    let options = device::options(progress).with_limits(limits).with_tuning(context.tuning);
    let (device, why) = Device::open_with(selector, &options)?;
    let device = device.with_cpu_options(context.cpu);
    log::info!("device: {}", device.long_name());
    let why = why.replace("; device ", "; --device ");
    context.out.note(&format!("device: {}{why}", device.name()));
    // A flag without effect is a warning and no error: a resumed run repeats the flags it was started with.
    let idle = |flag: &str, expected: &str| {
        let found = device.name();
        context.out.note(&format!("warning: {flag} has no effect: expected {expected}, found {found}"));
    };
    if context.tuning == Tuning::Force && device.is_cpu() {
        idle("--tune force", "a GPU, whose matrix products it times");
    }
    if !context.cpu.winograd && !device.is_cpu() {
        idle("--no-winograd", "the CPU path (--device cpu)");
    }
    Ok(device)
}

/// Opens a device again after it was lost: the same adapter, where the selector leaves a choice, and never the CPU path.
pub(crate) fn reopen(lost: &Device, context: &Context) -> Result<Device> {
    let selector = match (&context.device, lost) {
        (DeviceSelector::Auto | DeviceSelector::Gpu, Device::Gpu(gpu)) => {
            DeviceSelector::Name(gpu.info().name.clone())
        }
        (selector, _) => selector.clone(),
    };
    open_selected(&selector, context, LimitOverrides::default())
}

/// `device` in half precision, for `--amp`; prints the precision class.
pub(crate) fn half(device: &Device, context: &Context) -> Result<Device> {
    let (half, why) = device.half().map_err(|error| match error {
        Error::Device(what) => Error::Device(format!("--amp: {what}")),
        other => other,
    })?;
    if let Some(why) = why {
        context.out.note(&format!("warning: {why}"));
    }
    context.out.note(&format!("precision: {}", half.precision()));
    Ok(half)
}

/// Compiling that takes less is not reported.
const PATIENCE: Duration = Duration::from_secs(1);

/// Prints on stderr what takes long.
struct ProgressPrinter {
    out: Output,
    /// When the current task began.
    began: Instant,
    printed: bool,
}

impl ProgressPrinter {
    fn print(&mut self, progress: Progress<'_>) {
        match progress {
            Progress::Compiling { done: 0, .. } => (self.began, self.printed) = (Instant::now(), false),
            Progress::Compiling { done, all } => {
                if !self.printed && done < all && self.began.elapsed() >= PATIENCE {
                    self.printed = true;
                    self.out.note(&format!("compiling {all} pipelines"));
                }
                if done == all {
                    log::info!("{all} pipelines compiled in {}", seconds(self.began.elapsed().as_secs_f64()));
                }
            }
            Progress::Tuning { done: 0, all } => {
                self.began = Instant::now();
                self.out.note(&format!("tuning {all} matrix products"));
            }
            Progress::Tuning { done, all } if done == all => {
                let time = seconds(self.began.elapsed().as_secs_f64());
                self.out.note(&format!("tuned {all} matrix products in {time}"));
            }
            Progress::Tuning { .. } => {}
            Progress::Warning(text) => self.out.note(&format!("warning: {text}")),
        }
    }
}
