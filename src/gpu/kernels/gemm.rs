//! Matrix products: which tile, how many workgroups, and how to cut what one dispatch cannot do.

use super::rounds::rounds;
use super::slices::{Slice, slices};
use super::{Limits, Products, Shader, Tile, fold};
use crate::error::Result;
use crate::ops::Op;

/// A tile of sums that a workgroup of `gemm_tile.wgsl` owns: rows, columns, and how many products it takes at a time.
/// Each has a file `gemm_<block>.wgsl`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Block {
    B32x32x16,
    B64x64x16,
    B64x128x16,
    B128x64x16,
    B128x128x8,
    /// With the factors of the next tile beside those in use: one barrier for each tile instead of two.
    B128x128x8Double,
    B128x128x16,
    B128x128x16Double,
}

impl Block {
    pub const ALL: [Block; 8] = [
        Block::B32x32x16,
        Block::B64x64x16,
        Block::B64x128x16,
        Block::B128x64x16,
        Block::B128x128x8,
        Block::B128x128x8Double,
        Block::B128x128x16,
        Block::B128x128x16Double,
    ];

    /// As in the name of its file.
    pub fn name(self) -> &'static str {
        match self {
            Block::B32x32x16 => "32x32x16",
            Block::B64x64x16 => "64x64x16",
            Block::B64x128x16 => "64x128x16",
            Block::B128x64x16 => "128x64x16",
            Block::B128x128x8 => "128x128x8",
            Block::B128x128x8Double => "128x128x8_double",
            Block::B128x128x16 => "128x128x16",
            Block::B128x128x16Double => "128x128x16_double",
        }
    }

    /// Rows and columns.
    pub fn size(self) -> [usize; 2] {
        match self {
            Block::B32x32x16 => [32, 32],
            Block::B64x64x16 => [64, 64],
            Block::B64x128x16 => [64, 128],
            Block::B128x64x16 => [128, 64],
            _ => [128, 128],
        }
    }

    /// Bytes of workgroup memory, at most, and invocations of a workgroup. `tests/gpu/shaders` compares the bytes with the
    /// shaders.
    pub fn needs(self) -> [u32; 2] {
        let [i, j] = self.size();
        let (k, buffers) = match self {
            Block::B128x128x8 => (8, 1),
            Block::B128x128x8Double => (8, 2),
            Block::B128x128x16Double => (16, 2),
            _ => (16, 1),
        };
        // Vectors of 16 bytes, one more in each row; and the terms.
        let row = (i / 4 + 1) + (j / 4 + 1);
        let invocations = if self == Block::B32x32x16 { 64 } else { 256 };
        [(buffers * k * row * 16 + 2 * k * 16) as u32, invocations]
    }

    /// Whether an adapter with `limits` has what it needs.
    pub fn fits(self, limits: &Limits) -> bool {
        let [memory, invocations] = self.needs();
        memory <= limits.workgroup_memory && invocations <= limits.invocations
    }
}

/// What a subgroup of `gemm_subgroup.wgsl` owns: so many rows of eight, and 64 columns.
const OCTETS: [usize; 3] = [1, 2, 4];
const OCTET_COLUMNS: usize = 64;
/// Multiply-adds that a software adapter needs about half a millisecond and about 20 ms for.
const SHORT: usize = 1 << 22;
const LONG: usize = 1 << 28;

/// TILE_I and TILE_J of `gemm_registers.wgsl`.
const REGISTERS: [usize; 2] = [8, 64];

/// TILE_I and TILE_J of `gemm_half_tiles.wgsl`.
const HALF: [usize; 2] = [64, 128];

/// A product kernel with each of the tiles; made by [`product!`].
#[derive(Clone, Copy, Debug)]
pub(super) struct Product {
    pub registers: Shader,
    /// In the order of [`OCTETS`].
    pub octets: [Shader; 3],
    /// In the order of [`Block::ALL`].
    pub blocks: [Shader; 8],
    /// The same, loading four neighbours of a factor at a time; as `blocks` for kernels that cannot.
    pub vectors: [Shader; 8],
    pub half_registers: Shader,
    pub half: Shader,
    pub cooperative: Shader,
}

