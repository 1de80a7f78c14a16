//! The modules of striate that read files, by themselves: what needs a device or a terminal is not compiled, which is most of
//! the time that striate takes to compile.

#![allow(unused_imports, reason = "the modules that would use them are not compiled")]

#[path = "../../../src"]
mod src {
    #[macro_use]
    mod setters;

    pub mod atomic;
    pub mod data;
    pub mod error;
    pub mod inference;
    pub mod interchange;
    pub mod json;
    pub mod model;
    pub mod npy;
    pub mod ops;
    pub mod pickle;
    pub mod program;
    pub mod random;
    /// The part of a run that reads its files.
    pub mod run {
        mod checkpoint;
        mod folder;
        mod journal;
        mod metrics;
        mod space;
        mod store;

        pub use checkpoint::Checkpoint;
        pub use folder::RunFolder;
    }
    pub mod tensor;
    pub mod train;
    pub mod view;
}

/// In the place of the devices: only the estimate of memory names them, and nothing here opens one.
pub mod device {
    #[derive(Clone, Debug)]
    pub enum Device {
        Cpu(()),
        Gpu(crate::gpu::Gpu),
    }

    impl Device {
        pub fn uses_main_memory(&self) -> bool {
            matches!(self, Device::Cpu(()))
        }
    }
}

/// In the place of the GPU: there is none.
pub mod gpu {
    use crate::program::Program;

    #[derive(Clone, Debug)]
    pub enum Gpu {}

    pub struct Limits {
        pub buffer: usize,
    }

    pub struct Info {
        pub name: String,
    }

    impl Gpu {
        pub fn limits(&self) -> &Limits {
            match *self {}
        }

        pub fn info(&self) -> &Info {
            match *self {}
        }
    }

    pub struct Memory {
        pub name: String,
        pub len: usize,
    }

    pub struct Schedule {
        pub memory: Vec<Memory>,
    }

    impl Schedule {
        pub fn new(program: &Program, _limits: &Limits) -> crate::Result<Schedule> {
            Err(crate::Error::Internal(format!("no device for {} buffers", program.buffers().len())))
        }

        pub fn bytes(&self) -> u64 {
            0
        }
    }
}

pub use src::error::{Error, Result};
pub use src::model::Spec;
pub use src::*;
