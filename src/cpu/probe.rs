//! Work that measures the processor and computes nothing that is asked for: arithmetic in registers, and a copy.

use super::vector::widest;
use crate::error::{Error, Result};
use pulp::{Simd, WithSimd};
use rayon::prelude::*;
use std::hint::black_box;

/// Vectors that are added to in turn: more than two units with a latency of four have under way, few enough for 16
/// registers.
const CHAINS: usize = 12;
/// Turns of a unit of work on each thread.
const ROUNDS: usize = 1 << 14;

/// Work that measures, ready to be run.
#[derive(Debug)]
pub struct Probe {
    /// Turns of the loop, or none.
    rounds: usize,
    from: Vec<f32>,
    to: Vec<f32>,
    flops: u64,
}

impl Probe {
    /// `units` of fused multiply-adds (of multiplications and additions where there are no fused ones) in registers, on
    /// every thread of the rayon pool that this is called in.
    pub fn fma(units: usize) -> Probe {
        let rounds = units.max(1).saturating_mul(ROUNDS);
        let lanes = widest(Lanes) as u64;
        let flops = rayon::current_num_threads() as u64 * rounds as u64 * CHAINS as u64 * lanes * 2;
        Probe { rounds, from: Vec::new(), to: Vec::new(), flops }
    }

    /// A copy of `bytes`; [`Probe::bytes`] counts reading and writing.
    pub fn copy(bytes: u64) -> Result<Probe> {
        let len = (bytes / 4) as usize;
        let filled = |value: f32| {
            let mut memory = Vec::new();
            memory
                .try_reserve_exact(len)
                .map_err(|_| Error::Memory(format!("too little memory to measure: {bytes} bytes")))?;
            memory.resize(len, value);
            Ok::<_, Error>(memory)
        };
        Ok(Probe { rounds: 0, from: filled(1.5)?, to: filled(0.0)?, flops: 0 })
    }

    /// Floating-point operations of one run.
    pub fn flops(&self) -> u64 {
        self.flops
    }

    /// Bytes that one run reads and writes.
    pub fn bytes(&self) -> u64 {
        self.from.len() as u64 * 8
    }

    /// Does it `count` times.
    pub fn run(&mut self, count: usize) {
        for _ in 0..count {
            if self.rounds > 0 {
                let rounds = self.rounds;
                rayon::broadcast(|_| black_box(widest(Chains { rounds, factor: 0.999, summand: 0.5 })));
            }
            // Pieces so large that a copy may go past the caches.
            let piece = self.from.len().div_ceil(rayon::current_num_threads()).max(1);
            self.to.par_chunks_mut(piece).zip(self.from.par_chunks(piece)).for_each(|(to, from)| {
                to.copy_from_slice(from);
            });
        }
    }
}

/// How many lanes a vector has.
struct Lanes;

impl WithSimd for Lanes {
    type Output = usize;

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) -> usize {
        S::F32_LANES
    }
}

struct Chains {
    rounds: usize,
    factor: f32,
    summand: f32,
}

impl WithSimd for Chains {
    type Output = f32;

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) -> f32 {
        let factor = simd.splat_f32s(black_box(self.factor));
        let summand = simd.splat_f32s(black_box(self.summand));
        let mut sums = [simd.splat_f32s(1.0); CHAINS];
        for _ in 0..self.rounds {
            for sum in &mut sums {
                *sum = simd.mul_add_f32s(*sum, factor, summand);
            }
        }
        let total = sums.into_iter().fold(simd.splat_f32s(0.0), |total, sum| simd.add_f32s(total, sum));
        simd.reduce_sum_f32s(total)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_copy_copies_and_chains_end_where_they_must() {
        let mut copy = Probe::copy(4096).unwrap();
        assert_eq!((copy.bytes(), copy.flops()), (8192, 0));
        copy.run(1);
        assert!(copy.to.len() == 1024 && copy.to.iter().all(|&value| value == 1.5));
        // x = 0.999 x + 0.5 goes to 500 in every lane of every chain.
        let lanes = widest(Lanes);
        let sum = widest(Chains { rounds: 40_000, factor: 0.999, summand: 0.5 });
        let expected = 500.0 * (lanes * CHAINS) as f32;
        assert!((sum - expected).abs() < 1e-3 * expected, "{sum}, expected {expected}");
        let mut fma = Probe::fma(1);
        fma.run(1);
        assert_eq!(fma.flops() % (2 * lanes * CHAINS * ROUNDS) as u64, 0);
        assert!(fma.flops() > 0);
    }
}
