//! Opens the device that `--device` asks for, and says which.

use super::Context;
use crate::device::Device;
use crate::error::{Error, Result};

/// Opens what was wished for, and says on stderr what was taken and why.
pub(crate) fn open(context: &Context) -> Result<Device> {
    let (device, why) = Device::open(&context.wish)?;
    let device = device.with_cpu_options(context.cpu);
    context.out.note(&format!("device: {}{why}", device.name()));
    Ok(device)
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
