//! Training: the loop over epochs (`trainer`), the learning rate (`schedule`), early stopping, loss scaling and the ways a
//! run goes wrong. It drives any [`crate::program::Executor`], knows no device and no file, and prints nothing: the caller
//! listens to its events, and a [`Store`] keeps what has to outlive it ([`crate::run`] has the one that writes to a folder).

mod event;
mod judge;
mod lone;
mod options;
mod probe;
mod progress;
mod rates;
mod schedule;
mod state;
mod store;
mod supply;
mod trainer;
mod watch;

pub use event::{Done, Ending, Epoch, Event, Observer, Start, Step, ValPart, json_number, json_rate};
pub use options::{Options, schedule};
pub use probe::Workbench;
pub use rates::{RateGroup, scale_rates};
pub use schedule::{Decay, LearningRate, Schedule};
pub use state::{Saved, State};
pub use store::{Store, Weights};
pub use supply::Supply;
pub use trainer::{Task, Trainer};
