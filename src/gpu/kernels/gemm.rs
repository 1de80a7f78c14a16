//! Matrix products: which tile, how many workgroups, and how to cut what one dispatch cannot do.

use super::slices::{Slice, slices};
use super::{Limits, Shader, Tile, fold};
use crate::error::Result;
use crate::ops::Op;

/// Size of the tile of sums that a workgroup of `gemm_tile.wgsl` owns, in rows and columns.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Block {
    /// `gemm_64x64.wgsl`
    B64x64,
    /// `gemm_64x128.wgsl`
    B64x128,
    /// `gemm_128x128.wgsl`
    B128x128,
}

impl Block {
    pub const ALL: [Block; 3] = [Block::B64x64, Block::B64x128, Block::B128x128];

    fn size(self) -> [usize; 2] {
        match self {
            Block::B64x64 => [64, 64],
            Block::B64x128 => [64, 128],
            Block::B128x128 => [128, 128],
        }
    }

    /// Bytes of workgroup memory (`tile_a` and `tile_b` of `gemm_tile.wgsl`) and invocations of a workgroup.
    pub fn needs(self) -> [u32; 2] {
        // TILE_K, by which both tiles are deep.
        let depth = match self {
            Block::B64x64 => 16,
            Block::B64x128 | Block::B128x128 => 8,
        };
        let [i, j] = self.size();
        [depth * (i + 4 + j + 4) as u32 * 4, 256]
    }

    /// Whether an adapter with `limits` has what it needs.
    pub fn fits(self, limits: &Limits) -> bool {
        let [memory, invocations] = self.needs();
        memory <= limits.workgroup_memory && invocations <= limits.invocations
    }
}

/// TILE_I and TILE_J of `gemm_registers.wgsl`.
const REGISTERS: [usize; 2] = [8, 64];

/// A product kernel with each of the tiles; made by [`product!`].
#[derive(Clone, Copy, Debug)]
pub(super) struct Product {
    pub registers: Shader,
    pub b64x64: Shader,
    pub b64x128: Shader,
    pub b128x128: Shader,
}

/// A [`Product`] from the files of `shaders/`: the kernel's own first, then what it shares with others.
macro_rules! product {
    ($name:literal $(, $shared:literal)*) => {
        $crate::gpu::kernels::gemm::Product {
            registers: shader!($name $(, $shared)*, "gemm_registers", "gemm_sums", "prelude"),
            b64x64: shader!($name $(, $shared)*, "gemm_tile", "gemm_64x64", "gemm_sums", "prelude"),
            b64x128: shader!($name $(, $shared)*, "gemm_tile", "gemm_64x128", "gemm_sums", "prelude"),
            b128x128: shader!($name $(, $shared)*, "gemm_tile", "gemm_128x128", "gemm_sums", "prelude"),
        }
    };
}
pub(super) use product;

impl Product {
    /// The shader and the workgroups for `batches` products of `rows` times `columns` sums.
    pub fn plan(&self, rows: usize, columns: usize, batches: usize, limits: &Limits) -> (Shader, [u32; 3]) {
        let (shader, [i, j]) = match limits.tile {
            Tile::Registers => (self.registers, REGISTERS),
            Tile::Shared => self.block(best(rows, columns, batches, limits)),
            Tile::Exactly(block) => self.block(block),
        };
        (shader, fold(rows.div_ceil(i) * columns.div_ceil(j) * batches, limits))
    }

    fn block(&self, block: Block) -> (Shader, [usize; 2]) {
        let shader = match block {
            Block::B64x64 => self.b64x64,
            Block::B64x128 => self.b64x128,
            Block::B128x128 => self.b128x128,
        };
        (shader, block.size())
    }
}

/// The block with the least estimated time of those that fit; the first if none does, which the device then refuses. A
/// larger one reads less workgroup memory for each product (8, 6 and 4 bytes), but may have to compute more that nobody
/// asked for, and give too few workgroups to fill a GPU.
fn best(rows: usize, columns: usize, batches: usize, limits: &Limits) -> Block {
    /// About two workgroups for each of the 128 or so cores of a large GPU.
    const FULL: f64 = 256.0;
    let time = |block: Block| {
        let [i, j] = block.size();
        let groups = (rows.div_ceil(i) * columns.div_ceil(j) * batches) as f64;
        let price = match block {
            Block::B64x64 => 1.5,
            Block::B64x128 => 1.2,
            Block::B128x128 => 1.0,
        };
        groups.max(FULL) * (i * j) as f64 * price
    };
    let fitting = Block::ALL.into_iter().filter(|block| block.fits(limits));
    fitting.min_by(|&a, &b| time(a).total_cmp(&time(b))).unwrap_or(Block::ALL[0])
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
        let limits = Limits::default();
        assert_eq!(best(64, 387_200, 1, &limits), Block::B64x128);
        assert_eq!(best(384, 21_632, 1, &limits), Block::B128x128);
        assert_eq!(
            best(192, 93_312, 1, &limits),
            Block::B64x128,
            "192 rows fill three blocks of 64, not two of 128"
        );
        assert_eq!(best(10, 10, 1, &limits), Block::B64x64);
        let [memory, _] = Block::B64x64.needs();
        let less = Limits { workgroup_memory: memory - 1, ..limits };
        assert_eq!(best(10, 10, 1, &less), Block::B64x128, "what does not fit is not taken");
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
