//! Training: the loop over epochs (`trainer`), the learning rate (`schedule`), early stopping (`best`), loss scaling
//! (`loss_scaler`), divergence and its diagnosis. It drives any [`crate::program::Executor`], knows no device and no file, and prints nothing: the caller
//! listens to its events, and a [`Store`] keeps its files ([`crate::run`] has the one that writes to a folder).

mod best;
mod dead_relu;
mod diagnosis;
mod divergence;
mod event;
mod lone;
mod loss_scaler;
mod mixing;
mod options;
mod prefetcher;
mod progress;
mod rates;
mod reporter;
mod saver;
mod schedule;
mod state;
mod store;
mod task;
mod trainer;
mod updater;
mod vanishing;

pub use event::{Done, Ending, Epoch, Event, Observer, Start, Step, ValPart, json_number, json_rate};
pub use mixing::{Mix, Mixing};
pub use options::{Options, schedule};
pub use prefetcher::Prefetcher;
pub use rates::{RateGroup, scale_rates};
pub use schedule::{Decay, LearningRate, Schedule};
pub use state::{Saved, State};
pub use store::{Store, Weights};
pub use task::{DeviceId, ExecutorFactory, TrainingTask};
pub use trainer::Trainer;
