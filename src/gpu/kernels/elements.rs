//! Dispatches of kernels that treat every output element by itself (`shaders/shared/elements.wgsl`).

use super::dispatch::{Binding, Dispatch, DispatchKind, fold};
use super::limits::Limits;
use super::rounds::rounds;
use super::shader::Shader;

/// Elements of one workgroup: THREADS * PER_THREAD of `shaders/shared/elements.wgsl`.
const PER_GROUP: usize = 1024;
/// PER_THREAD of `shaders/shared/elements.wgsl`.
const PER_THREAD: usize = 4;

/// The constants of a geometry, as pipelines take them.
pub(super) fn constants<const N: usize>(values: [(&'static str, usize); N]) -> Vec<(&'static str, f64)> {
    values.map(|(name, value)| (name, value as f64)).to_vec()
}

/// The rounds of a thread whose elements have `each` rounds in loops of their own.
pub(super) const fn thread_rounds(each: u64) -> u64 {
    rounds(PER_THREAD, each)
}

/// A dispatch of `shader` that calls its `element` for 0 .. `len`; each has `each` rounds in loops.
pub(super) fn elements(
    shader: Shader,
    len: usize,
    each: u64,
    mut constants: Vec<(&'static str, f64)>,
    bindings: Vec<Binding>,
    limits: &Limits,
) -> Dispatch {
    constants.push(("len", len as f64));
    let groups = fold(len.div_ceil(PER_GROUP), limits);
    Dispatch { kind: DispatchKind::Kernel, shader, constants, bindings, groups, rounds: thread_rounds(each) }
}