/// A [`Product`] from the files of `shaders/`: the kernel's own first, then what it shares with others. `vectors` goes
/// with a kernel that has `Element`s (`vectors_on.wgsl`).
macro_rules! product {
    (vectors $name:literal $(, $shared:literal)*) => {
        $crate::gpu::kernels::gemm::Product {
            vectors: $crate::gpu::kernels::gemm::blocks!($name $(, $shared)*, "gemm/vectors_on"),
            ..$crate::gpu::kernels::gemm::product!($name $(, $shared)*, "gemm/vectors_off")
        }
    };
    ($name:literal $(, $shared:literal)*) => {
        $crate::gpu::kernels::gemm::Product {
            registers: shader!($name $(, $shared)*, "gemm/gemm_registers", "gemm/gemm_exact", "gemm/gemm_sums", "shared/prelude"),
            octets: [
                shader!($name $(, $shared)*, "gemm/gemm_subgroup", "gemm/gemm_octets_1", "shared/prelude"),
                shader!($name $(, $shared)*, "gemm/gemm_subgroup", "gemm/gemm_octets_2", "shared/prelude"),
                shader!($name $(, $shared)*, "gemm/gemm_subgroup", "gemm/gemm_octets_4", "shared/prelude"),
            ],
            blocks: $crate::gpu::kernels::gemm::blocks!($name $(, $shared)*),
            vectors: $crate::gpu::kernels::gemm::blocks!($name $(, $shared)*),
            half_registers: shader!(
                enable "gemm/enable_f16"; $name $(, $shared)*, "gemm/gemm_registers", "gemm/gemm_rounded", "gemm/gemm_sums", "shared/prelude"
            ),
            half: shader!(
                enable "gemm/enable_f16"; $name $(, $shared)*, "gemm/gemm_half", "gemm/gemm_half_tiles", "gemm/gemm_sums", "shared/prelude"
            ),
            cooperative: shader!(
                enable "gemm/enable_cooperative"; $name $(, $shared)*, "gemm/gemm_cooperative", "gemm/gemm_half_tiles", "shared/prelude"
            ),
        }
    };
}
pub(super) use product;

/// The shaders of [`Product::blocks`].
macro_rules! blocks {
    ($name:literal $(, $shared:literal)*) => {
        [
            shader!($name $(, $shared)*, "gemm/gemm_tile", "gemm/gemm_stage", "gemm/gemm_32x32x16", "gemm/gemm_sums", "shared/prelude"),
            shader!($name $(, $shared)*, "gemm/gemm_tile", "gemm/gemm_stage", "gemm/gemm_64x64x16", "gemm/gemm_sums", "shared/prelude"),
            shader!($name $(, $shared)*, "gemm/gemm_tile", "gemm/gemm_stage", "gemm/gemm_64x128x16", "gemm/gemm_sums", "shared/prelude"),
            shader!($name $(, $shared)*, "gemm/gemm_tile", "gemm/gemm_stage", "gemm/gemm_128x64x16", "gemm/gemm_sums", "shared/prelude"),
            shader!($name $(, $shared)*, "gemm/gemm_tile", "gemm/gemm_stage", "gemm/gemm_128x128x8", "gemm/gemm_sums", "shared/prelude"),
            shader!($name $(, $shared)*, "gemm/gemm_tile", "gemm/gemm_stage", "gemm/gemm_128x128x8_double", "gemm/gemm_sums", "shared/prelude"),
            shader!($name $(, $shared)*, "gemm/gemm_tile", "gemm/gemm_stage", "gemm/gemm_128x128x16", "gemm/gemm_sums", "shared/prelude"),
            shader!($name $(, $shared)*, "gemm/gemm_tile", "gemm/gemm_stage", "gemm/gemm_128x128x16_double", "gemm/gemm_sums", "shared/prelude"),
        ]
    };
}
pub(super) use blocks;

/// The extents of a product, and whether neighbours of its factors can be loaded four at a time.
#[derive(Clone, Copy, Debug)]
pub(super) struct Extents {
    pub rows: usize,
    pub columns: usize,
    pub batches: usize,
    /// Products in the longest sum.
    pub depth: usize,
    pub vectors: bool,
}

/// How a product runs.
pub(super) struct Plan {
    pub shader: Shader,
    pub groups: [u32; 3],
    pub rounds: u64,
}

