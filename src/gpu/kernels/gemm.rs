//! Matrix products c = a b, c of m x n sums over k: which kernel, how many workgroups, and how to cut what one dispatch
//! cannot do.

use super::block_size::BlockSize;
use super::dispatch::fold;
use super::limits::{GemmKernel, Limits, Precision};
use super::rounds::rounds;
use super::shader::{Constants, Shader, ShaderFile, files};
use super::slices::{Slice, slices};
use crate::error::Result;
use crate::ops::Op;

/// Blocks of eight rows that a subgroup of `gemm_subgroup.wgsl` may compute, with the variant of each, and the columns of
/// one.
const ROW_BLOCKS: [(usize, &str); 3] = [(1, "8x64"), (2, "16x64"), (4, "32x64")];
const ROW_BLOCK_N: usize = 64;
/// Multiply-adds that a software adapter needs about half a millisecond and about 20 ms for.
const SHORT: usize = 1 << 22;
const LONG: usize = 1 << 28;

/// TILE_M and TILE_N of `gemm_registers.wgsl`.
const REGISTERS: [usize; 2] = [8, 64];

/// TILE_M and TILE_N of `gemm_half_tiles.wgsl`.
const HALF: [usize; 2] = [64, 128];

/// The files of an operator that is a matrix product, without those of the product itself; made by [`product!`].
#[derive(Clone, Copy, Debug)]
pub(super) struct GemmFiles {
    /// They load the elements of an operand one by one.
    pub scalar: &'static [ShaderFile],
    /// They load four neighbours at a time; `None` for kernels that cannot.
    pub vec4: Option<&'static [ShaderFile]>,
}

/// A [`GemmFiles`] from files of `shaders/`: the kernel's own first, then those that it shares with others. `vec4` stands
/// before a kernel that can load four neighbours of an operand at a time.
macro_rules! product {
    (vec4 $($name:literal),+) => {
        $crate::gpu::kernels::gemm::GemmFiles {
            scalar: $crate::gpu::kernels::files!($($name,)+ "gemm/vectors_off"),
            vec4: Some($crate::gpu::kernels::files!($($name,)+ "gemm/vectors_on")),
        }
    };
    ($($name:literal),+) => {
        $crate::gpu::kernels::gemm::GemmFiles {
            scalar: $crate::gpu::kernels::files!($($name),+),
            vec4: None,
        }
    };
}
pub(super) use product;

/// The extents of a product: `batches` times m x n sums.
#[derive(Clone, Copy, Debug)]
pub(super) struct Extents {
    pub m: usize,
    pub n: usize,
    pub batches: usize,
    /// Products in the longest sum.
    pub k: usize,
    /// Whether four neighbours of an operand can be loaded at a time.
    pub vec4: bool,
}

/// How a product runs.
pub(super) struct GemmPlan {
    pub shader: Shader,
    pub groups: [u32; 3],
    pub rounds: u64,
}

impl GemmFiles {
    /// The shader and the workgroups for a product of these extents.
    pub fn plan(&self, extents: Extents, limits: &Limits) -> GemmPlan {
        let Extents { m, n, batches, k, .. } = extents;
        let (shader, [tile_m, tile_n]) = match (limits.precision, limits.kernel) {
            (Precision::HalfCooperative, _) => (self.half(true), HALF),
            (Precision::Half, GemmKernel::Registers | GemmKernel::Subgroup) => {
                (self.registers(Precision::Half), REGISTERS)
            }
            (Precision::Half, _) => (self.half(false), HALF),
            (Precision::Single, GemmKernel::Registers) => (self.registers(Precision::Single), REGISTERS),
            (Precision::Single, GemmKernel::Subgroup) => {
                // More rows make faster products and longer compilation (0.3, 0.5 and 1.7 s).
                let most = match m * n * batches * k {
                    ..SHORT => 1,
                    SHORT..LONG => 2,
                    LONG.. => ROW_BLOCKS.len(),
                };
                let fitting = ROW_BLOCKS[..most].iter().find(|(count, _)| m <= count * 8);
                let &(count, variant) = fitting.unwrap_or(&ROW_BLOCKS[most - 1]);
                (self.subgroup(count, variant), [count * 8, ROW_BLOCK_N])
            }
            (Precision::Single, GemmKernel::Shared) => self.shared(best(m, n, batches, limits), extents),
            (Precision::Single, GemmKernel::Exactly(block)) => self.shared(block, extents),
        };
        let groups = fold(m.div_ceil(tile_m) * n.div_ceil(tile_n) * batches, limits);
        GemmPlan { shader, groups, rounds: longest_loop(k, limits) }
    }

