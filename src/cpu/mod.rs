//! The CPU executor: a program run by plain functions on slices, threads by rayon, products by faer.
//!
//! One file per operator, with the stems of `ops`; `dispatch` is the only place that knows them all. A function gets
//! its descriptor, its inputs and its outputs, in the order of `Op::operands`. It works on whatever rayon pool it is
//! called in, and its result does not depend on how many threads that pool has: every split of work, and so every
//! order of summation, follows from the shapes alone.

mod adaptive_avg_pool2d;
mod augment;
mod batch_norm;
mod bias_grad;
mod channel_slice;
mod conv2d;
mod conv2d_grad_input;
mod conv2d_grad_weight;
mod dispatch;
mod dropout;
mod executor;
mod exponential;
mod linear;
mod local_response_norm;
mod local_response_norm_within;
mod loss;
mod loss_scale;
mod lowering;
mod parallel;
mod pointwise;
mod pool2d;
mod probe;
mod product;
mod simd;
mod softmax;
mod sum;
mod update;
mod vector;
mod windows;
mod winograd;

#[cfg(test)]
mod tests;

pub use executor::{Executor, Options};
pub use probe::Probe;
pub use simd::level as simd_level;
