//! Opens the device that `--device` asks for, and says which.

use super::Context;
use super::output::{Output, seconds};
use crate::device::{Device, Listener, Settings, Wish, cache};
use crate::error::{Error, Result};
use crate::gpu::{News, Restriction, Tuning};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Opens what was wished for, and says on stderr what was taken and why.
pub(crate) fn open(context: &Context) -> Result<Device> {
    open_restricted(context, Restriction::default())
}

/// As [`open`]; a GPU as if it offered less.
pub(crate) fn open_restricted(context: &Context, restriction: Restriction) -> Result<Device> {
    open_wish(&context.wish, context, restriction)
}

fn open_wish(wish: &Wish, context: &Context, restriction: Restriction) -> Result<Device> {
    let teller = Mutex::new(Teller { out: context.out, began: Instant::now(), said: false });
    let hear = move |news: News<'_>| teller.lock().unwrap_or_else(PoisonError::into_inner).hear(news);
    let settings = Settings {
        restriction,
        tuning: context.tuning,
        cache: cache::folder(),
        listener: Listener(Arc::new(hear)),
    };
    let (device, why) = Device::open_with(wish, &settings)?;
    let device = device.with_cpu_options(context.cpu);
    context.out.note(&format!("device: {}{why}", device.name()));
    // A word that does nothing is said and not refused: one that a run was started with comes back when it is resumed.
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

/// Opens `lost` anew, after it was lost: the same adapter, where there is a choice, and never the CPU path instead.
pub(crate) fn reopen(lost: &Device, context: &Context) -> Result<Device> {
    let wish = match (&context.wish, lost) {
        (Wish::Auto | Wish::Gpu, Device::Gpu(gpu)) => Wish::Name(gpu.info().name.clone()),
        (wish, _) => wish.clone(),
    };
    open_wish(&wish, context, Restriction::default())
}

/// `device` in half precision, for `--amp`; says so.
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

/// Shaders that are compiled in less are not spoken of.
const PATIENCE: Duration = Duration::from_secs(1);

/// Says on stderr what takes long.
struct Teller {
    out: Output,
    /// Of what is going on now.
    began: Instant,
    said: bool,
}

impl Teller {
    fn hear(&mut self, news: News<'_>) {
        match news {
            News::Compiling { done: 0, .. } => (self.began, self.said) = (Instant::now(), false),
            News::Compiling { done, all } => {
                if !self.said && done < all && self.began.elapsed() >= PATIENCE {
                    self.said = true;
                    self.out.note(&format!("compiling {all} pipelines"));
                }
                if done == all {
                    log::info!("{all} pipelines compiled in {}", seconds(self.began.elapsed().as_secs_f64()));
                }
            }
            News::Tuning { done: 0, all } => {
                self.began = Instant::now();
                self.out.note(&format!("tuning {all} matrix products"));
            }
            News::Tuning { done, all } if done == all => {
                let time = seconds(self.began.elapsed().as_secs_f64());
                self.out.note(&format!("tuned {all} matrix products in {time}"));
            }
            News::Tuning { .. } => {}
            News::Warning(text) => self.out.note(&format!("warning: {text}")),
        }
    }
}