    /// Tiles of both operands in workgroup memory.
    fn shared(&self, block: BlockSize, extents: Extents) -> (Shader, [usize; 2]) {
        let shader = match self.vec4.filter(|_| extents.vec4) {
            Some(files) => Shader::new(files).variant(block.name()).variant("vec4"),
            None => Shader::new(self.scalar).variant(block.name()),
        };
        let frame = files!["gemm/gemm_tile", "gemm/gemm_stage", "gemm/gemm_sums", "shared/prelude"];
        (shader.with(frame).constants(Constants::BlockSize(block)), block.size())
    }

    fn subgroup(&self, count: usize, variant: &'static str) -> Shader {
        let frame = files!["gemm/gemm_subgroup", "shared/prelude"];
        let shader = Shader::new(self.scalar).variant("subgroup").variant(variant);
        shader.with(frame).constants(Constants::RowBlocks(count))
    }

    fn registers(&self, precision: Precision) -> Shader {
        let shader = Shader::new(self.scalar).variant("registers");
        match precision {
            Precision::Single => shader.with(files![
                "gemm/gemm_registers",
                "gemm/gemm_exact",
                "gemm/gemm_sums",
                "shared/prelude"
            ]),
            Precision::Half | Precision::HalfCooperative => shader.variant("half").with(files![
                "gemm/enable_f16",
                "gemm/gemm_registers",
                "gemm/gemm_rounded",
                "gemm/gemm_sums",
                "shared/prelude"
            ]),
        }
    }

    /// Products of f16, on matrix units if `cooperative`.
    fn half(&self, cooperative: bool) -> Shader {
        let shader = Shader::new(self.scalar).variant("half");
        if cooperative {
            return shader.variant("cooperative").with(files![
                "gemm/enable_cooperative",
                "gemm/gemm_cooperative",
                "gemm/gemm_half_tiles",
                "shared/prelude"
            ]);
        }
        shader.with(files![
            "gemm/enable_f16",
            "gemm/gemm_half",
            "gemm/gemm_half_tiles",
            "gemm/gemm_sums",
            "shared/prelude"
        ])
    }
}

/// The rounds of a frame with sums of `k` products. Most take one product a round, the tiled ones eight or more.
fn longest_loop(k: usize, limits: &Limits) -> u64 {
    /// TILE_K of `gemm_half_tiles.wgsl`; elements that a thread of `gemm_cooperative.wgsl` puts through workgroup memory.
    const SIXTEEN: usize = 16;
    const STAGED: usize = 8;
    match (limits.precision, limits.kernel) {
        (Precision::HalfCooperative, _) => rounds(k.div_ceil(SIXTEEN), 0) + 8 * rounds(STAGED, 0),
        (_, GemmKernel::Registers | GemmKernel::Subgroup) => rounds(k, 0),
        (Precision::Half, _) => rounds(k.div_ceil(SIXTEEN), rounds(SIXTEEN, 0)),
        (Precision::Single, _) => rounds(k.div_ceil(8), 0),
    }
}

