//! What a result must be, and whether it is: the f64 reference, a table of cases for every operator, the comparison,
//! and the self-test that runs them on any executor. It ships in the binary (`striate selftest`) and serves the
//! tests. It knows programs and operators, never a particular executor.

pub mod cases;
mod check;
mod faulty;
mod magnitude;
pub mod oracle;
mod selftest;
pub mod tolerance;

pub use check::{Outcome, check, check_as};
pub use faulty::Faulty;
pub use magnitude::magnitudes;
pub use selftest::{Summary, run, run_as, selftest};
pub use tolerance::OperandRounding;
