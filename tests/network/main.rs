//! The library's face, and the programs of `examples/` that use it.

#[cfg(feature = "cli")]
mod examples;
mod learn;
mod library;
mod runs;