/// The block size with the least estimated time of those that fit; the first if none does. A larger one reads less
/// workgroup memory for each product (8, 6 and 4 bytes), but may compute more sums that are not needed, and make too few
/// workgroups to fill a GPU.
fn best(m: usize, n: usize, batches: usize, limits: &Limits) -> BlockSize {
    /// Invocations of about two workgroups for each of the 128 or so cores of a large GPU.
    const FULL: f64 = 65_536.0;
    let time = |block: BlockSize| {
        let [block_m, block_n] = block.size();
        let groups = (m.div_ceil(block_m) * n.div_ceil(block_n) * batches) as f64;
        let price = match block {
            BlockSize::B32x32x16 => 1.9,
            BlockSize::B64x64x16 => 1.5,
            BlockSize::B64x128x16 | BlockSize::B128x64x16 => 1.2,
            BlockSize::B128x128x8 | BlockSize::B128x128x16 => 1.02,
            BlockSize::B128x128x8Double | BlockSize::B128x128x16Double => 1.0,
        };
        let invocations = f64::from(block.invocations());
        (groups * invocations).max(FULL) / invocations * (block_m * block_n) as f64 * price
    };
    let fitting = BlockSize::ALL.into_iter().filter(|&block| limits.fits(block));
    fitting.min_by(|&a, &b| time(a).total_cmp(&time(b))).unwrap_or(BlockSize::ALL[0])
}

/// Cuts `items`, each with `flops` operations and `sizes` elements of the operands that are cut, so that every part
/// can be bound and has about `Limits::work` operations at most. Where the alignment of bindings does not allow
/// parts as small as that, they are as small as it allows.
pub(super) fn cut(op: &Op, items: usize, flops: u64, sizes: &[usize], limits: &Limits) -> Result<Vec<Slice>> {
    let most = usize::try_from(limits.work / flops.max(1)).unwrap_or(usize::MAX).max(1);
    let largest = sizes.iter().copied().max().unwrap_or(1).max(1);
    let aligned = sizes.iter().fold(1, |step, &size| step.max(limits.align / gcd(limits.align, size.max(1))));
    let binding = most.max(aligned).saturating_mul(largest).min(limits.binding);
    slices(op, items, 1, sizes, &Limits { binding, ..*limits })
        .or_else(|_| slices(op, items, 1, sizes, limits))
}

fn gcd(a: usize, b: usize) -> usize {
    if b == 0 { a } else { gcd(b, a % b) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::Linear;

    #[test]
    fn small_products_get_small_blocks_and_large_ones_large() {
        let best = |m, n, memory| best(m, n, 1, &Limits { workgroup_memory: memory, ..Limits::default() });
        assert_eq!(best(64, 387_200, 16_384), BlockSize::B64x128x16);
        assert_eq!(best(384, 21_632, 16_384), BlockSize::B128x128x8, "no more than every adapter has");
        assert_eq!(best(384, 21_632, 32_768), BlockSize::B128x128x8Double);
        assert_eq!(
            best(192, 93_312, 32_768),
            BlockSize::B64x128x16,
            "192 rows fill three blocks of 64, not two of 128"
        );
        assert_eq!(
            best(128, 4096, 32_768),
            BlockSize::B64x64x16,
            "32 blocks of 128 x 128 leave most cores idle"
        );
        assert_eq!(best(10, 100_000, 32_768), BlockSize::B32x32x16);
        assert_eq!(best(10, 10, 32_768), BlockSize::B64x64x16);
    }

    #[test]
    fn parts_have_no_more_work_than_allowed_if_the_alignment_lets_them() {
        let linear = Linear { batch: 4, inputs: 32, outputs: 1000, bias: false, relu: false };
        let op = Op::LinearForward(linear);
        assert_eq!(op.flops() / 1000, 256);
        // So 10 outputs; a binding may begin at every second.
        let limits = Limits { work: 2560, ..Limits::default() };
        let parts = cut(&op, 1000, 256, &[32], &limits).unwrap();
        assert_eq!((parts.len(), parts[0].count, parts[1].first), (100, 10, 10));
        // One output is too much to ask, two can be bound.
        let parts = cut(&op, 1000, 256, &[32], &Limits { work: 1, ..limits }).unwrap();
        assert_eq!(parts[0].count, 2);
        let whole = cut(&op, 1000, 256, &[32], &Limits::default()).unwrap();
        assert_eq!((whole.len(), whole[0].count), (1, 1000));
    }
}
