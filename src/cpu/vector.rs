//! Explicit vectors: work that is written once for any width, and run with the best this processor has.

use pulp::{Simd, WithSimd};

/// Most lanes of a vector that [`run`] uses. Eight tiles or channels rarely leave lanes empty, sixteen often would.
pub const LANES: usize = 8;

/// Something to compute with vectors of at most [`LANES`] lanes.
pub trait Work {
    fn run<S: Simd>(self, simd: S);
}

struct Adapter<W>(W);

impl<W: Work> WithSimd for Adapter<W> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        self.0.run(simd);
    }
}

/// Does the work.
pub fn run(work: impl Work) {
    #[cfg(target_arch = "x86_64")]
    if let Some(simd) = super::simd::avx2() {
        return Simd::vectorize(simd, Adapter(work));
    }
    #[cfg(target_arch = "aarch64")]
    if let Some(simd) = pulp::aarch64::Neon::try_new() {
        return Simd::vectorize(simd, Adapter(work));
    }
    Simd::vectorize(pulp::Scalar128b, Adapter(work));
}

/// The first elements of `data`.
#[inline(always)]
pub fn lanes<S: Simd>(_: S, data: &[f32]) -> S::f32s {
    S::as_simd_f32s(&data[..S::F32_LANES]).0[0]
}

/// Overwrites the first elements of `data`.
#[inline(always)]
pub fn put<S: Simd>(_: S, data: &mut [f32], value: S::f32s) {
    S::as_mut_simd_f32s(&mut data[..S::F32_LANES]).0[0] = value;
}
