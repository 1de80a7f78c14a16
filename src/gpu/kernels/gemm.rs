//! Matrix products: which tile, how many workgroups, and how to cut what one dispatch cannot do.

use super::slices::{Slice, slices};
use super::{Limits, Products, Shader, Tile, fold};
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
}

/// TILE_I and TILE_J of `gemm_registers.wgsl`.
const REGISTERS: [usize; 2] = [8, 64];

/// TILE_I and TILE_J of `gemm_half_tiles.wgsl`.
const HALF: [usize; 2] = [64, 128];

/// A product kernel with each of the tiles; made by [`product!`].
#[derive(Clone, Copy, Debug)]
pub(super) struct Product {
    pub registers: Shader,
    pub b64x64: Shader,
    pub b64x128: Shader,
    pub b128x128: Shader,
    pub half_registers: Shader,
    pub half: Shader,
    pub cooperative: Shader,
}

/// A [`Product`] from the files of `shaders/`: the kernel's own first, then what it shares with others.
macro_rules! product {
    ($name:literal $(, $shared:literal)*) => {
        $crate::gpu::kernels::gemm::Product {
            registers: shader!($name $(, $shared)*, "gemm_registers", "gemm_exact", "gemm_sums", "prelude"),
            b64x64: shader!($name $(, $shared)*, "gemm_tile", "gemm_64x64", "gemm_sums", "prelude"),
            b64x128: shader!($name $(, $shared)*, "gemm_tile", "gemm_64x128", "gemm_sums", "prelude"),
            b128x128: shader!($name $(, $shared)*, "gemm_tile", "gemm_128x128", "gemm_sums", "prelude"),
            half_registers: shader!(
                enable "enable_f16"; $name $(, $shared)*, "gemm_registers", "gemm_rounded", "gemm_sums", "prelude"
            ),
            half: shader!(
                enable "enable_f16"; $name $(, $shared)*, "gemm_half", "gemm_half_tiles", "gemm_sums", "prelude"
            ),
            cooperative: shader!(
                enable "enable_cooperative"; $name $(, $shared)*, "gemm_cooperative", "gemm_half_tiles", "prelude"
            ),
        }
    };
}
pub(super) use product;

impl Product {
    /// The shader and the workgroups for `batches` products of `rows` times `columns` sums.
    pub fn plan(&self, rows: usize, columns: usize, batches: usize, limits: &Limits) -> (Shader, [u32; 3]) {
        let (shader, [i, j]) = match (limits.products, limits.tile) {
            (Products::HalfCooperative, _) => (self.cooperative, HALF),
            (Products::Half, Tile::Registers) => (self.half_registers, REGISTERS),
            (Products::Half, _) => (self.half, HALF),
            (Products::Single, Tile::Registers) => (self.registers, REGISTERS),
            (Products::Single, Tile::Shared) => self.block(best(rows, columns, batches)),
            (Products::Single, Tile::Exactly(block)) => self.block(block),
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

/// The block with the least estimated time. A larger one reads less workgroup memory for each product (8, 6 and 4
/// bytes), but may have to compute more that nobody asked for, and give too few workgroups to fill a GPU.
fn best(rows: usize, columns: usize, batches: usize) -> Block {
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
    let mut best = Block::B64x64;
    for block in Block::ALL {
        if time(block) < time(best) {
            best = block;
        }
    }
    best
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
        assert_eq!(best(64, 387_200, 1), Block::B64x128);
        assert_eq!(best(384, 21_632, 1), Block::B128x128);
        assert_eq!(best(192, 93_312, 1), Block::B64x128, "192 rows fill three blocks of 64, not two of 128");
        assert_eq!(best(10, 10, 1), Block::B64x64);
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
