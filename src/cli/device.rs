//! Opens the device that `--device` asks for, and says which.

use super::Context;
use crate::device::Device;
use crate::error::Result;
use crate::gpu::Restriction;

/// Opens what was wished for, and says on stderr what was taken and why.
pub(crate) fn open(context: &Context) -> Result<Device> {
    open_restricted(context, &Restriction::default())
}

/// As [`open`]; a GPU as if it offered less.
pub(crate) fn open_restricted(context: &Context, restriction: &Restriction) -> Result<Device> {
    let (device, why) = Device::open_restricted(&context.wish, restriction)?;
    let device = device.with_cpu_options(context.cpu);
    context.out.note(&format!("device: {}{why}", device.name()));
    Ok(device)
}
