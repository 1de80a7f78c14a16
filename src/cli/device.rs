//! Opens the device that `--device` asks for, and says which.

use super::output::Output;
use crate::device::{Device, Wish};
use crate::error::Result;

/// Opens what was wished for, and says on stderr what was taken and why.
pub(crate) fn open(wish: &Wish, out: &Output) -> Result<Device> {
    let (device, why) = Device::open(wish)?;
    out.note(&format!("device: {}{why}", device.name()));
    Ok(device)
}
