//! Long sums with an error near one rounding, and in a fixed order.
//!
//! 16 `f32` lanes take up at most [`BLOCK`] terms, some 32 each; then the lanes go into an `f64`. So a sum has an error of
//! about 1e-6 of the sum of magnitudes at worst, for any length, and the inner loop is a vector addition.

use super::simd::vectorised;

/// The longest chain of additions in `f32` where nothing better is at hand; longer sums are added up from parts of this
/// length.
pub const CHAIN: usize = 4096;

/// Terms that are summed in single precision before they go into the double.
const BLOCK: usize = 512;
const LANES: usize = 16;

/// A sum that is taken up piece by piece.
#[derive(Clone, Copy, Debug, Default)]
pub struct Sum {
    lanes: [f32; LANES],
    /// Terms in the lanes.
    terms: usize,
    total: f64,
}

impl Sum {
    /// Adds f(a[i], b[i]) for every i.
    #[inline(always)]
    pub fn add2(&mut self, a: &[f32], b: &[f32], f: impl Fn(f32, f32) -> f32) {
        for (a, b) in a.chunks(BLOCK).zip(b.chunks(BLOCK)) {
            if self.terms + a.len() > BLOCK {
                self.flush();
            }
            self.terms += a.len();
            let mut lanes = self.lanes;
            let (a_lines, a_rest) = a.as_chunks::<LANES>();
            let (b_lines, b_rest) = b.as_chunks::<LANES>();
            for (a, b) in a_lines.iter().zip(b_lines) {
                for i in 0..LANES {
                    lanes[i] += f(a[i], b[i]);
                }
            }
            for (lane, (&a, &b)) in lanes.iter_mut().zip(a_rest.iter().zip(b_rest)) {
                *lane += f(a, b);
            }
            self.lanes = lanes;
        }
    }

    /// Adds f(x[i]) for every i.
    #[inline(always)]
    pub fn add1(&mut self, x: &[f32], f: impl Fn(f32) -> f32) {
        self.add2(x, x, |v, _| f(v));
    }

    #[inline(always)]
    fn flush(&mut self) {
        self.total += self.lanes.iter().map(|&v| f64::from(v)).sum::<f64>();
        self.lanes = [0.0; LANES];
        self.terms = 0;
    }

    #[inline(always)]
    pub fn total(mut self) -> f64 {
        self.flush();
        self.total
    }
}

/// Sum of f(a[i], b[i]).
#[inline(always)]
pub fn sum2(a: &[f32], b: &[f32], f: impl Fn(f32, f32) -> f32) -> f64 {
    let mut sum = Sum::default();
    sum.add2(a, b, f);
    sum.total()
}

/// Sum of f(x[i]).
#[inline(always)]
pub fn sum1(x: &[f32], f: impl Fn(f32) -> f32) -> f64 {
    sum2(x, x, |v, _| f(v))
}

/// Sum of the elements.
pub fn sum(x: &[f32]) -> f64 {
    vectorised!(|| sum1(x, |v| v))
}
