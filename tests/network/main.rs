//! The library's face, and the programs of `examples/` that use it.

mod examples;
mod library;
