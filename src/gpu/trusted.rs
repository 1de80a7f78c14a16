//! Shader modules without run-time checks. With `binaries`, the one place of `gpu` with unsafe code.
#![allow(unsafe_code, reason = "the SAFETY paragraph below")]

/// A module of one of the shaders of this crate. With `checked`, every run-time check stays in.
///
/// What goes without: clamped indices of arrays in workgroup memory (between any two reads of the inner loop of a
/// matrix product, so that they cannot be joined into one), the counter that ends every loop after 2^64 turns
/// (measured by others at up to 100 times the running time of a tight loop, wgpu issue 7698), and the test of every
/// integer division for zero and overflow. On Vulkan the driver still checks the bounds of buffers.
pub(super) fn module(device: &wgpu::Device, name: &str, source: &str, checked: bool) -> wgpu::ShaderModule {
    let descriptor =
        wgpu::ShaderModuleDescriptor { label: Some(name), source: wgpu::ShaderSource::Wgsl(source.into()) };
    if checked {
        return device.create_shader_module(descriptor);
    }
    // SAFETY: the sources are the files of `shaders/`, compiled into this crate, never text from outside, and
    // their constants and bindings come from `kernels` and `probe` alone. Every index into a buffer is made from an invocation's
    // number that was tested against (or clamped to) the extents the constants give, and the executor binds exactly
    // as many elements as those extents say; `tests/gpu/shaders` holds constants and bindings of every kernel against
    // its source. Indices into workgroup memory are below its constant length by construction. Every loop goes
    // towards a bound that does not move, and every divisor is a constant that `Op::check` has found positive, or the larger of something and 1. The
    // values that a kernel reads from buffers are never used as an index without a test, except those of the tables
    // of `update_table.wgsl` and `sum_partials_table.wgsl`, which `kernels::table` makes from the places that the
    // schedule gave to tensors within the buffers bound beside them. `tests/gpu/kernels.rs` runs
    // every kernel both ways.
    unsafe { device.create_shader_module_trusted(descriptor, wgpu::ShaderRuntimeChecks::unchecked()) }
}
