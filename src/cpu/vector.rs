//! Explicit vectors: work that is written once for any width, and run with the best this processor has.

use pulp::{Simd, WithSimd};

/// Does the work with the widest vectors that this processor has.
pub fn widest<W: WithSimd>(work: W) -> W::Output {
    #[cfg(target_arch = "x86_64")]
    {
        if let Some(simd) = super::simd::avx512() {
            return Simd::vectorize(simd, work);
        }
        if let Some(simd) = super::simd::avx2() {
            return Simd::vectorize(simd, work);
        }
    }
    #[cfg(target_arch = "aarch64")]
    if let Some(simd) = pulp::aarch64::Neon::try_new() {
        return Simd::vectorize(simd, work);
    }
    Simd::vectorize(pulp::Scalar128b, work)
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

/// a b + c, fused where the processor has the instruction; elsewhere that would be the call of a function.
#[inline(always)]
pub fn multiply_add<S: Simd>(simd: S, a: S::f32s, b: S::f32s, c: S::f32s) -> S::f32s {
    if S::F32_LANES > 4 || cfg!(target_arch = "aarch64") {
        simd.mul_add_e_f32s(a, b, c)
    } else {
        simd.add_f32s(simd.mul_f32s(a, b), c)
    }
}

/// a, or 0 where a is negative. Not the maximum, which would turn a NaN into 0.
#[inline(always)]
pub fn relu<S: Simd>(simd: S, a: S::f32s) -> S::f32s {
    let zero = simd.splat_f32s(0.0);
    simd.select_f32s(simd.less_than_f32s(a, zero), zero, a)
}
