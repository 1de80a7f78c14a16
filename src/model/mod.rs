//! From a model file to a program: the TOML (`spec`), its blocks (`blocks`, `expansion`), the layers (`layers`: one file for
//! each), preprocessing, the recipe, the graph compiled into steps (`build`), its input (`input`), initial values (`init`), and the table of `summary`.

mod blocks;
mod build;
mod class_weights;
mod effect;
mod emit;
mod expansion;
mod gradient;
mod graph;
mod init;
mod input;
mod layer;
pub mod layers;
mod parameter;
mod preprocess;
mod reader;
mod recipe;
mod scope;
mod shape;
mod spec;
mod summary;
mod update;
mod writer;

pub use build::{BuildOptions, LayerInfo, Model};
pub use class_weights::ClassWeights;
pub use init::{Fan, Init, WeightInit};
pub use input::PreprocessProgram;
pub use layer::Layer;
pub use layers::{Conv2d, LayerOp};
pub use parameter::{Parameter, TensorKind};
pub use preprocess::Preprocess;
pub use reader::suggestion;
pub use recipe::{LossKind, Optimizer, Recipe, Scheduler};
pub use spec::Spec;
pub use summary::Summary;
