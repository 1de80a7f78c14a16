//! Opens the device that `--device` asks for, and says which.

use super::Context;
use crate::device::Device;
use crate::error::Result;

/// Opens what was wished for, and says on stderr what was taken and why.
pub(crate) fn open(context: &Context) -> Result<Device> {
    let (device, why) = Device::open(&context.wish)?;
    let device = device.with_cpu_options(context.cpu);
    context.out.note(&format!("device: {}{why}", device.name()));
    Ok(device)
}
