//! Products of packed panels: the innermost loop of Winograd's convolutions.
//!
//! The left operand lies in panels of [`ROWS`] rows, the right one in panels of [`COLUMNS`] columns, both with one group
//! of that many elements for each index of the sum; so the loop reads both front to back. A tile of sums stays in
//! registers, in parts of 32 that are added up in memory. Every sum runs in the order of its index with every instruction set, with fused multiply-adds on
//! processors that have them.

#[cfg(target_arch = "x86_64")]
use crate::cpu::simd;
use pulp::{Simd, WithSimd};

/// Rows of a left panel.
pub const ROWS: usize = 8;
/// Columns of a right panel: three vectors of AVX-512.
pub const COLUMNS: usize = 48;

/// Indices that are summed on their own before they join the total: in f32 a sum of 192 in one chain errs twice as much.
const PART: usize = 32;

/// dst = lhs rhs, or dst += lhs rhs, for one right panel and as many left panels as `dst` has rows for.
pub struct PanelProduct<'a> {
    /// Left panels, `lhs_pitch` elements apart; each is `[depth, ROWS]`.
    pub lhs: &'a [f32],
    pub lhs_pitch: usize,
    /// The right panel, `[depth, COLUMNS]`.
    pub rhs: &'a [f32],
    /// Length of the sums.
    pub depth: usize,
    /// Rows and columns; columns are a multiple of 16.
    pub rows: usize,
    pub columns: usize,
    /// Rows of `dst` are `dst_pitch` elements apart.
    pub dst: &'a mut [f32],
    pub dst_pitch: usize,
    /// Whether the product is added to what `dst` holds.
    pub add: bool,
}

impl PanelProduct<'_> {
    /// Computes it with the widest vectors that this processor has.
    pub fn run(self) {
        #[cfg(target_arch = "x86_64")]
        {
            if let Some(simd) = simd::avx512() {
                return Simd::vectorize(simd, Fused(self));
            }
            if let Some(simd) = simd::avx2() {
                return Simd::vectorize(simd, Fused(self));
            }
        }
        #[cfg(target_arch = "aarch64")]
        if let Some(simd) = pulp::aarch64::Neon::try_new() {
            return Simd::vectorize(simd, Fused(self));
        }
        Simd::vectorize(pulp::Scalar128b, Apart(self));
    }

    #[inline(always)]
    fn tiles<S: Simd, const FUSED: bool>(mut self, simd: S) {
        match S::F32_LANES {
            // 24 sums, 4 operands: 32 registers.
            16 => self.rows_of::<S, FUSED, 8>(simd),
            // 12 sums, 4 operands: 16 registers.
            _ => self.rows_of::<S, FUSED, 4>(simd),
        }
    }

    #[inline(always)]
    fn rows_of<S: Simd, const FUSED: bool, const R: usize>(&mut self, simd: S) {
        let mut begin = 0;
        while begin < self.columns {
            let vectors = (self.columns - begin) / S::F32_LANES;
            for row in (0..self.rows).step_by(R) {
                match vectors {
                    0 => return,
                    1 => self.tile::<S, FUSED, R, 1>(simd, row, begin),
                    2 => self.tile::<S, FUSED, R, 2>(simd, row, begin),
                    _ => self.tile::<S, FUSED, R, 3>(simd, row, begin),
                }
            }
            begin += vectors.min(3) * S::F32_LANES;
        }
    }

    /// R rows from `row` on, V vectors of columns from `column` on.
    #[inline(always)]
    fn tile<S: Simd, const FUSED: bool, const R: usize, const V: usize>(
        &mut self,
        simd: S,
        row: usize,
        column: usize,
    ) {
        let lhs = &self.lhs[row / ROWS * self.lhs_pitch..][..self.depth * ROWS];
        let (lhs, _) = lhs.as_chunks::<ROWS>();
        let first = row % ROWS;
        let rhs = &self.rhs[..self.depth * COLUMNS];
        let mut totals = [[simd.splat_f32s(0.0); V]; R];
        for (lhs, rhs) in lhs.chunks(PART).zip(rhs.chunks(PART * COLUMNS)) {
            let (rhs, _) = S::as_simd_f32s(rhs);
            let rhs = rhs.chunks_exact(COLUMNS / S::F32_LANES);
            let mut sums = [[simd.splat_f32s(0.0); V]; R];
            for (lhs, rhs) in lhs.iter().zip(rhs) {
                let rhs = &rhs[column / S::F32_LANES..][..V];
                let lhs = &lhs[first..][..R];
                for r in 0..R {
                    let factor = simd.splat_f32s(lhs[r]);
                    for v in 0..V {
                        sums[r][v] = if FUSED {
                            simd.mul_add_e_f32s(factor, rhs[v], sums[r][v])
                        } else {
                            simd.add_f32s(simd.mul_f32s(factor, rhs[v]), sums[r][v])
                        };
                    }
                }
            }
            for (totals, sums) in totals.iter_mut().zip(sums) {
                for (total, sum) in totals.iter_mut().zip(sums) {
                    *total = simd.add_f32s(*total, sum);
                }
            }
        }
        for (r, totals) in totals.iter().enumerate().take(self.rows - row) {
            let dst = &mut self.dst[(row + r) * self.dst_pitch + column..][..V * S::F32_LANES];
            let (dst, _) = S::as_mut_simd_f32s(dst);
            for (d, &total) in dst.iter_mut().zip(totals) {
                *d = if self.add { simd.add_f32s(*d, total) } else { total };
            }
        }
    }
}

struct Fused<'a>(PanelProduct<'a>);

impl WithSimd for Fused<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        self.0.tiles::<S, true>(simd);
    }
}

/// Multiplies and adds apart: without the instruction, a fused one is a call of a function.
struct Apart<'a>(PanelProduct<'a>);

impl WithSimd for Apart<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        self.0.tiles::<S, false>(simd);
    }
}
