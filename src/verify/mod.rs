//! What a result must be, and whether it is: the f64 reference, a table of cases for every operator, the comparison,
//! and the self-test that runs them on any executor. It ships in the binary (`striate selftest`) and serves the
//! tests. It knows programs and operators, never a particular executor.

pub mod oracle;
