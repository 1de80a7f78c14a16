//! From a model file to a program: the TOML (`spec`), its layers and their attributes (`layer`), the recipe, the
//! graph compiled into steps (`build`), initial values (`init`), and the table of `summary`.

mod build;
mod emit;
mod gradient;
mod graph;
mod init;
mod layer;
mod reader;
mod recipe;
mod shape;
mod spec;
mod summary;
mod update;

pub use build::{BuildOptions, LayerInfo, Model, Parameter};
pub use init::{Fan, Init, WeightInit};
pub use layer::{Layer, LayerOp};
pub use recipe::{Augment, Crop, LossKind, Optimizer, Preprocess, Recipe, Scheduler};
pub use spec::Spec;
pub use summary::Summary;
