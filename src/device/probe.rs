//! Probes: what a device can do at all, without any operator.

use crate::error::Result;
use crate::{cpu, gpu};

/// Work that measures the peak rates of a device.
#[derive(Debug)]
pub enum DeviceProbe {
    Cpu(cpu::Probe),
    Gpu(gpu::Probe),
}

impl DeviceProbe {
    /// Floating-point operations of one run.
    pub fn flops(&self) -> u64 {
        match self {
            DeviceProbe::Cpu(probe) => probe.flops(),
            DeviceProbe::Gpu(probe) => probe.flops(),
        }
    }

    /// Bytes that one run reads and writes.
    pub fn bytes(&self) -> u64 {
        match self {
            DeviceProbe::Cpu(probe) => probe.bytes(),
            DeviceProbe::Gpu(probe) => probe.bytes(),
        }
    }

    /// Runs it `count` times and waits.
    pub fn run(&mut self, count: usize) -> Result<()> {
        match self {
            DeviceProbe::Cpu(probe) => {
                probe.run(count);
                Ok(())
            }
            DeviceProbe::Gpu(probe) => probe.run(count),
        }
    }
}
