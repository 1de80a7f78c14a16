//! Products large enough for packed operands: the kernels that faer is built on, without the rest of faer.
#![allow(unsafe_code, reason = "the SAFETY paragraph below")]

use super::{Onto, View};

/// dst = lhs rhs, or dst += lhs rhs. False if this processor has no kernel; then nothing was done.
///
/// # Panics
///
/// If a slice is too short for its matrix.
pub fn product(dst: &mut [f32], pitch: usize, onto: Onto, lhs: View, rhs: View) -> bool {
    let (m, n, k) = (lhs.rows, rhs.cols, lhs.cols);
    assert!(m > 0 && n > 0 && k > 0 && k == rhs.rows);
    assert!(lhs.span() <= lhs.data.len() && rhs.span() <= rhs.data.len());
    assert!((m == 1 || pitch >= n) && super::span(m, n, pitch, 1) <= dst.len());
    #[cfg(target_arch = "x86_64")]
    let Some(instructions) = instructions() else { return false };
    let stride = |stride: usize| stride as isize;
    // SAFETY: the kernels read `lhs` (m x k) and `rhs` (k x n) and write, and with `Old` read, `dst` (m x n) at the strides
    // given, and nothing else of ours; the assertions above hold all three within their slices, and elements of `dst` apart.
    // No stride is negative, `dst` is borrowed exclusively, the operands are initialised, and the instruction set is one that
    // the processor was asked for.
    unsafe {
        #[cfg(target_arch = "x86_64")]
        {
            use private_gemm_x86::{Accum, DType, DstKind, IType, gemm};
            use std::ptr::{from_ref, null};
            let accum = match onto {
                Onto::Nothing => Accum::Replace,
                Onto::Old => Accum::Add,
            };
            gemm(
                DType::F32,
                IType::U64,
                instructions,
                m,
                n,
                k,
                dst.as_mut_ptr().cast(),
                stride(pitch),
                1,
                null(),
                null(),
                DstKind::Full,
                accum,
                lhs.data.as_ptr().cast(),
                stride(lhs.row_stride),
                stride(lhs.col_stride),
                false,
                null(),
                0,
                rhs.data.as_ptr().cast(),
                stride(rhs.row_stride),
                stride(rhs.col_stride),
                false,
                from_ref(&1.0f32).cast(),
                1,
            );
        }
        #[cfg(not(target_arch = "x86_64"))]
        {
            // Of the transposed product: its destination is column-major, as this kernel wants it.
            let old = if onto == Onto::Old { 1.0 } else { 0.0 };
            gemm_f32::gemm::f32::get_gemm_fn()(
                n,
                m,
                k,
                dst.as_mut_ptr(),
                stride(pitch),
                1,
                onto == Onto::Old,
                rhs.data.as_ptr(),
                stride(rhs.row_stride),
                stride(rhs.col_stride),
                lhs.data.as_ptr(),
                stride(lhs.row_stride),
                stride(lhs.col_stride),
                old,
                1.0,
                false,
                false,
                false,
                gemm_common::Parallelism::None,
            );
        }
    }
    true
}

/// The widest instructions that have a kernel and that this processor has.
#[cfg(target_arch = "x86_64")]
fn instructions() -> Option<private_gemm_x86::InstrSet> {
    use private_gemm_x86::InstrSet;
    if is_x86_feature_detected!("avx512f") {
        Some(InstrSet::Avx512)
    } else if is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") {
        Some(InstrSet::Avx256)
    } else {
        None
    }
}
