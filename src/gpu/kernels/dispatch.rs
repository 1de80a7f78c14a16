//! Dispatches: which shader, with which constants, over which parts of which buffers.

use super::limits::Limits;
use super::shader::Shader;

/// What a binding refers to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// Operand number of the operator (`Op::operands`), or of the list of all operands of several operators that
    /// run as one.
    Operand(usize),
    /// Scratch buffer number of [`Kernels::scratch`].
    Scratch(usize),
}

/// One binding: a buffer, or a part of it (in elements; the offset must be a multiple of [`Limits::align`]).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Binding {
    pub source: Source,
    /// First element and number of elements; `None` is the whole logical tensor.
    pub range: Option<(usize, usize)>,
}

impl Binding {
    /// The whole of operand `i`.
    pub fn operand(i: usize) -> Self {
        Binding { source: Source::Operand(i), range: None }
    }
    /// Elements `offset .. offset + len` of operand `i`.
    pub fn slice(i: usize, offset: usize, len: usize) -> Self {
        Binding { source: Source::Operand(i), range: Some((offset, len)) }
    }
    /// The whole of scratch buffer `i`.
    pub fn scratch(i: usize) -> Self {
        Binding { source: Source::Scratch(i), range: None }
    }
}

/// What a dispatch computes, where something depends on it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DispatchKind {
    /// An operator or a part of it.
    #[default]
    Kernel,
    /// Only adds up this many partial sums from scratch buffer 0, into an operand.
    SumPartials(usize),
}

/// One dispatch. Bindings are numbered 0.. in `@group(0)` in this order.
#[derive(Clone, Debug, PartialEq)]
pub struct Dispatch {
    pub shader: Shader,
    pub kind: DispatchKind,
    /// Values of the shader's `override`s by name. Whole numbers below 2^32, or floats.
    pub constants: Vec<(&'static str, f64)>,
    pub bindings: Vec<Binding>,
    /// Workgroups in x, y, z; see [`fold`].
    pub groups: [u32; 3],
    /// The most rounds that the loops of one invocation take together, the test that ends each loop included.
    pub rounds: u64,
}

/// The dispatches of one operator, in order, and the scratch memory they share.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Kernels {
    pub dispatches: Vec<Dispatch>,
    /// Lengths in elements of scratch buffers, whose content does not outlive the operator.
    pub scratch: Vec<usize>,
}

/// `count` workgroups as a grid that respects `Limits::groups`: beyond it, x folds into y, and into z.
/// Shaders get their number back from `group_index` of `shaders/shared/prelude.wgsl` and must test it against their size.
pub fn fold(count: usize, limits: &Limits) -> [u32; 3] {
    let most = limits.groups as usize;
    let x = count.clamp(1, most);
    let y = count.div_ceil(x).clamp(1, most);
    let z = count.div_ceil(x * y).max(1);
    [x as u32, y as u32, z as u32]
}
