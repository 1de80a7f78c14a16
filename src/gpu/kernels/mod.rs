//! From an operator to dispatches: the only part of `gpu` that knows operators.
//!
//! Each function here looks at a geometry and answers with a list of dispatches: which shader, with which
//! constants, over which parts of which buffers. It touches no device, so it can be tested without one.

mod augment;
mod bias_grad;
mod channel;
mod conv2d;
mod elements;
mod fused;
mod gemm;
mod linear;
mod loss;
mod normalise;
mod pointwise;
mod pool2d;
mod rounds;
mod slices;
mod table;
mod update;

pub use fused::fused;
pub use gemm::Block;
pub(super) use rounds::check as check_rounds;
pub use rounds::{LONGEST, MAX_ROUNDS};
pub(super) use table::{Entry, Reduction, reductions, update_table};

use crate::error::Result;
use crate::ops::Op;
use pointwise::pointwise;

/// A WGSL kernel: its stem and its complete source (pieces of `shaders/` put together by `shader!`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Shader {
    /// The name of its file in a folder of `shaders/`, without `.wgsl`; also the label of its pipeline.
    pub name: &'static str,
    pub source: &'static str,
}

/// A [`Shader`] from files of `shaders/`, each named `"folder/stem"`: the kernel's own file first, then the files it
/// shares with others. WGSL accepts declarations in any order, except that `enable` directives come first.
macro_rules! shader {
    ($name:literal $(, $shared:literal)*) => {
        $crate::gpu::kernels::Shader {
            name: $crate::gpu::kernels::stem($name),
            source: concat!(
                include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/shaders/", $name, ".wgsl")),
                $("\n", include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/shaders/", $shared, ".wgsl")),)*
            ),
        }
    };
    (enable $first:literal; $name:literal $(, $shared:literal)*) => {
        $crate::gpu::kernels::Shader {
            name: $crate::gpu::kernels::stem($name),
            source: concat!(
                include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/shaders/", $first, ".wgsl")),
                include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/shaders/", $name, ".wgsl")),
                $("\n", include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/shaders/", $shared, ".wgsl")),)*
            ),
        }
    };
}
pub(crate) use shader;

/// The file's name in a path below `shaders/` without its folder.
pub(crate) const fn stem(path: &'static str) -> &'static str {
    let bytes = path.as_bytes();
    let mut at = bytes.len();
    while at > 0 && bytes[at - 1] != b'/' {
        at -= 1;
    }
    path.split_at(at).1
}

/// Does nothing to its one binding: the floor under every measured time.
pub const NOOP: Shader = shader!("probe/noop", "shared/prelude");

/// Fused multiply-adds in registers: the roof over all arithmetic.
pub const ROOF_FMA: Shader = shader!("probe/roof_fma", "shared/prelude");

/// A copy: the roof over all that memory limits.
pub const ROOF_COPY: Shader = shader!("probe/roof_copy", "shared/elements", "shared/prelude");

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

/// One dispatch. Bindings are numbered 0.. in `@group(0)` in this order.
#[derive(Clone, Debug, PartialEq)]
pub struct Dispatch {
    pub shader: Shader,
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
    /// Lengths in elements of scratch buffers, which hold nothing between operators.
    pub scratch: Vec<usize>,
}

/// What the kernels have to respect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Largest binding in elements (`max_storage_buffer_binding_size` / 4).
    pub binding: usize,
    /// Largest buffer in elements.
    pub buffer: usize,
    /// Offsets of bindings are multiples of this many elements.
    pub align: usize,
    /// Largest number of workgroups in one dimension.
    pub groups: u32,
    /// Floating-point operations that one dispatch may have before it is split, where it can be.
    pub work: u64,
    /// The most loop rounds of one invocation; a dispatch that may take more is refused. It decides nothing else.
    pub rounds: u64,
    /// Bytes of workgroup memory.
    pub workgroup_memory: u32,
    /// Invocations of a workgroup.
    pub invocations: u32,
    /// The shape of matrix products. Every shape sums in the same order, so none changes a result.
    pub tile: Tile,
    /// What the factors of matrix products are rounded to.
    pub products: Products,
    /// Whether steps may run together in one dispatch. It changes no result.
    pub fuse: bool,
}

impl Default for Limits {
    /// The least that WebGPU promises.
    fn default() -> Self {
        Limits {
            binding: 1 << 25,
            buffer: 1 << 26,
            align: 64,
            groups: 65_535,
            work: u64::MAX,
            rounds: u64::MAX,
            workgroup_memory: 16 << 10,
            invocations: 256,
            tile: Tile::Shared,
            products: Products::Single,
            fuse: true,
        }
    }
}

/// How a workgroup computes its part of a matrix product.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Tile {
    /// Tiles of both factors in workgroup memory (`gemm_tile.wgsl`), their size chosen by the shape: for GPUs.
    Shared,
    /// Registers of a subgroup, which hands elements round instead of loading them again (`gemm_subgroup.wgsl`): for a
    /// CPU that plays GPU with subgroups of at least eight; `benches/NOTES.md`, section 7, has its speed.
    Subgroup,
    /// Registers only, a workgroup of eight invocations without barriers (`gemm_registers.wgsl`): for a CPU that
    /// plays GPU without such subgroups.
    Registers,
    /// The shared one with this block: for tests and tuning.
    Exactly(Block),
}

/// What matrix products multiply. The sums are f32 in any case, and so is everything in memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Products {
    /// The factors as they are: strict fp32.
    Single,
    /// The factors rounded to f16, multiplied one by one. A product of two is exact in f32.
    Half,
    /// The same on the adapter's matrix units (`gemm_cooperative.wgsl`), which add up each sixteen products of a sum in
    /// an order of their own.
    HalfCooperative,
}

