//! What kernels have to respect, and which of several ways a matrix product is computed.

use super::block_size::BlockSize;
use crate::error::{Error, Result};
use std::fmt;
use std::str::FromStr;

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
    /// The most loop rounds of one invocation; a dispatch that may take more is rejected. Nothing else depends on it.
    pub rounds: u64,
    /// Bytes of workgroup memory.
    pub workgroup_memory: u32,
    /// Invocations of a workgroup.
    pub invocations: u32,
    /// The kernel of matrix products. All of them sum in the same order, so none changes a result.
    pub kernel: GemmKernel,
    /// What the operands of matrix products are rounded to.
    pub precision: Precision,
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
            kernel: GemmKernel::Shared,
            precision: Precision::Single,
            fuse: true,
        }
    }
}

impl Limits {
    /// Whether an adapter with these limits can run the kernel with blocks of this size.
    pub fn fits(&self, block: BlockSize) -> bool {
        block.workgroup_memory() <= self.workgroup_memory && block.invocations() <= self.invocations
    }
}

/// How a workgroup computes its part of a matrix product.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum GemmKernel {
    /// Tiles of both operands in workgroup memory (`gemm_tile.wgsl`), the block size chosen by the shape: for GPUs.
    Shared,
    /// Registers of a subgroup, whose lanes exchange elements instead of loading them again (`gemm_subgroup.wgsl`): for
    /// software adapters with subgroups of at least eight; `benches/NOTES.md`, section 7, has its speed.
    Subgroup,
    /// Registers only, a workgroup of eight threads without barriers (`gemm_registers.wgsl`): for software adapters without
    /// such subgroups.
    Registers,
    /// `Shared` with this block size: for tests and tuning.
    Exactly(BlockSize),
}

impl GemmKernel {
    /// All of them.
    pub fn all() -> impl Iterator<Item = GemmKernel> {
        let blocks = BlockSize::ALL.into_iter().map(GemmKernel::Exactly);
        [GemmKernel::Shared, GemmKernel::Subgroup, GemmKernel::Registers].into_iter().chain(blocks)
    }

    /// Its name, as [`FromStr`] reads it and as choices are stored.
    pub fn name(self) -> &'static str {
        match self {
            GemmKernel::Shared => "shared",
            GemmKernel::Subgroup => "subgroup",
            GemmKernel::Registers => "registers",
            GemmKernel::Exactly(block) => block.name(),
        }
    }

    /// The kernels that may compute a product under `limits`: every block size that fits; on a software adapter, which takes
    /// seconds to compile a large block, its own kernel and the two smallest. If `limits` name a block size, that alone. In
    /// half precision there is no choice.
    pub fn candidates(limits: &Limits) -> Vec<GemmKernel> {
        let blocks = BlockSize::ALL.into_iter().filter(|&block| limits.fits(block)).map(GemmKernel::Exactly);
        match limits.kernel {
            _ if limits.precision != Precision::Single => vec![limits.kernel],
            GemmKernel::Exactly(_) => vec![limits.kernel],
            GemmKernel::Shared => blocks.collect(),
            GemmKernel::Registers | GemmKernel::Subgroup => {
                [limits.kernel].into_iter().chain(blocks.take(2)).collect()
            }
        }
    }
}

impl fmt::Display for GemmKernel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for GemmKernel {
    type Err = Error;
    fn from_str(text: &str) -> Result<Self> {
        GemmKernel::all().find(|kernel| kernel.name() == text).ok_or_else(|| {
            let names: Vec<&str> = GemmKernel::all().map(GemmKernel::name).collect();
            Error::Usage(format!("tile: expected one of {}, found {text}", names.join(", ")))
        })
    }
}

/// What matrix products multiply. Sums and everything in memory are f32 in any case.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Precision {
    /// The operands as they are: strict fp32.
    Single,
    /// The operands rounded to f16 and multiplied one by one. The product of two is exact in f32.
    Half,
    /// The same on the adapter's matrix units (`gemm_cooperative.wgsl`), which add up each group of sixteen products of a sum
    /// in an order of their own.
    HalfCooperative,
}