impl Product {
    /// The shader and the workgroups for `extents.batches` products of rows times columns sums.
    pub fn plan(&self, extents: Extents, limits: &Limits) -> Plan {
        let Extents { rows, columns, batches, depth, vectors } = extents;
        let block = |block: Block| {
            let shaders = if vectors { &self.vectors } else { &self.blocks };
            (shaders[block as usize], block.size())
        };
        let (shader, [i, j]) = match limits.tile {
            _ if limits.products == Products::HalfCooperative => (self.cooperative, HALF),
            Tile::Registers | Tile::Subgroup if limits.products == Products::Half => {
                (self.half_registers, REGISTERS)
            }
            _ if limits.products == Products::Half => (self.half, HALF),
            Tile::Registers => (self.registers, REGISTERS),
            Tile::Subgroup => {
                // More rows make faster products and longer compilation (0.3, 0.5 and 1.7 s).
                let most = match rows * columns * batches * depth {
                    ..SHORT => 1,
                    SHORT..LONG => 2,
                    LONG.. => OCTETS.len(),
                };
                let number = OCTETS[..most].iter().position(|n| rows <= n * 8).unwrap_or(most - 1);
                (self.octets[number], [OCTETS[number] * 8, OCTET_COLUMNS])
            }
            Tile::Shared => block(best(rows, columns, batches, limits)),
            Tile::Exactly(exactly) => block(exactly),
        };
        let groups = fold(rows.div_ceil(i) * columns.div_ceil(j) * batches, limits);
        Plan { shader, groups, rounds: longest_loop(depth, limits) }
    }
}

/// The rounds of a frame with sums of `depth` products. Most take one product a round, the tiled ones eight or more.
fn longest_loop(depth: usize, limits: &Limits) -> u64 {
    /// TILE_K of `gemm_half_tiles.wgsl`; elements that a lane of `gemm_cooperative.wgsl` puts through workgroup memory.
    const SIXTEEN: usize = 16;
    const STAGED: usize = 8;
    match (limits.products, limits.tile) {
        (Products::HalfCooperative, _) => rounds(depth.div_ceil(SIXTEEN), 0) + 8 * rounds(STAGED, 0),
        (_, Tile::Registers | Tile::Subgroup) => rounds(depth, 0),
        (Products::Half, _) => rounds(depth.div_ceil(SIXTEEN), rounds(SIXTEEN, 0)),
        (Products::Single, _) => rounds(depth.div_ceil(8), 0),
    }
}

/// The block with the least estimated time of those that fit; the first if none does. A
/// larger one reads less workgroup memory for each product (8, 6 and 4 bytes), but may have to compute more that nobody
/// asked for, and give too few workgroups to fill a GPU.
fn best(rows: usize, columns: usize, batches: usize, limits: &Limits) -> Block {
    /// Invocations of about two workgroups for each of the 128 or so cores of a large GPU.
    const FULL: f64 = 65_536.0;
    let time = |block: Block| {
        let [i, j] = block.size();
        let groups = (rows.div_ceil(i) * columns.div_ceil(j) * batches) as f64;
        let price = match block {
            Block::B32x32x16 => 1.9,
            Block::B64x64x16 => 1.5,
            Block::B64x128x16 | Block::B128x64x16 => 1.2,
            Block::B128x128x8 | Block::B128x128x16 => 1.02,
            Block::B128x128x8Double | Block::B128x128x16Double => 1.0,
        };
        let invocations = f64::from(block.needs()[1]);
        (groups * invocations).max(FULL) / invocations * (i * j) as f64 * price
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
        let best = |rows, columns, memory| {
            best(rows, columns, 1, &Limits { workgroup_memory: memory, ..Limits::default() })
        };
        assert_eq!(best(64, 387_200, 16_384), Block::B64x128x16);
        assert_eq!(best(384, 21_632, 16_384), Block::B128x128x8, "no more than every adapter has");
        assert_eq!(best(384, 21_632, 32_768), Block::B128x128x8Double);
        assert_eq!(
            best(192, 93_312, 32_768),
            Block::B64x128x16,
            "192 rows fill three blocks of 64, not two of 128"
        );
        assert_eq!(best(128, 4096, 32_768), Block::B64x64x16, "32 blocks of 128 x 128 leave most cores idle");
        assert_eq!(best(10, 100_000, 32_768), Block::B32x32x16);
        assert_eq!(best(10, 10, 32_768), Block::B64x64x16);
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
