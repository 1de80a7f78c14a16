//! The modules of striate that read files, by themselves: no module below or beside them needs a device or a terminal, so
//! neither has to be compiled, which is most of what compiling striate costs.

#[path = "../../../src"]
mod src {
    pub mod atomic;
    pub mod data;
    pub mod error;
    pub mod interchange;
    pub mod json;
    pub mod model;
    pub mod ops;
    pub mod program;
    pub mod random;
    pub mod tensor;
    pub mod train;
    pub mod view;
}

pub use src::error::{Error, Result};
pub use src::model::Spec;
pub use src::*;
