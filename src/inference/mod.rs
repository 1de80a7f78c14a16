//! Running a network: batches, evaluation, metrics, ten crops, robustness, weights by name, and the lineage of weights. The
//! code that evaluation, prediction, reports, traces and training share is here, below [`crate::train`]. It drives any
//! [`crate::program::Executor`], knows no device, and prints nothing.

mod assessment;
mod batches;
mod class_weights;
mod classes;
mod crops;
mod evaluate;
pub(crate) mod exact;
mod explain;
mod hyper;
mod inputs;
mod lineage;
mod memory;
mod messages;
mod metrics;
mod overrides;
mod preprocess;
mod robustness;
mod source;
pub(crate) mod text;
mod trace;
mod weights;
mod window;

pub use assessment::{Assessment, CalibrationBin, Mistake, Scores, assess};
pub use batches::BatchSource;
pub(crate) use batches::{BatchSourceOptions, BatchStream};
pub(crate) use class_weights::imbalance;
pub use class_weights::{class_weights, read_class_weights};
#[cfg(feature = "cli")]
pub(crate) use classes::with_classes_of;
pub use classes::{
    ClassMatch, class_names, match_classes, other_classes, relabel, relabelled, select_outputs,
};
pub(crate) use classes::{check_labels, check_outputs, note_unnamed};
pub use crops::{most_rows, ten_crop, ten_crops};
pub use evaluate::{EachAnswer, evaluate, evaluate_classes, evaluate_each, target};
pub(crate) use evaluate::{pass, pass_each, send};
pub use explain::{ExplainedAnswer, Explainer, Explanation};
pub use hyper::hyper;
pub(crate) use inputs::preprocess;
pub use inputs::{image_files, inputs};
pub(crate) use lineage::write_origin;
pub use lineage::{Lineage, PastRun, origin_metadata};
#[cfg(feature = "cli")]
pub(crate) use memory::check_main_memory;
pub(crate) use memory::{Room, check_memory, check_spare_memory, has_small_batches, room};
pub use messages::Messages;
#[cfg(feature = "cli")]
pub(crate) use messages::quoted;
pub use metrics::{Answer, Confusion, Totals, best, first, probabilities, rank};
pub(crate) use metrics::{guess, has_hits, rmse};
pub(crate) use overrides::table;
pub use overrides::{RecipeOverrides, check_recipe};
pub(crate) use preprocess::colours;
pub use preprocess::{fit, image_shape, transform, wanted};
pub use robustness::{Corruption, Outcome, robustness};
pub use source::{DEFAULT_MODEL, DataOptions, describe_division};
pub(crate) use source::{
    assumed_division, assumes_pixels, check_old_numbers, overlap, remember, resumed_division,
};
pub use trace::{activations, trace};
pub(crate) use weights::{EMA_DECAY, collect_state, restore, restore_named};
pub use weights::{
    Named, collect, collect_averaged, geometry, initialise, load, metadata, other_input, outputs, outputs_in,
    sha256, spec_of,
};
pub(crate) use window::{Arrived, Entry, Windows};
