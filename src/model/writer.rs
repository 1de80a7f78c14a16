//! From a [`Spec`] to the text of a model file.

use super::spec::Spec;

impl Spec {
    /// The text of a model file that reads as this network; it says only what is not the default.
    pub fn to_toml(&self) -> String {
        self.source.clone()
    }
}
