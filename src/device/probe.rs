//! Probes: what a device can do at all, without any operator.

use crate::error::Result;
use crate::{cpu, gpu};

/// Work that measures the peak rates of a device.
#[derive(Debug)]
pub enum Probe {
    Cpu(cpu::Probe),
    Gpu(gpu::Probe),
}

impl Probe {
    /// Floating-point operations of one run.
    pub fn flops(&self) -> u64 {
        match self {
            Probe::Cpu(probe) => probe.flops(),
            Probe::Gpu(probe) => probe.flops(),
        }
    }

    /// Bytes that one run reads and writes.
    pub fn bytes(&self) -> u64 {
        match self {
            Probe::Cpu(probe) => probe.bytes(),
            Probe::Gpu(probe) => probe.bytes(),
        }
    }

    /// Runs it `count` times and waits.
    pub fn run(&mut self, count: usize) -> Result<()> {
        match self {
            Probe::Cpu(probe) => {
                probe.run(count);
                Ok(())
            }
            Probe::Gpu(probe) => probe.run(count),
        }
    }
}
