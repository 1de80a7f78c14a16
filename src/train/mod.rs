//! Training: the loop over epochs (`trainer`), the learning rate (`schedule`), metrics, evaluation, weights by name
//! the run's folder, and checkpoints from which a run goes on. It drives any [`crate::program::Executor`], knows no device, and prints nothing: whoever calls
//! it listens to its events.

mod batches;
mod checkpoint;
mod crops;
mod evaluate;
mod event;
mod exact;
mod inputs;
mod journal;
mod judge;
mod metrics;
mod options;
mod preview;
mod probe;
mod progress;
mod rates;
mod recovery;
mod robustness;
mod run_folder;
mod schedule;
mod space;
mod supply;
mod trace;
mod trainer;
mod watch;
mod weights;
mod window;

pub use batches::Feed;
pub use checkpoint::Checkpoint;
pub use crops::{most_rows, ten_crop, ten_crops};
pub use evaluate::{EachAnswer, evaluate, evaluate_classes, evaluate_each, target};
pub use event::{Done, Ending, Epoch, Event, Observer, Start, Step, json_number};
pub use inputs::{inputs, pictures};
pub use metrics::{Answer, Confusion, Totals, best, first, probabilities, rank};
pub use options::{Options, check_recipe, fit, hyper, picture, schedule, transform, wanted};
pub use preview::preview;
pub use probe::Workbench;
pub use rates::{RateGroup, scale_rates};
pub use recovery::{Job, OnDeviceLost, Opened, Recovery};
pub use robustness::{Corruption, Outcome, robustness};
pub use run_folder::{RunFolder, Weights};
pub use schedule::{Decay, LearningRate, Schedule};
pub use space::check_space;
pub use supply::Supply;
pub use trace::{activations, trace};
pub use trainer::{Task, Trainer};
pub use weights::{
    Named, check_classes, collect, geometry, initialise, load, metadata, outputs, sha256, spec_of,
};
