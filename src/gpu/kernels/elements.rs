//! Dispatches of kernels that treat every output element by itself (`shaders/elements.wgsl`).

use super::{Binding, Dispatch, Limits, Shader, fold};

/// Elements of one workgroup: THREADS * PER_THREAD of `shaders/elements.wgsl`.
const PER_GROUP: usize = 1024;

/// The constants of a geometry, as pipelines take them.
pub(super) fn constants<const N: usize>(values: [(&'static str, usize); N]) -> Vec<(&'static str, f64)> {
    values.map(|(name, value)| (name, value as f64)).to_vec()
}

/// A dispatch of `shader` that calls its `element` for 0 .. `len`.
pub(super) fn elements(
    shader: Shader,
    len: usize,
    mut constants: Vec<(&'static str, f64)>,
    bindings: Vec<Binding>,
    limits: &Limits,
) -> Dispatch {
    constants.push(("len", len as f64));
    Dispatch { shader, constants, bindings, groups: fold(len.div_ceil(PER_GROUP), limits) }
}
