//! The blocks of sums that a workgroup of `gemm_tile.wgsl` computes.

/// A block of m x n sums, which takes the products of k at a time through workgroup memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum BlockSize {
    B32x32x16,
    B64x64x16,
    B64x128x16,
    B128x64x16,
    B128x128x8,
    /// Double-buffered: the operands of the next step in k are loaded beside those in use, so that a step needs one barrier
    /// instead of two.
    B128x128x8Double,
    B128x128x16,
    B128x128x16Double,
}

/// The numbers of a block size.
struct BlockDimensions {
    name: &'static str,
    m: usize,
    n: usize,
    k: usize,
    /// Threads of a workgroup along m and n. Each computes 4 x 4 blocks of sums.
    threads: [usize; 2],
    /// Tiles of each operand in workgroup memory.
    buffers: usize,
}

impl BlockSize {
    /// All of them, smallest first.
    pub const ALL: [BlockSize; 8] = [
        BlockSize::B32x32x16,
        BlockSize::B64x64x16,
        BlockSize::B64x128x16,
        BlockSize::B128x64x16,
        BlockSize::B128x128x8,
        BlockSize::B128x128x8Double,
        BlockSize::B128x128x16,
        BlockSize::B128x128x16Double,
    ];

    const fn row(self) -> BlockDimensions {
        let (name, [m, n, k], side, buffers) = match self {
            BlockSize::B32x32x16 => ("32x32x16", [32, 32, 16], 8, 1),
            BlockSize::B64x64x16 => ("64x64x16", [64, 64, 16], 16, 1),
            BlockSize::B64x128x16 => ("64x128x16", [64, 128, 16], 16, 1),
            BlockSize::B128x64x16 => ("128x64x16", [128, 64, 16], 16, 1),
            BlockSize::B128x128x8 => ("128x128x8", [128, 128, 8], 16, 1),
            BlockSize::B128x128x8Double => ("128x128x8_double", [128, 128, 8], 16, 2),
            BlockSize::B128x128x16 => ("128x128x16", [128, 128, 16], 16, 1),
            BlockSize::B128x128x16Double => ("128x128x16_double", [128, 128, 16], 16, 2),
        };
        BlockDimensions { name, m, n, k, threads: [side, side], buffers }
    }

    /// m, n and k; `_double` if it is double-buffered.
    pub const fn name(self) -> &'static str {
        self.row().name
    }

    /// m and n.
    pub const fn size(self) -> [usize; 2] {
        let BlockDimensions { m, n, .. } = self.row();
        [m, n]
    }

    /// The constants that `gemm_tile.wgsl` expects.
    pub(super) fn constants(self) -> [(&'static str, usize); 6] {
        let BlockDimensions { m, n, k, threads, buffers, .. } = self.row();
        [
            ("TILE_M", m),
            ("TILE_N", n),
            ("TILE_K", k),
            ("THREADS_M", threads[0]),
            ("THREADS_N", threads[1]),
            ("BUFFERS", buffers),
        ]
    }

    /// Bytes of workgroup memory, at most; `tests/gpu/shaders` compares them with the shaders.
    pub const fn workgroup_memory(self) -> u32 {
        let BlockDimensions { m, n, k, buffers, .. } = self.row();
        // Vectors of 16 bytes, one more in each row; and the terms.
        let row = (m / 4 + 1) + (n / 4 + 1);
        (buffers * k * row * 16 + 2 * k * 16) as u32
    }

    /// Threads of a workgroup.
    pub const fn invocations(self) -> u32 {
        let [m, n] = self.row().threads;
        (m * n) as u32
    }
}