impl Tile {
    /// What a product under `limits` may be computed with: every block that fits; on a software adapter, which takes
    /// seconds to compile a large block, its own tile and the smallest. If `limits` name a block, that alone; in half precision there is nothing to choose.
    pub fn candidates(limits: &Limits) -> Vec<Tile> {
        let blocks = Block::ALL.into_iter().filter(|block| block.fits(limits)).map(Tile::Exactly);
        match limits.tile {
            _ if limits.products != Products::Single => vec![limits.tile],
            Tile::Exactly(_) => vec![limits.tile],
            Tile::Shared => blocks.collect(),
            Tile::Registers | Tile::Subgroup => [limits.tile].into_iter().chain(blocks.take(2)).collect(),
        }
    }
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

/// The dispatches of `op` under `limits`; an error (exit code 3) if a tensor cannot be bound even in parts, or a loop may
/// be longer than the adapter runs it.
pub fn kernels(op: &Op, limits: &Limits) -> Result<Kernels> {
    rounds::checked(unchecked(op, limits)?, limits)
}

fn unchecked(op: &Op, limits: &Limits) -> Result<Kernels> {
    match op {
        Op::Augment(d) => augment::kernels(op, d, limits),
        Op::Conv2dForward(d) => conv2d::forward(op, d, limits),
        Op::Conv2dGradInput(d) => conv2d::grad_input(op, d, limits),
        Op::Conv2dGradWeight(d) => conv2d::grad_weight(op, d, limits),
        Op::BiasGrad(d) => bias_grad::kernels(op, d, limits),
        Op::LinearForward(d) => linear::forward(op, d, limits),
        Op::LinearGradInput(d) => linear::grad_input(op, d, limits),
        Op::LinearGradWeight(d) => linear::grad_weight(op, d, limits),
        Op::ReluForward(d) => {
            let shader =
                shader!("activation/relu_forward", "activation/relu", "shared/elements", "shared/prelude");
            pointwise(op, shader, d.len, &[], limits)
        }
        Op::ReluBackward(d) => {
            let shader = shader!("activation/relu_backward", "shared/elements", "shared/prelude");
            pointwise(op, shader, d.len, &[], limits)
        }
        Op::LeakyReluForward(d) => {
            let shader = shader!("activation/leaky_relu_forward", "shared/elements", "shared/prelude");
            pointwise(op, shader, d.len, &[("negative_slope", f64::from(d.negative_slope))], limits)
        }
        Op::LeakyReluBackward(d) => {
            let shader = shader!("activation/leaky_relu_backward", "shared/elements", "shared/prelude");
            pointwise(op, shader, d.len, &[("negative_slope", f64::from(d.negative_slope))], limits)
        }
        Op::SigmoidForward(d) => {
            let shader = shader!(
                "activation/sigmoid_forward",
                "shared/elementary",
                "shared/elements",
                "shared/prelude"
            );
            pointwise(op, shader, d.len, &[], limits)
        }
        Op::SigmoidBackward(d) => {
            let shader = shader!("activation/sigmoid_backward", "shared/elements", "shared/prelude");
            pointwise(op, shader, d.len, &[], limits)
        }
        Op::TanhForward(d) => {
            let shader =
                shader!("activation/tanh_forward", "shared/elementary", "shared/elements", "shared/prelude");
            pointwise(op, shader, d.len, &[], limits)
        }
        Op::TanhBackward(d) => {
            let shader = shader!("activation/tanh_backward", "shared/elements", "shared/prelude");
            pointwise(op, shader, d.len, &[], limits)
        }
        Op::Add(d) => {
            let shader = shader!("merge/add", "shared/elements", "shared/prelude");
            pointwise(op, shader, d.len, &[], limits)
        }
        Op::MaxPool2dForward(d) => pool2d::max_pool2d_forward(op, d, limits),
        Op::MaxPool2dBackward(d) => pool2d::max_pool2d_backward(op, d, limits),
        Op::AvgPool2dForward(d) => pool2d::avg_pool2d_forward(op, d, limits),
        Op::AvgPool2dBackward(d) => pool2d::avg_pool2d_backward(op, d, limits),
        Op::AdaptiveAvgPool2dForward(d) => pool2d::adaptive_avg_pool2d_forward(op, d, limits),
        Op::AdaptiveAvgPool2dBackward(d) => pool2d::adaptive_avg_pool2d_backward(op, d, limits),
        Op::LocalResponseNormForward(d) => normalise::local_response_norm_forward(op, d, limits),
        Op::LocalResponseNormBackward(d) => normalise::local_response_norm_backward(op, d, limits),
        Op::LocalResponseNormWithinForward(d) => normalise::local_response_norm_within_forward(op, d, limits),
        Op::LocalResponseNormWithinBackward(d) => {
            normalise::local_response_norm_within_backward(op, d, limits)
        }
        Op::BatchNorm2dStats(d) => normalise::stats(op, d, limits),
        Op::BatchNorm2dForward(d) => normalise::forward(op, d, limits),
        Op::BatchNorm2dGradParameters(d) => normalise::grad_parameters(op, d, limits),
        Op::BatchNorm2dGradInput(d) => normalise::grad_input(op, d, limits),
        Op::Dropout(d) => pointwise::dropout(op, d, limits),
        Op::ConcatForward(d) => channel::concat_forward(op, d, limits),
        Op::ConcatBackward(d) => channel::concat_backward(op, d, limits),
        Op::SoftmaxForward(d) => loss::softmax_forward(op, d, limits),
        Op::SoftmaxBackward(d) => loss::softmax_backward(op, d, limits),
        Op::CrossEntropy(d) => loss::cross_entropy(op, d, limits),
        Op::HalfSquaredError(d) => loss::half_squared_error(op, d, limits),
        Op::Metrics(d) => loss::metrics(d),
        Op::GradAccumulate(d) => update::grad_accumulate(op, d, limits),
        Op::GradNorm(d) => update::grad_norm(op, d, limits),
        Op::GradClip(d) => update::grad_clip(d),
        Op::GradScale(d) => update::grad_scale(op, d, limits),
        Op::GradUnscale(d) => update::grad_unscale(d),
        Op::Sgd(d) => update::update(op, d, limits),
        Op::Adam(d) => update::update(op, d, limits),
        Op::AdamW(d) => update::update(op, d, limits),
        Op::RmsProp(d) => update::update(op, d, limits),
    }
}
