//! What results must be and whether they are: for every operator the f64 reference, the error scale and the cases
//! (`operators`), the comparison, and the self-test that runs all cases on any executor. It ships in the binary
//! (`striate selftest`) and serves the tests. It knows programs and operators, never a particular executor.

pub mod cases;
mod check;
mod error_scale;
mod faulty;
mod operators;
pub mod oracle;
mod selftest;
pub mod tolerance;

pub use check::{Outcome, check, check_as};
pub use error_scale::error_scales;
pub use faulty::Faulty;
pub use selftest::{Summary, run, run_as, selftest};
pub use tolerance::OperandRounding;
