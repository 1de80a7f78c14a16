//! Leave to use cooperative matrices, which wgpu counts as experimental.
#![allow(unsafe_code, reason = "the SAFETY paragraph below")]

/// For the one device whose shaders multiply on matrix units, and for no other.
pub(super) fn cooperative_matrices() -> wgpu::ExperimentalFeatures {
    // SAFETY: wgpu demands that the program that enables experimental features knows that they may have faults which lead to
    // undefined behaviour. Of those features only cooperative matrices are requested (`half.rs`), on a device of their
    // own that is opened only if the user asks for half precision, and used by one shader, `gemm_cooperative.wgsl`. What
    // the validation of wgpu does not cover is fixed in that file by constants: all matrices have 16 x 16 elements, which
    // the adapter was asked for; every one lies wholly within its array in workgroup memory, at a multiple of 16 bytes;
    // and all control flow around them is uniform. Before it is used, the device has to multiply as expected, many times
    // over.
    unsafe { wgpu::ExperimentalFeatures::enabled() }
}
