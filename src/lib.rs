//! Striate trains convolutional networks on any GPU: WGSL compute shaders
//! through wgpu, one Rust binary, no CUDA, no Python.
//!
//! # The idea
//!
//! A training step is a program. A model file is compiled once into a [`program::Program`]: a static list of steps
//! (operator, input buffers, output buffers) with every shape known and every buffer placed in memory; forward,
//! backward and update included. Two executors run the same list: [`cpu`] and [`gpu`]. They never see each other;
//! what holds them together is [`verify`], which knows what every operator has to compute.
//!
//! # Using the crate
//!
//! A [`Network`] is a model with its weights on a [`Device`]. It trains on your batches, predicts, and is saved or
//! exported:
//!
//! ```no_run
//! use striate::interchange::Format;
//! use striate::{Device, ExportOptions, Network, NetworkOptions};
//!
//! let device = Device::best()?;
//! let mut network = Network::load("best.safetensors", &device, &NetworkOptions::inference(16))?;
//! let image = vec![0.0; network.spec().input.iter().product()];
//! println!("{:?}", network.predict(&image, 5)?[0]);
//! network.export("network.onnx", &ExportOptions::new(Format::Onnx))?;
//! # Ok::<(), striate::Error>(())
//! ```
//!
//! The feature `cli` (on by default) adds the program `striate` and the module that it calls. A library does without it, and then compiles
//! neither an argument parser nor progress bars:
//!
//! ```toml
//! striate = { version = "0.1", default-features = false }
//! ```
//!
//! `examples/` has five short programs: training on batches made in memory, fine-tuning, classifying image files, a custom
//! learning rate, and a run that is killed and resumed.
//!
//! # The map; arrows only point down
//!
//! | layer | module | what it is for |
//! |---|---|---|
//! | 9 | [`cli`] | arguments, printing, exit codes (feature `cli`) |
//! | 9 | [`learn`] | the learner's chapters: text with computed numbers and pictures |
//! | 8 | [`network`] | a network with its weights on a device, for programs that use the crate |
//! | 7 | [`run`] | one run: folder, checkpoints, logs, report, disk space, recovery from a lost device |
//! | 6 | [`train`] | the training loop, schedule, early stopping, loss scaling, divergence |
//! | 5 | [`inference`] | batches, evaluation, metrics, crops, robustness, weights by name |
//! | 5 | [`interchange`] | weights and networks in files: safetensors, PyTorch's `.pth`, NPZ, ONNX |
//! | 6 | [`report`] | images and pages for people: filters, activations, predictions, mistakes, charts of a run, rooflines |
//! | 5 | [`device`] | which device to compute on, and executors for it |
//! | 5 | [`model`] | `models/*.toml` to layers to a program; parameter names; initial values |
//! | 4 | [`cpu`], [`gpu`] | executors of a program |
//! | 4 | [`verify`] | the f64 oracle, its cases and tolerances; the self-test |
//! | 3 | [`program`] | buffers, steps, the memory plan, the trait [`program::Executor`] |
//! | 2 | [`ops`] | operator descriptors: geometry, shapes, FLOPs, bytes; no arithmetic on data |
//! | 1 | [`tensor`], [`error`], [`random`], [`view`] | shapes and host tensors, the error type, Philox, views of images |
//! | 1 | [`atomic`] | output files that are absent or complete |
//! | 1 | `json` | JSON from files, in which no key stands twice |
//! | 1 | `npy` | the header of NumPy's arrays |
//! | 1 | `pickle` | Python pickles as plain data; nothing in them is run |
//! | 1 | [`data`] | data sets and the loader |
//!
//! `tests/architecture/main.rs` fails on an import that goes up. Only `gpu` names wgpu, only `cpu` names SIMD and product crates, only `cli`
//! names clap and anyhow, only `data` and `report` decode or encode images.
//!
//! # Reading order
//!
//! [`ops`] for what can be computed and the exact formulas; [`program`] for the seam; `model::build` for how a network
//! becomes steps; then either executor. `CONTRIBUTING.md` says which files a new operator touches.

#![deny(unsafe_code)]

#[macro_use]
mod setters;

pub mod atomic;
#[cfg(feature = "cli")]
pub mod cli;
pub mod cpu;
pub mod data;
pub mod device;
pub mod error;
pub mod gpu;
pub mod inference;
pub mod interchange;
mod json;
pub mod learn;
pub mod model;
pub mod network;
mod npy;
pub mod ops;
mod pickle;
pub mod program;
pub mod random;
pub mod report;
pub mod run;
pub mod tensor;
pub mod train;
pub mod verify;
pub mod view;

pub use device::Device;
pub use error::{Error, Result};
pub use model::Spec;
pub use network::{ExportOptions, Network, NetworkOptions};
