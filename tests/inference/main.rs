//! What runs a network without training it.

mod evaluation;
mod explain;
