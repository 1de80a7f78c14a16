//! A run: its folder with weights, logs and checkpoints, the disk space that it needs, and recovery from a checkpoint or a
//! lost device.

mod batch;
mod begin;
mod checkpoint;
mod data;
mod default_model;
mod description;
mod environment;
mod folder;
mod journal;
mod metrics;
mod options;
mod preview;
mod record;
mod recovery;
mod report;
mod resumed;
mod space;
mod store;
mod train;

pub use begin::{Resume, Run, latest};
pub use checkpoint::Checkpoint;
pub use description::program_options;
pub use environment::Environment;
pub use folder::RunFolder;
pub use options::RunOptions;
pub use preview::preview;
pub use recovery::{DeviceExecutor, OnDeviceLost, PreparedRun, Recovery};
pub use report::{RunReport, page as report_page};
pub use space::check_space;
pub use train::{ONE_BATCH, no_answers};
