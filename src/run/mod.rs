//! A run: its folder with weights, logs and checkpoints, the room that it needs on the disk, and the way back from a
//! checkpoint or a lost device.

mod checkpoint;
mod folder;
mod journal;
mod preview;
mod recovery;
mod space;
mod store;

pub use checkpoint::Checkpoint;
pub use folder::RunFolder;
pub use preview::preview;
pub use recovery::{Job, OnDeviceLost, Opened, Recovery};
pub use space::check_space;
